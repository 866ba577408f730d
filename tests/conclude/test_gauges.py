"""Figures of the subscriptions: what the counters said, and nothing where they were silent."""

from __future__ import annotations

from pathlib import Path

from diagnostics.conclude.gauges import Gauges, gauges
from diagnostics.evidence.model import Backlog, EvidenceSet, Leg, PushCounts
from diagnostics.keep.bundle import load

NIGHT = load(Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz", ours=True).case


def _without(*kinds: type) -> EvidenceSet:
    kept = {key: found for key, found in NIGHT.evidence.items() if key[0] not in {kind.__name__ for kind in kinds}}
    return EvidenceSet(kept, NIGHT.evidence.now, NIGHT.evidence.lookback, NIGHT.evidence.since)


def test_the_night_has_what_waits_and_what_fails() -> None:
    """As its story has it: 17 poisoned messages go round since three days, and nothing else is pushed."""
    there, back = gauges(NIGHT.profile, NIGHT.evidence)
    assert (there.leg, there.subscription, there.waiting) == (Leg.REQUEST, "prediction-request-prod", 17)
    assert there.oldest_age_s is not None and 2.9 * 86400 < there.oldest_age_s < 3.1 * 86400
    assert there.failing_share == 1 and there.pushes_per_min is not None and 0 < there.pushes_per_min < 10
    assert (back.leg, back.waiting, back.failing_share) == (Leg.COMPLETION, 0, None)


def test_what_was_not_seen_has_no_figure() -> None:
    there, _ = gauges(NIGHT.profile, _without(PushCounts))
    assert (there.waiting, there.pushes_per_min, there.failing_share) == (17, None, None)
    assert gauges(NIGHT.profile, _without(PushCounts, Backlog)) == ()
    assert Gauges(leg=Leg.REQUEST, subscription="s").waiting is None
