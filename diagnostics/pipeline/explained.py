"""What the keys of a profile mean, in the words that stand beside them in the code; and the profile as a JSON Schema, for editors."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any

import msgspec

from diagnostics.evidence.model import Means
from diagnostics.pipeline.profile import PipelineProfile


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a profile."""

    name: str
    """Dotted: request.subscription; of tables that may be there several times, markers.means."""
    takes: str
    """What kind of value."""
    default: str
    """Empty: it has to be there."""
    says: str


@cache
def every() -> tuple[Key, ...]:
    """Every key, table by table, as a profile is read."""
    return tuple({key.name: key for key in _keys(PipelineProfile, "")}.values())


def explain(name: str) -> tuple[Key, ...]:
    """The key of this dotted name or last part, or all of a table; none where there is no such key."""
    exact = tuple(key for key in every() if key.name == name)
    inside = tuple(key for key in every() if key.name.startswith(f"{name}."))
    return exact + inside or tuple(key for key in every() if key.name.rpartition(".")[2] == name)


@cache
def words(kind: type[Enum]) -> tuple[tuple[str, str], ...]:
    """The words that a key may take, with what each means."""
    said = _said_of(kind)
    return tuple((str(word.value), said.get(word.name, "")) for word in kind)


def choices(name: str) -> tuple[tuple[str, str], ...]:
    """The words that the key of this name takes; none where it takes others, too."""
    found = {hint for table, field, hint in _fields(PipelineProfile, "") if f"{table}{field}".endswith(name)}
    enums = [kind for hint in found for kind in _kinds(hint) if isinstance(kind, type) and issubclass(kind, Enum)]
    return words(enums[0]) if enums else ()


def schema() -> dict[str, Any]:
    """The JSON Schema of a profile, with what each key means."""
    (_,), tables = msgspec.json.schema_components([PipelineProfile], ref_template="#/$defs/{name}")
    for kind in {kind for kind, _ in _tables(PipelineProfile, "")}:
        properties = tables[kind.__name__].get("properties", {})
        for field, said in _said_of(kind).items():
            if field in properties:
                properties[field] = {**properties[field], "description": said}
    tables["PipelineProfile"]["properties"]["settings"] = {
        "type": "object",
        "description": "Defaults of options; `pubsub-diag config show --origin` shows what is in force.",
    }
    tables["Means"] = {"oneOf": [{"const": word, "description": said} for word, said in words(Means)]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pubsub-diag profile",
        "$ref": "#/$defs/PipelineProfile",
        "$defs": tables,
    }


def _keys(table: type[msgspec.Struct], before: str) -> Iterator[Key]:
    for where, field, hint in _fields(table, before):
        owner = next(kind for kind in _tables(table, before) if kind[1] == where)[0]
        info = next(f for f in msgspec.structs.fields(owner) if f.name == field)
        yield Key(
            name=f"{where}{field}",
            takes=_takes(hint),
            default="" if info.required else _default(info.default),
            says=next((said[field] for k in owner.__mro__ if field in (said := _said_of(k))), _of_table(hint)),
        )


def _tables(table: type[msgspec.Struct], before: str) -> Iterator[tuple[type[msgspec.Struct], str]]:
    """The table and all in it, with the names before their keys."""
    yield table, before
    for name, hint in typing.get_type_hints(table).items():
        for kind in _kinds(hint):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                yield from _tables(kind, f"{before}{name}.")


def _fields(table: type[msgspec.Struct], before: str) -> Iterator[tuple[str, str, Any]]:
    for kind, where in _tables(table, before):
        hints = typing.get_type_hints(kind)
        yield from ((where, name, hints[name]) for name in kind.__struct_fields__)


def _kinds(hint: Any) -> Iterator[Any]:
    """The types that a hint is made of."""
    inner = typing.get_args(hint)
    if inner:
        for one in inner:
            yield from _kinds(one)
    else:
        yield hint


def _of_table(hint: Any) -> str:
    """What a table is, by its own words."""
    tables = [kind for kind in _kinds(hint) if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    return " ".join((tables[0].__doc__ or "").split()) if tables else ""


def _takes(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), [one for one in typing.get_args(hint) if one not in (type(None), ...)]
    if origin is dict:
        return "a table of names"
    if origin is tuple:
        return f"a list: {_takes(inner[0])}"
    if inner:
        return " or ".join(dict.fromkeys(_takes(one) for one in inner))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(f'"{one.value}"' for one in hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return "a table"
    return {str: "a text", float: "a number", int: "a number", bool: "true or false"}.get(hint, "a date")


def _default(value: Any) -> str:
    if (
        value is None
        or value == ""
        or value is msgspec.NODEFAULT
        or (not value and not isinstance(value, bool | int | float))
    ):
        return "nothing"
    return msgspec.json.encode(value).decode()


def _said_of(kind: type) -> dict[str, str]:
    """By field or member of the class: the words that stand below it."""
    module = inspect.getmodule(kind)
    return _comments(module).get(kind.__name__, {}) if module and module.__name__.startswith("diagnostics.") else {}


@cache
def _comments(module: ModuleType) -> dict[str, dict[str, str]]:
    """By class, then by field or member: the words that stand below it."""
    tree = ast.parse(inspect.getsource(module))
    return {node.name: dict(_said_in(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _said_in(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, after in zip(node.body, node.body[1:], strict=False):
        target = (
            statement.target
            if isinstance(statement, ast.AnnAssign)
            else statement.targets[0]
            if isinstance(statement, ast.Assign)
            else None
        )
        says = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(target, ast.Name) and isinstance(says, str):
            yield target.id, " ".join(says.split())
