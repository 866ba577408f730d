"""A score must be able to fail: each key of `expect`, held against a diagnosis that disagrees with it alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Suspect
from diagnostics.evidence.model import Leg, Stage
from diagnostics.scoring import pattern
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.expect import Expected
from diagnostics.steps.finding import Finding, Row, Status
from tests.conftest import NOW

SHOW = "pubsub-diag runbook show gated-batch-never-closes"
OFFERED = f"{SHOW} close it, or start again with what you meant to replace; {SHOW}"

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
    "told": {"published.gated": "fault"},
    "not_told": ["routed.residue"],
    "unexplained": [],
    "where": {"published": {"gated": 166}, "delivered": {}},
    "recovery": {"resubmit_count": 166, "replay_dead_letters": 0, "resubmit": [1, 2]},
    "offers": ["pubsub-diag runbook show gated-batch-never-closes", "/^pubsub-diag runbook/"],
    "not_offers": ["pubsub-diag probe run"],
    "says": ["stuck at 15/181", "/gate let \\d+ of 181 through/", "published 15 166 gated"],
    "not_says": ["poison messages", "/retrying [0-9]/"],
    "not_confirmed": ["uptime-403"],
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
        ("here", "delivered", "here: expected delivered, found published"),
        ("here", None, "here: expected None, found published"),
        ("finishes_alone", True, "finishes_alone: expected True, found False"),
        ("finishes_alone", None, "finishes_alone: expected None, found False"),
        ("undetermined", True, "gated-batch-never-closes: the cause cannot be determined, found blocks (confirmed)"),
        ("findings", ["routed.residue"], "finding routed.residue: expected, not found"),
        ("findings", ["delivered.acked"], "finding delivered.acked: expected, not found"),
        ("not_findings", ["published.gated"], "finding published.gated: must not be found"),
        ("told", {"published.gated": "unknown"}, "finding published.gated: expected as unknown, found fault"),
        ("told", {"routed.residue": "idle"}, "finding routed.residue: expected as idle, found nowhere"),
        ("not_told", ["published.gated"], "finding published.gated: must not be told"),
        ("unexplained", ["published.gated"], "unexplained: expected ['published.gated'], found []"),
        ("where", {"published": {"gated": 165}}, "where.published.gated: expected 165, found 166"),
        ("where", {"published": {"gated": [1, 9]}}, "where.published.gated: expected 1 to 9, found 166"),
        ("where", {"published": {}}, "where.published.gated: not expected, found 166"),
        (
            "where",
            {"published": {"gated": 166, "dead_lettered": 1}},
            "where.published.dead_lettered: expected 1, found 0",
        ),
        ("where", {"completion.delivered": {}}, "where.completion.delivered: found no such row"),
        ("recovery", {"resubmit_count": 165}, "recovery.resubmit_count: expected 165, found 166"),
        ("recovery", {"replay_dead_letters": [1, 9]}, "recovery.replay_dead_letters: expected 1 to 9, found 0"),
        ("recovery", {"resubmit": 0}, "recovery.resubmit: expected 0, found 1"),
        ("not_offers", ["/show .* close it/"], f"not_offers /show .* close it/: found {OFFERED.split(';')[0]}"),
        ("not_offers", [f"{SHOW} close"], f"not_offers {SHOW} close: found {OFFERED.split(';')[0]}"),
        ("offers", ["pubsub-diag run"], f"offers pubsub-diag run: expected, found {OFFERED}"),
        ("offers", ["/probe run/"], f"offers /probe run/: expected, found {OFFERED}"),
        ("says", ["stuck at 16/181"], "says stuck at 16/181: expected, not printed"),
        ("says", ["/gate let 16/"], "says /gate let 16/: expected, not printed"),
        ("not_says", ["the gate and not lowered"], "not_says the gate and not lowered: printed"),
        ("not_says", ["/gated *◀ HERE/"], "not_says /gated *◀ HERE/: printed"),
        (
            "one_of",
            ["cold-start", "uptime-403"],
            "one_of: expected cold-start or uptime-403 to be named, found neither",
        ),
        (
            "not_confirmed",
            ["poison-retry-storm"],
            "poison-retry-storm: must not be confirmed, found latent (confirmed)",
        ),
        ("suspect", "Deploy services/w", "suspect: expected Deploy services/w, found None"),
        ("suspect_at", "-50m", "suspect_at: expected -50m, found no suspect"),
        ("over", ["poison-retry-storm"], "over poison-retry-storm: expected to be over, found as latent (confirmed)"),
        ("over", ["published.gated"], "over published.gated: expected to be over, found as fault without an end"),
        ("over", ["cold-start"], "over cold-start: expected to be over, found nowhere"),
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
    assert (held(found, ladder={"delivered": amount}, where={}, says=[]) == ()) is fits


def test_a_lesser_confidence_of_one_leg_does_not_hide_behind_the_other(night: Diagnosis) -> None:
    twin = replace(night.causes[0], leg=Leg.COMPLETION, confidence=Confidence.POSSIBLE)
    assert len(held(replace(night, causes=(*night.causes, twin)))) == 1


CHANGED = Suspect(
    at=NOW - timedelta(minutes=50),
    method="SetIamPolicy",
    resource="services/prediction-worker",
    by="user:someone@example.com",
    says="",
    cause="push-invoker-missing",
)


@pytest.mark.parametrize(
    ("at", "fits"),
    [
        ("-50m", True),
        ("-53m", True),
        ("-47m", True),
        ("-54m", False),
        ("-46m", False),
        (["-60m", "-47m"], True),
        (["-46m", "-20m"], False),
        ("2026-02-08T13:31:07Z", True),
        ("2026-02-08T13:21:07Z", False),
    ],
)
def test_a_suspect_has_its_time_with_some_slack(night: Diagnosis, at: object, fits: bool) -> None:
    found = replace(night, suspects=(CHANGED,))
    wrong = held(found, suspect="SetIamPolicy services/prediction-worker", suspect_at=at)
    assert (wrong == ()) is fits
    assert fits or wrong[0].endswith("found -0:50:00 (SetIamPolicy services/prediction-worker)")


def test_the_time_of_a_suspect_counts_from_the_look_not_from_the_past_that_it_speaks_of(night: Diagnosis) -> None:
    header = replace(night.pipeline, looked_at=NOW + timedelta(days=4))
    assert held(replace(night, suspects=(CHANGED,), pipeline=header), suspect_at="-4d50m") == ()


def test_a_cause_may_be_named_in_any_role_or_not_at_all_if_it_is_not_called_confirmed(night: Diagnosis) -> None:
    storm = replace(night.causes[1], confidence=Confidence.PROBABLE)
    for role in Role:
        found = replace(night, causes=(night.causes[0], replace(storm, role=role)))
        assert held(found, latent=[], not_confirmed=["poison-retry-storm"]) == ()
    assert held(replace(night, causes=night.causes[:1]), latent=[], not_confirmed=["poison-retry-storm"]) == ()


def test_one_of_several_may_be_named_in_any_role(night: Diagnosis) -> None:
    for role in Role:
        found = replace(night, causes=(night.causes[0], replace(night.causes[1], role=role)))
        assert held(found, latent=[], one_of=["cold-start", "poison-retry-storm"]) == ()


def test_a_finding_of_one_leg_is_not_that_of_the_other(night: Diagnosis) -> None:
    assert held(night, findings=["published.gated@request"]) == ()
    assert held(night, findings=["published.gated@completion"]) == (
        "finding published.gated@completion: expected, not found",
    )
    assert held(night, not_findings=["published.gated@request"]) == (
        "finding published.gated@request: must not be found",
    )
    left = replace(night, unexplained=night.findings[:1])
    assert held(left, unexplained=["published.gated@request"]) == ()
    assert held(left, unexplained=["published.gated"]) == ()
    assert held(left, unexplained=["published.gated@completion"]) != ()


# --- over -------------------------------------------------------------------------------------------------------------

ENDED = NOW - timedelta(hours=1)


def healed(night: Diagnosis, role: Role = Role.LATENT, until: datetime | None = ENDED) -> Diagnosis:
    """The storm rests on one finding, and has ended."""
    storm = Finding(
        code="processed.failing",
        stage=Stage.PROCESSED,
        title="",
        leg=Leg.REQUEST,
        status=Status.WARNING,
        says="3384 pushes a day, 69 % refused",
        until=until,
    )
    causes = (night.causes[0], replace(night.causes[1], role=role))
    return replace(night, causes=causes, findings=(*night.findings, storm))


def test_what_has_ended_is_over(night: Diagnosis) -> None:
    over = ["poison-retry-storm", "poison-retry-storm@request", "processed.failing", "processed.failing@request"]
    assert held(healed(night), over=over) == ()


@pytest.mark.parametrize(("role", "fits"), [("blocks", False), ("worsens", False), ("latent", True), ("benign", True)])
def test_what_still_holds_or_slows_is_not_over(night: Diagnosis, role: str, fits: bool) -> None:
    wrong = held(healed(night, Role(role)), latent=[], one_of=["poison-retry-storm"], over=["poison-retry-storm"])
    assert (wrong == ()) is fits


def test_what_goes_on_is_not_over(night: Diagnosis) -> None:
    lasting = healed(night, until=None)
    assert len(held(lasting, over=["poison-retry-storm", "processed.failing"])) == 2
    assert len(held(healed(night), over=["processed.failing@completion"])) == 1
    both = replace(lasting, findings=(*lasting.findings, healed(night).findings[-1]))
    assert len(held(both, over=["processed.failing"])) == 1, "one end does not make the other"


def test_blanks_and_line_breaks_do_not_matter_but_words_do() -> None:
    assert pattern.begins("pubsub-diag  batch b1", "pubsub-diag batch")
    assert not pattern.begins("pubsub-diag batches", "pubsub-diag batch")
    assert not pattern.begins("see pubsub-diag batch", "pubsub-diag batch")
    assert pattern.begins("see pubsub-diag batch", "/diag batch$/")
    assert pattern.holds("the gate\n    and not lowered", "gate and  not")
    assert not pattern.holds("a.b", "/^a\\sb/") and not pattern.holds("axb", "a.b")


def test_a_special_case_is_what_was_expected_in_general(night: Diagnosis) -> None:
    memory = replace(night.causes[0], code="out-of-memory")
    found = replace(night, causes=(memory, *night.causes[1:]))
    expected = {"blocks": ["worker-crashing"], "confidence": {"worker-crashing": "confirmed"}, "not": []}
    said = [line for line in held(found, **expected) if "crashing" in line or "memory" in line]
    assert said == []
    assert "out-of-memory: must not be named, found blocks (confirmed)" in held(
        found, **{**expected, "not": ["out-of-memory"]}
    )
    assert not [line for line in held(found, **{**expected, "not": ["worker-crashing"]}) if "must not be named" in line]
    general = replace(night, causes=(replace(memory, code="worker-crashing"), *night.causes[1:]))
    assert any("out-of-memory: expected" in line for line in held(general, blocks=["out-of-memory"]))
