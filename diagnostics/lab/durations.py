"""Lengths and moments of time as a scenario writes them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from msgspec import Meta

Duration = Annotated[
    str, Meta(pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", description="a length of time: 90s, 2h, 3d12h")
]
When = Annotated[
    str,
    Meta(
        pattern=r"^(-(\d+(\.\d+)?(s|m|h|d|w))+|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)$",
        description="before now (-19m, -3d2h) or an RFC 3339 time in UTC",
    ),
]

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(duration: str) -> float:
    """Seconds of a Duration ("90s", "3d12h") or of the same with a leading minus."""
    total = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", duration))
    return -total if duration.startswith("-") else total


def moment(when: str, now: float) -> float:
    """Seconds since the epoch of a When."""
    if when.startswith("-"):
        return now + seconds(when)
    return datetime.fromisoformat(when).timestamp()
