"""Do pushes of this leg reach code that acks them, and how are they answered right now?

Counters belong to the whole subscription. They bound what can have happened to the batch; the ledger says what did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    BacklogHistory,
    BalancedRow,
    BalancerLog,
    By,
    DeadLetterCounts,
    DeliveryHealth,
    Leg,
    PushCounts,
    PushHistory,
    RequestLog,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import (
    RECENT,
    Answers,
    Failures,
    Tally,
    answers,
    failures,
    healed,
    healed_by_log,
    last_of,
    recent,
    refusals,
    tally,
)
from diagnostics.readings.ledger import DeadLetters, Ledger
from diagnostics.readings.owed import owed, through
from diagnostics.readings.pace import LONGEST_DEADLINE_S, between_tries
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Subject, Telling, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import HANDS, at_least, between, clock, count, span


class Acks(Tells, frozen=True, kw_only=True):
    acks: float
    """Pushes that were acked in the window."""


class Failing(Tells, frozen=True, kw_only=True):
    """How pushes of the last five minutes were answered."""

    share: float
    """Of those that failed, 0 to 1."""
    per_min: float
    """Failing ones a minute."""
    acks: float
    class_: dict[str, float]
    """Failing ones by `response_class`."""
    statuses: str | None = None
    """Status codes that the request log shows, the most frequent first."""


class Failed(Tells, frozen=True, kw_only=True):
    failed: float
    """Pushes that failed in the window, before it was over."""
    statuses: str | None = None
    """As above."""


class Late(Tells, frozen=True, kw_only=True):
    """Pushes that ran into the ack deadline."""

    expired: float
    recent: float
    """Of those in the last five minutes."""


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


class DeadLettered(Tells, frozen=True, kw_only=True):
    """Messages that went to the dead-letter topic."""

    dead_lettered: float
    """Of the batch, at least; where no batch is looked at, all."""
    messages: float
    """All of them."""
    last: float
    """When the last one went, in seconds since 1970."""
    most: int | None = None
    """Of the batch, at most."""
    of: int | None = None
    """Items of the batch that had come so far."""
    reason: str | None = None
    """Why most of the batch's had failed."""


class Balanced(Tells, frozen=True, kw_only=True):
    """Pushes that the log of a load balancer has as refused in one way."""

    answers: int
    recent: int
    """Of those in the last five minutes."""
    details: str | None = None
    """Why, in the balancer's own word."""


class Health(Tells, frozen=True, kw_only=True):
    criteria: str
    """Of the metric delivery_latency_health_score: the one that is bad."""


ACKED = Telling("delivered.acked", Stage.DELIVERED, "pushes are acknowledged", tells=Acks)
OURS = Code("delivered.ours", Stage.DELIVERED, "every published item of this batch reached the worker")
FAILING = Telling("delivered.failing", Stage.DELIVERED, "pushes are not acknowledged", Kind.CONSEQUENCE, tells=Failing)
RECOVERED = Telling(
    "delivered.recovered", Stage.DELIVERED, "pushes failed earlier and are acknowledged now", tells=Failed
)
PAUSED = Telling(
    "delivered.paused",
    Stage.DELIVERED,
    "pushes failed, and what failed waits for its next try",
    Kind.CONSEQUENCE,
    tells=Failed,
)
NO_PUSHES = Code("delivered.no_pushes", Stage.DELIVERED, "messages wait and nothing is pushed", Kind.CONSEQUENCE)
HELD_BACK = Telling(
    "delivered.held_back",
    Stage.DELIVERED,
    "failing messages slow the subscription and others wait behind them",
    Kind.CONSEQUENCE,
    tells=HeldBack,
)
DEADLINE = Telling("delivered.deadline", Stage.DELIVERED, "pushes run into the ack deadline", Kind.EFFECT, tells=Late)
UNREACHABLE = Code("delivered.unreachable", Stage.DELIVERED, "the push endpoint cannot be reached", Kind.EFFECT)
REDELIVERED = Telling(
    "delivered.redelivered",
    Stage.DELIVERED,
    "the waiting messages have each failed more than once on average",
    Kind.CONSEQUENCE,
    tells=Redelivered,
)
DEAD_LETTERED = Telling(
    "delivered.dead_lettered",
    Stage.DELIVERED,
    "messages went to the dead-letter topic",
    Kind.CONSEQUENCE,
    tells=DeadLettered,
)
OLD_BACKLOG = Telling(
    "delivered.old_backlog",
    Stage.DELIVERED,
    "the oldest unacked message is older than the batch",
    Kind.CONSEQUENCE,
    tells=OldBacklog,
)
HEALTH = Telling(
    "delivered.health", Stage.DELIVERED, "Google's delivery latency health is bad", Kind.CONSEQUENCE, tells=Health
)
BALANCED = Telling(
    "delivered.balancer",
    Stage.DELIVERED,
    "the load balancer before the receiver has pushes as refused",
    Kind.EFFECT,
    tells=Balanced,
)
AT_WORK = Telling("delivered.at_work", Stage.DELIVERED, "what is unacked is with the receiver", tells=AtWork)
IDLE = Code("delivered.idle", Stage.DELIVERED, "nothing waits and nothing is pushed")
UNSEEN = Telling("delivered.unseen", Stage.DELIVERED, "push results could not be seen", tells=Hidden)

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
"""The length of a point of the history."""
_SAMPLES = timedelta(minutes=2)
"""An age that was sampled within the minute, and a batch whose begin is known from a log: so much they may differ."""
_SETTLED = timedelta(minutes=3)
"""After so long a push would be counted: sampled within a minute, visible within two (push_request_count)."""
_AGAIN = 2
"""Failed so often on average, most of them failed more than once."""


def delivered(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    pushes: PushCounts | Unseen,
    backlog: Backlog | Unseen,
    history: BacklogHistory | Unseen,
    pushed: PushHistory | Unseen,
    dead: DeadLetterCounts | Unseen,
    health: DeliveryHealth | Unseen,
    log: RequestLog | Unseen,
    subscription: SubscriptionConfig | Unseen,
    balancer: BalancerLog | Unseen,
) -> Iterator[Finding | Row]:
    """Reads push results by class, backlog and age; compares what is owed with what moves."""
    if leg is Leg.REQUEST:
        yield _row(ledger, log, now)
        yield from _ours(ledger)
    seen = None
    about = subjects.pushing(profile, leg)
    if isinstance(pushes, Unseen):
        yield _blind(leg, ledger, pushes, now, about)
    else:
        seen = _seen(leg, ledger, now, pushes, backlog, log, subscription, about)
        yield from _answers(seen)
    if seen and not isinstance(balancer, Unseen):
        yield from _balanced(seen, balancer)
    if not isinstance(backlog, Unseen):
        yield from _waiting(leg, ledger, seen, backlog, history, pushed, now, about)
    if not isinstance(dead, Unseen):
        yield from _dead(leg, ledger, profile, dead, now, log)
    if not isinstance(health, Unseen):
        yield from _health(leg, health, backlog, about)


def _ours(ledger: Ledger) -> Iterator[Finding]:
    """What the ledger proves of this batch, whatever else the subscription carries."""
    here = ledger.counts.get(Stage.DELIVERED)
    if here and here.exact and ledger.gap(Stage.DELIVERED) == (0, 0):
        yield OURS.says(
            Status.OK,
            f"{here.exact} of {here.exact} published items reached the worker",
            leg=Leg.REQUEST,
            subject=subjects.batch(ledger.batch),
            rests_on=("ItemMarks", "BatchMarks"),
        )


@dataclass(frozen=True)
class _Seen:
    """One leg with its counters, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    now: datetime
    pushes: PushCounts
    since: datetime
    """Begin of the window: the batch's, with a minute's slack for samples that hold it."""
    between: timedelta
    """How long a message may rest between two pushes."""
    window_s: float
    """Within so many seconds no message runs into the deadline twice."""
    waits: float | None
    """Unacked messages; None: not known."""
    no_backlog: bool
    """Whether the backlog was not seen at all."""
    log: RequestLog | Unseen
    subscription: Subject | None

    @property
    def recent(self) -> Tally:
        return recent(self.pushes)

    @property
    def least(self) -> int:
        return owed(self.ledger, self.leg)[0]

    @property
    def stuck(self) -> bool:
        """Whether something is left to deliver that fails or may fail: of the batch, or where that is not known, at all."""
        least, most = owed(self.ledger, self.leg)
        return least > 0 or (most is None and bool(self.waits))

    @property
    def told(self) -> Answers:
        return answers(self.log, self.since)

    @property
    def healed(self) -> bool:
        """Whether all that failed is over."""
        return healed(self.pushes, self.since) or healed_by_log(self.told, self.pushes, self.since, self.now)

    def acks_after(self, ended: datetime) -> float:
        """Acks since the sample with the last failure; where the log tells the moment of that failure, since then."""
        rows = self.told.rows
        in_log = sum(1 for r in self.told.fine if r.at > rows[-1].at) if rows and rows[-1].at > ended - _SAMPLES else 0
        return max(tally(self.pushes, ended).acks, in_log)

    def failures(self) -> dict[str, Failures]:
        return failures(self.pushes, self.since, self.between)

    def statuses(self, since: datetime) -> str | None:
        """Status codes that the request log shows on the push path, most frequent first; None: it shows none."""
        told = answers(self.log, since)
        counts = Counter(r.status for r in told.rows)
        more = "" if told.whole else " or more"
        return ", ".join(f"{n}{more} × {s}" for s, n in counts.most_common()) or None


def _seen(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    pushes: PushCounts,
    backlog: Backlog | Unseen,
    log: RequestLog | Unseen,
    subscription: SubscriptionConfig | Unseen,
    about: Subject | None,
) -> _Seen:
    known = not isinstance(subscription, Unseen) and subscription.settings is not None
    deadline_s = subscription.settings.ack_deadline_s if known else LONGEST_DEADLINE_S  # type: ignore[union-attr]
    return _Seen(
        leg=leg,
        ledger=ledger,
        now=now,
        pushes=pushes,
        since=ledger.started - _MINUTE if ledger.started else pushes.source.as_of - timedelta(hours=1),
        between=between_tries(subscription),
        window_s=max(deadline_s, _MINUTE.total_seconds()),
        waits=_last(backlog),
        no_backlog=isinstance(backlog, Unseen),
        log=log,
        subscription=about,
    )


def _blind(leg: Leg, ledger: Ledger, unseen: Unseen, now: datetime, about: Subject | None) -> Finding:
    """Without counters, only what got through just now proves that pushes are taken now."""
    newest = ledger.last_progress
    proven = owed(ledger, leg) == (0, 0) and ledger.done > 0 and newest is not None and now - newest <= RECENT
    return UNSEEN.says(
        Status.OK if proven else Status.UNKNOWN,
        "every published item reached its worker; push counters were not seen"
        if proven
        else f"push results could not be seen: {unseen.says}",
        leg=leg,
        subject=about,
        tells=Hidden.of(unseen),
    )


def _answers(seen: _Seen) -> Iterator[Finding]:
    if not tally(seen.pushes, seen.since).all:
        if seen.waits == 0 or (
            seen.waits is None and not seen.no_backlog and seen.least == 0 and not seen.ledger.batch
        ):
            yield IDLE.says(
                Status.IDLE,
                "nothing waits and nothing was pushed",
                leg=seen.leg,
                subject=seen.subscription,
                rests_on=("PushCounts", "Backlog"),
            )
        return
    if not seen.recent.refused or seen.healed:
        yield from _past(seen)
    else:
        yield _failing(seen)
    classes = seen.failures()
    if "deadline_exceeded" in classes:
        yield _late(seen, classes["deadline_exceeded"])
    if "unreachable" in classes:
        yield _unreachable(seen, classes["unreachable"])


def _failing(seen: _Seen) -> Finding:
    """How pushes fail now; why, others say."""
    lately, stuck = seen.recent, seen.stuck
    minutes = RECENT.total_seconds() / 60
    told = seen.statuses(seen.pushes.source.as_of - RECENT)
    grave = (stuck and lately.nacks > lately.acks) or not (lately.acks or through(seen.ledger, seen.leg))
    return FAILING.says(
        Status.FAULT if grave else Status.WARNING,
        f"{_mix(lately.refused, lately.all)} of pushes in the last {round(minutes)} min "
        f"({lately.nacks / minutes:.1f} a minute) beside {count(lately.acks, 'ack')}"
        + (f"; the request log has {told}" if told else ""),
        leg=seen.leg,
        bears=(Bears.SLOWS if lately.acks else Bears.HOLDS) if stuck else Bears.APART,
        held=0 if lately.acks else seen.least,
        since=_onset(seen),
        rests_on=("PushCounts",),
        subject=seen.subscription,
        tells=Failing(
            share=lately.nacks / lately.all,
            per_min=lately.nacks / minutes,
            acks=lately.acks,
            class_=lately.refused,
            statuses=told,
        ),
    )


def _onset(seen: _Seen) -> datetime | None:
    """When the first of what fails now began to fail."""
    return min((f.since for f in seen.failures().values() if f.recent), default=None)


def _current(seen: _Seen, failed: Failures) -> bool:
    """Whether pushes of this class fail now: they did lately, or nothing was answered since and what failed waits for its next try."""
    if failed.recent:
        return not failed.over
    rests = seen.pushes.source.as_of - failed.until <= seen.between
    return rests and seen.waits != 0 and not tally(seen.pushes, failed.until).all


def _late(seen: _Seen, failed: Failures) -> Finding:
    """Pushes that ran into the ack deadline: how many, since when, and whether they still do."""
    told = f"{count(failed.count, 'push')} ran into the ack deadline"
    if not _current(seen, failed):
        return DEADLINE.says(
            Status.OK,
            f"{told} from {clock(failed.since, seen.now)} to {clock(failed.until, seen.now)}, none since",
            leg=seen.leg,
            bears=Bears.SLOWS if seen.ledger.started else Bears.APART,
            since=failed.since,
            until=failed.until,
            rests_on=("PushCounts",),
            subject=subjects.response_class(failed.name),
            tells=Late(expired=failed.count, recent=0.0),
        )
    holds = seen.least > 0 and not seen.recent.acks
    at_once = tally(seen.pushes, failed.until - timedelta(seconds=seen.window_s), failed.until)
    return DEADLINE.says(
        Status.FAULT if not seen.recent.acks else Status.WARNING,
        f"{told} since {clock(failed.since, seen.now)}, "
        + (f"{round(failed.recent)} of them in the last 5 min" if failed.recent else "and nothing was answered since"),
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=min(seen.least, round(at_once.classes.get(failed.name, 0))) if holds else 0,
        since=failed.since,
        rests_on=("PushCounts",),
        subject=subjects.response_class(failed.name),
        tells=Late(expired=failed.count, recent=failed.recent),
    )


def _unreachable(seen: _Seen, failed: Failures) -> Finding:
    why = "the push endpoint cannot be reached: host name or certificate"
    if not _current(seen, failed):
        return UNREACHABLE.says(
            Status.OK,
            f"{count(failed.count, 'push')} could not reach the push endpoint until {clock(failed.until, seen.now)}, none since",
            leg=seen.leg,
            bears=Bears.SLOWS if seen.ledger.started else Bears.APART,
            since=failed.since,
            until=failed.until,
            subject=subjects.response_class(failed.name),
            rests_on=("PushCounts",),
        )
    holds = seen.least > 0 and not seen.recent.acks
    return UNREACHABLE.says(
        Status.WARNING if seen.recent.acks else Status.FAULT,
        f"{why}; {count(failed.count, 'push')} since {clock(failed.since, seen.now)}",
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=seen.least if holds else 0,
        since=failed.since,
        subject=subjects.response_class(failed.name),
        rests_on=("PushCounts",),
    )


def _balanced(seen: _Seen, log: BalancerLog) -> Iterator[Finding]:
    """What a load balancer refused or passed on as refused, by status, hand and reason. It logs a part of what it takes, or nothing:
    so each number is a least one, and nothing follows from what is not there."""
    groups: dict[tuple[int, By, str, str], list[BalancedRow]] = {}
    for row in log.rows:
        if row.at >= seen.since and (
            row.by is By.BALANCER or isinstance(seen.log, Unseen)
        ):  # else its own log tells more
            groups.setdefault((row.status, row.by, row.details, row.policy), []).append(row)
    for (status, by, details, policy), rows in sorted(groups.items(), key=lambda group: -len(group[1])):
        fresh, last = [r for r in rows if r.at > seen.now - RECENT], rows[-1].at
        goes_on = seen.stuck and not seen.healed and (bool(fresh) or not tally(seen.pushes, last).all)
        holds = goes_on and seen.least > 0 and not seen.recent.acks
        yield BALANCED.says(
            Status.FAULT if holds else Status.WARNING if goes_on else Status.OK,
            f"{at_least(False, count(len(rows), 'push'))} to {log.host} answered {status} by {HANDS[by]}"
            f"{_why_balanced(details, policy, by)}, the last at {clock(last, seen.now)}",
            leg=seen.leg,
            bears=Bears.HOLDS if holds else Bears.SLOWS if goes_on and seen.least else Bears.APART,
            held=min(seen.least, len(rows)) if holds else 0,
            until=None if goes_on else last,
            rests_on=("BalancerLog", "PushCounts"),
            subject=subjects.answer(status, by),
            tells=Balanced(answers=len(rows), recent=len(fresh), details=details or None),
        )


_BALANCED = {
    "denied_by_security_policy": "a Cloud Armor policy denied them",
    "handled_by_identity_aware_proxy": "Identity-Aware Proxy did, which wants its own client id as the audience of the push token",
    "failed_to_pick_backend": "none of its backends is healthy",
    "failed_to_connect_to_backend": "it could not connect to the backend",
    "backend_timeout": "the backend took longer than its backend service allows",
    "backend_connection_closed_before_data_sent_to_client": "the backend closed the connection instead of answering",
    "backend_connection_closed_after_partial_response_sent": "the backend closed the connection within its answer",
    "client_disconnected_before_any_response": "Pub/Sub had hung up before there was an answer, as it does at the ack deadline",
}
"""What the balancer's words mean (global external Application Load Balancer, logging page)."""


def _why_balanced(details: str, policy: str, by: By) -> str:
    if by is By.BACKEND:
        return ", of which the balancer's log does not tell a program from Cloud Run before it"
    if policy:
        return f": the Cloud Armor policy {policy} denied them"
    return f": {_BALANCED[details]} ({details})" if details in _BALANCED else f": {details}"


def _past(seen: _Seen) -> Iterator[Finding]:
    """Nothing fails now: what is acked, and what failed earlier."""
    window = tally(seen.pushes, seen.since)
    ended = last_of(refusals(seen.pushes), seen.since)
    later = seen.acks_after(ended) if ended else window.acks
    if later:
        yield ACKED.says(
            Status.OK,
            f"{count(window.acks, 'push')} acked"
            + (f", none refused since {clock(ended, seen.now)}" if ended else ", none refused"),
            leg=seen.leg,
            rests_on=("PushCounts",),
            subject=seen.subscription,
            tells=Acks(acks=window.acks),
        )
    if ended is None:
        return
    told = (
        f"{_mix(window.refused, window.all)} of {count(window.all, 'push')} failed earlier, the last by "
        f"{clock(ended, seen.now)}"
    )
    paused = bool(seen.waits) and not later
    rest = (
        f"{count(seen.waits or 0, 'message')} wait for their next try"
        if paused
        else f"{count(later, 'push')} acked since, nothing is wrong now"
        if later
        else "nothing waits now"
    )
    yield (PAUSED if paused else RECOVERED).says(
        Status.WARNING if paused else Status.OK,
        f"{told}; {rest}",
        leg=seen.leg,
        bears=Bears.SLOWS,
        until=None if paused else ended,
        subject=seen.subscription,
        rests_on=("PushCounts", "Backlog"),
        tells=Failed(failed=window.nacks, statuses=seen.statuses(seen.since)),
    )


def _waiting(
    leg: Leg,
    ledger: Ledger,
    seen: _Seen | None,
    backlog: Backlog,
    history: BacklogHistory | Unseen,
    pushed: PushHistory | Unseen,
    now: datetime,
    about: Subject | None,
) -> Iterator[Finding]:
    waits = _last(backlog)
    refused = ledger.attempt is not None and ledger.attempt.turned_away
    if not waits or refused:  # what waits while a start was refused belongs to the batch that is in its way
        return
    age = max((s.last.value for s in backlog.oldest_age_s if s.last), default=0.0)
    born = backlog.source.as_of - timedelta(seconds=age)
    begin = ledger.started
    untold = "" if begin else ledger.untold
    if born < begin - _SAMPLES if begin else age > LONGEST_DEADLINE_S:
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


def _moves(seen: _Seen, waits: float, since: datetime, in_flight: float) -> Iterator[Finding]:
    """Whether what waits is pushed, and gets through."""
    least, most = owed(seen.ledger, seen.leg)
    if not tally(seen.pushes, since).all:
        yield from _still(seen, waits, since, in_flight)
        return
    lately = seen.recent
    if lately.nacks > lately.acks and (least or (most is None and seen.ledger.started)):
        minutes = RECENT.total_seconds() / 60
        yield HELD_BACK.says(
            Status.FAULT,
            f"{count(waits, 'message')} wait; {lately.nacks / minutes:.1f} pushes a minute fail and "
            f"{lately.acks / minutes:.1f} succeed: push backoff holds back the whole subscription",
            leg=seen.leg,
            bears=Bears.HOLDS,
            held=least,
            since=_onset(seen),
            rests_on=("PushCounts", "Backlog"),
            subject=seen.subscription,
            tells=HeldBack(
                nacks_per_min=lately.nacks / minutes,
                acks_per_min=lately.acks / minutes,
                unacked=waits,
            ),
        )


def _still(seen: _Seen, waits: float, since: datetime, in_flight: float) -> Iterator[Finding]:
    """No push was answered. Those that the receiver still works on are no silence."""
    least, most = owed(seen.ledger, seen.leg)
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


def _redelivered(seen: _Seen, pushed: PushHistory | Unseen, waits: float, born: datetime) -> Iterator[Finding]:
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


def _dead(
    leg: Leg, ledger: Ledger, profile: PipelineProfile, dead: DeadLetterCounts, now: datetime, log: RequestLog | Unseen
) -> Iterator[Finding]:
    """What lies in the dead-letter topic, and how much of it this batch waits for. It does not come back by itself."""
    if ledger.started is None:
        yield from _dead_of_nobody(leg, profile, dead, now)
        return
    went = ledger.dead(leg)
    if not went.messages or went.first is None or went.last is None:
        return
    when = between(went.first, went.last, now)
    item = profile.item if leg is Leg.REQUEST else "completion"
    if went.ours:
        told = f"{count(went.ours, item)} of this batch went to the dead-letter topic {when}"
        yield _dead_of_ours(leg, ledger, profile, went, told + _answered(log, ledger.started, went.last), went.last)
        return
    unsure = went.most > 0
    yield DEAD_LETTERED.says(
        Status.WARNING if unsure else Status.OK,
        f"{count(went.messages, 'message')} went to the dead-letter topic {when}, "
        + (f"up to {went.most} of them of this batch" if unsure else "none that this batch waits for"),
        leg=leg,
        since=went.first,
        until=None if unsure else went.last,
        subject=subjects.pushing(profile, leg),
        rests_on=("DeadLetterCounts",),
        tells=_dead_told(leg, ledger, went, went.last),
    )


def _dead_told(leg: Leg, ledger: Ledger, went: DeadLetters, last: datetime, reason: str | None = None) -> DeadLettered:
    return DeadLettered(
        dead_lettered=went.ours,
        most=went.most,
        messages=went.messages,
        of=ledger.before(Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED).least,
        last=last.timestamp(),
        reason=reason,
    )


def _dead_of_ours(
    leg: Leg, ledger: Ledger, profile: PipelineProfile, went: DeadLetters, told: str, last: datetime
) -> Finding:
    """Held for as long as the batch waits; once it is closed without them, what is left to do is to replay them."""
    reasons = Counter(x.reason for x in ledger.lives if x.dead_lettered and x.reason)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.most_common(3))})" if reasons else ""
    others = went.messages - went.ours
    return DEAD_LETTERED.says(
        Status.WARNING if ledger.closed else Status.FAULT,
        f"{told}{why}"
        + (f", and {count(others, 'message')} more" if others else "")
        + ("; the batch was closed without them" if ledger.closed else "; they do not come back by themselves"),
        leg=leg,
        bears=Bears.APART if ledger.closed else Bears.HOLDS,
        held=0 if ledger.closed else went.ours,
        since=went.first,
        until=went.last if ledger.closed else None,
        subject=subjects.pushing(profile, leg),
        rests_on=("DeadLetterCounts", "ItemMarks", "Backlog"),
        tells=_dead_told(leg, ledger, went, last, reasons.most_common(1)[0][0] if reasons else None),
    )


def _answered(log: RequestLog | Unseen, since: datetime, until: datetime) -> str:
    """What most pushes were answered while messages ran out of attempts, and by whom."""
    groups = [(a, sum(1 for r in a.rows if r.at <= until)) for a in answers(log, since).apart()]
    all_ = sum(n for _, n in groups)
    return next((f", answered {a.status} by {HANDS[a.by]}" for a, n in groups if 2 * n > all_), "")


def _dead_of_nobody(leg: Leg, profile: PipelineProfile, dead: DeadLetterCounts, now: datetime) -> Iterator[Finding]:
    """No batch is looked at: what went to the dead-letter topic in the window that was read."""
    points = [p for s in dead.series for p in s.points if p.value > 0]
    if not points:
        return
    gone, first, last = sum(p.value for p in points), min(p.start for p in points), max(p.end for p in points)
    yield DEAD_LETTERED.says(
        Status.WARNING,
        f"{count(gone, 'message')} went to the dead-letter topic {between(first, last, now)}; they do not come back by themselves",
        leg=leg,
        since=first,
        rests_on=("DeadLetterCounts",),
        subject=subjects.pushing(profile, leg),
        tells=DeadLettered(dead_lettered=gone, messages=gone, last=last.timestamp()),
    )


def _health(leg: Leg, health: DeliveryHealth, backlog: Backlog | Unseen, about: Subject | None) -> Iterator[Finding]:
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
        gone = _last(backlog) == 0
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


def _row(ledger: Ledger, log: RequestLog | Unseen, now: datetime) -> Row:
    here = ledger.counts.get(Stage.DELIVERED)
    before = ledger.before(Stage.DELIVERED) if ledger.counts else None
    if here is None or before is None or (before.most == 0):
        return Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, not_reached=True)
    least, _ = ledger.gap(Stage.DELIVERED)
    dead = ledger.dead_at(Stage.DELIVERED)
    waits = may_wait(ledger, Leg.REQUEST, now, least - dead)
    since = now - ledger.dead(Leg.REQUEST).pause
    turned_back = _turned_back(log, max(since, ledger.started - timedelta(minutes=1)) if ledger.started else since)
    kept = Where.RETRYING if waits and turned_back >= least - dead else Where.WAITING
    return Row(
        stage=Stage.DELIVERED,
        leg=Leg.REQUEST,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=places(least, {Where.DEAD_LETTERED: dead}, {kept: waits}),
        basis=here.basis,
        status=Status.FAULT if least else (Status.OK if here.most is not None else Status.UNKNOWN),
        source=here.source,
    )


def _turned_back(log: RequestLog | Unseen, since: datetime) -> int:
    """Pushes that no program took: which message each carried no log tells, so any may have been ours."""
    return sum(1 for r in answers(log, since).rows if not r.reached)


def _last(backlog: Backlog | Unseen) -> float | None:
    """Unacked messages now; None: not seen, or no series."""
    if isinstance(backlog, Unseen):
        return None
    points = [s.last for s in backlog.undelivered if s.last]
    return max((p.value for p in points), default=None)


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


def _mix(bad: dict[str, float], all_: float) -> str:
    return ", ".join(f"{v / all_:.0%} {k}" for k, v in sorted(bad.items(), key=lambda kv: -kv[1]))
