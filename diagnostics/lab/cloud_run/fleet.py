"""The instances of one revision: slots, the pending queue, scaling up and down.

Rules: cloud.google.com/run/docs/container-contract (pending up to 3.5 × startup or 10 s, idle up to 15 minutes) and
about-instance-autoscaling (60 % of concurrency).
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable

import simpy

from diagnostics.lab.applications.base import Application
from diagnostics.lab.cloud_run.instance import BROKEN, Call, Instance
from diagnostics.lab.cloud_run.signals import Signals
from diagnostics.lab.fates import CLOUD_RUN
from diagnostics.lab.http import Response
from diagnostics.lab.model import Revision
from diagnostics.lab.schedule import after
from diagnostics.lab.unverified import Unverified

NO_INSTANCE = (
    "The request was aborted because there was no available instance. Additional troubleshooting documentation can be found at: "
    "https://cloud.google.com/run/docs/troubleshooting#abort-request"
)
NOT_STARTED = (
    "The request failed because the instance could not start successfully. "
    "Additional troubleshooting documentation can be found at: https://cloud.google.com/run/docs/troubleshooting#service-agent"
)
REASONS = {
    "AUTOSCALING": "Instance started due to configured scaling factors (e.g. CPU utilization, request throughput, etc.) "
    "or no existing capacity for current traffic.",
    "MANUAL_OR_CUSTOMER_MIN_INSTANCE": "Instance started because of customer-configured min-instances or manual scaling.",
    "DEPLOYMENT_ROLLOUT": "Instance started due to traffic shifting between revisions due to deployment, traffic split "
    "adjustment, or deployment health check.",
}
TARGET = 0.6
IDLE_S = 900.0
MINUTE = 60.0


class Fleet:
    """All instances of a revision. `bounds` says how few and how many there may be, as configured at this moment."""

    def __init__(
        self,
        env: simpy.Environment,
        revision: Revision,
        application: Application,
        signals: Signals,
        unverified: Unverified,
        rng: random.Random,
        bounds: Callable[[], tuple[int, int]],
    ) -> None:
        self.revision = revision
        self._env = env
        self._application = application
        self._signals = signals
        self._unverified = unverified
        self._rng = rng
        self._bounds = bounds
        self._serving: list[Instance] = []
        self._starting = 0
        self._queue: deque[Call] = deque()
        self._waiting = 0
        """Calls in the queue that have not been given up."""
        self._running = 0
        self._dispatching = False
        self._ticking = False
        self._container = f'container "{signals.service}-1" on port 8080'
        self._failures = 0
        """Starts that failed in a row."""

    def submit(self, call: Call) -> None:
        """Take a request: into a free slot, or into the queue while more instances start."""
        self._queue.append(call)
        call.queued = True
        self._waiting += 1
        self._dispatch()
        if call.queued:
            after(self._env, max(3.5 * self.revision.startup_s, 10.0), lambda: self._give_up(call))
            if call.request.patience_s is not None and not self._unverified.pending_outlives_caller:
                after(self._env, call.request.patience_s, lambda: self._forget(call))
        self._scale_up()
        self._tick_soon()

    def roll_out(self, ready: Callable[[bool], None]) -> None:
        """Start the first instance of a new revision; `ready` hears whether the revision became ready."""
        self._start("DEPLOYMENT_ROLLOUT", ready)

    def keep_minimum(self) -> None:
        """Start what the minimum lacks, stop what is above the maximum."""
        low, high = self._bounds()
        for instance in self._serving[high:]:
            instance.system("INFO", "Shutting down user disabled instance")
            instance.stop()
        for _ in range(low - len(self._serving) - self._starting):
            self._start("MANUAL_OR_CUSTOMER_MIN_INSTANCE")
        if self._serving:
            self._tick_soon()

    def restart(self) -> None:
        """End all instances at once."""
        for instance in list(self._serving):
            instance.stop()
        self.keep_minimum()

    # Requests

    def _dispatch(self) -> None:
        if self._dispatching:
            return
        self._dispatching = True
        while self._queue:
            if self._queue[0].answered:
                self._next()
            elif (instance := self._with_room()) is not None:
                self._waiting -= 1
                self._running += 1
                instance.take(self._next(), self._application, self._left)
            else:
                break
        self._dispatching = False

    def _next(self) -> Call:
        """Take the first call from the queue."""
        call = self._queue.popleft()
        call.queued = False
        return call

    def _left(self) -> None:
        self._running -= 1
        self._dispatch()

    def _with_room(self) -> Instance | None:
        """The first instance below its target, else the first with a free slot: so that the last ones can fall idle."""
        concurrency = self.revision.concurrency
        target = max(1.0, TARGET * concurrency)
        spare = None
        for instance in self._serving:
            inside = len(instance.running)
            if inside < target:
                return instance
            if spare is None and inside < concurrency:
                spare = instance
        return spare

    def _give_up(self, call: Call) -> None:
        """Pending for too long: 429 at the maximum, 500 when starting more was merely too slow."""
        if call.answered or not call.queued:
            return
        at_maximum = len(self._serving) + self._starting >= self._bounds()[1]
        self._refuse(call, 429 if at_maximum else 500, NO_INSTANCE)

    def _forget(self, call: Call) -> None:
        """The caller hung up before an instance was there."""
        if not call.answered and call.queued:
            call.answered = True
            self._waiting -= 1

    def _refuse(self, call: Call, status: int, text: str) -> None:
        now = float(self._env.now)
        self._waiting -= 1
        self._signals.request(call.request, status, call.arrived, now, call.trace, text=text)
        body = (
            b"Rate exceeded."
            if status == 429
            else b"Internal Server Error"
            if status == 500
            else b"Service Unavailable"
        )
        call.reply(Response(status, body, latency_s=now - call.arrived, by=CLOUD_RUN))

    # Instances

    def _scale_up(self) -> None:
        """At most twice as many at a time, three at least: the documented "could not scale fast enough" needs a limit."""
        alive = len(self._serving) + self._starting
        wanted = math.ceil((self._running + self._waiting) / max(1.0, TARGET * self.revision.concurrency))
        if wanted <= alive:
            return
        wanted = min(wanted, self._bounds()[1], alive + max(3, len(self._serving)) - self._starting)
        for _ in range(wanted - alive):
            self._start("AUTOSCALING")

    def _start(self, reason: str, ready: Callable[[bool], None] | None = None) -> None:
        instance = Instance(self._env, self.revision, self._signals, self._unverified.traces, self._rng, self._gone)
        self._starting += 1
        instance.system("INFO", f"Starting new instance. Reason: {reason} - {REASONS[reason]}")
        startup_s = self.revision.startup_s * self._rng.uniform(0.8, 1.5)
        after(self._env, startup_s, lambda: self._started(instance, startup_s, ready))

    def _started(self, instance: Instance, startup_s: float, ready: Callable[[bool], None] | None) -> None:
        self._starting -= 1
        if not self.revision.boots:
            self._not_started(instance, ready)
            return
        instance.system("INFO", f"Default STARTUP TCP probe succeeded after 1 attempt for {self._container}.")
        if ready:
            ready(True)
        # A server may open its port before its program loads: then the revision is ready and dies on its first work.
        if error := self.revision.boot_error or self._application.boot_error(self.revision):
            self._print(instance, error)
            self._signals.started(instance.now, startup_s)
            self._failed(instance, 3, 503, BROKEN)
            return
        self._failures = 0
        self._signals.started(instance.now, startup_s)
        self._serving.append(instance)
        self._application.booted(instance)
        self._dispatch()
        self._scale_up()
        self._tick_soon()

    def _not_started(self, instance: Instance, ready: Callable[[bool], None] | None) -> None:
        if self.revision.boot_error:
            self._print(instance, self.revision.boot_error)
        self._failed(instance, 1, 500, NOT_STARTED)
        instance.system(
            "ERROR",
            f"Default STARTUP TCP probe failed 1 time consecutively for {self._container}. The instance was not started. "
            "Connection failed with status CANCELLED.",
        )
        if ready:
            ready(False)

    def _print(self, instance: Instance, lines: str) -> None:
        for line in lines.splitlines():
            instance.log("ERROR", line)

    def _failed(self, instance: Instance, code: int, status: int, text: str) -> None:
        """The program exited at start: what waited for this instance fails with it."""
        self._failures += 1
        instance.exit(code)
        for _ in range(self.revision.concurrency):
            while self._queue and self._queue[0].answered:
                self._next()
            if not self._queue or self._serving:
                break
            self._refuse(self._next(), status, text)
        self._scale_up()
        if self._bounds()[0]:
            after(self._env, min(900.0, 10.0 * 2.0 ** min(self._failures, 10)), self.keep_minimum)

    def _gone(self, instance: Instance) -> None:
        if instance not in self._serving:
            return
        self._serving.remove(instance)
        self._tick_soon()
        after(self._env, 0.1, self._replace)

    def _replace(self) -> None:
        self._scale_up()
        self.keep_minimum()

    # The minute

    def _tick_soon(self) -> None:
        """Look at the next full minute, and each one after it until nothing more can change by itself."""
        if not self._ticking:
            self._ticking = True
            after(self._env, MINUTE - float(self._env.now) % MINUTE, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        now = float(self._env.now)
        limit = IDLE_S if self._unverified.idle_full else IDLE_S / 2
        low, _ = self._bounds()
        for instance in list(self._serving):
            if len(self._serving) > low and not instance.running and now - instance.idle_since >= limit:
                instance.stop()
        active = [i for i in self._serving if i.running or now - i.idle_since < MINUTE]
        for instance in active:
            if instance.peak:
                self._signals.concurrency(now, instance.peak)
                instance.peak = len(instance.running)
        self._signals.instances(now, len(active), len(self._serving) - len(active))
        if active or self._starting or len(self._serving) > low:
            self._tick_soon()
