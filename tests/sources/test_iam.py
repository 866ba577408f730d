"""What IAM says beyond a policy's words: what custom roles hold."""

from __future__ import annotations

from typing import Any

from diagnostics.evidence.model import ChangeLog, CustomRoles, Unseen
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


def seen(kind: type, lacks: tuple[str, ...] = (), text: str = ROLES, *, lab: StartLab) -> Any:
    said = text + f"caller: {{lacks: [{', '.join(lacks)}]}}\n" if lacks else text
    with lab(said):
        session = Session.open(Options(timeout_s=20))
        return collect(session, EXAMPLE, [kind], Ask()).get(kind)


def test_custom_roles_are_read_once_each_with_what_concerns_pushes(lab: StartLab) -> None:
    found = seen(CustomRoles, lab=lab)
    assert isinstance(found, CustomRoles)
    assert {r.name: (r.permissions, r.off) for r in found.roles} == {
        f"{OWN}/caller": (("run.routes.invoke",), ""),
        f"{OWN}/off": (("run.routes.invoke",), "is disabled"),
        f"{OWN}/gone": (("run.routes.invoke",), "is deleted"),
        "organizations/77/roles/shared": (("pubsub.topics.publish",), ""),
    }


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
