"""A stretch of text that has to go, and the word that stands in its place afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

GONE = "[redacted]"
"""What stands for a value of an URL's query, and for its user; older bundles have it for every kind."""
BY_PROFILE = "[redacted by profile]"
"""What stands for a match of a pattern that the profile names."""
MARK = re.compile(r"\[redacted(?: [\w .-]{1,40})?(?:\]|…|\Z)")
"""What an earlier redaction left, cut short or whole."""


class Span(NamedTuple):
    start: int
    end: int
    instead: str
    """What is put in its place."""


def mark(kind: str) -> str:
    """What stands for a secret of this kind: "[redacted GitLab token]"."""
    return f"[redacted {kind}]"


def fresh(text: str, spans: Iterable[Span]) -> list[Span]:
    """Those that hold more than what an earlier redaction left."""
    if "[redacted" not in text:
        return list(spans)
    return [s for s in spans if any(c.isalnum() for c in MARK.sub("", text[s.start : s.end]))]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; of those that overlap one, over all of them, and called as the one that was given first."""
    ranked = sorted(enumerate(spans), key=lambda one: one[1].start)
    out: list[tuple[int, Span]] = []
    for rank, span in ranked:
        if out and span.start < out[-1][1].end:
            best, last = out[-1]
            instead = span.instead if rank < best else last.instead
            out[-1] = (min(rank, best), Span(last.start, max(last.end, span.end), instead))
        else:
            out.append((rank, span))
    return [span for _, span in out]
