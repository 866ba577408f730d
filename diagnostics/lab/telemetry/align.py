"""Alignment and reduction: the arithmetic of Monitoring's Aggregation, and what it refuses.

Which aligner goes with which kind and type is documented at google.monitoring.v3.Aggregation (Aligner, Reducer). Aligned periods
are counted back from the end of the window (inferred). A raw point belongs to the period in which it ends; a period without
raw points gets no point.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from diagnostics.lab.telemetry.metrics import RESOURCES, Kind, Metric, Type
from diagnostics.lab.telemetry.series import Point, TimeSeries, Value, Window
from diagnostics.lab.telemetry.store import Histogram


class RefusedError(ValueError):
    """An aggregation that Monitoring answers with INVALID_ARGUMENT."""


@dataclass(frozen=True)
class Aggregation:
    """An Aggregation as asked: enum names, the period in seconds."""

    aligner: str = "ALIGN_NONE"
    period_s: float = 0.0
    reducer: str = "REDUCE_NONE"
    group_by: tuple[str, ...] = ()
    """Fields such as metric.labels.response_class."""


def aggregate(metric: Metric, series: Sequence[TimeSeries], asked: Aggregation, window: Window) -> list[TimeSeries]:
    """Align each series, then reduce across them as asked. Raises RefusedError."""
    check(metric, asked)
    if asked.aligner == "ALIGN_NONE":
        return list(series)
    aligned = [found for s in series if (found := _aligned(s, asked, window)).points]
    return aligned if asked.reducer == "REDUCE_NONE" else _reduced(aligned, asked)


# --- what goes with what ---------------------------------------------------------------------------------------------

NUMBERS = {Type.INT64, Type.DOUBLE}
BOTH = {Kind.GAUGE, Kind.DELTA}
PERCENTILES = {"05": 0.05, "50": 0.5, "95": 0.95, "99": 0.99}


@dataclass(frozen=True)
class Rule:
    """What an aligner or reducer takes and makes. `makes` None: the type it was given."""

    kinds: set[Kind]
    types: set[Type]
    makes: Type | None
    stays_delta: bool = False


ALIGNERS: dict[str, Rule] = {
    "ALIGN_NONE": Rule(BOTH, set(Type), None, stays_delta=True),
    "ALIGN_DELTA": Rule({Kind.DELTA}, NUMBERS | {Type.DISTRIBUTION}, None, stays_delta=True),
    "ALIGN_RATE": Rule({Kind.DELTA}, NUMBERS, Type.DOUBLE),
    "ALIGN_NEXT_OLDER": Rule({Kind.GAUGE}, set(Type), None),
    "ALIGN_MIN": Rule(BOTH, NUMBERS, None),
    "ALIGN_MAX": Rule(BOTH, NUMBERS, None),
    "ALIGN_MEAN": Rule(BOTH, NUMBERS, Type.DOUBLE),
    "ALIGN_SUM": Rule(BOTH, NUMBERS | {Type.DISTRIBUTION}, None, stays_delta=True),
    "ALIGN_COUNT": Rule(BOTH, NUMBERS | {Type.BOOL}, Type.INT64),
    "ALIGN_COUNT_TRUE": Rule({Kind.GAUGE}, {Type.BOOL}, Type.INT64),
    "ALIGN_COUNT_FALSE": Rule({Kind.GAUGE}, {Type.BOOL}, Type.INT64),
    "ALIGN_FRACTION_TRUE": Rule({Kind.GAUGE}, {Type.BOOL}, Type.DOUBLE),
    **{f"ALIGN_PERCENTILE_{p}": Rule(BOTH, {Type.DISTRIBUTION}, Type.DOUBLE) for p in PERCENTILES},
}
REDUCERS: dict[str, Rule] = {
    "REDUCE_NONE": Rule(BOTH, set(Type), None, stays_delta=True),
    "REDUCE_SUM": Rule(BOTH, NUMBERS | {Type.DISTRIBUTION}, None, stays_delta=True),
    "REDUCE_MIN": Rule(BOTH, NUMBERS, None),
    "REDUCE_MAX": Rule(BOTH, NUMBERS, None),
    "REDUCE_MEAN": Rule(BOTH, NUMBERS | {Type.DISTRIBUTION}, Type.DOUBLE),
    "REDUCE_COUNT": Rule(BOTH, set(Type), Type.INT64),
    **{f"REDUCE_PERCENTILE_{p}": Rule(BOTH, NUMBERS | {Type.DISTRIBUTION}, Type.DOUBLE) for p in PERCENTILES},
}
MIN_PERIOD_S = 60.0


def check(metric: Metric, asked: Aggregation) -> None:
    """Refuse what Monitoring refuses for a metric of this kind and type. Raises RefusedError."""
    if asked.aligner == "ALIGN_NONE":
        if asked.reducer != "REDUCE_NONE":
            raise RefusedError(
                "The aggregation.perSeriesAligner must be specified and not ALIGN_NONE to use a crossSeriesReducer."
            )
        return
    if asked.period_s < MIN_PERIOD_S:
        raise RefusedError("Field aggregation.alignmentPeriod had an invalid value: it must be at least 60 seconds.")
    kind, value = _takes(ALIGNERS, asked.aligner, metric.kind, metric.value, metric.type)
    _takes(REDUCERS, asked.reducer, kind, value, metric.type)
    unknown = [f for f in asked.group_by if f not in groupable(metric)] if asked.reducer != "REDUCE_NONE" else []
    if unknown:
        raise RefusedError(
            f"The field name '{unknown[0]}' in aggregation.groupByFields is not a label of {metric.type}."
        )


def groupable(metric: Metric) -> set[str]:
    """The fields by which a metric can be grouped, in both spellings that Google takes."""
    labels = [("metric", name) for name in metric.labels] + [("resource", name) for name in RESOURCES[metric.resource]]
    return {"resource.type", *(f"{of}.{word}.{name}" for of, name in labels for word in ("label", "labels"))}


def _takes(rules: dict[str, Rule], name: str, kind: Kind, value: Type, metric: str) -> tuple[Kind, Type]:
    rule = rules.get(name)
    if rule is None:
        raise RefusedError(f"{name} is not supported here.")
    if kind not in rule.kinds or value not in rule.types:
        raise RefusedError(f"{name} cannot be applied to {metric}: metric kind {kind} and value type {value}.")
    return kind if rule.stays_delta else Kind.GAUGE, rule.makes or value


# --- alignment -------------------------------------------------------------------------------------------------------


def _aligned(series: TimeSeries, asked: Aggregation, window: Window) -> TimeSeries:
    kind, value = _takes(ALIGNERS, asked.aligner, series.kind, series.value, "")
    periods: dict[int, list[Value]] = defaultdict(list)
    for point in series.points:
        periods[int((window.end - point.end) // asked.period_s)].append(point.value)
    points = []
    for back, values in sorted(periods.items(), reverse=True):
        result = _align(asked.aligner, values, asked.period_s)
        if result is not None:
            end = window.end - back * asked.period_s
            points.append(Point(end if kind is Kind.GAUGE else end - asked.period_s, end, result))
    return TimeSeries(series.resource, series.labels, kind, value, tuple(points))


def _align(aligner: str, values: list[Value], period_s: float) -> Value | None:
    share = PERCENTILES.get(aligner.removeprefix("ALIGN_PERCENTILE_"))
    if share is not None:
        merged = _sum(values)
        assert isinstance(merged, Histogram)
        return merged.percentile(share) if merged.count else None
    if aligner in ("ALIGN_DELTA", "ALIGN_SUM"):
        return _sum(values)
    if aligner == "ALIGN_NEXT_OLDER":
        return values[-1]
    numbers = [v for v in values if not isinstance(v, Histogram)]
    return NUMERIC_ALIGNERS[aligner](numbers, period_s)


NUMERIC_ALIGNERS: dict[str, Callable[[list[float], float], float]] = {
    "ALIGN_RATE": lambda values, period: sum(values) / period,
    "ALIGN_MIN": lambda values, _: min(values),
    "ALIGN_MAX": lambda values, _: max(values),
    "ALIGN_MEAN": lambda values, _: sum(values) / len(values),
    "ALIGN_COUNT": lambda values, _: len(values),
    "ALIGN_COUNT_TRUE": lambda values, _: sum(v > 0 for v in values),
    "ALIGN_COUNT_FALSE": lambda values, _: sum(v <= 0 for v in values),
    "ALIGN_FRACTION_TRUE": lambda values, _: sum(v > 0 for v in values) / len(values),
}


def _sum(values: Iterable[Value]) -> Value:
    total = 0.0
    merged: Histogram | None = None
    for value in values:
        if isinstance(value, Histogram):
            merged = merged or Histogram()
            merged.merge(value)
        else:
            total += value
    return total if merged is None else merged


# --- reduction -------------------------------------------------------------------------------------------------------


def _reduced(series: list[TimeSeries], asked: Aggregation) -> list[TimeSeries]:
    groups: dict[tuple[tuple[str, str], ...], list[TimeSeries]] = defaultdict(list)
    for s in series:
        groups[tuple((field, _field(s, field)) for field in asked.group_by)].append(s)
    return [_merged(dict(key), members, asked.reducer) for key, members in sorted(groups.items())]


def _merged(group: dict[str, str], members: list[TimeSeries], reducer: str) -> TimeSeries:
    """One series for a group: it keeps the labels it was grouped by, and the project."""
    first = members[0]
    kind, value = _takes(REDUCERS, reducer, first.kind, first.value, "")
    at: dict[float, list[Point]] = defaultdict(list)
    for member in members:
        for point in member.points:
            at[point.end].append(point)
    points = tuple(
        Point(end if kind is Kind.GAUGE else found[0].start, end, _reduce(reducer, [p.value for p in found]))
        for end, found in sorted(at.items())
    )
    resource = {"project_id": first.resource["project_id"], **_grouped(group, "resource")}
    return TimeSeries(resource, _grouped(group, "metric"), kind, value, points)


def _reduce(reducer: str, values: list[Value]) -> Value:
    if reducer == "REDUCE_SUM":
        return _sum(values)
    if reducer == "REDUCE_COUNT":
        return float(len(values))
    merged = _sum(values)
    share = PERCENTILES.get(reducer.removeprefix("REDUCE_PERCENTILE_"))
    if isinstance(merged, Histogram):
        return merged.mean if share is None or not merged.count else merged.percentile(share)
    numbers = sorted(v for v in values if not isinstance(v, Histogram))
    if share is not None:
        return _between(numbers, share)
    return {"REDUCE_MIN": numbers[0], "REDUCE_MAX": numbers[-1], "REDUCE_MEAN": merged / len(numbers)}[reducer]


def _between(numbers: list[float], share: float) -> float:
    position = share * (len(numbers) - 1)
    low = int(position)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (position - low)


def _field(series: TimeSeries, field: str) -> str:
    if field == "resource.type":
        return ""
    of, _, name = field.split(".", 2)
    return (series.labels if of == "metric" else series.resource)[name]


def _grouped(group: dict[str, str], of: str) -> dict[str, str]:
    return {f.split(".", 2)[2]: v for f, v in group.items() if f.startswith(of + ".") and f != "resource.type"}
