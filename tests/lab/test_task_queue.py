"""A task queue calls as Cloud Tasks documents it: pauses, attempts, deadline, headers."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import simpy

from diagnostics.lab.durations import seconds
from diagnostics.lab.events import TaskQueue
from diagnostics.lab.http import Answer, Response
from diagnostics.lab.task_queue import DISPATCH_S, Dispatch, Retries, Task

HOUR = 3600.0


class Target:
    """What is called: answers with one status after the other, the last again and again, each after some time."""

    def __init__(self, *statuses: int, takes_s: float = 0.0) -> None:
        self.env = simpy.Environment(initial_time=1_000_000.0)
        self.calls: list[tuple[float, dict[str, str]]] = []
        self._statuses = statuses
        self._takes_s = takes_s

    def __call__(self, dispatch: Dispatch, answer: Answer) -> None:
        self.calls.append((self.env.now, dispatch.headers))
        assert dispatch.number == len(self.calls)
        status = self._statuses[min(len(self.calls), len(self._statuses)) - 1]
        self.env.timeout(self._takes_s).callbacks.append(lambda _: answer(Response(status)))

    def run(self, retries: Retries, deadline_s: float = 600.0, lasts: float = 24 * HOUR) -> Task:
        task = Task(self.env, random.Random(7), "q", retries, deadline_s, self)
        task.begin()
        self.env.run(until=self.env.now + lasts)
        return task

    @property
    def pauses(self) -> list[float]:
        return [after - before for (before, _), (after, _) in pairwise(self.calls)]

    def headers(self, name: str) -> list[str]:
        return [headers.get(f"x-cloudtasks-{name}", "") for _, headers in self.calls]


def test_pauses_are_those_of_the_documented_example() -> None:
    """RetryConfig.maxDoublings: 10 s, 300 s and 3 give 10, 20, 40, 80, 160, 240, 300, 300, …"""
    retries = Retries(min_backoff_s=10, max_backoff_s=300, max_doublings=3)
    assert [retries.pause_s(retry) for retry in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


def test_calls_keep_these_pauses() -> None:
    target = Target(500)
    target.run(Retries(max_attempts=6, min_backoff_s=10, max_backoff_s=300, max_doublings=3))
    for seen, meant in zip(target.pauses, [10, 20, 40, 80, 160], strict=True):
        assert meant + DISPATCH_S[0] <= seen <= meant + DISPATCH_S[1]


def test_what_no_scenario_says_is_googles_default() -> None:
    queue, usual = TaskQueue(), Retries()
    assert (usual.max_attempts, usual.min_backoff_s, usual.max_backoff_s, usual.max_doublings) == (100, 0.1, 3600, 16)
    assert (queue.max_attempts, seconds(queue.min_backoff), seconds(queue.max_backoff)) == (100, 0.1, 3600)
    assert (queue.max_doublings, seconds(queue.max_retry_duration)) == (16, usual.max_retry_duration_s) == (16, 0)
    assert seconds(queue.dispatch_deadline) == 600


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_ends_the_task(status: int) -> None:
    target = Target(500, 503, status)
    task = target.run(Retries())
    assert task.done and len(target.calls) == 3


@pytest.mark.parametrize("status", [0, 302, 400, 403, 404, 409, 429, 500, 503, 504])
def test_any_other_answer_is_retried_until_the_attempts_are_used_up(status: int) -> None:
    target = Target(status)
    task = target.run(Retries(max_attempts=4, min_backoff_s=1))
    assert task.done and task.attempts == len(target.calls) == 4


def test_attempts_go_on_until_the_retry_duration_is_over_too() -> None:
    """RetryConfig.maxAttempts: retries stop only when both limits are reached."""
    target = Target(500)
    target.run(Retries(max_attempts=2, min_backoff_s=10, max_backoff_s=10, max_retry_duration_s=100))
    assert len(target.calls) == 11
    short = Target(500)
    short.run(Retries(max_attempts=5, min_backoff_s=10, max_backoff_s=10, max_retry_duration_s=20))
    assert len(short.calls) == 5


def test_a_call_that_is_not_answered_in_time_is_made_again_and_its_answer_not_heard() -> None:
    target = Target(200, takes_s=130.0)
    task = target.run(Retries(max_attempts=3, min_backoff_s=15), deadline_s=120.0)
    assert task.attempts == 3 and task.done
    first, second = target.pauses
    assert 135 <= first <= 136 and 150 <= second <= 151, "the first is answered before the second is made"
    in_time = Target(200, takes_s=119.0)
    in_time.run(Retries(), deadline_s=120.0)
    assert len(in_time.calls) == 1


def test_an_answer_in_time_is_not_followed_by_its_deadline() -> None:
    target = Target(500, 200)
    target.run(Retries(min_backoff_s=1000), deadline_s=15.0)
    assert len(target.calls) == 2 and target.pauses[0] >= 1000


@pytest.mark.parametrize("deadline_s", [14.9, 1801.0])
def test_a_deadline_that_cloud_tasks_refuses_is_an_error(deadline_s: float) -> None:
    with pytest.raises(ValueError, match="expected 15 to 1800 s"):
        Target(200).run(Retries(), deadline_s)


@pytest.mark.parametrize("status", [429, 503])
def test_a_target_that_is_overloaded_is_called_later(status: int) -> None:
    target = Target(status)
    target.run(Retries(max_attempts=30, min_backoff_s=100, max_backoff_s=100))
    assert all(100 <= pause <= 201 for pause in target.pauses)
    assert max(target.pauses) > 110


def test_headers_count_retries_and_answers() -> None:
    """TaskExecutionCount leaves out what failed with 5xx; TaskPreviousResponse is of the attempt before, where it was answered."""
    target = Target(503, 403, 409, 200)
    target.run(Retries(min_backoff_s=10))
    assert target.headers("taskretrycount") == ["0", "1", "2", "3"]
    assert target.headers("taskexecutioncount") == ["0", "0", "1", "2"]
    assert target.headers("taskpreviousresponse") == ["", "503", "403", "409"]
    assert target.headers("queuename") == ["q"] * 4
    assert len(set(target.headers("taskname"))) == 1
    due = [float(eta) for eta in target.headers("tasketa")]
    assert all(DISPATCH_S[0] <= at - eta <= DISPATCH_S[1] for (at, _), eta in zip(target.calls, due, strict=True))


def test_a_call_that_was_given_up_has_no_previous_response() -> None:
    target = Target(200, takes_s=60.0)
    target.run(Retries(max_attempts=2), deadline_s=15.0)
    assert target.headers("taskpreviousresponse") == ["", ""]
