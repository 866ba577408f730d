"""Cloud Run: takes requests for service URLs and answers them in simulated time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import simpy

from diagnostics.lab.applications.base import Application
from diagnostics.lab.http import Answer, Request, Response, Token
from diagnostics.lab.model import Revision, World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.unverified import Unverified


class CloudRun:
    """All services of the world. A service without an application answers its root only."""

    def __init__(
        self,
        env: simpy.Environment,
        world: World,
        unverified: Unverified,
        recorder: Recorder,
        rng: random.Random,
        applications: Mapping[str, Application],
    ) -> None: ...

    def start(self) -> None:
        """Bring up minimum instances; begin uptime checks if the seed has them."""

    def submit(self, request: Request, answer: Answer) -> None:
        """Take a request; `answer` is called once, at the simulated moment of the response."""

    def call(self, request: Request) -> Response:
        """Submit, and run the simulation on until the answer is there. For live calls only."""
        raise NotImplementedError

    def http(
        self,
        host: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        token: Token | None = None,
        remote_ip: str = "203.0.113.7",
    ) -> Response:
        """A live call as an HTTP server received it. Without `token`, the claims of a bearer token are read unverified."""
        raise NotImplementedError

    def deploy(self, service: str, revision: Revision, traffic: Sequence[tuple[str, int, str]] | None = None) -> None:
        """Add a revision (appended to the service here) and start it. traffic None: leave the split as it is."""

    def reconcile(self, service: str) -> None:
        """Act on changed scaling or traffic settings: to be called after they were changed in the world."""

    def restart(self, service: str) -> None:
        """End all instances of a service, as a crash of the host would."""

    def latest_ready(self, service: str) -> str:
        """Name of the newest revision that became ready; "" if none."""
        raise NotImplementedError

    def check_uptime(self, service: str, path: str = "/health/deep") -> None:
        """Begin uptime checks without a token, every five minutes."""
