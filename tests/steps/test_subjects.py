"""What a finding is about is named shortly, and only where it has a name."""

from __future__ import annotations

from pathlib import Path

from diagnostics.evidence.model import By, Leg
from diagnostics.keep.bundle import load, replay
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.steps import subjects
from diagnostics.steps.finding import ResourceKind, Subject

NIGHT = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
PROFILE = PipelineProfile(
    name="test",
    project="p",
    request=LegProfile(subscription="projects/p/subscriptions/s"),
    worker=ServiceProfile(service="worker"),
)


def test_a_resource_is_named_without_project_and_collection() -> None:
    assert subjects.topic("projects/p/topics/t") == Subject(ResourceKind.TOPIC, "t")
    assert subjects.account("a@p.iam.gserviceaccount.com") == Subject(
        ResourceKind.ACCOUNT, "a@p.iam.gserviceaccount.com"
    )
    assert subjects.project_of("projects/p/topics/t") == Subject(ResourceKind.PROJECT, "p")
    assert subjects.answer(503, By.APPLICATION) == Subject(ResourceKind.ANSWERS, "503 application")


def test_what_has_no_name_is_no_subject() -> None:
    assert subjects.batch("") is None
    assert subjects.project_of("t") is None
    assert subjects.pushing(PROFILE, Leg.COMPLETION) is None
    assert subjects.receiving(PROFILE, Leg.COMPLETION) is None


def test_a_leg_is_named_as_the_profile_names_it() -> None:
    assert subjects.pushing(PROFILE, Leg.REQUEST) == Subject(ResourceKind.SUBSCRIPTION, "s")
    assert subjects.receiving(PROFILE, Leg.REQUEST) == Subject(ResourceKind.SERVICE, "worker")


def test_all_that_is_amiss_in_the_night_names_what_it_is_about() -> None:
    found = {f.code: f.subject for f in replay(load(NIGHT)).findings if f.abnormal}
    assert found and all(found.values()), {code for code, subject in found.items() if subject is None}
    assert found["published.gated"] == Subject(ResourceKind.BATCH, "batch_2026-02-07_1770588120")
