"""The clock that a probe's time is measured by: the machine's own, never the time of day, Google's or the lab's."""

from __future__ import annotations

import time

BOOT_TIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def ticks() -> float:
    """Seconds since some moment. What sets the time of day does not move it; it goes on while the machine sleeps, where the system
    counts that."""
    return time.monotonic() if BOOT_TIME is None else time.clock_gettime(BOOT_TIME)
