"""Names of items, as many as a batch has."""

from __future__ import annotations

from collections.abc import Callable

IN_VAIN = 1000
"""So many draws in a row that bring no new name tell that there are hardly any left."""


def distinct(draw: Callable[[], str], count: int) -> list[str]:
    """So many different names. Where there are no more to draw, a namesake has a number."""
    drawn: dict[str, None] = {}
    vain = 0
    while len(drawn) < count and vain < IN_VAIN:
        before = len(drawn)
        drawn[draw()] = None
        vain = 0 if len(drawn) > before else vain + 1
    names = list(drawn)
    missing = count - len(names)
    again = range(2, 2 + -(-missing // len(names))) if names else ()
    return names + [f"{name}-{number}" for number in again for name in names][:missing]
