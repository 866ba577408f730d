"""The measures of many answers: each moves when an answer is wrong in just its way, and no other does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg
from diagnostics.scoring.expect import Expected
from diagnostics.scoring.metrics import Judged, Noise, judge, summary
from diagnostics.steps.finding import Status

GATED = "gated-batch-never-closes"
WANTED: dict[str, Any] = {
    "status": "fault",
    "blocks": [GATED],
    "latent": ["poison-retry-storm"],
    "ladder": {"published": 15, "delivered": [10, 15], "returned": 15},
    "here": "published",
}
PERFECT = Judged(expected=1, found=1, right=1, exact=True, latent=True, here=True, ladder_items=40)
WHOLE = Noise(metric_gaps=0.0, short_log_pages=0.0, uptime_checks=False)


def judged(found: Diagnosis, **changes: Any) -> Judged:
    return judge(msgspec.convert({**WANTED, **changes}, Expected), found)


def test_the_night_is_right_by_every_measure(night: Diagnosis) -> None:
    assert judged(night) == PERFECT


@pytest.mark.parametrize(
    ("wanted", "moves"),
    [
        ({"blocks": [GATED, "push-invoker-missing"]}, {"expected": 2, "exact": False}),
        ({"blocks": [], "worsens": [GATED]}, {"exact": False}),
        (
            {"blocks": ["push-invoker-missing"]},
            {"right": 0, "exact": False, "over_claims": (GATED,), "honest": False},
        ),
        ({"blocks": [], "one_of": [GATED, "push-invoker-missing"]}, {}),
        ({"blocks": [], "one_of": ["push-invoker-missing"], "not_confirmed": [GATED]},
         {"found": 0, "right": 0, "exact": False, "over_claims": (GATED,), "honest": False}),
        ({"undetermined": True}, {"over_claims": (GATED,), "honest": False}),
        ({"latent": []}, {"latent": False, "over_claims": ("poison-retry-storm",), "honest": False}),
        ({"latent": ["poison-retry-storm", "push-invoker-missing"]}, {"latent": False}),
        ({"here": "delivered"}, {"here": False}),
        ({"here": None}, {"here": False}),
        ({"ladder": {"published": 20, "delivered": [1, 4], "returned": 15}}, {"ladder_items": 36, "ladder_off": 16}),
        ({"ladder": {"published": 15, "routed": True}}, {"ladder_items": 15}),
        ({"status": "ok"}, {"false_alarm": True}),
        ({"status": "warning"}, {}),
    ],
)  # fmt: skip
def test_each_measure_moves_alone(night: Diagnosis, wanted: dict[str, Any], moves: dict[str, Any]) -> None:
    assert judged(night, **wanted) == replace(PERFECT, **moves)


def test_an_all_clear_over_a_fault_is_false_and_not_honest(night: Diagnosis) -> None:
    found = replace(night, status=Status.OK, causes=())
    said = judged(found)
    assert (said.false_all_clear, said.honest, said.right) == (True, False, 0)
    assert not judged(found, status="ok").false_all_clear


def test_what_may_be_named_counts_for_nothing(night: Diagnosis) -> None:
    extra = replace(night.causes[0], code="push-invoker-missing", role=Role.WORSENS, confidence=Confidence.PROBABLE)
    found = replace(night, causes=(*night.causes, extra))
    assert judged(found, allow=["push-invoker-missing"]) == PERFECT
    assert judged(found) == replace(PERFECT, found=2, exact=False)
    there = replace(extra, leg=Leg.COMPLETION, confidence=Confidence.CONFIRMED)
    also = replace(night, causes=(*night.causes, there))
    assert judged(also, allow=["push-invoker-missing@request"]).over_claims == ("push-invoker-missing",)


def test_the_sum_of_many_tells_gaps_apart() -> None:
    gaps = replace(WHOLE, short_log_pages=0.3)
    wrong = replace(PERFECT, exact=False, right=0, over_claims=("x",), honest=False, false_alarm=True)
    shy = replace(PERFECT, exact=False, right=0, found=0, ladder_unsaid=2)
    text = "\n".join(summary([(PERFECT, WHOLE), (wrong, gaps), (shy, gaps), (PERFECT, gaps)]))
    for part in (
        "in 4 runs: gauges without a point 0 % in 4; log reads in part 0 % in 1, 30 % in 3",
        "precision 2 of 3 (66.7 %), recall 2 of 4 (50.0 %)",
        "1 of 1 (100.0 %) where all was served, 1 of 3 (33.3 %) with gaps; latent causes 4 of 4",
        "1 that claim no more than they know, 1 that do",
        "stage         4 of 4",
        "0 of 160 items off, 2 numbers not given",
        "1 alarms, 0 all-clears",
        "over-claims   1: x 1",
    ):
        assert part in text
