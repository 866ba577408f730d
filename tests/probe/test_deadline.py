"""Looking for what probes left, and putting it back on somebody's word, ends with --timeout, whoever does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from diagnostics.probe import ticks
from diagnostics.probe.journal import Journal
from diagnostics.probe.reach import Clock, Reach, Waits
from diagnostics.probe.recover import recover
from diagnostics.probe.restore import State
from diagnostics.probe.traces import traces
from tests.probe.fakes import Subscriber, push_config, reach, snapshot_entry, switch_entry, switched

TIMEOUT_S = 20.0
LAST_S = 0.01
"""What a call is given that begins in the last moment, with what rounding adds."""


class Silent:
    """A client none of whose methods is answered: each takes all the time that it is given."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait
        self.asked: list[tuple[str, float]] = []

    def __getattr__(self, method: str) -> Any:
        def ask(*, timeout: float, **_asked: Any) -> Any:
            self.asked.append((method, timeout))
            self._wait(timeout)
            raise exceptions.DeadlineExceeded("Deadline Exceeded")

        return ask


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for, in seconds; the clock is that of the waits alone. Threads that other tests left go on by the real one."""
    waited: list[float] = []
    clock, pause = time.monotonic, time.sleep
    others = set(threading.enumerate()) - {threading.current_thread()}

    def monotonic() -> float:
        return clock() if threading.current_thread() in others else 1000.0 + sum(waited)

    def sleep(seconds: float) -> None:
        if threading.current_thread() in others:
            pause(seconds)
        else:
            waited.append(seconds)

    monkeypatch.setattr(ticks, "BOOT_TIME", None)  # then it counts by this one
    monkeypatch.setattr(time, "monotonic", monotonic)
    monkeypatch.setattr(time, "sleep", sleep)
    return waited


def bounded(passed: list[float], subscriber: Any) -> Reach:
    """A reach to this subscriber, to logs that are silent, with the time of --timeout for everything."""
    session = reach(Subscriber(push_config())).session
    session.clients._made.update(subscriber=subscriber, logs=Silent(passed.append))
    return Reach(session, Waits(), ends=Clock(TIMEOUT_S))


def test_looking_everywhere_ends_in_time_and_says_what_was_not_seen(passed: list[float], tmp_path: Path) -> None:
    left = traces(bounded(passed, Silent(passed.append)), Journal(tmp_path), "p", "")
    assert not left.found
    assert [says.partition(" of ")[0] for says in left.unseen] == ["subscriptions", "snapshots", "log"]
    assert sum(passed) <= TIMEOUT_S + LAST_S


def test_each_place_gets_some_of_the_time(passed: list[float], tmp_path: Path) -> None:
    silent = Silent(passed.append)
    traces(bounded(passed, silent), Journal(tmp_path), "p", "")
    assert [method for method, _ in silent.asked] == ["list_subscriptions", "list_snapshots"]
    assert all(seconds >= TIMEOUT_S / 8 for _, seconds in silent.asked)


def test_restoring_ends_in_time_keeps_what_is_needed_to_go_on_and_says_the_command(
    passed: list[float], tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    for entry in (snapshot_entry("aaaaaaaa"), switch_entry(push_config(), "bbbbbbbb"), snapshot_entry("cccccccc")):
        journal.write(entry)
    outcomes, left = recover(bounded(passed, Silent(passed.append)), journal, "p", "")
    assert sum(passed) <= TIMEOUT_S + LAST_S
    assert {o.run: o.state for o in outcomes} == dict.fromkeys(("aaaaaaaa", "bbbbbbbb", "cccccccc"), State.FAILED)
    assert all(o.by_hand for o in outcomes)
    assert len(journal.entries("")[0]) == 3
    assert left.unseen


def test_a_subscription_that_does_not_push_is_put_back_before_time_goes_into_copies(
    passed: list[float], tmp_path: Path
) -> None:
    journal, subscriber = Journal(tmp_path), SilentLists(push_config(), passed.append)
    switched(subscriber, "bbbbbbbb")
    for entry in (snapshot_entry("aaaaaaaa"), switch_entry(push_config(), "bbbbbbbb")):
        journal.write(entry)
    outcomes, _ = recover(bounded(passed, subscriber), journal, "p", "", force=True)
    assert (outcomes[0].run, outcomes[0].state) == ("bbbbbbbb", State.RESTORED)
    assert subscriber.held.push_config == push_config()


class SilentLists(Subscriber):
    """It answers for what is named, and lists nothing in time."""

    def __init__(self, push: Any, wait: Callable[[float], None]) -> None:
        super().__init__(push)
        self._silent = Silent(wait)

    def list_subscriptions(self, **asked: Any) -> Any:
        return self._silent.list_subscriptions(**asked)

    def list_snapshots(self, **asked: Any) -> Any:
        return self._silent.list_snapshots(**asked)
