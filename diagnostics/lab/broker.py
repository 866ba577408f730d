"""Pub/Sub: topics take messages, subscriptions hold and deliver them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import simpy

from diagnostics.lab.delivery import Delivery, Surroundings
from diagnostics.lab.fates import Fates, Published
from diagnostics.lab.http import Answer, PublishError, Request, Token
from diagnostics.lab.message import Held, Message, rfc3339
from diagnostics.lab.meters import SubscriptionMeters, TopicMeters
from diagnostics.lab.model import Snapshot, Subscription, World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.replay import Replay
from diagnostics.lab.rights import CONSUME, MINT, PUBLISH, holds
from diagnostics.lab.schedule import after
from diagnostics.lab.unverified import Unverified

USER_AGENTS = ("APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)", "CloudPubSub-Google")
DELETED_TOPIC = "_deleted-topic_"
TOKEN_LIFE_S = 3600.0
LARGEST = 10_000_000
"""Bytes that a publish request may have (quotas and limits of Pub/Sub)."""


class Broker:
    """The project's Pub/Sub. Settings live in the world; who changes them there tells the broker (attach, changed, remove …)."""

    def __init__(
        self,
        env: simpy.Environment,
        world: World,
        unverified: Unverified,
        recorder: Recorder,
        rng: random.Random,
        deliver: Callable[[Request, Answer], None],
        expired: Callable[[str], None] = lambda _: None,
        snapshot_expired: Callable[[str], None] = lambda _: None,
        judged: bool = True,
    ) -> None:
        """`expired` is told the name of each subscription that its expiration policy deletes, after it is gone; so is the other. `judged`:
        somebody will ask what became of each message."""
        self._env = env
        self._world = world
        self._recorder = recorder
        self._rng = rng
        self._reuse_s = unverified.token_reuse_s
        self._expired = expired
        self.fates = Fates(judged)
        self._tokens: dict[tuple[str, str], Token] = {}
        self._topics: dict[str, TopicMeters] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._replay = Replay(env, world, unverified, recorder, snapshot_expired)
        self._around = Surroundings(
            env=env,
            world=world,
            unverified=unverified,
            rng=rng,
            user_agent=rng.choice(USER_AGENTS),
            deliver=deliver,
            mint=self._mint,
            dead_letter=self._dead_letter,
            counts_attempts=self._counts_attempts,
            fates=self.fates,
        )
        for name in world.subscriptions:
            self.attach(name)

    # --- publishing ---------------------------------------------------------------------------------------------------

    def publish(
        self, topic: str, data: bytes, attributes: dict[str, str], account: str | None, ordering_key: str = ""
    ) -> str:
        """Publish with a service account's (or person's) identity; returns the message id. Raises PublishError.

        `account` None: somebody whose permission has been checked already.
        """
        if refused := self._refusal(topic, account) or self._unfit(topic, data):
            told = data.rstrip()
            self.fates.publish(Published(topic, self._env.now, told, attributes, refused=refused.code))
            self._meters(topic).refused(refused.code)
            raise refused
        return self._spread(topic, data, attributes, ordering_key)

    def _refusal(self, topic: str, account: str | None) -> PublishError | None:
        if self._world.quota_exceeded and any(
            start <= self._env.now < until
            for metric, spans in self._world.quota_exceeded.items()
            for start, until in spans
            if metric.startswith("pubsub.googleapis.com/") and "publisher" in metric
        ):
            return PublishError("RESOURCE_EXHAUSTED", "You have exceeded your regional publisher throughput quota.")
        found = self._world.topics.get(topic)
        if found is None:
            return PublishError("NOT_FOUND", f"Resource not found (resource={topic}).")
        if account is not None and not self._may_publish(topic, _member(account)):
            return PublishError("PERMISSION_DENIED", "User not authorized to perform this action.")
        if found.enforce_in_transit and found.regions and self._world.region not in found.regions:
            says = f"The region {self._world.region} is not allowed by the topic's message storage policy."
            return PublishError("FAILED_PRECONDITION", says)
        return None

    def _unfit(self, topic: str, data: bytes) -> PublishError | None:
        """What is wrong with the message itself. Texts: public reports of googleapis/python-pubsub and google-cloud-python."""
        if len(data) > LARGEST:
            says = f"The value for {len(data)} is too large. You passed request_size in the request, but the maximum value is {LARGEST}."
            return PublishError("INVALID_ARGUMENT", says)
        if not _matches(data, self._world.topics[topic].schema_fields):
            return PublishError("INVALID_ARGUMENT", "Invalid data in message: Message failed schema validation.")
        return None

    def _may_publish(self, topic: str, member: str) -> bool:
        return holds(self._world, member, PUBLISH, self._world.topics[topic].policy, self._env.now)

    def _spread(self, topic: str, data: bytes, attributes: dict[str, str], ordering_key: str = "") -> str:
        """Into every subscription of the topic; with none, the message is lost and nobody is told."""
        id_ = str(self._rng.randrange(10**15, 2 * 10**16))
        message = Message(id_, data, dict(attributes), self._env.now, ordering_key)
        self.fates.publish(Published(topic, self._env.now, data, attributes, id_))
        self._meters(topic).published(message.size)
        self._replay.published(topic, message)
        for delivery in self._deliveries.values():
            if delivery.subscription.topic == topic:
                delivery.add(message)
        return message.id

    def _meters(self, topic: str) -> TopicMeters:
        if topic not in self._topics:
            self._topics[topic] = TopicMeters(self._env, self._recorder, self._world.home("topic", topic), topic)
        return self._topics[topic]

    # --- the life of a subscription -----------------------------------------------------------------------------------

    def attach(self, name: str) -> None:
        """A subscription is in the world from now on: it gets what is published from now on."""
        subscription = self._world.subscriptions[name]
        meters = SubscriptionMeters(self._env, self._recorder, self._world.home("subscription", name), name)
        delivery = self._deliveries[name] = Delivery(self._around, subscription, meters)
        self._watch_expiry(delivery)

    def changed(self, name: str) -> None:
        """A subscription's settings (or a policy that its delivery needs) were changed in the world."""
        delivery = self._deliveries[name]
        delivery.changed()
        if delivery.subscription.detached:
            delivery.drop(delivery.held.values())
        self._watch_expiry(delivery)

    def remove(self, name: str) -> None:
        """A subscription is deleted, with its backlog."""
        delivery = self._deliveries.pop(name)
        delivery.drop(delivery.held.values())
        delivery.meters.end()
        del self._world.subscriptions[name]

    def remove_topic(self, name: str) -> None:
        """A topic is deleted: its subscriptions stay, without a topic, and go on delivering their backlog."""
        del self._world.topics[name]
        for subscription in self._world.subscriptions.values():
            if subscription.topic == name:
                subscription.topic = DELETED_TOPIC

    def seek(self, name: str, moment: float) -> int:
        """Acknowledge all that was published before a moment, and bring back what is retained of what came after it.

        Returns how many messages were acknowledged. It may take a minute to be fully effective.
        """
        delivery = self._sought(name)
        return self._replay.seek_to_time(delivery, moment)

    def seek_to_snapshot(self, name: str, snapshot: str) -> None:
        """Give a subscription a snapshot's state of acknowledgement. Raises Refused for another topic's snapshot."""
        self._replay.seek_to_snapshot(self._deliveries[name], snapshot)
        self._sought(name)

    def _sought(self, name: str) -> Delivery:
        delivery = self._deliveries[name]
        delivery.meters.sought()
        delivery.last_active = self._env.now
        return delivery

    def create_snapshot(self, name: str, subscription: str, labels: dict[str, str]) -> Snapshot:
        """Retain what a subscription has not acknowledged, and all that is published from now on. Raises Refused."""
        delivery = self._deliveries[subscription]
        delivery.last_active = self._env.now
        return self._replay.create(name, delivery, labels)

    def delete_snapshot(self, name: str) -> None:
        self._replay.delete(name)

    def tally(self, name: str) -> dict[str, int]:
        """What became of a subscription's messages: published, acked_by_push, acked_by_pull, dropped, … For tests."""
        return dict(self._deliveries[name].tally)

    def backlog(self, name: str) -> list[Held]:
        """What a subscription holds, oldest first."""
        return list(self._deliveries[name].held.values())

    def _watch_expiry(self, delivery: Delivery) -> None:
        """A subscription that nobody uses is deleted by its expiration policy."""
        if delivery.subscription.expiration_s is not None:
            idle_until = delivery.last_active + delivery.subscription.expiration_s
            after(self._env, max(1.0, idle_until - self._env.now), lambda: self._expire(delivery))

    def _expire(self, delivery: Delivery) -> None:
        name, ttl = delivery.subscription.name, delivery.subscription.expiration_s
        if self._deliveries.get(name) is not delivery or ttl is None:
            return
        if self._env.now - delivery.last_active < ttl - 1:
            self._watch_expiry(delivery)
            return
        self.remove(name)
        self._expired(name)

    # --- pulling ------------------------------------------------------------------------------------------------------

    def pull(self, name: str, limit: int) -> list[tuple[str, Held]]:
        """Ack id and message of up to `limit` messages, leased for the ack deadline. Empty does not mean an empty backlog."""
        delivery = self._deliveries[name]
        delivery.meters.asked("pull")
        return [(f"{held.message.id}:{held.deliveries}", held) for held in delivery.pull(limit)]

    def acknowledge(self, name: str, ack_ids: list[str]) -> None:
        """Acknowledge pulled messages; outdated ack ids are ignored, as Google ignores them."""
        delivery = self._deliveries[name]
        for held in self._leased(delivery, ack_ids):
            delivery.acknowledge(held, "pull", self._env.now - held.leased_at)

    def modify_ack_deadline(self, name: str, ack_ids: list[str], seconds: float) -> None:
        """Move the deadline of pulled messages; 0 s gives them back at once, as a nack."""
        delivery = self._deliveries[name]
        delivery.meters.asked("mod_ack_deadline")
        for held in self._leased(delivery, ack_ids):
            delivery.meters.deadline_moved()
            delivery.lease(held, seconds)

    def _leased(self, delivery: Delivery, ack_ids: list[str]) -> list[Held]:
        found = ((delivery.held.get(ack_id.partition(":")[0]), ack_id) for ack_id in ack_ids)
        return [h for h, ack_id in found if h and h.state == "leased" and ack_id.endswith(f":{h.deliveries}")]

    # --- what the service agent does ----------------------------------------------------------------------------------

    def _mint(self, account: str, audience: str) -> Token | None:
        """A token for a push account, an older one while it may be reused; None if the agent cannot mint one."""
        known = self._tokens.get((account, audience))
        if known and self._env.now < known.expires - TOKEN_LIFE_S + self._reuse_s:
            return known
        if not self._may_mint(account):
            return None
        token = self._tokens[account, audience] = Token(account, audience, self._env.now + TOKEN_LIFE_S)
        return token

    def _may_mint(self, account: str) -> bool:
        found, agent = self._world.accounts.get(account), _member(self._world.pubsub_agent)
        if found is None or found.disabled:
            return False
        return holds(self._world, agent, MINT, found.policy, self._env.now)

    def _counts_attempts(self, subscription: Subscription) -> bool:
        """Google counts delivery attempts only while the dead-letter topic is there and its agent may use both ends."""
        if not subscription.dead_letter_topic or subscription.dead_letter_topic not in self._world.topics:
            return False
        agent = _member(self._world.agent_of(self._world.home("subscription", subscription.name)))
        return holds(self._world, agent, CONSUME, subscription.policy, self._env.now) and self._may_publish(
            subscription.dead_letter_topic, agent
        )

    def _dead_letter(self, subscription: Subscription, held: Held) -> None:
        """Attributes: cloud.google.com/pubsub/docs/dead-letter-topics."""
        added = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(held.attempts),
            "CloudPubSubDeadLetterSourceSubscription": subscription.name,
            "CloudPubSubDeadLetterSourceSubscriptionProject": self._world.home("subscription", subscription.name),
            "CloudPubSubDeadLetterSourceTopicPublishTime": rfc3339(held.message.published),
        }
        self._spread(subscription.dead_letter_topic, held.message.data, {**held.message.attributes, **added})


def _matches(data: bytes, fields: tuple[str, ...]) -> bool:
    """Whether a message has what a schema asks of it."""
    if not fields:
        return True
    try:
        content = json.loads(data)
    except ValueError:
        return False
    return isinstance(content, dict) and set(fields) <= content.keys()


def _member(account: str) -> str:
    return f"serviceAccount:{account}" if account.endswith(".gserviceaccount.com") else f"user:{account}"
