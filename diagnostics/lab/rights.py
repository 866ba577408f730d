"""Who may do what in the lab's project: roles, predefined and custom, bound on the resource or on what is above it.

Which predefined roles carry a permission: Google's pages on roles and permissions, as far as the lab asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from diagnostics.lab.model import Binding, Policy, World

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
    """Whether the member holds the permission on a resource with this policy, by it or by what is above."""
    if (permission, member) in world.denied:
        return False
    policies = (own, world.policy, *world.above.values())
    return any(_grants(world, b, member, permission, now) for policy in policies for b in policy.bindings)


def _grants(world: World, binding: Binding, member: str, permission: str, now: float) -> bool:
    if binding.condition and not condition(binding.condition)(now):
        return False
    return any(_among(world, member, m) for m in binding.members) and _carries(world, binding.role, permission)


def _among(world: World, member: str, named: str) -> bool:
    if named in (member, "allUsers"):
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
