"""Changes are ranked by fit: of what the cause is about, made before it began, in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from diagnostics.causes.attribute import Share
from diagnostics.causes.catalogue import CATALOGUE, find
from diagnostics.causes.match import Match
from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude.diagnosis import Suspect
from diagnostics.conclude.suspects import ABOUT, suspects
from diagnostics.evidence.model import (
    Change,
    ChangeLog,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    Provenance,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    ServiceSettings,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.steps import progress, push_auth
from diagnostics.steps.finding import Bears, Finding, ResourceKind, Status, Subject
from diagnostics.steps.push_auth import entrance, invoker, may_mint
from diagnostics.steps.returned import refused
from diagnostics.steps.tells import Mended

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
ONSET = NOW - timedelta(minutes=20)
SOURCE = Provenance(source="audit logs", fetched_at=NOW, as_of=NOW)
PROFILE = PipelineProfile(
    name="p",
    project="proj",
    request=LegProfile(subscription="s", topic="t", push_account="w@proj.iam.gserviceaccount.com"),
    worker=ServiceProfile(service="worker"),
    coordinator=ServiceProfile(service="coordinator"),
)


def change(
    minutes: float,
    resource: str = "services/worker",
    ok: bool = True,
    says: str = "",
    method: str = "SetIamPolicy",
) -> Change:
    """A change so many minutes before the onset."""
    at = ONSET - timedelta(minutes=minutes)
    return Change(at=at, api="run.googleapis.com", method=method, resource=resource, by="ci", ok=ok, says=says)


def ranked(
    *changes: Change,
    log: ChangeLog | Unseen | None = None,
    role: Role = Role.BLOCKS,
    more: dict[Key, Evidence | Unseen] | None = None,
    code: str = "push-invoker-missing",
) -> tuple[Suspect, ...]:
    cause = find(code)
    assert cause is not None
    finding: Finding = invoker.INVOKER.says(Status.FAULT, "no invoker", leg=Leg.REQUEST, since=ONSET, tells=Mended())
    live = Live(Share(Match(cause, Leg.REQUEST, (finding,), True), (finding,), ()), role, Confidence.CONFIRMED)
    told = log or ChangeLog(
        source=SOURCE, since=NOW - timedelta(days=7), changes=tuple(sorted(changes, key=lambda c: c.at))
    )
    seen: dict[Key, Evidence | Unseen] = {("ChangeLog", None): told, **(more or {})}
    evidence = EvidenceSet(seen, now=NOW, lookback=timedelta(days=7), since=NOW - timedelta(hours=6))
    return suspects(evidence, PROFILE, Ledger(), Verdict((live,), (), ()))


def test_the_last_one_before_the_onset_comes_first() -> None:
    assert [s.before_s for s in ranked(change(300), change(30), change(90))] == [1800, 5400, 18000]


def test_what_came_after_the_onset_cannot_have_been_it() -> None:
    assert ranked(change(-10)) == ()
    assert len(ranked(change(-1))) == 1, "samples are a minute apart"


def test_what_was_refused_changed_nothing() -> None:
    assert ranked(change(30, ok=False)) == ()


def test_only_what_the_cause_is_about_fits() -> None:
    fitting = ("services/worker", "subscriptions/s", "serviceAccounts/w@proj.iam.gserviceaccount.com", "projects/proj")
    for resource in fitting:
        assert [s.resource for s in ranked(change(30, resource))] == [resource]
    for resource in ("services/coordinator", "topics/t", "subscriptions/other"):
        assert ranked(change(30, resource)) == ()


def test_who_may_call_a_service_brings_about_nothing_that_is_not_about_rights() -> None:
    """A grant was taken a minute after the deploy that lost the environment: the deploy it was."""
    made = (change(2, method="ReplaceService"), change(1))
    for code in ("environment-lost-in-deploy", "every-item-fails", "max-instances-saturated"):
        assert [s.method for s in ranked(*made, code=code)] == ["ReplaceService"]
    for code in ("push-invoker-missing", "worker-lacks-a-right", "push-token-missing"):
        assert [s.method for s in ranked(*made, code=code)] == ["SetIamPolicy", "ReplaceService"]


def test_whose_account_is_meant_the_subscription_says_whatever_the_profile_names() -> None:
    other = "serviceAccounts/other@proj.iam.gserviceaccount.com"
    settings = SubscriptionSettings(
        name="projects/proj/subscriptions/s",
        topic="projects/proj/topics/t",
        push_endpoint="https://w.run.app/push",
        push_account="other@proj.iam.gserviceaccount.com",
    )
    more: dict[Key, Evidence | Unseen] = {
        ("SubscriptionConfig", Leg.REQUEST): SubscriptionConfig(source=SOURCE, settings=settings)
    }
    made = (change(30, other), change(20, "serviceAccounts/w@proj.iam.gserviceaccount.com"))
    assert [s.resource for s in ranked(*made, more=more)] == [other]


def test_nothing_is_suspected_where_nothing_is_wrong_or_the_log_was_not_seen() -> None:
    assert ranked(change(30), role=Role.BENIGN) == ()
    assert ranked(log=Unseen(what="ChangeLog", why=Why.PERMISSION_DENIED, says="denied")) == ()


def test_five_are_enough() -> None:
    assert len(ranked(*(change(n) for n in range(3, 20)))) == 5


def test_a_setting_that_no_cause_names_is_changed_by_somebody_too() -> None:
    """Only what was changed of that very resource, before it began."""
    shut = entrance.INGRESS.says(
        Status.FAULT,
        "shut",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=3,
        since=ONSET,
        subject=Subject(ResourceKind.SERVICE, "worker"),
        tells=Mended(),
    )
    made = (change(30), change(40, "services/coordinator"), change(-10))
    log = ChangeLog(source=SOURCE, since=NOW - timedelta(days=7), changes=made)
    evidence = EvidenceSet(
        {("ChangeLog", None): log}, now=NOW, lookback=timedelta(days=7), since=NOW - timedelta(hours=6)
    )
    (found,) = suspects(evidence, PROFILE, Ledger(), Verdict((), (), (shut,)))
    assert (found.cause, found.resource, found.before_s) == ("push_auth.ingress", "services/worker", 1800)
    assert suspects(evidence, PROFILE, Ledger(), Verdict((), (), (shut,), over=True)) == ()


def of_fault(fault: Finding, *made: Change, ledger: Ledger | None = None, beside: Finding | None = None) -> list[str]:
    """What is suspected where a fault is all that was found: methods and resources."""
    log = ChangeLog(source=SOURCE, since=NOW - timedelta(days=7), changes=tuple(sorted(made, key=lambda c: c.at)))
    evidence = EvidenceSet(
        {("ChangeLog", None): log}, now=NOW, lookback=timedelta(days=7), since=NOW - timedelta(hours=6)
    )
    verdict = Verdict((), (), (fault, beside) if beside else (fault,))
    return [f"{s.method} {s.resource}" for s in suspects(evidence, WAY_BACK, ledger or Ledger(), verdict)]


WAY_BACK = msgspec.structs.replace(PROFILE, completion=LegProfile(subscription="back", topic="done"))


def test_what_no_cause_accounts_for_was_changed_by_somebody_too() -> None:
    told = refused.Unpublished(errors=9, topic="done", reason="403")
    lost = refused.ERRORS.says(Status.FAULT, "refused", bears=Bears.HOLDS, held=9, since=ONSET, tells=told)
    taken = change(30, "topics/done", says="remove roles/pubsub.publisher for serviceAccount:w")
    given = change(5, "topics/done", says="add roles/pubsub.publisher for serviceAccount:other")
    others = (change(20), change(20, "topics/t"), change(-10, "topics/done"))
    assert of_fault(lost, taken, given, *others) == ["SetIamPolicy topics/done"]
    assert of_fault(lost, given, *others) == [], "what gives a right, or is about another resource, breaks nothing here"


def test_where_a_setting_is_the_reason_nobody_is_suspected_of_what_it_does() -> None:
    """A deploy half an hour before the first refusal did nothing, if a right is lacking that nobody took."""
    silent = push_auth.SILENT.says(
        Status.FAULT,
        "refused",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        since=ONSET,
        tells=push_auth.TurnedAway(refused=9),
    )
    lacks = may_mint.MINTING.says(Status.FAULT, "lacks", leg=Leg.REQUEST, bears=Bears.HOLDS, tells=Mended())
    deploy = change(30, method="ReplaceService")
    assert of_fault(silent, deploy) == ["ReplaceService services/worker"]
    assert of_fault(silent, deploy, beside=lacks) == []
    elsewhere = msgspec.structs.replace(lacks, leg=Leg.COMPLETION)
    assert of_fault(silent, deploy, beside=elsewhere) == ["ReplaceService services/worker"]


def test_a_stall_that_nothing_explains_is_for_what_was_changed_while_the_batch_was_at_work() -> None:
    stalled = progress.STALLED.says(
        Status.FAULT, "stalled", bears=Bears.HOLDS, since=ONSET, tells=progress.Moved(idle_s=600, patience_s=60)
    )
    began = Ledger(attempt=Attempt(batch="B", begun=ONSET - timedelta(minutes=15)))
    anew = change(3, "subscriptions/s", method="CreateSubscription")
    before = change(40, "subscriptions/s", method="UpdateSubscription")
    assert of_fault(stalled, anew, before, change(2), ledger=began) == ["CreateSubscription subscriptions/s"]


def test_a_deploy_says_in_what_it_differs_from_the_one_before() -> None:
    """The log entry has the whole service, and a lost minimum is not in it: what is not set is left out."""
    deploy = change(3, method="ReplaceService", says="ingress=all, maxScale=50")
    older = RevisionSettings(name="w-1", created=ONSET - timedelta(days=3), image="i@sha256:aa", min_instances=1)
    newer = msgspec.structs.replace(older, name="w-2", created=deploy.at, image="i@sha256:bb", min_instances=0)
    service = ServiceSettings(name="worker", region="r", uri="", urls=(), template=newer)

    def told(*revisions: RevisionSettings, by: Change = deploy) -> list[str]:
        more: dict[Key, Evidence | Unseen] = {
            ("ServiceConfig", Leg.REQUEST): ServiceConfig(source=SOURCE, name="worker", settings=service),
            ("Revisions", Leg.REQUEST): Revisions(source=SOURCE, revisions=revisions),
        }
        return [s.says for s in ranked(by, more=more)]

    assert told(newer, older) == ["min-instances 1 → 0, image aa → bb"]
    assert told(newer) == ["ingress=all, maxScale=50"], "the one before is not known"
    again = msgspec.structs.replace(newer, name="w-3", created=deploy.at + timedelta(seconds=50))
    assert told(again, newer, older) == ["ingress=all, maxScale=50"], "which of two it made is not told"
    same = msgspec.structs.replace(older, name="w-2", created=deploy.at)
    assert told(same, older) == ["ingress=all, maxScale=50"]
    grant = change(3, says="remove roles/run.invoker")
    assert told(newer, older, by=grant) == ["remove roles/run.invoker"]


def test_every_family_of_causes_is_considered() -> None:
    assert {c.family for c in CATALOGUE} - set(ABOUT) <= {"quota", "artefact"}


def test_a_deploy_of_long_ago_fits_no_better_than_any_other() -> None:
    """What was read of the time before the look-back tells of grants; deploys since then may have been many."""
    days = 24 * 60

    def of(*made: Change) -> list[str]:
        read = ChangeLog(
            source=SOURCE, since=NOW - timedelta(days=100), changes=tuple(sorted(made, key=lambda c: c.at))
        )
        return [s.method for s in ranked(log=read)]

    assert of(change(9 * days, method="ReplaceService")) == []
    assert of(change(6 * days, method="ReplaceService")) == ["ReplaceService"]
    assert of(change(9 * days), change(8 * days, method="ReplaceService")) == ["SetIamPolicy"]
