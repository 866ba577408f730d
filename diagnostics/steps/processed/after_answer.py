"""Does the program answer first and work afterwards, without a CPU?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from diagnostics.evidence.model import By, ItemMarks, Leg, LogRow, Means, ServiceConfig, Stage, Unseen
from diagnostics.readings.answers import RECENT, tally
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.processed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, count, latency


class Afterwards(Tells, frozen=True, kw_only=True):
    unended: int
    """Items that were taken up and acked, and of whose end no line tells."""
    answered_s: float
    """How long a push takes to be answered once a container has it: the median, in seconds."""
    ended: int
    """Items of whose end lines do tell: then that there is none of others says something."""


AFTERWARDS = Telling(
    "processed.after_answer",
    Stage.PROCESSED,
    "items were taken up and acked at once, and no line tells of their end",
    Kind.EFFECT,
    tells=Afterwards,
)

_AT_ONCE_S = 1.0
"""Whoever answers sooner has hardly done the work."""


def answered_first(seen: Seen, marks: ItemMarks | Unseen, service: ServiceConfig | Unseen) -> Iterator[Finding]:
    """Items that a program took up, whose pushes were acked at once and that never came to an end, where containers have a CPU only
    while they have a request: the work stands still, and nothing pushes it again."""
    target = None if isinstance(service, Unseen) else service.settings
    if seen.leg is not Leg.REQUEST or isinstance(marks, Unseen) or target is None or not target.template.cpu_idle:
        return
    if not seen.profile.has(Means.STARTED_ITEM, Means.DONE_ITEM):
        return
    unended = _acked(seen)
    typical_s = _answered_s(seen, marks) if unended > 0 else None
    if typical_s is None or typical_s > _AT_ONCE_S:
        return
    holds = not seen.ledger.closed
    yield AFTERWARDS.says(
        Status.FAULT if holds else Status.WARNING,
        f"{at_least(marks.source.complete, count(unended, seen.profile.item))} were taken up and acked, typically answered "
        f"{latency(typical_s)} after a container had them, and no line tells of their end; containers of {target.name} have a CPU "
        "only during a request",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS if holds else Bears.SLOWS,
        held=unended if holds else 0,
        since=seen.told.fine[0].at if seen.told.fine_whole else None,
        rests_on=("ItemMarks", "RequestLog", "PushCounts", "ServiceConfig"),
        subject=seen.service,
        tells=Afterwards(
            unended=unended,
            answered_s=typical_s,
            ended=sum(m.many for m in marks.marks if m.means in (Means.DONE_ITEM, Means.SKIPPED_ITEM)),
        ),
    )


def _answered_s(seen: Seen, marks: ItemMarks) -> float | None:
    """How long pushes take to be acked, the median: by their latencies, or where these are long, for they hold the wait for a container,
    by the time from the line that tells of an item's begin to the answer. None where nothing tells."""
    acked = [r for r in seen.told.fine if r.by is By.APPLICATION]
    whole = _median(r.latency_s for r in acked)
    if whole is None or whole <= _AT_ONCE_S:
        return whole
    by_lines = [s for rows, begun in _in_containers(seen, acked, marks) for s in _taken_up_s(rows, begun)]
    return _median(by_lines) if by_lines else whole


def _in_containers(
    seen: Seen, acked: Sequence[LogRow], marks: ItemMarks
) -> Iterator[tuple[list[LogRow], list[datetime]]]:
    """Of each container that acked all it had: its acks, and when it took items up."""
    failed = {r.instance for r in seen.told.rows}
    for instance in {r.instance for r in acked} - failed - {""}:
        begun = [m.at for m in marks.marks if m.instance == instance and m.means is Means.STARTED_ITEM]
        yield [r for r in acked if r.instance == instance], sorted(begun)


def _taken_up_s(rows: Iterable[LogRow], begun: Sequence[datetime]) -> list[float]:
    """From begin to answer, in seconds, the newest with the newest. An entry is stamped with the begin of its request or with its end: with
    its end only where no answer then comes before what it answers."""
    for ends in (sorted(r.at for r in rows), sorted(r.at + timedelta(seconds=r.latency_s) for r in rows)):
        found = [(end - at).total_seconds() for end, at in zip(reversed(ends), reversed(begun), strict=False)]
        if found and min(found) >= 0:
            return found
    return []


def _median(of: Iterable[float]) -> float | None:
    ordered = sorted(of)
    return ordered[len(ordered) // 2] if ordered else None


def _acked(seen: Seen) -> int:
    """Items that were taken up more than five minutes ago, of which nothing more is told, and which wait for no push: at least."""
    stay = [
        x
        for x in seen.ledger.lives
        if x.stage is Stage.DELIVERED and not (x.failures or x.dead_lettered or x.unwritten) and x.last is not None
    ]
    old = sum(1 for x in stay if x.last is not None and seen.now - x.last > RECENT)
    acks = round(tally(seen.pushes, seen.told.since).acks)
    return min(old - seen.least, acks)
