"""The watchdog: a process of its own session that puts things back when the probe cannot. `python -m diagnostics.probe.watchdog`.

A fresh process, never a fork: gRPC does not survive one. It imports nothing of Google's until it has to act, holds the other end of the
probe's pipe, and so learns of the probe's end whatever ended it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

import diagnostics
from diagnostics.probe.journal import Journal

READY, DONE = b"ready\n", b"done\n"
START_S = 20.0
TRIES, PAUSE_S = 60, 10.0
"""How often, and at what distance, it tries to restore while Google or the sign-in refuses."""


class Watchdog:
    """The probe's end of it."""

    def __init__(self, run: str, folder: Path, seconds: float, impersonate: str, waits: bytes) -> None:
        """Returns when it watches. Raises OSError or TimeoutError when it does not come up."""
        words = [sys.executable, "-m", "diagnostics.probe.watchdog", run, "--state", str(folder)]
        words += [f"--seconds={seconds}", f"--impersonate={impersonate}", f"--waits={waits.decode()}"]
        root = str(Path(diagnostics.__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        if not ready or self._process.stdout.readline() != READY:
            self._process.kill()
            raise TimeoutError("the watchdog did not come up")

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def dismiss(self) -> None:
        """All is put back: it may go."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.stdin.write(DONE)
            self._process.stdin.close()
            self._process.wait(5)


def main() -> int:
    parser = argparse.ArgumentParser(description="Put back what a probe changed, when the probe is gone or late.")
    parser.add_argument("run")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--impersonate", default="")
    parser.add_argument("--waits", default="{}")
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)  # wakes the waiting below: the machine goes down, so act at once
    os.write(1, READY)
    if _dismissed(asked.seconds):
        return 0
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return _act(asked.run, Journal(asked.state.parent), asked.impersonate, asked.waits.encode())


def _dismissed(seconds: float) -> bool:
    """Wait for the probe's word. False: it is gone, late, or we are told to end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    ready, _, _ = select.select([0, reader], [], [], seconds)
    return 0 in ready and os.read(0, len(DONE)) == DONE


def _act(run: str, journal: Journal, impersonate: str, waits: bytes) -> int:
    from diagnostics.probe import log_entry
    from diagnostics.probe.reach import Reach, Waits
    from diagnostics.probe.restore import restore
    from diagnostics.transport.session import LabError, Options, Session, SignInError

    for _ in range(TRIES):
        entry = journal.read(run)
        if entry is None:
            return 0
        try:
            session = Session.open(Options(impersonate=impersonate, timeout_s=60))
        except (SignInError, LabError):
            time.sleep(PAUSE_S)
            continue
        reach = Reach(session, msgspec.json.decode(waits, type=Waits))
        outcome = restore(reach, entry)
        if outcome.over:
            journal.remove(run)
            if entry.push is not None:
                log_entry.say_over(reach, entry)
            return 0
        if outcome.state == "changed":
            return 2
        time.sleep(PAUSE_S)
    return 3


if __name__ == "__main__":
    sys.exit(main())
