"""What Cloud Run and the programs in its containers know of each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import simpy

from diagnostics.lab.applications.downstream import Downstream
from diagnostics.lab.http import PublishError, Request
from diagnostics.lab.model import Revision, World
from diagnostics.lab.unverified import Unverified

Finish = Callable[[int, bytes], None]
"""Answers the request, once: HTTP status and body. What comes after an answer that Cloud Run already gave is ignored."""


class InstanceView(Protocol):
    """What a program sees of the container instance while it handles one request."""

    @property
    def revision(self) -> Revision: ...

    @property
    def now(self) -> float:
        """Simulated seconds since the epoch."""
        ...

    @property
    def memory(self) -> dict[str, Any]:
        """What the process keeps in memory: gone with the instance, not shared with others."""
        ...

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Go on after this much work. Dies with the instance; waits while the instance has no CPU (cpu_idle, no request)."""
        ...

    def log(
        self, severity: str, text: str | None = None, json: dict[str, Any] | None = None, at: float | None = None
    ) -> None:
        """Print a line, now or at a moment just past. Revision, instance and trace are added."""
        ...

    def exit(self, code: int) -> None:
        """The process dies; every request in this instance ends with 503."""
        ...

    def out_of_memory(self) -> None:
        """The kernel kills the process; every request in this instance ends with 500."""
        ...


class Application(Protocol):
    """A program in a container."""

    def boot_error(self, revision: Revision, /) -> str:
        """What the program prints before it exits at start, or "" if it starts."""
        ...

    def booted(self, instance: InstanceView, /) -> None:
        """The instance has started."""
        ...

    def handle(self, request: Request, instance: InstanceView, finish: Finish, /) -> None:
        """Work on a request. Must call finish at some time, or the request ends at its timeout."""
        ...


class Publish(Protocol):
    """Broker.publish."""

    def __call__(self, topic: str, data: bytes, attributes: dict[str, str], account: str) -> str: ...


@dataclass
class Setting:
    """Where the programs of one pipeline run."""

    env: simpy.Environment
    world: World
    unverified: Unverified
    rng: random.Random
    publish: Publish
    downstream: Downstream

    def publish_as(self, revision: Revision, topic: str, data: bytes, attributes: dict[str, str]) -> str:
        """Publish with the revision's identity into the project its environment names, or the topic's full name; raises PublishError."""
        project, short = revision.env.get("GCP_PROJECT_ID", ""), topic.rpartition("/")[2]
        if "/" in topic:
            project = topic.split("/")[1]
        home = self.world.id_of(project)
        if not home:
            raise PublishError(
                "NOT_FOUND", f"Requested project not found or user does not have access to it (project={project})."
            )
        if self.world.home("topic", short) != home:
            raise PublishError("NOT_FOUND", f"Resource not found (resource={short}).")
        return self.publish(short, data, attributes, revision.account)


class Placeholder:
    """A service of somebody else: answers its root, knows no other path."""

    def boot_error(self, _revision: Revision) -> str:
        return ""

    def booted(self, _instance: InstanceView) -> None:
        pass

    def handle(self, request: Request, _instance: InstanceView, finish: Finish) -> None:
        finish(*((200, b"ok") if request.path.split("?")[0] == "/" else (404, b"Not Found")))
