"""Pushes that ran into the ack deadline, and what can have made them: instances that were starting, or work that takes longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import By, Ended, Mark, Means, Point, PushCounts, ReceiverCapacity, Series, Unseen
from diagnostics.readings.answers import Answers

EXPIRED = "deadline_exceeded"


@dataclass(frozen=True)
class Expired:
    """Pushes that can be the doing of one mechanism."""

    count: float
    since: datetime | None
    until: datetime | None
    all: float
    """Pushes that ran into the deadline at all."""


_SAMPLE = timedelta(minutes=1)
"""A start is counted with the sample in which it ends."""
NONE = Expired(0, None, None, 0)


def peak(series: Iterable[Series], since: datetime) -> float | None:
    """The largest value since then; None: there was no point."""
    return max((p for s in series if (p := s.peak(since)) is not None), default=None)


def at_starts(
    pushes: PushCounts | Unseen, capacity: ReceiverCapacity, deadline_s: float, since: datetime, at_once: int
) -> Expired:
    """Those that starting instances can account for: they ran out while one was starting, or within a deadline after it, and no more
    of them than can have waited for it (`at_once` for an instance, each as often as the deadline fits into the start). The newest are not
    known to be others while the start that they can have met is not counted yet: they go on until then, unless others came in between."""
    if isinstance(pushes, Unseen):
        return NONE
    points = _points(s for s in pushes.series if s.labels.get("response_class") == EXPIRED)
    late = [p for p in points if p.end > since and p.value > 0]
    longest = peak(capacity.startup_p99, since) or 0.0
    starts = [p for p in _points(capacity.startups) if p.value > 0 and p.end > since - timedelta(seconds=longest)]
    lengths = {p.end: p.value for p in _points(capacity.startup_p99)}
    while_starting = [p for p in late if any(_meets(p, s, lengths.get(s.end, longest), deadline_s) for s in starts)]
    most = sum(s.value * at_once * max(lengths.get(s.end, longest) / deadline_s, 1) for s in starts)
    count = min(sum(p.value for p in while_starting), most)
    if not count:
        return Expired(0, None, None, sum(p.value for p in late))
    until = max(p.end for p in while_starting)
    told = capacity.source.as_of - timedelta(seconds=longest) - _SAMPLE
    after = [p for p in late if p.end > until]
    if after and after[0].end > told:
        until = after[-1].end
    return Expired(count, min(p.start for p in while_starting), until, sum(p.value for p in late))


def _points(series: Iterable[Series]) -> list[Point]:
    return sorted((p for s in series for p in s.points), key=lambda p: p.end)


def _meets(late: Point, start: Point, took_s: float, deadline_s: float) -> bool:
    """Whether a push of that sample can have waited for the instance that had started by the end of this one."""
    begin = start.start - timedelta(seconds=took_s)
    end = start.end + timedelta(seconds=deadline_s)
    return late.end >= begin and late.start <= end


_MANY = 0.1
"""The share of tries that must outlast the deadline by their lines for their work to be what made pushes late."""


@dataclass(frozen=True)
class Work:
    """How long programs took over pushes, the wait for an instance left out."""

    over: int
    """Pushes over which they took longer than the ack deadline."""
    all: int
    typical_s: float
    """The median of those that took longer."""

    @property
    def most(self) -> bool:
        """Whether most of them did."""
        return self.over * 2 > self.all


def work(told: Answers, capacity: ReceiverCapacity | Unseen, deadline_s: float, lines_s: Sequence[float] = ()) -> Work:
    """Work against the deadline. A request's latency in the log holds its wait for an instance: the longest wait and the longest start
    that were measured are taken off, so that this errs on the short side. Nothing where neither was seen. Of what the program's own
    lines tell of it (`lines_s`) as many count as requests took longer than the deadline: a program may work on behind its answer."""
    rows = [
        r for r in (*told.rows, *told.fine, *told.under_way) if r.by is By.APPLICATION or r.ended is Ended.TIMED_OUT
    ]
    late = sum(1 for r in rows if r.latency_s > deadline_s)
    by_lines = sorted(s for s in lines_s if s > deadline_s)
    if not isinstance(capacity, Unseen):
        waited = max(peak(capacity.pending_p99, told.since) or 0.0, peak(capacity.startup_p99, told.since) or 0.0)
        over = sorted(s for r in rows if (s := r.latency_s - waited) > deadline_s)
        if len(over) >= min(len(by_lines), late):
            return Work(len(over), len(rows), over[len(over) // 2] if over else 0.0)
    if not late or len(by_lines) <= _MANY * len(lines_s):  # a few long ones among many are not what made pushes late
        return Work(0, len(rows), 0.0)
    return Work(min(len(by_lines), late), len(rows), by_lines[len(by_lines) // 2])


def by_lines(marks: Iterable[Mark]) -> list[float]:
    """How long each try of an item took from the line of its begin to that of its end in one container, in seconds: without any wait."""
    begun: dict[tuple[str, str], datetime] = {}
    took: list[float] = []
    for mark in sorted(marks, key=lambda m: m.at):
        key = (mark.item, mark.instance)
        if mark.means in _STARTS:
            begun[key] = mark.at
        elif mark.means in _ENDS and (begin := begun.pop(key, None)) is not None:
            took += [(mark.at - begin).total_seconds()] * mark.many
    return took


_STARTS = frozenset({Means.STARTED_ITEM})
_ENDS = frozenset({Means.DONE_ITEM, Means.SKIPPED_ITEM, Means.FAILED_ITEM, Means.WRITE_FAILED})


def at_work(marks: Iterable[Mark], as_of: datetime, gone: Set[str]) -> list[float]:
    """For each item that a container took up and of which no line tells an end since: the longest that one has been at it, in seconds,
    longest first. Containers that are `gone` work on nothing."""
    begun: dict[str, dict[str, datetime]] = {}
    for mark in sorted(marks, key=lambda m: m.at):
        if mark.means in _STARTS and mark.instance not in gone:
            begun.setdefault(mark.item, {}).setdefault(mark.instance, mark.at)
        elif mark.means in _ENDS:
            begun.pop(mark.item, None)
    return sorted(((as_of - min(since.values())).total_seconds() for since in begun.values()), reverse=True)
