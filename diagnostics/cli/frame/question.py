"""What a command of the investigation asks."""

from __future__ import annotations

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
