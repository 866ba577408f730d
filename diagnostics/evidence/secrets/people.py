"""E-mail addresses, the names beside them, and numbers of telephones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from diagnostics.evidence.secrets.spans import Span, mark

_EMAIL = re.compile(r"(?<![\w.%+'-])([\w.%+'-]+)@((?:[\w-]+\.)+[^\W\d_]{2,})")
"""Looked for at the begin of a word only: an endless word would otherwise be read again from each of its letters."""
_BEFORE = re.compile(
    r"(\"[^\"\r\n]{1,80}\"|[^\s<>\"=:;,@()\[\]{}|]{1,40}(?: [^\s<>\"=:;,@()\[\]{}|]{1,40}){0,5})[ \t]*<\Z"
)
_BEHIND = re.compile(r"[ \t]*\(([^()\r\n]{1,80})\)")
_NUMBERS = re.compile(r"(?<![\w.)+/-])((?:\+\(?\d{1,3}\)?(?:[ .\-/]{0,2}\(?\d{1,12}\)?){1,7})+)(?![\w]|[.:]\d)")
"""Of one country or another, with nothing but their pluses between them."""
_NUMBER = re.compile(r"\+[^+]+")
_NATIONAL = re.compile(
    r"(?<![\w.)+/:=-])(?:\(([2-9]\d\d)\)[ -]?|([2-9]\d\d)([-.]))([2-9]\d\d)(?(3)\3|[-. ])(\d{4})(?![\w-]|[.:]\d)"
)
PHONE = "phone number"


def principal(email: str) -> str:
    """A service account as it is; a person as "person-" and four characters that are the same wherever this person occurs."""
    local, _, domain = email.lower().rpartition("@")
    if "@" not in email or local == "git" or domain.endswith("gserviceaccount.com"):
        return email
    return f"person-{hashlib.sha256(email.lower().encode()).hexdigest()[:4]}"


def find(text: str) -> Iterator[Span]:
    if "@" in text:
        for found in _EMAIL.finditer(text):
            instead = principal(found.group())
            if instead != found.group():
                yield Span(*_with_name(text, found), instead)
    if "+" in text:
        for run in _NUMBERS.finditer(text):
            for found in _NUMBER.finditer(text, *run.span(1)):
                if _international(found.group()):
                    yield Span(*found.span(), mark(PHONE))
    if "-" in text or "." in text:
        for found in _NATIONAL.finditer(text):
            yield Span(*found.span(), mark(PHONE))


def _with_name(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Where the address stands with the name of who has it: "Alice Liddell <alice@…>", "alice@… (Alice Liddell)"."""
    start, end = found.span()
    if text[start - 1 : start] == "<" and text[end : end + 1] == ">":
        named = _BEFORE.search(text, max(0, start - 250), start)
        return (_name_begins(named, found[1]), end + 1) if named else (start, end)
    behind = _BEHIND.match(text, end)
    if (
        behind
        and (_capital(behind[1].split()[0]) or _of(behind[1], found[1]))
        and not any(c.isdigit() for c in behind[1])
    ):
        return start, behind.end()
    return start, end


def _name_begins(named: re.Match[str], local: str) -> int:
    """Of the words before an address, those that are a name: capitalised, joined by small ones, or a part of the address."""
    if named[1].startswith('"'):
        return named.start(1)
    begin, at = named.end(1), named.end(1)
    for word in reversed(named[1].split(" ")):
        at -= len(word)
        if _capital(word) or _of(word, local):
            begin = at
        elif word not in _JOINING:
            break
        at -= 1
    return begin if begin < named.end(1) else named.end()


_JOINING = frozenset(
    {"van", "von", "der", "de", "den", "del", "la", "le", "da", "dos", "di", "bin", "al", "ter", "zu", "und", "y", "e"}
)


def _capital(word: str) -> bool:
    return word[:1].isupper() or (word[:1].isalpha() and not word[:1].islower())


def _of(words: str, local: str) -> bool:
    """Whether one of the words stands in the local part of the address."""
    return any(len(w) >= 3 and w.lower() in local.lower() for w in words.split())


def _international(number: str) -> bool:
    """A country's code and as many digits as numbers have: no offset, no count, no time."""
    digits = [c for c in number if c.isdigit()]
    groups = re.findall(r"\d+", number)
    if digits[0] == "0" or not 9 <= len(digits) <= 15:
        return False
    if digits[0] == "1":
        return len(digits) == 11 and digits[1] not in "01" and digits[4] not in "01"
    if len(groups) == 1:
        return len(digits) >= 11
    return len(groups[0]) <= 3 or len(groups) == 2
