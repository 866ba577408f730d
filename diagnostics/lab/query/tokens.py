"""Words of a filter: what the Logging and the Monitoring language have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass


class FilterError(ValueError):
    """A filter that Google answers with INVALID_ARGUMENT."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """"string", "word", "op", "(", ")", "," or "end"."""
    text: str
    """A string without its quotes; everything else as written."""
    at: int


_PATTERN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<op>=~|!~|!=|<=|>=|=|<|>|:)
  | (?P<punct>[(),])
  | (?P<word>[A-Za-z_@](?:[\w@]|-(?=\w))*(?:\.(?:[\w@]|-(?=\w))+|\."(?:[^"\\]|\\.)*")*|[+-]?\d[\w.-]*|\*)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def tokens(text: str) -> list[Token]:
    """Split a filter. Raises FilterError at what is no word of the language."""
    found = []
    place = 0
    while place < len(text):
        match = _PATTERN.match(text, place)
        if match is None:
            raise FilterError(f"Unparseable filter: syntax error at column {place + 1}, unexpected {text[place]!r}")
        kind, value = str(match.lastgroup), match.group()
        if kind == "string":
            value = unquote(value)
        if kind != "space":
            found.append(Token(value if kind == "punct" else kind, value, place))
        place = match.end()
    found.append(Token("end", "", place))
    return found


def unquote(text: str) -> str:
    """A quoted string without its quotes. A backslash before an ordinary character stays, as regular expressions need it."""

    def plain(match: re.Match[str]) -> str:
        char = match[1]
        if char in '"\\':
            return char
        return _ESCAPES.get(char, match[0])

    return re.sub(r"\\(.)", plain, text[1:-1], flags=re.DOTALL)


def path_segments(word: str) -> tuple[str, ...]:
    """A dotted field name as its segments: labels."a/b".c is three."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|[^."]+', word)
    return tuple(unquote(p) if p.startswith('"') else p for p in parts)


class Reader:
    """A cursor over tokens."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._next = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._next]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self.token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def skip(self, kind: str, text: str = "") -> bool:
        """Take the next token if it is of this kind (and text)."""
        if self.token.kind == kind and (not text or self.token.text == text):
            self.take()
            return True
        return False

    def expect(self, kind: str) -> Token:
        if self.token.kind != kind:
            raise self.unexpected(f"expected {kind}")
        return self.take()

    def unexpected(self, why: str) -> FilterError:
        token = self.token
        what = "end of filter" if token.kind == "end" else repr(token.text)
        return FilterError(f"Unparseable filter: syntax error at column {token.at + 1}, unexpected {what}: {why}")
