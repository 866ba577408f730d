"""HTTP inside the simulation: what a caller sends to a service URL and what it gets back, in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class Token:
    """Claims of an OIDC token (already signed or verified at the edge of the lab)."""

    email: str
    audience: str
    expires: float


class Request(Struct, gc=False):
    host: str
    """Host of the URL, e.g. prediction-worker-f7p3g7f6ya-wl.a.run.app."""
    method: str
    path: str
    """Path with query."""
    user_agent: str
    headers: dict[str, str] = {}
    body: bytes = b""
    token: Token | None = None
    from_pubsub: bool = False
    """True for pushes: Google's own network, which internal ingress admits from the same project."""
    remote_ip: str = "203.0.113.7"
    patience_s: float | None = None
    """After this long the caller hangs up; None: it waits for the answer."""


class Response(Struct, gc=False):
    status: int
    """0: no HTTP answer at all (unreachable); `error` says why."""
    body: bytes = b""
    headers: dict[str, str] = {}
    latency_s: float = 0.0
    """From request to answer as the caller measures it, cold start and queueing included."""
    instance: str = ""
    """Empty: no container answered."""
    by: str = ""
    """Whose answer it is (see fates); nobody outside can see it. Empty: the front end's."""
    error: str = ""


Answer = Callable[[Response], None]
"""Called once, at the simulated moment of the answer."""


@dataclass
class PublishError(Exception):
    """A publish that Pub/Sub refused. `code` is the gRPC status name: NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, …"""

    code: str
    message: str
