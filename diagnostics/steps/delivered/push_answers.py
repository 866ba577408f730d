"""How are pushes answered, now and earlier in the window?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg, PushCounts, RequestLog, Stage, Unseen, Why
from diagnostics.readings.answers import RECENT, Failures, last_of, refusals, tally
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import owed, through
from diagnostics.readings.wholeness import why_not_whole
from diagnostics.steps import subjects
from diagnostics.steps.delivered.seen import Seen, onset
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import clock, count


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


ACKED = Telling("delivered.acked", Stage.DELIVERED, "pushes are acknowledged", tells=Acks)
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
DEADLINE = Telling("delivered.deadline", Stage.DELIVERED, "pushes run into the ack deadline", Kind.EFFECT, tells=Late)
UNREACHABLE = Code("delivered.unreachable", Stage.DELIVERED, "the push endpoint cannot be reached", Kind.EFFECT)
IDLE = Code("delivered.idle", Stage.DELIVERED, "nothing waits and nothing is pushed")
UNSEEN = Telling("delivered.unseen", Stage.DELIVERED, "push results could not be seen", tells=Hidden)
UNTOLD = Telling(
    "delivered.untold", Stage.DELIVERED, "nothing tells how pushes were answered since the batch began", tells=Hidden
)


def blind(leg: Leg, ledger: Ledger, unseen: Unseen, now: datetime, about: Subject | None) -> Finding:
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
        rests_on=("PushCounts",),
        tells=Hidden.of(unseen),
    )


def untold(
    leg: Leg,
    ledger: Ledger,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    now: datetime,
    about: Subject | None,
) -> Iterator[Finding]:
    """What is owed may be turned away, and neither counters nor the log would show it: younger than those, and this was not read."""
    least, _ = owed(ledger, leg)
    counted = not isinstance(pushes, Unseen) and (ledger.started is None or tally(pushes, ledger.started).all)
    why = why_not_whole(log, but=(Why.NOT_ASKED,))
    if not least or counted or not why:
        return
    counters = pushes.says if isinstance(pushes, Unseen) else f"counters are of {clock(pushes.source.as_of, now)}"
    yield UNTOLD.says(
        Status.UNKNOWN,
        f"how pushes were answered since the batch began could not be seen: {counters}, and {why}",
        leg=leg,
        subject=about,
        rests_on=("PushCounts", "RequestLog"),
        tells=Hidden.of(log) if isinstance(log, Unseen) else Hidden(),
    )


def how_answered(seen: Seen) -> Iterator[Finding]:
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


def _failing(seen: Seen) -> Finding:
    """How pushes fail now; why, others say."""
    lately, stuck = seen.recent, seen.stuck
    minutes = RECENT.total_seconds() / 60
    told = seen.statuses(seen.pushes.source.as_of - RECENT)
    grave = (stuck and lately.nacks > lately.acks) or not (lately.acks or through(seen.ledger, seen.leg))
    return FAILING.says(
        Status.FAULT if grave else Status.WARNING,
        f"{lately.nacks / lately.all:.0%} of pushes in the last {round(minutes)} min failed "
        f"({_mix(lately.refused, lately.all)}; {lately.nacks / minutes:.1f} a minute), {count(lately.acks, 'ack')}"
        + (f"; the request log has {told}" if told else ""),
        leg=seen.leg,
        bears=(Bears.SLOWS if lately.acks else Bears.HOLDS) if stuck else Bears.APART,
        held=0 if lately.acks else seen.least,
        since=onset(seen),
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


def _current(seen: Seen, failed: Failures) -> bool:
    """Whether pushes of this class fail now: they did lately, or nothing was answered since and what failed waits for its next try."""
    if failed.recent:
        return not failed.over
    rests = seen.pushes.source.as_of - failed.until <= seen.between
    return rests and seen.waits != 0 and not tally(seen.pushes, failed.until).all


def _late(seen: Seen, failed: Failures) -> Finding:
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
    gets_in = bool(seen.recent.acks) or seen.log_has_acks
    holds = seen.least > 0 and not gets_in
    at_once = tally(seen.pushes, failed.until - timedelta(seconds=seen.window_s), failed.until)
    return DEADLINE.says(
        Status.WARNING if gets_in else Status.FAULT,
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


def _unreachable(seen: Seen, failed: Failures) -> Finding:
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


def _past(seen: Seen) -> Iterator[Finding]:
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
        f"{window.nacks / window.all:.0%} of {count(window.all, 'push')} failed earlier "
        f"({_mix(window.refused, window.all)}), the last by {clock(ended, seen.now)}"
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


def _mix(bad: dict[str, float], all_: float) -> str:
    """How they failed: one class by its name, several each with its share of all pushes."""
    return (
        next(iter(bad))
        if len(bad) == 1
        else ", ".join(f"{v / all_:.0%} {k}" for k, v in sorted(bad.items(), key=lambda kv: -kv[1]))
    )
