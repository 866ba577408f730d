"""The headline of one part answers what the command asks, and says what else is wrong instead of how much."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from diagnostics.conclude.part import headline
from diagnostics.evidence.model import Change, Leg
from diagnostics.steps import changes, dead_letter, routed
from diagnostics.steps.changes import builds, in_words
from diagnostics.steps.delivered import push_answers, what_waits
from diagnostics.steps.finding import AnyCode, Finding, Status
from diagnostics.steps.routed import attachment

NOW = datetime(2026, 2, 8, 14, 20, tzinfo=UTC)


def finding(code: AnyCode, says: str, status: Status = Status.OK, leg: Leg | None = Leg.REQUEST) -> Finding:
    return Finding(
        code=code.name, stage=code.stage, title=code.title, leg=leg, status=status, says=says, kind=code.kind
    )


YES = finding(routed.ROUTED, "s → worker /predict")
ACKED = finding(push_answers.ACKED, "28 pushes acked, none refused")
BACK = replace(ACKED, leg=Leg.COMPLETION, says="27 pushes acked, none refused")
FAILING = finding(push_answers.FAILING, "78% of pushes failed", Status.FAULT)
WAITS = finding(what_waits.OLD_BACKLOG, "17 messages wait", Status.FAULT)


def test_where_all_is_well_each_leg_gives_its_answer_and_not_its_first_finding() -> None:
    assert headline("delivery", Status.OK, (YES, replace(YES, leg=Leg.COMPLETION), ACKED, BACK)) == (
        "delivery: 28 pushes acked, none refused; the way back: 27 pushes acked, none refused"
    )
    assert headline("delivery", Status.OK, (YES,)) == "delivery: s → worker /predict"


def test_what_is_wrong_beside_the_first_is_named() -> None:
    assert headline("delivery", Status.FAULT, (YES, FAILING, WAITS)) == (
        f"delivery: 78% of pushes failed; also: {what_waits.OLD_BACKLOG.title}"
    )


def test_what_is_set_up_wrong_comes_before_what_came_of_it() -> None:
    pulled = finding(attachment.NOT_PUSH, "s has no push endpoint", Status.FAULT)
    assert headline("delivery", Status.FAULT, (WAITS, pulled)) == (
        f"delivery: s has no push endpoint; also: {what_waits.OLD_BACKLOG.title}"
    )


def test_whether_messages_arrive_is_answered_before_what_becomes_of_those_that_do_not() -> None:
    gone = finding(dead_letter.TOPIC_MISSING, "dead-letter topic d does not exist", Status.FAULT)
    says = f"delivery: 17 messages wait; also: {dead_letter.TOPIC_MISSING.title}"
    assert headline("delivery", Status.FAULT, (gone, WAITS)) == says
    assert headline("lint", Status.FAULT, (WAITS, gone)) == f"lint: {gone.says}; also: {WAITS.title}"


def test_the_same_of_both_legs_is_not_said_twice() -> None:
    twice = (WAITS, replace(WAITS, leg=Leg.COMPLETION))
    assert headline("delivery", Status.FAULT, twice) == "delivery: 17 messages wait"


@pytest.mark.parametrize(("others", "told"), [(1, ""), (2, ""), (4, " (2 more below)")])
def test_of_many_the_number_is_said_and_where_they_are(others: int, told: str) -> None:
    rest = tuple(replace(WAITS, title=f"wrong {n}") for n in range(others))
    assert headline("lint", Status.FAULT, (FAILING, *rest)).endswith(f"wrong {min(others, 2) - 1}{told}")


def test_that_nothing_changed_comes_before_what_served() -> None:
    served = finding(builds.SERVED, "r1 served", leg=Leg.REQUEST)
    nothing = finding(changes.NOTHING, "no configuration change", leg=None)
    assert headline("changes", Status.OK, (served, nothing)) == "changes: no configuration change"


def test_what_was_changed_comes_before_what_was_deployed_and_a_roll_back_before_both() -> None:
    deployed = finding(changes.DEPLOYED, "w was deployed at 12:29Z: image a → b")
    changed = finding(
        changes.CHANGED, "2 changes: 12:29Z ReplaceService w (image a → b); 12:35Z SetIamPolicy w (remove r)", leg=None
    )
    back = finding(builds.ROLLED_BACK, "w was changed at 13:01Z: rolled back")
    assert headline("changes", Status.OK, (deployed, changed)) == f"changes: {changed.says}"
    assert headline("changes", Status.OK, (deployed, changed, back)) == f"changes: {back.says}"
    assert headline("changes", Status.OK, (deployed,)) == f"changes: {deployed.says}"


@pytest.mark.parametrize(
    ("method", "says", "told"),
    [
        ("ModifyPushConfig", "subscription=projects/p/subscriptions/s", "takes the push endpoint away"),
        (
            "ModifyPushConfig",
            "pushEndpoint=https://w/x, subscription=projects/p/subscriptions/s",
            "pushEndpoint=https://w/x",
        ),
        ("ModifyPushConfig", "", ""),
        ("Seek", "subscription=projects/p/subscriptions/s, time=2026-02-08T14:00:00Z", "time=2026-02-08T14:00:00Z"),
        ("Seek", "subscription=projects/p/subscriptions/another", "subscription=projects/p/subscriptions/another"),
        ("SetIamPolicy", "remove r for serviceAccount:w@p", "remove r for w@p"),
    ],
)
def test_a_change_is_told_without_the_name_that_stands_beside_it(method: str, says: str, told: str) -> None:
    change = Change(
        at=NOW, api="pubsub.googleapis.com", method=method, resource="subscriptions/s", by="person-1", says=says
    )
    assert in_words(change) == told
