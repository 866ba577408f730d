"""Start attempts: the batch-level marker lines and start calls of a look-back, sorted into the attempts they belong to.

A line that names its batch belongs to it. One that does not is joined by the request's trace; failing that, by the instance
that printed it, if only one start was under way there. What fits two attempts is left out: a wrong count is worse than none; but the
lines of a batch that fit two calls are of the one that was answered when they had told all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from diagnostics.evidence.model import Mark, Means, StartCall

_SLACK = timedelta(seconds=2)
"""Request log and application log clocks agree within this."""
_LONGEST = timedelta(hours=1)
"""Cloud Run's longest request timeout: what a program still does behind a 504 is taken for its start call's work this long."""


@dataclass
class Attempt:
    """One call to the start path and what came of it. Complete once `attempts` has returned it; treat it as read-only."""

    batch: str = ""
    marks: list[Mark] = field(default_factory=list)
    call: StartCall | None = None
    begun: datetime | None = None
    """When it began, as the caller or the batch state says it: no line and no call tells."""
    _index: _Index = field(default_factory=lambda: _Index(), init=False, repr=False, compare=False)

    def first(self, *means: Means) -> Mark | None:
        firsts = self._index.upto(self.marks).firsts
        return self._at(min((firsts[m] for m in means if m in firsts), default=None))

    def last(self, *means: Means) -> Mark | None:
        lasts = self._index.upto(self.marks).lasts
        return self._at(max((lasts[m] for m in means if m in lasts), default=None))

    def _at(self, number: int | None) -> Mark | None:
        return None if number is None else self.marks[number]

    @property
    def seen(self) -> bool:
        """False for a batch that is known by its id alone: nothing and nobody tells when it began."""
        return bool(self.marks or self.call or self.begun)

    @property
    def told(self) -> bool:
        """Whether a line tells of it, or a start call that failed: then what became of it is known."""
        return bool(self.marks) or (self.call is not None and self.call.status >= 400 and self.call.status != 504)

    @property
    def started(self) -> datetime:
        """When the attempt began, by its first line or call, else as it was told. Raises ValueError unless it was `seen`."""
        seen = [m.at for m in self.marks[:1]] + ([self.call.at] if self.call else [])
        return min(seen or ([self.begun] if self.begun else []))

    @property
    def created(self) -> Mark | None:
        return self.first(Means.CREATED)

    @property
    def refused(self) -> Mark | None:
        return self.last(Means.REFUSED)

    @property
    def gate(self) -> Mark | None:
        return self.last(Means.GATE)

    @property
    def published(self) -> Mark | None:
        return self.last(Means.PUBLISHED)

    @property
    def closed(self) -> Mark | None:
        return self.last(Means.CLOSED)

    @property
    def forced(self) -> Mark | None:
        return self.last(Means.FORCED)

    @property
    def empty(self) -> Mark | None:
        return self.last(Means.EMPTY)

    @property
    def correlation(self) -> str:
        return self._index.upto(self.marks).correlation

    @property
    def date(self) -> str:
        return self._index.upto(self.marks).date

    @property
    def trace(self) -> str:
        received = self.first(Means.RECEIVED, Means.CREATED)
        return (received.trace if received else "") or (self.call.trace if self.call else "")

    @property
    def instance(self) -> str:
        received = self.first(Means.RECEIVED, Means.CREATED)
        return received.instance if received else ""

    @property
    def finished(self) -> bool:
        """Closed by the pipeline itself, with its work done."""
        return self.closed is not None and self.forced is None

    @property
    def turned_away(self) -> bool:
        """Nothing can have come of it: the coordinator refused to make a batch, or the call never reached it."""
        refused = self.refused is not None or (self.call is not None and self.call.status == 409)
        if self.marks:
            return refused and not self.batch
        return self.call is not None and (refused or not self.call.reached_app)

    @property
    def failed_to_publish(self) -> int:
        """Items whose publishing failed: the coordinator's count, else the named ones."""
        if self.published and "failed" in self.published.numbers:
            return self.published.numbers["failed"]
        errors = [m for m in self.marks if m.means is Means.PUBLISH_ERROR]
        return len({m.item for m in errors if m.item}) or len(errors)

    @property
    def unasked(self) -> bool:
        """Whether all that is known of it is what the worker says: nobody was called to begin it."""
        return bool(self.marks) and self.call is None and all(m.service == "worker" for m in self.marks)

    def under_way(self, at: datetime) -> bool:
        """Whether its start call can still have been printing lines at this moment."""
        if not self.marks or at < self.marks[0].at - _SLACK:
            return False
        ended = self.last(Means.PUBLISHED, Means.REFUSED, Means.EMPTY, Means.CLOSED, Means.FORCED)
        if ended and at > ended.at + _SLACK:
            return False
        return not (self.call and at > self.call.at + timedelta(seconds=self.call.latency_s) + _SLACK)

    def lingers(self, at: datetime) -> bool:
        """Whether its program can still be at work behind a start call that Cloud Run answered 504."""
        cut_off = self.call is not None and self.call.status == 504
        told = self.first(Means.PUBLISHED, Means.REFUSED, Means.EMPTY) is not None
        return cut_off and not told and bool(self.marks) and self.marks[0].at <= at <= self.started + _LONGEST


class _Index:
    """What is asked of an attempt's lines again and again, kept up as they are added: there may be a hundred thousand."""

    def __init__(self) -> None:
        self._read = 0
        self.firsts: dict[Means, int] = {}
        """Number of the first line that means this, and of the last."""
        self.lasts: dict[Means, int] = {}
        self.correlation = ""
        self.date = ""

    def upto(self, marks: Sequence[Mark]) -> _Index:
        for number in range(self._read, len(marks)):
            mark = marks[number]
            self.firsts.setdefault(mark.means, number)
            self.lasts[mark.means] = number
            self.correlation = self.correlation or mark.correlation
            self.date = self.date or mark.date
        self._read = len(marks)
        return self


def attempts(marks: Iterable[Mark], calls: Sequence[StartCall]) -> list[Attempt]:
    """All start attempts, oldest first."""
    found, in_order = _Found(), sorted(marks, key=lambda m: (m.at, m.means is not Means.RECEIVED))
    first = _Calls(calls)  # the line that tells of a call itself takes it, before one that tells of a batch may
    received = {id(m): first.take(m) for m in in_order if m.means is Means.RECEIVED}
    spare = _Calls(first.rest())
    for mark in in_order:
        home = found.home(mark)
        if home is None:
            if mark.means is not Means.RECEIVED and not mark.batch:
                continue
            home = Attempt()
        home.marks.append(mark)
        home.batch = home.batch or mark.batch
        if mark.means in (Means.RECEIVED, Means.CREATED) and home.call is None:
            home.call = received[id(mark)] if mark.means is Means.RECEIVED else spare.take(mark)
        found.keep(home)
    taken = {id(attempt.call) for attempt in found.all}
    all_ = [*_told_to_the_end(found.all), *(Attempt(call=call) for call in calls if id(call) not in taken)]
    return sorted(all_, key=lambda a: a.started)


def _told_to_the_end(found: Sequence[Attempt]) -> list[Attempt]:
    """The attempts, once those of which one half took the call and the other names the batch are one. Of two starts that are at work at
    once in one container, no line but a trace tells which made a batch; but a program answers when it has told the last of its start.
    Where the end of one call alone fits, and fits no other batch, it is that call's."""
    halves = [a for a in found if a.batch and a.call is None and a.first(Means.RECEIVED) is None]
    open_calls = [a for a in found if not a.batch and a.call is not None and a.call.status < 300 and a.marks]
    ends = sorted(((at, n) for n, a in enumerate(open_calls) for at in _may_end(a.call)), key=lambda e: e[0])
    fits: dict[int, set[int]] = {}
    for number, half in enumerate(halves):
        last = half.last(Means.PUBLISHED, Means.EMPTY)
        near = () if last is None else _between(ends, last.at - _SLACK, last.at + _SLACK)
        fits[number] = {n for n in near if _may_be_one(open_calls[n], half)}
    claims = Counter(n for near in fits.values() for n in near)
    pairs = {n: next(iter(near)) for n, near in fits.items() if len(near) == 1 and claims[next(iter(near))] == 1}
    wholes = [
        Attempt(half.batch, sorted([*call.marks, *half.marks], key=lambda m: m.at), call.call)
        for half, call in ((halves[n], open_calls[m]) for n, m in pairs.items())
    ]
    gone = {id(halves[n]) for n in pairs} | {id(open_calls[m]) for m in pairs.values()}
    return [*(a for a in found if id(a) not in gone), *wholes]


def _may_end(call: StartCall | None) -> set[datetime]:
    """When a call ended: a request's time in the log may be its begin or its end."""
    return set() if call is None else {call.at, call.at + timedelta(seconds=call.latency_s)}


def _between(ends: Sequence[tuple[datetime, int]], since: datetime, until: datetime) -> Iterable[int]:
    first = bisect_left(ends, since, key=lambda e: e[0])
    return (number for _, number in ends[first : bisect_right(ends, until, key=lambda e: e[0])])


def _may_be_one(call: Attempt, half: Attempt) -> bool:
    """Whether the lines that name a batch can be of this call: begun before them, and in its container and its trace as far as known."""
    apart = any(a and b and a != b for a, b in ((call.trace, half.trace), (call.instance, half.instance)))
    return not apart and call.started <= half.started + _SLACK


_Among = dict[tuple[bool, str], dict[int, Attempt]]
"""Attempts by whether they have a batch, and by trace or instance; each by its identity. No inner one is empty."""


def _let_go(among: _Among, key: tuple[bool, str], number: int) -> None:
    here = among.get(key, {})
    here.pop(number, None)
    if not here:
        among.pop(key, None)


class _Found:
    """The attempts that were found, as lines are added in order of time: what is over is not looked at for each further line."""

    def __init__(self) -> None:
        self.all: list[Attempt] = []
        self._batches: dict[str, Attempt] = {}
        self._known: dict[int, tuple[str, bool, str]] = {}
        """Trace, whether it has a batch, and instance, by which each attempt is kept below."""
        self._traces: _Among = {}
        self._open: _Among = {}
        """What may be under way; what is found to be over is let go until another line is added to it."""
        self._lingering: _Among = {}

    def keep(self, attempt: Attempt) -> None:
        """An attempt to which a line was added."""
        number = id(attempt)
        if (before := self._known.get(number)) is None:
            self.all.append(attempt)
        else:
            trace, named, instance = before
            for among, key in ((self._traces, trace), (self._open, instance), (self._lingering, instance)):
                _let_go(among, (named, key), number)
        trace, named, instance = self._known[number] = attempt.trace, bool(attempt.batch), attempt.instance
        for among, key in ((self._traces, trace), (self._open, instance), (self._lingering, instance)):
            among.setdefault((named, key), {})[number] = attempt
        if named:
            self._batches.setdefault(attempt.batch, attempt)

    def home(self, mark: Mark) -> Attempt | None:
        """The attempt that a line belongs to; None: none, or more than one may be it."""
        if mark.batch and (known := self._batches.get(mark.batch)):
            return known
        if mark.means is Means.RECEIVED:
            return None
        sides = (False,) if mark.batch else (False, True)
        most = None if mark.date else 2
        if mark.trace:
            fitting = [a for named in sides for a in self._traces.get((named, mark.trace), {}).values()]
        elif self._some(self._open, sides, None, lambda a: a.under_way(mark.at), 1):
            fitting = self._some(self._open, sides, mark.instance, lambda a: a.under_way(mark.at), most)
        else:
            fitting = self._some(self._lingering, sides, mark.instance, lambda a: a.lingers(mark.at), most)
        if len(fitting) > 1 and mark.date:
            fitting = [a for a in fitting if a.date == mark.date]
        return fitting[0] if len(fitting) == 1 else None

    def _some(
        self,
        among: _Among,
        sides: Sequence[bool],
        instance: str | None,
        still: Callable[[Attempt], bool],
        most: int | None,
    ) -> list[Attempt]:
        """So many of those of which this still holds, of this instance or of none that is known; instance empty or None: of any."""
        keys = [(n, i) for n in sides for i in ("", instance)] if instance else among
        got: list[Attempt] = []
        over: list[tuple[tuple[bool, str], int]] = []
        for key in keys:
            for number, attempt in among.get(key, {}).items() if key[0] in sides else ():
                if not still(attempt):
                    over.append((key, number))
                    continue
                got.append(attempt)
                if most is not None and len(got) >= most:
                    break
            if most is not None and len(got) >= most:
                break
        for key, number in over:
            _let_go(among, key, number)
        return got


class _Call(NamedTuple):
    """A start call that no attempt has taken."""

    at: datetime
    number: int
    call: StartCall

    @property
    def ends(self) -> datetime:
        return self.at + timedelta(seconds=self.call.latency_s) + _SLACK

    @property
    def begins(self) -> datetime:
        """A request's time in the log may be its begin or its end."""
        return self.at - timedelta(seconds=self.call.latency_s) - _SLACK


class _Calls:
    """Start calls, to be taken by lines in order of time."""

    def __init__(self, given: Iterable[StartCall]) -> None:
        calls = list(given)
        self._calls = [_Call(call.at, number, call) for number, call in enumerate(calls)]
        self._taken: set[int] = set()
        self._all = sorted(self._calls, key=lambda c: c.at)
        self._longest = timedelta(seconds=max((call.latency_s for call in calls), default=0)) + _SLACK
        self._by_trace: dict[str, list[_Call]] = {}
        for one in self._all:
            self._by_trace.setdefault(one.call.trace, []).append(one)

    def rest(self) -> Iterable[StartCall]:
        return (one.call for one in self._calls if one.number not in self._taken)

    def take(self, mark: Mark) -> StartCall | None:
        """The start call in whose span the line was printed; by trace where there is one."""
        if mark.trace:
            near = [
                *self._near(self._by_trace.get(mark.trace, []), mark.at, timed=False),
                *self._near(self._by_trace.get("", []), mark.at, timed=True),
            ]
        else:
            near = self._near(self._all, mark.at, timed=True)
        if not near:
            return None
        nearest = min(near, key=lambda c: (abs(c.at - mark.at), c.number))
        self._taken.add(nearest.number)
        return nearest.call

    def _near(self, calls: list[_Call], at: datetime, timed: bool) -> list[_Call]:
        """The last that began by then and the first that began later. `timed`: whose span holds the moment. What is taken or is over by
        then is let go: later lines are of later moments."""

        def gone(one: _Call) -> bool:
            return one.number in self._taken or (timed and one.ends < at)

        after = bisect_right(calls, at, key=lambda c: c.at)
        found: list[_Call] = []
        while not found and after:
            first = bisect_left(
                calls, calls[after - 1].at, key=lambda c: c.at
            )  # of those that began at the same moment
            while first < after and gone(calls[first]):
                del calls[first]
                after -= 1
            if first < after:
                found.append(calls[first])
        while after < len(calls) and calls[after].number in self._taken:
            del calls[after]
        later = calls[after : after + 1] if not timed else self._that_end_later(calls, after, at)
        return [*found, *later]

    def _that_end_later(self, calls: list[_Call], after: int, at: datetime) -> list[_Call]:
        """The first of those whose time is later and that had begun by then."""
        for number in range(after, len(calls)):
            one = calls[number]
            if one.at - self._longest > at:
                break
            if one.number not in self._taken and one.begins <= at:
                return [one]
        return []
