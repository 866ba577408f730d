"""Bundles as another version would have written them: fields gone, new or called otherwise, words of a list that nobody has heard."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from diagnostics.evidence.model import Leg, Means, Why

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
NEWER, OLDER = "9.1.0", "0.0.9"

FIXED = frozenset(
    {"format", "format_version", "made_by", "made_at", "command", "now", "since", "lookback", "evidence", "profile"}
    | {"ask", "header", "profile.name", "profile.project", "profile.request", "profile.request.subscription"}
    | {"header.pipeline", "header.project", "header.region", "diagnosis"}
)
"""Without these there is no bundle; and of the old conclusion, `test_then` tells."""
ENTRY = re.compile(r"evidence\[[^]]*\]\.(kind|leg|seen)")
"""Nor are there entries without these."""
MAPPINGS = frozenset(
    {"labels", "env", "numbers", "words", "attributes", "captures", "alternatives", "ingest_s", "sample_s", "where"}
)
"""Fields whose keys are data: names that people chose."""
WORDS = {word.value for words in (Leg, Means, Why) for word in words if isinstance(word, Enum)}


class Change(NamedTuple):
    """What another version does otherwise."""

    how: str
    """drop, rename, add, or word."""
    path: str
    """Keys from the document to the field; entries of lists alike, evidence by kind and leg."""
    made_by: str
    every: bool
    """In every entry of the lists on the way; else in every second one."""

    def __str__(self) -> str:
        return f"{self.made_by} {self.how} {self.path}{'' if self.every else ' here and there'}"


def document(packed: bytes) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.json.decode(gzip.decompress(packed))
    return said


def packed(said: Any) -> bytes:
    return gzip.compress(msgspec.json.encode(said), 1)


def changes(said: dict[str, Any]) -> Iterator[Change]:
    """Every way in which another version could have written this document otherwise, one field at a time.

    A newer version may have dropped any field; an older one cannot have lacked what this one has had from the beginning.
    """
    for path, value in dict(_fields(said, "")).items():
        name = path.rpartition(".")[2]
        ways = [("add", NEWER), ("add", OLDER)]
        if path.endswith("].kind"):
            ways += [("word", NEWER), ("word", OLDER)]
        elif path not in FIXED and not ENTRY.fullmatch(path):
            ways += [("drop", NEWER), ("rename", NEWER), ("rename", OLDER)]
        if value in WORDS and name in ("means", "leg", "why"):
            ways += [("word", NEWER), ("word", OLDER)]
        for how, made_by in ways:
            yield Change(how, path, made_by, every=True)
            if "[]" in path:
                yield Change(how, path, made_by, every=False)


def changed(said: dict[str, Any], *all_of: Change) -> dict[str, Any]:
    """The document with these changes."""
    written: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(said))
    for change in all_of:
        _apply(written, change.path.split("."), change)
        written["made_by"] = change.made_by
    return written


def _fields(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for entry in value:
            part = f"{entry['kind']}@{entry['leg']}" if path == "evidence" else ""
            yield from _fields(entry, f"{path}[{part}]")
    elif isinstance(value, dict) and path.rpartition(".")[2] not in MAPPINGS and path != "diagnosis":
        for name, inner in value.items():
            under = f"{path}.{name}" if path else name
            yield under, inner if isinstance(inner, str) else None
            yield from _fields(inner, under)


def _apply(value: Any, path: list[str], change: Change) -> None:
    name, _, part = path[0].partition("[")
    if len(path) > 1:
        inner = value.get(name) if isinstance(value, dict) else None
        entries = inner if isinstance(inner, list) else [inner]
        if part not in ("", "]"):
            entries = [e for e in entries if isinstance(e, dict) and f"{e.get('kind')}@{e.get('leg')}]" == part]
        for number, entry in enumerate(entries):
            if change.every or number % 2 == 0 or len(path) > 2:
                _apply(entry, path[1:], change)
    elif isinstance(value, dict):
        _write(value, name, change.how)


def _write(fields: dict[str, Any], name: str, how: str) -> None:
    if how == "add":
        fields["else_" + name] = fields.get(name, "else")
    elif name in fields and how == "word":
        fields[name] = "unheard_of"
    elif name in fields:
        value = fields.pop(name)
        if how == "rename":
            fields[f"new_{name}"] = value
