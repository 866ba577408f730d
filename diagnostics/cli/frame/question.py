"""What a command of the investigation asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import NamedTuple


class Question(NamedTuple):
    command: str
    batch: str | None = None
    expect: int | None = None
    leg: str | None = None
    live: bool = False
    probe: bool = False
    """Whether to look at the messages themselves; whoever asks has consented, or is asked."""
    yes: bool = False
    days: Callable[[datetime], tuple[date, date]] | None = None
    """Of `outcome`: first and last date, by the moment of the run."""
    max_bytes: int | None = None
