"""What Pub/Sub says of topics and subscriptions."""

from __future__ import annotations

from typing import Any

from diagnostics.evidence.model import (
    Binding,
    DeadLetterPolicy,
    DeadLetterTopic,
    DeadLetterTopicPolicy,
    Leg,
    ProjectSubscriptions,
    RetryPolicy,
    SubscriptionConfig,
    SubscriptionPolicy,
    SubscriptionSettings,
    TopicConfig,
    TopicPolicy,
    TopicSettings,
    TopicSubscriptions,
    Why,
)
from diagnostics.evidence.redact import endpoint, member, redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.shell.commands import command
from diagnostics.sources.route import Topic, full_subscription
from diagnostics.transport.call import NotThere, call, pages
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import (
    GET_SUBSCRIPTION,
    GET_TOPIC,
    LIST_SUBSCRIPTIONS,
    SUBSCRIPTION_POLICY,
    TOPIC_POLICY,
    TOPIC_SUBSCRIPTIONS,
    Rpc,
)
from diagnostics.transport.session import Session

ACK_DEADLINE_S = 10
"""What ack_deadline_seconds 0 means (pubsub.proto)."""
EXPIRATION_S = 31 * 86400.0
"""What an absent expiration_policy means (pubsub.proto)."""


def subscription_config(session: Session, pipeline: PipelineProfile, leg: Leg) -> SubscriptionConfig:
    name = full_subscription(pipeline, leg)
    by_hand = command("gcloud pubsub subscriptions describe {name}", name=name)
    source = provenance(session, "Pub/Sub", name, by_hand)
    try:
        return SubscriptionConfig(
            source=source, settings=settings_of(call(session, GET_SUBSCRIPTION, {"subscription": name}))
        )
    except NotThere:
        return SubscriptionConfig(source=source, settings=None)


def topic_config(session: Session, topic: Topic) -> TopicConfig:
    source = provenance(
        session, "Pub/Sub", topic.name, command("gcloud pubsub topics describe {topic}", topic=topic.name)
    )
    try:
        return TopicConfig(
            source=source, name=topic.name, settings=_topic(call(session, GET_TOPIC, {"topic": topic.name}))
        )
    except NotThere:
        return TopicConfig(source=source, name=topic.name, settings=None)


def topic_subscriptions(session: Session, topic: Topic) -> TopicSubscriptions:
    by_hand = command("gcloud pubsub topics list-subscriptions {topic}", topic=topic.name)
    try:
        listed = pages(session, TOPIC_SUBSCRIPTIONS, {"topic": topic.name, "page_size": 1000}, "subscriptions")
    except NotThere as error:
        raise NotSeen(Why.DEPENDS, f"{topic.name} does not exist") from error
    return TopicSubscriptions(
        source=provenance(session, "Pub/Sub", topic.name, by_hand, of=listed), names=tuple(sorted(listed.items))
    )


def project_subscriptions(session: Session, pipeline: PipelineProfile) -> ProjectSubscriptions:
    project = f"projects/{pipeline.project}"
    try:
        listed = pages(session, LIST_SUBSCRIPTIONS, {"project": project, "page_size": 1000}, "subscriptions")
    except NotThere as error:
        raise NotSeen(Why.FAILED, f"Pub/Sub knows no {project}: {error}", mend="say another --project") from error
    by_hand = command("gcloud pubsub subscriptions list --project={project}", project=pipeline.project)
    return ProjectSubscriptions(
        source=provenance(session, "Pub/Sub", project, by_hand, of=listed),
        subscriptions=tuple(settings_of(found) for found in listed.items),
    )


def dead_letter_topic(session: Session, config: SubscriptionConfig) -> DeadLetterTopic:
    name = _dead_letter_name(config)
    if not name:
        return DeadLetterTopic(source=config.source, name="", exists=False)
    by_hand = command("gcloud pubsub topics list-subscriptions {topic}", topic=name)
    try:
        listed = pages(session, TOPIC_SUBSCRIPTIONS, {"topic": name, "page_size": 1000}, "subscriptions")
    except NotThere:
        return DeadLetterTopic(source=provenance(session, "Pub/Sub", name, by_hand), name=name, exists=False)
    return DeadLetterTopic(
        source=provenance(session, "Pub/Sub", name, by_hand, of=listed),
        name=name,
        exists=True,
        subscriptions=tuple(sorted(listed.items)),
    )


def subscription_policy(session: Session, pipeline: PipelineProfile, leg: Leg) -> SubscriptionPolicy:
    name = full_subscription(pipeline, leg)
    by_hand = command("gcloud pubsub subscriptions get-iam-policy {name}", name=name)
    return SubscriptionPolicy(
        source=provenance(session, "IAM", name, by_hand),
        resource=name,
        bindings=bindings(session, SUBSCRIPTION_POLICY, name),
    )


def topic_policy(session: Session, topic: Topic) -> TopicPolicy:
    by_hand = command("gcloud pubsub topics get-iam-policy {topic}", topic=topic.name)
    return TopicPolicy(
        source=provenance(session, "IAM", topic.name, by_hand),
        resource=topic.name,
        bindings=bindings(session, TOPIC_POLICY, topic.name),
    )


def dead_letter_topic_policy(session: Session, config: SubscriptionConfig) -> DeadLetterTopicPolicy:
    name = _dead_letter_name(config)
    if not name:
        raise NotSeen(Why.NOT_CONFIGURED, "the subscription names no dead-letter topic")
    by_hand = command("gcloud pubsub topics get-iam-policy {topic}", topic=name)
    return DeadLetterTopicPolicy(
        source=provenance(session, "IAM", name, by_hand),
        resource=name,
        bindings=bindings(session, TOPIC_POLICY, name),
    )


def bindings(session: Session, rpc: Rpc, resource: str) -> tuple[Binding, ...]:
    """The IAM policy of a resource, conditions included; people are redacted. Raises NotSeen."""
    try:
        # version 3 or conditional bindings are left out
        policy = call(session, rpc, {"resource": resource, "options": {"requested_policy_version": 3}})
    except NotThere as error:
        raise NotSeen(Why.DEPENDS, f"{resource} does not exist") from error
    return tuple(
        Binding(
            role=b.role,
            members=tuple(member(m) for m in b.members),
            condition=redact(b.condition.expression, 300),
        )
        for b in policy.bindings
    )


def settings_of(found: Any) -> SubscriptionSettings:
    """A google.pubsub.v1.Subscription as evidence."""
    push = found.push_config
    retry = found.retry_policy if found.HasField("retry_policy") else None
    dead = found.dead_letter_policy if found.HasField("dead_letter_policy") else None
    expires: float | None = EXPIRATION_S
    if found.HasField("expiration_policy"):
        expires = seconds(found.expiration_policy.ttl) if found.expiration_policy.HasField("ttl") else None
    return SubscriptionSettings(
        name=found.name,
        topic=found.topic,
        push_endpoint=endpoint(push.push_endpoint),
        push_account=push.oidc_token.service_account_email,
        audience=endpoint(push.oidc_token.audience),
        no_wrapper=push.HasField("no_wrapper"),
        ack_deadline_s=float(found.ack_deadline_seconds or ACK_DEADLINE_S),
        retry=RetryPolicy(
            min_s=seconds(retry.minimum_backoff) if retry.HasField("minimum_backoff") else 10.0,
            max_s=seconds(retry.maximum_backoff) if retry.HasField("maximum_backoff") else 600.0,
        )
        if retry
        else None,
        dead_letter=DeadLetterPolicy(topic=dead.dead_letter_topic, max_attempts=dead.max_delivery_attempts or 5)
        if dead and dead.dead_letter_topic
        else None,
        filter=found.filter,
        ordering=found.enable_message_ordering,
        exactly_once=found.enable_exactly_once_delivery,
        retention_s=seconds(found.message_retention_duration) or 604800.0,
        expiration_s=expires,
        detached=found.detached,
        transforms=sum(not t.disabled for t in found.message_transforms),
        labels=dict(found.labels),
    )


def _topic(found: Any) -> TopicSettings:
    policy = found.message_storage_policy
    return TopicSettings(
        name=found.name,
        retention_s=seconds(found.message_retention_duration),
        schema=found.schema_settings.schema,
        kms_key=found.kms_key_name,
        regions=tuple(policy.allowed_persistence_regions),
        enforce_in_transit=policy.enforce_in_transit,
        transforms=sum(not t.disabled for t in found.message_transforms),
    )


def _dead_letter_name(config: SubscriptionConfig) -> str:
    if config.settings is None:
        raise NotSeen(Why.DEPENDS, "the subscription does not exist")
    return config.settings.dead_letter.topic if config.settings.dead_letter else ""


def seconds(duration: Any) -> float:
    """A google.protobuf.Duration in seconds."""
    return float(duration.seconds + duration.nanos / 1e9)
