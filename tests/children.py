"""Forked children of test processes."""

from __future__ import annotations

import os
import signal
import time

TIMED_OUT = -999
"""Instead of an exit code: it took longer than it may."""


def exit_code(child: int, within_s: float) -> int:
    """The exit code of a child, negative for a signal. One that takes longer is killed: TIMED_OUT."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TIMED_OUT
