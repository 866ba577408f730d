"""Who may do what in the lab's project: roles, predefined and custom, bound on the resource or on what is above it.

Which predefined roles carry a permission: Google's pages on roles and permissions, as far as the lab asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase

from diagnostics.lab.model import Binding, DenyPolicy, Policy, World

INVOKE = "run.routes.invoke"
PUBLISH = "pubsub.topics.publish"
CONSUME = "pubsub.subscriptions.consume"
MINT = "iam.serviceAccounts.getOpenIdToken"

_PUBSUB = ("roles/pubsub.editor", "roles/pubsub.admin", "roles/editor", "roles/owner")
CARRIED_BY: dict[str, tuple[str, ...]] = {
    INVOKE: ("roles/run.invoker", "roles/run.servicesInvoker", "roles/run.admin", "roles/editor", "roles/owner"),
    PUBLISH: ("roles/pubsub.publisher", *_PUBSUB),
    CONSUME: ("roles/pubsub.subscriber", *_PUBSUB),
    MINT: (
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountOpenIdTokenCreator",
        "roles/iam.workloadIdentityUser",
        "roles/pubsub.serviceAgent",  # for agents that have it: all but those of projects older than 2021-04-08
    ),
}
"""Permission to the predefined roles with it."""


def holds(world: World, member: str, permission: str, own: Policy, now: float) -> bool:
    """Whether the member holds the permission on a resource with this policy, by it or by what is above, and nothing denies it."""
    return not denied(world, member, permission) and granted(world, member, permission, own, now)


def granted(world: World, member: str, permission: str, own: Policy, now: float) -> bool:
    """Whether an allow policy grants it, be it denied or not."""
    for policy in (own, world.policy, *world.above.values()):
        for binding in policy.bindings:  # each push asks this several times
            if _grants(world, binding, member, permission, now):
                return True
    return False


def denied(world: World, member: str, permission: str) -> bool:
    """Whether a deny policy takes it, be it granted or not."""
    return bool(world.denied) and any(_denies(world, policy, member, permission) for policy in world.denied)


def _denies(world: World, policy: DenyPolicy, member: str, permission: str) -> bool:
    """Whether this deny policy takes the permission from the member (IAM: deny policies, v2 forms of permissions and principals)."""
    service, _, rest = permission.partition(".")
    if not fnmatchcase(f"{service}.googleapis.com/{rest}", policy.permission):
        return False
    if policy.condition and not tagged(policy.condition)(world.tags):
        return False
    return any(_is(world, member, p) for p in policy.principals) and not any(
        _is(world, member, p) for p in policy.excepted
    )


def _is(world: World, member: str, principal: str) -> bool:
    """Whether a member, as allow policies write it, is this principal, or one of this set."""
    if principal == EVERYBODY:
        return True
    _, _, name = member.partition(":")
    if principal.startswith(GROUP):
        return _among(world, member, f"group:{principal.removeprefix(GROUP)}")
    if principal == accounts_of(world.number):
        return name.endswith(f"@{world.project}.iam.gserviceaccount.com")
    return principal == principal_of(member)


EVERYBODY = "principalSet://goog/public:all"
GROUP = "principalSet://goog/group/"
_ACCOUNT = "principal://iam.googleapis.com/projects/-/serviceAccounts/"
_PERSON = "principal://goog/subject/"


def principal_of(member: str) -> str:
    """A member as deny policies write it."""
    kind, _, name = member.partition(":")
    begins = {"serviceAccount": _ACCOUNT, "user": _PERSON, "group": GROUP}
    return begins[kind] + name if kind in begins else EVERYBODY


def accounts_of(number: str) -> str:
    """All service accounts of a project, as one principal."""
    return f"principalSet://cloudresourcemanager.googleapis.com/projects/{number}/type/ServiceAccount"


_TAG = re.compile(r"(!?)resource\.matchTag\('([^']+)', '([^']+)'\)")


def tagged(text: str) -> Callable[[dict[str, str]], bool]:
    """Whether a deny policy's condition holds for these tags. Raises ValueError for what the lab cannot evaluate: all but one matchTag."""
    found = _TAG.fullmatch(text)
    if found is None:
        raise ValueError(f"the lab knows conditions like resource.matchTag('77/env', 'prod') only, got {text}")
    return lambda tags: (tags.get(found[2]) == found[3]) is not bool(found[1])


def _grants(world: World, binding: Binding, member: str, permission: str, now: float) -> bool:
    if not _carries(world, binding.role, permission) or (binding.condition and not condition(binding.condition)(now)):
        return False
    return member in binding.members or any(_among(world, member, m) for m in binding.members)


def _among(world: World, member: str, named: str) -> bool:
    if named == member or named == "allUsers":
        return True
    if named == "allAuthenticatedUsers":
        return member != "allUsers"
    kind, _, name = named.partition(":")
    return kind == "group" and any(_among(world, member, m) for m in world.groups.get(name, ()))


_TIME = re.compile(r'request\.time (<|>=) timestamp\("([^"]+)"\)')


def condition(text: str) -> Callable[[float], bool]:
    """Whether a condition holds at a moment. Raises ValueError for what the lab cannot evaluate: all but request.time."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(
            f'the lab knows conditions like request.time < timestamp("2026-01-31T00:00:00Z") only, got {text}'
        )
    at = datetime.fromisoformat(found[2].replace("Z", "+00:00")).timestamp()
    return (lambda now: now < at) if found[1] == "<" else (lambda now: now >= at)


def _carries(world: World, role: str, permission: str) -> bool:
    """A role that is deleted or disabled gives nothing, though it is still bound (IAM: projects.roles, delete and stage)."""
    own = world.roles.get(role)
    if own is not None:
        return not own.deleted and own.stage != "DISABLED" and permission in own.permissions
    return role in CARRIED_BY[permission]
