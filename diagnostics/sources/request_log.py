"""What Cloud Run logged about requests and instances of the services that receive pushes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.model import FINE_AT_MOST, LogRow, PlatformLine, PlatformLines, RequestLog, Unseen, Why
from diagnostics.evidence.model.answered import death
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Window
from diagnostics.sources.entries import (
    REQUESTS,
    STDERR,
    STDOUT,
    SYSTEM,
    Lines,
    began,
    between,
    both,
    either,
    latency_s,
    log_id,
    logs,
    moment,
    of_lines,
    of_service,
    one_of,
    quoted,
    text_of,
)
from diagnostics.sources.route import Push, Receiver, Services, log_places
from diagnostics.sources.search import log_provenance, search, still_kept
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.session import Session

LINES = 100
"""Platform lines, and likewise ERROR lines, that are kept per service."""
DIES = ("WORKER TIMEOUT", "failed to boot")
"""With these words gunicorn prints, as plain text, that a worker of it dies."""
DEATHS, LAST_WORDS = 5, 60
"""Containers whose last lines are read, and so many lines of all of them."""
BEFORE_DEATH, AFTER_DEATH = timedelta(seconds=60), timedelta(seconds=5)
SEVERITY = {
    0: "DEFAULT", 100: "DEBUG", 200: "INFO", 300: "NOTICE", 400: "WARNING", 500: "ERROR", 600: "CRITICAL", 700: "ALERT",
    800: "EMERGENCY",
}  # fmt: skip
"""google.logging.type.LogSeverity."""


class FineRequests(Struct, frozen=True, kw_only=True):
    """Newest requests below 300 of both services, by service: one query, since queries are scarce."""

    rows: dict[str, tuple[LogRow, ...]]
    reached: datetime
    """All since then were read."""
    note: str = ""
    """Why the search went no further, where that was not for having found enough."""


def fine_requests(session: Session, pipeline: PipelineProfile, services: Services, window: Window) -> FineRequests:
    known = [r for r in (services.worker, services.coordinator) if r]
    if not known:
        raise NotSeen(Why.NOT_CONFIGURED, services.why or "neither service is known")
    clause = of_lines([Lines(r, (REQUESTS,), "httpRequest.status<300") for r in known])
    most = 2 * FINE_AT_MOST * len(known)
    read = search(session, log_places(pipeline, *known), clause, window.since, window.until, most=most)
    found = still_kept(session, window.since, window.until, read)
    by_service = {
        r.service: [e for e in found.items if e.resource.labels.get("service_name") == r.service] for r in known
    }
    return FineRequests(
        rows={service: _rows(these[:FINE_AT_MOST]) for service, these in by_service.items()},
        reached=found.reached,
        note="" if len(found.items) >= most else found.note,
    )


def request_log(
    session: Session,
    pipeline: PipelineProfile,
    receiver: Receiver,
    push: Push,
    window: Window,
    fine: FineRequests | Unseen,
) -> RequestLog:
    clause, places = (
        both(of_service(receiver), logs(REQUESTS), "httpRequest.status>=300"),
        log_places(pipeline, receiver),
    )
    read = search(session, places, clause, window.since, window.until)
    found = still_kept(session, window.since, window.until, read)
    why = fine.says if isinstance(fine, Unseen) else fine.note
    if why:
        unseen = f"requests below 300 were not seen{'' if isinstance(fine, Unseen) else ' whole'}: {why}"
        note = "; ".join(filter(None, (found.note, unseen)))
        found = found._replace(complete=False, note=note)
    return RequestLog(
        source=log_provenance(session, "request log", places, clause, (window.since, window.until), found),
        push_path=push.path,
        refused=_rows(found.items),
        fine=() if isinstance(fine, Unseen) else fine.rows.get(receiver.service, ()),
        fine_since=None if isinstance(fine, Unseen) else fine.reached,
    )


def platform_lines(session: Session, pipeline: PipelineProfile, receiver: Receiver, window: Window) -> PlatformLines:
    printed = either(("severity>=ERROR", *(f"textPayload:{quoted(words)}" for words in DIES)))
    kinds = either((logs(SYSTEM), f"({both(printed, logs(STDOUT, STDERR))})"))
    clause, places = both(of_service(receiver), logs(SYSTEM, STDOUT, STDERR), kinds), log_places(pipeline, receiver)
    read = search(session, places, clause, window.since, window.until, leaves=Leaves.WHY)
    found = still_kept(session, window.since, window.until, read)
    system = [e for e in found.items if log_id(e) == SYSTEM]
    errors = [e for e in found.items if log_id(e) != SYSTEM]
    cut = len(system) > LINES or len(errors) > LINES
    words = _last_words(session, places, receiver, system)
    known = {e.insert_id for e in errors[:LINES]}
    kept = sorted(
        (*system[:LINES], *errors[:LINES], *(e for e in words if e.insert_id not in known)),
        key=lambda e: (e.timestamp.seconds, e.timestamp.nanos),
    )
    if cut:
        kinds_of = ((system, "platform"), (errors, "error"))
        note = " and ".join(f"the newest {LINES} of {len(x)} {kind} lines" for x, kind in kinds_of if len(x) > LINES)
        found = found._replace(complete=False, note="; ".join(filter(None, (note, found.note))))
    return PlatformLines(
        source=log_provenance(session, "platform log", places, clause, (window.since, window.until), found),
        lines=tuple(_line(e) for e in kept),
    )


def _last_words(session: Session, places: Sequence[str], receiver: Receiver, system: Iterable[Any]) -> list[Any]:
    """What the newest few containers that went away had printed just before, newest first; nothing where none did."""
    dead = [e for e in system if death(e.text_payload) is not None][:DEATHS]
    if not dead:
        return []
    ends = [moment(e.timestamp) for e in dead]
    instances = sorted({e.labels["instanceId"] for e in dead if "instanceId" in e.labels})
    of = one_of("labels.instanceId", instances) if instances else ""
    near = either(f"({between(at - BEFORE_DEATH, at + AFTER_DEATH)})" for at in ends)
    clause = both(of_service(receiver), logs(STDOUT, STDERR), of, near)
    try:
        found = search(
            session, places, clause, min(ends) - BEFORE_DEATH, max(ends) + AFTER_DEATH, most=LAST_WORDS, reads=2
        )
    except NotSeen:
        return []
    return found.items[:LAST_WORDS]


def _rows(found: Iterable[Any]) -> tuple[LogRow, ...]:
    return tuple(sorted((_row(e) for e in found), key=lambda r: r.at))


def _row(entry: Any) -> LogRow:
    http = entry.http_request
    return LogRow(
        at=began(entry),
        method=http.request_method,
        path=urlsplit(http.request_url).path,  # without the query, which may hold a key
        status=http.status,
        latency_s=latency_s(entry),
        user_agent=redact(http.user_agent, 120),
        instance=entry.labels.get("instanceId", ""),
        revision=entry.resource.labels.get("revision_name", ""),
        text=redact(entry.text_payload, 300),
    )


def _line(entry: Any) -> PlatformLine:
    return PlatformLine(
        at=moment(entry.timestamp),
        log=log_id(entry).removeprefix("run.googleapis.com/"),
        severity=SEVERITY.get(entry.severity, "DEFAULT"),
        text=redact(text_of(entry), 300),
        revision=entry.resource.labels.get("revision_name", ""),
        instance=entry.labels.get("instanceId", ""),
    )
