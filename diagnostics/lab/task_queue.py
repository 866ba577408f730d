"""A Cloud Tasks queue with one task: an HTTP call that is made until it succeeds, or until its attempts are used up.

Pauses, attempts and the default of each: RetryConfig in the REST reference (docs.cloud.google.com/tasks/docs/reference/rest/v2/RetryConfig)
and cloud.google.com/tasks/docs/configuring-queues. The deadline: Task.dispatchDeadline there; a call that is given up is not taken back,
what it began goes on. Success is a status from 200 to 299, and 429 and 503 slow a queue down (HttpRequest there; by how much is not said,
so the seed draws it). Headers: cloud.google.com/tasks/docs/creating-http-target-tasks. Tasks are delivered at least once; that one is sent
twice after a success is rare and not simulated. A queue logs nothing unless it is told to, and then under cloud_tasks_queue: no part of
what a pipeline's services log.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from diagnostics.lab.http import Answer
from diagnostics.lab.schedule import after

USER_AGENT = "Google-Cloud-Tasks"
"""Set by Cloud Tasks, whatever the task says (HttpRequest.headers)."""
DEADLINE_S = (15.0, 1800.0)
"""Between these a dispatch deadline of an HTTP task must lie."""
SLOWS_DOWN = (429, 503)
SLOWER = (1.0, 2.0)
DISPATCH_S = (0.01, 0.3)
"""From the moment at which a task is due to its call."""


@dataclass(frozen=True)
class Retries:
    """The retry policy of a queue. All times in seconds."""

    max_attempts: int = 100
    min_backoff_s: float = 0.1
    max_backoff_s: float = 3600.0
    max_doublings: int = 16
    max_retry_duration_s: float = 0.0

    def pause_s(self, retry: int) -> float:
        """Pause before the retry-th retry, from 1: it doubles max_doublings times, then grows by what it has become, up to the longest."""
        doubled = self.min_backoff_s * 2.0 ** min(retry - 1, self.max_doublings)
        return min(doubled * max(1, retry - self.max_doublings), self.max_backoff_s)

    def used_up(self, attempts: int, since_first_s: float) -> bool:
        """Whether no further attempt is made: only once both limits are reached."""
        return attempts >= self.max_attempts and since_first_s >= self.max_retry_duration_s


@dataclass(frozen=True)
class Dispatch:
    """One call of a task."""

    number: int
    """From 1."""
    headers: dict[str, str]
    deadline_s: float


class Task:
    """A task in a queue of its own. `call` makes a call; its answer comes in time, too late, or never."""

    def __init__(
        self,
        env: simpy.Environment,
        rng: random.Random,
        queue: str,
        retries: Retries,
        deadline_s: float,
        call: Callable[[Dispatch, Answer], None],
    ) -> None:
        """Raises ValueError for a dispatch deadline that Cloud Tasks would refuse."""
        if not DEADLINE_S[0] <= deadline_s <= DEADLINE_S[1]:
            raise ValueError(
                f"dispatch deadline of {deadline_s:g} s: expected {DEADLINE_S[0]:g} to {DEADLINE_S[1]:g} s"
            )
        self.attempts = 0
        self.done = False
        """It succeeded, or is dropped."""
        self._env = env
        self._rng = rng
        self._queue = queue
        self._name = str(rng.randrange(10**18, 10**19))
        self._retries = retries
        self._deadline_s = deadline_s
        self._call = call
        self._first = float(env.now)
        self._answered = 0
        """Attempts that were answered with another status than 5xx."""
        self._waits_for = 0
        """Number of the call that is under way; 0: none."""
        self._previous = 0
        """Status of the attempt before; 0: none, or it was not answered."""

    def begin(self) -> None:
        """The task is due now."""
        self._due_in(0.0)

    def _due_in(self, pause_s: float) -> None:
        due = float(self._env.now) + pause_s
        after(self._env, pause_s + self._rng.uniform(*DISPATCH_S), lambda: self._dispatch(due))

    def _dispatch(self, due: float) -> None:
        number = self.attempts = self.attempts + 1
        headers = {
            "x-cloudtasks-queuename": self._queue,
            "x-cloudtasks-taskname": self._name,
            "x-cloudtasks-taskretrycount": str(number - 1),
            "x-cloudtasks-taskexecutioncount": str(self._answered),
            "x-cloudtasks-tasketa": f"{due:.6f}",
        }
        if self._previous:
            headers["x-cloudtasks-taskpreviousresponse"] = str(self._previous)

        self._waits_for = number
        after(self._env, self._deadline_s, lambda: self._ended(number, 0))
        self._call(Dispatch(number, headers, self._deadline_s), lambda response: self._ended(number, response.status))

    def _ended(self, number: int, status: int) -> None:
        """The first that is heard of a call: its answer, or that its deadline is over (`status` 0). What comes after that is not heard."""
        if self._waits_for != number:
            return
        self._waits_for = 0
        self._previous = status
        self._answered += 0 < status < 500
        if 200 <= status < 300 or self._retries.used_up(number, float(self._env.now) - self._first):
            self.done = True
            return
        stretch = self._rng.uniform(*SLOWER) if status in SLOWS_DOWN else 1.0
        self._due_in(self._retries.pause_s(number) * stretch)
