"""What a policy does not tell is never a no: groups, custom roles, conditions, hidden policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.evidence.model import (
    Above,
    AncestorPolicies,
    Binding,
    Change,
    CustomRole,
    CustomRoles,
    Policy,
    ProjectInfo,
    ProjectPolicy,
    Provenance,
    ServicePolicy,
    Unseen,
    Why,
)
from diagnostics.readings.grants import CONSUME, INVOKE, MINT, PUBLISH, Held, Permission, at_home, holds, taken

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
ACCOUNT = "serviceAccount:push@p.iam.gserviceaccount.com"
HIDDEN = Unseen(
    what="ProjectPolicy",
    why=Why.PERMISSION_DENIED,
    says="resourcemanager.projects.getIamPolicy is missing",
    permission="resourcemanager.projects.getIamPolicy",
    mend="pubsub-diag access",
)


def service(*bindings: Binding) -> ServicePolicy:
    return ServicePolicy(source=SOURCE, resource="projects/p/locations/r/services/worker", bindings=bindings)


def project(*bindings: Binding) -> ProjectPolicy:
    return ProjectPolicy(source=SOURCE, resource="projects/p", bindings=bindings)


def gives(role: str, *members: str, condition: str = "") -> Binding:
    return Binding(role=role, members=members, condition=condition)


@pytest.mark.parametrize(
    "role",
    ["roles/run.invoker", "roles/run.servicesInvoker", "roles/run.admin", "roles/editor", "roles/owner"],
)
def test_each_role_that_carries_it_grants_it_on_the_service_and_on_the_project(role: str) -> None:
    binding = gives(role, ACCOUNT)
    assert holds(ACCOUNT, INVOKE, service(binding), project()).granted
    assert holds(ACCOUNT, INVOKE, service(), project(binding)).granted


def test_the_policy_of_another_project_grants_nothing_and_lacks_nothing() -> None:
    elsewhere = ProjectPolicy(source=SOURCE, resource="projects/q", bindings=(gives("roles/run.invoker", ACCOUNT),))
    answer = holds(ACCOUNT, INVOKE, service(), elsewhere)
    assert answer.unknown
    assert "not p" in answer.why
    assert holds(ACCOUNT, INVOKE, service(gives("roles/run.invoker", ACCOUNT)), elsewhere).granted


def test_googles_agent_is_that_of_the_subscriptions_own_project() -> None:
    info = ProjectInfo(source=SOURCE, project="p", number="1")
    for name in ("projects/p/subscriptions/s", "projects/1/subscriptions/s", "s"):
        assert at_home(name, info) is info
    assert isinstance(at_home("projects/q/subscriptions/s", info), Unseen)


def test_what_the_service_grants_is_granted_though_the_project_is_hidden() -> None:
    assert holds(ACCOUNT, INVOKE, service(gives("roles/run.invoker", ACCOUNT)), HIDDEN).granted


@pytest.mark.parametrize("everybody", ["allUsers", "allAuthenticatedUsers"])
def test_everybody_includes_the_account(everybody: str) -> None:
    """All authenticated users are all service accounts, too (IAM: principal identifiers)."""
    assert holds(ACCOUNT, INVOKE, service(gives("roles/run.invoker", everybody)), project()).granted


def test_nothing_found_is_missing() -> None:
    found = holds(ACCOUNT, INVOKE, service(gives("roles/run.invoker", "serviceAccount:other@p")), project())
    assert found.missing
    assert found.why == "nor on its folders or organisation"


@pytest.mark.parametrize("role", ["roles/run.viewer", "roles/cloudfunctions.invoker", "roles/pubsub.publisher"])
def test_a_role_without_the_permission_grants_nothing(role: str) -> None:
    """The invoker role of first-generation functions is the classic of these."""
    assert holds(ACCOUNT, INVOKE, service(gives(role, ACCOUNT)), project(gives(role, ACCOUNT))).missing


def test_the_grant_of_a_deleted_account_of_the_same_name_is_none() -> None:
    gone = f"deleted:{ACCOUNT}?uid=1234"
    found = holds(ACCOUNT, INVOKE, service(gives("roles/run.invoker", gone)), project())
    assert found.missing
    assert "belongs to a deleted account" in found.why


@pytest.mark.parametrize(
    ("binding", "says"),
    [
        (gives("roles/run.invoker", "group:person-1f0c"), "group:person-1f0c, which may include it"),
        (gives("roles/run.invoker", "domain:example.com"), "domain:example.com, which may include it"),
        (gives("roles/run.invoker", "principalSet://goog/x"), "principalSet://goog/x, which may include it"),
        (gives("roles/run.invoker", "projectEditor:p"), "projectEditor:p, which may include it"),
        (gives("projects/p/roles/caller", ACCOUNT), "projects/p/roles/caller on worker may carry run.routes.invoke"),
        (gives("organizations/1/roles/caller", ACCOUNT), "may carry run.routes.invoke"),
        (gives("roles/run.developer", ACCOUNT), "may carry run.routes.invoke"),
        (gives("roles/iam.devOps", ACCOUNT), "may carry run.routes.invoke"),
        (gives("roles/appengine.serviceAgent", ACCOUNT), "may carry run.routes.invoke"),
        (gives("roles/run.invoker", ACCOUNT, condition="request.time < x"), "under the condition request.time < x"),
        (gives("projects/p/roles/caller", "group:person-1f0c"), "may carry run.routes.invoke"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_may_grant_it_cannot_be_told_and_google_can(binding: Binding, says: str) -> None:
    found = holds(ACCOUNT, INVOKE, service(binding), project())
    assert found.held is Held.UNKNOWN
    assert says in found.why
    assert found.what == "ServicePolicy"
    assert found.settled_by == (
        "gcloud policy-intelligence troubleshoot-policy iam //run.googleapis.com/projects/p/locations/r/services/worker "
        "--principal-email=push@p.iam.gserviceaccount.com --permission=run.routes.invoke"
    )


def test_a_group_with_a_role_that_does_not_carry_it_is_no_doubt() -> None:
    assert holds(ACCOUNT, INVOKE, service(), project(gives("roles/viewer", "group:person-1f0c"))).missing


def test_a_hidden_policy_names_the_permission_to_see_it() -> None:
    found = holds(ACCOUNT, INVOKE, service(), HIDDEN)
    assert (found.held, found.what, found.permission) == (Held.UNKNOWN, "ProjectPolicy", HIDDEN.permission)


def test_a_binding_that_names_the_account_is_a_better_reason_than_a_hidden_policy() -> None:
    found = holds(ACCOUNT, INVOKE, service(gives("projects/p/roles/caller", ACCOUNT)), HIDDEN)
    assert "projects/p/roles/caller" in found.why


def test_a_hidden_policy_is_a_better_reason_than_a_group() -> None:
    found = holds(ACCOUNT, INVOKE, service(gives("roles/run.invoker", "group:person-1f0c")), HIDDEN)
    assert found.permission == HIDDEN.permission


def test_whether_nobody_has_to_sign_in_is_no_matter_of_groups() -> None:
    policy = service(gives("roles/run.invoker", "group:person-1f0c", "allAuthenticatedUsers"))
    assert holds("allUsers", INVOKE, policy, project()).missing
    assert holds("allUsers", INVOKE, policy, HIDDEN).unknown


@pytest.mark.parametrize(
    ("permission", "role", "lacking"),
    [
        (PUBLISH, "roles/pubsub.publisher", "roles/pubsub.subscriber"),
        (CONSUME, "roles/pubsub.subscriber", "roles/pubsub.publisher"),
        (MINT, "roles/pubsub.serviceAgent", "roles/iam.serviceAccountUser"),
    ],
)
def test_the_agents_permissions(permission: Permission, role: str, lacking: str) -> None:
    place: Policy = project(gives(role, ACCOUNT))
    assert holds(ACCOUNT, permission, place).granted
    assert holds(ACCOUNT, permission, project(gives(lacking, ACCOUNT))).missing


def test_owner_and_editor_may_publish_and_consume_but_mint_no_token() -> None:
    place = project(gives("roles/editor", ACCOUNT))
    assert holds(ACCOUNT, PUBLISH, place).granted
    assert holds(ACCOUNT, CONSUME, place).granted
    assert holds(ACCOUNT, MINT, place).missing


def change(minutes_ago: int, says: str, ok: bool = True) -> Change:
    at = NOW - timedelta(minutes=minutes_ago)
    return Change(
        at=at, api="run.googleapis.com", method="SetIamPolicy", resource="services/worker", by="x", ok=ok, says=says
    )


def test_the_last_change_that_took_it_tells_since_when() -> None:
    changes = [
        change(90, f"remove roles/run.invoker for {ACCOUNT}"),
        change(60, f"add roles/run.invoker for {ACCOUNT}"),
        change(30, f"remove roles/run.viewer for {ACCOUNT}; remove roles/run.invoker for {ACCOUNT}"),
        change(20, "remove roles/run.invoker for serviceAccount:other@p"),
        change(10, f"remove roles/run.invoker for {ACCOUNT}", ok=False),
    ]
    assert taken(ACCOUNT, INVOKE, changes) == NOW - timedelta(minutes=30)
    assert taken(ACCOUNT, INVOKE, changes[3:]) is None


ROLE = "projects/p/roles/caller"


def roles(**said: object) -> CustomRoles:
    return CustomRoles(source=SOURCE, roles=(CustomRole(name=ROLE, **said),))  # type: ignore[arg-type]


def test_a_custom_role_grants_what_it_holds() -> None:
    held = roles(permissions=("run.routes.invoke",))
    assert holds(ACCOUNT, INVOKE, service(gives(ROLE, ACCOUNT)), project(), roles=held).granted
    assert holds(ACCOUNT, INVOKE, service(), project(gives(ROLE, ACCOUNT)), roles=held).granted
    assert holds(ACCOUNT, MINT, service(), project(gives(ROLE, ACCOUNT)), roles=held).missing


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"permissions": ("run.services.get",)}, "does not hold run.routes.invoke"),
        ({"permissions": ("run.routes.invoke",), "off": "is disabled"}, "is disabled"),
        ({"permissions": ("run.routes.invoke",), "off": "is deleted"}, "is deleted"),
        ({"off": "does not exist"}, "does not exist"),
    ],
    ids=["without it", "disabled", "deleted", "gone"],
)
def test_a_custom_role_that_gives_nothing_is_missing_and_says_so(said: dict[str, object], why: str) -> None:
    found = holds(ACCOUNT, INVOKE, service(gives(ROLE, ACCOUNT)), project(), roles=roles(**said))
    assert found.missing
    assert f"{ROLE} on worker {why}" in found.why


def test_a_custom_role_that_may_not_be_read_is_no_answer_and_names_the_permission() -> None:
    hidden = roles(unseen="iam.roles.get is missing", permission="iam.roles.get")
    found = holds(ACCOUNT, INVOKE, service(gives(ROLE, ACCOUNT)), project(), roles=hidden)
    assert (found.held, found.what, found.permission) == (Held.UNKNOWN, "CustomRoles", "iam.roles.get")
    assert "may carry run.routes.invoke: iam.roles.get is missing" in found.why


def test_custom_roles_that_were_not_seen_at_all_are_no_answer() -> None:
    unseen = Unseen(what="CustomRoles", why=Why.TIMED_OUT, says="no answer")
    found = holds(ACCOUNT, INVOKE, service(gives(ROLE, ACCOUNT)), project(), roles=unseen)
    assert (found.held, found.what) == (Held.UNKNOWN, "CustomRoles")
    assert holds(ACCOUNT, INVOKE, service(), project(), roles=unseen).missing
    other = CustomRoles(source=SOURCE, roles=())
    assert holds(ACCOUNT, INVOKE, service(gives(ROLE, ACCOUNT)), project(), roles=other).unknown


# --- what is above the project ------------------------------------------------------------------------------------------

FOLDER, ORGANIZATION = "folders/34", "organizations/77"
INVOKER = gives("roles/run.invoker", ACCOUNT)


def above(*places: Above, beyond: str = "", permission: str = "") -> AncestorPolicies:
    return AncestorPolicies(source=SOURCE, project="projects/p", places=places, beyond=beyond, permission=permission)


@pytest.mark.parametrize("at", [FOLDER, ORGANIZATION])
def test_what_a_folder_or_the_organisation_grants_is_granted(at: str) -> None:
    found = above(*(Above(resource=x, bindings=(INVOKER,) if x == at else ()) for x in (FOLDER, ORGANIZATION)))
    assert holds(ACCOUNT, INVOKE, service(), project(), found).granted
    assert holds(ACCOUNT, MINT, service(), project(), found).missing


def test_a_folder_that_may_not_be_read_is_no_answer_unless_it_is_granted_elsewhere() -> None:
    says = "resourcemanager.folders.getIamPolicy is missing"
    hidden = above(Above(resource=FOLDER, unseen=says, permission="resourcemanager.folders.getIamPolicy"))
    found = holds(ACCOUNT, INVOKE, service(), project(), hidden)
    assert (found.held, found.what, found.above) == (Held.UNKNOWN, "AncestorPolicies", True)
    assert found.permission == "resourcemanager.folders.getIamPolicy"
    assert "what folders/34 grants was not read" in found.why
    assert holds(ACCOUNT, INVOKE, service(INVOKER), project(), hidden).granted


def test_what_is_above_a_folder_that_may_not_be_looked_at_is_no_answer() -> None:
    cut = above(Above(resource=FOLDER), beyond="resourcemanager.folders.get is missing", permission="x.get")
    found = holds(ACCOUNT, INVOKE, service(), project(), cut)
    assert (found.held, found.above, found.permission) == (Held.UNKNOWN, True, "x.get")


def test_not_having_looked_above_the_project_is_no_answer() -> None:
    unseen = Unseen(what="AncestorPolicies", why=Why.TIMED_OUT, says="no answer")
    assert holds(ACCOUNT, INVOKE, service(), project(), unseen).unknown
    assert holds(ACCOUNT, INVOKE, service(), project(), above()).missing


def test_what_is_above_another_project_grants_nothing_here_and_says_nothing() -> None:
    other = ServicePolicy(source=SOURCE, resource="projects/q/locations/r/services/worker", bindings=())
    found = holds(ACCOUNT, INVOKE, other, above(Above(resource=FOLDER, bindings=(INVOKER,))))
    assert found.unknown


def test_a_group_on_a_folder_is_a_doubt_of_its_own() -> None:
    found = holds(
        ACCOUNT,
        INVOKE,
        service(),
        project(),
        above(Above(resource=FOLDER, bindings=(gives("roles/run.invoker", "group:g@x"),))),
    )
    assert (found.held, found.above) == (Held.UNKNOWN, False)
    assert "roles/run.invoker on folders/34 is granted to group:g@x" in found.why


# --- conditions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ('request.time < timestamp("2026-02-08T15:00:00Z")', Held.GRANTED),
        ('request.time < timestamp("2026-02-08T14:00:00.001+00:00")', Held.GRANTED),
        ('request.time < timestamp("2026-02-08T13:00:00Z")', Held.MISSING),
        ('request.time >= timestamp("2026-02-08T13:00:00Z")', Held.GRANTED),
        ('request.time > timestamp("2026-02-08T15:00:00Z")', Held.MISSING),
        (
            '(request.time > timestamp("2026-01-01T00:00:00Z")) && (request.time < timestamp("2026-03-01T00:00:00Z"))',
            Held.GRANTED,
        ),
        ('request.time < timestamp("2026-01-01T00:00:00Z") && resource.name.startsWith("projects/p")', Held.MISSING),
        ('request.time < timestamp("2027-01-01T00:00:00Z") && resource.name.startsWith("projects/p")', Held.UNKNOWN),
        ('request.time < timestamp("2026-01-01T00:00:00Z") || resource.type == "x"', Held.UNKNOWN),
        ('resource.name == "projects/p/locations/r/services/worker"', Held.UNKNOWN),
        ('request.time < timestamp("soon")', Held.UNKNOWN),
        ('request.time < timestamp("2027-01-01T00:00:00Z") ? true : false', Held.UNKNOWN),
        ("request.time.getHours() < 9", Held.UNKNOWN),
    ],
)
def test_conditions_on_the_time_are_evaluated_and_no_others(condition: str, held: Held) -> None:
    found = holds(
        ACCOUNT, INVOKE, service(gives("roles/run.invoker", ACCOUNT, condition=condition)), project(), now=NOW
    )
    assert found.held is held
    assert found.granted or condition in found.why
