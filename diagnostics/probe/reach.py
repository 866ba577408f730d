"""How the probe calls Google: each call bounded, and every failure told as what it means for what was to be written."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.transport.call import call
from diagnostics.transport.rpcs import Rpc
from diagnostics.transport.session import LabError, Session, find_lab

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

    def __init__(self, session: Session, waits: Waits | None = None, at: At = lambda _when, _name: None) -> None:
        self.session = session
        self.waits = waits or Waits()
        self._at = at

    def read(self, rpc: Rpc, request: dict[str, Any]) -> Any:
        """A call that changes nothing. Raises NotThere or NotSeen."""
        return self.around(rpc.name, lambda: call(self._brief(self.waits.rpc_s), rpc, request))

    def write(self, rpc: Rpc, request: dict[str, Any], *, again: bool, seconds: float = 0.0) -> Any:
        """A call that changes something. `again`: doing it twice is harmless. Raises NotThere, Refused or Unclear."""
        brief = self._brief(seconds or self.waits.rpc_s)
        try:
            return self.around(rpc.name, lambda: call(brief, rpc, request, repeated=again))
        except NotSeen as failed:
            raise _meaning(failed) from failed

    def around(self, name: str, ask: Callable[[], Any]) -> Any:
        """Any other call, under a name."""
        self._at("before", name)
        answer = ask()
        self._at("after", name)
        return answer

    def now(self) -> datetime:
        """The moment, on Google's side of the seam: the lab's in the lab."""
        lab = self.session.lab
        if lab is None:
            return datetime.now(UTC)
        if lab.http:
            with suppress(LabError):
                return find_lab(lab.http, self.waits.rpc_s).now
        return self.session.now + timedelta(seconds=self.session.seconds())

    def fresh(self, seconds: float) -> Session:
        """A session for reading, whose now is now."""
        return self.session.again(seconds, self.now())

    def _brief(self, seconds: float) -> Session:
        """A session in which one call may take that long, and no more than its repetitions need beside it."""
        return self.session.again(seconds / 0.4)


class Clock:
    """So many seconds, from now on. On the machine's own clock, never Google's or the lab's."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(self._end - time.monotonic(), 0.0)

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the time is over. Whether there is time left."""
        time.sleep(min(seconds, self.left))
        return self.left > 0


def _meaning(failed: NotSeen) -> Refused | Unclear:
    """What a failed write amounts to. Only an answer that says no is a no."""
    from google.api_core import exceptions as google

    cause = failed.__cause__
    answered = isinstance(cause, google.ClientError) and not isinstance(cause, google.Cancelled | google.Aborted)
    if answered or failed.why in (Why.PERMISSION_DENIED, Why.SIGN_IN):
        return Refused(failed.says, failed.mend, isinstance(cause, google.AlreadyExists))
    return Unclear(failed.says)
