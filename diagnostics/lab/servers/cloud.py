"""What every service of the lab works on: the simulated project, its telemetry, and who is asking."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from diagnostics.lab.audit import Audit
from diagnostics.lab.broker import Broker
from diagnostics.lab.clock import Clock
from diagnostics.lab.http import Response, Token
from diagnostics.lab.model import World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.scenario import Scenario
from diagnostics.lab.servers.errors import RpcError, invalid
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.lab.tokens import Tokens
from diagnostics.lab.unverified import Unverified


class LabView(Protocol):
    """What the servers need of `lab.Lab`."""

    @property
    def world(self) -> World: ...
    @property
    def unverified(self) -> Unverified: ...
    @property
    def scenario(self) -> Scenario: ...
    @property
    def recorder(self) -> Recorder: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def broker(self) -> Broker: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def lock(self) -> threading.RLock: ...
    def now(self) -> float: ...
    def advance(self, seconds: float) -> float: ...
    def publish(
        self, topic: str, data: bytes, attributes: dict[str, str], account: str | None, ordering_key: str = ""
    ) -> str: ...
    def http(
        self,
        host: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes = b"",
        token: Token | None = None,
        remote_ip: str = "203.0.113.7",
    ) -> Response: ...


class Quota:
    """So many calls a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether there is one more."""
        with self._lock:
            now = self._clock()
            while self._taken and self._taken[0] <= now - 60:
                self._taken.popleft()
            if len(self._taken) >= self.per_minute:
                return False
            self._taken.append(now)
            return True


@dataclass(frozen=True)
class Cloud:
    """The one project, as its APIs see it."""

    lab: LabView
    telemetry: Telemetry
    tokens: Tokens
    log_reads: Quota
    caller: str
    """E-mail of who is asking."""
    held: frozenset[str]
    """Permissions of who is asking, in the lab's own project."""
    held_beside: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """And in its neighbours, by project id."""
    searches_s: float | None = None
    """Seconds of the log that the call at hand has time to search; 0: a part of what is left; None: all."""

    @property
    def world(self) -> World:
        return self.lab.world

    def is_project(self, name: str) -> bool:
        """Whether it is the lab's own project, by id or number."""
        return name in (self.world.project, self.world.number)

    def held_in(self, resource: str) -> frozenset[str]:
        """Permissions of who is asking for something whose name begins with projects/P."""
        project = resource.partition("projects/")[2].partition("/")[0]
        return self.held_beside.get(self.world.id_of(project), self.held)


Permissions = str | tuple[str, ...]


@dataclass(frozen=True)
class Method:
    """One RPC that the lab serves."""

    name: str
    """service/Method, e.g. google.pubsub.v1.Subscriber/GetSubscription."""
    request: Any
    """Protobuf class of the request."""
    handle: Callable[[Cloud, Any], Any]
    """Answers a request with a protobuf message. Raises RpcError."""
    permission: Callable[[Any], Permissions] | Permissions
    """Permission, or several, that the caller needs; empty: none."""
    resource: Callable[[Any], str]
    """What the call is about, for the record and for the text of a denial."""

    @property
    def service(self) -> str:
        return self.name.partition("/")[0]

    def permissions_for(self, request: Any) -> tuple[str, ...]:
        needed = self.permission(request) if callable(self.permission) else self.permission
        return (needed,) if isinstance(needed, str) else needed

    def asked_in(self, request: Any) -> str:
        """The first name in the request that begins with projects/P; empty: there is none."""
        return next(_names(request), "")


def _names(message: Any) -> Iterator[str]:
    for _, value in message.ListFields():
        for one in (value,) if isinstance(value, str) else value if _repeats(value) else (value,):
            if isinstance(one, str):
                yield from (one,) if one.startswith("projects/") else ()
            elif hasattr(one, "ListFields"):
                yield from _names(one)


def _repeats(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, bytes)


def split_name(name: str, pattern: str, refusal: RpcError | None = None) -> tuple[str, ...]:
    """The parts of a resource name: split_name("projects/p/topics/t", "projects/*/topics/*") is ("p", "t"). Raises RpcError."""
    match = re.fullmatch(pattern.replace("*", "([^/]+)"), name)
    if match is None:
        raise refusal or invalid(f"Invalid resource name {name!r}, expected {pattern}.")
    return match.groups()
