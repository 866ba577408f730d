"""Snapshots, and what a seek brings back or puts away (cloud.google.com/pubsub/docs/replay-overview)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import simpy

from diagnostics.lab.delivery import Delivery
from diagnostics.lab.message import Message
from diagnostics.lab.meters import SnapshotMeters
from diagnostics.lab.model import Snapshot, World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.schedule import after
from diagnostics.lab.unverified import Unverified

SNAPSHOT_LIFE_S = 7 * 86400.0
"""A snapshot expires this long after the oldest unacknowledged message that it retains was published."""
SHORTEST_LIFE_S = 3600.0
"""One that would live for less is refused."""


@dataclass
class Refused(Exception):
    """An operation that the state of a subscription or snapshot forbids: FAILED_PRECONDITION."""

    message: str


@dataclass
class _Kept:
    """What a snapshot retains."""

    snapshot: Snapshot
    meters: SnapshotMeters
    messages: dict[str, Message] = field(default_factory=dict)
    size: int = 0
    oldest: float | None = None

    def add(self, message: Message) -> None:
        self.messages[message.id] = message
        self.size += message.size
        self.oldest = message.published if self.oldest is None else min(self.oldest, message.published)
        self.meters.retained(len(self.messages), self.size, self.oldest)


class Replay:
    """The project's snapshots, and the messages that topics retain."""

    def __init__(
        self,
        env: simpy.Environment,
        world: World,
        unverified: Unverified,
        recorder: Recorder,
        expired: Callable[[str], None],
    ) -> None:
        """`expired` is told the name of each snapshot that comes to the end of its life."""
        self._env = env
        self._world = world
        self._unverified = unverified
        self._recorder = recorder
        self._expired = expired
        self._kept: dict[str, _Kept] = {}
        self._topics: dict[str, deque[Message]] = {}

    def published(self, topic: str, message: Message) -> None:
        """Snapshots of the topic retain what is published from then on; a topic what it is set to."""
        for kept in self._kept.values():
            if kept.snapshot.topic == topic:
                kept.add(message)
        if retention := self._world.topics[topic].retention_s:
            log = self._topics.setdefault(topic, deque())
            log.append(message)
            while log[0].published <= self._env.now - retention:
                log.popleft()

    def create(self, name: str, of: Delivery, labels: dict[str, str]) -> Snapshot:
        """Retain all that a subscription has not acknowledged. Raises Refused when the oldest of it is too old."""
        now = float(self._env.now)
        age = now - min((held.message.published for held in of.held.values()), default=now)
        if SNAPSHOT_LIFE_S - age < SHORTEST_LIFE_S:
            raise Refused(
                "The operation could not be completed because the requested source subscription's backlog is too old."
            )
        snapshot = Snapshot(name, of.subscription.topic, now, now + SNAPSHOT_LIFE_S - age, dict(labels))
        meters = SnapshotMeters(self._env, self._recorder, self._world.project, name)
        meters.retained(0, 0, None)
        kept = self._kept[name] = _Kept(snapshot, meters)
        for held in of.held.values():
            kept.add(held.message)
        self._world.snapshots[name] = snapshot
        after(self._env, snapshot.expires - now, lambda: self._expire(kept))
        return snapshot

    def delete(self, name: str) -> None:
        self._kept.pop(name).meters.end()
        del self._world.snapshots[name]

    def _expire(self, kept: _Kept) -> None:
        name = kept.snapshot.name
        if self._kept.get(name) is kept:
            self.delete(name)
            self._expired(name)

    def seek_to_snapshot(self, target: Delivery, name: str) -> None:
        """Give a subscription the snapshot's state of acknowledgement. Raises Refused for another topic's."""
        kept, subscription = self._kept[name], target.subscription
        if kept.snapshot.topic != subscription.topic:
            raise Refused("The subscription's topic and that of the snapshot must be the same.")
        target.purge([held for held in target.held.values() if held.message.id not in kept.messages])
        older = self._unverified.snapshot_brings_older
        self._restore(target, (m for m in kept.messages.values() if older or m.published >= subscription.created))

    def seek_to_time(self, target: Delivery, moment: float) -> int:
        """Acknowledge what was published before, un-acknowledge what is retained of what came after; returns how many were purged."""
        purged = target.purge([held for held in target.held.values() if held.message.published < moment])
        retained = [*target.retained(), *self._of_topic(target.subscription.topic)]
        self._restore(target, (m for m in retained if m.published >= moment))
        return purged

    def _restore(self, target: Delivery, messages: Iterable[Message]) -> None:
        if not target.subscription.detached:
            target.restore(messages)

    def _of_topic(self, name: str) -> list[Message]:
        topic = self._world.topics.get(name)
        oldest = self._env.now - (topic.retention_s if topic else 0)
        return [message for message in self._topics.get(name, ()) if message.published > oldest]
