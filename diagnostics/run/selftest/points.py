"""What time series look like here: kinds, labels and their values, how late the newest point is, how many minutes have none."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from diagnostics.run.selftest.shape import plain, told
from diagnostics.run.selftest.words import Words

CLOSED = frozenset(
    {
        "response_class", "response_code", "response_code_class", "delivery_type", "state", "criteria", "quota_metric", "status",
        "instance_state",
    }
)  # fmt: skip
"""Labels whose values Google chose: those are shown by their known words, those of all other labels not at all."""
KINDS, TYPES = (
    ("METRIC_KIND_UNSPECIFIED", "GAUGE", "DELTA", "CUMULATIVE"),
    ("VALUE_TYPE_UNSPECIFIED", "BOOL", "INT64", "DOUBLE", "STRING", "DISTRIBUTION", "MONEY"),
)
_METRIC = re.compile(r'metric\.type\s*=\s*"([^"]+)"')
_GROUPED = re.compile(r"metric\.labels?\.(\w+)$")


class Points:
    """Tallies over time series, by metric; `now` is the moment of the run."""

    def __init__(self, words: Words, now: datetime) -> None:
        self._words = words
        self._now = now
        self._metrics: dict[str, dict[str, Counter[str]]] = {}
        self._newest: dict[str, float] = {}
        self._raw: dict[str, Counter[str]] = {}
        self._described: dict[str, dict[str, Any]] = {}
        self._grouped: dict[str, set[str]] = {}

    def asked(self, request: dict[str, Any]) -> str:
        """Note what is asked for; the metric's name."""
        found = _METRIC.search(str(request.get("filter", "")))
        metric = self._words.name(found[1]) if found else "a metric"
        grouped = request.get("aggregation", {}).get("group_by_fields", ())
        self._grouped.setdefault(metric, set()).update(m[1] for name in grouped if (m := _GROUPED.match(str(name))))
        return metric

    def add(self, request: dict[str, Any], reply: Any) -> None:
        metric = self.asked(request)
        raw = "aggregation" not in request
        if not reply.time_series:
            self._of(metric, "answers", "no series")
        for series in reply.time_series:
            self._of(metric, "answers", f"{'raw' if raw else 'aligned'} series")
            self._of(metric, "kind", f"{_named(KINDS, series.metric_kind)} {_named(TYPES, series.value_type)}")
            self._of(metric, "resource", self._words.name(series.resource.type))
            self._labels(metric, series)
            self._times(metric, series, raw)

    def missing(self, request: dict[str, Any]) -> None:
        """Google says that it knows no such metric."""
        self._of(self.asked(request), "answers", "not known")

    def describe(self, found: Any) -> None:
        """A google.api.MetricDescriptor. Only of metrics that were asked for is anything said."""
        self._described[self._words.name(found.type)] = {
            "kind": f"{_named(KINDS, found.metric_kind)} {_named(TYPES, found.value_type)}",
            "unit": self._words.name(found.unit),
            "labels": sorted(self._words.name(label.key) for label in found.labels),
            "ingest_delay_s": found.metadata.ingest_delay.seconds,
            "sample_period_s": found.metadata.sample_period.seconds,
            "resources": sorted(self._words.name(kind) for kind in found.monitored_resource_types),
        }

    def told(self) -> dict[str, Any]:
        return {
            metric: {
                **plain(tallies),
                **({"newest_point_age_s": round(self._newest[metric])} if metric in self._newest else {}),
                **({"raw": told(self._raw[metric])} if metric in self._raw else {}),
                **({"described": self._described[metric]} if metric in self._described else {}),
            }
            for metric, tallies in sorted(self._metrics.items())
        }

    def odd(self) -> Counter[str]:
        """Labels that we group by and that their metric is not described with, and kinds that differ from what is described."""
        found: Counter[str] = Counter()
        for metric, labels in self._grouped.items():
            described = self._described.get(metric)
            for label in sorted(labels):
                if described and label not in described["labels"]:
                    found[f"{metric} is asked for by its label {label}, which its description lacks"] += 1
        for metric, tallies in self._metrics.items():
            for label in tallies.get("label values", ()):
                name = label.partition("=")[0]
                described = self._described.get(metric)
                if described and name not in described["labels"] and name not in described["resources"]:
                    found[f"{metric} has the label {name}, which its description lacks"] += 1
        return found

    def values(self, label: str) -> Counter[str]:
        """The values of one label, of all metrics: "metric: value" by how many series have it."""
        found: Counter[str] = Counter()
        for metric, tallies in self._metrics.items():
            for shown, n in tallies.get("label values", Counter()).items():
                if shown.startswith(f"{label}="):
                    found[f"{metric.rpartition('/')[2]}: {shown.partition('=')[2]}"] += n
        return found

    def raw(self) -> dict[str, Counter[str]]:
        return self._raw

    def unknown(self) -> list[str]:
        """Metrics that Google said not to know."""
        return [metric for metric, tallies in self._metrics.items() if "not known" in tallies.get("answers", ())]

    def _labels(self, metric: str, series: Any) -> None:
        for name, value in series.metric.labels.items():
            shown = self._words.name(value) if name in CLOSED else "…"
            self._of(metric, "label values", f"{self._words.name(name)}={shown or 'empty'}")
        for name in series.resource.labels:
            self._of(metric, "resource labels", self._words.name(name))

    def _times(self, metric: str, series: Any, raw: bool) -> None:
        ends = sorted(datetime.fromtimestamp(point.interval.end_time.seconds, UTC) for point in series.points)
        if not ends:
            return
        age = (self._now - ends[-1]).total_seconds()
        self._newest[metric] = min(age, self._newest.get(metric, age))
        if raw:
            minutes = round((ends[-1] - ends[0]).total_seconds() / 60) + 1
            tally = self._raw.setdefault(metric, Counter())
            tally["minutes between first and last point"] += minutes
            tally["minutes among them without a point"] += max(minutes - len(ends), 0)
            tally["minutes with nothing but zero after the last event"] += _zeros(series)

    def _of(self, metric: str, what: str, value: str) -> None:
        self._metrics.setdefault(metric, {}).setdefault(what, Counter())[value] += 1


def _zeros(series: Any) -> int:
    """Newest points that are zero, of a series that had others before."""
    values = [_number(point.value) for point in sorted(series.points, key=lambda p: -p.interval.end_time.seconds)]
    return next((n for n, value in enumerate(values) if value), 0)


def _number(value: Any) -> float:
    """The value of a point; 1 where it is no number, and so no zero either."""
    kind = value.WhichOneof("value")
    return float(getattr(value, kind)) if kind in ("int64_value", "double_value") else 1.0


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"unknown: {number}"
