"""The frame that runs steps: what is not seen is said, and a step that breaks costs its own answer only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import EvidenceSet, Leg, Stage
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.run.investigate import COMMANDS
from diagnostics.steps import run
from diagnostics.steps.finding import Code, Finding, Row, Status

NOW = datetime(2026, 2, 8, 14, 21, tzinfo=UTC)
EVIDENCE = EvidenceSet({}, NOW, timedelta(days=7), NOW - timedelta(hours=1))
PROFILE = PipelineProfile(name="test", project="p", request=LegProfile(subscription="s"))
FINE = Code("test.fine", Stage.DELIVERED, "fine")


def well(ledger: Ledger) -> Iterator[Finding | Row]:
    yield FINE.says(Status.OK, f"{ledger.done} done")


def broken(leg: Leg) -> Iterator[Finding | Row]:
    yield FINE.says(Status.OK, "said before", leg=leg)
    raise KeyError("of")


def said(*steps: run.Step) -> list[tuple[str, Status]]:
    outcome = run.run(steps, EVIDENCE, Ledger(), PROFILE, (Leg.REQUEST,))
    return [(f.code, f.status) for f in outcome.findings]


def test_a_step_that_raises_is_unknown_and_the_others_still_speak() -> None:
    assert said(broken, well) == [
        ("test.fine", Status.OK),
        ("broken.failed", Status.UNKNOWN),
        ("test.fine", Status.OK),
    ]


def test_the_sentence_names_the_place_and_not_what_was_in_it() -> None:
    (failure,) = [
        f for f in run.run((broken,), EVIDENCE, Ledger(), PROFILE, (Leg.REQUEST,)).findings if f.code == "broken.failed"
    ]
    assert "KeyError at test_run.py:" in failure.says and "'of'" not in failure.says


def test_every_step_can_say_that_it_was_not_checked_or_failed() -> None:
    """In a package the codes may stand in other modules than the step."""
    stages = {run.failed(step).stage for steps in COMMANDS.values() for step in steps}
    assert {Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED} <= stages
