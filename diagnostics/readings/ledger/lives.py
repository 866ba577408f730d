"""What log lines tell of single items: which are of this batch, how far each got, and which fail again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta

from msgspec.structs import replace

from diagnostics.evidence.model import BatchStatus, Leg, Mark, Means, Stage
from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.readings.ledger.ledger import GOT_TO, ORDER, TROUBLES, Life, Repeat


def attribute(marks: Iterable[Mark], attempt: Attempt | None) -> tuple[list[Mark], list[Mark]]:
    """Item lines of this batch, and all others.

    A line names its batch, or is joined by correlation id or trace. One that names only its item belongs where the last line of
    that item from the same instance belongs: what an instance says of an item is about the push that it took last. One that tells of
    trouble with a completion and names no item is about the item that other lines of the same request name.
    """
    mine: list[Mark] = []
    others: list[Mark] = []
    marks = named(list(marks))
    if attempt is None:
        return mine, list(marks)
    begin = attempt.started - timedelta(seconds=5) if attempt.seen else None
    taken: dict[tuple[str, str], bool] = {}
    for mark in marks:
        ours = _belongs(mark, attempt, begin)
        if mark.item and mark.instance:
            said_last = taken.get((mark.item, mark.instance), False)
            ours = ours or (said_last and not mark.batch and not mark.correlation)
            taken[mark.item, mark.instance] = ours
        (mine if ours else others).append(mark)
    return mine, others


def named(marks: Sequence[Mark]) -> list[Mark]:
    """The same lines, those of trouble with the item that their request is about."""
    about: dict[tuple[str, str], set[str]] = {}
    for mark in marks:
        if mark.item and mark.trace:
            about.setdefault((mark.trace, mark.instance), set()).add(mark.item)
    return [_with_item(m, about.get((m.trace, m.instance), set())) for m in marks]


def _with_item(mark: Mark, about: Set[str]) -> Mark:
    """A line of trouble that names no item, with the one that its request is about, if that is one."""
    if mark.means not in TROUBLES or mark.item or len(about) != 1:
        return mark
    return replace(mark, item=next(iter(about)))


def _belongs(mark: Mark, attempt: Attempt, begin: datetime | None) -> bool:
    if mark.batch:
        return mark.batch == attempt.batch
    if begin and mark.at < begin:
        return False
    if mark.correlation and attempt.correlation:
        return mark.correlation == attempt.correlation
    return bool(mark.trace) and mark.trace == attempt.trace


def lives_of(mine: Iterable[Mark], status: BatchStatus | None) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    came: dict[str, str] = {}
    for mark in mine:
        if not mark.item or mark.means not in GOT_TO:
            continue
        life = lives.setdefault(mark.item, Life(mark.item, first=mark.at, many=mark.many))
        _on_its_way_back(life, mark, came)
        stage = GOT_TO[mark.means]
        if ORDER[stage] > ORDER[life.stage]:
            life.stage = stage
            life.last = life.got_further = mark.at
        life.starts += mark.means is Means.STARTED_ITEM
        life.again = life.again or (mark.means is Means.STARTED_ITEM and (life.done or life.skipped))
        life.done = life.done or mark.means is Means.DONE_ITEM
        life.skipped = life.skipped or mark.means is Means.SKIPPED_ITEM
        life.unwritten = mark.means is Means.WRITE_FAILED or (life.unwritten and mark.means not in _TRIED)
        life.completion_failed = life.completion_failed or mark.means is Means.COMPLETION_ERROR
        if mark.means in (Means.STARTED_ITEM, Means.FAILED_ITEM, *TROUBLES):
            life.failures += mark.means is Means.FAILED_ITEM
            life.unrecorded += mark.means is Means.RECORD_ERROR
            life.last = mark.at
        if mark.means in (Means.DONE_ITEM, Means.SKIPPED_ITEM):
            life.ended = mark.at
        if mark.means is Means.DONE_ITEM and mark.numbers:
            life.brought = max(mark.numbers.values())
        life.reason = mark.words.get("reason", life.reason)
    crowded = any(
        x.many > 1 for x in lives.values()
    )  # then a name that no line has may be of one that another stands for
    for name in status.items or () if status else ():
        if name in lives or not crowded:
            life = lives.setdefault(name, Life(name))
            life.stage = life.stage if life.many > 1 else Stage.RECORDED
    return lives


_TRIED = frozenset({Means.STARTED_ITEM, Means.FAILED_ITEM, Means.DONE_ITEM, Means.SKIPPED_ITEM})
"""What the worker says of a try of the item."""


def _on_its_way_back(life: Life, mark: Mark, came: dict[str, str]) -> None:
    """Whether its newest try to be recorded failed. `came`: what came back since its last failure, with the trace of that call, where
    lines have one."""
    if mark.means is Means.RECORD_ERROR:
        life.refused = True
        life.refused_after = came.pop(life.name, None) == mark.trace
    elif mark.means in (Means.RETURNED_ITEM, Means.RECORDED_ITEM):
        came[life.name] = mark.trace
        life.refused = life.refused_after = False


def activity_of(marks: Iterable[Mark]) -> dict[str, datetime]:
    """When an item of each batch that lines name was last finished, or got further on its way back for the first time."""
    reached: dict[tuple[str, str], int] = {}
    newest: dict[str, datetime] = {}
    for mark in marks:
        stage = GOT_TO.get(mark.means, Stage.DELIVERED)
        if not mark.batch or stage is Stage.DELIVERED or mark.means in TROUBLES:
            continue
        if ORDER[stage] > reached.get((mark.batch, mark.item), 0):
            reached[mark.batch, mark.item] = ORDER[stage]
            newest[mark.batch] = mark.at
    return newest


def through_of(others: Iterable[Mark], since: datetime | None) -> dict[Leg, tuple[datetime, ...]]:
    """When each item of other batches first got through each leg since then."""
    first: dict[Leg, dict[tuple[str, str], Mark]] = {leg: {} for leg in Leg}
    for mark in others:
        leg = _THROUGH.get(mark.means)
        if leg and mark.batch and mark.item and since and mark.at > since:
            first[leg].setdefault((mark.batch, mark.item), mark)
    return {leg: tuple(sorted(m.at for m in found.values() for _ in range(m.many))) for leg, found in first.items()}


_THROUGH = {
    Means.DONE_ITEM: Leg.REQUEST,
    Means.SKIPPED_ITEM: Leg.REQUEST,
    Means.RETURNED_ITEM: Leg.COMPLETION,
}


def repeats_of(marks: Iterable[Mark], ours: bool, lives: Mapping[str, Life] | None = None) -> list[Repeat]:
    """Items with two failures or more and no success after the last one."""
    failed: dict[str, list[Mark]] = {}
    dead = {x.name for x in (lives or {}).values() if x.dead_lettered}
    for mark in marks:
        if not mark.item:
            continue
        if mark.means is Means.FAILED_ITEM:
            failed.setdefault(mark.item, []).append(mark)
        elif mark.means in (Means.DONE_ITEM, Means.SKIPPED_ITEM):
            failed.pop(mark.item, None)
    return [
        Repeat(name, ours, len(all_), all_[0].at, all_[-1].at, all_[-1].words.get("reason", ""), name in dead)
        for name, all_ in failed.items()
        if len(all_) > 1
    ]
