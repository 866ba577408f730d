"""What another version wrote, read by this one: what both know as ever; what this one does not know is set apart, and said.

A field may be new, gone or called otherwise, and a value of a list of words may be one that this version has never heard. Nothing of
that may turn into data. So:

* a field that this version does not know is left out;
* a field that is lacking came later if the writer was no newer, and its default says as much as not having looked. A newer version
  has dropped it, and what it would say is not known;
* where one field is lacking and another is not known, one may be the other under a new name: neither can be read;
* what cannot be read takes with it the whole that it is part of, up to the next thing that stands for itself: a line of a log, an
  entry of the profile, an option of the question, else the piece of evidence.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from diagnostics import __version__
from diagnostics.pipeline.profile import Accepted, Closing

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

EXACT = (Accepted, Closing)
"""What excuses something: it holds as it was meant or not at all."""
FORMER: dict[str, dict[str, str]] = {}
"""Fields that earlier versions wrote, by structure: what they are called now, or nothing where they say nothing any more. Whoever
renames a field of evidence, or drops one, enters it here; kept runs would lose what it is part of."""
MOST_NAMED = 4
"""So many of the things that were set apart are named; the rest are counted."""


class Parts(Enum):
    """What of a structure stands for itself."""

    NONE = auto()
    """Nothing: it is read whole or not at all."""
    ENTRIES = auto()
    """Entries of its lists."""
    ALL = auto()
    """Entries of its lists, and fields that may be left out."""


class Unreadable(ValueError):
    """What cannot be read: where it is, and why."""


class Read(NamedTuple, typing.Generic[T]):
    """What could be read, and what could not."""

    value: T
    unknown: tuple[str, ...] = ()
    """Fields that were left out."""
    lost: tuple[str, ...] = ()
    """Entries and fields that this version knows and cannot read."""


def read(kind: type[S], raw: bytes | msgspec.Raw, made_by: str, parts: Parts = Parts.NONE) -> Read[S]:
    """The structure of this kind in this JSON. Raises Unreadable; of what is no JSON, what msgspec raises."""
    try:
        value = msgspec.json.decode(raw, type=kind)
        if msgspec.json.encode(value) == memoryview(raw):  # what this version writes, it need not look at twice
            return Read(value)
    except msgspec.ValidationError:
        pass
    reader = _Reader(made_by)
    return Read(reader.struct(msgspec.json.decode(raw), kind, "", parts), *reader.set_apart())


def entries(kind: type[S], raws: tuple[msgspec.Raw, ...], made_by: str) -> Read[tuple[S, ...]]:
    """The entries of a list that can be read."""
    kept: list[S] = []
    unknown: dict[str, None] = {}
    lost: list[str] = []
    for raw in raws:
        try:
            one = read(kind, raw, made_by)
        except Unreadable as why:
            lost.append(str(why))
            continue
        kept.append(one.value)
        unknown.update(dict.fromkeys(one.unknown))
    return Read(tuple(kept), tuple(unknown), _counted(lost, len(raws), "entries"))


def brief(names: typing.Sequence[str]) -> str:
    """The first of these in one line, and how many more there are."""
    told = ", ".join(one_line(name, 120) for name in names[:MOST_NAMED])
    return told if len(names) <= MOST_NAMED else f"{told} and {len(names) - MOST_NAMED} more"


def one_line(text: str, longest: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def newer(made_by: str) -> bool:
    """Whether a version is newer than this one. One that is no number may be anything, so it is."""
    theirs, ours = _numbers(made_by), _numbers(__version__)
    return theirs is None or ours is None or theirs > ours


def _numbers(version: str) -> tuple[int, ...] | None:
    found = re.match(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?", version)
    return tuple(int(n or 0) for n in found.groups()) if found else None


class _Reader:
    """Reads one structure and notes what it leaves out."""

    def __init__(self, made_by: str) -> None:
        self._newer = newer(made_by)
        self._unknown: dict[str, None] = {}
        self._lost: list[str] = []

    def set_apart(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(self._unknown), tuple(self._lost)

    def struct(self, said: Any, kind: type[S], path: str, parts: Parts) -> S:
        if not isinstance(said, dict):
            raise Unreadable(f"{path or kind.__name__}: no object")
        parts = Parts.NONE if kind in EXACT else parts
        said = said if self._newer else _as_now(said, kind)
        fields = _fields(kind)
        self._compare(said, kind, path, parts)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name not in said:
                continue
            try:
                values[field.name] = self._value(said[name], field.type, _under(path, name), parts)
            except Unreadable as why:
                if parts is not Parts.ALL or field.required:
                    raise
                self._lost.append(str(why))
        return kind(**values)

    def _compare(self, said: dict[str, Any], kind: type[Struct], path: str, parts: Parts) -> None:
        """Fields of then and of now: refuse what may mean something else, note what is left out."""
        fields = _fields(kind)
        unknown = [name for name in said if name not in fields]
        lacking = [name for name in fields if name not in said]
        required = [name for name in lacking if fields[name].required]
        if required or (lacking and parts is not Parts.ALL and (unknown or self._newer)):
            other = f", and {_under(path, unknown[0])} not known" if unknown else ""
            raise Unreadable(f"{_under(path, (required or lacking)[0])}: not there{other}")
        telling = [name for name in unknown if said[name] not in (None, "", [], {})]
        if telling and kind in EXACT:
            raise Unreadable(f"{_under(path, telling[0])}: not known")
        self._unknown.update(dict.fromkeys(_under(path, name) for name in unknown))
        if unknown or self._newer:
            self._lost += [f"{_under(path, name)}: not there" for name in lacking]

    def _value(self, said: Any, kind: Any, path: str, parts: Parts) -> Any:
        if isinstance(kind, type) and issubclass(kind, Struct):
            return self.struct(said, kind, path, parts)
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin is tuple and inner[1:] == (...,):
            return self._entries(said, inner[0], path, parts)
        if origin in (typing.Union, types.UnionType) and (said is not None or types.NoneType not in inner):
            listed = isinstance(said, list)
            kinds = [k for k in inner if k is not types.NoneType]
            fitting = [k for k in kinds if len(kinds) == 1 or (typing.get_origin(k) is tuple) is listed]
            if len(fitting) == 1:
                return self._value(said, fitting[0], path, parts)
        try:
            return msgspec.convert(said, kind)
        except msgspec.ValidationError as error:
            raise Unreadable(f"{path}: {error}") from error

    def _entries(self, said: Any, kind: Any, path: str, parts: Parts) -> tuple[Any, ...]:
        if not isinstance(said, list):
            raise Unreadable(f"{path}: no list")
        if parts is Parts.NONE:
            return tuple(self._value(one, kind, path, parts) for one in said)
        lost: list[str] = []
        kept = tuple(self._readable(said, kind, path, lost))
        counted = _counted(lost, len(said), path)
        if lost and not kept and parts is Parts.ENTRIES:
            raise Unreadable(*counted)
        self._lost += counted
        return kept

    def _readable(self, said: list[Any], kind: Any, path: str, lost: list[str]) -> Iterator[Any]:
        for one in said:
            try:
                yield self._value(one, kind, path, Parts.NONE)
            except Unreadable as why:
                lost.append(str(why))


def _counted(lost: list[str], of: int, what: str) -> tuple[str, ...]:
    """How many entries were set apart, and for which reasons."""
    reasons = tuple(dict.fromkeys(lost))
    return (f"{len(lost)} of {of} {what} ({brief(reasons)})",) if lost else ()


def _as_now(said: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    """Fields of an earlier version by their names of now."""
    former = FORMER.get(kind.__name__)
    return said if former is None else {now: said[n] for n in said if (now := former.get(n, n))}


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _fields(kind: type[Struct]) -> dict[str, FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}
