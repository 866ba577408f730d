"""The fields of a log entry that a filter can name, and how each compares.

Source: google.logging.v2.LogEntry, google.logging.type.HttpRequest, google.cloud.audit.AuditLog. An unknown field, or an operator
or value that does not fit a field's type, is an error: it would silently match nothing.
"""

from __future__ import annotations

import operator as op
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from diagnostics.lab.query.tokens import FilterError
from diagnostics.lab.recorder import LogEntry

Test = Callable[[LogEntry], bool]
Get = Callable[[LogEntry], Any]
"""The value of a field; None where the entry lacks it."""

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "=": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Literal:
    """The value on the right of a comparison."""

    text: str
    quoted: bool

    @property
    def star(self) -> bool:
        return self.text == "*" and not self.quoted

    def moment(self) -> float:
        """As a time: RFC 3339 with a zone, or a date."""
        try:
            time = datetime.fromisoformat(self.text)
        except ValueError:
            raise FilterError(f'Unparseable filter: invalid timestamp "{self.text}", expected RFC 3339') from None
        if time.tzinfo is None:
            if len(self.text) != len("2026-01-01"):
                raise FilterError(f'Unparseable filter: timestamp "{self.text}" has no time zone')
            time = time.replace(tzinfo=UTC)
        return round(time.timestamp(), 6)

    def number(self) -> float:
        try:
            return float(self.text)
        except ValueError:
            raise FilterError(f'Unparseable filter: expected a number, got "{self.text}"') from None

    def duration(self) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?s", self.text):
            raise FilterError(f'Unparseable filter: expected a duration such as "1.5s", got "{self.text}"')
        return float(self.text[:-1])

    def severity(self) -> int:
        if self.text.upper() not in SEVERITIES:
            raise FilterError(f'Unparseable filter: unknown severity "{self.text}"')
        return SEVERITIES.index(self.text.upper())


def comparison(path: tuple[str, ...], operator: str, literal: Literal, project: str) -> Test:
    """The test for one comparison. Raises FilterError for an unknown field or a comparison that its type does not know."""
    top = path[0]
    if len(path) == 1 and top in TEXT_FIELDS:
        return _text(TEXT_FIELDS[top], operator, literal)
    if path == ("logName",):
        return _text(lambda e: f"projects/{project}/logs/{e.log.replace('/', '%2F')}", operator, literal)
    if path == ("timestamp",):
        return _ordered(path, lambda e: round(e.timestamp, 6), operator, literal.moment())
    if path == ("receiveTimestamp",):
        return _ordered(path, lambda e: round(e.received, 6), operator, literal.moment())
    if path == ("severity",):
        return _ordered(path, lambda e: SEVERITIES.index(e.severity), operator, literal.severity())
    if path == ("resource", "type"):
        return _text(lambda e: e.resource_type, operator, literal)
    if path[:2] == ("resource", "labels") and len(path) == 3:
        return _text(lambda e: e.resource_labels.get(path[2]), operator, literal)
    if top == "labels" and len(path) == 2:
        return _text(lambda e: e.labels.get(path[1]), operator, literal)
    if top == "httpRequest" and len(path) == 2 and path[1] in HTTP_FIELDS:
        return _http(path, operator, literal)
    if top == "jsonPayload":
        return _payload(lambda e: e.json, path[1:], operator, literal)
    if top == "protoPayload" and (len(path) == 1 or path[1] in AUDIT_FIELDS):
        return _payload(lambda e: e.proto, path[1:], operator, literal)
    raise FilterError(f"Unparseable filter: Field not found: '{'.'.join(path)}'.")


TEXT_FIELDS: dict[str, Get] = {
    "textPayload": lambda e: e.text,
    "insertId": lambda e: e.insert_id,
    "trace": lambda e: e.trace or None,
}
HTTP_FIELDS = {
    "requestMethod": "text", "requestUrl": "text", "userAgent": "text", "remoteIp": "text", "serverIp": "text",
    "referer": "text", "protocol": "text", "status": "number", "requestSize": "number", "responseSize": "number",
    "latency": "duration",
}  # fmt: skip
AUDIT_FIELDS = {
    "@type", "serviceName", "methodName", "resourceName", "authenticationInfo", "authorizationInfo", "requestMetadata",
    "status", "request", "response", "serviceData", "metadata", "numResponseItems", "resourceLocation",
    "resourceOriginalState", "policyViolationInfo",
}  # fmt: skip


def _http(path: tuple[str, ...], operator: str, literal: Literal) -> Test:
    name = path[1]
    kind = HTTP_FIELDS[name]

    def get(entry: LogEntry) -> Any:
        return None if entry.http is None else entry.http.get(name)

    if kind == "text":
        return _text(get, operator, literal)
    if operator == ":" and literal.star:
        return lambda entry: get(entry) is not None
    wanted = literal.number() if kind == "number" else literal.duration()
    return _ordered(path, lambda e: None if get(e) is None else float(get(e)), operator, wanted)


def _ordered(path: tuple[str, ...], get: Get, operator: str, wanted: float) -> Test:
    compare = ORDERS.get(operator)
    if compare is None:
        raise FilterError(f"Unparseable filter: operator {operator} does not apply to {'.'.join(path)}")

    def test(entry: LogEntry) -> bool:
        value = get(entry)
        return value is not None and compare(value, wanted)

    return test


def _text(get: Get, operator: str, literal: Literal) -> Test:
    matches = _matcher(operator, literal)

    def test(entry: LogEntry) -> bool:
        value = get(entry)
        return value is not None and matches(value)

    return test


def _payload(get: Get, path: tuple[str, ...], operator: str, literal: Literal) -> Test:
    """A field of a structured payload; through a repeated field, one element is enough. `:` also searches below the field."""
    matches = _matcher(operator, literal)

    def test(entry: LogEntry) -> bool:
        found = _below(get(entry), path)
        leaves = (leaf for value in found for leaf in _leaves(value)) if operator == ":" else found
        return any(value is not None and matches(value) for value in leaves)

    if not path and operator != ":":
        raise FilterError(f"Unparseable filter: operator {operator} does not apply to a whole payload")
    return test


def _below(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _below(element, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _below(value[path[0]], path[1:])


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _matcher(operator: str, literal: Literal) -> Callable[[Any], bool]:
    """How one value compares with the literal."""
    if literal.star:
        if operator != ":":
            raise FilterError(f"Unparseable filter: * goes only with the operator ':', not {operator}")
        return lambda _: True
    if operator in ("=~", "!~"):
        pattern, wanted = _regex(literal), operator == "=~"
        return lambda value: isinstance(value, str) and (pattern.search(value) is not None) == wanted
    text = literal.text.lower()
    if operator == ":":
        return lambda value: text in _plain(value).lower()
    compare = ORDERS[operator]
    numeric = operator not in ("=", "!=") and not literal.quoted
    if operator == "=":  # by far the most, of texts nearly all
        return lambda value: (
            value.lower() == text if type(value) is str else _compare(compare, value, literal.text, False)
        )
    return lambda value: _compare(compare, value, literal.text, numeric)


def _compare(compare: Callable[[Any, Any], bool], value: Any, text: str, numeric: bool) -> bool:
    """Numbers compare as numbers, as does text with a bare literal on the right of an ordering; all else as text."""
    if isinstance(value, dict):
        return False
    if numeric or (isinstance(value, int | float) and not isinstance(value, bool)):
        try:
            return compare(float(value), float(text))
        except (TypeError, ValueError):
            return False
    return compare(_plain(value).lower(), text.lower())


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_NOT_RE2 = re.compile(r"\(\?(?:=|!|<[=!]|>|\()|\\[1-9]|[*+?}]\+")


def _regex(literal: Literal) -> re.Pattern[str]:
    if not literal.quoted:
        raise FilterError("Unparseable filter: a regular expression must be quoted")
    if _NOT_RE2.search(literal.text):
        raise FilterError(f'Unparseable filter: invalid regular expression "{literal.text}" (RE2)')
    try:
        return re.compile(literal.text)
    except re.error as error:
        raise FilterError(f'Unparseable filter: invalid regular expression "{literal.text}": {error}') from None
