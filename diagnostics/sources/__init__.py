"""One module per place evidence comes from. Replies become evidence, failures become `Unseen`. Importing this imports no client."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from diagnostics.evidence.model import Leg
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources import (
    audit,
    balancer_log,
    batch_state,
    cloud_run,
    deny,
    descriptors,
    endpoint,
    iam,
    item_lines,
    marks,
    models,
    monitoring,
    pubsub,
    request_log,
    route,
)
from diagnostics.sources.past import history, rewind, rewind_service
from diagnostics.sources.past.rewind import as_of
from diagnostics.sources.results import rows

PROVIDERS: tuple[Any, ...] = (
    # where things are
    route.topic,
    route.receiver,
    route.push,
    route.signer,
    route.services,
    marks.batch_window,
    batch_state.coordinator_url,
    # how they are configured, or were at the end of a past window
    history.history,
    as_of(pubsub.subscription_config, rewind.subscription),
    as_of(pubsub.topic_config, rewind.topic),
    as_of(pubsub.topic_subscriptions, rewind.topic_subscriptions),
    as_of(pubsub.project_subscriptions, rewind.project_subscriptions),
    as_of(pubsub.dead_letter_topic, rewind.dead_letter_topic),
    as_of(pubsub.subscription_policy, rewind.policy),
    as_of(pubsub.topic_policy, rewind.policy),
    as_of(pubsub.dead_letter_topic_policy, rewind.policy),
    as_of(cloud_run.service_config, rewind_service.service),
    as_of(cloud_run.revisions, rewind_service.revisions_then),
    as_of(cloud_run.service_policy, rewind.policy),
    as_of(iam.push_account, rewind.push_account),
    as_of(iam.push_account_policy, rewind.policy),
    iam.project_info,
    as_of(iam.project_policy, rewind.policy),
    as_of(iam.ancestor_policies, rewind.ancestor_policies),
    as_of(iam.custom_roles, rewind.custom_roles),
    deny.deny_policies,
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
    descriptors.metric_delays,
    # what was written
    marks.coordinator_log,
    marks.batch_marks,
    marks.start_calls,
    item_lines.item_marks,
    request_log.fine_requests,
    request_log.request_log,
    request_log.platform_lines,
    balancer_log.balancer_log,
    audit.change_log,
    # what came of it
    rows.result_rows,
    rows.downstream_rows,
    # what describes the models
    models.model_manifest,
    models.model_registry,
    models.model_document,
    models.model_loads,
    # what the services say
    batch_state.batch_status,
    batch_state.open_batches,
    endpoint.live_health,
    endpoint.live_start,
)
"""Every provider there is, by hand; its annotations say what it gives and what it needs."""


def given(pipeline: PipelineProfile, ask: Ask, now: datetime) -> dict[tuple[type, Leg | None], Any]:
    """What is known before anything is asked: what the profile states, and that nothing has to be taken back, or no call made."""
    past = ask.past(now)
    known: dict[tuple[type, Leg | None], Any] = dict(route.stated(pipeline))
    if not past:
        known[history.History, None] = history.NOTHING
    if past or not ask.live:
        known |= endpoint.not_wanted("a call of now says nothing of then" if past else "")
    return known
