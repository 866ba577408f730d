"""Pull, Acknowledge and ModifyAckDeadline."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from diagnostics.lab.message import Held
from diagnostics.lab.model import Subscription
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import RpcError, invalid
from diagnostics.lab.servers.pubsub_resources import find_subscription

CONSUME = "pubsub.subscriptions.consume"
LONGEST_DEADLINE_S = 600


def pull(cloud: Cloud, request: Any) -> Any:
    """Some messages, or none: also while there are some. Never waits, which return_immediately would ask for.

    Pulling from a push subscription is refused, as public reports show; Google's emulator returns nothing instead.
    """
    subscription = find_subscription(cloud, request.subscription)
    if request.max_messages < 1:
        raise invalid(f"The value for max_messages must be at least 1, got {request.max_messages}.")
    if subscription.push.endpoint:
        raise RpcError("FAILED_PRECONDITION", "This method is not supported for push subscriptions.")
    if subscription.detached:
        raise RpcError("FAILED_PRECONDITION", "The subscription is detached from its topic.")
    leased = cloud.lab.broker.pull(subscription.name, request.max_messages)
    received = [_received(subscription, ack_id, held) for ack_id, held in leased]
    return types.PullResponse.pb()(received_messages=received)


def acknowledge(cloud: Cloud, request: Any) -> Any:
    subscription = find_subscription(cloud, request.subscription)
    cloud.lab.broker.acknowledge(subscription.name, _ack_ids(request))
    return empty_pb2.Empty()


def modify_ack_deadline(cloud: Cloud, request: Any) -> Any:
    """0 s gives the messages back: a nack, which counts as a delivery attempt."""
    subscription = find_subscription(cloud, request.subscription)
    ack_ids, seconds = _ack_ids(request), request.ack_deadline_seconds
    if not 0 <= seconds <= LONGEST_DEADLINE_S:
        raise invalid(f"The ack_deadline_seconds must be 0 to {LONGEST_DEADLINE_S}, got {seconds}.")
    cloud.lab.broker.modify_ack_deadline(subscription.name, ack_ids, seconds)
    return empty_pb2.Empty()


def _ack_ids(request: Any) -> list[str]:
    """An outdated ack id is ignored; one that never was any is refused."""
    if not request.ack_ids:
        raise invalid("No ack ids specified.")
    for ack_id in request.ack_ids:
        if not re.fullmatch(r"\d+:\d+", ack_id):
            raise invalid(f"You have passed an invalid ack ID to the service (ack_id={ack_id}).")
    return list(request.ack_ids)


def _received(subscription: Subscription, ack_id: str, held: Held) -> Any:
    message = types.ReceivedMessage.pb()(ack_id=ack_id)
    message.message.data = held.message.data
    message.message.attributes.update(held.message.attributes)
    message.message.message_id = held.message.id
    message.message.ordering_key = held.message.ordering_key
    message.message.publish_time.FromMicroseconds(round(held.message.published * 1e6))
    if subscription.dead_letter_topic:
        message.delivery_attempt = held.attempts
    return message


SUBSCRIBER = "google.pubsub.v1.Subscriber"

METHODS: tuple[Method, ...] = (
    Method(f"{SUBSCRIBER}/Pull", types.PullRequest.pb(), pull, CONSUME, lambda r: r.subscription),
    Method(f"{SUBSCRIBER}/Acknowledge", types.AcknowledgeRequest.pb(), acknowledge, CONSUME, lambda r: r.subscription),
    Method(
        f"{SUBSCRIBER}/ModifyAckDeadline",
        types.ModifyAckDeadlineRequest.pb(),
        modify_ack_deadline,
        CONSUME,
        lambda r: r.subscription,
    ),
)
