"""A batch of which nothing tells how many items it expects: done or not, its lines alone cannot tell; that something is wrong they can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from diagnostics.conclude.diagnosis import Diagnosis, Exit, State
from diagnostics.evidence.model import BatchMarks, BatchStatus, Unseen, Why
from diagnostics.lab.scenario import load
from diagnostics.run.investigate import investigate
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import observe
from diagnostics.scoring.world import opened

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def without_size(scenario: str) -> Diagnosis:
    """The answer where neither the coordinator's log nor the batch state can be read."""
    path = SCENARIOS / f"{scenario}.yaml"
    with opened(path, 1) as world:
        case = observe(world, wanted(load(path, 1), path).ask)
    less = case.evidence
    for kind in (BatchMarks, BatchStatus):
        says = "it may not be read"
        less = less.with_(kind, None, Unseen(what=kind.__name__, leg=None, why=Why.PERMISSION_DENIED, says=says))
    return investigate(replace(case, evidence=less))


def test_a_batch_that_is_done_for_all_that_is_known_is_not_called_stuck() -> None:
    said = without_size("healthy/typical-batch")
    assert (said.exit_code, said.state) == (Exit.UNKNOWN, State.UNKNOWN)
    assert "nothing tells how many it expects" in said.headline
    assert {gap.what for gap in said.unknown if gap.matters} >= {"BatchMarks", "BatchStatus"}
    assert not said.ruled_out


@pytest.mark.parametrize("scenario", ["worker/worker-crashing-after-deploy"])
def test_items_that_are_seen_and_not_done_are_owed(scenario: str) -> None:
    said = without_size(scenario)
    assert (said.exit_code, said.state) == (Exit.FAULT, State.STALLED)
