"""Monitoring filters, strictly: one metric type, and conditions on its labels.

Source: cloud.google.com/monitoring/api/v3/filters. Unlike in Logging, text compares with regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from diagnostics.lab.query.tokens import FilterError, Reader, path_segments

Labels = dict[str, str]
Selects = Callable[[Labels, Labels], bool]
"""Whether a series with these resource labels and metric labels is wanted."""


@dataclass(frozen=True)
class MetricQuery:
    """A filter, understood."""

    metric: str
    """The one metric type."""
    resource: str
    """Monitored resource type if the filter names one, else empty."""
    labels: frozenset[tuple[str, str]]
    """Labels that the filter names: ("metric" or "resource", label)."""
    selects: Selects


def parse(text: str) -> MetricQuery:
    """Understand the filter of a ListTimeSeries call. Raises FilterError."""
    parser = _Parser(text)
    selects = parser.whole() if text.strip() else _all
    if len(parser.metrics) != 1:
        raise FilterError(
            'Field filter had an invalid value: the filter must specify a single metric type (metric.type = "…").'
        )
    if len(parser.resources) > 1:
        raise FilterError("Field filter had an invalid value: the filter names more than one resource.type.")
    resource = parser.resources[0] if parser.resources else ""
    return MetricQuery(parser.metrics[0], resource, frozenset(parser.labels), selects)


def parse_descriptor_filter(text: str) -> Callable[[str], bool]:
    """Understand the filter of a ListMetricDescriptors call: metric.type = "…" or starts_with("…"). Raises FilterError."""
    if not text.strip():
        return lambda _: True
    reader = Reader(text)
    if reader.expect("word").text != "metric.type" or reader.expect("op").text != "=":
        raise FilterError('Field filter had an invalid value: only metric.type = "…" or starts_with("…") is supported.')
    matches = _value(reader)
    if reader.token.kind != "end":
        raise reader.unexpected("expected the end")
    return matches


def _all(_: Labels, __: Labels) -> bool:
    return True


class _Parser:
    def __init__(self, text: str) -> None:
        self._reader = Reader(text)
        self.metrics: list[str] = []
        self.resources: list[str] = []
        self.labels: list[tuple[str, str]] = []

    def whole(self) -> Selects:
        selects = self._expression(outermost=True)
        if self._reader.token.kind != "end":
            raise self._reader.unexpected("expected AND, OR or the end")
        return selects

    def _expression(self, outermost: bool) -> Selects:
        """Operands of AND (written or not), or of OR; a mixture must be parenthesised."""
        parts = [self._unary(outermost)]
        either = self._reader.token.kind == "word" and self._reader.token.text == "OR"
        if either and (self.metrics or self.resources) and outermost:
            raise FilterError("Field filter had an invalid value: a type cannot be joined with OR.")
        while self._reader.token.kind not in ("end", ")"):
            if self._reader.skip("word", "OR") != either:
                raise self._reader.unexpected("AND and OR are mixed without parentheses")
            self._reader.skip("word", "AND")
            parts.append(self._unary(outermost and not either))
        if either:
            return lambda resource, metric: any(part(resource, metric) for part in parts)
        return lambda resource, metric: all(part(resource, metric) for part in parts)

    def _unary(self, outermost: bool) -> Selects:
        if self._reader.skip("word", "NOT"):
            inner = self._unary(outermost=False)
            return lambda resource, metric: not inner(resource, metric)
        if self._reader.skip("("):
            inner = self._expression(outermost=False)
            self._reader.expect(")")
            return inner
        return self._restriction(outermost)

    def _restriction(self, outermost: bool) -> Selects:
        name = self._reader.expect("word")
        operator = self._reader.expect("op").text
        path = path_segments(name.text)
        if path == ("metric", "type"):
            return self._named(outermost, operator, self.metrics, "metric.type")
        if path == ("resource", "type"):
            return self._named(outermost, operator, self.resources, "resource.type")
        if len(path) != 3 or path[0] not in ("metric", "resource") or path[1] not in ("label", "labels"):
            raise FilterError(f"Field filter had an invalid value: unknown field '{name.text}'.")
        of, _, label = path
        self.labels.append((of, label))
        matches = self._condition(operator)
        if of == "metric":
            return lambda _, metric: matches(metric[label])
        return lambda resource, _: matches(resource[label])

    def _named(self, outermost: bool, operator: str, names: list[str], field: str) -> Selects:
        if operator != "=" or not outermost or self._reader.token.kind != "string":
            raise FilterError(
                f'Field filter had an invalid value: {field} must be given once, as {field} = "…", joined with AND.'
            )
        names.append(self._reader.take().text)
        return _all

    def _condition(self, operator: str) -> Callable[[str], bool]:
        matches = _value(self._reader)
        if operator == "=":
            return matches
        if operator == "!=":
            return lambda value: not matches(value)
        raise FilterError(f"Field filter had an invalid value: operator {operator} is not supported on labels.")


def _value(reader: Reader) -> Callable[[str], bool]:
    """What stands on the right: a string, or a function of strings."""
    if reader.token.kind == "string":
        wanted = reader.take().text
        return lambda value: value == wanted
    name = reader.expect("word").text
    arguments = _arguments(reader)
    if name == "one_of":
        return lambda value: value in arguments
    if len(arguments) == 1 and name == "starts_with":
        return lambda value: value.startswith(arguments[0])
    if len(arguments) == 1 and name == "ends_with":
        return lambda value: value.endswith(arguments[0])
    if len(arguments) == 1 and name == "has_substring":
        return lambda value: arguments[0] in value
    if len(arguments) == 1 and name == "monitoring.regex.full_match":
        return _full_match(arguments[0])
    raise FilterError(f"Field filter had an invalid value: unsupported value or function '{name}'.")


def _arguments(reader: Reader) -> list[str]:
    reader.expect("(")
    arguments = [reader.expect("string").text]
    while reader.skip(","):
        arguments.append(reader.expect("string").text)
    reader.expect(")")
    return arguments


def _full_match(text: str) -> Callable[[str], bool]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise FilterError(f"Field filter had an invalid value: invalid regular expression: {error}") from None
    return lambda value: pattern.fullmatch(value) is not None
