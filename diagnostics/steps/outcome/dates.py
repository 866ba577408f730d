"""Dates, as they are said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta


def spoken(days: Iterable[date] | Mapping[date, object]) -> str:
    """2026-02-01, 2026-02-03 to 2026-02-08."""
    spans: list[list[date]] = []
    for day in sorted(days):
        if spans and day - spans[-1][1] == timedelta(days=1):
            spans[-1][1] = day
        else:
            spans.append([day, day])
    return _few([f"{a}" if a == b else f"{a} to {b}" for a, b in spans])


def _few(said: Sequence[str], most: int = 4) -> str:
    return ", ".join(said[:most]) + (f" and {len(said) - most} more spans" if len(said) > most else "")
