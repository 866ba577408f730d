"""The watchdog: a process of its own session that puts things back when the probe cannot. `python -m diagnostics.probe.watchdog`.

A fresh process, never a fork: gRPC does not survive one. It imports nothing of Google's until it has to act. It knows the probe by the
other end of its pipe, and by a descriptor of that very process where the system has such; never by the number of the process, which
another one may have by then. So it learns of the probe's end whatever ended it, and also that the probe is late: stopped, say.
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
from enum import StrEnum
from pathlib import Path

import msgspec

import diagnostics
from diagnostics.probe.journal import Entry, Journal, state_of
from diagnostics.probe.ticks import ticks

READY, DONE = b"ready\n", b"done\n"
START_S = 20.0
TRIES, PAUSE_S = 60, 10.0
"""How often, and at what distance, it tries to restore while Google or the sign-in refuses."""
LOOK_S = 30.0
"""So often it looks at the clock: a machine that slept wakes up late."""


class Watchdog:
    """The probe's end of it."""

    def __init__(self, entry: Entry, folder: Path, seconds: float, impersonate: str, waits: bytes) -> None:
        """Returns when it watches. Raises OSError or TimeoutError when it does not come up."""
        words = [sys.executable, "-m", "diagnostics.probe.watchdog", entry.run, "--state", str(folder)]
        words += [f"--seconds={seconds}", f"--impersonate={impersonate}", f"--waits={waits.decode()}"]
        words.append(f"--parent={os.getpid()}")
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
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            # Through the pipe, not as an argument, which everybody on the machine can read: an endpoint may hold a secret.
            self._process.stdin.write(msgspec.json.encode(entry) + b"\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], START_S)
            if not ready or self._process.stdout.readline() != READY:
                raise TimeoutError("the watchdog did not come up")
        except OSError:  # a TimeoutError is one
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Whether it watches: one that is stopped (SIGSTOP) does not."""
        return self._process.poll() is None and state_of(self._process.pid) not in STOPPED

    def dismiss(self) -> None:
        """All is put back: it may go."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.stdin.write(DONE)
            self._process.stdin.close()
            if self.alive():  # a stopped one reads it once it goes on
                self._process.wait(5)


STOPPED = ("T", "t")
"""States of a process that gets no time until it is told to go on (proc(5))."""


class Why(StrEnum):
    """What ended the waiting."""

    DISMISSED = "dismissed"
    GONE = "gone"
    LATE = "late"
    TOLD = "told"
    """By SIGTERM: the machine goes down, so act at once."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Put back what a probe changed, when the probe is gone or late.")
    parser.add_argument("run")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--impersonate", default="")
    parser.add_argument("--waits", default="{}")
    parser.add_argument("--parent", type=int, required=True)
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)  # wakes the waiting below
    probe = _Probe(asked.parent)
    entry = msgspec.json.decode(probe.line(), type=Entry)
    os.write(1, READY)
    why = probe.wait(asked.seconds)
    if why is Why.DISMISSED:
        return 0
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    act = _Act(entry, Journal(asked.state.parent), asked.impersonate, asked.waits.encode(), probe)
    code = act()
    if why is Why.LATE and not act.ended:
        # It may wake up and write once more what it was about to write: it is watched to its end.
        code = 0 if probe.wait(None) is Why.DISMISSED else act()
    return code


class _Probe:
    """The probe, as its watchdog sees it."""

    def __init__(self, pid: int) -> None:
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        self._told, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        self._poll.register(self._told, select.POLLIN)
        self._itself = _descriptor(pid)
        if self._itself is not None:
            self._poll.register(self._itself, select.POLLIN)

    def line(self) -> bytes:
        """Its first word, up to the end of the line."""
        said = b""
        while not said.endswith(b"\n") and (more := os.read(0, 1)):
            said += more
        return said

    def wait(self, seconds: float | None) -> Why:
        """Wait for its word. Else: it is gone, it is late (None: it may take as long as it likes), or we are told to end."""
        end = None if seconds is None else ticks() + seconds
        while True:
            left = LOOK_S if end is None else min(end - ticks(), LOOK_S)
            if left <= 0:
                return Why.LATE
            ready = [descriptor for descriptor, _ in self._poll.poll(left * 1000)]
            if 0 in ready:
                return Why.DISMISSED if os.read(0, len(DONE)) == DONE else Why.GONE
            if self._itself in ready:
                return Why.GONE
            if self._told in ready:
                return Why.TOLD

    def gone(self) -> bool:
        """Whether it has ended, however."""
        return any(descriptor in (0, self._itself) for descriptor, _ in self._poll.poll(0))


def _descriptor(pid: int) -> int | None:
    """Of the process that started us, whatever gets its number later; None where the system has no such thing, or it has ended."""
    opened = getattr(os, "pidfd_open", None)
    if opened is None or os.getppid() != pid:
        return None
    try:
        descriptor = int(opened(pid))
    except OSError:
        return None
    return descriptor if os.getppid() == pid else None


class _Act:
    """Restoring, in the probe's stead."""

    def __init__(self, entry: Entry, journal: Journal, impersonate: str, waits: bytes, probe: _Probe) -> None:
        self._entry, self._journal, self._probe = entry, journal, probe
        self._impersonate, self._waits = impersonate, waits
        self.ended = False
        """The probe was gone when all was put back: nobody changes anything any more."""

    def __call__(self) -> int:
        """0: all is put back. Tries again while Google or the sign-in refuses."""
        from diagnostics.probe import log_entry
        from diagnostics.probe.reach import Reach, Waits
        from diagnostics.probe.restore import restore
        from diagnostics.transport.session import LabError, Options, Session, SignInError

        for _ in range(TRIES):
            gone = self._probe.gone()
            entry = self._newest()
            try:
                session = Session.open(Options(impersonate=self._impersonate, timeout_s=60))
            except (SignInError, LabError):
                time.sleep(PAUSE_S)
                continue
            reach = Reach(session, msgspec.json.decode(self._waits, type=Waits))
            outcome = restore(reach, entry)
            if outcome.over:
                if gone:
                    self.ended = True
                    with contextlib.suppress(OSError):
                        self._journal.remove(entry.run)
                    if entry.push is not None:
                        log_entry.say_over(reach, entry)
                return 0
            if outcome.state == "changed":
                return 2
            time.sleep(PAUSE_S)
        return 3

    def _newest(self) -> Entry:
        """As the journal has it; where that is lost, damaged or cannot be read, as the probe told it when it began."""
        try:
            return self._journal.read(self._entry.run) or self._entry
        except (ValueError, OSError):
            return self._entry


if __name__ == "__main__":
    sys.exit(main())
