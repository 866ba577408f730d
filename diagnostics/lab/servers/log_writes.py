"""google.logging.v2 LoggingServiceV2: WriteLogEntries."""

from __future__ import annotations

import re
import zlib
from typing import Any
from urllib.parse import unquote

from google.cloud.logging_v2 import types
from google.logging.type import log_severity_pb2
from google.protobuf import json_format

from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import denied, invalid

SERVICE = "google.logging.v2.LoggingServiceV2"
CREATE = "logging.logEntries.create"
GOOGLES = ("cloudaudit.googleapis.com/", "run.googleapis.com/")
"""Logs that only Google writes."""
DAY_S = 86400.0
KEPT_S = 30 * DAY_S
SLOWEST_INGEST_S = 6.0


def write_log_entries(cloud: Cloud, request: Any) -> Any:
    """Write entries; they can be read some seconds later. One with the insert id, time and log of another is not written again."""
    if not request.entries:
        raise invalid("entries must not be empty.")
    now = cloud.lab.now()
    written = [_entry(cloud, request, entry, now) for entry in request.entries]
    if not request.dry_run:
        for entry in written:
            if now - KEPT_S <= entry.timestamp <= now + DAY_S and not _is_there(cloud, entry):
                cloud.lab.recorder.log(entry)
                # Insert ids are given when none is; the delay follows from it, so that nothing else moves.
                entry.received = now + 0.5 + zlib.crc32(entry.insert_id.encode()) % 1000 / 1000 * SLOWEST_INGEST_S
    return types.WriteLogEntriesResponse.pb()()


def _entry(cloud: Cloud, request: Any, entry: Any, now: float) -> LogEntry:
    resource = entry.resource if entry.HasField("resource") else request.resource
    if not resource.type:
        raise invalid("A log entry needs a monitored resource.")
    kind = entry.WhichOneof("payload")
    if kind not in ("text_payload", "json_payload"):
        raise invalid("A log entry written here has a text_payload or a json_payload.")
    return LogEntry(
        log=_log_id(cloud, entry.log_name or request.log_name),
        timestamp=entry.timestamp.ToMicroseconds() / 1e6 if entry.HasField("timestamp") else now,
        received=now,
        severity=log_severity_pb2.LogSeverity.Name(entry.severity),
        resource_type=resource.type,
        resource_labels={"project_id": cloud.world.project, **resource.labels},
        labels={**request.labels, **entry.labels},
        text=entry.text_payload if kind == "text_payload" else None,
        json=json_format.MessageToDict(entry.json_payload) if kind == "json_payload" else None,
        trace=entry.trace,
        insert_id=entry.insert_id,
    )


def _log_id(cloud: Cloud, name: str) -> str:
    project, encoded = split_name(name, "projects/*/logs/*")
    log = unquote(encoded)
    if not re.fullmatch(r"[\w/.-]{1,511}", log, re.ASCII):
        raise invalid(f"Invalid log name {name!r}.")
    if not cloud.is_project(project) or log.startswith(GOOGLES):
        raise denied(SERVICE, CREATE, name)
    return log


def _is_there(cloud: Cloud, entry: LogEntry) -> bool:
    same = (entry.insert_id, entry.timestamp)
    return bool(entry.insert_id) and any(
        (e.insert_id, e.timestamp) == same for e in cloud.telemetry.log_entries(entry.log)
    )


METHODS: tuple[Method, ...] = (
    Method(
        f"{SERVICE}/WriteLogEntries",
        types.WriteLogEntriesRequest.pb(),
        write_log_entries,
        CREATE,
        lambda r: r.log_name or (r.entries[0].log_name if r.entries else ""),
    ),
)
