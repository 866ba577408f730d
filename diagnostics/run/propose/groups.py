"""Lines that differ in names and numbers alone are one group: a template in which the parts that differ are left open."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as made_field

from msgspec import Struct

MOST_PARTS = 80
"""Parts of a line that are compared; a stack trace has more."""
ALIKE = 0.6
"""Share of the words of two lines that have to be the same for them to be one group."""
EVENT_FIELDS = ("event", "evt", "event_name", "eventName", "event_type", "action", "msg", "message")
"""Fields in which structured logs say what happened, the surest first."""

_PART = re.compile(r"[A-Za-z0-9][\w.@-]*[\w@]|\w|\s+|[^\w\s]")
_NUMBERED = re.compile(r"\d")


class Line(Struct, frozen=True, kw_only=True):
    """One log line."""

    service: str
    """"coordinator" or "worker"."""
    text: str = ""
    fields: dict[str, str] = {}
    """Of a structured entry: its fields, flat, by dotted path."""
    trace: str = ""


@dataclass
class Group:
    """Lines of one template."""

    service: str
    field: str
    """Where the text stands, as markers name it: textPayload or jsonPayload.<name>."""
    parts: list[str | None]
    """None: it differs from line to line."""
    rows: list[tuple[str, ...]] = made_field(default_factory=list)
    """The parts of each line."""
    lines: list[Line] = made_field(default_factory=list)

    @property
    def differing(self) -> list[int]:
        """Which parts differ."""
        return [at for at, part in enumerate(self.parts) if part is None]

    @property
    def words(self) -> str:
        """What every line says, in small letters; events' names are read as words."""
        said = "".join("*" if part is None else part for part in self.parts)
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", said).replace("_", " ").replace("-", " ").lower()

    @property
    def structured(self) -> bool:
        """Whether fields stand beside what the lines say."""
        return any(line.fields for line in self.lines)

    def values(self, at: int) -> list[str]:
        return [row[at] for row in self.rows]


def groups(lines: Iterable[Line]) -> list[Group]:
    """The groups, the largest first."""
    by_place: dict[tuple[str, str], list[tuple[Line, str]]] = defaultdict(list)
    for line in lines:
        where, text = _said(line)
        if text.strip():
            by_place[line.service, where].append((line, text))
    found = [group for place, told in by_place.items() for group in _grouped(place, told)]
    return sorted(found, key=lambda group: -len(group.lines))


def _said(line: Line) -> tuple[str, str]:
    """Where a line says what happened, and what it says."""
    if line.text:
        return "textPayload", line.text.splitlines()[0]
    for name in EVENT_FIELDS:
        if value := line.fields.get(name, ""):
            return ("textPayload" if name == "message" else f"jsonPayload.{name}"), value.splitlines()[0]
    return "textPayload", ""


def _grouped(place: tuple[str, str], told: Sequence[tuple[Line, str]]) -> Iterator[Group]:
    made: dict[tuple[object, ...], list[Group]] = defaultdict(list)
    for line, text in told:
        parts = tuple(_PART.findall(text))[:MOST_PARTS]
        template = [
            None if _NUMBERED.search(part) or (at and parts[at - 1] == "=" and part[0].isalnum()) else part
            for at, part in enumerate(parts)
        ]
        if " " not in text and place[1] != "textPayload":
            template = list(parts)  # the name of an event
        alike = made[len(parts), template[0]]
        group = next((g for g in alike if _alike(g.parts, parts)), None)
        if group is None:
            group = Group(place[0], place[1], template)
            alike.append(group)
        group.parts = [a if a == b else None for a, b in zip(group.parts, parts, strict=True)]
        group.rows.append(parts)
        group.lines.append(line)
    yield from (group for alike in made.values() for group in alike)


def _alike(template: Sequence[str | None], parts: Sequence[str]) -> bool:
    words = [(a, b) for a, b in zip(template, parts, strict=True) if b[0].isalnum() and not (a is None or b.isspace())]
    same = sum(a == b for a, b in words)
    punctuation = all(a == b for a, b in zip(template, parts, strict=True) if a is not None and not b[0].isalnum())
    return punctuation and (same >= ALIKE * len(words) if words else True)
