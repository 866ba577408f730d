"""Who may do what: IAM policies, the push account, the project."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from diagnostics.evidence.model.base import Evidence


class Binding(Struct, frozen=True, kw_only=True):
    role: str
    members: tuple[str, ...]
    condition: str = ""
    """CEL expression; empty for an unconditional grant."""


class Policy(Evidence, frozen=True, kw_only=True):
    """Base of the IAM policies. `resource` is the full resource name."""

    resource: str
    bindings: tuple[Binding, ...]

    def members(self, *roles: str) -> set[str]:
        """Members of unconditional bindings of any of these roles."""
        return {m for b in self.bindings if b.role in roles and not b.condition for m in b.members}

    def conditional(self, *roles: str) -> set[str]:
        return {m for b in self.bindings if b.role in roles and b.condition for m in b.members}


class SubscriptionPolicy(Policy, frozen=True, kw_only=True):
    per_leg: ClassVar[bool] = True


class TopicPolicy(Policy, frozen=True, kw_only=True):
    per_leg: ClassVar[bool] = True


class DeadLetterTopicPolicy(Policy, frozen=True, kw_only=True):
    per_leg: ClassVar[bool] = True


class ServicePolicy(Policy, frozen=True, kw_only=True):
    """IAM policy of the Cloud Run service that receives this leg's pushes."""

    per_leg: ClassVar[bool] = True


class PushAccountPolicy(Policy, frozen=True, kw_only=True):
    """IAM policy *on* the push service account: who may mint its tokens."""

    per_leg: ClassVar[bool] = True


class ProjectPolicy(Policy, frozen=True, kw_only=True):
    pass


class Above(Struct, frozen=True, kw_only=True):
    """A folder or the organisation that the project is in."""

    resource: str
    """folders/F or organizations/O."""
    bindings: tuple[Binding, ...] = ()
    unseen: str = ""
    """Why its policy could not be read; empty: it was."""
    permission: str = ""
    """What the caller lacks to read it."""


class AncestorPolicies(Evidence, frozen=True, kw_only=True):
    """The IAM policies of what the project is in, the nearest first: what they grant holds in the project, too."""

    project: str
    """projects/P."""
    places: tuple[Above, ...]
    beyond: str = ""
    """Why it is not known what is above the last of them; empty: nothing is."""
    permission: str = ""
    """What the caller lacks to know that."""


class CustomRole(Struct, frozen=True, kw_only=True):
    """A role of a project's or an organisation's own, that a policy names."""

    name: str
    """projects/P/roles/R or organizations/O/roles/R."""
    permissions: tuple[str, ...] = ()
    """Of the products that pushes have to do with."""
    off: str = ""
    """Why it grants nothing, half a sentence: it is deleted, disabled, not there; empty: it is in force."""
    unseen: str = ""
    """Why it could not be read; empty: it was."""
    permission: str = ""
    """What the caller lacks to read it."""


class CustomRoles(Evidence, frozen=True, kw_only=True):
    """The custom roles that the policies of this pipeline name, each as it is today."""

    roles: tuple[CustomRole, ...]

    def named(self, name: str) -> CustomRole | None:
        return next((role for role in self.roles if role.name == name), None)


class DenyRule(Struct, frozen=True, kw_only=True):
    """One rule of a deny policy: whom it takes what, whatever is granted. Permissions and principals as deny policies write them."""

    policy: str
    """Its name for people."""
    on: str
    """What the policy is attached to: projects/NUMBER, folders/F or organizations/O."""
    permissions: tuple[str, ...]
    """run.googleapis.com/routes.invoke, or groups of them: run.googleapis.com/routes.*."""
    but: tuple[str, ...] = ()
    """Permissions that it leaves."""
    principals: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    """Principals that it spares."""
    condition: str = ""
    """CEL expression on tags of the resource; empty: it always holds."""
    made: datetime | None = None
    changed: datetime | None = None


class DenyPolicies(Evidence, frozen=True, kw_only=True):
    """The deny policies of the project and of what it is in, as they are today."""

    project: str
    """projects/P."""
    within: tuple[str, ...]
    """What everything in the project is in: projects/NUMBER, and the folders and the organisation above it."""
    rules: tuple[DenyRule, ...]
    unread: str = ""
    """Why some of them could not be read; empty: all were."""
    permission: str = ""
    """What the caller lacks to read them."""


class PushAccount(Evidence, frozen=True, kw_only=True):
    """The push service account itself. `exists` False: Google says not found."""

    per_leg: ClassVar[bool] = True
    email: str
    exists: bool
    disabled: bool = False


class ProjectInfo(Evidence, frozen=True, kw_only=True):
    project: str
    number: str
    parent: str = ""
    """folders/F or organizations/O; empty: it is in neither."""

    @property
    def pubsub_agent(self) -> str:
        """Google's own account that mints push tokens and forwards dead letters."""
        return f"service-{self.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
