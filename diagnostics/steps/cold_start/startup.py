"""Does an instance start within the ack deadline?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import ReceiverCapacity, Series, Stage, Unseen
from diagnostics.readings.answers import RECENT, last_of, recent, tally
from diagnostics.readings.expired import EXPIRED, at_starts, peak, work
from diagnostics.readings.pace import LONGEST_BACKOFF_S
from diagnostics.steps.cold_start.seen import Seen
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import count


class Starts(Tells, frozen=True, kw_only=True):
    """How instances started since the batch began, in seconds; without any number: none had to."""

    startup_s: float | None = None
    """99th percentile of the slowest minute."""
    deadline_s: float | None = None
    """The subscription's ack deadline."""
    starts: float | None = None


class Slow(Tells, frozen=True, kw_only=True):
    """A start-up, in seconds, that outlasts the ack deadline, and the pushes that expired."""

    startup_s: float
    deadline_s: float
    starts: float
    expired: float
    """Pushes that ran into the deadline because of starts."""
    all_expired: float
    """All that ran into it."""


FINE = Telling("cold_start.fine", Stage.DELIVERED, "start-up fits into the ack deadline", tells=Starts)
TOO_SLOW = Telling(
    "cold_start.too_slow", Stage.DELIVERED, "start-up takes longer than the ack deadline", Kind.EFFECT, tells=Slow
)
COLD = Telling("cold_start.cold", Stage.DELIVERED, "requests met cold instances", tells=Starts)
_FIRST_START = timedelta(minutes=1)
"""An instance that starts for the batch may have begun in the sample before its first line."""


def in_time(seen: Seen, capacity: ReceiverCapacity, deadline_s: float) -> Iterator[Finding]:
    since = seen.since - _FIRST_START
    startup = peak(capacity.startup_p99, since)
    if startup is None:
        yield FINE.says(
            Status.OK,
            f"no instance of {seen.settings.name} had to start in the window",
            leg=seen.leg,
            subject=seen.service,
            rests_on=("ReceiverCapacity",),
            tells=Starts(),
        )
        return
    typical = _median(capacity.startup_p50, since)
    pending = peak(capacity.pending_p99, since)
    starts = sum(s.total(since) for s in capacity.startups)
    figures = f"{count(starts, 'start')}, start-up p99 {startup:.1f} s" + (
        f", queueing p99 {pending:.1f} s" if pending is not None else ""
    )
    if (typical or startup) > deadline_s:
        yield _too_slow(seen, capacity, deadline_s, figures, startup, starts)
    else:
        yield from _fast_enough(seen, figures, Starts(startup_s=startup, deadline_s=deadline_s, starts=starts))


def _fast_enough(seen: Seen, figures: str, tells: Starts) -> Iterator[Finding]:
    yield FINE.says(
        Status.OK,
        f"{figures}; the ack deadline is {tells.deadline_s:.0f} s",
        leg=seen.leg,
        subject=seen.service,
        rests_on=("ReceiverCapacity", "SubscriptionConfig"),
        tells=tells,
    )
    if tells.starts:
        yield COLD.says(
            Status.OK,
            f"{count(tells.starts, 'cold start')} since the batch began",
            leg=seen.leg,
            bears=Bears.SLOWS,
            subject=seen.service,
            tells=tells,
        )


def _too_slow(
    seen: Seen, capacity: ReceiverCapacity, deadline_s: float, figures: str, startup: float, starts: float
) -> Finding:
    """The start outlasts the deadline. Pushes that ran into it are its doing where starts can account for most of them, and programs
    do not take longer than the deadline themselves; once nothing runs into it any more, those that starts can account for."""
    late = at_starts(seen.pushes, capacity, deadline_s, seen.since - _FIRST_START, seen.settings.template.concurrency)
    took = work(seen.told, capacity, deadline_s)
    newest = None if isinstance(seen.pushes, Unseen) else last_of(seen.pushes.series, response_class=EXPIRED)
    past = newest is not None and not _goes_on(seen, newest, deadline_s)
    expired = late.count if (2 * late.count > late.all or past) and not took.most else 0.0
    current = bool(expired) and not past and late.until is not None and _goes_on(seen, late.until, deadline_s)
    holds = current and seen.least > 0 and not recent(seen.pushes).acks
    return TOO_SLOW.says(
        Status.FAULT if holds else Status.WARNING,
        f"{figures} against an ack deadline of {deadline_s:.0f} s; "
        + (
            f"{round(late.count)} of {count(late.all, 'push')} that ran into it may have met a start"
            if late.all
            else "no push ran into it"
        ),
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if expired else Bears.APART,
        held=min(seen.least, round(expired)) if holds else 0,
        since=late.since if expired else None,
        until=late.until if expired and not current else None,
        rests_on=("ReceiverCapacity", "SubscriptionConfig", "PushCounts"),
        subject=seen.service,
        tells=Slow(startup_s=startup, deadline_s=deadline_s, starts=starts, expired=expired, all_expired=late.all),
    )


def _goes_on(seen: Seen, until: datetime, deadline_s: float) -> bool:
    """Whether pushes still run into the deadline: they did lately, or since then none was answered and they wait for their next try."""
    if isinstance(seen.pushes, Unseen):
        return False
    if recent(seen.pushes).classes.get(EXPIRED):
        return seen.pushes.source.as_of - until <= RECENT
    patience = timedelta(seconds=deadline_s + LONGEST_BACKOFF_S)
    return seen.pushes.source.as_of - until <= patience and not tally(seen.pushes, until).all


def _median(series: tuple[Series, ...], since: datetime) -> float | None:
    values = sorted(p.value for s in series for p in s.within(since))
    return values[len(values) // 2] if values else None
