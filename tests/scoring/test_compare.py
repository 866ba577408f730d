"""A score must be able to fail: each key of `expect`, held against a diagnosis that disagrees with it alone."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg, Stage
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.expect import Expected
from diagnostics.steps.finding import Row

RIGHT = {
    "status": "fault",
    "exit_code": 2,
    "state": "stalled",
    "blocks": ["gated-batch-never-closes"],
    "latent": ["poison-retry-storm"],
    "not": ["push-invoker-missing"],
    "confidence": {"gated-batch-never-closes": "confirmed"},
    "ladder": {"published": 15, "delivered": [10, 15], "routed": True, "closed": False, "returned": 15, "recorded": 15},
    "here": "published",
    "finishes_alone": False,
    "findings": ["published.gated"],
    "not_findings": ["delivered.acked"],
    "unexplained": [],
}


def held(found: Diagnosis, **changes: object) -> tuple[str, ...]:
    return disagreements(msgspec.convert({**RIGHT, **changes}, Expected), found)


def test_the_night_is_as_expected(night: Diagnosis) -> None:
    assert held(night) == ()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("status", "ok", "status: expected ok, found fault"),
        ("exit_code", 0, "exit_code: expected 0, found 2"),
        ("state", "done", "state: expected done, found stalled"),
        ("blocks", [], "gated-batch-never-closes: not expected to block, found blocks (confirmed)"),
        ("latent", [], "poison-retry-storm: not expected, found latent (confirmed)"),
        ("worsens", ["cold-start"], "cold-start: expected to be named as worsens, found nowhere"),
        ("benign", ["uptime-403"], "uptime-403: expected to be named as benign, found nowhere"),
        ("not", ["poison-retry-storm"], "poison-retry-storm: must not be named, found latent (confirmed)"),
        (
            "confidence",
            {"gated-batch-never-closes": "probable"},
            "gated-batch-never-closes: expected probable, found blocks (confirmed)",
        ),
        ("confidence", {"cold-start": "confirmed"}, "cold-start: expected confirmed, found nowhere"),
        ("ladder", {"published": 16}, "ladder.published: expected 16, found 15"),
        ("ladder", {"delivered": [16, 20]}, "ladder.delivered: expected 16 to 20, found 15"),
        ("ladder", {"routed": False}, "ladder.routed: expected no, found yes"),
        ("ladder", {"completion.delivered": 15}, "ladder.completion.delivered: expected 15, found no such row"),
        ("ladder", {"delivered": None}, "ladder.delivered: expected unknown, found 15"),
        ("ladder", {"eaten": 1}, "ladder.eaten: no such stage"),
        ("here", "delivered", "here: expected delivered, found published"),
        ("here", None, "here: expected None, found published"),
        ("finishes_alone", True, "finishes_alone: expected True, found False"),
        ("finishes_alone", None, "finishes_alone: expected None, found False"),
        ("undetermined", True, "gated-batch-never-closes: the cause cannot be determined, found blocks (confirmed)"),
        ("findings", ["routed.residue"], "finding routed.residue: expected, not found"),
        ("findings", ["delivered.acked"], "finding delivered.acked: expected, not found"),
        ("not_findings", ["published.gated"], "finding published.gated: must not be found"),
        ("unexplained", ["published.gated"], "unexplained: expected ['published.gated'], found []"),
    ],
)
def test_each_key_can_fail(night: Diagnosis, key: str, value: object, says: str) -> None:
    assert held(night, **{key: value}) == (says,)


def test_a_cause_in_the_wrong_role_is_wrong_twice(night: Diagnosis) -> None:
    swapped = replace(night, causes=tuple(replace(c, role=Role.WORSENS) for c in night.causes[1:]), here_leg=None)
    wrong = held(swapped, blocks=[], confidence={})
    assert "poison-retry-storm: expected to be named as latent, found worsens (confirmed)" in wrong
    assert "poison-retry-storm: not expected, found worsens (confirmed)" in wrong


def test_an_allowed_cause_may_be_there_or_not_but_never_block(night: Diagnosis) -> None:
    assert held(night, latent=[], allow=["poison-retry-storm"]) == ()
    assert held(night, allow=["cold-start"]) == ()
    blocking = replace(night, causes=tuple(replace(c, role=Role.BLOCKS) for c in night.causes))
    assert held(blocking, latent=[], allow=["poison-retry-storm"]) == (
        "poison-retry-storm: not expected to block, found blocks (confirmed)",
    )


def test_a_leg_can_be_asked_for(night: Diagnosis) -> None:
    assert held(night, blocks=["gated-batch-never-closes@request"]) == ()
    wrong = held(night, blocks=["gated-batch-never-closes@completion"])
    assert "gated-batch-never-closes: not expected to block, found blocks (confirmed)" in wrong


def test_the_completion_leg_has_its_own_rows_and_place(night: Diagnosis) -> None:
    back = Row(stage=Stage.DELIVERED, leg=Leg.COMPLETION, seen_min=3, seen_max=3)
    moved = replace(night, ladder=(*night.ladder, back), here=Stage.DELIVERED, here_leg=Leg.COMPLETION)
    ladder = {"delivered": 15, "completion.delivered": 3}
    assert held(moved, here="completion.delivered", ladder=ladder) == ()
    assert held(moved, here="delivered", ladder=ladder) == ("here: expected delivered, found completion.delivered",)


@pytest.mark.parametrize(
    ("row", "amount", "fits"),
    [
        (Row(stage=Stage.DELIVERED), 0, False),
        (Row(stage=Stage.DELIVERED), None, True),
        (Row(stage=Stage.DELIVERED, seen_min=0), 0, False),
        (Row(stage=Stage.DELIVERED, seen_min=3, seen_max=7), [2, 7], True),
        (Row(stage=Stage.DELIVERED, seen_min=3, seen_max=7), [4, 7], False),
        (Row(stage=Stage.DELIVERED, seen_min=3, seen_max=7), 3, False),
        (Row(stage=Stage.DELIVERED, not_reached=True), 0, True),
        (Row(stage=Stage.DELIVERED, not_reached=True), 1, False),
        (Row(stage=Stage.DELIVERED), False, False),
    ],
)
def test_unknown_is_neither_zero_nor_no(night: Diagnosis, row: Row, amount: object, fits: bool) -> None:
    found = replace(night, ladder=(row,))
    assert (held(found, ladder={"delivered": amount}) == ()) is fits


def test_a_lesser_confidence_of_one_leg_does_not_hide_behind_the_other(night: Diagnosis) -> None:
    twin = replace(night.causes[0], leg=Leg.COMPLETION, confidence=Confidence.POSSIBLE)
    assert len(held(replace(night, causes=(*night.causes, twin)))) == 1
