"""Raw time series as Monitoring would hold them at a moment: a sample a minute, late, with gaps, absent where nothing happened."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from diagnostics.lab.telemetry.metrics import RETENTION_S, SAMPLE_PERIOD_S, Kind, Metric, Type
from diagnostics.lab.telemetry.store import (
    DeltaSeries,
    GaugeSeries,
    Histogram,
    HistogramSeries,
    StoredSeries,
    Telemetry,
    minute_of,
)
from diagnostics.lab.unverified import Unverified

Value = float | Histogram


@dataclass(frozen=True, slots=True)
class Point:
    """The value over (start, end], or at end for a gauge (start = end)."""

    start: float
    end: float
    value: Value


@dataclass(frozen=True)
class TimeSeries:
    """One series as it is returned; points oldest first."""

    resource: dict[str, str]
    labels: dict[str, str]
    kind: Kind
    value: Type
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Window:
    """The half-open interval (start, end] of a read, and the moment at which it is made."""

    start: float
    end: float
    now: float


Selects = Callable[[dict[str, str], dict[str, str]], bool]
"""Whether a series with these resource labels and metric labels is wanted."""


def raw_series(
    telemetry: Telemetry, metric: Metric, selects: Selects, window: Window, unverified: Unverified
) -> list[TimeSeries]:
    """The series of a metric that have a point in the window, as raw points."""
    visible_end = min(window.end, window.now - metric.delay_s)
    start = max(window.start, window.now - RETENTION_S)
    found = []
    for stored in telemetry.metrics.get(metric.type, {}).values():
        if selects(stored.resource, stored.labels):
            points = tuple(_points(metric, stored, start, visible_end, unverified))
            if points:
                found.append(TimeSeries(stored.resource, stored.labels, metric.kind, metric.value, points))
    return sorted(found, key=lambda s: (sorted(s.resource.items()), sorted(s.labels.items())))


def _points(metric: Metric, stored: StoredSeries, start: float, end: float, unverified: Unverified) -> Iterable[Point]:
    if isinstance(stored, GaugeSeries):
        return _gauge(stored, start, end, _Gaps(metric, stored, unverified.gap_share))
    if isinstance(stored, DeltaSeries):
        return _binned(stored.bins, 0.0, start, end, unverified.zero_points_min)
    assert isinstance(stored, HistogramSeries)
    return _binned(stored.bins, Histogram(), start, end, unverified.zero_points_min)


def _gauge(stored: GaugeSeries, start: float, end: float, gaps: _Gaps) -> Iterator[Point]:
    if not stored.times:
        return
    first = max(minute_of(start), minute_of(stored.times[0]) - 1)
    minutes = range(first + 1, minute_of(end) + 1)
    moments = [float(minute * SAMPLE_PERIOD_S) for minute in minutes]
    for minute, moment, value in zip(minutes, moments, stored.over(moments), strict=True):
        if value is not None and not gaps.at(minute):
            yield Point(moment, moment, value)


def _binned(
    bins: dict[int, float] | dict[int, Histogram], zero: Value, start: float, end: float, zeros: int
) -> Iterator[Point]:
    """Points of the minutes in which something happened, and zeros for some minutes after each."""
    first, last = minute_of(start), minute_of(end) - 1
    until = -1
    """Last minute that still gets a zero."""
    position = first
    for minute in sorted(m for m in bins if first - zeros <= m <= last):
        for quiet in range(position, min(minute, until + 1)):
            yield _minute(quiet, zero)
        if minute >= first:
            yield _minute(minute, bins[minute])
        position, until = max(first, minute + 1), minute + zeros
    for quiet in range(position, min(last, until) + 1):
        yield _minute(quiet, zero)


def _minute(minute: int, value: Value) -> Point:
    start = float(minute * SAMPLE_PERIOD_S)
    return Point(start, start + SAMPLE_PERIOD_S, value)


class _Gaps:
    """Which minutes of a gauge have no point: always the same ones for the same series."""

    def __init__(self, metric: Metric, stored: StoredSeries, share: float) -> None:
        self._limit = int(share * 2**32)
        self._salt = zlib.crc32(
            repr((metric.type, sorted(stored.resource.items()), sorted(stored.labels.items()))).encode()
        )

    def at(self, minute: int) -> bool:
        return zlib.crc32(str(minute).encode(), self._salt) < self._limit
