"""CreateSubscription, UpdateSubscription, DeleteSubscription and ModifyPushConfig: strict about every field, mask and name."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import empty_pb2, json_format
from google.pubsub_v1 import types

from diagnostics.lab.audit import Target
from diagnostics.lab.filters import FilterError, compile_filter
from diagnostics.lab.model import PushConfig, Subscription
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import invalid
from diagnostics.lab.servers.pubsub_resources import find_subscription, find_topic, new_id, subscription_message
from diagnostics.lab.settings import refuse

DEFAULT_EXPIRATION_S = LONGEST_S = 31 * 86400.0
ACT_AS = "iam.serviceAccounts.actAs"
UPDATE = "pubsub.subscriptions.update"
MAX_LABELS = 64
EMPTY = empty_pb2.Empty
PUSH_VERSIONS = ("v1", "v1beta1", "v1beta2")


def create_subscription(cloud: Cloud, request: Any) -> Any:
    name = new_id(cloud, request.name, "subscriptions", cloud.world.subscriptions)
    topic = find_topic(cloud, request.topic).name
    known = {*SETTERS, *IMMUTABLE, "topic_message_retention_duration", "state"}
    for field, _ in request.ListFields():
        if field.name not in known or field.name == "detached":
            raise invalid(f"The field {field.name} is not supported in CreateSubscription here.")
    subscription = Subscription(name, topic, created=cloud.lab.now())
    subscription.ordering = request.enable_message_ordering
    try:
        compile_filter(request.filter)
    except FilterError as error:
        raise invalid(f"The subscription filter is invalid: {error}") from error
    subscription.filter = request.filter
    for set_field in SETTERS.values():
        set_field(cloud, subscription, request)
    _check(subscription)
    cloud.world.subscriptions[name] = subscription
    cloud.lab.broker.attach(name)
    _log(cloud, name, "CreateSubscription", request)
    return subscription_message(cloud, subscription)


def update_subscription(cloud: Cloud, request: Any) -> Any:
    """Set the fields that the mask names, all or none of them."""
    subscription = find_subscription(cloud, request.subscription.name)
    if not request.update_mask.paths:
        raise invalid(
            "The update_mask in the UpdateSubscriptionRequest must be set, and must contain a non-empty paths list."
        )
    changed = copy.deepcopy(subscription)
    for path in request.update_mask.paths:
        wrong = "Invalid update_mask provided in the UpdateSubscriptionRequest"
        if path in IMMUTABLE:
            raise invalid(f"{wrong}: the {path} field in the Subscription is not mutable.")
        if path not in SETTERS:
            raise invalid(
                f"{wrong}: {path} is not a known Subscription field. Note that field paths must be of the form "
                "'push_config' rather than 'pushConfig'."
            )
        SETTERS[path](cloud, changed, request.subscription)
    _check(changed)
    _take_over(cloud, subscription, changed)
    _log(cloud, subscription.name, "UpdateSubscription", request)
    return subscription_message(cloud, subscription)


def delete_subscription(cloud: Cloud, request: Any) -> Any:
    name = find_subscription(cloud, request.subscription).name
    cloud.lab.broker.remove(name)
    _log(cloud, name, "DeleteSubscription", request)
    return EMPTY()


def modify_push_config(cloud: Cloud, request: Any) -> Any:
    """Another push configuration; an empty one means pull. GetSubscription shows it at once; the change-over takes its time."""
    subscription = find_subscription(cloud, request.subscription)
    changed = copy.deepcopy(subscription)
    _set_push(cloud, changed, request)
    _check(changed)
    _take_over(cloud, subscription, changed)
    _log(cloud, subscription.name, "ModifyPushConfig", request)
    return EMPTY()


def _take_over(cloud: Cloud, subscription: Subscription, changed: Subscription) -> None:
    vars(subscription).update(vars(changed))
    cloud.lab.broker.changed(subscription.name)


def _log(cloud: Cloud, name: str, method: str, request: Any) -> None:
    asked = json_format.MessageToDict(request)
    cloud.lab.audit.activity(Target("subscription", name), method, cloud.caller, asked)


# --- fields ----------------------------------------------------------------------------------------------------------

Setter = Callable[[Cloud, Subscription, Any], None]
"""Sets one field from a Subscription message."""


def _set_push(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    given, before = message.push_config, subscription.push
    _only_known(given, "push_endpoint", "attributes", "oidc_token", "pubsub_wrapper", "no_wrapper")
    if given.HasField("oidc_token") and not given.oidc_token.service_account_email:
        raise invalid("The push_config.oidc_token needs a service_account_email.")
    if not given.push_endpoint and (given.HasField("oidc_token") or given.WhichOneof("wrapper")):
        raise invalid("A push_config without push_endpoint must be empty.")
    for name, value in given.attributes.items():
        if name != "x-goog-version" or value not in PUSH_VERSIONS:
            raise invalid(f"Unsupported push_config attribute {name}={value}.")
    subscription.push = PushConfig(
        endpoint=given.push_endpoint,
        account=given.oidc_token.service_account_email,
        audience=given.oidc_token.audience,
        no_wrapper=given.HasField("no_wrapper"),
        write_metadata=given.no_wrapper.write_metadata,
        wrapper=given.HasField("pubsub_wrapper"),
        attributes={**before.attributes, **given.attributes},
    )


def _set_ack_deadline(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    subscription.ack_deadline_s = float(message.ack_deadline_seconds or 10)


def _set_retention(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    given = message.HasField("message_retention_duration")
    subscription.retention_s = _seconds(message.message_retention_duration) if given else 7 * 86400.0


def _set_expiration(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    """Without a policy the default holds; a policy without ttl means never."""
    del cloud
    if not message.HasField("expiration_policy"):
        subscription.expiration_s = DEFAULT_EXPIRATION_S
    elif message.expiration_policy.HasField("ttl"):
        subscription.expiration_s = _seconds(message.expiration_policy.ttl)
    else:
        subscription.expiration_s = None


def _set_dead_letter(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    policy = message.dead_letter_policy
    if not message.HasField("dead_letter_policy"):
        subscription.dead_letter_topic, subscription.max_delivery_attempts = "", 5
        return
    subscription.dead_letter_topic = find_topic(cloud, policy.dead_letter_topic).name
    subscription.max_delivery_attempts = policy.max_delivery_attempts or 5
    if not 5 <= subscription.max_delivery_attempts <= 100:
        raise invalid(f"max_delivery_attempts must be 5 to 100, got {policy.max_delivery_attempts}.")


def _set_retry(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    policy = message.retry_policy
    if not message.HasField("retry_policy"):
        subscription.retry = None
        return
    subscription.retry = (
        _seconds(policy.minimum_backoff) if policy.HasField("minimum_backoff") else 10.0,
        _seconds(policy.maximum_backoff) if policy.HasField("maximum_backoff") else 600.0,
    )


def _set_labels(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    subscription.labels = checked_labels(message.labels)


def _set_retain_acked(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    subscription.retain_acked = message.retain_acked_messages


def _set_exactly_once(cloud: Cloud, subscription: Subscription, message: Any) -> None:
    del cloud
    subscription.exactly_once = message.enable_exactly_once_delivery


SETTERS: dict[str, Setter] = {
    "push_config": _set_push,
    "ack_deadline_seconds": _set_ack_deadline,
    "retain_acked_messages": _set_retain_acked,
    "message_retention_duration": _set_retention,
    "labels": _set_labels,
    "expiration_policy": _set_expiration,
    "dead_letter_policy": _set_dead_letter,
    "retry_policy": _set_retry,
    "enable_exactly_once_delivery": _set_exactly_once,
}
"""What may be set at creation and changed later."""
IMMUTABLE = ("name", "topic", "filter", "enable_message_ordering", "detached")


def checked_labels(given: Any) -> dict[str, str]:
    """Labels as Google takes them (cloud.google.com/pubsub/docs/labels). Raises RpcError."""
    labels = dict(given)
    if len(labels) > MAX_LABELS:
        raise invalid(f"A resource has at most {MAX_LABELS} labels, got {len(labels)}.")
    for key, value in labels.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            raise invalid(
                f"Invalid label {key}={value}: lower-case letters, digits, - and _, at most 63, key first a letter."
            )
    return labels


def _check(subscription: Subscription) -> None:
    """What holds between the fields."""
    try:
        refuse(subscription)
    except ValueError as error:
        raise invalid(f"Invalid subscription: {error}.") from error
    # The subscription properties page, as quoted in public: expiration is to be longer than retention. Both default to their most.
    expires = subscription.expiration_s
    if expires is not None and expires <= subscription.retention_s and expires < LONGEST_S:
        raise invalid("The expiration_policy.ttl must be greater than the message_retention_duration.")
    if subscription.exactly_once and subscription.push.endpoint:
        raise invalid("Exactly-once delivery is not supported for push subscriptions.")


def _only_known(message: Any, *names: str) -> None:
    for field, _ in message.ListFields():
        if field.name not in names:
            raise invalid(f"The field {field.name} is not supported here.")


def _seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


# --- methods ---------------------------------------------------------------------------------------------------------


def _create_needs(request: Any) -> tuple[str, ...]:
    return ("pubsub.subscriptions.create", "pubsub.topics.attachSubscription", *_act_as(request.push_config))


def _update_needs(request: Any) -> tuple[str, ...]:
    touches_push = "push_config" in request.update_mask.paths
    return (UPDATE, *(_act_as(request.subscription.push_config) if touches_push else ()))


def _act_as(push_config: Any) -> tuple[str, ...]:
    """Whoever attaches a push account has to be able to act as it (cloud.google.com/pubsub/docs/authenticate-push-subscriptions)."""
    return (ACT_AS,) if push_config.oidc_token.service_account_email else ()


SUBSCRIBER = "google.pubsub.v1.Subscriber"

METHODS: tuple[Method, ...] = (
    Method(
        f"{SUBSCRIBER}/CreateSubscription",
        types.Subscription.pb(),
        create_subscription,
        _create_needs,
        lambda r: r.name,
    ),
    Method(
        f"{SUBSCRIBER}/UpdateSubscription",
        types.UpdateSubscriptionRequest.pb(),
        update_subscription,
        _update_needs,
        lambda r: r.subscription.name,
    ),
    Method(
        f"{SUBSCRIBER}/DeleteSubscription",
        types.DeleteSubscriptionRequest.pb(),
        delete_subscription,
        "pubsub.subscriptions.delete",
        lambda r: r.subscription,
    ),
    Method(
        f"{SUBSCRIBER}/ModifyPushConfig",
        types.ModifyPushConfigRequest.pb(),
        modify_push_config,
        lambda r: (UPDATE, *_act_as(r.push_config)),
        lambda r: r.subscription,
    ),
)
