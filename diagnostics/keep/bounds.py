"""How much a bundle may hold: counted before anything is made of it, so that no small file takes a machine.

The bounds are far above what a run reads (a few thousand lines of a kind), and whoever writes a bundle is held to them, too: what is
kept can be read again. Counting takes no more memory than the bytes that are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

MIB = 2**20
MOST_BYTES = 32 * MIB
"""Of a bundle as a file."""
MOST_JSON = 64 * MIB
"""Of its document. A hundred thousand log lines are some 25 MB."""
MOST_VALUES = 3_000_000
"""Values in the whole document, by what stands between them: commas and opening brackets, those within texts as well. A hundred
thousand log lines have half of it."""
MOST_ENTRIES = 120_000
"""Entries of one piece of evidence: lines, items, series, bindings. Batch state may list a hundred thousand items."""
MOST_PARTS = 10_000
"""Calls, notes, pieces of evidence and gaps, each."""
_STRUCTURE = re.compile(rb'(?:[^"\[\]{},]|"(?:[^"\\]|\\.)*+")*+([\[\]{},])')
"""The next bracket or comma that is not within a text."""


class TooMuchError(ValueError):
    """More than a bundle may hold: which bound, and by how much."""


class Counting:
    """Counts a document as it comes, in parts, of which none is kept."""

    def __init__(self) -> None:
        self.bytes = self.values = 0

    def take(self, part: bytes) -> None:
        """Raises TooMuchError as soon as it is too much."""
        self.bytes += len(part)
        self.values += sum(map(part.count, (b",", b"[", b"{")))
        if self.bytes > MOST_JSON:
            raise TooMuchError(f"holds more than {MOST_JSON // MIB} MiB of JSON, the most that a bundle may")
        if self.values > MOST_VALUES:
            raise TooMuchError(f"holds more than {MOST_VALUES:,} values, the most that a bundle may")


def check_document(text: bytes) -> None:
    """Raises TooMuchError."""
    Counting().take(text)


def check_piece(kind: str, seen: bytes | msgspec.Raw) -> None:
    """One piece of evidence, as JSON. Raises TooMuchError."""
    text = bytes(seen)
    if text.count(b",") >= MOST_ENTRIES and (entries := _entries(text)) > MOST_ENTRIES:
        raise TooMuchError(f"holds {entries:,} entries of {kind}, more than the {MOST_ENTRIES:,} that a bundle may")


def check_parts(**parts: Iterable[object]) -> None:
    """Lists of the document itself. Raises TooMuchError."""
    for name, listed in parts.items():
        if (many := len(tuple(listed))) > MOST_PARTS:
            raise TooMuchError(f"holds {many:,} {name}, more than the {MOST_PARTS:,} that a bundle may")


def _entries(text: bytes) -> int:
    """What the lists and tables hold that are fields of this object: one more than there are commas in each."""
    depth = commas = fields = 0
    for found in _STRUCTURE.finditer(text):
        mark = found[1]
        if mark == b",":
            commas += depth == 2
        elif mark in b"[{":
            depth += 1
            fields += depth == 2
        else:
            depth -= 1
    return commas + fields
