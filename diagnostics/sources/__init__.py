"""One module per place evidence comes from. Replies become evidence, failures become `Unseen`. Importing this imports no client."""

from __future__ import annotations

from typing import Any

from diagnostics.evidence.ask import Ask
from diagnostics.evidence.model import Leg
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources import (
    audit,
    batch_state,
    cloud_run,
    endpoint,
    iam,
    marks,
    monitoring,
    pubsub,
    request_log,
    route,
)

PROVIDERS: tuple[Any, ...] = (
    # where things are
    route.topic,
    route.receiver,
    route.push,
    route.services,
    marks.batch_window,
    batch_state.coordinator_url,
    # how they are configured
    pubsub.subscription_config,
    pubsub.topic_config,
    pubsub.topic_subscriptions,
    pubsub.project_subscriptions,
    pubsub.dead_letter_topic,
    pubsub.subscription_policy,
    pubsub.topic_policy,
    pubsub.dead_letter_topic_policy,
    cloud_run.service_config,
    cloud_run.revisions,
    cloud_run.service_policy,
    iam.push_account,
    iam.push_account_policy,
    iam.project_info,
    iam.project_policy,
    # what was counted
    monitoring.publish_counts,
    monitoring.push_counts,
    monitoring.push_history,
    monitoring.backlog,
    monitoring.backlog_history,
    monitoring.ack_counts,
    monitoring.dead_letter_counts,
    monitoring.push_latencies,
    monitoring.delivery_health,
    monitoring.receiver_traffic,
    monitoring.receiver_capacity,
    monitoring.quota_exceeded,
    # what was written
    marks.coordinator_log,
    marks.batch_marks,
    marks.start_calls,
    marks.item_marks,
    request_log.fine_requests,
    request_log.request_log,
    request_log.platform_lines,
    audit.change_log,
    # what the services say
    batch_state.batch_status,
    endpoint.live_health,
    endpoint.live_start,
)
"""Every provider there is, by hand; its annotations say what it gives and what it needs."""


def given(pipeline: PipelineProfile, ask: Ask) -> dict[tuple[type, Leg | None], Any]:
    """What is known before anything is asked: what the profile states, and that live calls were not wanted."""
    return {**route.stated(pipeline), **({} if ask.live else endpoint.not_wanted())}
