"""Peeking: never acknowledges, counts each message once, believes no single empty pull, and reads by the profile."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions

from diagnostics.pipeline.profile import MessageProfile
from diagnostics.probe.messages import read
from diagnostics.probe.peek import Came, Peek, peek, release
from tests.probe.fakes import NAME, NOW, Subscriber, message, push_config, reach

PROFILE = MessageProfile(batch="meta.batch", item="player", required=("player", "game.id"))


def looked(subscriber: Subscriber, wanted: int = 10, **more: Any) -> Peek:
    found = Peek()
    peek(found, reach(subscriber), NAME, wanted, **more)
    return found


def test_nothing_is_ever_acknowledged_and_all_is_handed_back() -> None:
    subscriber = Subscriber(push_config())
    subscriber.pulls = [[message(1)], [], [message(2)]]
    found = looked(subscriber)
    assert release(reach(subscriber), NAME, found) == ""
    assert not [method for method in subscriber.asked if "acknowledge" in method]
    assert subscriber.asked[-1] == "modify_ack_deadline 0"
    assert sorted(found.came) == ["1", "2"]


def test_an_empty_pull_between_two_full_ones_does_not_end_it() -> None:
    subscriber = Subscriber(push_config())
    subscriber.pulls = [[], [], [], [], [], [], [message(1)], [], [], [], [message(2)]]
    assert len(looked(subscriber, waiting=2).came) == 2


def test_a_message_that_comes_twice_is_counted_once() -> None:
    subscriber = Subscriber(push_config())
    subscriber.pulls = [[message(1)], [message(1), message(2)]]
    found = looked(subscriber, 3, waiting=2)
    assert (len(found.came), found.came["1"].times) == (2, 2)


def test_no_more_are_taken_than_wanted() -> None:
    subscriber = Subscriber(push_config())
    subscriber.pulls = [[message(1), message(2)], [message(3)]]
    assert sorted(looked(subscriber, 2).came) == ["1", "2"]


def test_short_leases_are_made_longer_and_long_ones_are_not() -> None:
    for lease_s, extended in ((10, True), (600, False)):
        subscriber = Subscriber(push_config())
        subscriber.pulls = [[message(1)]]
        looked(subscriber, 1, lease_s=lease_s)
        assert any(method.startswith("modify_ack_deadline") for method in subscriber.asked) is extended
        assert "modify_ack_deadline 0" not in subscriber.asked


def test_an_unanswered_pull_is_neither_empty_nor_the_end() -> None:
    subscriber = Subscriber(push_config())
    subscriber.pulls = [[message(1)]]
    first = [exceptions.DeadlineExceeded("no answer")]

    def trouble(method: str) -> None:
        if method == "pull" and first:
            raise first.pop()

    subscriber.trouble = trouble
    found = looked(subscriber, 1)
    assert (len(found.came), found.unanswered, found.empty) == (1, 1, 0)


def test_what_an_interrupted_pull_has_brought_is_handed_back() -> None:
    subscriber, found = Subscriber(push_config()), Peek()
    subscriber.pulls = [[message(1)]]
    asking = reach(subscriber)

    def interrupt(when: str, name: str) -> None:
        if (when, name) == ("after", "subscriber.pull"):
            raise KeyboardInterrupt

    asking._at = interrupt
    with pytest.raises(KeyboardInterrupt):
        peek(found, asking, NAME, 10)
    assert list(found.came) == ["1"]


def test_a_message_is_read_by_the_profiles_paths() -> None:
    good = json.dumps({"player": "a", "game": {"id": "g"}, "meta": {"batch": "b1"}}).encode()
    found = Peek(
        {
            "1": Came(message(1, good, attempt=3, at=NOW - timedelta(hours=1))),
            "2": Came(message(2, b'{"player": "", "game": {}}')),
            "3": Came(message(3, b"a,b,c")),
            "4": Came(message(4, b"[1]")),
        }
    )
    first, second, third, fourth = read(found, PROFILE, show_data=False)
    assert (first.batch, first.item, first.missing, first.attempts, first.size) == ("b1", "a", (), 3, len(good))
    assert second.missing == ("player", "game.id")
    assert third.unreadable == "its data is not JSON" and third.missing == ()
    assert fourth.unreadable == "its data is JSON, but no object"
    assert not any(m.data for m in (first, second, third, fourth))


def test_without_a_profile_nothing_is_missing() -> None:
    (only,) = read(Peek({"1": Came(message(1, b"plain"))}), None, show_data=False)
    assert (only.missing, only.unreadable) == ((), "")


def test_secrets_are_redacted_even_where_data_is_shown() -> None:
    data = b'{"player": "a", "token": "Bearer abcdefghijklmnop", "mail": "ann@example.com"}'
    (only,) = read(Peek({"1": Came(message(1, data))}), PROFILE, show_data=True)
    assert "player" in only.data
    assert "abcdefghijklmnop" not in only.data and "ann@" not in only.data
