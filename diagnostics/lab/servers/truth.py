"""What really became of every message: for tests, which have to know. No part of the diagnosis may ask."""

from __future__ import annotations

from typing import Any

from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.settings import push_json

FATES = (
    "published", "restored", "delivered_by_push", "delivered_by_pull", "acked_by_push", "acked_by_pull",
    "dead_lettered_by_push", "dead_lettered_by_pull", "dropped", "purged", "filtered",
)  # fmt: skip
"""published and restored (by a seek) come in; acked, dead-lettered, dropped (by retention or deletion) and purged go; the rest waits."""


def truth(cloud: Cloud) -> dict[str, Any]:
    """Per subscription its configuration and what became of its messages since the lab began; and the snapshots there are."""
    return {
        "subscriptions": {name: _subscription(cloud, name) for name in sorted(cloud.world.subscriptions)},
        "snapshots": {
            name: {"topic": snapshot.topic, "labels": snapshot.labels}
            for name, snapshot in sorted(cloud.world.snapshots.items())
        },
    }


def _subscription(cloud: Cloud, name: str) -> dict[str, Any]:
    subscription, held = cloud.world.subscriptions[name], cloud.lab.broker.backlog(name)
    tally = cloud.lab.broker.tally(name)
    return {
        "topic": subscription.topic,
        "push_config": push_json(subscription),
        "labels": subscription.labels,
        **{fate: tally.get(fate, 0) for fate in FATES},
        "waiting": len(held),
        "waiting_ids": [h.message.id for h in held],
        "leased": sum(h.state == "leased" for h in held),
        "pushed": sum(h.state == "pushed" for h in held),
    }
