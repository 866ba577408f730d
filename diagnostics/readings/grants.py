"""Does a member hold a permission? Granted, missing, or cannot tell, with the reason and the command that settles it.

Policies name members and roles, not who is behind a group. What a custom role holds, and what the folders and the organisation
above the project grant, is read where it may be; deny policies where something is refused. Principal access boundaries are not read: a
grant that was found may still come to nothing, which is for a refusal to say.

Which roles carry a permission: Google's pages on roles and permissions, as of the middle of 2026. Google adds permissions to its
roles from time to time; a role of the same product that is not listed either way is a doubt, not a no.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from diagnostics.evidence.model import (
    AncestorPolicies,
    Binding,
    Change,
    ChangeLog,
    CustomRole,
    CustomRoles,
    DenyPolicies,
    Policy,
    ProjectInfo,
    Revisions,
    Unseen,
    Why,
)
from diagnostics.readings.conditions import ended, holds_at
from diagnostics.readings.denials import Denial, denial
from diagnostics.shell.commands import command

BASIC = frozenset({"roles/owner", "roles/editor"})


class Held(StrEnum):
    GRANTED = "granted"
    """By a binding without conditions, and no deny policy that was read takes it away again."""
    MISSING = "missing"
    """Nothing on the resource, the project or above it grants it, or a deny policy takes it away."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Permission:
    """A permission, and which predefined roles carry it."""

    name: str
    role: str
    """The narrowest role with it: the one to grant."""
    api: str
    """Of the resource that it is about."""
    carried_by: frozenset[str]
    kin: tuple[str, ...]
    """Begins of roles that may come to carry it."""
    lacked_by: frozenset[str]
    """Of those, the ones that do not."""
    perhaps: frozenset[str] = frozenset()
    """Broad roles of other products that carry it in some editions of Google's pages."""


_BROAD = frozenset(
    {"roles/admin", "roles/writer", "roles/iam.devOps", "roles/iam.dataScientist", "roles/iam.mlEngineer"}
)
_AGENT = "roles/pubsub.serviceAgent"

INVOKE = Permission(
    name="run.routes.invoke",
    role="roles/run.invoker",
    api="run.googleapis.com",
    carried_by=BASIC | {"roles/run.invoker", "roles/run.servicesInvoker", "roles/run.admin"},
    kin=("roles/run.", "roles/cloudfunctions.", "roles/firebase."),
    lacked_by=frozenset(
        {"roles/run.viewer", "roles/run.jobsExecutor", "roles/run.jobsExecutorWithOverrides", "roles/run.builder"}
        | {"roles/run.sourceViewer", "roles/cloudfunctions.invoker", "roles/cloudfunctions.viewer", _AGENT}
    ),
    perhaps=_BROAD,
)
PUBLISH = Permission(
    name="pubsub.topics.publish",
    role="roles/pubsub.publisher",
    api="pubsub.googleapis.com",
    carried_by=BASIC | {"roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin"},
    kin=("roles/pubsub.",),
    lacked_by=frozenset({"roles/pubsub.subscriber", "roles/pubsub.viewer", _AGENT}),
    perhaps=_BROAD,
)
CONSUME = Permission(
    name="pubsub.subscriptions.consume",
    role="roles/pubsub.subscriber",
    api="pubsub.googleapis.com",
    carried_by=BASIC | {"roles/pubsub.subscriber", "roles/pubsub.editor", "roles/pubsub.admin"},
    kin=("roles/pubsub.",),
    lacked_by=frozenset({"roles/pubsub.publisher", "roles/pubsub.viewer", _AGENT}),
    perhaps=_BROAD,
)
MINT = Permission(
    name="iam.serviceAccounts.getOpenIdToken",
    role="roles/iam.serviceAccountTokenCreator",
    api="iam.googleapis.com",
    carried_by=frozenset(
        {"roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountOpenIdTokenCreator"}
        | {"roles/iam.workloadIdentityUser", _AGENT}
    ),
    kin=("roles/iam.serviceAccount",),
    lacked_by=frozenset({f"roles/iam.serviceAccount{x}" for x in ("User", "Viewer", "Creator", "Deleter", "KeyAdmin")}),
)


@dataclass(frozen=True)
class Grant:
    """What the policies tell of one member and one permission."""

    held: Held
    why: str = ""
    """Why it is missing or cannot be told: half a sentence."""
    what: str = ""
    """The kind of evidence that the doubt comes from."""
    permission: str = ""
    """What the caller lacks to see more."""
    above: bool = False
    """Whether no more than what stands above the project is in doubt: nothing that was read could grant it."""
    settled_by: str = ""
    """A command that tells, with all that is above and behind the policies."""
    denial: Denial | None = None
    """What takes away, or may, what is or may be granted."""
    denied_too: Denial | None = None
    """What would take it away once it is granted: nothing grants it yet."""
    ended: datetime | None = None
    """When the time of the last grant that carried it was over, where it is missing for that."""

    @property
    def granted(self) -> bool:
        return self.held is Held.GRANTED

    @property
    def missing(self) -> bool:
        return self.held is Held.MISSING

    @property
    def unknown(self) -> bool:
        return self.held is Held.UNKNOWN


def holds(
    member: str,
    permission: Permission,
    *places: Policy | AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen | None = None,
    now: datetime | None = None,
    deny: DenyPolicies | Unseen | None = None,
) -> Grant:
    """Whether one of these policies grants it, the resource's own first, then those above it, and no deny policy takes it away.

    `roles`: what custom roles hold; `now`: when, for grants with a condition on the time; `deny`: the deny policies that were read.
    """
    return _less_denied(_given(member, permission, places, roles, now), member, permission, places[0], deny, now)


def _less_denied(
    grant: Grant,
    member: str,
    permission: Permission,
    own: _Place,
    deny: DenyPolicies | Unseen | None,
    now: datetime | None,
) -> Grant:
    """The grant, unless a deny policy takes it away; one that may makes it a doubt. Deny policies hold in their own project only."""
    if not isinstance(deny, DenyPolicies) or isinstance(own, Unseen | AncestorPolicies):
        return grant
    if _project(own.resource) not in (_project(deny.project), _project(deny.within[0])):
        return grant
    found = denial(member.partition(":")[2] if ":" in member else "", permission.name, deny, now)
    if found is None:
        return grant
    if grant.missing:
        return replace(grant, denied_too=found) if found.certain else grant
    held = Held.MISSING if found.certain else Held.UNKNOWN
    if not found.certain and grant.unknown:
        return replace(grant, denial=found)
    return replace(grant, held=held, why=found.says, what=DenyPolicies.__name__, above=False, denial=found)


def _given(
    member: str,
    permission: Permission,
    places: tuple[_Place, ...],
    roles: CustomRoles | Unseen | None,
    now: datetime | None,
) -> Grant:
    """What allow policies tell."""
    asked = _Asked(member, permission, roles, now)
    places = tuple(_over(places[0], place) for place in places)
    own = places[0]
    told = "" if isinstance(own, Unseen | AncestorPolicies) else _troubleshoot(member, permission, own)
    unseen = [p for p in places if isinstance(p, Unseen) and p.what != AncestorPolicies.__name__]
    bound = [b for p in places if not isinstance(p, Unseen) for b in _bound(p)]
    if any(asked.granted_by(b) for b in bound):
        return Grant(Held.GRANTED, settled_by=told)
    doubts = [(asked.among(b.binding) is None, doubt) for b in bound if (doubt := asked.doubt(b))]
    by_name, through = ([doubt for many, doubt in doubts if many is which] for which in (False, True))
    if by_name or (through and not unseen):
        return replace((by_name or through)[0], settled_by=told)
    if unseen:
        return hidden(unseen[0])
    above = [doubt for p in places if isinstance(p, Unseen | AncestorPolicies) and (doubt := _not_read(p))]
    if above:
        return replace(above[0], settled_by=told)
    return Grant(Held.MISSING, asked.nowhere(bound), settled_by=told, ended=asked.ended(bound))


class _Bound(NamedTuple):
    """A binding, and where it stands."""

    on: str
    kind: str
    """Of evidence."""
    binding: Binding


def _bound(place: Policy | AncestorPolicies) -> list[_Bound]:
    kind = type(place).__name__
    if isinstance(place, AncestorPolicies):
        return [_Bound(above.resource, kind, b) for above in place.places for b in above.bindings]
    return [_Bound(_short(place.resource), kind, b) for b in place.bindings]


def _not_read(place: AncestorPolicies | Unseen) -> Grant | None:
    """What stands above the project and was not read. None: it all was."""
    nothing = "nothing on it or on the project grants it"
    if isinstance(place, Unseen):
        says = f"{nothing}, and what stands above the project was not read: {place.says}"
        return Grant(Held.UNKNOWN, says, place.what, place.permission, above=True)
    hidden = next((above for above in place.places if above.unseen), None)
    if hidden:
        says = f"{nothing}, and what {hidden.resource} grants was not read: {hidden.unseen}"
        return Grant(Held.UNKNOWN, says, type(place).__name__, hidden.permission, above=True)
    if place.beyond:
        says = f"{nothing}, and what is above {place.places[-1].resource} is not known: {place.beyond}"
        return Grant(Held.UNKNOWN, says, type(place).__name__, place.permission, above=True)
    return None


_Place = Policy | AncestorPolicies | Unseen


def _over(own: _Place, place: _Place) -> _Place:
    """The policy, unless it is that of another project than the resource's, or what is above that one: there it grants nothing, and
    the right one was not read."""
    if isinstance(own, Unseen | AncestorPolicies) or isinstance(place, Unseen):
        return place
    over = place.project if isinstance(place, AncestorPolicies) else place.resource
    if _project(own.resource) == _project(over):
        return place
    return _not_asked(type(place).__name__, _project(own.resource))


def at_home(resource: str, info: ProjectInfo | Unseen) -> ProjectInfo | Unseen:
    """What is known of the project that the resource is in."""
    if isinstance(info, Unseen) or _project(resource) in ("", info.project, info.number):
        return info
    return _not_asked("ProjectInfo", _project(resource))


def _project(resource: str) -> str:
    """Id or number of the project that a full name begins with; empty: it begins with none."""
    return resource.split("/")[1] if resource.startswith("projects/") else ""


def _not_asked(what: str, project: str) -> Unseen:
    says = f"only the pipeline's own project was looked at, not {project}"
    return Unseen(what=what, why=Why.NOT_ASKED, says=says)


def taken(member: str, permission: Permission, changes: Iterable[Change]) -> datetime | None:
    """When a role with this permission was last taken from the member, as far as these changes tell."""
    said = [f"remove {role} for {member}" for role in permission.carried_by]
    return max((c.at for c in changes if c.ok and any(words in c.says for words in said)), default=None)


def given(member: str, permission: Permission, changes: Iterable[Change]) -> datetime | None:
    """When a role with this permission was last given to the member, as far as these changes tell."""
    said = [f"add {role} for {member}" for role in permission.carried_by]
    return max((c.at for c in changes if c.ok and any(words in c.says for words in said)), default=None)


def revoked(member: str, permission: Permission, changes: Iterable[Change]) -> datetime | None:
    """When a role with this permission was last taken from the member, if none was given to it since."""
    made = list(changes)
    at, back = taken(member, permission, made), given(member, permission, made)
    return at if at and not (back and back > at) else None


IN_FORCE = timedelta(minutes=7)
"""So long a change of IAM may take until it is in force (IAM: access change propagation)."""


def held_all_along(
    member: str,
    permission: Permission,
    *places: Policy | Unseen,
    log: ChangeLog,
    changes: Iterable[Change],
    since: datetime,
    refused: datetime,
) -> bool:
    """Whether one of these policies grants it, and granted it when the member was refused: no role was given to it since `since`, nor so
    shortly before that it may not have been in force. `changes`: those of the log that count. Roles of the project's own and what
    stands above it count for nothing: whether they were changed since, nothing tells."""
    begin = since - IN_FORCE
    if not holds(member, permission, *places, now=refused).granted or not log.source.complete or log.since > begin:
        return False
    back = given(member, permission, changes)
    return not (back and back >= begin)


def ran_as(revisions: Revisions | Unseen) -> set[str]:
    """The accounts that a service ran as, one revision or another; none where that is not seen."""
    return set() if isinstance(revisions, Unseen) else {revision.account for revision in revisions.revisions}


def hidden(unseen: Unseen) -> Grant:
    """What is not seen cannot be told."""
    return Grant(Held.UNKNOWN, unseen.says, unseen.what, unseen.permission, settled_by=unseen.mend)


@dataclass(frozen=True)
class _Asked:
    """One member and one permission, and what is known of custom roles."""

    member: str
    permission: Permission
    roles: CustomRoles | Unseen | None
    now: datetime | None

    def carried_by(self, role: str) -> bool | None:
        """None: cannot tell."""
        if not role.startswith("roles/"):
            return self._carried_by_custom(role)
        permission = self.permission
        if role in permission.carried_by:
            return True
        if role in permission.lacked_by:
            return False
        doubtful = (
            role in permission.perhaps or role.startswith(permission.kin) or role.lower().endswith("serviceagent")
        )
        return None if doubtful else False

    def _carried_by_custom(self, name: str) -> bool | None:
        role = self._custom(name)
        if role is None or role.unseen:
            return None
        return not role.off and self.permission.name in role.permissions

    def _custom(self, name: str) -> CustomRole | None:
        return self.roles.named(name) if isinstance(self.roles, CustomRoles) else None

    def among(self, binding: Binding) -> bool | None:
        """Whether the member is one of those of the binding. None: cannot tell."""
        if self.member in binding.members or "allUsers" in binding.members:
            return True
        if self.member.startswith("serviceAccount:") and "allAuthenticatedUsers" in binding.members:
            return True
        return None if self.member != "allUsers" and _many(binding) else False

    def _says(self, binding: Binding) -> tuple[bool | None, bool | None, bool | None]:
        """Whether the role carries it, the member is among them, and the condition holds."""
        return self.carried_by(binding.role), self.among(binding), holds_at(binding.condition, self.now)

    def granted_by(self, bound: _Bound) -> bool:
        return all(self._says(bound.binding))

    def doubt(self, bound: _Bound) -> Grant | None:
        """Why this binding may grant it, though that cannot be told. None: it does not, or it does."""
        on, kind, binding = bound
        carries, among, condition = self._says(binding)
        if False in (carries, among, condition):
            return None
        role = f"{binding.role} on {on}"
        if carries is None:
            return self._may_carry(role, binding.role, kind)
        if among is None:
            return Grant(Held.UNKNOWN, f"{role} is granted to {_many(binding)[0]}, which may include it", kind)
        return Grant(Held.UNKNOWN, f"{role} holds only under the condition {binding.condition}", kind)

    def _may_carry(self, role: str, name: str, kind: str) -> Grant:
        says, custom = f"{role} may carry {self.permission.name}", self._custom(name)
        if isinstance(self.roles, Unseen) and not name.startswith("roles/"):
            return Grant(Held.UNKNOWN, f"{says}: {self.roles.says}", self.roles.what, self.roles.permission)
        if custom is None or not custom.unseen:
            return Grant(Held.UNKNOWN, says, kind)
        return Grant(Held.UNKNOWN, f"{says}: {custom.unseen}", "CustomRoles", custom.permission)

    def ended(self, bound: Iterable[_Bound]) -> datetime | None:
        """When the time of the last binding that granted it was over."""
        carrying = (b.binding for b in bound if self.carried_by(b.binding.role) and self.member in b.binding.members)
        return max((at for binding in carrying if (at := ended(binding.condition, self.now))), default=None)

    def nowhere(self, bound: Iterable[_Bound]) -> str:
        """Why it is missing, where a binding looks as if it granted it."""
        gone = f"deleted:{self.member}?uid="
        for on, _, binding in bound:
            carries, named = self.carried_by(binding.role), self.member in binding.members
            if carries and any(m.startswith(gone) for m in binding.members):
                return f"the grant on {on} belongs to a deleted account of that name"
            if carries and named and holds_at(binding.condition, self.now) is False:
                return f"{binding.role} on {on} holds only under the condition {binding.condition}"
            custom = self._custom(binding.role)
            if custom and named:
                return f"{custom.name} on {on} {custom.off or f'does not hold {self.permission.name}'}"
        return "nor on its folders or organisation"


_MANY = ("group:", "domain:", "principalSet:", "projectOwner:", "projectEditor:", "projectViewer:")


def _many(binding: Binding) -> list[str]:
    """Members that stand for many: who they are no policy tells."""
    return [m for m in binding.members if m.startswith(_MANY) or m == "allAuthenticatedUsers"]


def _troubleshoot(member: str, permission: Permission, place: Policy | Unseen) -> str:
    """The command with which Google itself tells, groups, custom roles, conditions and folders included."""
    if isinstance(place, Unseen) or not member.startswith("serviceAccount:"):
        return ""
    return command(
        "gcloud policy-intelligence troubleshoot-policy iam {resource} --principal-email={account} "
        "--permission={permission}",
        resource=f"//{permission.api}/{place.resource}",
        account=member.partition(":")[2],
        permission=permission.name,
    )


def _short(resource: str) -> str:
    return resource.rsplit("/", 1)[-1]
