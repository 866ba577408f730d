"""Is the service there in time: start-up and queueing against the ack deadline, instances against their limit?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    By,
    Ended,
    Leg,
    LiveStart,
    LogRow,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    Series,
    ServiceConfig,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.readings.answers import RECENT, Answers, answers, goes_on, last_of, lately, recent, tally
from diagnostics.readings.expired import EXPIRED, at_starts, peak, work
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import owed
from diagnostics.readings.pace import LONGEST_BACKOFF_S
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.progress import patience_s
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import at_least, clock, count, latency


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


FINE = Telling("cold_start.fine", Stage.DELIVERED, "start-up fits into the ack deadline", tells=Starts)
TOO_SLOW = Telling(
    "cold_start.too_slow", Stage.DELIVERED, "start-up takes longer than the ack deadline", Kind.EFFECT, tells=Slow
)
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
SWITCHED_OFF = Code("cold_start.switched_off", Stage.DELIVERED, "the service is scaled to zero by hand", Kind.MECHANISM)
COLD = Telling("cold_start.cold", Stage.DELIVERED, "requests met cold instances", tells=Starts)
UNSEEN = Telling("cold_start.unseen", Stage.DELIVERED, "start-up could not be seen", tells=Hidden)
LIVE = Code("cold_start.live", Stage.DELIVERED, "a live first call")

_SENTENCE = "no available instance"
"""How Cloud Run says it in its log."""
_FIRST_START = timedelta(minutes=1)
"""An instance that starts for the batch may have begun in the sample before its first line."""


@dataclass(frozen=True)
class _Seen:
    """One leg, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    now: datetime
    settings: ServiceSettings
    pushes: PushCounts | Unseen
    capacity: ReceiverCapacity | Unseen
    told: Answers
    """Pushes in the request log since the batch began; without a batch, of the last hour."""

    @property
    def least(self) -> int:
        """Items of the batch that the leg still owes."""
        return owed(self.ledger, self.leg)[0]

    @property
    def since(self) -> datetime:
        return self.told.since

    @property
    def service(self) -> Subject | None:
        return subjects.service(self.settings.name)


def cold_start(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    service: ServiceConfig,
    subscription: SubscriptionConfig | Unseen,
    capacity: ReceiverCapacity | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    live: LiveStart | Unseen,
) -> Iterator[Finding]:
    """Reads start-up, pending latency, instances and limits; the log says whom Cloud Run itself turned away, and when."""
    settings = service.settings
    if settings is None:
        return
    told = answers(log, ledger.started or now - timedelta(hours=1))
    seen = _Seen(leg, ledger, now, settings, pushes, capacity, told)
    if settings.manual_instances == 0:
        yield _switched_off(seen)  # what is turned away then is not too much for the instances: there are to be none
    else:
        yield from _turned_away(seen, subscription)
    yield from _out_of_quota(seen, subscription)
    if isinstance(capacity, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"start-up and instances could not be seen: {capacity.says}",
            leg=leg,
            subject=seen.service,
            tells=Hidden.of(capacity),
        )
    elif not isinstance(subscription, Unseen) and subscription.settings is not None:
        yield from _startup(seen, capacity, subscription.settings.ack_deadline_s)
    if not isinstance(live, Unseen) and live.calls:
        yield _live(seen, live)


def _switched_off(seen: _Seen) -> Finding:
    return SWITCHED_OFF.says(
        Status.FAULT,
        f"{seen.settings.name} is in manual scaling with 0 instances",
        leg=seen.leg,
        bears=Bears.HOLDS if seen.least else Bears.APART,
        held=seen.least,
        subject=seen.service,
        rests_on=("ServiceConfig",),
    )


def _live(seen: _Seen, live: LiveStart) -> Finding:
    """What the calls from here tell. One that did not get in may have started nothing, and its time says nothing of a start."""
    first, *rest = live.calls
    got_in = 200 <= first.status < 400
    warm = f", then {latency(rest[-1].latency_s)}" if rest else ""
    without = f" without a token ({live.minting})" if live.minting else ""
    answer = f"answered {first.status}" if first.status else "was not answered"
    return LIVE.says(
        Status.OK if got_in else Status.UNKNOWN,
        f"live first call {latency(first.latency_s)} ({first.status}){warm}"
        if got_in
        else f"live first call{without} {answer}, so that what a start takes from here is not known",
        leg=seen.leg,
        subject=seen.service,
        rests_on=("LiveStart",),
    )


def _startup(seen: _Seen, capacity: ReceiverCapacity, deadline_s: float) -> Iterator[Finding]:
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
    tells = Starts(startup_s=startup, deadline_s=deadline_s, starts=starts)
    if (typical or startup) > deadline_s:
        yield _too_slow(seen, capacity, deadline_s, figures, startup, starts)
        return
    yield FINE.says(
        Status.OK,
        f"{figures}, of an ack deadline of {deadline_s:.0f} s",
        leg=seen.leg,
        subject=seen.service,
        rests_on=("ReceiverCapacity", "SubscriptionConfig"),
        tells=tells,
    )
    if starts:
        yield COLD.says(
            Status.OK,
            f"{count(starts, 'cold start')} since the batch began",
            leg=seen.leg,
            bears=Bears.SLOWS,
            subject=seen.service,
            tells=tells,
        )


def _too_slow(
    seen: _Seen, capacity: ReceiverCapacity, deadline_s: float, figures: str, startup: float, starts: float
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
            f"{round(late.count)} of {count(late.all, 'push')} that ran into it can have met a start"
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


def _goes_on(seen: _Seen, until: datetime, deadline_s: float) -> bool:
    """Whether pushes still run into the deadline: they did lately, or since then none was answered and they wait for their next try."""
    if isinstance(seen.pushes, Unseen):
        return False
    if recent(seen.pushes).classes.get(EXPIRED):
        return seen.pushes.source.as_of - until <= RECENT
    patience = timedelta(seconds=deadline_s + LONGEST_BACKOFF_S)
    return seen.pushes.source.as_of - until <= patience and not tally(seen.pushes, until).all


def _turned_away(seen: _Seen, subscription: SubscriptionConfig | Unseen) -> Iterator[Finding]:
    """Turned away now: it holds the batch if nothing gets through, and slows it if something does. Turned away earlier: over,
    unless those very refusals used up the attempts of messages that are now dead letters.
    """
    away = seen.told.of(By.CLOUD_RUN, ended=(Ended.NO_INSTANCE,))
    if not away:
        return
    full = [r for r in away if r.status != 500]
    burnt = _burnt(seen, away)
    flowing = bool(recent(seen.pushes).acks) or _moves(seen, subscription)
    now = owed(seen.ledger, seen.leg) != (0, 0) and goes_on(away, seen.told, seen.pushes, seen.now, RECENT)
    if full and burnt:
        yield _used_up(seen, away, full, burnt)
    elif not now:
        yield _drained(seen, away, flowing)
    elif lately(full, seen.now):
        yield _saturated(seen, full, flowing, _run_out(seen, full, subscription))
    else:
        yield _cannot_scale(seen, [r for r in away if r.status == 500], flowing)


def _out_of_quota(seen: _Seen, subscription: SubscriptionConfig | Unseen) -> Iterator[Finding]:
    """Turned away because the project has no more CPU, memory or GPU of Cloud Run in the region, whoever in it uses them."""
    away = seen.told.of(By.CLOUD_RUN, ended=(Ended.QUOTA,))
    if not away:
        return
    fresh = lately(away, seen.now)
    live = bool(fresh) and owed(seen.ledger, seen.leg) != (0, 0)
    flowing = bool(recent(seen.pushes).acks) or _moves(seen, subscription)
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


def _burnt(seen: _Seen, away: Sequence[LogRow]) -> int:
    """Dead letters of the batch whose attempts these refusals used up; none where other refusals may have."""
    return seen.ledger.dead(seen.leg).ours if 2 * len(away) > len(seen.told.rows) else 0


def _tells(seen: _Seen, away: Sequence[LogRow], burnt: int | None = None) -> TurnedAway:
    return TurnedAway(
        turned_away=len(away),
        recent=len(lately(away, seen.now)),
        limit=_limit(seen.settings),
        instances=_busy(seen) or None,
        dead_lettered=burnt,
    )


def _busy(seen: _Seen) -> float | None:
    """The most instances that ran; None where that was not seen, or was before the service's maximum was lowered below it."""
    most = None if isinstance(seen.capacity, Unseen) else _instances(seen.capacity, seen.since)
    return None if most is None or most > _limit(seen.settings) else most


def _running(seen: _Seen) -> str:
    busy, limit = _busy(seen), _limit(seen.settings)
    return f"{busy:.0f} of at most {limit} instances ran" if busy else f"at most {limit} instances may run"


def _used_up(seen: _Seen, away: Sequence[LogRow], full: Sequence[LogRow], burnt: int) -> Finding:
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


def _drained(seen: _Seen, away: Sequence[LogRow], flowing: bool) -> Finding:
    """Over. Whether it used up the attempts of some of the batch's messages is open where dead letters may be of this batch."""
    through = "acked since" if flowing or owed(seen.ledger, seen.leg) == (0, 0) else "none since"
    open_ = 2 * len(away) > len(seen.told.rows) and seen.ledger.dead(seen.leg).most > 0
    return DRAINED.says(
        Status.UNKNOWN if open_ else Status.OK,
        f"{at_least(seen.told.whole, count(len(away), 'push'))} turned away with “{_SENTENCE}” until "
        f"{clock(away[-1].at, seen.now)}; {through}"
        + ("; whether they used up the attempts of items of this batch nothing tells" if open_ else ""),
        leg=seen.leg,
        bears=Bears.SLOWS,
        since=seen.told.begin(away),
        until=away[-1].at,
        rests_on=("RequestLog",),
        subject=seen.service,
        tells=_tells(seen, away),
    )


def _run_out(seen: _Seen, full: Sequence[LogRow], subscription: SubscriptionConfig | Unseen) -> int:
    """Attempts that a message has, where so many pushes are turned away for one that gets through that most messages run out of them;
    0 where they do not, or where nothing was dead-lettered yet."""
    settings = None if isinstance(subscription, Unseen) else subscription.settings
    if settings is None or settings.dead_letter is None or not seen.ledger.dead(seen.leg).messages:
        return 0
    attempts = settings.dead_letter.max_attempts
    return attempts if len(lately(full, seen.now)) > attempts * recent(seen.pushes).acks else 0


def _saturated(seen: _Seen, full: Sequence[LogRow], flowing: bool, run_out: int) -> Finding:
    through = flowing and not run_out
    rest = (
        f"; each refusal is one of {run_out} attempts, and few get through before"
        if run_out
        else "; others get through"
    )
    return SATURATED.says(
        Status.WARNING if through else Status.FAULT,
        f"{at_least(seen.told.whole, count(len(lately(full, seen.now)), 'push'))} turned away with 429 “{_SENTENCE}” in the last 5 min; "
        + _running(seen)
        + (rest if flowing else ""),
        leg=seen.leg,
        bears=Bears.SLOWS if through or not seen.least else Bears.HOLDS,
        held=0 if through else seen.least,
        since=seen.told.begin(full),
        rests_on=("RequestLog", "ReceiverCapacity", "ServiceConfig"),
        subject=seen.service,
        tells=_tells(seen, full),
    )


def _cannot_scale(seen: _Seen, slow: Sequence[LogRow], flowing: bool) -> Finding:
    fresh = lately(slow, seen.now)
    return CANNOT_SCALE.says(
        Status.WARNING if flowing else Status.FAULT,
        f"{at_least(seen.told.whole, count(len(fresh), 'push'))} turned away with 500 “{_SENTENCE}” in the "
        f"last 5 min although below {_limit(seen.settings)} instances" + ("; others get through" if flowing else ""),
        leg=seen.leg,
        bears=Bears.SLOWS if flowing or not seen.least else Bears.HOLDS,
        held=0 if flowing else min(seen.least, len(fresh)),
        since=seen.told.begin(slow),
        rests_on=("RequestLog",),
        subject=seen.service,
        tells=_tells(seen, slow),
    )


def _moves(seen: _Seen, subscription: SubscriptionConfig | Unseen) -> bool:
    """Whether an item of the batch came back within the time that one may take."""
    newest = seen.ledger.last_progress if seen.ledger.done else None
    return newest is not None and (seen.now - newest).total_seconds() <= patience_s(subscription, seen.capacity)


def _limit(settings: ServiceSettings) -> int:
    limits = [settings.template.max_instances] + ([settings.max_instances] if settings.max_instances else [])
    return min(limits)


def _instances(capacity: ReceiverCapacity, since: datetime) -> float | None:
    """Most instances at once, active and idle together, as far as per-state peaks tell."""
    peaks = [p for s in capacity.instances if (p := s.peak(since)) is not None]
    return max(peaks, default=None)


def _median(series: tuple[Series, ...], since: datetime) -> float | None:
    values = sorted(p.value for s in series for p in s.within(since))
    return values[len(values) // 2] if values else None
