"""The lab: one small strict Google Cloud project, simulated from a scenario's first event to its now."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

import simpy

from diagnostics.lab.clock import Clock
from diagnostics.lab.http import Response, Token
from diagnostics.lab.model import World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.scenario import Scenario
from diagnostics.lab.unverified import Unverified


@dataclass
class BatchRecord:
    """One call to the start path. `id` is empty when the call got no batch."""

    name: str
    started_at: float
    status: int = 0
    """HTTP status of the call; 0 while it has not been answered."""
    id: str = ""


class Lab:
    """The facade that servers and scoring use. Everything follows from (scenario, seed)."""

    world: World
    unverified: Unverified
    batches: dict[str, BatchRecord]

    def __init__(self, scenario: Scenario, seed: int, recorder: Recorder) -> None:
        self.scenario = scenario
        self.seed = seed
        self.recorder = recorder
        self.lock = threading.RLock()
        self._rng = random.Random(f"lab/{seed}")
        self._env = simpy.Environment()
        self.clock = Clock(self._env)
        self.batches = {}

    def now(self) -> float:
        """Simulated now, seconds since the epoch."""
        with self.lock:
            return self.clock.now()

    def advance(self, seconds: float) -> float:
        """Run the simulation on; returns the new now."""
        with self.lock:
            return self.clock.advance(seconds)

    def http(
        self,
        host: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes = b"",
        token: Token | None = None,
        remote_ip: str = "203.0.113.7",
    ) -> Response:
        """A live call to a service URL, as a caller on the internet would make it; `path` with query.

        `token` holds the claims of the verified bearer token, None without one. Time stands still for the caller: the latency it
        would have measured is in the response.
        """
        raise NotImplementedError

    def publish(self, topic: str, data: bytes, attributes: dict[str, str], account: str) -> str:
        """Publish as a client would; returns the message id. Raises PublishError."""
        raise NotImplementedError
