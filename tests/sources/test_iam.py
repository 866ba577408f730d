"""What IAM says beyond a policy's words: what custom roles hold, and what is granted above the project."""

from __future__ import annotations

from typing import Any

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DeadLetterTopicPolicy,
    DenyPolicies,
    ServicePolicy,
    SubscriptionPolicy,
    Unseen,
    Why,
)
from diagnostics.pipeline.load import load_profile
from diagnostics.question.ask import Ask
from diagnostics.sources.collect import collect
from diagnostics.transport.session import Options, Session
from tests.sources.conftest import StartLab

EXAMPLE = load_profile("nba-predictions")
OWN = "projects/nba-props-platform/roles"
ROLES = """
name: roles
story: Roles of the project's own, in force and not.
pipeline:
  roles:
    - {role: caller, permissions: [run.routes.invoke, bigquery.jobs.create]}
    - {role: off, permissions: [run.routes.invoke], stage: DISABLED}
    - {role: gone, permissions: [run.routes.invoke], deleted: true}
    - {role: organizations/77/roles/shared, permissions: [pubsub.topics.publish]}
    - {role: people, permissions: [run.routes.invoke]}
  grants:
    - {on: "service:worker", role: caller, member: worker}
    - {on: "service:worker", role: off, member: worker}
    - {on: project, role: gone, member: worker}
    - {on: "topic:dead_letter", role: organizations/77/roles/shared, member: agent}
    - {on: project, role: people, member: "user:eve@example.com"}
timeline:
  - {at: -30m, set_role: {role: caller, permissions: [run.routes.invoke], by: person}}
"""


POLICIES = (ServicePolicy, SubscriptionPolicy, DeadLetterTopicPolicy)
"""What custom roles are looked for in, where a command asks for it."""


def seen(
    kind: type, lacks: tuple[str, ...] = (), text: str = ROLES, beside: tuple[type, ...] = POLICIES, *, lab: StartLab
) -> Any:
    said = text + f"caller: {{lacks: [{', '.join(lacks)}]}}\n" if lacks else text
    with lab(said):
        session = Session.open(Options(timeout_s=20))
        return collect(session, EXAMPLE, [kind, *beside], Ask()).get(kind)


def test_custom_roles_are_read_once_each_with_what_concerns_pushes(lab: StartLab) -> None:
    found = seen(CustomRoles, lab=lab)
    assert isinstance(found, CustomRoles)
    assert {r.name: (r.permissions, r.off) for r in found.roles} == {
        f"{OWN}/caller": (("run.routes.invoke",), ""),
        f"{OWN}/off": (("run.routes.invoke",), "is disabled"),
        f"{OWN}/gone": (("run.routes.invoke",), "is deleted"),
        "organizations/77/roles/shared": (("pubsub.topics.publish",), ""),
    }


def test_policies_that_no_command_asks_for_are_not_read_for_their_roles(lab: StartLab) -> None:
    found = seen(CustomRoles, beside=(), lab=lab)
    assert isinstance(found, CustomRoles)
    assert [r.name for r in found.roles] == [f"{OWN}/gone"]  # of the project's policy


def test_roles_that_may_not_be_read_are_hidden_with_the_permission(lab: StartLab) -> None:
    found = seen(CustomRoles, ("iam.roles.get",), lab=lab)
    assert isinstance(found, Unseen)
    assert found.permission == "iam.roles.get"


def test_roles_of_policies_that_are_hidden_are_not_asked_for(lab: StartLab) -> None:
    found = seen(CustomRoles, ("run.services.getIamPolicy",), lab=lab)
    assert not isinstance(found, Unseen)
    assert {r.name.rpartition("/")[2] for r in found.roles} == {"gone", "shared"}


def test_a_change_of_a_custom_role_is_a_change_and_says_what_it_lost(lab: StartLab) -> None:
    found = seen(ChangeLog, lab=lab)
    (change,) = (c for c in found.changes if c.method == "UpdateRole")
    assert change.resource == "roles/caller"
    assert change.says == "remove bigquery.jobs.create"


ABOVE = """
name: above
story: A project in a folder of a folder of an organisation.
pipeline:
  above: [folders/12, folders/34, organizations/77]
  roles: [{role: organizations/77/roles/shared, permissions: [run.routes.invoke]}]
  grants:
    - {on: folders/12, role: roles/run.invoker, member: worker}
    - {on: organizations/77, role: organizations/77/roles/shared, member: worker}
"""


def test_all_that_is_above_the_project_is_read_the_nearest_first(lab: StartLab) -> None:
    found = seen(AncestorPolicies, text=ABOVE, lab=lab)
    assert [(p.resource, [b.role for b in p.bindings], p.unseen) for p in found.places] == [
        ("folders/12", ["roles/run.invoker"], ""),
        ("folders/34", [], ""),
        ("organizations/77", ["organizations/77/roles/shared"], ""),
    ]
    assert not found.beyond


def test_a_role_that_is_bound_above_is_read_too(lab: StartLab) -> None:
    found = seen(CustomRoles, text=ABOVE, lab=lab)
    assert [r.name for r in found.roles] == ["organizations/77/roles/shared"]


def test_one_policy_that_is_hidden_hides_no_other(lab: StartLab) -> None:
    found = seen(AncestorPolicies, ("resourcemanager.folders.getIamPolicy",), ABOVE, lab=lab)
    assert [(p.resource, p.permission) for p in found.places] == [
        ("folders/12", "resourcemanager.folders.getIamPolicy"),
        ("folders/34", "resourcemanager.folders.getIamPolicy"),
        ("organizations/77", ""),
    ]


def test_where_folders_may_not_be_looked_at_the_way_up_ends_and_says_so(lab: StartLab) -> None:
    found = seen(AncestorPolicies, ("resourcemanager.folders.get",), ABOVE, lab=lab)
    assert [p.resource for p in found.places] == ["folders/12"]
    assert found.permission == "resourcemanager.folders.get"
    assert "resourcemanager.folders.get is missing" in found.beyond


def test_a_project_in_nothing_has_nothing_above_it(lab: StartLab) -> None:
    found = seen(AncestorPolicies, lab=lab)
    assert (found.places, found.beyond) == ((), "")


DENIED = """
name: denied
story: Deny policies on the project and above it, and pushes that are refused.
pipeline:
  above: [folders/12, organizations/77]
  denied:
    - {permission: run.routes.invoke, member: worker, name: by-name}
    - {permission: "run.googleapis.com/*.*", member: everybody, excepted: [coordinator, scheduler], on: organizations/77, name: for-all}
timeline:
  - {at: -20m, start_batch: {items: 12}}
"""


def test_deny_policies_are_listed_for_each_place_and_each_is_read_for_its_rules(lab: StartLab) -> None:
    found = seen(DenyPolicies, text=DENIED, lab=lab)
    assert isinstance(found, DenyPolicies)
    own, above = found.rules
    assert found.within == (own.on, "folders/12", "organizations/77")
    assert (own.policy, own.permissions) == ("by-name", ("run.googleapis.com/routes.invoke",))
    (account,) = own.principals
    assert account.startswith("principal://iam.googleapis.com/projects/-/serviceAccounts/")
    assert account.endswith(".iam.gserviceaccount.com")
    assert (above.policy, above.on, above.principals) == (
        "for-all",
        "organizations/77",
        ("principalSet://goog/public:all",),
    )
    assert len(above.excepted) == 2
    assert own.made
    assert own.made == own.changed
    assert not found.unread


def test_deny_policies_that_may_not_be_read_are_hidden_with_the_permission_and_the_role(lab: StartLab) -> None:
    for permission in ("iam.denypolicies.list", "iam.denypolicies.get"):
        found = seen(DenyPolicies, (permission,), DENIED, lab=lab)
        assert found.permission == permission
    listed = seen(DenyPolicies, ("iam.denypolicies.list",), DENIED, lab=lab)
    assert isinstance(listed, Unseen)
    assert "roles/iam.denyReviewer" in listed.mend


def test_deny_policies_are_not_asked_for_where_nothing_is_refused(lab: StartLab) -> None:
    fine = "name: fine\nstory: All is well.\ntimeline:\n  - {at: -40m, start_batch: {items: 12}}\n"
    found = seen(DenyPolicies, text=fine, lab=lab)
    assert isinstance(found, Unseen)
    assert found.why is Why.NOT_ASKED
