"""How many log reads a minute still allows. Google allows few, 60 a minute and project, whoever makes them; so runs that follow each
other closely have to know of each other.

Each read is a line in a file of the state directory, its time and the process that made it. The file is help, not truth: where it cannot
be read or written every process knows of its own reads only, and a refusal by Google is waited for all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

PER_MINUTE = 60
"""entries.list of a project (cloud.google.com/logging/quotas)."""
BUDGET = 30
"""Log reads of one look of a command in a run of up to half a minute, however short the answers come: half of a minute's."""
HALF_MINUTE_S = 30.0
USUAL_S = 20.0
"""The usual `--timeout`: a run that may take longer reads on for longer."""
MINUTE_S = 60.0
PAUSES_S = (5.0, 10.0, 20.0)
"""After the first, second and each further refusal by Google."""
AHEAD_S = 2.0
"""A line so much later than now was written before the clock went back: it tells nothing."""
TAIL = 8192
"""Bytes at the end of the file that hold more lines than a minute has."""
LARGEST = 65536
"""Bytes; a larger file is made anew of its last minute."""


class Leaves(IntEnum):
    """So many reads of the budget a search leaves to others when it goes on with what came in part: what decides most goes first.

    The second page of each search leaves no more than the least, so that it does not depend on which of them came first."""

    LEAST = 7
    """What follows from an answer is left its first page."""
    HOLDS = LEAST
    """Whether items are held, and by what: lines of items, refused requests."""
    WHY = 10
    """Why a service refused: what the platform and the program printed."""
    BATCH = 16
    """The course of the batch. All else is asked once it is known: a first page, and some that go on."""
    CHANGED = 20
    """What was changed. It is asked beside the course of the batch, which goes first."""


class Budget:
    """What one look of a command has read, of what it may. The first page of each search is always allowed; what goes on with an
    answer in part is, while others are left theirs. Threads share it."""

    def __init__(self, timeout_s: float = USUAL_S) -> None:
        """`timeout_s`: how long the run may take; the longer, the more it may read."""
        self.most = round(BUDGET * max(1.0, timeout_s / HALF_MINUTE_S))
        self.spent = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Take one for the first page of a search."""
        with self._lock:
            self.spent += 1

    def go_on(self, leaves: Leaves) -> bool:
        """Take one for a further page; False: the rest is for others."""
        with self._lock:
            if self.spent + leaves >= self.most:
                return False
            self.spent += 1
            return True


class LogReads:
    """The reads of one machine, by project. Threads share it."""

    def __init__(
        self,
        per_minute: int = PER_MINUTE,
        folder: Path | None = None,
        world: str = "",
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder`: where the machine's reads are counted; None: only those of this process are. `world`: tells the lab's projects
        from Google's."""
        self.per_minute = per_minute
        self._folder, self._world = folder, world
        self._clock, self._steady = clock, steady
        self._own: dict[str, deque[float]] = defaultdict(deque)
        self._refusals = 0
        self._not_before = 0.0
        self._lock = threading.Lock()

    def take(self, project: str, keep: int = 0) -> float:
        """Take one read and give 0; or, where there is none, the seconds until there may be. `keep`: so many are left for others."""
        with self._lock:
            now = self._steady()
            own = self._own[project]
            while own and own[0] <= now - MINUTE_S:
                own.popleft()
            ages = sorted([*(now - at for at in own), *self._others(project)], reverse=True)
            over = len(ages) - max(1, self.per_minute - keep)
            wait = max(MINUTE_S - ages[over] if over >= 0 else 0.0, self._not_before - now, 0.0)
            if not wait:
                own.append(now)
                self._write(project)
            return wait

    def refused(self) -> None:
        """Google says that the minute is used up: others have read, too."""
        with self._lock:
            pause = PAUSES_S[min(self._refusals, len(PAUSES_S) - 1)]
            if self._steady() >= self._not_before:  # refusals of questions that were asked together are one
                self._refusals += 1
                self._not_before = self._steady() + pause

    # --- the file

    def _file(self, project: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"log-reads-{hashlib.sha256(f'{self._world}/{project}'.encode()).hexdigest()[:12]}"

    def _others(self, project: str) -> list[float]:
        """Ages, in seconds, of what other processes have read within the minute."""
        path, now, me = self._file(project), self._clock(), str(os.getpid())
        ages = []
        for line in _tail(path) if path else ():
            at, _, process = line.partition(" ")
            with contextlib.suppress(ValueError):
                age = now - float(at)
                if process != me and -AHEAD_S <= age < MINUTE_S:
                    ages.append(max(age, 0.0))
        return ages

    def _write(self, project: str) -> None:
        path = self._file(project)
        if path is None:
            return
        line = f"{self._clock():.3f} {os.getpid()}\n"
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > LARGEST:
                _shorten(path)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read(TAIL).decode("ascii", "replace").splitlines()
    except OSError:
        return []


def _shorten(path: Path) -> None:
    """Only the newest lines. What another process writes meanwhile may be lost: it is counted by that process."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("".join(f"{line}\n" for line in _tail(path)[1:]))
    temporary.replace(path)
