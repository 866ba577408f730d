"""Finding a runbook by what somebody sees: a log line, a status, a symptom in words. Best first, by SQLite's full-text search."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import NamedTuple

from diagnostics.runbook.pages import Runbook, every

WEIGHTS = (6.0, 6.0, 10.0, 1.0)
"""How much a word counts that stands in the code, the title, the symptoms, the text."""
NEAREST = 5
"""Pages that are named at least, if so many hold any of the words."""

MOST_WORDS = 60
"""Of a line that is looked for, or of a line of a page: more tell no more."""


class Hit(NamedTuple):
    page: Runbook
    line: str
    """Its line that holds most of the words."""


def find(text: str) -> list[Hit]:
    """Pages that hold all these words; where these are few, the nearest that hold some of them after them."""
    words = _words(text)
    if not words:
        return []
    books = every()
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute(
            "CREATE VIRTUAL TABLE page USING fts5(name, title, symptoms, body, tokenize = 'porter unicode61')"
        )
        index.executemany("INSERT INTO page VALUES (?, ?, ?, ?)", map(_columns, books))
        every_word, some = _matching(index, " AND ", words), _matching(index, " OR ", words)
    found = list(dict.fromkeys([*every_word, *some]))[: max(len(every_word), NEAREST)]
    return [Hit(books[at], _line(books[at], words)) for at in found]


def _matching(index: sqlite3.Connection, between: str, words: list[str]) -> list[int]:
    """Places of the pages in the order of how well they fit."""
    asked = between.join(f'"{word}"' for word in words)
    ranked = "SELECT rowid - 1 FROM page WHERE page MATCH ? ORDER BY bm25(page, ?, ?, ?, ?), rowid"
    return [at for (at,) in index.execute(ranked, (asked, *WEIGHTS))]


def _columns(book: Runbook) -> tuple[str, str, str, str]:
    front = book.front
    return front.name, _plain(front.title), _plain("\n".join(front.symptoms)), _plain(book.body)


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[^\W_]+", _plain(text).lower())))[:MOST_WORDS]


def _plain(text: str) -> str:
    """Shares without their numbers, as pages write them: 0/181 is 0/N, 114/119 is k/N."""
    return re.sub(r"\b(\d+)/\d+\b", lambda share: f"{0 if int(share[1]) == 0 else 'k'}/N", text)


def _line(book: Runbook, words: list[str]) -> str:
    """The first of those that hold most of the words; symptoms come first."""
    lines = [*book.front.symptoms, *(line.strip("#*-| ") for line in book.body.splitlines())]
    return max(lines, key=lambda line: len(set(words) & set(_words(line))), default="")
