"""What went to the dead-letter topic, and how much of it does this batch wait for?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import DeadLetterCounts, Leg, RequestLog, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import answers
from diagnostics.readings.ledger import DeadLetters, Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import HANDS, between, count, names


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


DEAD_LETTERED = Telling(
    "delivered.dead_lettered",
    Stage.DELIVERED,
    "messages went to the dead-letter topic",
    Kind.CONSEQUENCE,
    tells=DeadLettered,
)


class Spent(Tells, frozen=True, kw_only=True):
    items: int
    """Items of the batch that failed as often as the dead-letter policy allows."""


SPENT = Telling(
    "delivered.spent",
    Stage.DELIVERED,
    "items failed as often as the dead-letter policy lets them, and its counter does not tell of them yet",
    Kind.CONSEQUENCE,
    tells=Spent,
)


def tries_used_up(leg: Leg, ledger: Ledger, profile: PipelineProfile) -> Iterator[Finding]:
    """Items that will not be pushed again, by their own lines, before the counter of dead letters tells so."""
    dead = ledger.dead(leg)
    spent = [x for x in ledger.lives if x.name in dead.uncounted and not x.dead_lettered]
    if not spent:
        return
    reasons = Counter(x.reason for x in spent if x.reason)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.most_common(3))})" if reasons else ""
    yield SPENT.says(
        Status.WARNING,
        f"{count(len(spent), profile.item)} failed as often as the subscription lets a message fail{why}: {names(x.name for x in spent)}; "
        f"whether they lie in the dead-letter topic {'its counter does not tell yet' if dead.counted else 'could not be seen'}",
        leg=leg,
        bears=Bears.SLOWS,
        since=min((x.last for x in spent if x.last), default=None),
        rests_on=("ItemMarks", "SubscriptionConfig"),
        subject=subjects.pushing(profile, leg),
        tells=Spent(items=len(spent)),
    )


def gone_to_dead_letters(
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
