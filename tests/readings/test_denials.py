"""Deny policies: what they surely take, what they may, and what they leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.evidence.model import Binding, DenyPolicies, DenyRule, Provenance, ServicePolicy
from diagnostics.readings.denials import EVERYBODY, denial
from diagnostics.readings.grants import INVOKE, holds

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
EMAIL = "push@p.iam.gserviceaccount.com"
ITSELF = f"principal://iam.googleapis.com/projects/-/serviceAccounts/{EMAIL}"
OTHER = "principal://iam.googleapis.com/projects/-/serviceAccounts/other@p.iam.gserviceaccount.com"
ALL_OF = "principalSet://cloudresourcemanager.googleapis.com/"
GROUP = "principalSet://goog/group/contractors@example.com"
PERMISSION = "run.routes.invoke"


def rule(
    *principals: str, permissions: tuple[str, ...] = ("run.googleapis.com/routes.invoke",), **more: object
) -> DenyRule:
    said = {"made": NOW - timedelta(hours=2), "changed": NOW - timedelta(hours=1), **more}
    return DenyRule(policy="edge", on="organizations/77", permissions=permissions, principals=principals, **said)  # type: ignore[arg-type]


def policies(*rules: DenyRule, unread: str = "") -> DenyPolicies:
    within = ("projects/42", "folders/12", "organizations/77")
    return DenyPolicies(source=SOURCE, project="projects/p", within=within, rules=rules, unread=unread)


@pytest.mark.parametrize(
    "principal",
    [
        EVERYBODY,
        ITSELF,
        f"principal://iam.googleapis.com/projects/p/serviceAccounts/{EMAIL}",
        f"{ALL_OF}projects/42",
        f"{ALL_OF}projects/42/type/ServiceAccount",
        f"{ALL_OF}folders/12/type/ServiceAccount",
        f"{ALL_OF}organizations/77/type/ServiceAccount",
    ],
)
def test_a_rule_that_names_the_account_or_all_of_its_project_takes_the_right(principal: str) -> None:
    found = denial(EMAIL, PERMISSION, policies(rule(OTHER, principal)), NOW)
    assert found is not None
    assert found.certain
    assert found.since == NOW - timedelta(hours=1)
    assert "the deny policy edge on organizations/77 takes run.routes.invoke" in found.says


@pytest.mark.parametrize(
    "principal",
    [
        OTHER,
        f"deleted:{ITSELF}?uid=1",
        "principal://goog/subject/eve@example.com",
        "principalSet://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/pool/*",
        f"{ALL_OF}projects/43/type/ServiceAccount",
        f"{ALL_OF}projects/42/type/ServiceAgent",
    ],
)
def test_a_rule_about_others_takes_nothing(principal: str) -> None:
    assert denial(EMAIL, PERMISSION, policies(rule(principal)), NOW) is None


@pytest.mark.parametrize(
    "principal", [GROUP, "principalSet://goog/cloudIdentityCustomerId/C01Abc35", "principalSet://new/form"]
)
def test_who_is_in_a_group_no_policy_tells(principal: str) -> None:
    found = denial(EMAIL, PERMISSION, policies(rule(principal)), NOW)
    assert found is not None
    assert not found.certain
    assert principal in found.says


def test_a_set_of_what_could_not_be_looked_up_may_include_it() -> None:
    above = f"{ALL_OF}folders/99/type/ServiceAccount"
    found = denial(EMAIL, PERMISSION, policies(rule(above), unread="the folder is hidden"), NOW)
    assert found is not None
    assert not found.certain
    assert denial(EMAIL, PERMISSION, policies(rule(above)), NOW) is None


def test_an_account_of_another_project_may_be_one_of_a_set() -> None:
    found = denial("push@q.iam.gserviceaccount.com", PERMISSION, policies(rule(f"{ALL_OF}organizations/77")), NOW)
    assert found is not None
    assert not found.certain


@pytest.mark.parametrize(
    ("permissions", "taken"),
    [
        (("run.googleapis.com/routes.*",), True),
        (("run.googleapis.com/*.*",), True),
        (("run.googleapis.com/*.invoke",), True),
        (("run.googleapis.com/services.*",), False),
        (("pubsub.googleapis.com/*.*",), False),
    ],
)
def test_permissions_are_also_denied_by_groups(permissions: tuple[str, ...], taken: bool) -> None:
    assert bool(denial(EMAIL, PERMISSION, policies(rule(EVERYBODY, permissions=permissions)), NOW)) is taken


def test_an_exception_spares_the_account_or_the_permission() -> None:
    assert denial(EMAIL, PERMISSION, policies(rule(EVERYBODY, excepted=(ITSELF,))), NOW) is None
    spared = rule(EVERYBODY, permissions=("run.googleapis.com/*.*",), but=("run.googleapis.com/routes.invoke",))
    assert denial(EMAIL, PERMISSION, policies(spared), NOW) is None


def test_an_exception_for_a_group_and_a_condition_on_tags_leave_it_open() -> None:
    for one in (rule(EVERYBODY, excepted=(GROUP,)), rule(EVERYBODY, condition="resource.matchTag('77/env', 'prod')")):
        found = denial(EMAIL, PERMISSION, policies(one), NOW)
        assert found is not None
        assert not found.certain
        assert denial(EMAIL, PERMISSION, policies(one, rule(ITSELF)), NOW) == denial(
            EMAIL, PERMISSION, policies(rule(ITSELF)), NOW
        )


def test_a_policy_takes_nothing_before_it_was_made_and_what_was_changed_since_is_not_known() -> None:
    assert denial(EMAIL, PERMISSION, policies(rule(ITSELF)), NOW - timedelta(hours=3)) is None
    found = denial(EMAIL, PERMISSION, policies(rule(ITSELF)), NOW - timedelta(minutes=90))
    assert found is not None
    assert not found.certain


def test_whether_a_rule_about_everybody_means_googles_own_agents_is_not_known() -> None:
    agent = "service-42@gcp-sa-pubsub.iam.gserviceaccount.com"
    found = denial(agent, PERMISSION, policies(rule(EVERYBODY)), NOW)
    assert found is not None
    assert not found.certain
    by_name = rule(f"principal://iam.googleapis.com/projects/-/serviceAccounts/{agent}")
    named = denial(agent, PERMISSION, policies(by_name), NOW)
    assert named is not None
    assert named.certain


def test_callers_without_a_token_are_only_everybody() -> None:
    assert denial("", PERMISSION, policies(rule(EVERYBODY)), NOW) is not None
    assert denial("", PERMISSION, policies(rule(GROUP, f"{ALL_OF}projects/42")), NOW) is None


def granted(project: str = "p") -> ServicePolicy:
    binding = Binding(role="roles/run.invoker", members=(f"serviceAccount:{EMAIL}",))
    return ServicePolicy(source=SOURCE, resource=f"projects/{project}/locations/r/services/worker", bindings=(binding,))


def test_what_is_granted_and_denied_is_missing_and_what_may_be_denied_is_a_doubt() -> None:
    member = f"serviceAccount:{EMAIL}"
    assert holds(member, INVOKE, granted(), deny=policies(), now=NOW).granted
    assert holds(member, INVOKE, granted(), deny=policies(rule(ITSELF)), now=NOW).missing
    doubt = holds(member, INVOKE, granted(), deny=policies(rule(GROUP)), now=NOW)
    assert doubt.unknown
    assert doubt.what == "DenyPolicies"


def test_a_deny_policy_holds_in_its_own_project_only() -> None:
    member, denied = f"serviceAccount:{EMAIL}", policies(rule(ITSELF))
    assert holds(member, INVOKE, granted("q"), deny=denied, now=NOW).granted
    assert holds(member, INVOKE, granted("42"), deny=denied, now=NOW).missing


def test_what_nothing_grants_is_missing_for_that_and_not_for_what_is_denied() -> None:
    nothing = ServicePolicy(source=SOURCE, resource="projects/p/locations/r/services/worker", bindings=())
    answer = holds(f"serviceAccount:{EMAIL}", INVOKE, nothing, deny=policies(rule(ITSELF)), now=NOW)
    assert answer.missing
    assert answer.denial is None
    assert answer.denied_too
    assert not holds(f"serviceAccount:{EMAIL}", INVOKE, nothing, deny=policies(rule(GROUP)), now=NOW).denied_too
