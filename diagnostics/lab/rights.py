"""Who may do what in the lab's project: roles, predefined and custom, bound on the resource or on the project above it.

Which predefined roles carry a permission: Google's pages on roles and permissions, as far as the lab asks.
"""

from __future__ import annotations

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


def holds(world: World, member: str, permission: str, own: Policy) -> bool:
    """Whether the member holds the permission on a resource with this policy, by it or by what is above."""
    return any(_grants(world, b, member, permission) for policy in (own, world.policy) for b in policy.bindings)


def _grants(world: World, binding: Binding, member: str, permission: str) -> bool:
    among = member in binding.members or "allUsers" in binding.members
    return among and not binding.condition and _carries(world, binding.role, permission)


def _carries(world: World, role: str, permission: str) -> bool:
    """A role that is deleted or disabled gives nothing, though it is still bound (IAM: projects.roles, delete and stage)."""
    own = world.roles.get(role)
    if own is not None:
        return not own.deleted and own.stage != "DISABLED" and permission in own.permissions
    return role in CARRIED_BY[permission]
