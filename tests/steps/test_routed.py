"""What a route lost is what is nowhere else: neither acked, nor dead-lettered, nor waiting."""

from __future__ import annotations

from datetime import timedelta

from diagnostics.evidence.model import (
    Backlog,
    DeadLetterCounts,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    PushCounts,
    SubscriptionConfig,
    TopicSubscriptions,
    Unseen,
)
from diagnostics.readings.ledger import build
from diagnostics.steps import routed
from diagnostics.steps.finding import Bears, Where
from diagnostics.steps.routed import routed as step
from diagnostics.steps.run import run
from tests.steps.built import BEGAN, NOW, PROFILE, SOURCE, ago, batch, done, lines, series


def test_a_subscription_that_is_gone_lost_what_is_neither_acked_nor_dead_lettered() -> None:
    """Ten published, three done, four refused until they were dead letters; then the subscription was deleted."""
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(*done("a", "b", "c")),
        ("SubscriptionConfig", Leg.REQUEST): SubscriptionConfig(source=SOURCE, settings=None),
        ("TopicSubscriptions", Leg.REQUEST): TopicSubscriptions(source=SOURCE, names=()),
        ("Backlog", Leg.REQUEST): Backlog(source=SOURCE, undelivered=(), oldest_age_s=(), outstanding=()),
        ("PushCounts", Leg.REQUEST): PushCounts(
            source=SOURCE, series=(series({35: 3}, response_class="ack"), series({35: 20}, response_class="invalid"))
        ),
        ("DeadLetterCounts", Leg.REQUEST): DeadLetterCounts(source=SOURCE, series=(series({30: 4}),)),
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    told = run([step], evidence, build(evidence, PROFILE), PROFILE, [Leg.REQUEST])
    (row,) = told.rows
    assert row.where == {Where.DROPPED: 3}
    gone = next(f for f in told.findings if f.code == routed.NO_SUBSCRIPTION.name)
    assert (gone.bears, gone.held) == (Bears.HOLDS, 3)
