"""The metrics of Google Cloud that the lab serves: their kinds, types, units, labels and delays.

Source: docs.cloud.google.com/monitoring/api/metrics_gcp_p_z (Pub/Sub and Cloud Run, list of 2026-04-10) and metrics_gcp for
serviceruntime. All are sampled every 60 s; `delay_s` is the page's "after sampling, data is not visible for up to N seconds".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SAMPLE_PERIOD_S = 60
RETENTION_S = 6 * 7 * 86400.0
"""Monitoring keeps most Google Cloud metrics for six weeks."""


class Kind(StrEnum):
    GAUGE = "GAUGE"
    DELTA = "DELTA"


class Type(StrEnum):
    BOOL = "BOOL"
    INT64 = "INT64"
    DOUBLE = "DOUBLE"
    DISTRIBUTION = "DISTRIBUTION"


@dataclass(frozen=True)
class Metric:
    """One metric descriptor."""

    type: str
    resource: str
    """Monitored resource type."""
    kind: Kind
    value: Type
    unit: str
    labels: tuple[str, ...]
    delay_s: float
    stage: str = "GA"


RESOURCES: dict[str, tuple[str, ...]] = {
    "pubsub_topic": ("project_id", "topic_id"),
    "pubsub_subscription": ("project_id", "subscription_id"),
    "pubsub_snapshot": ("project_id", "snapshot_id"),
    "cloud_run_revision": ("project_id", "service_name", "revision_name", "location", "configuration_name"),
    "consumer_quota": ("project_id", "service", "location"),
}
"""Monitored resource types and their labels."""

G, D = Kind.GAUGE, Kind.DELTA
INT, DOUBLE, DIST, BOOL = Type.INT64, Type.DOUBLE, Type.DISTRIBUTION, Type.BOOL

Row = tuple[str, Kind, Type, str, tuple[str, ...], float]
PUBLISH = ("response_class", "response_code")
CODE = ("response_code",)
WAY = ("delivery_type",)
REGION = ("region",)
RUN = ("response_code", "response_code_class", "route")

TOPIC: tuple[Row, ...] = (
    ("send_request_count", D, INT, "1", PUBLISH, 181),
    ("send_request_latencies", D, DIST, "us", ("response_code", "has_ordering", "schema_type"), 120),
    ("message_sizes", D, DIST, "By", (), 181),
    ("byte_cost", D, INT, "By", ("operation_type", "response_code"), 240),
    ("config_updates_count", D, INT, "1", ("response_code", "operation_type"), 240),
    ("num_unacked_messages_by_region", G, INT, "1", REGION, 120),
    ("oldest_unacked_message_age_by_region", G, INT, "s", REGION, 120),
)
SUBSCRIPTION: tuple[Row, ...] = (
    ("num_undelivered_messages", G, INT, "1", (), 120),
    ("num_unacked_messages_by_region", G, INT, "1", REGION, 120),
    ("oldest_unacked_message_age", G, INT, "s", (), 120),
    ("oldest_unacked_message_age_by_region", G, INT, "s", REGION, 120),
    ("num_outstanding_messages", G, INT, "1", (), 240),
    ("push_request_count", D, INT, "1", ("response_class", "response_code", "delivery_type"), 120),
    ("push_request_latencies", D, DIST, "us", ("response_code", "delivery_type"), 240),
    ("sent_message_count", D, INT, "1", WAY, 181),
    ("ack_message_count", D, INT, "1", WAY, 181),
    ("ack_latencies", D, DIST, "ms", WAY, 240),
    ("expired_ack_deadlines_count", D, INT, "1", WAY, 240),
    ("nack_requests", G, INT, "1", WAY, 360),
    ("delivery_latency_health_score", G, BOOL, "1", ("criteria",), 360),
    ("dead_letter_message_count", D, INT, "1", CODE, 240),
    ("config_updates_count", D, INT, "1", ("response_code", "operation_type"), 240),
    ("seek_request_count", D, INT, "1", CODE, 240),
    ("byte_cost", D, INT, "By", ("operation_type", "response_code"), 240),
    ("backlog_bytes", G, INT, "By", (), 120),
    ("pull_request_count", D, INT, "1", PUBLISH, 120),
    ("mod_ack_deadline_request_count", D, INT, "1", PUBLISH, 120),
    ("mod_ack_deadline_message_count", D, INT, "1", WAY, 240),
)
SNAPSHOT: tuple[Row, ...] = (
    ("num_messages", G, INT, "1", (), 120),
    ("oldest_message_age", G, INT, "s", (), 120),
    ("backlog_bytes", G, INT, "By", (), 120),
)
CLOUD_RUN: tuple[Row, ...] = (
    ("request_count", D, INT, "1", RUN, 120),
    ("request_latencies", D, DIST, "ms", RUN, 120),
    ("request_latency/pending", D, DIST, "ms", ("response_code", "response_code_class"), 120),
    ("request_latency/e2e_latencies", D, DIST, "ms", ("response_code", "response_code_class"), 120),
    ("pending_queue/pending_requests", G, INT, "1", (), 120),
    ("container/instance_count", G, INT, "1", ("state",), 120),
    ("container/max_request_concurrencies", D, DIST, "1", ("state",), 120),
    ("container/startup_latencies", D, DIST, "ms", (), 120),
    ("container/billable_instance_time", D, DOUBLE, "s", (), 120),
    ("container/cpu/utilizations", D, DIST, "10^2.%", (), 120),
    ("container/memory/utilizations", D, DIST, "10^2.%", (), 120),
    ("scaling/recommended_instances", G, INT, "1", ("scaling_driver",), 120),
)
STAGES = {
    "run.googleapis.com/request_latency/pending": "BETA",
    "run.googleapis.com/request_latency/e2e_latencies": "BETA",
    "run.googleapis.com/container/startup_latencies": "BETA",
    "run.googleapis.com/pending_queue/pending_requests": "ALPHA",
}


def _rows(prefix: str, resource: str, rows: tuple[Row, ...]) -> dict[str, Metric]:
    metrics = (
        Metric(prefix + name, resource, kind, value, unit, labels, delay, STAGES.get(prefix + name, "GA"))
        for name, kind, value, unit, labels, delay in rows
    )
    return {m.type: m for m in metrics}


QUOTA_EXCEEDED = Metric(
    "serviceruntime.googleapis.com/quota/exceeded", "consumer_quota", G, BOOL, "1", ("quota_metric", "limit_name"), 180
)
"""True in a minute in which a call was refused for quota. Its delay is not in the pages that the facts cite; 180 s is assumed."""

METRICS: dict[str, Metric] = {
    **_rows("pubsub.googleapis.com/topic/", "pubsub_topic", TOPIC),
    **_rows("pubsub.googleapis.com/subscription/", "pubsub_subscription", SUBSCRIPTION),
    **_rows("pubsub.googleapis.com/snapshot/", "pubsub_snapshot", SNAPSHOT),
    **_rows("run.googleapis.com/", "cloud_run_revision", CLOUD_RUN),
    QUOTA_EXCEEDED.type: QUOTA_EXCEEDED,
}
