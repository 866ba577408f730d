"""Numbers over time: backlog, pushes, latency, instances and progress, as charts that can also be read as tables."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    Evidence,
    Leg,
    Means,
    Point,
    PushCounts,
    PushLatencies,
    ReceiverCapacity,
    Series,
)
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Chart, Line, Moment
from diagnostics.steps.words import span

COLUMNS = 120
"""At most so many times a chart."""
_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
MOST_LINES = 6
"""At most so many curves a chart."""

Points = dict[str, Sequence[Point]]


class Axis:
    """The times that all charts share: equal steps from the begin to the end, each named by its end."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        length = max((end - begin).total_seconds(), 60.0)
        self.step_s = next((s for s in _STEPS if length / s <= COLUMNS), math.ceil(length / COLUMNS / 86400) * 86400)
        first = math.floor(begin.timestamp() / self.step_s) * self.step_s
        columns = math.ceil((end.timestamp() - first) / self.step_s)
        self.begin = datetime.fromtimestamp(first, begin.tzinfo)
        self.times = tuple(self.begin + timedelta(seconds=self.step_s * (n + 1)) for n in range(columns))

    def column(self, at: datetime) -> int | None:
        """The column whose step, its end included, holds this moment."""
        column = math.ceil((at - self.begin).total_seconds() / self.step_s) - 1
        return column if 0 <= column < len(self.times) else None

    def line(self, name: str, points: Iterable[Point], adds: bool) -> Line:
        values: list[float | None] = [None] * len(self.times)
        for point in points:
            column = self.column(point.end)
            if column is not None and math.isfinite(point.value):
                held = values[column]
                values[column] = (
                    point.value if held is None else (held + point.value if adds else max(held, point.value))
                )
        return Line(name=name, values=tuple(values), adds=adds)


def charts(seen: Seen, moments: Iterable[Moment]) -> tuple[Chart, ...]:
    axis = Axis(seen.begin, seen.end)
    leg = seen.leg
    way = "request leg" if leg is Leg.REQUEST else "completion leg"
    marks = tuple(sorted((m.at, m.name.upper()) for m in moments if m.at and axis.column(m.at) is not None))

    def metric(id: str, title: str, unit: str, kind: type[Evidence], points: Points, adds: bool = False) -> Chart:
        chart = _chart(axis, id, f"{title}, {way}", unit, points, marks, adds)
        return chart if chart.lines else _missing(chart, seen.why_not(kind, leg))

    latencies = metric(
        "latency",
        "Push latency against the ack deadline",
        "seconds",
        PushLatencies,
        {"p99": _all(seen.series(PushLatencies, "p99", leg)), "p50": _all(seen.series(PushLatencies, "p50", leg))},
    )
    return (
        metric("backlog", "Unacked messages", "messages", Backlog, {"unacked": _all(seen.series(Backlog, "undelivered", leg))}),
        metric("age", "Age of the oldest unacked message", *_age(seen, leg)),
        metric("pushes", "Pushes by response class", f"pushes in {axis.step_s // 60} min", PushCounts, _by_class(seen, leg), adds=True),
        _with_limit(latencies, seen.ack_deadline_s),
        metric("instances", "Instances and cold starts of the receiving service", "instances", ReceiverCapacity, _capacity(seen, leg)),
        _progress(seen, axis, marks),
    )  # fmt: skip


def thinned(chart: Chart, most: int) -> Chart:
    """The chart with at most so many times: neighbours put together."""
    share = math.ceil(len(chart.times) / most) if most else 1
    if share <= 1:
        return chart
    groups = [range(at, min(at + share, len(chart.times))) for at in range(0, len(chart.times), share)]
    lines = tuple(
        Line(name=line.name, values=tuple(_together(line, group) for group in groups), adds=line.adds)
        for line in chart.lines
    )
    return Chart(
        id=chart.id,
        title=chart.title,
        unit=chart.unit.replace(f"{chart.step_s // 60} min", f"{chart.step_s * share // 60} min"),
        says=chart.says,
        times=tuple(chart.times[group[-1]] for group in groups),
        step_s=chart.step_s * share,
        lines=lines,
        limit=chart.limit,
        limit_name=chart.limit_name,
        marks=chart.marks,
        missing=chart.missing,
    )


def _together(line: Line, group: range) -> float | None:
    values = [v for v in (line.values[at] for at in group) if v is not None]
    return None if not values else sum(values) if line.adds else max(values)


def _chart(
    axis: Axis, id: str, title: str, unit: str, points: Points, marks: tuple[tuple[datetime, str], ...], adds: bool
) -> Chart:
    largest = sorted(points.items(), key=lambda found: -sum(p.value for p in found[1] if math.isfinite(p.value)))
    lines = [axis.line(name, found, adds) for name, found in largest[:MOST_LINES]]
    lines = [line for line in lines if any(v is not None for v in line.values)]
    return Chart(
        id=id,
        title=title,
        unit=unit,
        says=" ".join(map(_tells(axis.times), lines)),
        times=axis.times,
        step_s=axis.step_s,
        lines=tuple(lines),
        marks=marks,
    )


def _missing(chart: Chart, why: str) -> Chart:
    return Chart(id=chart.id, title=chart.title, unit=chart.unit, says="", step_s=chart.step_s, missing=why)


def _with_limit(chart: Chart, limit: float | None) -> Chart:
    if limit is None or chart.missing:
        return chart
    over = any(v is not None and v > limit for line in chart.lines for v in line.values)
    says = f"{chart.says} The ack deadline is {span(limit)}; {'it was exceeded' if over else 'no value that was seen exceeds it'}."
    return Chart(
        id=chart.id, title=chart.title, unit=chart.unit, says=says, times=chart.times, step_s=chart.step_s,
        lines=chart.lines, limit=limit, limit_name=f"ack deadline {span(limit)}", marks=chart.marks,
    )  # fmt: skip


def _tells(times: Sequence[datetime]) -> Callable[[Line], str]:
    def tells(line: Line) -> str:
        seen = [(v, at) for v, at in zip(line.values, times, strict=True) if v is not None]
        most, at = max(seen, key=lambda found: found[0])
        last, until = seen[-1]
        blind = len(times) - len(seen)
        gaps = f", no data in {blind} of {len(times)} steps" if blind else ""
        return f"{line.name}: at most {number(most)} ({at:%H:%M}Z), last {number(last)} ({until:%H:%M}Z){gaps}."

    return tells


def number(value: float | None) -> str:
    """A value as people write it; a dash where nothing was seen."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2g}"


def _all(series: Iterable[Series]) -> list[Point]:
    return [p for s in series for p in s.points]


def _age(seen: Seen, leg: Leg) -> tuple[str, type[Evidence], Points]:
    """In minutes, or in hours where it comes to many."""
    points = _all(seen.series(Backlog, "oldest_age_s", leg))
    unit, length = ("hours", 3600) if max((p.value for p in points), default=0) > 10 * 3600 else ("minutes", 60)
    return unit, Backlog, {"oldest": [Point(start=p.start, end=p.end, value=p.value / length) for p in points]}


def _by_class(seen: Seen, leg: Leg) -> Points:
    found: dict[str, list[Point]] = defaultdict(list)
    for one in seen.series(PushCounts, "series", leg):
        found[one.labels.get("response_class") or "no class"] += one.points
    return dict(found)


def _capacity(seen: Seen, leg: Leg) -> Points:
    states: Points = {
        f"{one.labels.get('state', 'all')} instances": one.points
        for one in seen.series(ReceiverCapacity, "instances", leg)
    }
    starts = _all(seen.series(ReceiverCapacity, "startups", leg))
    return {**states, "cold starts": starts} if starts else states


def _progress(seen: Seen, axis: Axis, marks: tuple[tuple[datetime, str], ...]) -> Chart:
    """How many items had been done and recorded by each time."""
    title, unit = "Progress of the batch", "items"
    expected = seen.worst.batch.expected if seen.worst.batch else None
    lines = []
    for means, name in ((Means.DONE_ITEM, "done by the worker"), (Means.RECORDED_ITEM, "recorded by the coordinator")):
        first: dict[str, datetime] = {}
        for mark in seen.items:
            if mark.means is means and mark.item:
                first.setdefault(mark.item, mark.at)
        if first:
            lines.append(Line(name=name, values=tuple(_so_far(axis, sorted(first.values()), seen))))
    if not lines:
        return Chart(
            id="progress", title=title, unit=unit, says="", missing="no line names an item of it that got done"
        )
    reached = max(v for line in lines for v in line.values if v is not None)
    of = f" of {expected}" if expected is not None else ""
    return Chart(
        id="progress", title=title, unit=unit, says=f"{number(reached)}{of} items by the last look.",
        times=axis.times, step_s=axis.step_s, lines=tuple(lines),
        limit=float(expected) if expected is not None else None,
        limit_name=f"expected {expected}" if expected is not None else "", marks=marks,
    )  # fmt: skip


def _so_far(axis: Axis, times: Sequence[datetime], seen: Seen) -> Iterator[float | None]:
    """The count at each time from the begin of the batch on; none before it."""
    for end in axis.times:
        if seen.started is not None and end < seen.started:
            yield None
        else:
            yield float(bisect_right(times, end))
