"""The JSON Schema of scenario files: generated from the types, each key with what is written below it in the source."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from diagnostics.lab import events, scenario
from diagnostics.scoring import expect


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole scenario file, `ask` and `expect` included."""
    whole = scenario.scenario_schema()
    _, definitions = msgspec.json.schema_components([expect.Asked, expect.Expected])
    whole["$defs"] = {**scenario.allow_variables(definitions), **whole["$defs"]}
    properties = whole["$defs"]["Scenario"]["properties"]
    properties["ask"] = {"$ref": "#/$defs/Asked"}
    properties["expect"] = {"$ref": "#/$defs/Expected"}
    for kind in _kinds():
        _describe(whole["$defs"].get(kind.__name__, {}), kind)
    return whole


def schema_text() -> str:
    return json.dumps(schema(), indent=2)


def _kinds() -> Iterator[type[Struct]]:
    for module in (events, scenario, expect):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Struct):
                yield value


def _describe(definition: dict[str, Any], kind: type[Struct]) -> None:
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    for base in reversed(kind.__mro__):
        if issubclass(base, Struct) and base is not Struct:
            for field, says in _docs(base):
                definition.get("properties", {}).get(names[field], {})["description"] = says


def _docs(kind: type[Struct]) -> Iterator[tuple[str, str]]:
    """Each field with the text that stands below it in the source."""
    (written,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(written, ast.ClassDef)
    for field, below in pairwise(written.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(says))):
                yield name, inspect.cleandoc(says).replace("\n", " ")
