"""The shape of Google's messages: which fields were set and of what form, which constants came, and what our libraries do not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from diagnostics.run.selftest.words import Words, form, member, role
from diagnostics.transport.clients import load

MOST = (100, 10, 3)
"""Members of a list that are looked at: on the first level, the second, and below."""
OPAQUE = {
    "google.protobuf.Timestamp": "moment",
    "google.protobuf.Duration": "duration",
    "google.protobuf.Struct": "structure",
    "google.protobuf.Any": "packed",
    "google.api.Distribution": "distribution",
    "google.monitoring.v3.TypedValue": "value",
}
"""Messages that are not looked into: of times only that they are there; what Any and Struct hold is looked at elsewhere."""
CONSTANTS = frozenset(
    {
        "google.api.Metric.type", "google.api.MonitoredResource.type", "google.api.MetricDescriptor.type",
        "google.api.MetricDescriptor.unit", "google.monitoring.v3.TimeSeries.unit",
        "google.cloud.run.v2.Condition.type", "google.cloud.run.v2.Condition.type_",
        "google.api.LabelDescriptor.key", "google.api.MetricDescriptor.monitored_resource_types",
        "google.logging.type.HttpRequest.request_method",
    }
)  # fmt: skip
"""Texts that Google chose, said word by word."""


class Shape:
    """What was seen in the messages of one kind."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self.messages = 0
        self.fields: dict[str, Counter[str]] = {}
        """Path of a field to what it held and how often; fields that were never set are not there."""
        self.odd: Counter[str] = Counter()
        """What our libraries do not know, in a sentence."""

    def add(self, message: Any) -> None:
        """Count one message in."""
        self.messages += 1
        self._walk(message, "", 0)

    def _walk(self, message: Any, path: str, depth: int) -> None:
        for unknown in load("google.protobuf.unknown_fields").UnknownFieldSet(message):
            where = path or message.DESCRIPTOR.name
            self.odd[f"{where} has a field with the number {unknown.field_number} that is not known"] += 1
        for field, value in message.ListFields():
            at = f"{path}.{field.name}" if path else field.name
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._map(value, at)
            elif isinstance(value, bool | int | float | str | bytes) or hasattr(value, "DESCRIPTOR"):
                self._one(message, field, value, at, depth)
            else:
                self._count(f"{at}[]", "members", len(value))
                for inner in list(value)[: MOST[min(depth, len(MOST) - 1)]]:
                    self._one(message, field, inner, f"{at}[]", depth + 1)

    def _one(self, message: Any, field: Any, value: Any, at: str, depth: int) -> None:
        if field.message_type is not None:
            if opaque := OPAQUE.get(field.message_type.full_name):
                self._count(at, opaque)
            else:
                self._walk(value, at, depth)
        elif field.enum_type is not None:
            self._enum(field.enum_type, value, at)
        elif isinstance(value, bool):
            self._count(at, str(value).lower())
        elif isinstance(value, str):
            self._count(at, self._text(message.DESCRIPTOR.full_name, field.name, value))
        else:
            self._count(at, "bytes" if isinstance(value, bytes) else "number")

    def _text(self, message: str, field: str, value: str) -> str:
        name = f"{message}.{field}"
        if name in CONSTANTS:
            return self._words.name(value)
        if name == "google.iam.v1.Binding.members":
            if (kind := member(value)) == "unknown":
                self.odd["a policy has a member of a kind that is not known"] += 1
            return kind
        return role(value, self._words) if name == "google.iam.v1.Binding.role" else form(value)

    def _enum(self, kind: Any, value: int, at: str) -> None:
        known = kind.values_by_number.get(value)
        if known is None:
            self.odd[f"{at} has the value {value}, which {kind.full_name} does not know"] += 1
        self._count(at, known.name if known is not None else f"unknown: {value}")

    def _map(self, value: Mapping[str, Any], at: str) -> None:
        for key, inner in value.items():
            shown = form(inner) if isinstance(inner, str) else "set"
            self._count(f"{at}{{{self._words.name(str(key))}}}", shown)

    def _count(self, at: str, what: str, n: int = 1) -> None:
        self.fields.setdefault(at, Counter())[what] += n


def plain(counted: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """For the file: sorted by name, the most frequent first within."""
    return {name: told(counted[name]) for name in sorted(counted)}


def told(counter: Mapping[str, int], most: int = 40) -> dict[str, int]:
    """The most frequent first; the rest as one number."""
    ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    shown = dict(ranked[:most])
    rest = sum(n for _, n in ranked[most:])
    return {**shown, "others": rest} if rest else shown


def spread(values: Iterable[float]) -> dict[str, float]:
    """How seconds are spread: how many, the middle one, the longest."""
    ranked = sorted(values)
    if not ranked:
        return {}
    return {"count": len(ranked), "median_s": round(ranked[len(ranked) // 2], 2), "most_s": round(ranked[-1], 2)}
