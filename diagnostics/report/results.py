"""The results by date, as a table, with a line that shows their course."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from diagnostics.conclude.diagnosis import DayOfResults
from diagnostics.report.layout import Layout

BARS = "▁▂▃▄▅▆▇█"
FEWEST = 3
"""Of fewer dates a line of bars shows nothing that the table does not."""
MOST = 62
"""Dates that are listed one by one: two months. Of more, those with rows of several versions and the newest."""


def render(days: Sequence[DayOfResults], layout: Layout) -> str:
    """Date, rows, rows in force, and the models that made them."""
    files = any(day.files for day in days)
    shown = days[-MOST:]
    rows = [
        [
            day.day.isoformat(),
            str(day.rows) if day.rows else "none",
            str(day.active) if day.rows else "",
            ", ".join(day.versions),
            *([", ".join(day.files)] if files else []),
        ]
        for day in shown
    ]
    head = ["date", "total", "active", "model version", *(["file"] if files else [])]
    table = layout.table(head, rows, right=[1, 2])
    lines = [table if layout.fits(table) else _apart(head, rows, layout)]
    if len(shown) < len(days):
        lines.append(f"and {len(days) - len(shown)} dates before (-o json has them)")
    if len(days) >= FEWEST and any(day.rows for day in days):
        lines += [
            "",
            *(
                _course(name, numbers)
                for name, numbers in (("total", [d.rows for d in days]), ("active", [d.active for d in days]))
            ),
        ]
    return "\n".join(lines)


def _course(name: str, numbers: Sequence[int]) -> str:
    """How the number of rows went from date to date, and how high the highest bar is."""
    return f"{name:<6}  {spark(numbers)}  by date, at most {max(numbers)}"


def _apart(head: Sequence[str], rows: Sequence[Sequence[str]], layout: Layout) -> str:
    """On a narrow page the last column, which holds the longest names, below the others: each name once, with the dates that have it."""
    lines = [layout.table(head[:-1], [row[:-1] for row in rows], right=[1, 2])]
    for names, those in groupby(rows, key=lambda row: row[-1]):
        dates = [row[0] for row in those]
        between = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        lines += [layout.wrap(f"{head[-1]}  ", f"{between}: {names}", indent=4)] if names else []
    return "\n".join(lines)


class Bar(NamedTuple):
    """One date as a bar: how long it is, of 100, and how much of it is in force."""

    day: DayOfResults
    rows: float
    active: float


def bars(days: Sequence[DayOfResults]) -> list[Bar]:
    """The newest dates, each as long as its share of the one with most rows."""
    shown = days[-MOST:]
    most = max((day.rows for day in shown), default=0) or 1
    return [Bar(day, round(100 * day.rows / most, 1), round(100 * day.active / most, 1)) for day in shown]


def spark(numbers: Sequence[int]) -> str:
    """One character a number, as high as its share of the greatest; a dot for none."""
    most = max(numbers, default=0)
    if not most:
        return "·" * len(numbers)
    return "".join(BARS[(n * len(BARS) - 1) // most] if n else "·" for n in numbers)
