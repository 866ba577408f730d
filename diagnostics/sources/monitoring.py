"""What Cloud Monitoring says: publishes, pushes, backlog, latencies and capacity. An absent series stays absent; it is not zero."""

from __future__ import annotations

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BacklogHistory,
    DeadLetterCounts,
    DeliveryHealth,
    Leg,
    PublishCounts,
    PushCounts,
    PushHistory,
    PushLatencies,
    QuotaExceeded,
    ReceiverCapacity,
    ReceiverTraffic,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask, Window
from diagnostics.sources.route import Receiver, Topic, full_subscription
from diagnostics.sources.series import PUBSUB, RUN, Query, Resource, Span, counts, fetch, gauge, percentile
from diagnostics.transport.session import Session

MICRO, MILLI = 1e-6, 1e-3
HOUR_S = 3600
TOPIC, SUBSCRIPTION = f"{PUBSUB}/topic", f"{PUBSUB}/subscription"

PUSHES = counts(f"{SUBSCRIPTION}/push_request_count", "response_class", "response_code")
OLDEST_AGE = gauge(f"{SUBSCRIPTION}/oldest_unacked_message_age")


def publish_counts(session: Session, topic: Topic, window: Window) -> PublishCounts:
    _, project, _, name = topic.name.split("/")
    got = fetch(
        session,
        Resource(project, "pubsub_topic", (("topic_id", name),)),
        _minutes(window),
        counts(f"{TOPIC}/message_sizes", delay_s=181),
        counts(f"{TOPIC}/send_request_count", "response_class", "response_code", delay_s=181),
    )
    return PublishCounts(source=got.source, messages=got.series[0], requests=got.series[1])


def push_counts(session: Session, pipeline: PipelineProfile, leg: Leg, window: Window) -> PushCounts:
    got = fetch(session, _subscription(pipeline, leg), _minutes(window), PUSHES)
    return PushCounts(source=got.source, series=got.series[0])


def push_history(session: Session, pipeline: PipelineProfile, leg: Leg, ask: Ask) -> PushHistory:
    got = fetch(session, _subscription(pipeline, leg), _hours(session, ask), PUSHES)
    return PushHistory(source=got.source, series=got.series[0])


def backlog(session: Session, pipeline: PipelineProfile, leg: Leg, window: Window) -> Backlog:
    got = fetch(
        session,
        _subscription(pipeline, leg),
        _minutes(window),
        gauge(f"{SUBSCRIPTION}/num_undelivered_messages", reducer="REDUCE_SUM"),
        OLDEST_AGE,
        gauge(f"{SUBSCRIPTION}/num_outstanding_messages", reducer="REDUCE_SUM", delay_s=240),
    )
    return Backlog(source=got.source, undelivered=got.series[0], oldest_age_s=got.series[1], outstanding=got.series[2])


def backlog_history(session: Session, pipeline: PipelineProfile, leg: Leg, ask: Ask) -> BacklogHistory:
    got = fetch(session, _subscription(pipeline, leg), _hours(session, ask), OLDEST_AGE)
    return BacklogHistory(source=got.source, oldest_age_s=got.series[0])


def ack_counts(session: Session, pipeline: PipelineProfile, leg: Leg, window: Window) -> AckCounts:
    query = counts(f"{SUBSCRIPTION}/ack_message_count", "delivery_type", delay_s=181)
    got = fetch(session, _subscription(pipeline, leg), _minutes(window), query)
    return AckCounts(source=got.source, series=got.series[0])


def dead_letter_counts(session: Session, pipeline: PipelineProfile, leg: Leg, window: Window) -> DeadLetterCounts:
    query = counts(f"{SUBSCRIPTION}/dead_letter_message_count", "response_code", delay_s=240)
    got = fetch(session, _subscription(pipeline, leg), _minutes(window), query)
    return DeadLetterCounts(source=got.source, series=got.series[0])


def push_latencies(session: Session, pipeline: PipelineProfile, leg: Leg, window: Window) -> PushLatencies:
    metric = f"{SUBSCRIPTION}/push_request_latencies"
    p50, p99 = (percentile(metric, share, MICRO, delay_s=240) for share in (50, 99))
    got = fetch(session, _subscription(pipeline, leg), _minutes(window), p50, p99)
    return PushLatencies(source=got.source, p50=got.series[0], p99=got.series[1])


def delivery_health(session: Session, pipeline: PipelineProfile, leg: Leg, window: Window) -> DeliveryHealth:
    metric = f"{SUBSCRIPTION}/delivery_latency_health_score"
    query = Query(metric, "ALIGN_FRACTION_TRUE", "REDUCE_MIN", ("criteria",), delay_s=360)
    got = fetch(session, _subscription(pipeline, leg), _minutes(window), query)
    return DeliveryHealth(source=got.source, series=got.series[0])


def receiver_traffic(
    session: Session, pipeline: PipelineProfile, receiver: Receiver, window: Window
) -> ReceiverTraffic:
    got = fetch(
        session,
        _service(pipeline, receiver),
        _minutes(window),
        counts(f"{RUN}/request_count", "response_code_class", "resource.revision_name"),
        percentile(f"{RUN}/request_latencies", 50, MILLI).aside(),
        percentile(f"{RUN}/request_latencies", 99, MILLI).aside(),
    )
    return ReceiverTraffic(source=got.source, requests=got.series[0], p50=got.series[1], p99=got.series[2])


def receiver_capacity(
    session: Session, pipeline: PipelineProfile, receiver: Receiver, window: Window
) -> ReceiverCapacity:
    startup = f"{RUN}/container/startup_latencies"
    got = fetch(
        session,
        _service(pipeline, receiver),
        _minutes(window),
        gauge(f"{RUN}/container/instance_count", "state", reducer="REDUCE_SUM"),
        percentile(startup, 50, MILLI).aside(),
        percentile(startup, 99, MILLI).aside(),
        counts(startup),
        percentile(f"{RUN}/request_latency/pending", 99, MILLI).aside(),
    )
    instances, startup_p50, startup_p99, startups, pending_p99 = got.series
    return ReceiverCapacity(
        source=got.source,
        instances=instances,
        startup_p50=startup_p50,
        startup_p99=startup_p99,
        startups=startups,
        pending_p99=pending_p99,
    )


def quota_exceeded(session: Session, pipeline: PipelineProfile, window: Window) -> QuotaExceeded:
    metric = "serviceruntime.googleapis.com/quota/exceeded"
    query = Query(metric, "ALIGN_COUNT_TRUE", "REDUCE_MAX", ("quota_metric",), delay_s=180)
    resource = Resource(pipeline.project, "consumer_quota", (("service", PUBSUB),))
    got = fetch(session, resource, _minutes(window), query)
    return QuotaExceeded(source=got.source, series=got.series[0])


def _subscription(pipeline: PipelineProfile, leg: Leg) -> Resource:
    _, project, _, name = full_subscription(pipeline, leg).split("/")
    return Resource(project, "pubsub_subscription", (("subscription_id", name),))


def _service(pipeline: PipelineProfile, receiver: Receiver) -> Resource:
    labels = (("service_name", receiver.service), ("location", receiver.region))
    return Resource(receiver.home(pipeline), "cloud_run_revision", labels)


def _minutes(window: Window) -> Span:
    return Span(window.since, window.until, window.step_s)


def _hours(session: Session, ask: Ask) -> Span:
    return Span(ask.begin(session.now), ask.end(session.now), HOUR_S)
