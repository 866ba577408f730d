"""Has Cloud Run room for the pushes: instances below their limit, and quota for them?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    By,
    Ended,
    Leg,
    LogRow,
    ReceiverCapacity,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.readings.answers import RECENT, goes_on, lately, recent, tally
from diagnostics.readings.owed import owed
from diagnostics.readings.pace import LEAST_ATTEMPTS
from diagnostics.steps.cold_start.seen import Seen
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.progress import patience_s
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, clock, count


class TurnedAway(Tells, frozen=True, kw_only=True):
    """Pushes that Cloud Run turned away for want of an instance."""

    turned_away: int
    recent: int
    """Of those in the last five minutes."""
    limit: int
    """Most instances that may run."""
    instances: float | None = None
    """Most that ran at once."""
    dead_lettered: int | None = None
    """Messages whose attempts were used up by it."""
    last: str | None = None
    """When the last one was, where none is recent."""


def at_the_maximum(told: TurnedAway) -> float:
    """Over 0: pushes are turned away now, or instances are known to have run when they were."""
    return 1 if told.recent or told.dead_lettered is None else told.instances or 0


SATURATED = Telling(
    "cold_start.saturated",
    Stage.DELIVERED,
    "all instances are busy and Cloud Run turns pushes away",
    Kind.EFFECT,
    tells=TurnedAway,
)
DRAINED = Telling(
    "cold_start.drained", Stage.DELIVERED, "Cloud Run turned pushes away earlier and takes them now", tells=TurnedAway
)
CANNOT_SCALE = Telling(
    "cold_start.cannot_scale",
    Stage.DELIVERED,
    "Cloud Run could not start instances fast enough",
    Kind.EFFECT,
    tells=TurnedAway,
)
QUOTA = Telling(
    "cold_start.quota",
    Stage.DELIVERED,
    "a quota of the project keeps Cloud Run from starting instances",
    Kind.EFFECT,
    tells=TurnedAway,
)
_WHILE_AT_WORK = (Ended.BROKEN, Ended.MEMORY, Ended.TIMED_OUT)
_SENTENCE = "no available instance"
"""How Cloud Run says it in its log."""


def for_want_of_instances(seen: Seen, subscription: SubscriptionConfig | Unseen) -> Iterator[Finding]:
    """Turned away now: it holds the batch if nothing gets through, and slows it if something does. Turned away earlier: over,
    unless those very refusals used up the attempts of messages that are now dead letters, and the maximum is still what it was.
    """
    away = seen.told.of(By.CLOUD_RUN, ended=(Ended.NO_INSTANCE,))
    if not away:
        return
    full = [r for r in away if r.status != 500]
    burnt = _burnt(seen, away)
    through = bool(recent(seen.pushes).acks) or _moves(seen, subscription)
    others = _others(seen, subscription, away)
    meets = goes_on(away, seen.told, seen.pushes, seen.now, RECENT) or (through and _stays_full(seen, full))
    now = owed(seen.ledger, seen.leg) != (0, 0) and meets
    if full and burnt and not (_has_room(seen) and not lately(full, seen.now)):
        yield _used_up(seen, away, full, burnt)
    elif not now:
        yield _drained(seen, away, through)
    elif lately(full, seen.now):
        yield _saturated(seen, full, others, _run_out(seen, full, subscription))
    else:
        yield _cannot_scale(seen, [r for r in away if r.status == 500], others)


def _stays_full(seen: Seen, full: Sequence[LogRow]) -> bool:
    """Whether it turned pushes away of late, ran at its maximum, and more is owed than it has places: what was turned away rests until
    its next try, longer each time, and a silence in between is no end of it. Asked where some get through: else something else may be
    in the way now."""
    busy, most = _busy(seen), limit(seen.settings)
    places = most * seen.settings.template.concurrency
    return bool(lately(full, seen.now)) and busy is not None and busy >= most and seen.least > places


def _lets_in(seen: Seen, away: Sequence[LogRow]) -> bool:
    """Whether of late more pushes reached a container than were turned away: what comes of these is another matter."""
    reached = [r for r in seen.told.rows if r.by is By.APPLICATION or r.ended in _WHILE_AT_WORK]
    return len(lately(reached, seen.now)) > len(lately(away, seen.now))


def out_of_quota(seen: Seen, subscription: SubscriptionConfig | Unseen) -> Iterator[Finding]:
    """Turned away because the project has no more CPU, memory or GPU of Cloud Run in the region, whoever in it uses them."""
    away = seen.told.of(By.CLOUD_RUN, ended=(Ended.QUOTA,))
    if not away:
        return
    fresh = lately(away, seen.now)
    live = bool(fresh) and owed(seen.ledger, seen.leg) != (0, 0)
    flowing = bool(_others(seen, subscription, away))
    which = _QUOTA.search(away[-1].text)
    when = "in the last 5 min" if live else f"until {clock(away[-1].at, seen.now)}"
    holds = live and not flowing and bool(seen.least)
    yield QUOTA.says(
        (Status.WARNING if flowing else Status.FAULT) if live else Status.OK,
        f"{at_least(seen.told.whole, count(len(fresh if live else away), 'push'))} turned away with {away[-1].status} {when}: the "
        f"project's quota {which[0] if which else 'of Cloud Run'} in {seen.settings.region} is used up",
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS,
        held=min(seen.least, len(fresh)) if holds else 0,
        since=seen.told.begin(away),
        until=None if live else away[-1].at,
        rests_on=("RequestLog",),
        subject=seen.service,
        tells=_tells(seen, away),
    )


_QUOTA = re.compile(r"run\.googleapis\.com/[a-z0-9_]+")


def _burnt(seen: Seen, away: Sequence[LogRow]) -> int:
    """Dead letters of the batch whose attempts these refusals used up; none where other refusals may have. Those on which a program
    failed at half of their attempts, by their own lines, are not of them."""
    dead = seen.ledger.dead(seen.leg)
    if 2 * len(away) <= len(seen.told.rows):
        return 0
    half = (dead.attempts or LEAST_ATTEMPTS) / 2
    lettered = (x for x in seen.ledger.lives if x.dead_lettered)
    own = sum(1 for x in lettered if (x.failures if seen.leg is Leg.REQUEST else x.unrecorded) >= half)
    return max(dead.ours - own, 0)


def _has_room(seen: Seen) -> bool:
    """Whether never half as many instances ran as may now: what turned pushes away is another limit than that of today, and was lifted."""
    busy = _busy(seen)
    return busy is not None and 2 * busy < limit(seen.settings)


def _tells(seen: Seen, away: Sequence[LogRow], burnt: int | None = None) -> TurnedAway:
    recently = len(lately(away, seen.now))
    return TurnedAway(
        turned_away=len(away),
        recent=recently,
        last=None if recently else clock(away[-1].at, seen.now),
        limit=limit(seen.settings),
        instances=_busy(seen) or None,
        dead_lettered=burnt,
    )


def _busy(seen: Seen) -> float | None:
    """The most instances that ran; None where that was not seen, or was before the service's maximum was lowered below it."""
    most = None if isinstance(seen.capacity, Unseen) else _instances(seen.capacity, seen.since)
    return None if most is None or most > limit(seen.settings) else most


def _running(seen: Seen) -> str:
    busy, most = _busy(seen), limit(seen.settings)
    return f"{busy:.0f} of at most {most} instances ran" if busy else f"at most {most} instances may run"


def _used_up(seen: Seen, away: Sequence[LogRow], full: Sequence[LogRow], burnt: int) -> Finding:
    return SATURATED.says(
        Status.FAULT,
        f"{at_least(seen.told.whole, count(len(away), 'push'))} turned away with 429 “{_SENTENCE}”, the last at "
        f"{clock(away[-1].at, seen.now)}; {_running(seen)}; "
        f"each refusal is an attempt, and {count(burnt, 'message')} went to the dead-letter topic",
        leg=seen.leg,
        bears=Bears.HOLDS,
        held=burnt,
        since=seen.told.begin(full),
        rests_on=("RequestLog", "DeadLetterCounts", "ReceiverCapacity", "ServiceConfig"),
        subject=seen.service,
        tells=_tells(seen, away, burnt),
    )


def _drained(seen: Seen, away: Sequence[LogRow], moves: bool) -> Finding:
    """Over. Whether it used up the attempts of some of the batch's messages is open where dead letters may be of this batch, and of one
    that is not seen; whether messages went through in the end, where none is seen to."""
    through = moves or owed(seen.ledger, seen.leg) == (0, 0) or tally(seen.pushes, away[-1].at).acks > 0
    may_be_dead = seen.ledger.dead(seen.leg).most > 0 or not seen.ledger.told
    burnt = 2 * len(away) > len(seen.told.rows) and may_be_dead
    unknown = (
        "they used up the attempts of items of this batch" if burnt else "" if through else "those messages got through"
    )
    return DRAINED.says(
        Status.UNKNOWN if unknown else Status.OK,
        f"{at_least(seen.told.whole, count(len(away), 'push'))} turned away with “{_SENTENCE}” until "
        f"{clock(away[-1].at, seen.now)}; {'acked since' if through else 'none acked since'}"
        + (f"; nothing tells whether {unknown}" if unknown else ""),
        leg=seen.leg,
        bears=Bears.SLOWS,
        since=seen.told.begin(away),
        until=away[-1].at,
        rests_on=("RequestLog",),
        subject=seen.service,
        tells=_tells(seen, away),
    )


def _run_out(seen: Seen, full: Sequence[LogRow], subscription: SubscriptionConfig | Unseen) -> int:
    """Attempts that a message has, where so many pushes are turned away for one that gets through that most messages run out of them;
    0 where they do not, or where nothing was dead-lettered yet."""
    settings = None if isinstance(subscription, Unseen) else subscription.settings
    if settings is None or settings.dead_letter is None or not seen.ledger.dead(seen.leg).messages:
        return 0
    attempts = settings.dead_letter.max_attempts
    more = len(lately(full, seen.now)) > attempts * recent(seen.pushes).acks
    return attempts if more and not _lets_in(seen, full) else 0


def _saturated(seen: Seen, full: Sequence[LogRow], others: str, run_out: int) -> Finding:
    """`others`: what becomes of other pushes meanwhile; nothing: they fare no better."""
    through = bool(others) and not run_out
    rest = f"each refusal is one of {run_out} attempts, and few get through before" if run_out else others
    return SATURATED.says(
        Status.WARNING if through else Status.FAULT,
        f"{at_least(seen.told.whole, count(len(lately(full, seen.now)), 'push'))} turned away with 429 “{_SENTENCE}” in the last 5 min; "
        + _running(seen)
        + (f"; {rest}" if others else ""),
        leg=seen.leg,
        bears=Bears.SLOWS if through or not seen.least else Bears.HOLDS,
        held=0 if through else seen.least,
        since=seen.told.begin(full),
        rests_on=("RequestLog", "ReceiverCapacity", "ServiceConfig"),
        subject=seen.service,
        tells=_tells(seen, full),
    )


def _cannot_scale(seen: Seen, slow: Sequence[LogRow], others: str) -> Finding:
    fresh = lately(slow, seen.now)
    return CANNOT_SCALE.says(
        Status.WARNING if others else Status.FAULT,
        f"{at_least(seen.told.whole, count(len(fresh), 'push'))} turned away with 500 “{_SENTENCE}” in the "
        f"last 5 min although below {limit(seen.settings)} instances" + (f"; {others}" if others else ""),
        leg=seen.leg,
        bears=Bears.SLOWS if others or not seen.least else Bears.HOLDS,
        held=0 if others else min(seen.least, len(fresh)),
        since=seen.told.begin(slow),
        rests_on=("RequestLog",),
        subject=seen.service,
        tells=_tells(seen, slow),
    )


def _moves(seen: Seen, subscription: SubscriptionConfig | Unseen) -> bool:
    """Whether an item of the batch came back within the time that one may take."""
    newest = seen.ledger.last_progress if seen.ledger.done else None
    return newest is not None and (seen.now - newest).total_seconds() <= patience_s(subscription, seen.capacity)


def _at_work(seen: Seen, subscription: SubscriptionConfig | Unseen) -> bool:
    """Whether a container has an item of the batch at work, at its first try and for no longer than its push may take: early in a batch
    of long work none can have come back yet."""
    settings = None if isinstance(subscription, Unseen) else subscription.settings
    if settings is None or seen.leg is not Leg.REQUEST:
        return False
    may_last = timedelta(seconds=settings.ack_deadline_s)
    return any(
        x.stage is Stage.DELIVERED
        and not (x.tried_before or x.dead_lettered)
        and x.last
        and seen.now - x.last <= may_last
        for x in seen.ledger.lives
    )


def _others(seen: Seen, subscription: SubscriptionConfig | Unseen, away: Sequence[LogRow]) -> str:
    """What becomes of other pushes while some are turned away; empty where they fare no better, as far as was seen."""
    if recent(seen.pushes).acks or _moves(seen, subscription):
        return "others get through"
    if _at_work(seen, subscription):
        return "others are at work"
    return "more reach a container" if _lets_in(seen, away) else ""


def limit(settings: ServiceSettings) -> int:
    limits = [settings.template.max_instances] + ([settings.max_instances] if settings.max_instances else [])
    return min(limits)


def _instances(capacity: ReceiverCapacity, since: datetime) -> float | None:
    """Most instances at once, active and idle together, as far as per-state peaks tell."""
    peaks = [p for s in capacity.instances if (p := s.peak(since)) is not None]
    return max(peaks, default=None)
