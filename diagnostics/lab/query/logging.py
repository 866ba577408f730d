"""The Logging query language, strictly: the part of it that finds log entries by their fields.

Source: cloud.google.com/logging/docs/view/logging-query-language. Precedence is NOT, then OR, then AND; AND may be left out.
Text compares without regard to case, regular expressions (RE2) with it. A comparison with a field that an entry lacks is false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diagnostics.lab.query.log_fields import Literal, Test, comparison
from diagnostics.lab.query.tokens import FilterError, Reader, path_segments
from diagnostics.lab.recorder import LogEntry

MAX_CHARS = 20_000


@dataclass(frozen=True)
class LogQuery:
    """A filter, understood: an entry is found if it is of these logs, within these bounds, and matches."""

    matches: Test
    """What logs and bounds do not say yet."""
    logs: frozenset[str] | None
    """Log ids that can match; None: any."""
    since: float
    until: float
    """Bounds of the timestamp, to the microsecond, both included."""

    def finds(self, entry: LogEntry) -> bool:
        return (
            (self.logs is None or entry.log in self.logs)
            and self.since <= round(entry.timestamp, 6) <= self.until
            and self.matches(entry)
        )


def parse(text: str, project: str) -> LogQuery:
    """Understand a filter. Raises FilterError."""
    if len(text) > MAX_CHARS:
        raise FilterError(f"Unparseable filter: filter must be at most {MAX_CHARS} characters, got {len(text)}")
    reader = Reader(text)
    if reader.token.kind == "end":
        return LogQuery(lambda _: True, None, float("-inf"), float("inf"))
    nodes = _operands(reader, project)
    if reader.token.kind != "end":
        raise reader.unexpected("expected AND, OR or the end")
    whole = _all_of(nodes)
    return LogQuery(_every([n.test for n in nodes if not n.implied]), whole.logs, whole.since, whole.until)


@dataclass(frozen=True)
class _Node:
    """A part of the filter: its test, and what it implies about log and time, to search less."""

    test: Test
    logs: frozenset[str] | None = None
    since: float = float("-inf")
    until: float = float("inf")
    implied: bool = False
    """Logs and time say all that the test says."""


def _expression(reader: Reader, project: str) -> _Node:
    return _all_of(_operands(reader, project))


def _operands(reader: Reader, project: str) -> list[_Node]:
    """Operands of AND, written or not."""
    nodes = [_disjunction(reader, project)]
    while reader.token.kind not in ("end", ")"):
        reader.skip("word", "AND")
        nodes.append(_disjunction(reader, project))
    return nodes


def _all_of(nodes: list[_Node]) -> _Node:
    if len(nodes) == 1:
        return nodes[0]
    return _Node(
        _every([n.test for n in nodes]),
        _intersect([n.logs for n in nodes]),
        max(n.since for n in nodes),
        min(n.until for n in nodes),
    )


def _disjunction(reader: Reader, project: str) -> _Node:
    nodes = [_unary(reader, project)]
    while reader.skip("word", "OR"):
        nodes.append(_unary(reader, project))
    if len(nodes) == 1:
        return nodes[0]
    logs = None if any(n.logs is None for n in nodes) else frozenset[str]().union(*(n.logs or () for n in nodes))
    return _Node(
        _some([n.test for n in nodes]),
        logs,
        min(n.since for n in nodes),
        max(n.until for n in nodes),
        implied=all(n.implied and n.logs is not None for n in nodes),
    )


def _unary(reader: Reader, project: str) -> _Node:
    if reader.skip("word", "NOT"):
        inner = _unary(reader, project).test
        return _Node(lambda entry: not inner(entry))
    if reader.skip("("):
        node = _expression(reader, project)
        reader.expect(")")
        return node
    return _restriction(reader, project)


def _restriction(reader: Reader, project: str) -> _Node:
    """A comparison, or a function."""
    if reader.token.kind == "string":
        raise reader.unexpected("a search term without a field is not supported, name the field")
    if reader.token.kind != "word" or reader.token.text in ("AND", "OR"):
        raise reader.unexpected("expected a field name")
    if reader.following.kind == "(":
        return _function(reader)
    name = reader.take()
    if reader.token.kind != "op":
        hint = "boolean operators are written in upper case" if name.text.lower() in ("and", "or", "not") else ""
        raise reader.unexpected(hint or f"expected a comparison operator after {name.text!r}")
    operator = reader.take().text
    path = path_segments(name.text)

    def leaf(literal: Literal) -> Test:
        return comparison(path, operator, literal, project)

    if reader.skip("("):
        test = _values(reader, leaf)
        reader.expect(")")
        return _Node(test)
    literal = _literal(reader)
    since, until = _time_bounds(path, operator, literal)
    bounds = path == ("timestamp",) and operator in (">=", "<=", "=")
    return _Node(leaf(literal), _log_name(path, operator, literal, project), since, until, implied=bounds)


def _values(reader: Reader, leaf: Callable[[Literal], Test]) -> Test:
    """A parenthesised list of values: ("a" OR "b"), with the same precedence as outside."""
    every = [_any_value(reader, leaf)]
    while reader.token.kind not in ("end", ")"):
        reader.skip("word", "AND")
        every.append(_any_value(reader, leaf))
    return _every(every)


def _any_value(reader: Reader, leaf: Callable[[Literal], Test]) -> Test:
    some = [_one_value(reader, leaf)]
    while reader.skip("word", "OR"):
        some.append(_one_value(reader, leaf))
    return _some(some)


def _one_value(reader: Reader, leaf: Callable[[Literal], Test]) -> Test:
    if reader.skip("word", "NOT"):
        inner = _one_value(reader, leaf)
        return lambda entry: not inner(entry)
    if reader.skip("("):
        test = _values(reader, leaf)
        reader.expect(")")
        return test
    return leaf(_literal(reader))


def _literal(reader: Reader) -> Literal:
    token = reader.token
    if token.kind not in ("string", "word") or (token.kind == "word" and token.text in ("AND", "OR", "NOT")):
        raise reader.unexpected("expected a value")
    if token.kind == "word" and token.text in ("and", "or", "not"):
        raise reader.unexpected("boolean operators are written in upper case")
    reader.take()
    if token.kind == "word" and reader.token.kind == "op":
        raise reader.unexpected("a value with special characters must be quoted")
    return Literal(token.text, token.kind == "string")


def _function(reader: Reader) -> _Node:
    name = reader.take().text
    if name != "log_id":
        raise FilterError(f"Unparseable filter: unsupported function {name}; only log_id is")
    reader.expect("(")
    wanted = reader.expect("string").text
    reader.expect(")")
    return _Node(lambda entry: entry.log == wanted, frozenset({wanted}), implied=True)


def _time_bounds(path: tuple[str, ...], operator: str, literal: Literal) -> tuple[float, float]:
    since, until = float("-inf"), float("inf")
    if path == ("timestamp",):
        moment = literal.moment()
        if operator in (">", ">=", "="):
            since = moment
        if operator in ("<", "<=", "="):
            until = moment
    return since, until


def _log_name(path: tuple[str, ...], operator: str, literal: Literal, project: str) -> frozenset[str] | None:
    prefix = f"projects/{project}/logs/"
    if path != ("logName",) or operator != "=" or not literal.text.startswith(prefix):
        return None
    return frozenset({literal.text.removeprefix(prefix).replace("%2F", "/")})


def _intersect(sets: list[frozenset[str] | None]) -> frozenset[str] | None:
    known = [s for s in sets if s is not None]
    return frozenset.intersection(*known) if known else None


def _every(tests: list[Test]) -> Test:
    if not tests:
        return lambda _: True
    if len(tests) == 1:
        return tests[0]

    def all_of(entry: LogEntry) -> bool:
        for test in tests:  # noqa: SIM110 (most of the time of a search is spent here)
            if not test(entry):
                return False
        return True

    return all_of


def _some(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def any_of(entry: LogEntry) -> bool:
        for test in tests:  # noqa: SIM110
            if test(entry):
                return True
        return False

    return any_of
