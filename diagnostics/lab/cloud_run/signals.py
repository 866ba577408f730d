"""What Cloud Run tells Monitoring and Logging about requests, instances and lines."""

from __future__ import annotations

import random
from typing import Any

from diagnostics.lab.http import Request
from diagnostics.lab.model import World
from diagnostics.lab.recorder import LogEntry, Recorder
from diagnostics.lab.unverified import Unverified

RUN = "run.googleapis.com/"
REQUESTS, STDOUT, STDERR, SYSTEM = (RUN + log for log in ("requests", "stdout", "stderr", "varlog/system"))
RESOURCE = "cloud_run_revision"
INGEST_S = (1.0, 8.0)
"""Seconds from an event to its log entry being readable; Google says "typically seconds"."""


class Signals:
    """Telemetry of one revision. Metric names, units and labels: Monitoring's list of metrics, run.googleapis.com."""

    def __init__(
        self, world: World, service: str, revision: str, unverified: Unverified, recorder: Recorder, rng: random.Random
    ) -> None:
        self.service = service
        self._world = world
        self._unverified = unverified
        self._recorder = recorder
        self._rng = rng
        self._resource = {
            "project_id": world.home("service", service),
            "service_name": service,
            "revision_name": revision,
            "location": world.region,
            "configuration_name": service,
        }
        self._codes: dict[int, dict[str, str]] = {}
        self._labels: dict[str, dict[str, str]] = {}
        """By instance: its lines share them."""
        self._levels: dict[str, float | None] = {}

    def trace(self) -> str:
        """A new trace name."""
        return f"projects/{self._world.home('service', self.service)}/traces/{self._rng.getrandbits(128):032x}"

    def answered(self, at: float, status: int, pending_s: float, container_s: float) -> None:
        """A request that reached a container has ended; the others are in no metric of Cloud Run."""
        labels = self._codes.get(status)
        if labels is None:
            labels = {"response_code": str(status), "response_code_class": f"{status // 100}xx"}
            self._codes[status] = labels
        record, resource = self._recorder, self._resource
        record.count(RUN + "request_count", resource, labels, at)
        record.observe(RUN + "request_latencies", resource, labels, at, container_s * 1000)
        record.observe(RUN + "request_latency/pending", resource, labels, at, pending_s * 1000)
        record.observe(RUN + "request_latency/e2e_latencies", resource, labels, at, (pending_s + container_s) * 1000)

    def started(self, at: float, startup_s: float) -> None:
        self._recorder.observe(RUN + "container/startup_latencies", self._resource, {}, at, startup_s * 1000)

    def concurrency(self, at: float, peak: int) -> None:
        """The most requests that one instance worked on at once in the past minute."""
        labels = {"state": "active"}
        self._recorder.observe(RUN + "container/max_request_concurrencies", self._resource, labels, at, peak)

    def instances(self, at: float, active: int, idle: int) -> None:
        """How many instances there are; with none, the series ends."""
        gone = not active and not idle
        for state, count in (("active", active), ("idle", idle)):
            value = None if gone else float(count)
            if self._levels.get(state) != value:
                self._levels[state] = value
                self._recorder.level(RUN + "container/instance_count", self._resource, {"state": state}, at, value)

    def request(
        self,
        request: Request,
        status: int,
        start: float,
        end: float,
        trace: str,
        instance: str = "",
        text: str | None = None,
        size: int = 0,
        severity: str = "",
    ) -> None:
        """The request log entry. Without `instance` no container was reached, and the latency is 0."""
        http: dict[str, Any] = {
            "requestMethod": request.method,
            "requestUrl": f"https://{request.host}{request.path}",
            "requestSize": 900 + len(request.body),
            "status": status,
            "responseSize": 200 + size,
            "userAgent": request.user_agent,
            "remoteIp": request.remote_ip,
            "serverIp": "216.239.36.53",
            "latency": end - start if instance else 0.0,
            "protocol": "HTTP/1.1",
        }
        self._log(
            REQUESTS,
            start if self._unverified.request_log_time == "start" else end,
            severity or ("INFO" if status < 400 else "WARNING" if status < 500 else "ERROR"),
            instance,
            end,
            text,
            http=http,
            trace=trace,
        )

    def line(
        self,
        log: str,
        severity: str,
        instance: str,
        at: float,
        now: float,
        text: str | None = None,
        json: dict[str, Any] | None = None,
        trace: str = "",
    ) -> None:
        """A line that a program or Cloud Run itself printed at a moment up to now."""
        self._log(log, at, severity, instance, now, text, json, trace=trace)

    def _log(
        self,
        log: str,
        at: float,
        severity: str,
        instance: str,
        now: float,
        text: str | None = None,
        json: dict[str, Any] | None = None,
        http: dict[str, Any] | None = None,
        trace: str = "",
    ) -> None:
        rng = self._rng
        low, high = INGEST_S
        labels = self._labels.get(instance)
        if labels is None:
            labels = self._labels[instance] = {"instanceId": instance} if instance else {}
        received = now + low + (high - low) * rng.random() ** 3
        insert_id = f"{rng.getrandbits(80):020x}"
        entry = LogEntry(
            log, at, received, severity, RESOURCE, self._resource, labels, text, json, None, http, trace, insert_id
        )
        self._recorder.log(entry)
