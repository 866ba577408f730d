"""How a topic is set up: since when, and whether it takes only what is published in some regions."""

from __future__ import annotations

from datetime import datetime

from diagnostics.evidence.model import ChangeLog, TopicSettings


def restricts(topic: TopicSettings) -> bool:
    """Whether it refuses what is published elsewhere than in its regions: a policy that is not enforced in transit only says where
    messages are stored."""
    return topic.enforce_in_transit and bool(topic.regions)


def topic_set_at(topic: str, changes: ChangeLog) -> datetime | None:
    """When it was last made or changed, as far as the log tells. `topic`: its name, full or short."""
    short = topic.rsplit("/", 1)[-1]
    of_it = (c for c in changes.changes if c.ok and c.resource == f"topics/{short}")
    return max((c.at for c in of_it if c.method in ("CreateTopic", "UpdateTopic")), default=None)
