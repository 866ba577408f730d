"""Entries from Cloud Logging: how a query is put together, and how an entry is read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from diagnostics.evidence.model import Provenance, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.sources.route import Receiver
from diagnostics.transport.call import NotThere, Pages, pages
from diagnostics.transport.clients import load
from diagnostics.transport.rpcs import LOG_ENTRIES
from diagnostics.transport.session import Session

PAGE_SIZE = 1000
"""The largest page that Google takes (logging.proto)."""
FILTER_CHARACTERS = 20_000
"""The longest filter that Google takes (logging.proto)."""
KEPT = timedelta(days=30)
"""How long the _Default bucket keeps entries, unless it is told otherwise (cloud.google.com/logging/quotas)."""
DELAY = timedelta(seconds=10)
"""How late an entry may be read: received ten seconds after its timestamp in a public sample."""

REQUESTS = "run.googleapis.com/requests"
STDOUT, STDERR = "run.googleapis.com/stdout", "run.googleapis.com/stderr"
SYSTEM = "run.googleapis.com/varlog/system"


def entries(
    session: Session, project: str, query: str, *, most: int = 1, page_size: int = PAGE_SIZE, newest_first: bool = True
) -> Pages:
    """Entries that match, at most `most` pages of them. Raises NotSeen."""
    if len(query) > FILTER_CHARACTERS:
        raise NotSeen(
            Why.NOT_CONFIGURED,
            f"the profile's markers make a log filter of {len(query)} characters; Google takes 20,000",
        )
    request = {
        "resource_names": [f"projects/{project}"],
        "filter": query,
        "order_by": "timestamp desc" if newest_first else "timestamp asc",
        "page_size": page_size,
    }
    try:
        return pages(session, LOG_ENTRIES, request, "entries", most=most)
    except NotThere as error:
        raise NotSeen(Why.FAILED, f"Cloud Logging does not know the project {project}: {error}") from error


def still_kept(session: Session, since: datetime, until: datetime, found: Pages, kept: timedelta = KEPT) -> Pages:
    """What was found, said to be partial where the window begins before the oldest entries that are kept for sure.

    Raises NotSeen when the whole window lies there and nothing was found: absence then says nothing. A log bucket may keep longer.
    """
    limit = session.now - kept
    if since >= limit or any(moment(entry.timestamp) < limit for entry in found.items):
        return found
    if until < limit and not found.items:
        raise NotSeen(Why.EXPIRED, f"logs are kept {kept.days} days, and the window ended {until:%Y-%m-%d}")
    note = f"what was logged before {limit:%Y-%m-%dT%H:%MZ} is no longer kept"
    return Pages(found.items, False, "; ".join(filter(None, (found.note, note))))


def log_provenance(session: Session, source: str, project: str, query: str, until: datetime, of: Pages) -> Provenance:
    return Provenance(
        source=source,
        query=query,
        by_hand=f"gcloud logging read {shlex.quote(query)} --project={shlex.quote(project)} --order=desc --limit=1000",
        fetched_at=session.now,
        as_of=min(until, session.now - DELAY),
        complete=of.complete,
        note=of.note,
    )


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
    return both(f'timestamp>="{_rfc3339(since)}"', f'timestamp<="{_rfc3339(until)}"')


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
    return unquote(entry.log_name.partition("/logs/")[2])


def trace_id(entry: Any) -> str:
    """The trace without its project, so that lines of one request compare equal."""
    return str(entry.trace.rpartition("/")[2])


def field(entry: Any, path: str) -> str:
    """A field by its name in a filter: textPayload, or jsonPayload.a.b; empty where the entry lacks it."""
    if path == "textPayload":
        return str(entry.text_payload)
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
    message = field(entry, "jsonPayload.message")
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


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
