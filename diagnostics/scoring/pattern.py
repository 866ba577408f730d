"""Texts that an expectation looks for: plain, or a regular expression between slashes. How blanks and lines break does not matter."""

from __future__ import annotations

import re


def expression(pattern: str) -> re.Pattern[str] | None:
    """The regular expression that stands between slashes; None: it is plain text."""
    between = len(pattern) > 2 and pattern[0] == pattern[-1] == "/"
    return re.compile(pattern[1:-1]) if between else None


def begins(text: str, pattern: str) -> bool:
    """A plain text has to stand at the begin, in whole words; a regular expression anywhere."""
    sought = expression(pattern) or re.compile(rf"^{re.escape(one_line(pattern))}(?!\S)")
    return sought.search(one_line(text)) is not None


def holds(text: str, pattern: str) -> bool:
    """It stands somewhere."""
    sought = expression(pattern) or re.compile(re.escape(one_line(pattern)))
    return sought.search(one_line(text)) is not None


def one_line(text: str) -> str:
    return " ".join(text.split())
