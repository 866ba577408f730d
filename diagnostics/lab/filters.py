"""Subscription filters: which published messages a subscription takes. Attributes only, never the data.

The grammar of Google's filtering page as far as the lab needs it: `attributes.k = "v"`, `attributes.k != "v"`, `attributes:k`,
`hasPrefix(attributes.k, "v")`, NOT or -, AND, OR and parentheses. AND and OR may not be mixed without parentheses, and a missing
attribute matches neither = nor !=. Anything else is refused, as Pub/Sub refuses it when the subscription is created.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Filter = Callable[[Mapping[str, str]], bool]


class FilterError(ValueError):
    """A filter that Pub/Sub would refuse with INVALID_ARGUMENT."""


def compile_filter(text: str) -> Filter:
    """A predicate on a message's attributes; the empty filter takes everything. Raises FilterError."""
    if not text.strip():
        return lambda _: True
    if len(text.encode()) > 256:
        raise FilterError("a filter has at most 256 bytes")
    return _Parser(text).whole()


_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][\w-]*)|(?P<sign>!=|[=:.,()-]))')


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        self._next = 0
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise FilterError(f"cannot read the filter at {text[at:].strip()!r}")
            self._tokens.append(match[0].strip())
            at = match.end()

    def whole(self) -> Filter:
        result = self._either()
        if self._next < len(self._tokens):
            raise FilterError(f"unexpected {self._tokens[self._next]!r} in filter {self._text!r}")
        return result

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        token = self._peek()
        if not token or (wanted and token not in wanted):
            raise FilterError(
                f"expected {' or '.join(wanted) or 'more'}, got {token or 'the end'!r} in filter {self._text!r}"
            )
        self._next += 1
        return token

    def _either(self) -> Filter:
        parts = [self._one()]
        operator = self._peek()
        if operator not in ("AND", "OR"):
            return parts[0]
        while self._peek() in ("AND", "OR"):
            if self._take() != operator:
                raise FilterError(f"AND and OR need parentheses in filter {self._text!r}")
            parts.append(self._one())
        join = all if operator == "AND" else any
        return lambda attributes: join(part(attributes) for part in parts)

    def _one(self) -> Filter:
        if self._peek() in ("NOT", "-"):
            self._take()
            inner = self._one()
            return lambda attributes: not inner(attributes)
        if self._peek() == "(":
            self._take("(")
            inner = self._either()
            self._take(")")
            return inner
        if self._peek() == "hasPrefix":
            self._take()
            self._take("(")
            self._take("attributes")
            self._take(".")
            name = self._name()
            self._take(",")
            prefix = self._string()
            self._take(")")
            return lambda attributes: attributes.get(name, "").startswith(prefix) and name in attributes
        return self._comparison()

    def _comparison(self) -> Filter:
        self._take("attributes")
        if self._take(":", ".") == ":":
            present = self._name()
            return lambda attributes: present in attributes
        name = self._name()
        equal = self._take("=", "!=") == "="
        value = self._string()
        return lambda attributes: name in attributes and (attributes[name] == value) is equal

    def _name(self) -> str:
        token = self._take()
        if token.startswith('"'):
            return _unquoted(token)
        if not re.fullmatch(r"[A-Za-z_][\w-]*", token):
            raise FilterError(f"expected an attribute's name, got {token!r} in filter {self._text!r}")
        return token

    def _string(self) -> str:
        token = self._take()
        if not token.startswith('"'):
            raise FilterError(f"expected a quoted value, got {token!r} in filter {self._text!r}")
        return _unquoted(token)


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])
