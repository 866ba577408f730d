"""Two faults become one scenario that has both, or it is said why not."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec import structs

from diagnostics.lab.durations import seconds
from diagnostics.lab.scenario import Scenario
from tests.matrices.captured import scenarios
from tests.matrices.merging import merged
from tests.matrices.singles import ASKED, Single, Unfit, alone, in_other_dialect, single


@cache
def one(name: str) -> Single:
    return single(next(path for path in scenarios() if path.stem == name), 1)


def together(a: str, b: str) -> Scenario:
    return merged(one(a), one(b))[0]


def test_a_scenario_with_one_fault_stays_what_it_is() -> None:
    revoked = one("push-invoker-missing")
    assert (str(revoked.fault), revoked.dialect, len(revoked.good)) == (
        "push-invoker-missing@request",
        "predictions",
        1,
    )
    scenario, ask = alone(revoked)
    assert ask.batch == ASKED
    assert [set(entry.events) for entry in scenario.timeline] == [{"start_batch"}, {"revoke"}, {"start_batch"}]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lint-healthy", "another command"),
        ("typical-batch", "no fault"),
        ("poison-never-dead-lettered", "several causes"),
        ("monitoring-forbidden-batch-stalled", "not all may be seen"),
    ],
)
def test_what_is_no_single_fault_says_why(name: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        one(name)


def test_what_goes_on_now_goes_on_in_the_pair_and_what_has_ended_stays_as_long_as_it_was() -> None:
    a, b = one("worker-lost-its-role"), one("refused-for-longer-than-messages-are-kept")
    assert b.starts < a.starts
    (lasting,) = [e for e in merged(in_other_dialect(a), b)[0].timeline if e.downstream]
    assert lasting.downstream and seconds(lasting.at) + seconds(lasting.downstream.lasts) == 0
    ended = one("publish-quota-exceeded")
    (original,) = [e for e in ended.events if "quota" in e]
    (kept,) = [e for e in merged(ended, a)[0].timeline if e.quota]
    assert kept.quota and seconds(kept.quota.lasts) == seconds(original["quota"]["for"])


def test_both_stories_meet_in_one_start_call() -> None:
    a, b = one("push-invoker-missing"), one("poison-of-other-batches-is-latent")
    scenario = together("push-invoker-missing", "poison-of-other-batches-is-latent")
    starts = [entry for entry in scenario.timeline if entry.start_batch and entry.start_batch.name == ASKED]
    assert [seconds(entry.at) for entry in starts] == [min(a.starts, b.starts)]
    (revoked,) = [entry for entry in scenario.timeline if entry.revoke]
    original = next(entry for entry in a.events if "revoke" in entry)
    assert seconds(revoked.at) - min(a.starts, b.starts) == seconds(original["at"]) - a.starts
    assert any(entry.publish_messages for entry in scenario.timeline)
    assert scenario.pipeline.worker.revision.code == "poison-refused"
    assert sum(entry.start_batch is not None for entry in scenario.timeline) == 2, "one batch before it"


def test_where_no_person_gets_in_the_scheduler_calls() -> None:
    scenario = together("2026-01-16-topic-with-zero-subscribers", "coordinator-internal-and-gated")
    (asked,) = [e.start_batch for e in scenario.timeline if e.start_batch and e.start_batch.name == ASKED]
    assert one("2026-01-16-topic-with-zero-subscribers").start["caller"] == "person"
    assert asked.caller == "scheduler"


def test_the_call_has_the_gate_of_one_and_the_messages_of_the_other() -> None:
    gated = one("gated-batch-never-closes")
    spoilt = structs.replace(one("push-invoker-missing"), start={"items": 9, "payloads": {"silent": 2}})
    (asked,) = [
        entry.start_batch
        for entry in merged(gated, spoilt)[0].timeline
        if entry.start_batch and entry.start_batch.name == ASKED
    ]
    assert asked.items == gated.start["items"]
    assert asked.gated.existing == gated.start["gated"]["existing"]
    assert asked.payloads == {"silent": 2}


def test_a_new_build_keeps_the_traits_of_the_other_story() -> None:
    scenario = together("every-item-fails-after-deploy", "poison-of-other-batches-is-latent")
    (deploy,) = [entry.deploy for entry in scenario.timeline if entry.deploy]
    assert isinstance(deploy.code, str)
    assert set(deploy.code.split()) == {"broken", "stale-retried", "poison-refused"}


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("push-invoker-missing", "filter-drops-others-only", "the same fault"),
        ("push-invoker-missing", "worker-crashing-after-deploy", "another dialect"),
        ("push-audience-mismatch", "wrong-audience-without-dead-letter-topic", "the same fault"),
        ("wrong-push-path", "endpoint-of-another-service", "the same fault"),
        ("gated-batch-never-closes", "gated-to-zero", "the same fault"),
    ],
)
def test_what_cannot_be_told_together_says_why(a: str, b: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        together(a, b)


def test_two_values_for_one_thing_are_no_pair() -> None:
    few = structs.replace(one("push-invoker-missing"), pipeline={"worker": {"revision": {"max_instances": 2}}})
    many = structs.replace(one("filter-drops-all"), pipeline={"worker": {"revision": {"max_instances": 3}}})
    with pytest.raises(Unfit, match="both set service worker max_instances"):
        merged(few, many)
    revokes = structs.replace(one("filter-drops-all"), events=one("push-invoker-missing").events)
    merged(one("push-invoker-missing"), revokes)
    given = {**one("push-invoker-missing").events[0]}
    grants = structs.replace(revokes, events=({"at": given["at"], "grant": given["revoke"]},))
    with pytest.raises(Unfit, match="both set grant"):
        merged(one("push-invoker-missing"), grants)


def test_the_other_dialect_has_other_names() -> None:
    told = in_other_dialect(one("worker-crashing-after-deploy"))
    assert told.dialect == "predictions"
    unset = in_other_dialect(one("2026-01-08-ready-topic-env-missing"))
    text = str((unset.pipeline, unset.events))
    assert unset.dialect == "orders"
    assert "RECEIPT_TOPIC" in text or "harbor-billing-prod" in text
    assert "PUBSUB_READY_TOPIC" not in text
