"""Restoring: compares before it writes, checks after it, may be repeated, and leaves alone what is somebody else's."""

from __future__ import annotations

import pytest
from google.api_core import exceptions

from diagnostics.probe.push_config import LABEL, UNTIL
from diagnostics.probe.restore import State, restore
from tests.probe.fakes import Subscriber, push_config, reach, snapshot_entry, switch_entry, switched

PUSH = push_config(attributes={"x-goog-version": "v1"})


def test_restoring_twice_writes_once() -> None:
    subscriber = Subscriber(PUSH)
    switched(subscriber)
    assert restore(reach(subscriber), switch_entry(PUSH)).state is State.RESTORED
    assert restore(reach(subscriber), switch_entry(PUSH)).state is State.UNTOUCHED
    assert subscriber.asked.count("update_subscription") == 1


def test_labels_of_others_stay_and_ours_go() -> None:
    subscriber = Subscriber(PUSH, {"team": "x"})
    switched(subscriber)
    subscriber.held.labels[UNTIL] = "1"
    subscriber.held.labels["added-meanwhile"] = "y"
    restore(reach(subscriber), switch_entry(PUSH))
    assert dict(subscriber.held.labels) == {"team": "x", "added-meanwhile": "y"}


def test_a_push_config_that_somebody_changed_meanwhile_is_left_alone() -> None:
    subscriber = Subscriber(PUSH)
    switched(subscriber)
    subscriber.held.push_config.push_endpoint = "https://other.example"
    outcome = restore(reach(subscriber), switch_entry(PUSH))
    assert outcome.state is State.CHANGED
    assert "push_endpoint" in outcome.says
    assert "--push-endpoint=https://worker.example/do" in outcome.by_hand[0]
    assert "update_subscription" not in subscriber.asked


def test_with_force_it_is_overwritten() -> None:
    subscriber = Subscriber(push_config("https://other.example"))
    assert restore(reach(subscriber), switch_entry(PUSH), force=True).state is State.RESTORED
    assert subscriber.held.push_config == PUSH


@pytest.mark.parametrize("label", [None, "ffffffff"])
def test_pull_mode_that_is_not_this_probes_is_left_alone(label: str | None) -> None:
    subscriber = Subscriber(push_config(""), {LABEL: label} if label else {})
    assert restore(reach(subscriber), switch_entry(PUSH)).state is State.CHANGED
    assert "update_subscription" not in subscriber.asked


def test_pull_mode_without_a_label_is_this_probes_when_it_could_set_none() -> None:
    subscriber = Subscriber(push_config(""))
    assert restore(reach(subscriber), switch_entry(PUSH, marked=False)).state is State.RESTORED
    assert subscriber.held.push_config == PUSH


def test_a_subscription_that_is_gone_needs_nothing() -> None:
    subscriber = Subscriber(PUSH)
    subscriber.held = None
    assert restore(reach(subscriber), switch_entry(PUSH)).state is State.GONE


def test_a_switch_that_takes_effect_late_is_seen_at_the_second_look() -> None:
    subscriber = Subscriber(PUSH)

    def late(_method: str) -> None:
        if subscriber.asked == ["get_subscription", "get_subscription"]:
            switched(subscriber)

    subscriber.trouble = late
    assert restore(reach(subscriber), switch_entry(PUSH), unsure=True).state is State.RESTORED
    assert subscriber.held.push_config == PUSH


def test_an_unclear_answer_is_looked_into_and_a_refusal_is_said_with_the_command() -> None:
    subscriber = Subscriber(PUSH)
    switched(subscriber)
    failures = [exceptions.DeadlineExceeded("no answer")]
    subscriber.trouble = lambda method: _raise(failures) if method == "update_subscription" and failures else None
    assert restore(reach(subscriber), switch_entry(PUSH)).state is State.RESTORED

    switched(subscriber)
    refusals = [exceptions.PermissionDenied("User not authorized to perform this action.")] * 5
    subscriber.trouble = lambda method: _raise(refusals) if method == "update_subscription" else None
    outcome = restore(reach(subscriber), switch_entry(PUSH))
    assert outcome.state is State.FAILED
    assert "pubsub.subscriptions.update" in outcome.says
    assert outcome.by_hand[0].startswith("gcloud pubsub subscriptions update requests")


def test_what_google_does_not_keep_is_said() -> None:
    subscriber = Subscriber(PUSH)
    switched(subscriber)
    real = subscriber.update_subscription

    def forgetful(**arguments: object) -> object:
        answer = real(**arguments)  # type: ignore[arg-type]
        subscriber.held.push_config.attributes.clear()
        return answer

    subscriber.update_subscription = forgetful  # type: ignore[method-assign]
    outcome = restore(reach(subscriber), switch_entry(PUSH))
    assert outcome.state is State.FAILED
    assert "attributes" in outcome.says


def test_both_things_of_a_snapshot_probe_are_deleted_and_only_those() -> None:
    subscriber, entry = Subscriber(PUSH), snapshot_entry()
    subscriber.there = {entry.temporary, entry.snapshot, "projects/p/subscriptions/others"}
    assert restore(reach(subscriber), entry).state is State.RESTORED
    assert subscriber.there == {"projects/p/subscriptions/others"}
    assert restore(reach(subscriber), entry).state is State.UNTOUCHED


def test_what_cannot_be_deleted_is_said_and_the_other_is_deleted_all_the_same() -> None:
    subscriber, entry = Subscriber(PUSH), snapshot_entry()
    subscriber.there = {entry.temporary, entry.snapshot}
    no = [exceptions.PermissionDenied("no")] * 3
    subscriber.trouble = lambda method: _raise(no) if method == "delete_subscription" else None
    outcome = restore(reach(subscriber), entry)
    assert outcome.state is State.FAILED
    assert outcome.by_hand == ("gcloud pubsub subscriptions delete pubsub-diag-probe-0a1b2c3d --project=p",)
    assert subscriber.deleted == [entry.snapshot]


def _raise(errors: list[exceptions.GoogleAPICallError]) -> None:
    raise errors.pop(0)
