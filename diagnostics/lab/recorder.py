"""What the moving parts of the lab report to telemetry. They say what happened; `telemetry` decides who sees what of it, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

Labels = Mapping[str, str]


class LogEntry(Struct, array_like=True, gc=False):
    """One log entry as Cloud Logging would hold it. Times are simulated seconds since the epoch."""

    log: str
    """Log id: run.googleapis.com/requests, run.googleapis.com/stdout, cloudaudit.googleapis.com/activity, …"""
    timestamp: float
    received: float
    """When Cloud Logging took it; it can be read from then on."""
    severity: str
    resource_type: str
    resource_labels: dict[str, str]
    labels: dict[str, str] = {}
    text: str | None = None
    json: dict[str, Any] | None = None
    proto: dict[str, Any] | None = None
    """protoPayload of an audit entry, in the JSON form of google.cloud.audit.AuditLog."""
    http: dict[str, Any] | None = None
    """httpRequest: requestMethod, requestUrl, status (int), latency (seconds, float), userAgent, remoteIp, requestSize, …"""
    trace: str = ""
    insert_id: str = ""
    operation: dict[str, Any] = {}
    """id, producer, first, last: of a call whose begin and end are logged apart."""


class Recorder(Protocol):
    """The recording half of telemetry. Metric names are full types; `resource` holds the monitored resource's labels."""

    def count(self, metric: str, resource: Labels, labels: Labels, at: float, n: float = 1) -> None:
        """Add n to a DELTA metric at a moment."""

    def observe(self, metric: str, resource: Labels, labels: Labels, at: float, value: float) -> None:
        """Add one value to a distribution metric, in the metric's own unit."""

    def level(self, metric: str, resource: Labels, labels: Labels, at: float, value: float | None) -> None:
        """Set a gauge from this moment on; None ends the series (it becomes absent)."""

    def age_of_oldest(self, metric: str, resource: Labels, labels: Labels, at: float, born: float | None) -> None:
        """Set an age gauge: each sample is sample time minus `born`; born None means no unacked message (age 0)."""

    def log(self, entry: LogEntry) -> None:
        """Write a log entry."""
