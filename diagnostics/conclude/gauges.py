"""Figures of the subscriptions as they were when it was looked, for whoever draws or compares them. What was not seen has no figure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from diagnostics.evidence.model import Backlog, EvidenceSet, Leg, PushCounts, Series, seen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import RECENT, tally
from diagnostics.steps.words import short


class Gauges(Struct, frozen=True, kw_only=True):
    """One subscription. None: not seen, which is not zero."""

    leg: Leg
    subscription: str
    waiting: float | None = None
    """Unacked messages, of this batch and of all else."""
    oldest_age_s: float | None = None
    """Age of the oldest of them, in seconds."""
    pushes_per_min: float | None = None
    """Pushes that were answered in the last five minutes that the counters cover, a minute."""
    failing_share: float | None = None
    """Share of those that were no ack, from 0 to 1; None also where nothing was pushed."""


def gauges(profile: PipelineProfile, evidence: EvidenceSet) -> tuple[Gauges, ...]:
    """One for each subscription of which anything was seen."""
    return tuple(_of(profile, evidence))


def _of(profile: PipelineProfile, evidence: EvidenceSet) -> Iterator[Gauges]:
    for leg in Leg:
        named = profile.leg(leg)
        backlog, pushes = seen(evidence.get(Backlog, leg)), seen(evidence.get(PushCounts, leg))
        if named is None or (backlog is None and pushes is None):
            continue
        now = (
            tally(pushes, pushes.source.as_of - RECENT) if pushes and pushes.series and pushes.source.complete else None
        )
        yield Gauges(
            leg=leg,
            subscription=short(named.subscription),
            waiting=_newest(backlog.undelivered) if backlog else None,
            oldest_age_s=_newest(backlog.oldest_age_s) if backlog else None,
            pushes_per_min=now.all / (RECENT.total_seconds() / 60) if now else None,
            failing_share=now.nacks / now.all if now and now.all else None,
        )


def _newest(found: tuple[Series, ...]) -> float | None:
    """The newest point of all; None: no series has one."""
    last = [series.last for series in found if series.last is not None]
    return max(last, key=lambda point: point.end).value if last else None
