"""google.logging.v2 LoggingServiceV2: ListLogEntries."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice, takewhile
from operator import attrgetter
from typing import Any, NamedTuple

from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2 import types
from google.protobuf import json_format

from diagnostics.lab.query.logging import LogQuery, parse
from diagnostics.lab.query.tokens import FilterError
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import RpcError, denied, invalid, quota
from diagnostics.lab.servers.pages import next_token, read_cursor

DEFAULT_PAGE, MAX_PAGE, MAX_RESOURCES = 50, 1000, 100
DAY_S = 86400.0
LIST, VIEW = "logging.logEntries.list", "logging.views.access"
"""To read a project's logs, and to read those that a view shows: who has only the second names the view."""
RETENTION_S = {"cloudaudit.googleapis.com/activity": 400 * DAY_S, "cloudaudit.googleapis.com/system_event": 400 * DAY_S}
"""The _Required bucket keeps 400 days, everything else is in _Default."""
DEFAULT_RETENTION_S = 30 * DAY_S
PARTS = (0.0, 0.05, 0.3, 0.7)
"""Of the time that is left, what a search may get through before it has to answer."""
LEAST_S = 60.0
"""So little of the log is always searched to its end."""
LAST_ID = "\uffff"
"""After every insert id."""
ORDERS = {"": False, "timestamp asc": False, "timestamp desc": True}

LogEntryMessage = types.LogEntry.pb()
_order = attrgetter("timestamp", "insert_id")


def list_log_entries(cloud: Cloud, request: Any) -> Any:
    """Entries that match, in the order asked; equal timestamps by insert id."""
    if not cloud.log_reads.take():
        number = cloud.world.number
        raise quota("Read requests", "Read requests per minute", "logging.googleapis.com", number)
    places = _places(cloud, list(request.resource_names))
    if not 0 <= request.page_size <= MAX_PAGE:
        raise invalid(f"page_size must be 0 to {MAX_PAGE}, got {request.page_size}.")
    if request.order_by not in ORDERS:
        raise invalid(
            f'Invalid order_by "{request.order_by}": only "timestamp asc" and "timestamp desc" are supported.'
        )
    newest_first = ORDERS[request.order_by]
    try:
        query = parse(request.filter, cloud.world.project)
    except FilterError as error:
        raise invalid(str(error)) from error
    same = (request.filter, request.order_by, *request.resource_names)
    cursor = read_cursor(request.page_token, *same)
    after = tuple(cursor.place) if cursor.place else None
    size = request.page_size or DEFAULT_PAGE
    end = _searched_to(cloud, query, newest_first, after, f"{request.filter} page {cursor.page}")
    matching: Iterator[LogEntry] = (
        e for e in _matching(cloud, query, newest_first, after) if any(p.holds(cloud, e) for p in places)
    )
    if end is not None:
        matching = takewhile(lambda e: e.timestamp >= end if newest_first else e.timestamp <= end, matching)
    found = list(islice(matching, size + 1))
    response = types.ListLogEntriesResponse.pb()(entries=[_message(cloud, e) for e in found[:size]])
    if len(found) > size:
        response.next_page_token = next_token(cursor, _order(found[size - 1]), *same)
    elif end is not None:
        response.next_page_token = next_token(cursor, (end, "" if newest_first else LAST_ID), *same)
    return response


def _searched_to(
    cloud: Cloud, query: LogQuery, newest_first: bool, after: tuple[Any, ...] | None, call: str
) -> float | None:
    """How far this call has time to search; None: to the end.

    A page that is empty and has a token is documented (logging.proto): the search ran out of time and goes on with the token. How far
    one call gets, and how often that happens, is not.
    """
    drawn = zlib.crc32(call.encode())
    seconds = cloud.searches_s
    if seconds is None:
        if drawn % 1000 >= 1000 * cloud.lab.unverified.short_log_pages:
            return None
        seconds = 0.0
    now = cloud.lab.now()
    since, until = max(query.since, now - max(RETENTION_S.values())), min(query.until, now)
    at = float(after[0]) if after else until if newest_first else since
    left = at - since if newest_first else until - at
    part = seconds or left * PARTS[drawn // 1000 % len(PARTS)]
    return None if left <= max(part, LEAST_S) else at - part if newest_first else at + part


def _home(cloud: Cloud, entry: LogEntry) -> str:
    """Id of the project that the entry is of."""
    return entry.resource_labels.get("project_id", cloud.world.project)


class _Place(NamedTuple):
    """A project, or the bucket of it that a view is of."""

    project: str
    bucket: str = ""

    def holds(self, cloud: Cloud, entry: LogEntry) -> bool:
        required = entry.log in RETENTION_S
        return _home(cloud, entry) == self.project and (not self.bucket or required == (self.bucket == "_Required"))


def _places(cloud: Cloud, names: list[str]) -> list[_Place]:
    """What is asked for. Raises RpcError. Of the buckets, every project has those two; a view of either shows all of it."""
    if not 1 <= len(names) <= MAX_RESOURCES:
        raise invalid(f"resource_names must name 1 to {MAX_RESOURCES} resources.")
    places = []
    for name in names:
        match = re.fullmatch(r"projects/([^/]+)(?:/locations/global/buckets/(_Default|_Required)/views/[^/]+)?", name)
        if match is None:
            raise invalid(
                f'Invalid or unsupported resource name "{name}": expected projects/PROJECT, or a view of a bucket of it.'
            )
        project, needed = cloud.world.id_of(match[1]), VIEW if match[2] else LIST
        if not project or needed not in cloud.held_in(f"projects/{match[1]}"):
            raise denied("google.logging.v2.LoggingServiceV2", needed, name)
        places.append(_Place(project, match[2] or ""))
    return places


_SLACK_S = 1e-6
"""Logs are searched by times that are rounded to the microsecond."""


def _matching(cloud: Cloud, query: LogQuery, newest_first: bool, after: tuple[Any, ...] | None) -> Iterator[LogEntry]:
    """Entries that can be read now, match, and come after the last one of the page before."""
    now, since, until = cloud.lab.now(), query.since, query.until
    if after is not None:  # what is before it was given already, however much that is
        last = float(after[0])
        since, until = (since, min(until, last + _SLACK_S)) if newest_first else (max(since, last - _SLACK_S), until)
    for entry in merge(*_slices(cloud, query, newest_first, now, since, until), key=_order, reverse=newest_first):
        if after is not None and not (_order(entry) < after if newest_first else _order(entry) > after):
            continue
        yield entry


def _slices(
    cloud: Cloud, query: LogQuery, newest_first: bool, now: float, since: float, until: float
) -> Iterator[Iterator[LogEntry]]:
    """Per log, the entries within its retention and these bounds that can be read now and match, in order."""
    logs = cloud.telemetry.log_ids() if query.logs is None else sorted(query.logs)
    for log in logs:
        entries = cloud.telemetry.log_entries(log)
        kept_since = now - RETENTION_S.get(log, DEFAULT_RETENTION_S)
        places = entries.between(max(kept_since, since), until)
        yield _found(entries.at(reversed(places) if newest_first else places), query, now)


def _found(entries: Iterable[LogEntry], query: LogQuery, now: float) -> Iterator[LogEntry]:
    matches = query.matches
    return (entry for entry in entries if entry.received <= now and matches(entry))


# --- messages --------------------------------------------------------------------------------------------------------


def _message(cloud: Cloud, entry: LogEntry) -> Any:
    project = _home(cloud, entry)
    message = LogEntryMessage(
        log_name=f"projects/{project}/logs/{entry.log.replace('/', '%2F')}",
        resource={"type": entry.resource_type, "labels": entry.resource_labels},
        severity=entry.severity,
        insert_id=entry.insert_id,
        labels=entry.labels,
        trace=entry.trace,
        operation=entry.operation,
    )
    message.timestamp.FromMicroseconds(round(entry.timestamp * 1e6))
    message.receive_timestamp.FromMicroseconds(round(entry.received * 1e6))
    if entry.text is not None:
        message.text_payload = entry.text
    elif entry.json is not None:
        message.json_payload.update(entry.json)
    elif entry.proto is not None:
        message.proto_payload.Pack(_audit(entry.proto))
    if entry.http is not None:
        _fill_http(message.http_request, entry.http)
    return message


HTTP_TEXT = {
    "requestMethod": "request_method", "requestUrl": "request_url", "userAgent": "user_agent", "remoteIp": "remote_ip",
    "serverIp": "server_ip", "referer": "referer", "protocol": "protocol",
}  # fmt: skip
HTTP_NUMBERS = {"status": "status", "requestSize": "request_size", "responseSize": "response_size"}


def _fill_http(message: Any, http: dict[str, Any]) -> None:
    for name, value in http.items():
        if name in HTTP_TEXT:
            setattr(message, HTTP_TEXT[name], value)
        elif name in HTTP_NUMBERS:
            setattr(message, HTTP_NUMBERS[name], int(value))
        elif name == "latency":
            message.latency.FromMicroseconds(round(float(value) * 1e6))
        else:
            raise RpcError("INTERNAL", f"the lab wrote an httpRequest with an unknown field {name}")


def _audit(payload: dict[str, Any]) -> Any:
    fields = {k: v for k, v in payload.items() if k != "@type"}
    return json_format.ParseDict(fields, audit_log_pb2.AuditLog())


METHODS: tuple[Method, ...] = (
    Method(
        "google.logging.v2.LoggingServiceV2/ListLogEntries",
        types.ListLogEntriesRequest.pb(),
        list_log_entries,
        lambda r: VIEW if r.resource_names and all("/views/" in name for name in r.resource_names) else LIST,
        lambda r: r.filter,
    ),
)
