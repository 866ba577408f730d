"""The results by date, as a table, with a line that shows their course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diagnostics.conclude.diagnosis import DayOfResults
from diagnostics.report.layout import Layout

BARS = "▁▂▃▄▅▆▇█"
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
    lines = [layout.table(head, rows, right=[1, 2])]
    if len(shown) < len(days):
        lines.append(f"and {len(days) - len(shown)} dates before (-o json has them)")
    if len(days) > 1 and any(day.rows for day in days):
        lines += ["", f"total   {spark([d.rows for d in days])}", f"active  {spark([d.active for d in days])}"]
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
