"""What a finding tells beside its sentence: typed numbers and words, and how they are written down and read again.

A code declares what it tells as a `Tells` of its own. Findings carry it as `numbers` and `words`, which is how the JSON has it: a
number or word that was not seen (None) is left out.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Self, TypeVar

import msgspec
from msgspec import Struct

from diagnostics.evidence.model import Unseen


class Tells(Struct, frozen=True, kw_only=True):
    """Base of what a code tells. A field is a number, a word, or numbers by name (`class_` = {"internal": 3} is `class_internal`: 3).

    A trailing underscore is no part of the name: it keeps a word apart from the number of that name, or a name from Python's own.
    """


T = TypeVar("T", bound=Tells)


class Hidden(Tells, frozen=True, kw_only=True):
    """Why something could not be seen, and what would show it. With nothing in it: nothing was kept from us, it is not known."""

    permission: str | None = None
    """That the principal lacks; empty: it is not for want of one."""
    mend: str | None = None
    """The command that would let us see, or would tell the same."""
    why: str | None = None
    """By `Why`."""

    @classmethod
    def of(cls, unseen: Unseen) -> Self:
        return cls(permission=unseen.permission, mend=unseen.mend, why=unseen.why.value)


class Mended(Tells, frozen=True, kw_only=True):
    """What is amiss in a configuration, and the command that mends it."""

    mend: str | None = None


def names(told: type[Tells]) -> frozenset[str]:
    """Under which names it is written; numbers by name are left out, for theirs are not known beforehand."""
    return frozenset(f.name for f in _fields(told) if not f.by_name)


def numbers(told: Tells) -> dict[str, float]:
    found: dict[str, float] = {}
    for field in _fields(type(told)):
        value = getattr(told, field.attribute)
        if field.by_name:
            found |= {f"{field.name}_{key}": number for key, number in value.items()}
        elif not field.word and value is not None:
            found[field.name] = value
    return found


def words(told: Tells) -> dict[str, str]:
    found = {f.name: getattr(told, f.attribute) for f in _fields(type(told)) if f.word}
    return {name: word for name, word in found.items() if word is not None}


def read(told: type[T], numbers: Mapping[str, float], words: Mapping[str, str]) -> T:
    """What was written as these. Raises msgspec.ValidationError where something that it has to tell is missing."""
    given: dict[str, Any] = {}
    for field in _fields(told):
        source: Mapping[str, object] = words if field.word else numbers
        if field.by_name:
            start = f"{field.name}_"
            given[field.attribute] = {k.removeprefix(start): n for k, n in numbers.items() if k.startswith(start)}
        elif field.name in source:
            value = source[field.name]
            given[field.attribute] = round(value) if field.whole and isinstance(value, float) else value
    return msgspec.convert(given, told)


class _Field(typing.NamedTuple):
    attribute: str
    name: str
    """As it is written."""
    word: bool
    whole: bool
    """A count: JSON's numbers come back as fractions."""
    by_name: bool


@cache
def _fields(told: type[Tells]) -> tuple[_Field, ...]:
    return tuple(_field(f.name, f.type) for f in msgspec.structs.fields(told))


def _field(attribute: str, kind: Any) -> _Field:
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    by_name = any(typing.get_origin(option) is dict for option in options)
    return _Field(attribute, attribute.rstrip("_"), str in options, int in options, by_name)
