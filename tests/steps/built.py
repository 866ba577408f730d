"""Evidence built by hand for the steps that judge traffic. Times are minutes before `NOW`; the batch began forty minutes ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    BatchMarks,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Key,
    Leg,
    LogRow,
    Mark,
    Means,
    Point,
    Provenance,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    RetryPolicy,
    RevisionSettings,
    Series,
    ServiceConfig,
    ServiceSettings,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, Marker, PipelineProfile
from diagnostics.readings.ledger import build
from diagnostics.steps.finding import AnyCode, Finding
from diagnostics.steps.run import Step, run

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
BEGAN = 40
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
CUT = Provenance(source="test", fetched_at=NOW, as_of=NOW, complete=False)
PROFILE = PipelineProfile(
    name="test",
    project="p",
    request=LegProfile(subscription="s"),
    markers=tuple(Marker(means=m, contains=m.value) for m in Means),
)
UNAVAILABLE = "The request was aborted because there was no available instance."
BROKEN = "The request failed because either the HTTP response was malformed or connection to the instance had an error."
UNREADY = "The request failed because the instance failed the readiness check."
TIMED_OUT = "The request has been terminated because it has reached the maximum request timeout."
DENIED = "The request was not authenticated."

Legged = tuple[Key, Evidence | Unseen]


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def series(points: dict[float, float], **labels: str) -> Series:
    """Values by the minutes ago at which their samples end."""
    ordered = sorted(points.items(), reverse=True)
    return Series(labels=labels, points=tuple(Point(start=ago(m + 1), end=ago(m), value=value) for m, value in ordered))


def pushes(leg: Leg = Leg.REQUEST, **classes: dict[float, float]) -> Legged:
    counted = tuple(series(points, response_class=name) for name, points in classes.items())
    return ("PushCounts", leg), PushCounts(source=SOURCE, series=counted)


def backlog(waits: float, age_min: float, in_flight: float = 0) -> Legged:
    seen = Backlog(
        source=SOURCE,
        undelivered=(series({0: waits}),),
        oldest_age_s=(series({0: age_min * 60}),),
        outstanding=(series({0: in_flight}),),
    )
    return ("Backlog", Leg.REQUEST), seen


def row(minutes: float, status: int, text: str = "", instance: str = "i1", latency_s: float = 0.1) -> LogRow:
    return LogRow(
        at=ago(minutes), method="POST", path="/push", status=status, latency_s=latency_s, instance=instance, text=text
    )


def log(*rows: LogRow, whole: bool = True, leg: Leg = Leg.REQUEST) -> Legged:
    ordered = sorted(rows, key=lambda r: r.at)
    seen = RequestLog(
        source=SOURCE if whole else CUT,
        push_path="/push",
        refused=tuple(r for r in ordered if r.status >= 300),
        fine=tuple(r for r in ordered if r.status < 300),
    )
    return ("RequestLog", leg), seen


def subscription(ack_deadline_s: float = 60, backoff_s: float = 60, leg: Leg = Leg.REQUEST) -> Legged:
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s",
        topic="projects/p/topics/t",
        push_endpoint="https://w.run.app/push",
        ack_deadline_s=ack_deadline_s,
        retry=RetryPolicy(min_s=10, max_s=backoff_s),
    )
    return ("SubscriptionConfig", leg), SubscriptionConfig(source=SOURCE, settings=settings)


def service(most: int = 10, concurrency: int = 10, leg: Leg = Leg.REQUEST) -> Legged:
    revision = RevisionSettings(name="w-1", created=ago(9999), max_instances=most, concurrency=concurrency)
    settings = ServiceSettings(name="w", region="r", uri="https://w.run.app", urls=(), template=revision)
    return ("ServiceConfig", leg), ServiceConfig(source=SOURCE, name="w", settings=settings)


def capacity(starts: dict[float, float], took_s: float = 5, pending_s: float = 0) -> Legged:
    lengths = (series(dict.fromkeys(starts, took_s)),)
    seen = ReceiverCapacity(
        source=SOURCE,
        instances=(series(dict.fromkeys(range(BEGAN), 1), state="active"),),
        startup_p50=lengths,
        startup_p99=lengths,
        startups=(series(starts),),
        pending_p99=(series(dict.fromkeys(starts, pending_s)),),
    )
    return ("ReceiverCapacity", Leg.REQUEST), seen


def mark(means: Means, minutes: float, item: str = "", batch: str = "B", **more: object) -> Mark:
    numbers = {k: v for k, v in more.items() if isinstance(v, int)}
    words = {k: v for k, v in more.items() if isinstance(v, str)}
    return Mark(
        means=means, at=ago(minutes), service="s", batch=batch, item=item, trace="t", numbers=numbers, words=words
    )


def batch(items: int, published: int | None = None, *more: Mark) -> Evidence:
    count = items if published is None else published
    marks = (
        mark(Means.RECEIVED, BEGAN, batch=""),
        mark(Means.CREATED, BEGAN, expected=items),
        *more,
        mark(Means.PUBLISHED, BEGAN - 0.5, count=count, of=items, failed=items - count),
    )
    return BatchMarks(source=SOURCE, marks=marks)


def done(*items: str, minutes: float = 35) -> list[Mark]:
    return [mark(m, minutes, i) for i in items for m in (Means.STARTED_ITEM, Means.DONE_ITEM)]


def failed(item: str, *minutes: float, batch: str = "B") -> list[Mark]:
    return [mark(m, at, item, batch) for at in minutes for m in (Means.STARTED_ITEM, Means.FAILED_ITEM)]


def lines(*marks: Mark, whole: bool = True) -> Evidence:
    ordered = tuple(sorted(marks, key=lambda m: m.at))
    return ItemMarks(source=SOURCE if whole else CUT, since=ago(BEGAN + 20), marks=ordered)


def unseen(kind: str, leg: Leg | None = Leg.REQUEST) -> Legged:
    return (kind, leg), Unseen(what=kind, leg=leg, why=Why.PERMISSION_DENIED, says=f"{kind} may not be read")


def findings(
    step: Step, *found: Evidence | Legged, leg: Leg = Leg.REQUEST, profile: PipelineProfile = PROFILE
) -> list[Finding]:
    seen: dict[Key, Evidence | Unseen] = {}
    for one in found:
        if isinstance(one, tuple):
            seen[one[0]] = one[1]
        else:
            seen[(type(one).__name__, None)] = one
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    said = run([step], evidence, build(evidence, profile), profile, [leg]).findings
    return list(said)


def of(code: AnyCode, said: list[Finding]) -> list[Finding]:
    return [f for f in said if f.code == code.name]


def one(code: AnyCode, said: list[Finding]) -> Finding:
    (found,) = of(code, said)
    return found
