"""google.pubsub.v1 Publisher and Subscriber, and IAM of their resources: reading, and publishing; the writing is in its own modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.pubsub_v1 import types

from diagnostics.lab.http import PublishError
from diagnostics.lab.model import Snapshot, Subscription, Topic
from diagnostics.lab.servers import pubsub_writes, pulling, snapshots, subscriptions
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import RpcError, invalid
from diagnostics.lab.servers.iam_policy import (
    GetIamPolicyRequest,
    TestIamPermissionsRequest,
    TestIamPermissionsResponse,
    held_permissions,
    policy_message,
)
from diagnostics.lab.servers.pages import slice_page
from diagnostics.lab.servers.pubsub_resources import (
    check_project,
    find_snapshot,
    find_subscription,
    find_topic,
    full_name,
    subscription_message,
    topic_message,
)

MAX_MESSAGES = 1000


def get_topic(cloud: Cloud, request: Any) -> Any:
    return topic_message(cloud, find_topic(cloud, request.topic))


def list_topics(cloud: Cloud, request: Any) -> Any:
    home = check_project(cloud, request.project)
    there = [t for t in _sorted(cloud.world.topics) if cloud.world.home("topic", t.name) == home]
    topics, token = slice_page(there, request.page_size, request.page_token, request.project)
    return types.ListTopicsResponse.pb()(topics=[topic_message(cloud, t) for t in topics], next_page_token=token)


def list_topic_subscriptions(cloud: Cloud, request: Any) -> Any:
    topic = find_topic(cloud, request.topic)
    attached = [s for s in _sorted(cloud.world.subscriptions) if s.topic == topic.name and not s.detached]
    page, token = slice_page(attached, request.page_size, request.page_token, request.topic)
    names = [full_name(cloud, "subscriptions", s.name) for s in page]
    return types.ListTopicSubscriptionsResponse.pb()(subscriptions=names, next_page_token=token)


def publish(cloud: Cloud, request: Any) -> Any:
    topic = find_topic(cloud, request.topic)
    if not 1 <= len(request.messages) <= MAX_MESSAGES:
        raise invalid(f"The value for message_count is out of range: it must be 1 to {MAX_MESSAGES}.")
    ids = []
    for message in request.messages:
        if not message.data and not message.attributes:
            raise invalid("One or more messages in the publish request is empty.")
        try:
            # The caller's permission was checked at the door, as that of every other call.
            ids.append(
                cloud.lab.publish(topic.name, message.data, dict(message.attributes), None, message.ordering_key)
            )
        except PublishError as error:
            raise RpcError(error.code, error.message) from error
    return types.PublishResponse.pb()(message_ids=ids)


def get_subscription(cloud: Cloud, request: Any) -> Any:
    return subscription_message(cloud, find_subscription(cloud, request.subscription))


def list_subscriptions(cloud: Cloud, request: Any) -> Any:
    home = check_project(cloud, request.project)
    every = [s for s in _sorted(cloud.world.subscriptions) if cloud.world.home("subscription", s.name) == home]
    page, token = slice_page(every, request.page_size, request.page_token, request.project)
    messages = [subscription_message(cloud, s) for s in page]
    return types.ListSubscriptionsResponse.pb()(subscriptions=messages, next_page_token=token)


def get_iam_policy(cloud: Cloud, request: Any) -> Any:
    return policy_message(_resource(cloud, request.resource).policy, request)


def test_iam_permissions(cloud: Cloud, request: Any) -> Any:
    """Only permissions of that kind of resource: to create a snapshot, say, is one of the project. Of what does not exist nobody holds
    any: the method's documentation says so, "not a NOT_FOUND error"."""
    try:
        _resource(cloud, request.resource)
    except RpcError as error:
        if error.code != "NOT_FOUND":
            raise
        return TestIamPermissionsResponse()
    for permission in request.permissions:
        if not permission.startswith(f"pubsub.{_kind(request.resource)}."):
            raise invalid(f"Permission {permission} is not valid for this resource.")
    return held_permissions(cloud, request)


# --- what is meant ---------------------------------------------------------------------------------------------------


def _resource(cloud: Cloud, name: str) -> Topic | Subscription | Snapshot:
    find: dict[str, Callable[[Cloud, str], Topic | Subscription | Snapshot]] = {
        "topics": find_topic,
        "subscriptions": find_subscription,
        "snapshots": find_snapshot,
    }
    return find[_kind(name)](cloud, name)


def _kind(name: str) -> str:
    """topics, subscriptions or snapshots; what is none of them is taken for a topic, and then refused for its name."""
    kind = name.split("/")[2] if name.count("/") == 3 else ""
    return kind if kind in ("subscriptions", "snapshots") else "topics"


def _sorted(things: dict[str, Any]) -> list[Any]:
    return [things[name] for name in sorted(things)]


def _policy_permission(request: Any) -> str:
    return f"pubsub.{_kind(request.resource)}.getIamPolicy"


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
    *subscriptions.METHODS,
    *pubsub_writes.METHODS,
    *pulling.METHODS,
    *snapshots.METHODS,
)
