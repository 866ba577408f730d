"""The diagnosis as metrics in Prometheus' text format, for the textfile collector of the node exporter.

Samples carry no time stamps: the collector refuses them. `pubsub_diag_as_of_timestamp_seconds` says how old an answer is, and
`pubsub_diag_up` is 0 when the last run came to none. What was not seen has no sample; it is never 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from diagnostics.conclude.diagnosis import Diagnosis, State
from diagnostics.report.escape import clean_all
from diagnostics.steps.finding import Status

PREFIX = "pubsub_diag"
OF = ("pipeline", "project", "command")
"""Labels of every sample but `up`."""


def render(diagnoses: Sequence[Diagnosis]) -> str:
    return _text([_gauge("up", "1: the last run came to a diagnosis.", [((), 1.0)]), *_families(diagnoses)])


def render_trouble() -> str:
    """A run that came to no diagnosis. The samples of the run before it are gone."""
    return _text([_gauge("up", "1: the last run came to a diagnosis.", [((), 0.0)])])


Sample = tuple[tuple[str, ...], float | None]


class _Collector:
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _text(families: Sequence[Metric]) -> str:
    registry = CollectorRegistry()
    registry.register(_Collector(families))
    return generate_latest(registry).decode()


def _gauge(name: str, says: str, samples: Sequence[Sample], labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", says, labels=labels)
    for values, number in dict(samples).items():
        if number is not None:
            family.add_metric(values, number)
    return family


def _families(diagnoses: Sequence[Diagnosis]) -> Iterator[Metric]:
    said = [clean_all(diagnosis) for diagnosis in diagnoses]

    def gauge(name: str, says: str, samples: Sequence[Sequence[Sample]], *labels: str) -> Metric:
        flat = [((*_of(d), *more), number) for d, those in zip(said, samples, strict=True) for more, number in those]
        return _gauge(name, says, flat, (*OF, *labels))

    def one(name: str, says: str, numbers: Sequence[float | None]) -> Metric:
        return gauge(name, says, [[((), number)] for number in numbers])

    yield one("exit_code", "0 ok, 1 warning, 2 fault, 3 unknown.", [d.exit_code for d in said])
    yield gauge("status", "1 for the status that holds.", [_one_of(Status, d.status) for d in said], "status")
    yield one("as_of_timestamp_seconds", "The moment of which the answer speaks.", [d.as_of.timestamp() for d in said])
    yield one("run_seconds", "How long the answer took.", [d.pipeline.seconds for d in said])
    yield gauge("findings", "Findings by status.", [_findings(d) for d in said], "status")
    yield one(
        "not_seen", "Things that could not be seen and matter.", [sum(g.matters for g in d.unknown) for d in said]
    )
    yield gauge(
        "cause", "1 for each cause that is live.", [_causes(d) for d in said], "code", "leg", "role", "confidence"
    )
    yield gauge(
        "accepted_until_timestamp_seconds", "End of an acceptance.", [_accepted(d) for d in said], "code", "leg"
    )
    yield gauge("batch_info", "The batch that was looked at.", [_batch(d) for d in said], "batch")
    yield gauge(
        "batch_state",
        "1 for the state of the batch.",
        [_one_of(State, d.state) if d.batch else [] for d in said],
        "state",
    )
    for field, (name, says) in _MOMENTS.items():
        yield one(f"{name}_timestamp_seconds", says, [_moment(d, field) for d in said])
    yield one(
        "batch_items_expected", "Items that the batch expects.", [d.batch.expected if d.batch else None for d in said]
    )
    yield one("batch_items_done", "Items that are done.", [d.batch.done if d.batch else None for d in said])
    for name, (field, says) in _SUBSCRIPTION.items():
        yield gauge(name, says, [_subscriptions(d, field) for d in said], "leg", "subscription")
    yield gauge("stage_items", "Items that passed a stage.", [_stages(d) for d in said], "stage", "leg", "bound")


_SUBSCRIPTION = {
    "subscription_unacked_messages": ("waiting", "Unacked messages of the subscription, of every batch."),
    "subscription_oldest_unacked_age_seconds": ("oldest_age_s", "Age of the oldest unacked message."),
    "subscription_pushes_per_minute": ("pushes_per_min", "Pushes answered in the last five minutes, a minute."),
    "subscription_failing_ratio": ("failing_share", "Share of those pushes that were no ack, from 0 to 1."),
}
_MOMENTS = {
    "started": ("batch_started", "When the batch was started."),
    "last_progress": ("batch_last_progress", "When an item of the batch last got further."),
    "last_good_at": ("last_good_batch_started", "When the last batch that finished was started."),
}


def _of(said: Diagnosis) -> tuple[str, ...]:
    return said.pipeline.pipeline, said.pipeline.project, said.pipeline.command


def _one_of(kind: type[Status] | type[State], holds: Status | State) -> list[Sample]:
    return [((value.value,), float(value is holds)) for value in kind]


def _findings(said: Diagnosis) -> list[Sample]:
    return [((status.value,), float(sum(f.status is status for f in said.findings))) for status in Status]


def _causes(said: Diagnosis) -> list[Sample]:
    return [((c.code, c.leg.value if c.leg else "", c.role.value, c.confidence.value), 1.0) for c in said.causes]


def _accepted(said: Diagnosis) -> list[Sample]:
    """The end of the day that is named."""
    return [
        ((s.code, s.leg.value if s.leg else ""), float((s.until.toordinal() + 1 - _EPOCH) * 86400))
        for s in said.suppressed
    ]


_EPOCH = 719163
"""Ordinal of 1970-01-01."""


def _batch(said: Diagnosis) -> list[Sample]:
    return [((said.batch.id,), 1.0)] if said.batch and said.batch.id else []


def _moment(said: Diagnosis, field: str) -> float | None:
    moment = getattr(said.batch, field) if said.batch else None
    return moment.timestamp() if moment else None


def _subscriptions(said: Diagnosis, field: str) -> list[Sample]:
    return [((g.leg.value, g.subscription), getattr(g, field)) for g in said.subscriptions]


def _stages(said: Diagnosis) -> list[Sample]:
    """Both bounds of what was counted: equal where the count is exact."""
    return [
        ((row.stage.value, row.leg.value if row.leg else "", bound), number)
        for row in said.ladder
        for bound, number in (("min", row.seen_min), ("max", row.seen_max))
        if not row.not_reached
    ]
