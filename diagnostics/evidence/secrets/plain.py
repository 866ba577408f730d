"""A text as a reader takes it: without what hides letters, and with the way back to where each letter stood.

Full-width and mathematical letters become plain ones (NFKC), zero-width and other format characters, combining marks, control
characters and the colours of terminals fall out, and what is escaped for URLs, JSON or HTML is read. Only for finding: what is
no secret stays byte for byte as it was.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

_SOME = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\\%&]")
_COLOUR = r"(?:\x1b|\\+(?:u001[bB]|x1[bB]|033|e))\[[0-9;]{0,20}[A-Za-z]"
_VEIL = re.compile(
    rf"{_COLOUR}|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\\+u[0-9a-fA-F]{{4}}|%[0-7][0-9a-fA-F]|&(?:[a-z]{{2,4}}|#\d{{1,5}}|#[xX][0-9a-fA-F]{{1,4}});"
)
_DROPPED = frozenset({"Cf", "Mn", "Me", "Cc"})


class Plain(NamedTuple):
    text: str
    begins: list[int] | None
    """Where each character begins in the original; None: where it is here."""
    ends: list[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        if self.begins is None or self.ends is None or start >= end:
            return start, end
        return self.begins[start], self.ends[end - 1]


def plain(text: str) -> Plain:
    ascii_only = text.isascii()
    if ascii_only and not _SOME.search(text):
        return Plain(text, None, None)
    parts: list[str] = []
    begins: list[int] = []
    ends: list[int] = []

    def add(said: str, begin: int, end: int) -> None:
        parts.append(said)
        begins.extend([begin] * len(said))
        ends.extend([end] * len(said))

    def literal(begin: int, end: int) -> None:
        if ascii_only:
            parts.append(text[begin:end])
            begins.extend(range(begin, end))
            ends.extend(range(begin + 1, end + 1))
            return
        for at in range(begin, end):
            add(_letter(text[at]), at, at + 1)

    last = 0
    for veil in _VEIL.finditer(text):
        literal(last, veil.start())
        add(_read(veil.group()), veil.start(), veil.end())
        last = veil.end()
    literal(last, len(text))
    return Plain("".join(parts), begins, ends)


def _letter(letter: str) -> str:
    if letter <= "~" and (letter >= " " or letter in "\t\n\r"):
        return letter
    read = unicodedata.normalize("NFKC", letter)
    if len(read) == 1:
        return "" if unicodedata.category(read) in _DROPPED else read
    return "".join(c for c in read if unicodedata.category(c) not in _DROPPED)


def _read(veil: str) -> str:
    """What an escape stands for; nothing, where it only colours."""
    if veil[0] == "%":
        return _letter(chr(int(veil[1:], 16)))
    if veil[0] == "&":
        said = html.unescape(veil)
        return said if said == veil else "".join(map(_letter, said))
    if veil[0] == "\\" and veil[-5:-4] == "u":
        return _letter(chr(int(veil[-4:], 16)))
    return ""
