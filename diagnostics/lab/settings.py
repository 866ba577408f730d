"""Applies a scenario's changes to what exists. Each function returns the fields that it set, as the API names them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from diagnostics.lab.applications.traits import traits_of
from diagnostics.lab.cast import Cast, UnknownName, find
from diagnostics.lab.durations import seconds
from diagnostics.lab.events import (
    NewSubscription,
    RevisionChanges,
    RoleChanges,
    ServiceChanges,
    SubscriptionChanges,
    TopicChanges,
)
from diagnostics.lab.filters import compile_filter
from diagnostics.lab.model import Revision, Role, Service, Subscription, Topic, World


def change_subscription(
    world: World, cast: Cast, subscription: Subscription, changes: SubscriptionChanges
) -> dict[str, Any]:
    """Set a subscription's fields. Raises ValueError for what Google would refuse."""
    push = subscription.push
    changed: dict[str, Any] = {}
    if changes.endpoint is not UNSET:
        push.endpoint = _urls(world, cast, changes.endpoint)
    if changes.account is not UNSET:
        push.account = cast.account(changes.account)
    if changes.audience is not UNSET:
        push.audience = _urls(world, cast, changes.audience)
    if changes.no_wrapper is not UNSET:
        push.no_wrapper = changes.no_wrapper
    if {UNSET} != {changes.endpoint, changes.account, changes.audience, changes.no_wrapper}:
        changed["pushConfig"] = push_json(subscription)
    if changes.ack_deadline is not UNSET:
        subscription.ack_deadline_s = seconds(changes.ack_deadline)
        changed["ackDeadlineSeconds"] = int(subscription.ack_deadline_s)
    if changes.retry is not UNSET:
        low_high = changes.retry
        subscription.retry = (seconds(low_high[0]), seconds(low_high[1])) if low_high else None
        changed["retryPolicy"] = (
            {"minimumBackoff": _duration(subscription.retry[0]), "maximumBackoff": _duration(subscription.retry[1])}
            if subscription.retry
            else None
        )
    if changes.dead_letter_topic is not UNSET:
        subscription.dead_letter_topic = cast.topic(changes.dead_letter_topic)
    if changes.max_delivery_attempts is not UNSET:
        subscription.max_delivery_attempts = changes.max_delivery_attempts
    if {UNSET} != {changes.dead_letter_topic, changes.max_delivery_attempts}:
        dead = subscription.dead_letter_topic
        topic = f"projects/{world.home('topic', dead)}/topics/{dead}"
        attempts = subscription.max_delivery_attempts
        changed["deadLetterPolicy"] = (
            {"deadLetterTopic": topic, "maxDeliveryAttempts": attempts} if subscription.dead_letter_topic else None
        )
    if changes.retention is not UNSET:
        subscription.retention_s = seconds(changes.retention)
        changed["messageRetentionDuration"] = _duration(subscription.retention_s)
    if changes.expiration is not UNSET:
        subscription.expiration_s = seconds(changes.expiration) if changes.expiration else None
        changed["expirationPolicy"] = {"ttl": _duration(subscription.expiration_s)} if subscription.expiration_s else {}
    refuse(subscription)
    return changed


def refuse(subscription: Subscription) -> None:
    """Limits of google.pubsub.v1.Subscription and of the push page. Raises ValueError."""
    if not 10 <= subscription.ack_deadline_s <= 600:
        raise ValueError(f"an ack deadline lies between 10 s and 600 s, got {subscription.ack_deadline_s:g} s")
    if subscription.retry and not 0 <= subscription.retry[0] <= subscription.retry[1] <= 600:
        raise ValueError(f"a retry policy lies between 0 s and 600 s, minimum first, got {subscription.retry}")
    if not 600 <= subscription.retention_s <= 31 * 86400:
        raise ValueError(f"messages are retained for 10 m to 31 d, got {subscription.retention_s:g} s")
    if subscription.expiration_s is not None and subscription.expiration_s < 86400:
        raise ValueError(f"a subscription expires after 1 d at the earliest, got {subscription.expiration_s:g} s")
    if subscription.push.endpoint and not subscription.push.endpoint.startswith("https://"):
        raise ValueError(f"a push endpoint begins with lower-case https://, got {subscription.push.endpoint}")
    if subscription.dead_letter_topic and subscription.dead_letter_topic == subscription.topic:
        raise ValueError("a dead-letter topic differs from the subscription's topic")


def new_subscription(world: World, cast: Cast, new: NewSubscription, now: float) -> Subscription:
    """Put a subscription into the world, with Google's defaults for what is not named: 10 s, no retry policy, 7 d, 31 d."""
    if new.name in world.subscriptions:
        raise UnknownName(f'there is a subscription "{new.name}" already')
    topic = find(world.topics, "topic", cast.topic(new.topic)).name
    compile_filter(new.filter)
    subscription = Subscription(new.name, topic, filter=new.filter, ack_deadline_s=10, retry=None, created=now)
    change_subscription(world, cast, subscription, new)
    world.subscriptions[new.name] = subscription
    return subscription


def push_json(subscription: Subscription) -> dict[str, Any]:
    """A push configuration as the API writes it; {} for a pull subscription."""
    push = subscription.push
    if not push.endpoint:
        return {}
    shown: dict[str, Any] = {"pushEndpoint": push.endpoint, "attributes": dict(push.attributes)}
    if push.account:
        shown["oidcToken"] = {"serviceAccountEmail": push.account}
        if push.audience:
            shown["oidcToken"]["audience"] = push.audience
    if push.no_wrapper:
        shown["noWrapper"] = {"writeMetadata": True} if push.write_metadata else {}
    elif push.wrapper:
        shown["pubsubWrapper"] = {}
    return shown


def change_topic(world: World, topic: Topic, changes: TopicChanges) -> dict[str, Any]:
    """Set a topic's fields."""
    changed: dict[str, Any] = {}
    if changes.regions is not UNSET:
        topic.regions = changes.regions
    if changes.enforce_in_transit is not UNSET:
        topic.enforce_in_transit = changes.enforce_in_transit
    if {UNSET} != {changes.regions, changes.enforce_in_transit}:
        changed["messageStoragePolicy"] = {
            "allowedPersistenceRegions": list(topic.regions),
            "enforceInTransit": topic.enforce_in_transit,
        }
    if changes.retention is not UNSET:
        topic.retention_s = seconds(changes.retention)
        changed["messageRetentionDuration"] = _duration(topic.retention_s)
    if changes.schema is not UNSET:
        topic.schema = f"projects/{world.home('topic', topic.name)}/schemas/{changes.schema}" if changes.schema else ""
        changed["schemaSettings"] = {"schema": topic.schema, "encoding": "JSON"} if topic.schema else {}
    if changes.schema_fields is not UNSET:
        topic.schema_fields = changes.schema_fields
    return changed


def change_role(role: Role, changes: RoleChanges) -> dict[str, Any]:
    """Set a custom role's fields."""
    changed: dict[str, Any] = {}
    if changes.permissions is not UNSET:
        role.permissions = changes.permissions
        changed["includedPermissions"] = list(role.permissions)
    if changes.stage is not UNSET:
        changed["stage"] = role.stage = changes.stage
    if changes.deleted is not UNSET:
        changed["deleted"] = role.deleted = changes.deleted
    return changed


def change_revision(cast: Cast, revision: Revision, changes: RevisionChanges) -> None:
    """Set a (new) revision's fields. Raises ValueError for an unknown version of the program."""
    if changes.code is not UNSET:
        traits_of(changes.code)
    for name in ("image", "min_instances", "max_instances", "concurrency", "cpu", "memory_mib", "cpu_idle"):
        if (value := getattr(changes, name)) is not UNSET:
            setattr(revision, name, value)
    for name in ("boots", "boot_error", "labels", "code"):
        if (value := getattr(changes, name)) is not UNSET:
            setattr(revision, name, value)
    if changes.timeout is not UNSET:
        revision.timeout_s = seconds(changes.timeout)
    if changes.startup is not UNSET:
        revision.startup_s = seconds(changes.startup)
    if changes.account is not UNSET:
        revision.account = cast.account(changes.account)
    env = revision.env if changes.set_env is UNSET else changes.set_env
    revision.env = {k: v for k, v in {**env, **changes.update_env}.items() if k not in changes.remove_env}


def change_service(service: Service, changes: ServiceChanges) -> dict[str, Any]:
    """Set a service's own fields."""
    api_names = {
        "ingress": "ingress",
        "custom_audiences": "customAudiences",
        "invoker_iam_disabled": "invokerIamDisabled",
        "default_uri_disabled": "defaultUriDisabled",
        "iap": "iapEnabled",
        "service_min_instances": "scaling.minInstanceCount",
        "service_max_instances": "scaling.maxInstanceCount",
        "manual_instances": "scaling.manualInstanceCount",
    }
    changed: dict[str, Any] = {}
    for name, api_name in api_names.items():
        if (value := getattr(changes, name)) is not UNSET:
            setattr(service, name.removeprefix("service_"), value)
            changed[api_name] = list(value) if isinstance(value, tuple) else value
    return changed


def _urls(world: World, cast: Cast, text: str) -> str:
    """{worker} and {coordinator} stand for the services' URLs."""
    for alias in ("worker", "coordinator"):
        service = world.services.get(cast.service(alias))
        if service is not None:
            text = text.replace("{" + alias + "}", world.urls(service)[0])
    return text


def _duration(amount: float) -> str:
    return f"{amount:g}s"
