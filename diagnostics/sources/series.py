"""Time series from Cloud Monitoring: what is asked, how it is aligned, and what becomes of the reply.

Kinds, units and delays of the metrics: docs.cloud.google.com/monitoring/api/metrics_gcp_p_z (list of 2026-04-10).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from diagnostics.evidence.model import Point, Provenance, Series, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.transport.call import NotThere, Pages, pages
from diagnostics.transport.rpcs import TIME_SERIES
from diagnostics.transport.session import Session, together

PUBSUB, RUN = "pubsub.googleapis.com", "run.googleapis.com"
KEPT = timedelta(weeks=6)
"""How long the metrics of Google Cloud services are kept at the least (cloud.google.com/monitoring/quotas)."""
PAGE_SIZE = 100_000
"""Points a page; the largest that Google takes."""


class Query(NamedTuple):
    """One metric, aligned and reduced on Google's side."""

    metric: str
    aligner: str
    reducer: str = "REDUCE_SUM"
    by: tuple[str, ...] = ()
    """Labels to keep: metric labels by name, resource labels as resource.<name>."""
    scale: float = 1.0
    """From the metric's unit to ours: 1e-6 from microseconds, 1e-3 from milliseconds."""
    delay_s: int = 120
    """"After sampling, data is not visible for up to" this long."""
    beside: bool = False
    """Whether the other queries of its fetch say something without it: then it may fail alone."""

    def aside(self) -> Query:
        return self._replace(beside=True)


class Resource(NamedTuple):
    """The monitored resource whose series are asked for."""

    project: str
    type: str
    labels: tuple[tuple[str, str], ...]


class Span(NamedTuple):
    """Begin, end and length of a point in seconds."""

    since: datetime
    until: datetime
    step_s: int


class Fetched(NamedTuple):
    series: list[tuple[Series, ...]]
    """In the order of the queries."""
    source: Provenance


def counts(metric: str, *by: str, delay_s: int = 120) -> Query:
    """A DELTA count, or the number of values in a DELTA distribution."""
    return Query(metric, "ALIGN_DELTA", "REDUCE_SUM", by, delay_s=delay_s)


def gauge(metric: str, *by: str, reducer: str = "REDUCE_MAX", delay_s: int = 120) -> Query:
    return Query(metric, "ALIGN_MAX", reducer, by, delay_s=delay_s)


def percentile(metric: str, share: int, scale: float, delay_s: int = 120) -> Query:
    """The largest percentile of any of the resource's series: of any revision, of any response code."""
    return Query(metric, f"ALIGN_PERCENTILE_{share:02d}", "REDUCE_MAX", (), scale, delay_s)


def fetch(session: Session, resource: Resource, span: Span, *queries: Query) -> Fetched:
    """The series of each query, all asked at once. Raises NotSeen when one of them cannot be seen that the others need.

    A metric of Google's that was never written in the project is not known there (404): its series are empty, and that says no more
    than that nothing was counted until some minutes ago.
    """
    begin, end = _whole(span)
    asked = [
        _settled(query, answer)
        for query, answer in zip(
            queries,
            together(*(partial(_tried, session, resource, query, begin, end, span.step_s) for query in queries)),
            strict=True,
        )
    ]
    limit = session.now - KEPT
    if end < limit and not any(found.items for found in asked):
        raise NotSeen(Why.EXPIRED, f"metrics are kept 6 weeks, and the window ended {end:%Y-%m-%d}")
    short = next((found for found in asked if not found.complete), None)
    slowest = max(query.delay_s for query in queries)
    if all(found.note.startswith(NEVER) for found in asked):
        slowest = max(slowest, UNKNOWN_FOR_S)
    newest = min(_minute(session.now - timedelta(seconds=slowest)), end)
    return Fetched(
        [tuple(_series(found.items, query)) for query, found in zip(queries, asked, strict=True)],
        Provenance(
            source="Cloud Monitoring",
            query="\n".join(_filter(resource, query) for query in queries),
            by_hand="\n".join(promql(resource, query, span.step_s) for query in queries),
            fetched_at=session.now,
            as_of=newest,
            complete=short is None and (begin >= limit or any(_reach(found) < limit for found in asked)),
            note="; ".join(filter(None, (*_notes(asked), _step_note(span), _lost(begin, limit)))),
        ),
    )


def promql(resource: Resource, query: Query, step_s: int) -> str:
    """A line for Metrics Explorer's PromQL editor that shows the same. Its window holds several of the samples, which are a minute apart:
    Prometheus needs two for an increase."""
    distribution = query.aligner.startswith("ALIGN_PERCENTILE")
    suffix = "_bucket" if distribution else "_count" if query.metric in DISTRIBUTIONS else ""
    labels = (("__name__", query.metric + suffix), ("monitored_resource", resource.type), *resource.labels)
    selector = "{" + ",".join(f'"{name}"="{value}"' for name, value in labels) + "}"
    names = [name.removeprefix("resource.") for name in query.by]
    over = f"{max(step_s // 60, 5)}m"
    if distribution:
        share = int(query.aligner[-2:]) / 100
        return f"histogram_quantile({share:g}, sum by (le) (increase({selector}[{over}])))"
    how = "max" if query.reducer == "REDUCE_MAX" else "sum"
    inner = f"increase({selector}[{over}])" if query.aligner == "ALIGN_DELTA" else f"max_over_time({selector}[{over}])"
    return f"{how} by ({', '.join(names)}) ({inner})" if names else f"{how}({inner})"


NEVER = "nothing was ever counted in this project for "
"""How the note of a metric begins that Cloud Monitoring does not know there."""
UNKNOWN_FOR_S = 600
""""If a metric was created recently, it could take up to 10 minutes to become available", says the 404."""

DISTRIBUTIONS = frozenset({f"{PUBSUB}/topic/message_sizes", f"{RUN}/container/startup_latencies"})
"""Distributions of which only the number of values is read."""


def _ask(session: Session, resource: Resource, query: Query, begin: datetime, end: datetime, step_s: int) -> Pages:
    request = {
        "name": f"projects/{resource.project}",
        "filter": _filter(resource, query),
        "interval": {"start_time": begin, "end_time": end},
        "aggregation": {
            "alignment_period": {"seconds": step_s},
            "per_series_aligner": query.aligner,
            "cross_series_reducer": query.reducer,
            "group_by_fields": [_field(label) for label in query.by],
        },
        "page_size": PAGE_SIZE,
    }
    return pages(session, TIME_SERIES, request, "time_series", most=5)


def _tried(
    session: Session, resource: Resource, query: Query, begin: datetime, end: datetime, step_s: int
) -> Pages | NotSeen:
    """What came of a query, so that one that fails does not take the others along."""
    try:
        return _ask(session, resource, query, begin, end, step_s)
    except NotThere:
        return Pages([], note=f"{NEVER}{query.metric}")
    except NotSeen as failed:
        return failed


def _settled(query: Query, answer: Pages | NotSeen) -> Pages:
    """Raises NotSeen where the others are nothing without it."""
    if not isinstance(answer, NotSeen):
        return answer
    if not query.beside:
        raise answer
    return Pages([], False, f"{query.metric} could not be seen: {answer.says}")


def _notes(asked: Iterable[Pages]) -> Iterable[str]:
    """What to say of the answers, the same things once."""
    return dict.fromkeys(found.note for found in asked if found.note)


def _filter(resource: Resource, query: Query) -> str:
    labels = [f'resource.labels.{name}="{value}"' for name, value in resource.labels]
    return " AND ".join([f'metric.type="{query.metric}"', f'resource.type="{resource.type}"', *labels])


def _field(label: str) -> str:
    return (
        f"resource.labels.{label.removeprefix('resource.')}"
        if label.startswith("resource.")
        else f"metric.labels.{label}"
    )


def _series(found: Iterable[Any], query: Query) -> Iterable[Series]:
    for series in found:
        labels = {**series.metric.labels, **series.resource.labels}
        points = [_point(point, query.scale) for point in series.points]
        yield Series(
            labels={
                label.removeprefix("resource."): labels.get(label.removeprefix("resource."), "") for label in query.by
            },
            points=tuple(sorted(points, key=lambda p: p.end)),  # Google answers newest first
        )


def _point(point: Any, scale: float) -> Point:
    kind = point.value.WhichOneof("value")
    value = getattr(point.value, kind)
    end = _time(point.interval.end_time)
    return Point(
        start=_time(point.interval.start_time) if point.interval.HasField("start_time") else end,
        end=end,
        value=float(value.count if kind == "distribution_value" else value) * scale,
    )


def _time(stamp: Any) -> datetime:
    return datetime.fromtimestamp(stamp.seconds, UTC)


def _whole(span: Span) -> tuple[datetime, datetime]:
    """The span as whole steps that end at a whole minute."""
    end = _minute(span.until)
    steps = max(1, -int((span.since - end).total_seconds() // span.step_s))
    return end - timedelta(seconds=steps * span.step_s), end


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _reach(found: Pages) -> datetime:
    """Where the oldest of these points lies; the far future without any."""
    ends = (_time(point.interval.end_time) for series in found.items for point in series.points)
    return min(ends, default=datetime.max.replace(tzinfo=UTC))


def _lost(begin: datetime, limit: datetime) -> str:
    return f"points before {limit:%Y-%m-%dT%H:%MZ} may no longer be kept" if begin < limit else ""


def _step_note(span: Span) -> str:
    return "" if span.step_s in (60, 3600) else f"a point every {span.step_s // 60} minutes, because the window is long"
