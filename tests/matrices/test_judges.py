"""The judges of the matrices can say no, and the tallies that they rest on are those of the lab."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec import structs

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.telemetry.store import Telemetry
from tests.matrices import explained
from tests.matrices.answers import Told
from tests.matrices.mechanisms import MECHANISMS, borne_out, covered, held, met
from tests.matrices.pairs import wrong_role, wrongly_confirmed
from tests.matrices.truth import START, Answered, Item, Place, Truth, truth_of

STORY = """
name: judged
story: A night with one thing wrong.
pipeline: {{worker: {{revision: {{code: poison-refused}}}}, {pipeline}}}
timeline:
  - {{at: -1d, start_batch: {{name: before, items: 20}}}}
{events}
  - {{at: -40m, start_batch: {{name: asked, items: 20{batch}}}}}
"""


def told(code: str, role: str, leg: str = "request", confidence: str = "confirmed") -> Told:
    return Told(code=code, leg=leg, stage="delivered", role=role, confidence=confidence)


@cache
def truth(events: str = "", batch: str = "", pipeline: str = "") -> Truth:
    text = STORY.format(events=events, batch=batch, pipeline=pipeline)
    return truth_of(Lab(parse(text), 1, Telemetry()), "asked")


REVOKED = '  - {at: -50m, revoke: {on: "service:worker", role: roles/run.invoker, member: worker}}'
UNSUBSCRIBED = "  - {at: -50m, delete_subscription: {subscription: completion}}"


def test_a_night_with_nothing_wrong_is_recorded() -> None:
    found = truth()
    assert found.created and found.closed and found.brief() == "20 completion recorded"
    assert not any(held(found, code, leg, "") for code in MECHANISMS for leg in ("request", "completion"))


def test_what_holds_all_holds_all_and_nothing_else_does() -> None:
    found = truth(REVOKED)
    assert {item.place for item in found.items} <= {Place.WAITING, Place.DEAD_LETTERED}
    holding = {code for code in MECHANISMS if held(found, code, "request", "")}
    put_aside = {"attempts-used-up", "attempts-spent-in-an-outage", "failed-items-awaited"}
    assert holding == {"push-invoker-missing", *put_aside}, "what is dead-lettered does not come back by itself"
    assert held(found, "push-invoker-missing", "request", "") == 20
    assert not held(found, "push-invoker-missing", "completion", "")


def test_items_meet_it_and_get_past() -> None:
    found = truth(batch=", payloads: {flaky: 4}")
    assert found.brief() == "20 completion recorded"
    assert (met(found, "every-item-fails", "request", ""), held(found, "every-item-fails", "request", "")) == (4, 0)


def test_a_message_to_blame_is_told_from_a_worker_to_blame() -> None:
    poison = truth(batch=", payloads: {malformed: 3}", pipeline="request: {subscription: {max_delivery_attempts: 100}}")
    assert held(poison, "poison-retry-storm", "request", "") == 3
    assert not held(poison, "every-item-fails", "request", "")
    broken = truth("  - {at: -50m, deploy: {service: worker, code: broken}}")
    assert held(broken, "every-item-fails", "request", "") == 20
    assert not held(broken, "poison-retry-storm", "request", "")


def test_what_is_behind_something_else_is_there_and_holds_nothing() -> None:
    found = truth(f"{REVOKED}\n{UNSUBSCRIBED}")
    assert held(found, "subscription-deleted", "completion", "") == 0
    assert borne_out(found, "subscription-deleted", "completion", "")
    assert not borne_out(found, "subscription-deleted", "request", "")
    assert not borne_out(found, "no-subscription-on-topic", "completion", "")


@pytest.mark.parametrize(
    ("code", "role", "leg", "says"),
    [
        ("push-invoker-missing", "blocks", "request", ""),
        ("push-invoker-missing", "latent", "request", "it holds 20 items"),
        ("subscription-deleted", "latent", "completion", ""),
        ("subscription-deleted", "blocks", "completion", "it holds no item"),
        ("max-instances-saturated", "worsens", "request", "no item met it"),
        ("dead-letter-grants-missing", "latent", "request", ""),
        ("dead-letter-grants-missing", "blocks", "request", "it holds no item"),
    ],
)
def test_a_role_that_the_tallies_do_not_bear_out_is_wrong(code: str, role: str, leg: str, says: str) -> None:
    assert wrong_role(told(code, role, leg), truth(f"{REVOKED}\n{UNSUBSCRIBED}")).partition(": ")[2] == says


def test_of_several_that_cannot_be_told_apart_one_has_the_role() -> None:
    cut = Item(name="", place=Place.NOT_STARTED, last=Answered(START, "application", "504"))
    found = structs.replace(truth(), status=504, created=False, closed=False, items=(cut,))
    published = told("start-timed-out-before-publish", "blocks", confidence="possible")
    assert wrong_role(published, found)
    assert not wrong_role(structs.replace(published, one_of=("start-cut-off-while-loading",)), found)
    assert wrong_role(structs.replace(published, one_of=("publish-failing",)), found)


def test_what_another_topic_refuses_is_not_for_want_of_the_role_on_this_one() -> None:
    refused = (Item(name="a", place=Place.UNPUBLISHED, refused="PERMISSION_DENIED"),)
    here = structs.replace(truth(), closed=False, items=refused, standing=frozenset({"publisher-role-missing"}))
    assert held(here, "publisher-role-missing", "request", "") == 1
    away = structs.replace(here, standing=here.standing | {"request-topic-name-wrong"})
    assert held(away, "publisher-role-missing", "request", "") == 0
    assert borne_out(away, "publisher-role-missing", "request", ""), "it is taken all the same"


@pytest.mark.parametrize(
    ("status", "by"), [(504, "start-timed-out-before-publish"), (503, "start-killed"), (500, "start-killed")]
)
def test_what_was_never_published_is_the_doing_of_what_ended_the_start_call(status: int, by: str) -> None:
    never = tuple(Item(name=name, place=Place.UNTRIED) for name in "abc")
    found = structs.replace(truth(), status=status, closed=False, expected=3, items=never)
    ways = ("start-timed-out-before-publish", "start-killed")
    assert [code for code in ways if held(found, code, "", "")] == [by]


def test_what_is_confirmed_and_is_not_there_is_wrong() -> None:
    found = truth(f"{REVOKED}\n{UNSUBSCRIBED}")
    there = told("subscription-deleted", "latent", "completion")
    done = told("done", "benign", "", "probable")
    wrong = told("worker-crashing", "latent")
    unsure = structs.replace(wrong, confidence="probable")
    assert list(wrongly_confirmed([there, wrong, unsure, done], found, ())) == [wrong, done]


def test_a_gate_holds_only_what_the_batch_waits_for() -> None:
    gate = ", gated: {existing: 12}"
    lowered, kept = truth(batch=gate), truth(batch=gate, pipeline="coordinator: {revision: {code: expected-kept}}")
    assert "12 request gated" in lowered.brief() and "12 request gated" in kept.brief()
    assert held(lowered, "gated-batch-never-closes", "", "") == 0
    assert held(kept, "gated-batch-never-closes", "", "") == 12


AUDIENCE = '  - {at: -51m, set_subscription: {subscription: request, audience: "https://else.example.com"}}'


def test_two_reasons_to_turn_pushes_away_at_one_door_both_hold_what_it_keeps_out() -> None:
    both, one = truth(f"{AUDIENCE}\n{REVOKED}"), truth(AUDIENCE)
    assert {held(both, code, "request", "") for code in ("push-invoker-missing", "push-audience-mismatch")} == {20}
    assert (held(one, "push-audience-mismatch", "request", ""), held(one, "push-invoker-missing", "request", "")) == (
        20,
        0,
    )


EXPIRED, CRASHED, FORBIDDEN = (
    Answered("request", "Pub/Sub", "deadline"),
    Answered("request", "Cloud Run", "503"),
    Answered("request", "front end", "403"),
)


EXPIRE = {"cold-start-exceeds-ack-deadline", "work-longer-than-ack-deadline", "work-longer-than-any-deadline"}
"""Causes of which the tallies see the same: a push that ran into the deadline."""
DIE = {"worker-crashing", "environment-lost-in-deploy", "server-timeout-kills-work", "liveness-probe-kills"}
"""Likewise of a container that went away with 503."""


def holding(item: Item, *failing: Answered) -> set[str]:
    """What holds the item by what its pushes met alone; not what does so only while the configuration has it."""
    told = {code: of for code, of in MECHANISMS.items() if of.answers and not of.must_stand}
    return {code for code, of in told.items() if of.holds(item, "request", failing)}


def test_a_crash_behind_an_expired_push_is_met() -> None:
    slow = truth(
        "  - {at: -50m, deploy: {service: worker, code: poison-refused, startup: 40s, min_instances: 0}}",
        batch=", payloads: {crash: 2}",
        pipeline="request: {subscription: {ack_deadline: 20s}}",
    )
    assert any((answer.by, answer.what) == ("Cloud Run", "503") for item in slow.items for answer in item.late)
    expired = Item(name="a", place=Place.WAITING, last=EXPIRED)
    assert holding(expired, EXPIRED) == EXPIRE
    crashed = structs.replace(expired, late=(CRASHED,))
    assert holding(crashed, EXPIRED) == EXPIRE | DIE


def test_what_waits_waits_for_what_pushes_meet_by_now() -> None:
    waits = Item(name="a", place=Place.WAITING, last=EXPIRED)
    assert holding(waits, FORBIDDEN) == {"push-invoker-missing"}
    assert holding(waits, EXPIRED, FORBIDDEN) == holding(waits) == EXPIRE
    assert holding(structs.replace(waits, place=Place.DEAD_LETTERED), FORBIDDEN) == EXPIRE


def test_what_was_never_pushed_waits_behind_work_that_cannot_be_reported() -> None:
    """A worker that nacks for want of the completion topic: pushed or not, all of it waits for that."""
    unnamed = "{at: -30h, deploy: {service: worker, code: completion-nacks, update_env: {PUBSUB_READY_TOPIC: nowhere}}}"
    found = truth(f"  - {unnamed}", pipeline="request: {subscription: {max_delivery_attempts: 100}}")
    assert found.unreported == (Answered("request", "application", "500"),)
    assert any(item.last is None for item in found.items), "old messages come first, and keep the rest waiting"
    assert held(found, "completion-topic-misnamed", "completion", "") == 20
    broken = structs.replace(found, unreported=())
    assert held(broken, "completion-topic-misnamed", "completion", "") == sum(bool(i.refused) for i in found.items)


def test_what_was_never_pushed_waits_for_the_reason_for_which_the_others_cannot_be_reported() -> None:
    waits, refused = (Item(name=name, place=Place.WAITING) for name in "ab")
    failed = Answered("request", "application", "500")
    refused = structs.replace(refused, last=failed, refused="NOT_FOUND", refusals=("NOT_FOUND",))
    both = frozenset({"completion-topic-misnamed@completion", "completion-publisher-role-missing@completion"})
    found = structs.replace(
        truth(), closed=False, items=(waits, refused), failing=(failed,), unreported=(failed,), standing=both
    )
    assert held(found, "completion-topic-misnamed", "completion", "") == 2
    assert met(found, "completion-publisher-role-missing", "completion", "") == 0, "no item was refused for want of it"
    old = structs.replace(found, items=(waits,))
    assert met(old, "completion-publisher-role-missing", "completion", "") == 1, "of old messages nothing tells which"


def unreported(*codes: str, standing: str = "") -> Truth:
    """Two items whose completions Pub/Sub refused, each with all of these codes, the first of them first."""
    item = Item(name="a", place=Place.UNPUBLISHED, leg="completion", refused=codes[0], refusals=codes)
    items = (item, structs.replace(item, name="b"))
    return structs.replace(truth(), closed=False, items=items, standing=frozenset({standing} - {""}))


def test_completions_to_another_topic_are_refused_by_that_one_whatever_it_says() -> None:
    misnamed, role, deleted = (
        "completion-topic-misnamed",
        "completion-publisher-role-missing",
        "completion-topic-deleted",
    )
    for code, own in (("PERMISSION_DENIED", role), ("NOT_FOUND", deleted)):
        astray, here = unreported(code, standing=f"{misnamed}@completion"), unreported(code)
        assert (held(astray, misnamed, "completion", ""), held(astray, own, "completion", "")) == (2, 0)
        assert held(here, own, "completion", "") == 2
        both = structs.replace(astray, standing=astray.standing | {f"{own}@completion"})
        assert held(both, own, "completion", "") == 2
    assert held(unreported("PERMISSION_DENIED"), misnamed, "completion", "") == 0


def test_completions_that_are_refused_for_one_reason_and_then_for_another_met_both() -> None:
    """A topic that is made again has no grant; what is recorded in the end met both all the same."""
    twice = unreported("NOT_FOUND", "PERMISSION_DENIED")
    done = structs.replace(twice, items=tuple(structs.replace(i, place=Place.RECORDED) for i in twice.items))
    for code in ("completion-topic-deleted", "completion-publisher-role-missing"):
        assert (met(done, code, "completion", ""), held(done, code, "completion", "")) == (2, 0)
        assert borne_out(structs.replace(done, closed=True), code, "completion", "")
    assert not borne_out(unreported("NOT_FOUND"), "completion-publisher-role-missing", "completion", "")


def test_what_still_refuses_pushes_is_why_messages_grew_too_old() -> None:
    refused = Answered("request", "front end", "401")
    old = Item(name="a", place=Place.DROPPED, last=refused, met=(refused,))
    items = (old, structs.replace(old, name="b", last=None, met=()))
    found = structs.replace(truth(), closed=False, items=items, standing=frozenset({"iap-in-front@request"}))
    outlived = ("messages-outlived-retention", "request", "iap-in-front", "request")
    assert covered(found, *outlived)
    mended = structs.replace(found, standing=frozenset())
    never_pushed = structs.replace(found, items=items[1:])
    otherwise = structs.replace(found, items=(structs.replace(old, last=Answered("request", "Cloud Run", "500")),))
    assert not any(covered(one, *outlived) for one in (mended, never_pushed, otherwise))


def test_a_start_that_was_killed_is_no_completion_that_fails() -> None:
    failed = Answered("completion", "application", "500")
    item = Item(name="a", place=Place.RECORDED, leg="completion", met=(failed,))
    found = structs.replace(truth(), closed=False, status=200, items=(item,), ever=(failed,))
    assert not borne_out(found, "start-killed", "completion", "")
    killed = structs.replace(item, place=Place.NOT_STARTED, last=Answered(START, "application", "503"))
    assert held(structs.replace(found, status=503, items=(killed,)), "start-killed", "completion", "") == 1


@pytest.mark.parametrize("kind", ["wrong confirmed", "false ok", "no answer"])
def test_what_is_plainly_wrong_is_never_explained(kind: str) -> None:
    for known in explained.KNOWN:
        assert not explained.why(kind, known.what.lstrip("^"), known.pair, known.answer)


def test_a_kind_of_miss_is_explained_by_the_meeting_and_not_by_its_name_alone() -> None:
    pair = "completion/completion-topic-forgotten-at-set-up + incidents/2026-02-09-skip-acked-without-completion"
    assert explained.why("not named", "skip-acked-without-completion", pair, "").startswith(explained.UNDECIDED)
    assert not explained.why("not named", "skip-acked-without-completion", "state/gated + worker/out-of-memory", "")
    assert not explained.why("role", "skip-acked-without-completion", pair, "")
    no_token = ("not named", "push-invoker-missing@request", "auth/grant-gone + auth/pushes-carry-no-token")
    assert explained.why(*no_token, "fault: push-token-missing@request blocks confirmed")
    assert not explained.why(*no_token, "fault: push-audience-mismatch@request blocks confirmed")


@pytest.mark.parametrize(
    ("what", "pair", "answer", "other"),
    [
        (
            "stuck-batch-blocks-start",
            "publish/topic-deleted + state/stuck",
            "fault failed HERE created: stale-active-batch-blocks-start blocks confirmed",
            "fault failed HERE created: closed-batch-blocks-start blocks confirmed",
        ),
        (
            "cannot-scale-fast-enough@request",
            "capacity/burst-below-the-maximum + worker/x",
            "fault stalled HERE request.delivered: worker-crashing@request blocks confirmed",
            "fault stalled HERE request.delivered: worker-crashing@request blocks probable",
        ),
        (
            "start-killed@completion",
            "publish/a + publish/b",
            "fault failed HERE requested: upstream-data-incomplete blocks confirmed",
            "fault failed HERE requested: upstream-data-incomplete blocks probable",
        ),
    ],
)
def test_a_miss_beside_another_answer_is_not_explained(what: str, pair: str, answer: str, other: str) -> None:
    assert explained.why("not named", what, pair, answer)
    assert not explained.why("not named", what, pair, other)
