"""Start attempts: the batch-level marker lines and start calls of a look-back, sorted into the attempts they belong to.

A line that names its batch belongs to it. One that does not is joined by the request's trace; failing that, by the instance
that printed it, if only one start was under way there. What fits two attempts is left out: a wrong count is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
    """When it began, as the caller says it: no line and no call tells."""

    def first(self, *means: Means) -> Mark | None:
        return next((m for m in self.marks if m.means in means), None)

    def last(self, *means: Means) -> Mark | None:
        return next((m for m in reversed(self.marks) if m.means in means), None)

    @property
    def seen(self) -> bool:
        """False for a batch that is known by its id alone: no line, no call and no caller tells when it began."""
        return bool(self.marks or self.call or self.begun)

    @property
    def told(self) -> bool:
        """Whether a line tells of it, or a start call that failed: then what became of it is known."""
        return bool(self.marks) or (self.call is not None and self.call.status >= 400 and self.call.status != 504)

    @property
    def started(self) -> datetime:
        """When the attempt began, by its first line or call, else by the caller. Raises ValueError unless it was `seen`."""
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
        return next((m.correlation for m in self.marks if m.correlation), "")

    @property
    def date(self) -> str:
        return next((m.date for m in self.marks if m.date), "")

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


def attempts(marks: Iterable[Mark], calls: Sequence[StartCall]) -> list[Attempt]:
    """All start attempts, oldest first."""
    found: list[Attempt] = []
    spare = list(calls)
    for mark in sorted(marks, key=lambda m: (m.at, m.means is not Means.RECEIVED)):
        home = _home(mark, found)
        if home is None:
            if mark.means is not Means.RECEIVED and not mark.batch:
                continue
            home = Attempt()
            found.append(home)
        home.marks.append(mark)
        home.batch = home.batch or mark.batch
        if mark.means in (Means.RECEIVED, Means.CREATED) and home.call is None:
            home.call = _take(spare, mark)
    found += [Attempt(call=call) for call in spare]
    return sorted(found, key=lambda a: a.started)


def _home(mark: Mark, found: Sequence[Attempt]) -> Attempt | None:
    if mark.batch:
        named = next((a for a in reversed(found) if a.batch == mark.batch), None)
        if named:
            return named
    if mark.means is Means.RECEIVED:
        return None
    unnamed = [a for a in found if not (mark.batch and a.batch)]
    open_ones = [a for a in unnamed if a.under_way(mark.at)] or [a for a in unnamed if a.lingers(mark.at)]
    if mark.trace:
        open_ones = [a for a in unnamed if a.trace == mark.trace]
    elif mark.instance:
        open_ones = [a for a in open_ones if a.instance in ("", mark.instance)]
    if len(open_ones) > 1 and mark.date:
        open_ones = [a for a in open_ones if a.date == mark.date]
    return open_ones[0] if len(open_ones) == 1 else None


def _take(spare: list[StartCall], mark: Mark) -> StartCall | None:
    """The start call in whose span the line was printed; by trace where there is one."""

    def fits(call: StartCall) -> bool:
        if mark.trace and call.trace:
            return mark.trace == call.trace
        return call.at - _SLACK <= mark.at <= call.at + timedelta(seconds=call.latency_s) + _SLACK

    fitting = [c for c in spare if fits(c)]
    if not fitting:
        return None
    nearest = min(fitting, key=lambda c: abs(c.at - mark.at))
    spare.remove(nearest)
    return nearest
