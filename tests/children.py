"""Forked children of test processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

TIMED_OUT = -999
"""Instead of an exit code: it took longer than it may."""


class Queued:
    """For how long a process's main thread could have run and had no processor, as the kernel counts it; 0 where it does not."""

    def __init__(self, child: int) -> None:
        self._file = Path(f"/proc/{child}/task/{child}/schedstat")
        self.seconds = 0.0

    def look(self) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            self.seconds = int(self._file.read_text().split()[1]) / 1e9


def exit_code(child: int, within_s: float, meanwhile: Callable[[], None] = lambda: None) -> int:
    """The exit code of a child, negative for a signal. One that takes longer is killed: TIMED_OUT. `meanwhile` is called now and then
    while it runs."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        meanwhile()
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TIMED_OUT
