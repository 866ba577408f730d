"""What log lines tell of single items: which are of this batch, how far each got, and which fail again and again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from diagnostics.evidence.model import BatchStatus, Mark, Means, Stage
from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.readings.ledger.ledger import GOT_TO, ORDER, Life, Repeat


def attribute(marks: Iterable[Mark], attempt: Attempt | None) -> tuple[list[Mark], list[Mark]]:
    """Item lines of this batch, and all others.

    A line names its batch, or is joined by correlation id or trace. One that names only its item belongs where the last line of
    that item from the same instance belongs: what an instance says of an item is about the push that it took last.
    """
    mine: list[Mark] = []
    others: list[Mark] = []
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
    for mark in mine:
        if not mark.item or mark.means not in GOT_TO:
            continue
        life = lives.setdefault(mark.item, Life(mark.item, first=mark.at))
        stage = GOT_TO[mark.means]
        if ORDER[stage] > ORDER[life.stage]:
            life.stage = stage
            life.last = mark.at
        life.starts += mark.means is Means.STARTED_ITEM
        life.done = life.done or mark.means is Means.DONE_ITEM
        life.skipped = life.skipped or mark.means is Means.SKIPPED_ITEM
        life.completion_failed = life.completion_failed or mark.means is Means.COMPLETION_ERROR
        if mark.means is Means.FAILED_ITEM:
            life.failures += 1
            life.last = mark.at
        life.reason = mark.words.get("reason", life.reason)
    for name in status.items or () if status else ():
        life = lives.setdefault(name, Life(name))
        life.stage = Stage.RECORDED
    return lives


def repeats_of(marks: Iterable[Mark], ours: bool) -> list[Repeat]:
    """Items with two failures or more and no success after the last one."""
    failed: dict[str, list[Mark]] = {}
    for mark in marks:
        if not mark.item:
            continue
        if mark.means is Means.FAILED_ITEM:
            failed.setdefault(mark.item, []).append(mark)
        elif mark.means in (Means.DONE_ITEM, Means.SKIPPED_ITEM):
            failed.pop(mark.item, None)
    return [
        Repeat(name, ours, len(all_), all_[0].at, all_[-1].at, all_[-1].words.get("reason", ""))
        for name, all_ in failed.items()
        if len(all_) > 1
    ]
