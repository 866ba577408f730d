"""Do pushes of this leg reach code that acks them, and how are they answered right now?

Counters belong to the whole subscription. They bound what can have happened to the batch; the ledger says what did.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    BacklogHistory,
    BalancerLog,
    DeadLetterCounts,
    DeliveryHealth,
    Leg,
    PublishCounts,
    PushCounts,
    PushHistory,
    RequestLog,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import answers
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.delivered.at_balancer import balanced
from diagnostics.steps.delivered.given_up import gone_to_dead_letters, tries_used_up
from diagnostics.steps.delivered.push_answers import blind, how_answered, untold
from diagnostics.steps.delivered.seen import as_seen
from diagnostics.steps.delivered.what_waits import latency_health, waits
from diagnostics.steps.finding import Code, Finding, Row, Status, Where
from diagnostics.steps.places import may_wait, places

OURS = Code("delivered.ours", Stage.DELIVERED, "every published item of this batch reached the worker")


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
    published: PublishCounts | Unseen,
) -> Iterator[Finding | Row]:
    """Reads push results by class, backlog and age; compares what is owed with what moves."""
    if leg is Leg.REQUEST:
        yield _row(ledger, log, now)
        yield from _ours(ledger)
    seen = None
    about = subjects.pushing(profile, leg)
    if isinstance(pushes, Unseen):
        yield blind(leg, ledger, pushes, now, about)
    else:
        seen = as_seen(leg, ledger, now, pushes, backlog, log, subscription, published, about)
        yield from how_answered(seen)
    yield from untold(leg, ledger, pushes, log, now, about)
    if seen and not isinstance(balancer, Unseen):
        yield from balanced(seen, balancer)
    if not isinstance(backlog, Unseen):
        yield from waits(leg, ledger, seen, backlog, history, pushed, now, about)
    yield from tries_used_up(leg, ledger, profile)
    if not isinstance(dead, Unseen):
        yield from gone_to_dead_letters(leg, ledger, profile, dead, now, log)
    if not isinstance(health, Unseen):
        yield from latency_health(leg, health, backlog, about)


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


def _row(ledger: Ledger, log: RequestLog | Unseen, now: datetime) -> Row:
    here = ledger.counts.get(Stage.DELIVERED)
    before = ledger.before(Stage.DELIVERED) if ledger.counts else None
    if here is None or before is None or (before.most == 0):
        return Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, not_reached=True)
    least, _ = ledger.gap(Stage.DELIVERED)
    dead = ledger.dead_at(Stage.DELIVERED)
    waits = 0 if ledger.dead(Leg.REQUEST).unseen else may_wait(ledger, Leg.REQUEST, now, least - dead)
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
