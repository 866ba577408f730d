"""google.pubsub.v1 Publisher and Subscriber, and IAM of their resources, as far as they are read."""

from __future__ import annotations

from typing import Any

from google.pubsub_v1 import types

from diagnostics.lab.http import PublishError
from diagnostics.lab.model import Subscription, Topic
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import RpcError, invalid, not_found
from diagnostics.lab.servers.iam_policy import (
    GetIamPolicyRequest,
    TestIamPermissionsRequest,
    held_permissions,
    policy_message,
)
from diagnostics.lab.servers.pages import slice_page

DELETED_TOPIC = "_deleted-topic_"
MAX_MESSAGES = 1000

TopicMessage = types.Topic.pb()
SubscriptionMessage = types.Subscription.pb()


def get_topic(cloud: Cloud, request: Any) -> Any:
    return _topic_message(cloud, _topic(cloud, request.topic))


def list_topics(cloud: Cloud, request: Any) -> Any:
    _project(cloud, request.project)
    topics, token = slice_page(_sorted(cloud.world.topics), request.page_size, request.page_token, request.project)
    return types.ListTopicsResponse.pb()(topics=[_topic_message(cloud, t) for t in topics], next_page_token=token)


def list_topic_subscriptions(cloud: Cloud, request: Any) -> Any:
    topic = _topic(cloud, request.topic)
    attached = [s for s in _sorted(cloud.world.subscriptions) if s.topic == topic.name and not s.detached]
    page, token = slice_page(attached, request.page_size, request.page_token, request.topic)
    names = [_name(cloud, "subscriptions", s.name) for s in page]
    return types.ListTopicSubscriptionsResponse.pb()(subscriptions=names, next_page_token=token)


def publish(cloud: Cloud, request: Any) -> Any:
    topic = _topic(cloud, request.topic)
    if not 1 <= len(request.messages) <= MAX_MESSAGES:
        raise invalid(f"The value for message_count is out of range: it must be 1 to {MAX_MESSAGES}.")
    ids = []
    for message in request.messages:
        if not message.data and not message.attributes:
            raise invalid("One or more messages in the publish request is empty.")
        try:
            ids.append(cloud.lab.publish(topic.name, message.data, dict(message.attributes), cloud.caller))
        except PublishError as error:
            raise RpcError(error.code, error.message) from error
    return types.PublishResponse.pb()(message_ids=ids)


def get_subscription(cloud: Cloud, request: Any) -> Any:
    return _subscription_message(cloud, _subscription(cloud, request.subscription))


def list_subscriptions(cloud: Cloud, request: Any) -> Any:
    _project(cloud, request.project)
    every = _sorted(cloud.world.subscriptions)
    page, token = slice_page(every, request.page_size, request.page_token, request.project)
    messages = [_subscription_message(cloud, s) for s in page]
    return types.ListSubscriptionsResponse.pb()(subscriptions=messages, next_page_token=token)


def get_iam_policy(cloud: Cloud, request: Any) -> Any:
    return policy_message(_resource(cloud, request.resource).policy, request)


def test_iam_permissions(cloud: Cloud, request: Any) -> Any:
    _resource(cloud, request.resource)
    return held_permissions(cloud, request)


# --- what is meant ---------------------------------------------------------------------------------------------------


def _project(cloud: Cloud, name: str) -> None:
    (project,) = split_name(name, "projects/*", _bad_name(name))
    _known_project(cloud, project)


def _known_project(cloud: Cloud, project: str) -> None:
    if not cloud.is_project(project):
        raise not_found(
            f"Requested project not found or user does not have access to it (project={project}). "
            "Make sure to specify the unique project identifier and not the Google Cloud Console display name."
        )


def _topic(cloud: Cloud, name: str) -> Topic:
    project, short = split_name(name, "projects/*/topics/*", _bad_name(name))
    _known_project(cloud, project)
    topic = cloud.world.topics.get(short)
    if topic is None:
        raise not_found(f"Resource not found (resource={short}).")
    return topic


def _subscription(cloud: Cloud, name: str) -> Subscription:
    project, short = split_name(name, "projects/*/subscriptions/*", _bad_name(name))
    _known_project(cloud, project)
    subscription = cloud.world.subscriptions.get(short)
    if subscription is None:
        raise not_found(f"Resource not found (resource={short}).")
    return subscription


def _resource(cloud: Cloud, name: str) -> Topic | Subscription:
    return _subscription(cloud, name) if "/subscriptions/" in name else _topic(cloud, name)


def _bad_name(name: str) -> RpcError:
    return invalid(
        f"Invalid resource name given (name={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information."
    )


# --- messages --------------------------------------------------------------------------------------------------------


def _topic_message(cloud: Cloud, topic: Topic) -> Any:
    message = TopicMessage(
        name=_name(cloud, "topics", topic.name), labels=topic.labels, kms_key_name=topic.kms_key, state="ACTIVE"
    )
    if topic.retention_s:
        message.message_retention_duration.seconds = int(topic.retention_s)
    if topic.schema:
        message.schema_settings.schema = topic.schema
    if topic.regions:
        message.message_storage_policy.allowed_persistence_regions.extend(topic.regions)
        message.message_storage_policy.enforce_in_transit = topic.enforce_in_transit
    return message


def _subscription_message(cloud: Cloud, subscription: Subscription) -> Any:
    topic = subscription.topic
    message = SubscriptionMessage(
        name=_name(cloud, "subscriptions", subscription.name),
        topic=topic if topic == DELETED_TOPIC else _name(cloud, "topics", topic),
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
            dead_letter if dead_letter == DELETED_TOPIC or "/" in dead_letter else _name(cloud, "topics", dead_letter)
        )
        message.dead_letter_policy.max_delivery_attempts = subscription.max_delivery_attempts
    return message


def _push_message(subscription: Subscription) -> Any:
    push = subscription.push
    message = types.PushConfig.pb()(push_endpoint=push.endpoint, attributes=push.attributes)
    if push.account:
        message.oidc_token.service_account_email = push.account
        message.oidc_token.audience = push.audience
    if push.no_wrapper:
        message.no_wrapper.write_metadata = False
        message.no_wrapper.SetInParent()
    return message


def _name(cloud: Cloud, kind: str, short: str) -> str:
    return f"projects/{cloud.world.project}/{kind}/{short}"


def _sorted(things: dict[str, Any]) -> list[Any]:
    return [things[name] for name in sorted(things)]


def _policy_permission(request: Any) -> str:
    kind = "subscriptions" if "/subscriptions/" in request.resource else "topics"
    return f"pubsub.{kind}.getIamPolicy"


PUBLISHER = "google.pubsub.v1.Publisher"
SUBSCRIBER = "google.pubsub.v1.Subscriber"
IAM_POLICY = "google.iam.v1.IAMPolicy"

METHODS: tuple[Method, ...] = (
    Method(f"{PUBLISHER}/GetTopic", types.GetTopicRequest.pb(), get_topic, "pubsub.topics.get", lambda r: r.topic),
    Method(
        f"{PUBLISHER}/ListTopics", types.ListTopicsRequest.pb(), list_topics, "pubsub.topics.list", lambda r: r.project
    ),
    Method(
        f"{PUBLISHER}/ListTopicSubscriptions",
        types.ListTopicSubscriptionsRequest.pb(),
        list_topic_subscriptions,
        "pubsub.topics.get",
        lambda r: r.topic,
    ),
    Method(f"{PUBLISHER}/Publish", types.PublishRequest.pb(), publish, "pubsub.topics.publish", lambda r: r.topic),
    Method(
        f"{SUBSCRIBER}/GetSubscription",
        types.GetSubscriptionRequest.pb(),
        get_subscription,
        "pubsub.subscriptions.get",
        lambda r: r.subscription,
    ),
    Method(
        f"{SUBSCRIBER}/ListSubscriptions",
        types.ListSubscriptionsRequest.pb(),
        list_subscriptions,
        "pubsub.subscriptions.list",
        lambda r: r.project,
    ),
    Method(f"{IAM_POLICY}/GetIamPolicy", GetIamPolicyRequest, get_iam_policy, _policy_permission, lambda r: r.resource),
    Method(
        f"{IAM_POLICY}/TestIamPermissions", TestIamPermissionsRequest, test_iam_permissions, "", lambda r: r.resource
    ),
)
