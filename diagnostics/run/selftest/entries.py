"""What log entries look like here: which logs there are, what their entries have, and whether we can read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from diagnostics.evidence.model.answered import answered_by, ended, reached
from diagnostics.evidence.model.logs import PUSHERS
from diagnostics.run.selftest.shape import plain, spread
from diagnostics.run.selftest.words import Words, account, form
from diagnostics.sources.entries import field, latency_s, log_id, moment
from diagnostics.transport.clients import load

SEVERITIES = {
    0: "DEFAULT", 100: "DEBUG", 200: "INFO", 300: "NOTICE", 400: "WARNING", 500: "ERROR", 600: "CRITICAL", 700: "ALERT",
    800: "EMERGENCY",
}  # fmt: skip
METHODS = frozenset(
    {
        "CreateTopic", "UpdateTopic", "DeleteTopic", "CreateSubscription", "UpdateSubscription", "DeleteSubscription",
        "DetachSubscription", "ModifyPushConfig", "CreateSnapshot", "UpdateSnapshot", "DeleteSnapshot", "Seek",
        "ExpireInactiveSubscription", "InternalExpireInactiveSubscription", "SetIamPolicy",
        "CreateService", "ReplaceService", "UpdateService", "DeleteService", "DeleteRevision", "CreateInternalService",
        "ReplaceInternalService", "CreateJob", "ReplaceJob", "UpdateJob", "RunJob", "DeleteJob",
        "CreateServiceAccount", "DeleteServiceAccount", "UndeleteServiceAccount", "DisableServiceAccount", "EnableServiceAccount",
        "UpdateServiceAccount", "PatchServiceAccount", "SetServiceAccountPolicy", "CreateServiceAccountKey",
        "DeleteServiceAccountKey", "CreateRole", "UpdateRole", "DeleteRole", "UndeleteRole", "actAs",
    }
)  # fmt: skip
"""Last parts of the methods in audit logs that the code has been told of; another one is only listed as what it is called."""
OF_RUN = frozenset({"project_id", "service_name", "revision_name", "configuration_name", "location"})
"""Labels of the resource cloud_run_revision (cloud.google.com/logging/docs/api/v2/resource-list)."""
SLOW_S, AT_ONCE_S, LONG_S, SOON_S = 2.0, 1.0, 30.0, 5.0
"""A request that took so long tells by the arrival of its entry whether that is stamped with its begin or its end: one that arrives
before it can have ended is stamped with its end; one that took very long and arrives just then, with its begin."""


class Entries:
    """Tallies over entries, by log."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._logs: dict[str, dict[str, Counter[str]]] = {}
        self._delays: dict[str, list[float]] = {}
        self._requests: dict[str, Counter[str]] = {}
        self._audit: dict[str, Counter[str]] = {}
        self._seen: set[tuple[str, str]] = set()
        self.odd: Counter[str] = Counter()

    def add(self, found: Iterable[Any]) -> None:
        """Count these in, each entry once however often it was read."""
        for entry in found:
            key = (entry.log_name, f"{entry.insert_id} {entry.timestamp.seconds}.{entry.timestamp.nanos}")
            if key in self._seen:
                continue
            self._seen.add(key)
            self._entry(entry)

    def told(self) -> dict[str, Any]:
        logs = {
            log: {**plain(tallies), "arrived_after": spread(self._delays[log])} for log, tallies in self._logs.items()
        }
        return {"logs": dict(sorted(logs.items())), "requests": plain(self._requests), "audit": plain(self._audit)}

    def count(self, part: str, what: str) -> Counter[str]:
        """One tally: of "requests" or "audit" by its name."""
        return {"requests": self._requests, "audit": self._audit}[part].get(what, Counter())

    def logs(self, what: str) -> dict[str, Counter[str]]:
        """One tally of every log."""
        return {log: tallies[what] for log, tallies in self._logs.items() if what in tallies}

    def delays(self) -> dict[str, list[float]]:
        return self._delays

    def _entry(self, entry: Any) -> None:
        log = self._words.name(log_id(entry))
        payload = entry.WhichOneof("payload") or "none"
        severity = SEVERITIES.get(entry.severity)
        if severity is None:
            self.odd[f"an entry of {log} has the severity {entry.severity}, which is not known"] += 1
        self._of(log, "payload", payload)
        self._of(log, "severity", f"{severity or entry.severity} {payload}")
        self._of(log, "resource", self._words.name(entry.resource.type))
        self._of(log, "trace", "with a trace" if entry.trace else "without")
        for name in entry.resource.labels:
            self._of(log, "resource labels", self._words.name(name))
            if entry.resource.type == "cloud_run_revision" and name not in OF_RUN:
                self.odd[
                    f"an entry of {log} has the label {self._words.name(name)} of its resource, which is not known"
                ] += 1
        for name in entry.labels:
            self._of(log, "labels", self._words.name(name))
        for one, _ in entry.ListFields():
            self._of(log, "fields", one.name)
        if payload == "json_payload":
            for name in entry.json_payload.fields:
                self._of(log, "json fields", self._words.name(name))
        if entry.HasField("receive_timestamp"):
            delay = (moment(entry.receive_timestamp) - moment(entry.timestamp)).total_seconds()
            self._delays.setdefault(log, []).append(delay)
        self._delays.setdefault(log, [])
        if entry.HasField("http_request"):
            self._request(entry, log)
        if payload == "proto_payload":
            self._proto(entry, log)

    def _of(self, log: str, what: str, value: str) -> None:
        self._logs.setdefault(log, {}).setdefault(what, Counter())[value] += 1

    # --- requests ---------------------------------------------------------------------------------------------------

    def _request(self, entry: Any, log: str) -> None:
        http, text = entry.http_request, entry.text_payload
        instance = entry.labels.get("instanceId", "")
        by, how = answered_by(http.status, instance, text), ended(http.status, instance, text)
        seen = "reached the program" if reached(http.status, instance, text) else "did not reach it"
        row = f"{http.status} read as {by.value}{f' {how.value}' if how else ''}, {seen}, {'with' if instance else 'without'} instance"
        self._at("requests", "answers", row)
        self._at("requests", "logs", log)
        if text:
            self._at("requests", "sentences", f"{http.status}: {self._words.sentence(text)}")
            if how is None and not (http.status in (401, 403) and not instance):
                self.odd[
                    f"a request was answered with {http.status} and a sentence that is not known: {self._words.sentence(text)}"
                ] += 1
        if details := field(entry, "jsonPayload.statusDetails"):
            self._at("requests", "of a load balancer", f"{http.status}: {self._words.name(details)}")
        self._at("requests", "callers", _caller(http.user_agent, self._words))
        if "UptimeChecks" in http.user_agent:
            self._at("requests", "uptime checks", str(http.status))
        self._at("requests", "method", self._words.name(http.request_method))
        self._at("requests", "address", form(http.request_url))
        self._at("requests", "timestamp", stamped_with(entry))
        for one, _ in http.ListFields():
            self._at("requests", "fields", one.name)

    # --- audit logs ---------------------------------------------------------------------------------------------------

    def _proto(self, entry: Any, log: str) -> None:
        payload = load("google.cloud.audit.audit_log_pb2").AuditLog()
        if not entry.proto_payload.Unpack(payload):
            name = self._words.name(entry.proto_payload.type_url.rpartition("/")[2])
            self.odd[f"an entry of {log} holds a {name}, which is not read"] += 1
            return
        method = self._words.name(payload.method_name)
        last = payload.method_name.rpartition("/")[2].rpartition(".")[2]
        if last not in METHODS and last.lower() != "setiampolicy":
            self.odd[f"the audit log has a method that is not known: {method}"] += 1
        who = payload.authentication_info.principal_email
        self._at("audit", "methods", f"{method} in {log.rpartition('/')[2]}, by {account(who) if who else 'nobody'}")
        self._at("audit", "services", self._words.name(payload.service_name))
        labels = [self._words.name(k) + ("" if v else " (empty)") for k, v in sorted(entry.resource.labels.items())]
        self._at(
            "audit",
            "resources",
            f"{method}: {self._words.name(entry.resource.type)} with {', '.join(labels) or 'no labels'}",
        )
        self._at("audit", "names", f"{method}: {form(payload.resource_name)}")
        self._at(
            "audit", "outcomes", f"{method}: {'done' if payload.status.code == 0 else f'code {payload.status.code}'}"
        )
        self._holds(method, payload)
        if entry.HasField("operation"):
            part = "first" if entry.operation.first else "last" if entry.operation.last else "between"
            self._at("audit", "operations", f"{method}: {part}")
        if last.lower() == "setiampolicy":
            self._at("audit", "policy changes", f"{self._words.name(payload.service_name)}: {_delta(payload)}")

    def _holds(self, method: str, payload: Any) -> None:
        for part in ("request", "response", "metadata"):
            if payload.HasField(part):
                keys = sorted(self._words.name(key) for key in getattr(payload, part).fields)
                self._at("audit", part, f"{method}: {', '.join(keys[:12])}")
        if payload.HasField("service_data"):
            kind = self._words.name(payload.service_data.type_url.rpartition("/")[2])
            self._at("audit", "service data", f"{method}: {kind}")

    def _at(self, part: str, what: str, value: str) -> None:
        tallies = self._requests if part == "requests" else self._audit
        tallies.setdefault(what, Counter())[value] += 1


def stamped_with(entry: Any) -> str:
    """Whether the entry of a request bears the time of its begin or of its end, where that can be told."""
    if not entry.HasField("receive_timestamp") or latency_s(entry) < SLOW_S:
        return "cannot be told: too quick"
    arrived = (moment(entry.receive_timestamp) - moment(entry.timestamp)).total_seconds()
    if arrived < latency_s(entry) - AT_ONCE_S:
        return "end"
    just_then = latency_s(entry) >= LONG_S and arrived - latency_s(entry) < SOON_S
    return "begin" if just_then else "begin, or end and arrived late"


def _caller(agent: str, words: Words) -> str:
    """The kind of caller by its user agent; another one by its known words."""
    for name in (
        *PUSHERS,
        "UptimeChecks",
        "pubsub-diag",
        "Google-Cloud-Scheduler",
        "Google-Cloud-Tasks",
        "GoogleHC",
        "curl",
    ):
        if name in agent:
            return name
    return words.name(agent.partition(" ")[0]) if agent else "none"


def _delta(payload: Any) -> str:
    """Where a change of a policy says what it changed."""
    if payload.HasField("service_data"):
        return "in serviceData"
    if payload.HasField("metadata") and "policyDelta" in payload.metadata.fields:
        return "in metadata"
    held = [part for part in ("request", "response") if payload.HasField(part) and _has_policy(getattr(payload, part))]
    return f"only the policy, in {' and '.join(held)}" if held else "nowhere"


def _has_policy(structure: Any) -> bool:
    return bool({"policy", "bindings", "etag"} & set(structure.fields))
