"""What the probe needs to be allowed, asked before anything is done: above all to put back what it is going to change."""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.evidence.model import SubscriptionSettings
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe.journal import Mode
from diagnostics.probe.reach import Reach
from diagnostics.probe.rpcs import (
    ACT_AS,
    ATTACH,
    CONSUME,
    CREATE_SNAPSHOT,
    CREATE_SUBSCRIPTION,
    DELETE_SNAPSHOT,
    DELETE_SUBSCRIPTION,
    SEEK_SNAPSHOT,
    UPDATE_SUBSCRIPTION,
)
from diagnostics.sources.iam import full_account
from diagnostics.transport.call import NotThere
from diagnostics.transport.rpcs import (
    GET_SUBSCRIPTION,
    TEST_ACCOUNT,
    TEST_PROJECT,
    TEST_SUBSCRIPTION,
    TEST_TOPIC,
    Rpc,
)


class Need(NamedTuple):
    """Permissions on one resource."""

    rpc: Rpc
    resource: str
    names: tuple[str, ...]


class Lacking(NamedTuple):
    """One permission that is not held, or (`why`) of which that could not be told."""

    name: str
    on: str
    why: str = ""


def lacking(reach: Reach, profile: PipelineProfile, mode: Mode, settings: SubscriptionSettings) -> list[Lacking]:
    """What is missing for this mode. Raises nothing."""
    found = []
    for need in _needs(profile, mode, settings):
        try:
            reply = reach.read(need.rpc, {"resource": need.resource, "permissions": list(need.names)})
        except NotThere:
            found += [Lacking(name, need.resource, "it does not exist") for name in need.names]
        except NotSeen as failed:
            found += [Lacking(name, need.resource, failed.says) for name in need.names]
        else:
            found += [Lacking(name, need.resource) for name in need.names if name not in reply.permissions]
    return found


def _needs(profile: PipelineProfile, mode: Mode, settings: SubscriptionSettings) -> list[Need]:
    """Pub/Sub access-control page. What is made later inherits the permissions of its project."""
    project = f"projects/{settings.name.split('/')[1]}"
    if mode is Mode.SNAPSHOT:
        made = (CREATE_SNAPSHOT, DELETE_SNAPSHOT, CREATE_SUBSCRIPTION, DELETE_SUBSCRIPTION)
        return [
            Need(TEST_PROJECT, project, (*(rpc.permission for rpc in made), SEEK_SNAPSHOT, CONSUME)),
            Need(TEST_SUBSCRIPTION, settings.name, (CONSUME,)),
            Need(TEST_TOPIC, settings.topic, (ATTACH,)),
        ]
    needs = [
        Need(TEST_SUBSCRIPTION, settings.name, (GET_SUBSCRIPTION.permission, UPDATE_SUBSCRIPTION.permission, CONSUME))
    ]
    if settings.push_account:
        needs.append(Need(TEST_ACCOUNT, full_account(profile, settings.push_account), (ACT_AS,)))
    return needs
