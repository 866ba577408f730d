"""Faults of the lab's own APIs, as the scenario lists them: an answer that is an error, late, cut short, or never comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

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
}


class Faults:
    """The faults of one lab, with their call counts."""

    def __init__(self, faults: Sequence[Fault], served: Sequence[str]) -> None:
        """`served` are the names of all RPCs. Raises ValueError for a fault that can hit none of them."""
        for fault in faults:
            if not any(_hits(fault.rpc, rpc) for rpc in (*served, HTTP)):
                raise ValueError(f"no such RPC: {fault.rpc}")
        self._faults = faults
        self._calls = [0] * len(faults)
        self._lock = threading.Lock()

    def meet(self, rpc: str, page: int, wait: Wait) -> None:
        """Let a call (its RPC name and which page of a listing it asks for, from 0) meet what is in store for it.

        Raises RpcError. Blocks through `wait`.
        """
        for fault in self._due(rpc, page):
            if fault.kind == "hang":
                wait(None)
                raise RpcError("CANCELLED", "The caller gave up.")
            if fault.kind == "slow":
                wait(fault.seconds)
            else:
                code, message = ERRORS[fault.kind]
                raise RpcError(code, fault.message or message)

    def _due(self, rpc: str, page: int) -> list[Fault]:
        due = []
        with self._lock:
            for i, fault in enumerate(self._faults):
                if _hits(fault.rpc, rpc):
                    self._calls[i] += 1
                    if self._calls[i] > fault.after_calls and page >= fault.after_pages:
                        due.append(fault)
        return due


def _hits(pattern: str, rpc: str) -> bool:
    """Whether a fault's name (full, or the end of one: Subscriber/GetSubscription, GetSubscription) means this RPC."""
    return rpc == pattern or rpc.endswith(("/" + pattern, "." + pattern))
