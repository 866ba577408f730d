"""How the probe calls Google: each call bounded, and every failure told as what it means for what was to be written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe.ticks import ticks
from diagnostics.transport.call import call
from diagnostics.transport.rpcs import Rpc
from diagnostics.transport.session import LabError, Session, find_lab

ONE_CALL = 0.4
"""The share of a session's time that one call in it may take (Session.allowance_s)."""
At = Callable[[str, str], None]
"""Told "before" and "after" and the name of each call. Tests end the process there."""


class Waits(Struct, frozen=True, kw_only=True):
    """How long the probe waits for what, in seconds."""

    rpc_s: float = 10.0
    """One call."""
    pull_s: float = 15.0
    """One pull; Pub/Sub may hold it open while nothing comes."""
    between_pulls_s: float = 1.0
    peek_s: float = 60.0
    """All pulls together. A seek may take a minute to be fully effective, a change-over to pull minutes (push page)."""
    settle_s: float = 3.0
    """After a write whose answer did not come, before what is read is believed."""
    readback_s: float = 60.0
    """For the entry in Cloud Logging to be readable."""
    watch_s: float = 180.0
    """For the first push after a switch to be seen."""
    between_looks_s: float = 5.0
    restore_s: float = 120.0
    """How long restoring is tried again before it is left to the watchdog, or to `probe restore`."""


class Refused(Exception):
    """Google said no: nothing was changed."""

    def __init__(self, says: str, mend: str = "", exists: bool = False) -> None:
        super().__init__(says)
        self.says = says
        self.mend = mend
        self.exists = exists
        """What was to be made is there already."""


class Unclear(Exception):
    """No answer came: the call may have taken effect, now or in a moment, or not."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


class Reach:
    """The calls of one probe."""

    def __init__(
        self,
        session: Session,
        waits: Waits | None = None,
        at: At = lambda _when, _name: None,
        ends: Clock | None = None,
        ahead_s: float = 0.0,
    ) -> None:
        """`ends`: the time that all calls and waits have together; None: each has its own of `waits`, as what must be put back has.
        `ahead_s`: by so much this machine's clock is ahead of Google's."""
        self.session = session
        self._ahead_s = ahead_s
        self.waits = waits or Waits()
        self._at = at
        self._ends = ends

    @property
    def left(self) -> float:
        """Seconds that are left of the time for everything; infinite where there is no such time."""
        return self._ends.left if self._ends else math.inf

    def part(self, share: float) -> Reach:
        """The same with this share of the time that is left for everything."""
        ends = Clock(share * self.left) if self._ends else None
        return Reach(self.session, self.waits, self._at, ends, self._ahead_s)

    def read(self, rpc: Rpc, request: dict[str, Any], what_for: str = "") -> Any:
        """A call that changes nothing; `what_for` goes with its name. Raises NotThere or NotSeen."""
        name = f"{rpc.name}:{what_for}" if what_for else rpc.name
        return self.around(name, lambda: call(self.brief(), rpc, request))

    def write(
        self,
        rpc: Rpc,
        request: dict[str, Any],
        *,
        again: bool,
        seconds: float = 0.0,
        note: Callable[[Any], None] = lambda _answer: None,
    ) -> Any:
        """A call that changes something. `again`: doing it twice is harmless. `note` is handed the answer before anything can come
        between. Raises NotThere, Refused or Unclear."""
        if self.left <= 0:
            raise Refused(self._over)  # it was not even sent
        brief = self.brief(seconds)
        try:
            return self.around(rpc.name, lambda: _noted(call(brief, rpc, request, repeated=again), note))
        except NotSeen as failed:
            raise _meaning(failed) from failed

    def around(self, name: str, ask: Callable[[], Any]) -> Any:
        """Any other call, under a name."""
        self._at("before", name)
        answer = ask()
        self._at("after", name)
        return answer

    def now(self) -> datetime:
        """The moment by Google's clock, as far as it is known; the lab's in the lab."""
        lab = self.session.lab
        if lab is None:
            return datetime.now(UTC) - timedelta(seconds=self._ahead_s)
        if lab.http:
            with suppress(LabError):
                return find_lab(lab.http, max(min(self.waits.rpc_s, self.left), 0.001)).now
        return self.session.now + timedelta(seconds=self.session.seconds())

    def brief(self, seconds: float = 0.0, now: datetime | None = None) -> Session:
        """A session in which one call may take that long (else `rpc_s`), and no more than its repetitions need beside it; less, where
        less is left for everything. `now`: its moment. Raises NotSeen where nothing is left."""
        if self.left <= 0:
            raise NotSeen(Why.TIMED_OUT, self._over)
        return self.session.again(min((seconds or self.waits.rpc_s) / ONE_CALL, self.left), now)

    @property
    def _over(self) -> str:
        return f"not asked: the {self.session.timeout_s:g} s of --timeout are over"

    def pause(self, seconds: float) -> None:
        """Wait, no longer than there is time for everything."""
        time.sleep(min(seconds, self.left))


class Clock:
    """So many seconds, from now on, by the machine's own count (`ticks`)."""

    def __init__(self, seconds: float) -> None:
        self._end = ticks() + seconds

    @property
    def left(self) -> float:
        return max(self._end - ticks(), 0.0)

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the time is over. Whether there is time left."""
        time.sleep(min(seconds, self.left))
        return self.left > 0


def _noted(answer: Any, note: Callable[[Any], None]) -> Any:
    note(answer)
    return answer


def _meaning(failed: NotSeen) -> Refused | Unclear:
    """What a failed write amounts to. Only an answer that says no is a no."""
    from google.api_core import exceptions as google

    cause = failed.__cause__
    answered = isinstance(cause, google.ClientError) and not isinstance(cause, google.Cancelled | google.Aborted)
    if answered or failed.why in (Why.PERMISSION_DENIED, Why.SIGN_IN):
        return Refused(failed.says, failed.mend, isinstance(cause, google.AlreadyExists))
    return Unclear(failed.says)
