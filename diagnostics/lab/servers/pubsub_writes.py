"""CreateTopic, UpdateTopic, and SetIamPolicy of topics and subscriptions: what runbooks change beside subscriptions themselves."""

from __future__ import annotations

from typing import Any

from google.iam.v1 import iam_policy_pb2
from google.protobuf import json_format
from google.pubsub_v1 import types

from diagnostics.lab.audit import Target
from diagnostics.lab.model import Policy, Topic
from diagnostics.lab.rights import condition
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import RpcError, invalid
from diagnostics.lab.servers.iam_policy import GetIamPolicyRequest, policy_message
from diagnostics.lab.servers.pubsub_resources import bad_name, find_subscription, find_topic, new_id, topic_message


def create_topic(cloud: Cloud, request: Any) -> Any:
    name = new_id(cloud, request.name, "topics", cloud.world.topics)
    for field, _ in request.ListFields():
        if field.name != "name":
            raise invalid(f"The field {field.name} is not supported in CreateTopic here.")
    topic = cloud.world.topics[name] = Topic(name)
    cloud.lab.audit.activity(Target("topic", name), "CreateTopic", cloud.caller, json_format.MessageToDict(request))
    return topic_message(cloud, topic)


def update_topic(cloud: Cloud, request: Any) -> Any:
    """Set what the mask names: where messages may be stored, and how long they are kept."""
    topic = find_topic(cloud, request.topic.name)
    if not request.update_mask.paths:
        raise invalid("The update_mask in the UpdateTopicRequest must be set, and must contain a non-empty paths list.")
    for path in request.update_mask.paths:
        if path.partition(".")[0] == "message_storage_policy":
            topic.regions = tuple(request.topic.message_storage_policy.allowed_persistence_regions)
            topic.enforce_in_transit = request.topic.message_storage_policy.enforce_in_transit
        elif path == "message_retention_duration":
            topic.retention_s = float(request.topic.message_retention_duration.seconds)
        else:
            raise invalid(f"Invalid update_mask provided in the UpdateTopicRequest: {path} is not supported here.")
    asked = json_format.MessageToDict(request)
    cloud.lab.audit.activity(Target("topic", topic.name), "UpdateTopic", cloud.caller, asked)
    return topic_message(cloud, topic)


def set_iam_policy(cloud: Cloud, request: Any) -> Any:
    """Replace the policy of a topic or subscription, unless it has changed since the caller read it."""
    kind = _kind(request.resource)
    held = (find_topic if kind == "topic" else find_subscription)(cloud, request.resource)
    before = policy_message(held.policy, _whole(request.resource))
    if request.policy.etag and request.policy.etag != before.etag:
        raise RpcError("ABORTED", "There were concurrent policy changes. Please retry the whole read-modify-write.")
    after = Policy()
    for binding in request.policy.bindings:
        _check(binding)
        for member in binding.members:
            after.add(binding.role, member, binding.condition.expression)
    gone, come = _members(held.policy) - _members(after), _members(after) - _members(held.policy)
    held.policy = after
    for action, changed in (("REMOVE", gone), ("ADD", come)):
        for role, member, _ in sorted(changed):
            cloud.lab.audit.policy_change(Target(kind, held.name), cloud.caller, action, role, member)
    return policy_message(after, _whole(request.resource))


def _kind(name: str) -> str:
    parts = name.split("/")
    kind = {"topics": "topic", "subscriptions": "subscription"}.get(parts[2] if len(parts) == 4 else "", "")
    if not kind:
        raise bad_name(name)
    return kind


def _whole(name: str) -> Any:
    return GetIamPolicyRequest(resource=name, options={"requested_policy_version": 3})


def _check(binding: Any) -> None:
    if not binding.role.startswith(("roles/", "projects/", "organizations/")):
        raise invalid(f"Role {binding.role} is not supported for this resource.")
    for member in binding.members:
        if ":" not in member and member not in ("allUsers", "allAuthenticatedUsers"):
            raise invalid(f"Invalid member: {member}.")
    if expression := binding.condition.expression:
        try:
            condition(expression)
        except ValueError as error:
            raise invalid(str(error)) from error


def _members(policy: Policy) -> set[tuple[str, str, str]]:
    return {(b.role, member, b.condition) for b in policy.bindings for member in b.members}


def _set_needs(request: Any) -> str:
    return f"pubsub.{'subscriptions' if '/subscriptions/' in request.resource else 'topics'}.setIamPolicy"


METHODS: tuple[Method, ...] = (
    Method(
        "google.pubsub.v1.Publisher/CreateTopic",
        types.Topic.pb(),
        create_topic,
        "pubsub.topics.create",
        lambda r: r.name,
    ),
    Method(
        "google.pubsub.v1.Publisher/UpdateTopic",
        types.UpdateTopicRequest.pb(),
        update_topic,
        "pubsub.topics.update",
        lambda r: r.topic.name,
    ),
    Method(
        "google.iam.v1.IAMPolicy/SetIamPolicy",
        iam_policy_pb2.SetIamPolicyRequest,
        set_iam_policy,
        _set_needs,
        lambda r: r.resource,
    ),
)
