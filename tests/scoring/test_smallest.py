"""Two subscription names say no more than the full profile: a sample of `make score SMALLEST=1`, and proof that the judge can say no."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Exit, RuledOut, State
from diagnostics.evidence.model import Leg
from diagnostics.lab.scenario import load
from diagnostics.pipeline.load import load_profile
from diagnostics.scoring import show
from diagnostics.scoring.score import score_smallest
from diagnostics.scoring.smallest import STATED, says_more, smallest_of
from diagnostics.scoring.world import find
from diagnostics.steps.finding import Finding, Status
from tests.sampling import a_share

SAMPLE = (
    ("2026-02-08-backfill-stall", "predictions"),
    ("2026-01-16-coordinator-invoker-missing", "predictions"),
    ("typical-batch", "predictions"),
    ("worker-crashing-after-deploy", "orders"),
    ("publish-permission-revoked", "predictions"),
    ("left-in-pull-mode", "predictions"),
    ("lint-push-path", "predictions"),
    ("orders-nightly-export", "orders"),
    ("push-audience-mismatch", "orders"),
    ("poison-of-other-orders-is-latent", "orders"),
    ("other-batch-running", "orders"),
    ("expired-empty-handed", "orders"),
    ("queue-is-not-let-in", "thumbnails"),
    ("upload-complete-at-the-third-call", "thumbnails"),
)


@pytest.mark.parametrize(("name", "dialect"), a_share(SAMPLE, of=5))
def test_two_names_say_no_more_than_the_full_profile(name: str, dialect: str) -> None:
    path = find(name)
    assert load(path, 1).pipeline.dialect == dialect
    found = score_smallest(path, seed=1)
    assert found.passed, show.line(found)


def test_the_smallest_profile_is_two_names() -> None:
    full = load_profile("orders-export")
    small = smallest_of(full)
    assert small.completion
    assert full.completion
    assert (small.project, small.request.subscription) == (full.project, full.request.subscription)
    assert small.completion.subscription == full.completion.subscription
    assert not (small.markers or small.batch_state or small.request.topic or small.coordinator.service)


def less(night: Diagnosis, **changes: object) -> Diagnosis:
    """The night as it is told when nothing tells of its batch."""
    assert night.batch
    said = replace(
        night,
        state=State.UNKNOWN,
        finishes_alone=None,
        batch=replace(night.batch, done=None),
        causes=tuple(replace(c, role=Role.LATENT) for c in night.causes if c.role is not Role.BLOCKS),
        ruled_out=(),
    )
    return replace(said, **changes)


def test_less_is_no_more(night: Diagnosis) -> None:
    assert says_more(night, less(night)) == ()
    assert says_more(night, night) == ()


def test_each_rule_can_say_no(night: Diagnosis) -> None:
    storm = next(c for c in night.causes if c.code == "poison-retry-storm")
    assert storm.role is Role.LATENT
    sure = replace(storm, confidence=Confidence.CONFIRMED)
    invented = replace(sure, code="push-invoker-missing")
    blocking = replace(storm, role=Role.BLOCKS, confidence=Confidence.PROBABLE)

    def broken(full: Diagnosis = night, **changes: object) -> list[str]:
        return [said.partition(":")[0].split(" ")[0] for said in says_more(full, less(full, **changes))]

    unsure = replace(night, causes=(replace(storm, confidence=Confidence.PROBABLE),))
    assert broken(unsure, causes=(sure,)) == ["cause"]
    assert broken(causes=(invented,)) == ["cause"]
    assert broken(causes=(blocking,)) == ["cause"]
    assert broken(causes=(replace(invented, confidence=Confidence.PROBABLE),)) == []
    assert broken(status=Status.OK, exit_code=Exit.OK) == ["status"]
    assert broken(status=Status.WARNING, exit_code=Exit.WARNING) == ["status"]
    assert broken(state=State.DONE) == ["state"]
    assert broken(finishes_alone=True) == ["finishes_alone"]
    assert broken(ruled_out=(RuledOut(code="delivery!", leg=Leg.REQUEST, because="so"),)) == ["not"]
    assert night.batch
    assert broken(batch=replace(night.batch, done=0)) == ["done"]


def test_a_fault_that_is_over_makes_no_status_of_now(night: Diagnosis) -> None:
    over = tuple(replace(f, until=night.as_of - timedelta(hours=1)) for f in night.findings)
    assert says_more(night, less(night, findings=over)) == ("status fault: nothing that was found is a fault now",)


def test_what_the_profile_alone_states_only_lint_may_leave_out(night: Diagnosis) -> None:
    said: Finding = replace(night.findings[0], code=next(iter(STATED)), status=Status.WARNING)
    lint = replace(
        night, findings=(said,), pipeline=replace(night.pipeline, command="lint"), status=Status.WARNING, exit_code=1
    )
    calm = {"findings": (), "status": Status.OK, "exit_code": Exit.OK}
    assert says_more(lint, less(lint, **calm)) == ()
    assert says_more(replace(lint, pipeline=night.pipeline), less(lint, **calm))
    other = replace(said, code="routed.detached")
    assert says_more(replace(lint, findings=(said, other)), less(lint, **calm))


def test_callers_that_are_no_pushes_are_looked_for_further_back_where_no_batch_tells_its_start(
    night: Diagnosis,
) -> None:
    storm = next(c for c in night.causes if c.code == "poison-retry-storm")
    foreign = replace(storm, code="foreign-refusals", role=Role.BENIGN, confidence=Confidence.CONFIRMED)
    assert says_more(night, less(night, causes=(foreign,))) == ()
    refuted = replace(
        night, ruled_out=(RuledOut(code="foreign-refusals", leg=Leg.REQUEST, because="pushes are refused"),)
    )
    assert len(says_more(refuted, less(refuted, causes=(foreign,)))) == 1
