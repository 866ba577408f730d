"""A newer revision without requests is a fault only where nobody can have put traffic back on purpose."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import Change, ChangeLog, Leg, Revisions, RevisionSettings, ServiceConfig, Traffic
from diagnostics.steps import changes as steps
from diagnostics.steps.changes import builds
from diagnostics.steps.finding import Status
from tests.steps.built import CUT, SOURCE, Legged, ago, findings, of, one, service, unseen

OLD, NEW = RevisionSettings(name="w-1", created=ago(9999)), RevisionSettings(name="w-2", created=ago(600))
DEPLOY, BACK = 600.0, 500.0
"""Minutes ago: what the log tells of the deploy of the newest, and of the change that put traffic back."""


def pinned() -> Legged:
    """Traffic goes to the older revision."""
    key, config = service()
    assert isinstance(config, ServiceConfig) and config.settings
    settings = replace(
        config.settings, template=NEW, latest_ready="w-2", traffic=(Traffic(revision="w-1", percent=100),)
    )
    return key, replace(config, settings=settings)


def log(*minutes: float, whole: bool = True) -> Legged:
    changes = tuple(
        Change(at=ago(m), api="run.googleapis.com", method="ReplaceService", resource="services/w", by="ci")
        for m in minutes
    )
    return ("ChangeLog", None), ChangeLog(source=SOURCE if whole else CUT, since=ago(9999), changes=changes)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        (log(DEPLOY), Status.WARNING),
        (log(), Status.WARNING),
        (log(DEPLOY, whole=False), Status.WARNING),  # read from its end back to the deploy: nothing came after it
        (log(whole=False), Status.UNKNOWN),
        (unseen("ChangeLog", None), Status.UNKNOWN),
    ],
)
def test_without_the_log_it_is_not_known_whether_traffic_was_put_back(changes: Legged, status: Status) -> None:
    revisions = ("Revisions", Leg.REQUEST), Revisions(source=SOURCE, revisions=(NEW, OLD))
    found = one(builds.NO_TRAFFIC, findings(builds.builds, pinned(), revisions, changes))
    assert found.status is status
    assert ("put traffic back" in found.says) is (status is Status.UNKNOWN)


def test_traffic_that_was_put_back_is_no_fault() -> None:
    revisions = ("Revisions", Leg.REQUEST), Revisions(source=SOURCE, revisions=(NEW, OLD))
    told = findings(builds.builds, pinned(), revisions, log(DEPLOY, BACK))
    assert one(builds.ROLLED_BACK, told).status is Status.OK and not of(builds.NO_TRAFFIC, told)


def test_a_deploy_is_listed_with_what_its_revision_does_otherwise() -> None:
    """The log entry has the whole service, of which most is as before."""
    before, after = replace(OLD, created=ago(900), min_instances=1), replace(NEW, min_instances=0)
    entry = replace(log(DEPLOY)[1].changes[0], says="ingress=all, maxScale=50")  # type: ignore[union-attr]
    known = ("ChangeLog", None), ChangeLog(source=SOURCE, since=ago(9999), changes=(entry,))
    own = ("Revisions", Leg.REQUEST), Revisions(source=SOURCE, revisions=(after, before))
    rest = (unseen("ServiceConfig", Leg.COMPLETION), unseen("Revisions", Leg.COMPLETION))
    told = one(steps.CHANGED, findings(steps.audit, service(), own, known, *rest))
    assert "ReplaceService w by ci (min-instances 1 → 0)" in told.says
    blind = one(steps.CHANGED, findings(steps.audit, service(), unseen("Revisions", Leg.REQUEST), known, *rest))
    assert "ReplaceService w by ci (ingress=all, maxScale=50)" in blind.says


@pytest.mark.parametrize(("by", "minutes", "rolled_back"), [("p", 597, True), ("ci", 597, False), ("p", 599.5, False)])
def test_what_another_does_minutes_after_the_deploy_is_no_part_of_it(
    by: str, minutes: float, rolled_back: bool
) -> None:
    key, deployed = log(DEPLOY)
    assert isinstance(deployed, ChangeLog)
    back = replace(deployed.changes[0], at=ago(minutes), by=by)
    changes = key, replace(deployed, changes=(*deployed.changes, back))
    revisions = ("Revisions", Leg.REQUEST), Revisions(source=SOURCE, revisions=(NEW, OLD))
    told = findings(builds.builds, pinned(), revisions, changes)
    assert bool(of(builds.ROLLED_BACK, told)) is rolled_back and bool(of(builds.NO_TRAFFIC, told)) is not rolled_back
