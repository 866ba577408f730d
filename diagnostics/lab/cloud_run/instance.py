"""One container instance, and one request inside it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import simpy

from diagnostics.lab.applications.base import Application
from diagnostics.lab.applications.traits import BUSY_FAILS_LIVENESS, OUTLIVES_TIMEOUT, SERVER_TIMEOUT, has
from diagnostics.lab.cloud_run.signals import STDERR, STDOUT, SYSTEM, Signals
from diagnostics.lab.fates import APPLICATION, CLOUD_RUN
from diagnostics.lab.http import Answer, Request, Response
from diagnostics.lab.model import Revision
from diagnostics.lab.schedule import after

TIMED_OUT = (
    "The request has been terminated because it has reached the maximum request timeout. "
    "To change this limit, see https://cloud.google.com/run/docs/configuring/request-timeout"
)
BROKEN = (
    "The request failed because either the HTTP response was malformed or connection to the instance had an error. "
    "Additional troubleshooting documentation can be found at: https://cloud.google.com/run/docs/troubleshooting#malformed-response-or-connection-error"
)
TOO_MUCH_MEMORY = (
    "While handling this request, the container instance was found to be using too much memory and was terminated. "
    "This is likely to cause a new container instance to be used for the next request to this revision."
)
SERVER_TIMEOUT_S = 30.0
"""gunicorn's default."""
LIVENESS_FAILS_S = 40.0
"""Four probes ten seconds apart."""


NOTHING = Request("", "", "", "")
"""What an answered call asked for."""


def _unheard(_response: Response) -> None:
    """Who hears what is answered after the answer."""


class Instance:
    """A container. Its programs see it as an InstanceView without a trace."""

    def __init__(
        self,
        env: simpy.Environment,
        revision: Revision,
        signals: Signals,
        traces: bool,
        rng: random.Random,
        gone: Callable[[Instance], None],
    ) -> None:
        self.env = env
        self.revision = revision
        self.signals = signals
        self.traces = traces
        self.id = f"{rng.getrandbits(288):072x}"
        self.memory: dict[str, Any] = {}
        self.running: dict[Call, None] = {}
        self.idle_since = float(env.now)
        self.peak = 0
        self.alive = True
        self._gone = gone
        self._parked: list[Callable[[], None]] = []

    @property
    def now(self) -> float:
        return float(self.env.now)

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        after(self.env, delay_s, lambda: self._go_on(call))

    def log(
        self,
        severity: str,
        text: str | None = None,
        json: dict[str, Any] | None = None,
        at: float | None = None,
        trace: str = "",
    ) -> None:
        """A line that the program prints. Only a JSON object has a severity: plain text is DEFAULT, whatever it says and wherever it
        is printed (cloud.google.com/run/docs/logging)."""
        now = self.now
        moment = now if at is None else min(at, now)
        told = severity if json else "DEFAULT"
        self.signals.line(STDOUT if json else STDERR, told, self.id, moment, now, text, json, trace)

    def exit(self, code: int) -> None:
        if self.alive:
            self.system("WARNING" if code else "INFO", f"Container called exit({code}).")
            self.stop(503, BROKEN)

    def out_of_memory(self) -> None:
        if self.alive:
            limit = self.revision.memory_mib
            self.system("ERROR", f"Memory limit of {limit} MiB exceeded with {limit + 2 + limit // 64} MiB used.")
            self.system("WARNING", "Container terminated on signal 9.")
            self.stop(500, TOO_MUCH_MEMORY)

    def system(self, severity: str, text: str) -> None:
        """A line of Cloud Run itself about this instance."""
        self.signals.line(SYSTEM, severity, self.id, self.now, self.now, text)

    def stop(self, status: int = 503, text: str = BROKEN) -> None:
        """End now: what was parked is lost, requests inside end with the status."""
        if not self.alive:
            return
        self.alive = False
        self._parked.clear()
        self._gone(self)
        for call in list(self.running):
            call.end(status, text)

    def take(self, call: Call, application: Application, done: Callable[[], None]) -> None:
        """Hand a request to the program."""
        call.enter(self, done)
        self.running[call] = None
        self.peak = max(self.peak, len(self.running))
        after(self.env, self.revision.timeout_s, call.time_out)
        if has(self.revision, SERVER_TIMEOUT):
            after(self.env, SERVER_TIMEOUT_S, call.give_up)
        if has(self.revision, BUSY_FAILS_LIVENESS):
            after(self.env, LIVENESS_FAILS_S, lambda: self._probe(call))
        parked, self._parked = self._parked, []
        for go_on in parked:
            after(self.env, 0, lambda go_on=go_on: self._go_on(go_on))  # type: ignore[misc]
        application.handle(call.request, call, call.finish)

    def _probe(self, call: Call) -> None:
        """A liveness probe, while the program may still be at this request."""
        if self.alive and not call.answered:
            self.system(
                "ERROR",
                f'LIVENESS HTTP probe failed 4 times consecutively for container "{self.signals.service}-1" on port 8080. '
                "The instance has been shut down.",
            )
            self.stop()

    def leave(self, call: Call) -> None:
        """A request has been answered."""
        self.running.pop(call, None)
        self.idle_since = self.now

    def _go_on(self, call: Callable[[], None]) -> None:
        """With request-based billing there is no CPU while no request is in the instance: the work waits for the next one."""
        if not self.alive:
            return
        if self.running or not self.revision.cpu_idle:
            call()
        else:
            self._parked.append(call)


class Call:
    """One request from its arrival to its answer; while a program handles it, the program's InstanceView."""

    __slots__ = (
        "_answer",
        "_done",
        "_dropped",
        "_instance",
        "answered",
        "arrived",
        "entered",
        "queued",
        "request",
        "trace",
    )

    def __init__(self, request: Request, answer: Answer, now: float, trace: str) -> None:
        self.request = request
        self.arrived = now
        self.trace = trace
        self.entered = now
        self.answered = False
        self.queued = False
        """Whether it waits for an instance."""
        self._answer = answer
        self._dropped = False

    def enter(self, instance: Instance, done: Callable[[], None]) -> None:
        """The request reaches an instance; `done` is called when it leaves."""
        self._instance = instance
        self._done = done
        self.entered = instance.now

    def reply(self, response: Response) -> None:
        """Pass an answer to whoever asked, once."""
        self.answered = True
        self._answer(response)

    def end(self, status: int, text: str | None = None, body: bytes = b"") -> None:
        """The request ends with a status, by the program or over its head."""
        if self.answered:
            return
        self.answered = True
        instance, now = self._instance, self._instance.now
        instance.leave(self)
        signals = instance.signals
        signals.answered(now, status, self.entered - self.arrived, now - self.entered)
        signals.request(self.request, status, self.arrived, now, self.trace, instance.id, text, len(body))
        by = APPLICATION if text is None else CLOUD_RUN
        response = Response(status, body, latency_s=now - self.arrived, instance=instance.id, by=by)
        answer, self.request, self._answer = self._answer, NOTHING, _unheard  # its timers hold the call long after
        if now > self.arrived:
            answer(response)
        else:  # never answer inside the caller's own submit
            after(instance.env, 0.002, lambda: answer(response))
        self._done()

    def finish(self, status: int, body: bytes = b"") -> None:
        self.end(status, None, body)

    def time_out(self) -> None:
        """The container is not told: what goes on, goes on; but most frameworks end the request's work."""
        if not self.answered:
            self._dropped = not has(self.revision, OUTLIVES_TIMEOUT)
            self.end(504, TIMED_OUT)

    def give_up(self) -> None:
        """The program's own server kills the process that is at it; the container stays."""
        if not self.answered and self._instance.alive:
            self._dropped = True
            self._instance.log("CRITICAL", text="[CRITICAL] WORKER TIMEOUT (pid:17)")
            self._instance.log("ERROR", text="[ERROR] Worker (pid:17) was sent SIGKILL! Perhaps out of memory?")
            self.end(503, BROKEN)

    # What the program sees

    @property
    def revision(self) -> Revision:
        return self._instance.revision

    @property
    def now(self) -> float:
        return self._instance.now

    @property
    def memory(self) -> dict[str, Any]:
        return self._instance.memory

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        self._instance.after(delay_s, lambda: None if self._dropped else call())

    def log(
        self, severity: str, text: str | None = None, json: dict[str, Any] | None = None, at: float | None = None
    ) -> None:
        self._instance.log(severity, text, json, at, self.trace if self._instance.traces else "")

    def exit(self, code: int) -> None:
        self._instance.exit(code)

    def out_of_memory(self) -> None:
        self._instance.out_of_memory()
