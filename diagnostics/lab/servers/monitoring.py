"""google.monitoring.v3 MetricService: time series and metric descriptors."""

from __future__ import annotations

from typing import Any

from google.api import metric_pb2
from google.cloud.monitoring_v3 import types

from diagnostics.lab.query import monitoring as query
from diagnostics.lab.query.tokens import FilterError
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import RpcError, denied, invalid, not_found
from diagnostics.lab.servers.pages import next_token, read_cursor, slice_page
from diagnostics.lab.telemetry.align import Aggregation, RefusedError, aggregate, check
from diagnostics.lab.telemetry.metrics import METRICS, RESOURCES, SAMPLE_PERIOD_S, Metric, Type
from diagnostics.lab.telemetry.series import Point, Selects, TimeSeries, Window, raw_series
from diagnostics.lab.telemetry.store import FINITE_BUCKETS, GROWTH, SCALE, Histogram

MAX_POINTS = 100_000
RETENTION_S = 42 * 86400.0
"""Metrics of Google Cloud services are kept six weeks (cloud.google.com/monitoring/quotas)."""
FULL = types.ListTimeSeriesRequest.TimeSeriesView.FULL
PointMessage = types.Point.pb()
TimeSeriesMessage = types.TimeSeries.pb()


def list_time_series(cloud: Cloud, request: Any) -> Any:
    """The series that the filter selects, points newest first. A page holds whole or cut series, counted in points."""
    home = _project(cloud, request.name)
    if request.order_by:
        raise invalid("Field orderBy had an invalid value: it must be left blank.")
    if request.HasField("secondary_aggregation"):
        raise invalid("Field secondaryAggregation is not supported here.")
    asked = _aggregation(request)
    metric, wanted = _metric(request.filter)
    same = (request.name, request.filter, str(request.aggregation), str(request.interval), str(request.view))
    cursor = read_cursor(request.page_token, *same)
    done, now = cursor.place or (0, cloud.lab.now())
    window = _window(request, now)
    if cloud.lab.unverified.metrics_begin_unknown and not _written(cloud, metric, home):
        raise _unknown(metric.type)
    try:
        check(metric, asked)
        raw = raw_series(cloud.telemetry, metric, _selects(wanted, home), window, cloud.lab.unverified)
        series = aggregate(metric, raw, asked, window)
    except RefusedError as error:
        raise invalid(str(error)) from error
    size = _page_size(request)
    full = request.view == FULL
    messages, taken, left = _page(metric, series, done, size, full)
    response = types.ListTimeSeriesResponse.pb()(time_series=messages, unit=metric.unit)
    if left:
        response.next_page_token = next_token(cursor, (done + taken, now), *same)
    return response


def get_metric_descriptor(cloud: Cloud, request: Any) -> Any:
    project, _, name = request.name.partition("/metricDescriptors/")
    _project(cloud, project)
    return _descriptor(cloud, _known_metric(name))


def list_metric_descriptors(cloud: Cloud, request: Any) -> Any:
    _project(cloud, request.name)
    try:
        matches = query.parse_descriptor_filter(request.filter)
    except FilterError as error:
        raise invalid(str(error)) from error
    found = [METRICS[name] for name in sorted(METRICS) if matches(name)]
    page, token = slice_page(found, request.page_size, request.page_token, request.name, request.filter)
    descriptors = [_descriptor(cloud, m) for m in page]
    return types.ListMetricDescriptorsResponse.pb()(metric_descriptors=descriptors, next_page_token=token)


# --- what is asked ---------------------------------------------------------------------------------------------------


def _selects(wanted: query.MetricQuery, home: str) -> Selects:
    """What the filter selects, of the project's own."""
    return lambda resource, labels: resource["project_id"] == home and wanted.selects(resource, labels)


def _project(cloud: Cloud, name: str) -> str:
    """Its id."""
    (project,) = split_name(name, "projects/*", invalid("Field name had an invalid value: expected projects/PROJECT."))
    if not cloud.world.id_of(project):
        raise denied("google.monitoring.v3.MetricService", "monitoring.timeSeries.list", name)
    return cloud.world.id_of(project)


def _known_metric(name: str) -> Metric:
    metric = METRICS.get(name)
    if metric is None:
        raise _unknown(name)
    return metric


def _unknown(name: str) -> RpcError:
    return not_found(
        f'Cannot find metric(s) that match type = "{name}". If a metric was created recently, '
        "it could take up to 10 minutes to become available. Please try again soon."
    )


def _written(cloud: Cloud, metric: Metric, home: str) -> bool:
    """Whether the project has any series of the metric, of whatever resource and time."""
    return any(s.resource["project_id"] == home for s in cloud.telemetry.metrics.get(metric.type, {}).values())


def _metric(text: str) -> tuple[Metric, query.MetricQuery]:
    try:
        wanted = query.parse(text)
    except FilterError as error:
        raise invalid(str(error)) from error
    metric = _known_metric(wanted.metric)
    known = {
        *(("metric", name) for name in metric.labels),
        *(("resource", name) for name in RESOURCES[metric.resource]),
    }
    if wanted.resource not in ("", metric.resource) or not wanted.labels <= known:
        raise invalid(
            "The supplied filter does not specify a valid combination of metric and monitored resource descriptors. "
            "The query will not return any time series."
        )
    return metric, wanted


def _aggregation(request: Any) -> Aggregation:
    asked = request.aggregation
    try:
        aligner = types.Aggregation.Aligner(asked.per_series_aligner).name
        reducer = types.Aggregation.Reducer(asked.cross_series_reducer).name
    except ValueError as error:
        raise invalid("Field aggregation had an invalid value.") from error
    period = asked.alignment_period.seconds + asked.alignment_period.nanos / 1e9
    return Aggregation(aligner, period, reducer, tuple(asked.group_by_fields))


def _window(request: Any, now: float) -> Window:
    """The half-open interval of the read; google.monitoring.v3.TimeInterval says that both ends must be given."""
    interval = request.interval
    if not interval.HasField("end_time") or not interval.HasField("start_time"):
        raise invalid("Field interval had an invalid value: startTime and endTime must be specified.")
    start = interval.start_time.ToNanoseconds() / 1e9
    end = interval.end_time.ToNanoseconds() / 1e9
    if start >= end:
        raise invalid("Field interval had an invalid value: the start time must be earlier than the end time.")
    return Window(min(max(start, now - RETENTION_S), end), end, now)


def _page_size(request: Any) -> int:
    if request.page_size < 0:
        raise invalid("Field pageSize had an invalid value: it must not be negative.")
    return min(request.page_size or MAX_POINTS, MAX_POINTS)


# --- messages --------------------------------------------------------------------------------------------------------


def _page(metric: Metric, series: list[TimeSeries], done: int, size: int, full: bool) -> tuple[list[Any], int, bool]:
    """Messages of one page, how many points (headers: series) it holds, and whether more are left."""
    if not full:
        page = series[done : done + size]
        return [_message(metric, s, ()) for s in page], len(page), done + size < len(series)
    messages = []
    taken, before = 0, 0
    for s in series:
        newest_first = s.points[::-1]
        cut = newest_first[max(0, done - before) :][: size - taken]
        if cut:
            messages.append(_message(metric, s, cut))
        taken += len(cut)
        before += len(newest_first)
    return messages, taken, done + taken < before


def _message(metric: Metric, series: TimeSeries, points: tuple[Point, ...]) -> Any:
    return TimeSeriesMessage(
        metric={"type": metric.type, "labels": series.labels},
        resource={"type": metric.resource, "labels": series.resource},
        metric_kind=series.kind.value,
        value_type=series.value.value,
        points=[_point(series, p) for p in points],
        unit=metric.unit,
    )


def _point(series: TimeSeries, point: Point) -> Any:
    message = PointMessage()
    message.interval.end_time.FromNanoseconds(round(point.end * 1e6) * 1000)
    message.interval.start_time.FromNanoseconds(round(point.start * 1e6) * 1000)
    if isinstance(point.value, Histogram):
        _fill_distribution(message.value.distribution_value, point.value)
    elif series.value is Type.INT64:
        message.value.int64_value = round(point.value)
    elif series.value is Type.BOOL:
        message.value.bool_value = point.value > 0
    else:
        message.value.double_value = point.value
    return message


def _fill_distribution(message: Any, histogram: Histogram) -> None:
    message.count = histogram.count
    message.mean = histogram.mean
    message.sum_of_squared_deviation = histogram.sum_of_squared_deviation
    layout = message.bucket_options.exponential_buckets
    layout.num_finite_buckets, layout.growth_factor, layout.scale = FINITE_BUCKETS, GROWTH, SCALE
    if histogram.buckets:
        message.bucket_counts.extend(histogram.buckets.get(i, 0) for i in range(max(histogram.buckets) + 1))


def _descriptor(cloud: Cloud, metric: Metric) -> Any:
    message = metric_pb2.MetricDescriptor(
        name=f"projects/{cloud.world.project}/metricDescriptors/{metric.type}",
        type=metric.type,
        labels=[{"key": name} for name in metric.labels],
        metric_kind=metric.kind.value,
        value_type=metric.value.value,
        unit=metric.unit,
        launch_stage=metric.stage,
        monitored_resource_types=[metric.resource],
    )
    message.metadata.launch_stage = message.launch_stage
    message.metadata.sample_period.seconds = SAMPLE_PERIOD_S
    message.metadata.ingest_delay.seconds = int(metric.delay_s)
    return message


SERVICE = "google.monitoring.v3.MetricService"

METHODS: tuple[Method, ...] = (
    Method(
        f"{SERVICE}/ListTimeSeries",
        types.ListTimeSeriesRequest.pb(),
        list_time_series,
        "monitoring.timeSeries.list",
        lambda r: r.filter,
    ),
    Method(
        f"{SERVICE}/GetMetricDescriptor",
        types.GetMetricDescriptorRequest.pb(),
        get_metric_descriptor,
        "monitoring.metricDescriptors.get",
        lambda r: r.name,
    ),
    Method(
        f"{SERVICE}/ListMetricDescriptors",
        types.ListMetricDescriptorsRequest.pb(),
        list_metric_descriptors,
        "monitoring.metricDescriptors.list",
        lambda r: r.name,
    ),
)
