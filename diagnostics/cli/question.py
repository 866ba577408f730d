"""What a command of the investigation asks."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    command: str
    batch: str | None = None
    expect: int | None = None
    leg: str | None = None
    live: bool = False
