"""What the answer offers and prints, as it was expected: commands by how they begin, texts by what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.report import text
from diagnostics.report.layout import Layout
from diagnostics.scoring.expect import Expected
from diagnostics.scoring.pattern import begins, holds, one_line

WIDTH = 100
"""Columns of the page that the answer is read on. Where a line breaks does not matter."""


def disagreements(expected: Expected, found: Diagnosis) -> Iterator[str]:
    offered = offers(found)
    for pattern in expected.offers:
        if not any(begins(command, pattern) for command in offered):
            yield f"offers {pattern}: expected, found {'; '.join(offered) or 'no command'}"
    for pattern in expected.not_offers:
        yield from (f"not_offers {pattern}: found {c}" for c in offered if begins(c, pattern))
    if expected.says or expected.not_says:
        yield from _texts(expected, text.render(found, Layout(WIDTH)))


def offers(found: Diagnosis) -> tuple[str, ...]:
    """Every command that the answer offers, its own and those of the causes that it names."""
    return tuple(dict.fromkeys(map(one_line, _offered(found))))


def _offered(found: Diagnosis) -> Iterable[str]:
    yield from found.next
    for cause in found.causes:
        yield from cause.next


def _texts(expected: Expected, page: str) -> Iterator[str]:
    for pattern in expected.says:
        if not holds(page, pattern):
            yield f"says {pattern}: expected, not printed"
    for pattern in expected.not_says:
        if holds(page, pattern):
            yield f"not_says {pattern}: printed"
