"""Faults of the lab's own APIs, as the scenario lists them: an answer that is an error, late, cut short, or never comes.

What is lost rather than cut has taken effect: the caller cannot tell the two apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from diagnostics.lab.scenario import Fault
from diagnostics.lab.servers.errors import RpcError

Wait = Callable[[float | None], None]
"""Wait some seconds, or (None) until the caller gives up; returns early when the lab closes."""

HTTP = "HTTP"
"""The name under which a fault can also hit calls to service URLs."""

ERRORS: dict[str, tuple[str, str]] = {
    "unavailable": ("UNAVAILABLE", "The service is currently unavailable."),
    "permission_denied": ("PERMISSION_DENIED", "The caller does not have permission"),
    "resource_exhausted": ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "unauthenticated": (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential.",
    ),
    "cut": ("UNAVAILABLE", "Connection reset by peer"),
    "lost": ("UNAVAILABLE", "Connection reset by peer"),
}


ELSEWHERE = ("garbage", "bad_gateway", "trickle")
"""Kinds in which somebody else answers: how, depends on what was asked."""
PAGE = b"<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>Please sign in.</body></html>"


class SomebodyElse(Exception):
    """What was asked is not answered by who was asked."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Met(NamedTuple):
    """What a call met, and what is still in store for its answer."""

    lose: Callable[[], None]
    """To be called once the call has taken effect: it loses the answer if that is in store."""
    searches_s: float | None = None
    """Seconds of the log that it has time to search; 0: a part of what is left; None: all."""


class Faults:
    """The faults of one lab, with their call counts."""

    def __init__(self, faults: Sequence[Fault], served: Sequence[str]) -> None:
        """`served` are the names of all RPCs. Raises ValueError for a fault that can hit none of them."""
        self._served = served
        self._lock = threading.Lock()
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """From now on these, counted from the beginning. Raises ValueError, and then changes nothing."""
        for fault in faults:
            if not any(_hits(fault.rpc, rpc) for rpc in (*self._served, HTTP)):
                raise ValueError(f"no such RPC: {fault.rpc}")
        with self._lock:
            self._faults = tuple(faults)
            self._calls = [0] * len(faults)

    def meet(self, rpc: str, page: int, wait: Wait) -> Met:
        """Let a call (its RPC name and which page of a listing it asks for, from 0) meet what is in store for it.

        This, and losing the answer, raise RpcError and block through `wait`. Raises SomebodyElse.
        """
        due = self._due(rpc, page)
        _strike([f for f in due if f.kind not in (*AFTERWARDS, SHORT)], wait)
        short = min((f.seconds for f in due if f.kind == SHORT), default=None)
        return Met(lambda: _strike([f for f in due if f.kind in AFTERWARDS], wait), short)

    def _due(self, rpc: str, page: int) -> list[Fault]:
        due = []
        with self._lock:
            for i, fault in enumerate(self._faults):
                if _hits(fault.rpc, rpc):
                    self._calls[i] += 1
                    past = self._calls[i] - fault.after_calls
                    further = page - fault.after_pages
                    here = further >= 0 and (not fault.pages or further < fault.pages)
                    if past > 0 and (not fault.calls or past <= fault.calls) and here:
                        due.append(fault)
        return due


AFTERWARDS = ("lost", "lost_hang")
"""Kinds that strike when the call has taken effect."""
SHORT = "short"


def _strike(faults: Sequence[Fault], wait: Wait) -> None:
    for fault in faults:
        if fault.kind in ("hang", "lost_hang"):
            wait(None)
            raise RpcError("CANCELLED", "The caller gave up.")
        if fault.kind in ELSEWHERE:
            raise SomebodyElse(fault.kind)
        if fault.kind == "slow":
            wait(fault.seconds)
        else:
            code, message = ERRORS[fault.kind]
            raise RpcError(code, fault.message or message)


def _hits(pattern: str, rpc: str) -> bool:
    """Whether a fault's name (full, or the end of one: Subscriber/GetSubscription, GetSubscription) means this RPC."""
    return rpc == pattern or rpc.endswith(("/" + pattern, "." + pattern))
