"""Topics, subscriptions and snapshots: their names, and the messages that show them."""

from __future__ import annotations

import re
from typing import Any

from google.pubsub_v1 import types

from diagnostics.lab.model import Snapshot, Subscription, Topic
from diagnostics.lab.servers.cloud import Cloud, split_name
from diagnostics.lab.servers.errors import RpcError, invalid, not_found

DELETED_TOPIC = "_deleted-topic_"
ID = re.compile(r"(?!goog)[A-Za-z][\w.~+%-]{2,254}", re.ASCII)
"""What a topic, subscription or snapshot may be called (pubsub-basics, resource names)."""

TopicMessage = types.Topic.pb()
SubscriptionMessage = types.Subscription.pb()
SnapshotMessage = types.Snapshot.pb()


# --- what is meant ---------------------------------------------------------------------------------------------------


def check_project(cloud: Cloud, name: str) -> str:
    """The id of the project that `name` (projects/PROJECT) is. Raises RpcError."""
    (project,) = split_name(name, "projects/*", bad_name(name))
    return _known_project(cloud, project)


def find_topic(cloud: Cloud, name: str) -> Topic:
    found: Topic = _find(cloud, name, "topics", cloud.world.topics)
    return found


def find_subscription(cloud: Cloud, name: str) -> Subscription:
    found: Subscription = _find(cloud, name, "subscriptions", cloud.world.subscriptions)
    return found


def find_snapshot(cloud: Cloud, name: str) -> Snapshot:
    found: Snapshot = _find(cloud, name, "snapshots", cloud.world.snapshots)
    return found


def new_id(cloud: Cloud, name: str, kind: str, there: dict[str, Any]) -> str:
    """The short id of what is to be created. Raises RpcError when it cannot be called so, or is there already."""
    project, short = split_name(name, f"projects/*/{kind}/*", bad_name(name))
    if _known_project(cloud, project) != cloud.world.project:
        raise invalid("The lab makes nothing in a neighbour.")
    if not ID.fullmatch(short):
        raise bad_name(name)
    if short in there:
        raise RpcError("ALREADY_EXISTS", f"Resource already exists in the project (resource={short}).")
    return short


def full_name(cloud: Cloud, kind: str, short: str) -> str:
    """full_name(cloud, "topics", "t") is projects/PROJECT/topics/t."""
    return f"projects/{cloud.world.home(kind[:-1], short)}/{kind}/{short}"


def bad_name(name: str) -> RpcError:
    return invalid(
        f"Invalid resource name given (name={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
    )


def _find(cloud: Cloud, name: str, kind: str, there: dict[str, Any]) -> Any:
    project, short = split_name(name, f"projects/*/{kind}/*", bad_name(name))
    if _known_project(cloud, project) != cloud.world.home(kind[:-1], short) or short not in there:
        raise not_found(f"Resource not found (resource={short}).")
    return there[short]


def _known_project(cloud: Cloud, project: str) -> str:
    """Its id."""
    home = cloud.world.id_of(project)
    if not home:
        raise not_found(
            f"Requested project not found or user does not have access to it (project={project}). "
            "Make sure to specify the unique project identifier and not the Google Cloud Console display name."
        )
    return home


# --- messages --------------------------------------------------------------------------------------------------------


def topic_message(cloud: Cloud, topic: Topic) -> Any:
    message = TopicMessage(
        name=full_name(cloud, "topics", topic.name), labels=topic.labels, kms_key_name=topic.kms_key, state="ACTIVE"
    )
    if topic.retention_s:
        message.message_retention_duration.seconds = int(topic.retention_s)
    if topic.schema:
        message.schema_settings.schema = topic.schema
    if topic.regions:
        message.message_storage_policy.allowed_persistence_regions.extend(topic.regions)
        message.message_storage_policy.enforce_in_transit = topic.enforce_in_transit
    return message


def subscription_message(cloud: Cloud, subscription: Subscription) -> Any:
    message = SubscriptionMessage(
        name=full_name(cloud, "subscriptions", subscription.name),
        topic=_topic_name(cloud, subscription.topic),
        ack_deadline_seconds=int(subscription.ack_deadline_s),
        retain_acked_messages=subscription.retain_acked,
        message_retention_duration={"seconds": int(subscription.retention_s)},
        labels=subscription.labels,
        enable_message_ordering=subscription.ordering,
        filter=subscription.filter,
        detached=subscription.detached,
        enable_exactly_once_delivery=subscription.exactly_once,
        state="ACTIVE",
        expiration_policy={},
        push_config={},
    )
    if subscription.expiration_s is not None:
        message.expiration_policy.ttl.seconds = int(subscription.expiration_s)
    if subscription.push.endpoint:
        message.push_config.MergeFrom(_push_message(subscription))
    if subscription.retry is not None:
        low, high = subscription.retry
        message.retry_policy.minimum_backoff.FromNanoseconds(int(low * 1e9))
        message.retry_policy.maximum_backoff.FromNanoseconds(int(high * 1e9))
    if subscription.dead_letter_topic:
        dead_letter = subscription.dead_letter_topic
        message.dead_letter_policy.dead_letter_topic = (
            dead_letter if "/" in dead_letter else _topic_name(cloud, dead_letter)
        )
        message.dead_letter_policy.max_delivery_attempts = subscription.max_delivery_attempts
    topic = cloud.world.topics.get(subscription.topic)
    if topic and topic.retention_s:
        message.topic_message_retention_duration.seconds = int(topic.retention_s)
    return message


def snapshot_message(cloud: Cloud, snapshot: Snapshot) -> Any:
    message = SnapshotMessage(
        name=full_name(cloud, "snapshots", snapshot.name),
        topic=_topic_name(cloud, snapshot.topic),
        labels=snapshot.labels,
    )
    message.expire_time.FromMicroseconds(round(snapshot.expires * 1e6))
    return message


def _topic_name(cloud: Cloud, topic: str) -> str:
    return topic if topic == DELETED_TOPIC else full_name(cloud, "topics", topic)


def _push_message(subscription: Subscription) -> Any:
    push = subscription.push
    message = types.PushConfig.pb()(push_endpoint=push.endpoint, attributes=push.attributes)
    if push.account:
        message.oidc_token.service_account_email = push.account
        message.oidc_token.audience = push.audience
    if push.no_wrapper:
        message.no_wrapper.SetInParent()
        message.no_wrapper.write_metadata = push.write_metadata
    elif push.wrapper:
        message.pubsub_wrapper.SetInParent()
    return message
