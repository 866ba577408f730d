"""Which part of a line names the batch and which one the item: told by which values come back where, and by the word before them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diagnostics.run.propose.groups import Group

MANY = 8
"""Lines of a group from which on shares of its values mean something."""
FEW_OF_MANY = 0.34
"""The values of a batch are at most such a share of the lines that name it …"""
MOST_OF_MANY = 0.25
"""… and those of items at least such a share."""
NEARLY_ALL = 0.8

NO_NAMES = ("", "a", "an", "and", "at", "by", "for", "from", "in", "into", "of", "on", "the", "to", "with")
"""Words before a value that are no name of it."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d+")
_BATCH = re.compile(r"batch|run|job|export|import|campaign|backfill", re.IGNORECASE)
_CORRELATION = re.compile(r"correlation|request.?id|trace", re.IGNORECASE)
_OTHER = re.compile(
    r"revision|commit|build|version|threshold|mode|phase|host|instance|table|topic|subscription|message.?id|port|pid|rows?\b|status",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]*")


@dataclass(frozen=True)
class Slot:
    """One part of a group's lines that differs: of a text by its place, of a structured line a field."""

    label: str
    """The field's own name, or the word before it."""
    values: tuple[str, ...]
    at: int = -1
    """Its place among the parts of a text."""
    path: str = ""
    """The field, dotted; empty: it is a part of a text."""

    @property
    def called(self) -> str:
        """By what it is known in other lines, too; empty where that is no name."""
        return self.path or ("" if self.label.lower() in NO_NAMES else self.label)

    @property
    def is_number(self) -> bool:
        return all(_NUMBER.fullmatch(value) for value in self.values)

    @property
    def is_date(self) -> bool:
        return all(_DATE.fullmatch(value) for value in self.values)


@dataclass(frozen=True)
class Named:
    """A group with what its parts name."""

    group: Group
    batch: Slot | None = None
    item: Slot | None = None
    date: Slot | None = None
    correlation: Slot | None = None
    numbers: tuple[Slot, ...] = ()
    words: tuple[Slot, ...] = ()
    """What else differs."""


def named(found: Sequence[Group]) -> list[Named]:
    """What each group names."""
    slots = [tuple(_slots(group)) for group in found]
    where: dict[str, set[int]] = defaultdict(set)
    for at, of in enumerate(slots):
        for slot in of:
            for value in slot.values:
                where[value].add(at)
    batches, items = set[str](), set[str]()
    for of in slots:
        for slot in of:
            if _may_be_batch(slot, where):
                batches.update(slot.values)
    for of in slots:
        for slot in of:
            if _may_be_item(slot, where, batches):
                items.update(slot.values)
    called = {slot.called for of in slots for slot in of if slot.called and _of(slot, batches)}
    return [_named(group, of, batches, items, called) for group, of in zip(found, slots, strict=True)]


def _slots(group: Group) -> Iterator[Slot]:
    said = "message" if group.field == "textPayload" else group.field.removeprefix("jsonPayload.")
    columns = Counter(name for line in group.lines for name in line.fields)
    told = set[tuple[str, ...]]()
    for name, lines in sorted(columns.items()):
        values = tuple(line.fields[name] for line in group.lines if line.fields.get(name))
        if name != said and lines >= NEARLY_ALL * len(group.lines) and values:
            told.add(values)
            yield Slot(name.rpartition(".")[2], values, path=name)
    for at in group.differing:
        values = tuple(group.values(at))
        if values not in told:  # a sentence often repeats what stands beside it
            yield Slot(_before(group, at), values, at)


def _before(group: Group, at: int) -> str:
    """The word that stands before a part: of `batch=X` batch, of `for X` for."""
    for part in reversed(group.parts[:at]):
        if part is None:
            return ""
        if _WORD.fullmatch(part):
            return part
    return ""


def _shared(slot: Slot, where: dict[str, set[int]]) -> float:
    return sum(len(where[value]) > 1 for value in slot.values) / len(slot.values)


def _is_id(slot: Slot) -> bool:
    return not (slot.is_number or slot.is_date) and all(len(value) >= 3 for value in slot.values)


def _may_be_batch(slot: Slot, where: dict[str, set[int]]) -> bool:
    if not _is_id(slot) or _OTHER.search(slot.label) or _CORRELATION.search(slot.label):
        return False
    if not all(any(letter.isdigit() for letter in value) for value in slot.values):
        return False
    few = len(set(slot.values)) <= max(1, FEW_OF_MANY * len(slot.values))
    hinted = bool(_BATCH.search(slot.label) or all(_BATCH.match(value) for value in slot.values))
    return _shared(slot, where) >= NEARLY_ALL and ((len(slot.values) >= MANY and few) or hinted)


def _may_be_item(slot: Slot, where: dict[str, set[int]], batches: set[str]) -> bool:
    if slot.is_date or _OTHER.search(slot.label) or _CORRELATION.search(slot.label):
        return False
    if len(slot.values) < MANY or (slot.is_number and len(min(slot.values, key=len)) < 4) or batches & set(slot.values):
        return False
    many = len(set(slot.values)) >= max(3, MOST_OF_MANY * len(slot.values) / 2)
    return many and _shared(slot, where) >= 0.5 and all(len(value) >= 2 for value in slot.values)


def _of(slot: Slot, values: set[str]) -> bool:
    return sum(v in values for v in slot.values) >= NEARLY_ALL * len(slot.values)


def _named(group: Group, slots: Sequence[Slot], batches: set[str], items: set[str], called: set[str]) -> Named:
    """`called`: what the batch is called. Of one that stands still no other line may tell, so that its name is known by that alone."""
    item = next((s for s in slots if _of(s, items - batches)), None)
    batch = next((s for s in slots if _of(s, batches)), None) or next(
        (s for s in slots if s.called in called and s is not item and _is_id(s)), None
    )
    correlation = next((s for s in slots if _CORRELATION.search(s.label) and s is not batch), None)
    date = next((s for s in slots if s.is_date), None)
    rest = [s for s in slots if s not in (batch, item, correlation, date)]
    return Named(
        group=group,
        batch=batch,
        item=item,
        date=date,
        correlation=correlation,
        numbers=tuple(s for s in rest if s.is_number),
        words=tuple(s for s in rest if not s.is_number),
    )
