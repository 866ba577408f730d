"""Can the service do the work that comes? Little's law: requests at once = requests a second × seconds each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from diagnostics.evidence.model import (
    BatchMarks,
    Leg,
    PushCounts,
    PushLatencies,
    ReceiverTraffic,
    Revisions,
    RevisionSettings,
    Series,
    ServiceConfig,
    ServiceSettings,
    Stage,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Status, Subject, Telling
from diagnostics.steps.limits import serving
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import count, latency, span


class Load(Tells, frozen=True, kw_only=True):
    """What came in the busiest minute, against what the service takes."""

    rate_per_s: float
    """Pushes a second."""
    takes_s: float
    """Seconds that one takes, typically."""
    needed: float
    """Requests at once that this comes to."""
    at_once: int
    """Requests at once that the service takes."""


class Drain(Tells, frozen=True, kw_only=True):
    """The largest batch of the look-back."""

    items: int
    drain_s: float
    """Seconds that it takes at best."""
    after_s: float
    """Seconds after which a batch is closed, done or not."""


FITS = Telling("limits.capacity", Stage.DELIVERED, "the service can do what came", tells=Load)
TOO_SMALL = Telling("limits.too_small", Stage.DELIVERED, "the service cannot do what comes", tells=Load)
TOO_SLOW = Telling(
    "limits.too_slow", Stage.DELIVERED, "the largest batch takes longer than a batch may take", tells=Drain
)
UNSEEN = Telling("limits.capacity_unseen", Stage.DELIVERED, "capacity could not be judged", tells=Hidden)

_RESTS = ("PushCounts", "PushLatencies", "ReceiverTraffic", "ServiceConfig")


def capacity(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    service: ServiceConfig,
    revisions: Revisions | Unseen,
    pushes: PushCounts | Unseen,
    traffic: ReceiverTraffic | Unseen,
    latencies: PushLatencies | Unseen,
    batches: BatchMarks | Unseen,
) -> Iterator[Finding]:
    """Needs a rate and a latency that were measured: pushes of the busiest minute (those turned away, too), typical latency.

    The latency is the service's, which leaves out what was turned away; for a service that is known to do other things, too, or
    of which nothing is stated, it is that of the pushes.
    """
    del batches  # read for the ledger: how large batches were
    target = service.settings
    if target is None:
        return
    about = subjects.service(target.name)
    times: ReceiverTraffic | PushLatencies | Unseen = (
        traffic if leg is Leg.REQUEST and profile.worker.service else latencies
    )
    for unseen in (pushes, times):
        if isinstance(unseen, Unseen):
            yield UNSEEN.says(
                Status.UNKNOWN,
                f"whether {target.name} can do the work that comes could not be seen: {unseen.says}",
                leg=leg,
                rests_on=(unseen.what,),
                subject=about,
                tells=Hidden.of(unseen),
            )
            return
    assert not isinstance(pushes, Unseen) and not isinstance(times, Unseen)
    rate, takes = busiest(pushes), typical_s(times.p50)
    if not rate or takes is None:
        yield UNSEEN.says(
            Status.IDLE,
            f"no push was counted lately, so whether {target.name} is large enough stays open until a batch has run",
            leg=leg,
            subject=about,
            rests_on=_RESTS,
            tells=Hidden(),
        )
        return
    yield from _judged(leg, ledger, profile, target, serving(target, revisions), rate, takes)


def _judged(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    target: ServiceSettings,
    runs: RevisionSettings,
    rate: float,
    takes: float,
) -> Iterator[Finding]:
    """What comes (pushes a second, seconds each) and the largest batch against what the service takes at once."""
    about = subjects.service(target.name)
    instances = most_instances(target, runs.max_instances)
    at_once = instances * runs.concurrency
    needed = rate * takes
    tells = Load(rate_per_s=rate, takes_s=takes, needed=needed, at_once=at_once)
    figures = (
        f"{rate * 60:.0f} pushes in the busiest minute × {latency(takes)} each = {needed:.1f} at once; {target.name} takes "
        f"{at_once} ({count(instances, 'instance')} × {runs.concurrency})"
    )
    small = needed > at_once
    if small:
        yield TOO_SMALL.says(
            Status.WARNING,
            f"{figures}: the rest is turned away",
            leg=leg,
            subject=about,
            rests_on=_RESTS,
            tells=tells,
        )
    slow = list(_largest(leg, about, ledger, profile, at_once, takes)) if leg is Leg.REQUEST else []
    yield from slow
    if not small and not slow:
        yield FITS.says(Status.OK, figures, leg=leg, subject=about, rests_on=_RESTS, tells=tells)


def busiest(pushes: PushCounts) -> float:
    """Pushes a second in the point with the most of them."""
    sums: dict[tuple[datetime, datetime], float] = defaultdict(float)
    for one in pushes.series:
        for point in one.points:
            sums[point.start, point.end] += point.value
    rates = [n / length for (start, end), n in sums.items() if (length := (end - start).total_seconds()) > 0]
    return max(rates, default=0.0)


def typical_s(medians: Iterable[Series]) -> float | None:
    """Median of the medians of the minutes in which requests were answered; None: none was."""
    values = sorted(p.value for s in medians for p in s.points if p.value > 0)
    return values[len(values) // 2] if values else None


def most_instances(target: ServiceSettings, of_revision: int) -> int:
    """The smaller of the two maxima, or the number set by hand."""
    if target.manual_instances is not None:
        return target.manual_instances
    return min([of_revision] + ([target.max_instances] if target.max_instances else []))


def _largest(
    leg: Leg, about: Subject | None, ledger: Ledger, profile: PipelineProfile, at_once: int, takes: float
) -> Iterator[Finding]:
    """The largest batch of the look-back against the age at which the coordinator gives a batch up."""
    after = profile.closing.after_s if profile.closing else None
    created = [a.created.numbers.get("expected", 0) for a in ledger.attempts if a.created]
    published = [a.published.numbers.get("count", 0) for a in ledger.attempts if a.published]
    items = max([*created, *published], default=0)
    if after is None or not items or not at_once:
        return
    drain = items * takes / at_once
    if drain > after:
        yield TOO_SLOW.says(
            Status.WARNING,
            f"a batch of {items} takes {span(drain)} at best ({latency(takes)} each, {at_once} at once), and is closed after "
            f"{span(after)}, done or not",
            leg=leg,
            rests_on=("BatchMarks", "ReceiverTraffic", "ServiceConfig"),
            subject=about,
            tells=Drain(items=items, drain_s=drain, after_s=after),
        )
