"""Entries of Cloud Logging: how a filter is put together, and how an entry is read."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote

from diagnostics.sources.route import Receiver
from diagnostics.transport.clients import load

KEPT = timedelta(days=30)
"""How long the _Default bucket keeps entries, unless it is told otherwise (cloud.google.com/logging/quotas)."""
DELAY = timedelta(seconds=10)
"""How late an entry may be read: received ten seconds after its timestamp in a public sample."""

REQUESTS = "run.googleapis.com/requests"
STDOUT, STDERR = "run.googleapis.com/stdout", "run.googleapis.com/stderr"
SYSTEM = "run.googleapis.com/varlog/system"
MESSAGE = "jsonPayload.message"
"""Where a structured entry has its line: Cloud Logging shows it as the text (cloud.google.com/logging/docs/structured-logging)."""


# --- putting a filter together: always with parentheses, since OR binds stronger than AND -------------------------------


def both(*parts: str) -> str:
    return " AND ".join(part for part in parts if part)


def either(parts: Iterable[str]) -> str:
    listed = list(parts)
    return listed[0] if len(listed) == 1 else "(" + " OR ".join(listed) + ")"


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def logs(*ids: str) -> str:
    return either(f"log_id({quoted(log)})" for log in ids)


def between(since: datetime, until: datetime) -> str:
    return both(f'timestamp>="{rfc3339(since)}"', f'timestamp<="{rfc3339(until)}"')


class Lines(NamedTuple):
    """Some lines of one service: in which logs, and what a filter says of them besides."""

    receiver: Receiver
    logs: tuple[str, ...]
    detail: str
    through_api: bool = False
    """Written through the Logging API: the entry may name another kind of resource and no service."""


def of_lines(asked: Sequence[Lines]) -> str:
    """A filter for all of these in one query; empty for none. What Google has an index for stands at its top level, where it makes
    the search shorter: resource type, service, location and log (docs.cloud.google.com/logging/docs/analyze/custom-index)."""
    if not asked:
        return ""
    listed = logs(*_distinct(log for a in asked for log in a.logs))
    if any(a.through_api for a in asked):
        return both(listed, either(f"({both(_named(a), logs(*a.logs), a.detail)})" for a in asked))
    top = both(
        'resource.type="cloud_run_revision"',
        one_of("resource.labels.service_name", _distinct(a.receiver.service for a in asked)),
        one_of("resource.labels.location", _distinct(a.receiver.region for a in asked)),
        listed,
    )
    if len(asked) == 1:
        return both(top, asked[0].detail)
    return both(top, either(f"({both(_named(a), logs(*a.logs), a.detail)})" for a in asked))


def _named(lines: Lines) -> str:
    name = f"resource.labels.service_name={quoted(lines.receiver.service)}"
    if lines.through_api:
        return f"({name} OR NOT resource.labels.service_name:*)"
    return both(name, f"resource.labels.location={quoted(lines.receiver.region)}")


def in_field(name: str, text: str) -> str:
    """The field, as a marker names it, contains this text."""
    places = ("textPayload", MESSAGE) if name == "textPayload" else (name,)
    return either(f"{place}:{quoted(text)}" for place in places)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def of_service(receiver: Receiver) -> str:
    return both(
        'resource.type="cloud_run_revision"',
        f"resource.labels.service_name={quoted(receiver.service)}",
        f"resource.labels.location={quoted(receiver.region)}",
    )


def one_of(field: str, values: Sequence[str]) -> str:
    """The field equals one of the values."""
    return either(f"{field}={quoted(value)}" for value in values)


# --- reading an entry ---------------------------------------------------------------------------------------------------


def moment(stamp: Any) -> datetime:
    """A google.protobuf.Timestamp."""
    return datetime.fromtimestamp(stamp.seconds, UTC) + timedelta(microseconds=stamp.nanos // 1000)


def log_id(entry: Any) -> str:
    return _log_id(entry.log_name)


@functools.lru_cache(maxsize=256)
def _log_id(name: str) -> str:
    """Few names stand in many entries."""
    return unquote(name.partition("/logs/")[2])


def trace_id(entry: Any) -> str:
    """The trace without its project, so that lines of one request compare equal."""
    return str(entry.trace.rpartition("/")[2])


def field(entry: Any, path: str) -> str:
    """A field by its name in a filter: jsonPayload.a.b, or textPayload, for which a structured entry has its message; empty where the
    entry lacks it."""
    if path == "textPayload":
        return str(entry.text_payload) or field(entry, MESSAGE)
    value: Any = entry.json_payload if entry.WhichOneof("payload") == "json_payload" else None
    for name in path.split(".")[1:]:
        if value is None or not hasattr(value, "fields") or name not in value.fields:
            return ""
        value = value.fields[name]
        kind = value.WhichOneof("kind")
        value = value.struct_value if kind == "struct_value" else None if kind == "null_value" else getattr(value, kind)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def text_of(entry: Any) -> str:
    """What a person would read: the text, the message of a structured entry, or all of it."""
    if entry.WhichOneof("payload") != "json_payload":
        return str(entry.text_payload)
    message = field(entry, MESSAGE)
    if message:
        return message
    return json.dumps(load("google.protobuf.json_format").MessageToDict(entry.json_payload), sort_keys=True)


def began(entry: Any) -> datetime:
    """When a logged request began. Google does not say whether the timestamp is its start or its end: an entry that was received
    at least the request's latency after its timestamp can only be stamped with the start, or differs from it by seconds."""
    stamp, latency = moment(entry.timestamp), latency_s(entry)
    received = moment(entry.receive_timestamp) if entry.HasField("receive_timestamp") else stamp
    return stamp if (received - stamp).total_seconds() >= latency else stamp - timedelta(seconds=latency)


def latency_s(entry: Any) -> float:
    return float(entry.http_request.latency.seconds + entry.http_request.latency.nanos / 1e9)


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
