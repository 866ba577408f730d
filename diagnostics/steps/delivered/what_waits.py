"""Is what waits older than the batch, is it pushed, and does it get through?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import Backlog, BacklogHistory, DeliveryHealth, Leg, PushHistory, Stage, Unseen
from diagnostics.readings.answers import RECENT, tally
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.pace import LONGEST_DEADLINE_S
from diagnostics.steps.delivered.seen import SAMPLES, Seen, onset, unacked
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, count, span


class OldBacklog(Tells, frozen=True, kw_only=True):
    unacked: float
    age_s: float
    """Age of the oldest unacked message."""


class HeldBack(Tells, frozen=True, kw_only=True):
    """Pushes a minute of the last five, and messages that wait."""

    nacks_per_min: float
    acks_per_min: float
    unacked: float


class AtWork(Tells, frozen=True, kw_only=True):
    in_flight: float
    """Messages that are with the receiver."""


class Redelivered(Tells, frozen=True, kw_only=True):
    """Pushes since the oldest message came, and messages that wait."""

    failed: float
    unacked: float
    times: float
    """How often each of those that wait failed, on average."""
    acked: float
    """Pushes that were acked meanwhile."""


class Health(Tells, frozen=True, kw_only=True):
    criteria: str
    """Of the metric delivery_latency_health_score: the one that is bad."""


OLD_BACKLOG = Telling(
    "delivered.old_backlog",
    Stage.DELIVERED,
    "the oldest unacked message is older than the batch",
    Kind.CONSEQUENCE,
    tells=OldBacklog,
)
HELD_BACK = Telling(
    "delivered.held_back",
    Stage.DELIVERED,
    "failing messages slow the subscription and others wait behind them",
    Kind.CONSEQUENCE,
    tells=HeldBack,
)
NO_PUSHES = Code("delivered.no_pushes", Stage.DELIVERED, "messages wait and nothing is pushed", Kind.CONSEQUENCE)
AT_WORK = Telling("delivered.at_work", Stage.DELIVERED, "what is unacked is with the receiver", tells=AtWork)
REDELIVERED = Telling(
    "delivered.redelivered",
    Stage.DELIVERED,
    "the waiting messages have each failed more than once on average",
    Kind.CONSEQUENCE,
    tells=Redelivered,
)
HEALTH = Telling(
    "delivered.health", Stage.DELIVERED, "Google's delivery latency health is bad", Kind.CONSEQUENCE, tells=Health
)
_HOUR = timedelta(hours=1)
"""The length of a point of the history."""
_SETTLED = timedelta(minutes=3)
"""After so long a push would be counted: sampled within a minute, visible within two (push_request_count)."""
_AGAIN = 2
"""Failed so often on average, most of them failed more than once."""


def waits(
    leg: Leg,
    ledger: Ledger,
    seen: Seen | None,
    backlog: Backlog,
    history: BacklogHistory | Unseen,
    pushed: PushHistory | Unseen,
    now: datetime,
    about: Subject | None,
) -> Iterator[Finding]:
    waits = unacked(backlog)
    refused = ledger.attempt is not None and ledger.attempt.turned_away
    if not waits or refused:  # what waits while a start was refused belongs to the batch that is in its way
        return
    newest = max((s.last for s in backlog.oldest_age_s if s.last), key=lambda p: p.value, default=None)
    age = newest.value if newest else 0.0
    born = (newest.end if newest else backlog.source.as_of) - timedelta(seconds=age)
    begin = ledger.started
    untold = "" if begin else ledger.untold
    if born < begin - SAMPLES if begin else age > LONGEST_DEADLINE_S:
        yield OLD_BACKLOG.says(
            Status.UNKNOWN if untold else Status.WARNING,
            f"{count(waits, 'message')} unacked, the oldest since {clock(born, now)} ({span(age)})"
            + (", before this batch began" if begin else "")
            + (f"; whether a batch had begun before could not be seen: {untold}" if untold else ""),
            leg=leg,
            since=_grew(history, born),
            rests_on=("Backlog",),
            subject=about,
            tells=OldBacklog(unacked=waits, age_s=age),
        )
    if seen is None:
        return
    yield from _redelivered(seen, pushed, waits, born)
    since = max(begin, born) if begin else born
    if seen.pushes.source.as_of - since > _SETTLED:
        yield from _moves(seen, waits, since, _in_flight(backlog))


def _moves(seen: Seen, waits: float, since: datetime, in_flight: float) -> Iterator[Finding]:
    """Whether what waits is pushed, and gets through."""
    least, most = seen.owes
    if not tally(seen.pushes, since).all:
        yield from _still(seen, waits, since, in_flight)
        return
    lately = seen.recent
    if not lately.acks and seen.through_since:
        return
    if lately.nacks > lately.acks and (least or (most is None and seen.ledger.started)):
        minutes = RECENT.total_seconds() / 60
        yield HELD_BACK.says(
            Status.FAULT,
            f"{count(waits, 'message')} wait; {lately.nacks / minutes:.1f} pushes a minute fail and "
            f"{lately.acks / minutes:.1f} succeed: push backoff holds back the whole subscription",
            leg=seen.leg,
            bears=Bears.HOLDS,
            held=least,
            since=onset(seen),
            rests_on=("PushCounts", "Backlog"),
            subject=seen.subscription,
            tells=HeldBack(
                nacks_per_min=lately.nacks / minutes,
                acks_per_min=lately.acks / minutes,
                unacked=waits,
            ),
        )


def _still(seen: Seen, waits: float, since: datetime, in_flight: float) -> Iterator[Finding]:
    """No push was answered. Those that the receiver still works on are no silence."""
    least, most = seen.owes
    if in_flight >= waits:
        yield AT_WORK.says(
            Status.OK,
            f"{count(in_flight, 'message')} are with the receiver, and none is answered yet",
            leg=seen.leg,
            rests_on=("PushCounts", "Backlog"),
            subject=seen.subscription,
            tells=AtWork(in_flight=in_flight),
        )
        return
    yield NO_PUSHES.says(
        Status.FAULT,
        f"{count(waits, 'message')} wait and nothing was pushed since {clock(since, seen.now)}",
        leg=seen.leg,
        bears=Bears.HOLDS if least or most is None or most else Bears.APART,
        held=least,
        since=since,
        subject=seen.subscription,
        rests_on=("PushCounts", "Backlog"),
    )


def _redelivered(seen: Seen, pushed: PushHistory | Unseen, waits: float, born: datetime) -> Iterator[Finding]:
    """More failed pushes since the oldest message came than there are messages, while others were acked: by arithmetic, these fail
    again and again. Where nothing was acked meanwhile, it tells nothing about the messages."""
    if isinstance(pushed, Unseen):
        return
    since = tally(pushed, born - _HOUR)
    meanwhile = tally(pushed, born + _HOUR)  # the hour in which it came holds what was acked before
    older = max(waits - seen.least, 0)
    if older < 1 or since.nacks < _AGAIN * waits or seen.now - born < _HOUR or not meanwhile.acks:
        return
    yield REDELIVERED.says(
        Status.WARNING,
        f"{count(since.nacks, 'push')} failed since {clock(born, seen.now)} and {count(waits, 'message')} wait: "
        f"each has failed {since.nacks / waits:.0f} times on average, while {count(meanwhile.acks, 'other')} were acked",
        leg=seen.leg,
        since=born,
        subject=seen.subscription,
        rests_on=("PushHistory", "Backlog"),
        tells=Redelivered(
            failed=since.nacks,
            unacked=waits,
            times=since.nacks / waits,
            acked=meanwhile.acks,
        ),
    )


def latency_health(
    leg: Leg, health: DeliveryHealth, backlog: Backlog | Unseen, about: Subject | None
) -> Iterator[Finding]:
    """Bad for most of the last ten minutes is a warning; a fault only while the oldest message gets older. The score looks back:
    where nothing waits any more it speaks of what is over."""
    since = health.source.as_of - timedelta(minutes=10)
    for one in health.series:
        points = list(one.within(since))
        bad = sum(1 for p in points if p.value < 0.5)
        criteria = one.labels.get("criteria", "?")
        if criteria in ("nack_requests", "seek_requests") or bad < 0.8 * len(points) or not bad:
            continue
        growing = _growing(backlog, since)
        gone = unacked(backlog) == 0
        yield HEALTH.says(
            Status.FAULT if growing else Status.OK if gone else Status.WARNING,
            f"delivery latency health: {criteria} bad for {bad} of the last {len(points)} min"
            + (" and the oldest message gets older" if growing else "; nothing waits any more" if gone else ""),
            leg=leg,
            since=points[0].start,
            rests_on=("DeliveryHealth", "Backlog"),
            subject=about,
            tells=Health(criteria=criteria),
        )


def _in_flight(backlog: Backlog) -> float:
    """Messages that are with the receiver and not answered yet, by the newest sample."""
    return max((s.last.value for s in backlog.outstanding if s.last), default=0.0)


def _growing(backlog: Backlog | Unseen, since: datetime) -> bool:
    if isinstance(backlog, Unseen):
        return False
    for one in backlog.oldest_age_s:
        points = list(one.within(since))
        if len(points) > 2:
            passed = (points[-1].end - points[0].end).total_seconds()
            if points[-1].value - points[0].value > passed / 2:  # the same message is the oldest for most of that time
                return True
    return False


def _grew(history: BacklogHistory | Unseen, born: datetime) -> datetime:
    """When the oldest message was published: the first hour whose age shows it, else by its age today."""
    if isinstance(history, Unseen):
        return born
    starts = [p.end - timedelta(seconds=p.value) for s in history.oldest_age_s for p in s.points if p.value > 3600]
    return min([*starts, born])
