"""What Cloud Monitoring counts. No points means absent, which is not zero."""

from __future__ import annotations

from typing import ClassVar

from diagnostics.evidence.model.base import Evidence, Series


class PublishCounts(Evidence, frozen=True, kw_only=True):
    """Messages published to the leg's topic and publish requests by class and code, a point a minute."""

    per_leg: ClassVar[bool] = True
    messages: tuple[Series, ...]
    requests: tuple[Series, ...]
    """Labels response_class (success, invalid, internal) and response_code."""


class PushCounts(Evidence, frozen=True, kw_only=True):
    """push_request_count of the leg's subscription, a point a minute; labels response_class and response_code."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class PushHistory(Evidence, frozen=True, kw_only=True):
    """The same over the look-back, a point an hour."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class Backlog(Evidence, frozen=True, kw_only=True):
    """Unacked messages of the leg's subscription (they include outstanding ones), a point a minute."""

    per_leg: ClassVar[bool] = True
    undelivered: tuple[Series, ...]
    oldest_age_s: tuple[Series, ...]
    outstanding: tuple[Series, ...]


class BacklogHistory(Evidence, frozen=True, kw_only=True):
    """Largest oldest-unacked age per hour over the look-back."""

    per_leg: ClassVar[bool] = True
    oldest_age_s: tuple[Series, ...]


class AckCounts(Evidence, frozen=True, kw_only=True):
    """ack_message_count by delivery_type (push, pull, filter), a point a minute."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class DeadLetterCounts(Evidence, frozen=True, kw_only=True):
    """dead_letter_message_count by response_code, a point a minute."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class PushLatencies(Evidence, frozen=True, kw_only=True):
    """Push request latency in seconds, p50 and p99 a minute."""

    per_leg: ClassVar[bool] = True
    p50: tuple[Series, ...]
    p99: tuple[Series, ...]


class DeliveryHealth(Evidence, frozen=True, kw_only=True):
    """delivery_latency_health_score: share of the minute that was healthy (0 to 1), one series a `criteria`."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class ReceiverTraffic(Evidence, frozen=True, kw_only=True):
    """Requests that reached a container of the receiving service, and their latency in seconds."""

    per_leg: ClassVar[bool] = True
    requests: tuple[Series, ...]
    """Labels response_code_class ("2xx" …) and revision_name."""
    p50: tuple[Series, ...]
    p99: tuple[Series, ...]


class ReceiverCapacity(Evidence, frozen=True, kw_only=True):
    """Instances, start-up and queueing of the receiving service, a point a minute; durations in seconds."""

    per_leg: ClassVar[bool] = True
    instances: tuple[Series, ...]
    """Label state (active, idle)."""
    startup_p50: tuple[Series, ...]
    startup_p99: tuple[Series, ...]
    startups: tuple[Series, ...]
    """How many instances finished starting in the minute."""
    pending_p99: tuple[Series, ...]


class QuotaExceeded(Evidence, frozen=True, kw_only=True):
    """serviceruntime quota/exceeded of pubsub.googleapis.com: 1 in a minute in which a call was refused for quota."""

    series: tuple[Series, ...]
    """Label quota_metric."""


class MetricDelays(Evidence, frozen=True, kw_only=True):
    """How late the metrics of a traffic check are, as their own descriptors say; both by metric type, in seconds."""

    ingest_s: dict[str, float]
    """After sampling, data is not visible for up to this long."""
    sample_s: dict[str, float]
    """Time between two samples."""

    @property
    def settle_s(self) -> float:
        """After this time what happened is visible in all of them: the longest delay and two sampling periods."""
        return max(self.ingest_s.values(), default=0) + 2 * max(self.sample_s.values(), default=0)
