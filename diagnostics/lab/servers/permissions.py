"""What the caller may do. By default: look at everything, IAM policies included, and mint tokens; change nothing.

Source of the names: the access-control pages of each API (cloud.google.com/pubsub/docs/access-control, …).
"""

from __future__ import annotations

from diagnostics.lab.model import World
from diagnostics.lab.rights import INVOKE
from diagnostics.lab.servers.errors import invalid

HELD = frozenset(
    {
        "bigquery.jobs.create",
        "bigquery.tables.get",
        "bigquery.tables.getData",
        "datastore.entities.get",
        "datastore.entities.list",
        "iam.denypolicies.get",
        "iam.denypolicies.list",
        "iam.roles.get",
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.getIamPolicy",
        "iam.serviceAccounts.getOpenIdToken",
        "iam.serviceAccounts.list",
        "logging.logEntries.list",
        "monitoring.metricDescriptors.get",
        "monitoring.metricDescriptors.list",
        "monitoring.timeSeries.list",
        "pubsub.snapshots.get",
        "pubsub.snapshots.getIamPolicy",
        "pubsub.snapshots.list",
        "pubsub.subscriptions.get",
        "pubsub.subscriptions.getIamPolicy",
        "pubsub.subscriptions.list",
        "pubsub.topics.get",
        "pubsub.topics.getIamPolicy",
        "pubsub.topics.list",
        "resourcemanager.folders.get",
        "resourcemanager.folders.getIamPolicy",
        "resourcemanager.organizations.getIamPolicy",
        "resourcemanager.projects.get",
        "resourcemanager.projects.getIamPolicy",
        "run.revisions.get",
        "run.revisions.list",
        INVOKE,
        "run.services.get",
        "run.services.getIamPolicy",
        "run.services.list",
        "storage.objects.get",
        "storage.objects.list",
    }
)
"""Roles viewer, bigquery.user, bigquery.dataViewer, iam.securityReviewer, iam.denyReviewer, iam.serviceAccountOpenIdTokenCreator,
storage.objectViewer and run.invoker, as far as the lab asks."""

OTHERS = frozenset(
    {
        "bigquery.tables.updateData",
        "iam.roles.update",
        "iam.serviceAccounts.actAs",
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.signJwt",
        "logging.logEntries.create",
        "logging.privateLogEntries.list",
        "logging.views.access",
        "monitoring.alertPolicies.create",
        "pubsub.snapshots.create",
        "pubsub.snapshots.delete",
        "pubsub.snapshots.seek",
        "pubsub.subscriptions.consume",
        "pubsub.subscriptions.create",
        "pubsub.subscriptions.delete",
        "pubsub.subscriptions.setIamPolicy",
        "pubsub.subscriptions.update",
        "pubsub.topics.attachSubscription",
        "pubsub.topics.create",
        "pubsub.topics.delete",
        "pubsub.topics.detachSubscription",
        "pubsub.topics.publish",
        "pubsub.topics.setIamPolicy",
        "pubsub.topics.update",
        "resourcemanager.projects.setIamPolicy",
        "run.services.create",
        "run.services.delete",
        "run.services.setIamPolicy",
        "run.services.update",
        "storage.objects.create",
        "storage.objects.delete",
    }
)
"""Permissions that exist and that the caller does not hold."""


def caller_of(world: World) -> str:
    """E-mail of whoever runs the diagnosis: the person of the project, if its policy names one."""
    users = sorted(m for b in world.policy.bindings for m in b.members if m.startswith("user:"))
    return users[0].removeprefix("user:") if users else "oncall@example.com"


def held_by_caller(lacks: tuple[str, ...], holds: tuple[str, ...] = ()) -> frozenset[str]:
    """What the caller holds: what anybody on call may read, and `holds`, without `lacks`.

    Raises ValueError for a permission that does not exist: a typo must not mean "lacks nothing".
    """
    unknown = {*lacks, *holds} - HELD - OTHERS
    if unknown:
        raise ValueError(f"no such permission: {', '.join(sorted(unknown))}")
    return (HELD | set(holds)) - set(lacks)


def tested(held: frozenset[str], asked: list[str]) -> list[str]:
    """Those of the asked permissions that are held. Raises RpcError for one that does not exist, as TestIamPermissions does."""
    for permission in asked:
        if permission not in HELD and permission not in OTHERS:
            raise invalid(f"Permission {permission} is not valid for this resource.")
    return [p for p in asked if p in held]
