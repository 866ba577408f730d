"""What Pub/Sub measures of a topic and of a subscription: Google's metric names, units and labels, and nothing else.

Names, kinds and units: docs.cloud.google.com/monitoring/api/metrics_gcp_p_z. Health score: docs.cloud.google.com/pubsub/docs/monitoring.
"""

from __future__ import annotations

from http import HTTPStatus

import simpy

from diagnostics.lab.recorder import Recorder
from diagnostics.lab.schedule import after

PUBSUB = "pubsub.googleapis.com"
HEALTH_WINDOW_S = 600
"""A criterion is unhealthy while what spoils it lies in the last ten minutes."""
CRITERIA = ("ack_latency", "expired_ack_deadlines", "nack_requests", "seek_requests", "utilization")
CROWDED = 1000
"""Outstanding pushes above which the page calls a push subscription's utilization unhealthy."""
SLOW_ACK_S = 30

_GRPC = {400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied", 404: "not_found", 409: "aborted"} | {
    429: "resource_exhausted", 500: "internal", 501: "unimplemented", 503: "unavailable", 504: "deadline_exceeded"
}  # fmt: skip


def response_code(status: int, style: str) -> str:
    """The response_code label of a push answered with an HTTP status, in one of the styles of `Unverified.push_code_style`."""
    if style == "http":
        return str(status)
    if style == "grpc":
        return _GRPC.get(status, "unknown")
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "unknown"


class TopicMeters:
    """Metrics of one topic."""

    def __init__(self, env: simpy.Environment, recorder: Recorder, project: str, topic: str) -> None:
        self._env = env
        self._recorder = recorder
        self._resource = {"project_id": project, "topic_id": topic}

    def published(self, size: int) -> None:
        self._count("success", "success")
        self._recorder.observe(f"{PUBSUB}/topic/message_sizes", self._resource, {}, self._env.now, size)

    def refused(self, code: str) -> None:
        self._count("invalid", code.lower())

    def _count(self, response_class: str, code: str) -> None:
        labels = {"response_class": response_class, "response_code": code}
        self._recorder.count(f"{PUBSUB}/topic/send_request_count", self._resource, labels, self._env.now)


class SubscriptionMeters:
    """Metrics of one subscription. Gauges are recorded when they change."""

    def __init__(self, env: simpy.Environment, recorder: Recorder, project: str, subscription: str) -> None:
        self._env = env
        self._recorder = recorder
        self._resource = {"project_id": project, "subscription_id": subscription}
        self._levels: dict[tuple[str, str], float | None] = {}
        self._unhealthy_until: dict[str, float] = {}
        self._nacks = 0
        for criterion in CRITERIA:
            self._level("delivery_latency_health_score", 1, {"criteria": criterion})

    def sent(self, how: str) -> None:
        self._count("sent_message_count", {"delivery_type": how})

    def answered(self, response_class: str, code: str, latency_s: float) -> None:
        """One push request, with the class and code under which Pub/Sub files its end."""
        self.refused_before_sending(response_class, code)
        labels = {"response_code": code, "delivery_type": "push"}
        self._observe("push_request_latencies", labels, latency_s * 1e6)

    def refused_before_sending(self, response_class: str, code: str) -> None:
        """One push that never became a request (no token)."""
        labels = {"response_class": response_class, "response_code": code, "delivery_type": "push"}
        self._count("push_request_count", labels)

    def acked(self, how: str, latency_s: float) -> None:
        self._count("ack_message_count", {"delivery_type": how})
        self._observe("ack_latencies", {"delivery_type": how}, latency_s * 1e3)
        if latency_s > SLOW_ACK_S:
            self._spoil("ack_latency")

    def filtered(self) -> None:
        self._count("ack_message_count", {"delivery_type": "filter"})

    def dead_lettered(self) -> None:
        self._count("dead_letter_message_count", {"response_code": "success"})
        self._count("ack_message_count", {"delivery_type": "pull"})

    def nacked(self, how: str, expired: bool) -> None:
        """A nack, or (expired) an ack deadline that passed without an answer."""
        if expired:
            self._spoil("expired_ack_deadlines")
            if how == "pull":  # of pushes, push_request_count tells
                self._count("expired_ack_deadlines_count", {"delivery_type": how})
            return
        self._nacks += 1
        self._level("nack_requests", self._nacks, {"delivery_type": how})
        self._spoil("nack_requests")

    def asked(self, what: str) -> None:
        """A request for messages: pull_request_count or mod_ack_deadline_request_count. An empty pull counts, too."""
        self._count(f"{what}_request_count", {"response_class": "success", "response_code": "success"})

    def deadline_moved(self) -> None:
        self._count("mod_ack_deadline_message_count", {"delivery_type": "pull"})

    def sought(self) -> None:
        self._count("seek_request_count", {"response_code": "success"})
        self._spoil("seek_requests")

    def backlog(self, unacked: int, oldest: float | None) -> None:
        """Number of unacked messages and the publish time of the oldest."""
        self._level("num_undelivered_messages", unacked, {})
        key = ("oldest_unacked_message_age", "")
        if key not in self._levels or self._levels[key] != oldest:
            self._levels[key] = oldest
            name = f"{PUBSUB}/subscription/oldest_unacked_message_age"
            self._recorder.age_of_oldest(name, self._resource, {}, self._env.now, oldest)

    def outstanding(self, pushes: int) -> None:
        self._level("num_outstanding_messages", pushes, {})
        if pushes > CROWDED:
            self._spoil("utilization")

    def end(self) -> None:
        """The subscription is gone: its series become absent."""
        for name, label in list(self._levels):
            labels = {"criteria": label} if label in CRITERIA else {"delivery_type": label} if label else {}
            self._recorder.level(f"{PUBSUB}/subscription/{name}", self._resource, labels, self._env.now, None)
        self._levels.clear()
        self._unhealthy_until.clear()

    def _spoil(self, criterion: str) -> None:
        until = self._env.now + HEALTH_WINDOW_S
        waiting = criterion in self._unhealthy_until
        self._unhealthy_until[criterion] = until
        self._level("delivery_latency_health_score", 0, {"criteria": criterion})
        if not waiting:
            self._recover_after(criterion, HEALTH_WINDOW_S)

    def _recover_after(self, criterion: str, delay: float) -> None:
        after(self._env, delay, lambda: self._recover(criterion))

    def _recover(self, criterion: str) -> None:
        until = self._unhealthy_until.get(criterion)
        if until is None:
            return
        if until > self._env.now:
            self._recover_after(criterion, until - self._env.now)
            return
        del self._unhealthy_until[criterion]
        self._level("delivery_latency_health_score", 1, {"criteria": criterion})

    def _count(self, name: str, labels: dict[str, str]) -> None:
        self._recorder.count(f"{PUBSUB}/subscription/{name}", self._resource, labels, self._env.now)

    def _observe(self, name: str, labels: dict[str, str], value: float) -> None:
        self._recorder.observe(f"{PUBSUB}/subscription/{name}", self._resource, labels, self._env.now, value)

    def _level(self, name: str, value: float, labels: dict[str, str]) -> None:
        key = (name, next(iter(labels.values()), ""))
        if self._levels.get(key) != value:
            self._levels[key] = value
            self._recorder.level(f"{PUBSUB}/subscription/{name}", self._resource, labels, self._env.now, value)


class SnapshotMeters:
    """Metrics of one snapshot."""

    def __init__(self, env: simpy.Environment, recorder: Recorder, project: str, snapshot: str) -> None:
        self._env = env
        self._recorder = recorder
        self._resource = {"project_id": project, "snapshot_id": snapshot}

    def retained(self, messages: int, size: int, oldest: float | None) -> None:
        """Number and bytes of the messages that it retains, and the publish time of the oldest."""
        self._level("num_messages", messages)
        self._level("backlog_bytes", size)
        name = f"{PUBSUB}/snapshot/oldest_message_age"
        self._recorder.age_of_oldest(name, self._resource, {}, self._env.now, oldest)

    def end(self) -> None:
        """The snapshot is gone: its series become absent."""
        for name in ("num_messages", "backlog_bytes", "oldest_message_age"):
            self._level(name, None)

    def _level(self, name: str, value: float | None) -> None:
        self._recorder.level(f"{PUBSUB}/snapshot/{name}", self._resource, {}, self._env.now, value)
