"""The recording half of telemetry: everything that happened, kept small.

DELTA metrics are bins of a minute, distributions are sparse histograms of a minute, gauges are steps; log entries are kept by
log id. Nothing here knows what time it is or who may see what: that is decided when a series or a log is read.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from diagnostics.lab.recorder import Labels, LogEntry
from diagnostics.lab.telemetry.logs import Log
from diagnostics.lab.telemetry.metrics import METRICS, RESOURCES, SAMPLE_PERIOD_S, Kind, Metric, Type


class Telemetry:
    """Implements `Recorder`. Refuses what the metric table does not hold: a wrong name must not become a silent blind spot."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[SeriesKey, StoredSeries]] = {}
        """Metric type to its series."""
        self._logs: dict[str, Log] = {}
        self._written = 0

    def count(self, metric: str, resource: Labels, labels: Labels, at: float, n: float = 1) -> None:
        series = self._series(metric, resource, labels)
        if not isinstance(series, DeltaSeries):
            raise ValueError(f"{metric} is not a count")
        series.add(at, n)

    def observe(self, metric: str, resource: Labels, labels: Labels, at: float, value: float) -> None:
        series = self._series(metric, resource, labels)
        if not isinstance(series, HistogramSeries):
            raise ValueError(f"{metric} is not a distribution")
        series.add(at, value)

    def level(self, metric: str, resource: Labels, labels: Labels, at: float, value: float | None) -> None:
        self._gauge(metric, resource, labels).step(at, value)

    def age_of_oldest(self, metric: str, resource: Labels, labels: Labels, at: float, born: float | None) -> None:
        self._gauge(metric, resource, labels).step(at, 0.0 if born is None else Since(born))

    def log(self, entry: LogEntry) -> None:
        self._written += 1
        if not entry.insert_id:
            entry.insert_id = f"{self._written:016x}"
        log = self._logs.get(entry.log)
        if log is None:
            log = self._logs[entry.log] = Log()
        log.append(entry)

    def log_ids(self) -> list[str]:
        return sorted(self._logs)

    def log_entries(self, log: str) -> Log:
        """Entries of one log, ordered by timestamp, then insert id."""
        return self._logs.get(log) or Log()

    def _gauge(self, metric: str, resource: Labels, labels: Labels) -> GaugeSeries:
        series = self._series(metric, resource, labels)
        if not isinstance(series, GaugeSeries):
            raise ValueError(f"{metric} is not a gauge")
        return series

    def _series(self, metric: str, resource: Labels, labels: Labels) -> StoredSeries:
        key = (tuple(resource.items()), tuple(labels.items()))
        known = self.metrics.get(metric)
        if known is None:
            known = self.metrics[metric] = {}
        series = known.get(key)
        if series is None:
            series = known[key] = _new(metric, resource, labels)
        return series


SeriesKey = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]


def _new(name: str, resource: Labels, labels: Labels) -> StoredSeries:
    metric = METRICS.get(name)
    if metric is None:
        raise ValueError(f"no metric {name}: see lab/telemetry/metrics.py")
    unknown = [*(set(resource) - set(RESOURCES[metric.resource])), *(set(labels) - set(metric.labels))]
    if unknown:
        raise ValueError(f"{name} has no label {', '.join(sorted(unknown))}")
    full_resource = {k: resource.get(k, "") for k in RESOURCES[metric.resource]}
    full_labels = {k: labels.get(k, "") for k in metric.labels}
    return _shape(metric)(full_resource, full_labels)


def _shape(metric: Metric) -> type[StoredSeries]:
    if metric.kind is Kind.GAUGE:
        return GaugeSeries
    return HistogramSeries if metric.value is Type.DISTRIBUTION else DeltaSeries


@dataclass
class StoredSeries:
    """What is kept of one time series: its labels, complete; values are in the subclasses."""

    resource: dict[str, str]
    labels: dict[str, str]


def minute_of(at: float) -> int:
    """Index of the minute [60 m, 60 m + 60) that a moment falls into."""
    return int(at // SAMPLE_PERIOD_S)


@dataclass
class DeltaSeries(StoredSeries):
    bins: dict[int, float] = field(default_factory=dict)

    def add(self, at: float, n: float) -> None:
        minute = minute_of(at)
        self.bins[minute] = self.bins.get(minute, 0.0) + n


@dataclass
class HistogramSeries(StoredSeries):
    bins: dict[int, Histogram] = field(default_factory=dict)

    def add(self, at: float, value: float) -> None:
        minute = minute_of(at)
        histogram = self.bins.get(minute)
        if histogram is None:
            histogram = self.bins[minute] = Histogram()
        histogram.add(value)


@dataclass(frozen=True, slots=True)
class Since:
    """A gauge value that grows: seconds since a moment."""

    born: float


def _sample_after(at: float) -> int:
    """Index of the minute at whose end a gauge's value of this moment is sampled first."""
    return -int(-at // SAMPLE_PERIOD_S)


@dataclass
class GaugeSeries(StoredSeries):
    """Of each sample period the last value, which is what a sample shows."""

    times: array[float] = field(default_factory=lambda: array("d"))
    values: list[float | Since | None] = field(default_factory=list)

    def step(self, at: float, value: float | Since | None) -> None:
        if self.times and at < self.times[-1]:
            place = bisect_right(self.times, at)
            self.times.insert(place, at)
            self.values.insert(place, value)
        elif self.times and at == self.times[-1]:
            self.values[-1] = value
        elif not self.values or self.values[-1] != value:
            if self.times and _sample_after(at) == _sample_after(self.times[-1]):
                self.times[-1], self.values[-1] = at, value  # no sample shows the one before
                return
            self.times.append(at)
            self.values.append(value)

    def at(self, moment: float) -> float | None:
        """The value at a moment; None where the series is absent."""
        return next(self.over([moment]))

    def over(self, moments: Sequence[float]) -> Iterator[float | None]:
        """The value at each of these moments, which come in order of time."""
        after = bisect_right(self.times, moments[0]) if moments else 0
        for moment in moments:
            while after < len(self.times) and self.times[after] <= moment:
                after += 1
            value = self.values[after - 1] if after else None
            yield max(0.0, moment - value.born) if isinstance(value, Since) else value


SCALE, GROWTH, FINITE_BUCKETS = 0.001, 1.1, 320
"""Exponential buckets wide enough for every unit: 0.001 to 1.7e10. Google's own layouts differ by metric and are not documented."""
_LOG_GROWTH = math.log(GROWTH)


@dataclass(slots=True)
class Histogram:
    """A distribution over exponential buckets; bucket 0 is below SCALE."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.squares += value * value
        bucket = 0 if value < SCALE else min(FINITE_BUCKETS + 1, 1 + int(math.log(value / SCALE) / _LOG_GROWTH))
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: Histogram) -> None:
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        for bucket, n in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + n

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def sum_of_squared_deviation(self) -> float:
        return max(0.0, self.squares - self.count * self.mean**2)

    def percentile(self, share: float) -> float:
        """Value below which `share` (0 to 1) of the values lie, interpolated inside its bucket as Google does. Needs a value."""
        wanted, below = share * self.count, 0
        for bucket in sorted(self.buckets):
            n = self.buckets[bucket]
            if below + n >= wanted:
                low, high = bounds(bucket)
                return low + (high - low) * max(0.0, wanted - below) / n
            below += n
        raise ValueError("no percentile of nothing")


def bounds(bucket: int) -> tuple[float, float]:
    low = 0.0 if bucket == 0 else SCALE * GROWTH ** (bucket - 1)
    return low, SCALE * GROWTH**bucket
