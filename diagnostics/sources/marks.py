"""What the pipeline's own log lines say of batches and start calls, through the markers that its profile describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.model import (
    BatchMarks,
    Mark,
    Means,
    Provenance,
    StartCall,
    StartCalls,
    Unseen,
    Why,
    reached,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Marker, PipelineProfile
from diagnostics.question.ask import Ask, Window, window
from diagnostics.sources.entries import (
    REQUESTS,
    Lines,
    began,
    both,
    latency_s,
    of_lines,
    quoted,
    trace_id,
)
from diagnostics.sources.markers import OF_BATCHES, marker_lines, marks_of, unnamed
from diagnostics.sources.route import Services, log_places
from diagnostics.sources.search import WAY_ON, Found, Search, log_provenance, still_kept
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.session import Session, together

STARTS = frozenset({Means.RECEIVED, Means.CREATED})
"""Means of lines with which a batch begins."""

NEWEST = timedelta(days=1)
"""The part of the look-back that is searched by itself."""

MOST_READS, FEW_READS = 12, 3
"""Pages of what holds the batch, and of what was before it."""

IN_TIME = 0.5
"""Share of the run's time that is left for all that is asked once the batch is known."""


class CoordinatorLog(Struct, frozen=True, kw_only=True):
    """The lines about batches and the start calls, over the look-back: one query for both, since queries are scarce (60 a minute)."""

    source: Provenance
    marks: tuple[Mark, ...]
    calls: tuple[StartCall, ...]


def coordinator_log(session: Session, pipeline: PipelineProfile, ask: Ask, services: Services) -> CoordinatorLog:
    markers = [m for m in pipeline.markers if m.means in OF_BATCHES]
    asked = marker_lines(markers, services)
    path = pipeline.coordinator.start_path
    if path and services.coordinator:
        calls = both(f"httpRequest.requestUrl:{quoted(path)}", 'httpRequest.requestMethod="POST"')
        asked.append(Lines(services.coordinator, (REQUESTS,), calls))
    if not asked:
        raise unnamed(
            services,
            "coordinator",
            "start path, and no log lines about batches",
            mend="add start_path under [coordinator] and [[markers]] of the batch to the profile",
        )
    since, until = ask.begin(session.now), ask.end(session.now)
    clause, places = of_lines(asked), log_places(pipeline, services.coordinator, services.worker)
    read = _newest_day_first(session, places, clause, since, until, lambda f: _holds_batch(f, markers, services, ask))
    found = still_kept(session, since, until, read)
    requests = [e for e in found.items if e.HasField("http_request")]
    return CoordinatorLog(
        source=log_provenance(session, "coordinator log", places, clause, (since, until), found),
        marks=marks_of(found.items, markers, services),
        calls=tuple(sorted(_start_calls(requests, path), key=lambda c: c.at)),
    )


def _newest_day_first(
    session: Session,
    places: Sequence[str],
    clause: str,
    since: datetime,
    until: datetime,
    holds: Callable[[Iterable[Any]], bool],
) -> Found:
    """The look-back in two searches at once, the newest day and what was before it: a long search may come back in part or late, and
    must not take along the short one, which nearly always `holds` what is looked for."""
    day = max(since, until - NEWEST)
    newest = Search(session, places, clause, day, until, leaves=Leaves.BATCH)
    if day == since:
        return newest.read(MOST_READS, IN_TIME).found
    before = Search(session, places, clause, since, day, below=True, leaves=Leaves.BATCH)
    failed, then = together(lambda: _tried(newest, 1), lambda: _tried(before, 1))
    if failed := failed or _tried(newest, MOST_READS):
        raise failed
    if not newest.done:
        return newest.found
    if not before.done and not then:
        then = _tried(before, FEW_READS if holds(newest.items) else MOST_READS)
    if then or not (before.items or before.done or before.reached < day):
        why = then.says if then else before.stopped
        note = f"what was logged before {day:%Y-%m-%dT%H:%MZ} was not searched: {why}; {WAY_ON}"
        return Found(newest.items, False, note, day)
    older = before.found
    return Found([*newest.items, *older.items], older.complete, older.note, older.reached)


def _tried(search: Search, reads: int) -> NotSeen | None:
    """Read on; what keeps it from seeing anything is given back."""
    if search.done or search.enough:
        return None
    try:
        search.read(reads, IN_TIME)
    except NotSeen as failed:
        return failed
    return None


def _holds_batch(found: Iterable[Any], markers: Sequence[Marker], services: Services, ask: Ask) -> bool:
    """Whether the batch that is asked about is there, with its beginning."""
    begun = {m.batch for m in marks_of(found, markers, services) if m.means in STARTS}
    return ask.batch in begun if ask.batch else bool(begun)


def batch_marks(pipeline: PipelineProfile, log: CoordinatorLog) -> BatchMarks:
    if not any(m.means in OF_BATCHES for m in pipeline.markers):
        raise NotSeen(
            Why.NOT_CONFIGURED,
            "the profile describes no log lines about batches",
            mend="add [[markers]] of the batch to the profile",
        )
    return BatchMarks(source=log.source, marks=log.marks)


def start_calls(pipeline: PipelineProfile, services: Services, log: CoordinatorLog) -> StartCalls:
    if not pipeline.coordinator.start_path or services.coordinator is None:
        raise unnamed(services, "coordinator", "start path", mend="add start_path under [coordinator] to the profile")
    return StartCalls(source=log.source, calls=log.calls)


def batch_window(session: Session, ask: Ask, marks: BatchMarks | Unseen, calls: StartCalls | Unseen) -> Window:
    """The window that has to hold the batch that is asked about."""
    started = None if isinstance(marks, Unseen) else batch_start(marks.marks, ask.batch)
    if started is None and not ask.batch and not isinstance(calls, Unseen) and calls.calls:
        started = calls.calls[-1].at
    batch = ask.batch if isinstance(marks, Unseen) else ask.batch or _named_since(marks.marks, started)
    return window(ask, session.now, started, batch)


def _named_since(marks: Sequence[Mark], started: datetime | None) -> str:
    """The batch that was last created since then; empty: no line names one."""
    made = (m.batch for m in reversed(marks) if m.means is Means.CREATED and (started is None or m.at >= started))
    return next(made, "")


def batch_start(marks: Sequence[Mark], batch: str) -> datetime | None:
    """When this batch was first spoken of, or the latest start attempt; if an older batch blocked that one, when the older one was."""
    if batch:
        return min((m.at for m in marks if m.batch == batch), default=None)
    starts = [m for m in marks if m.means in (Means.RECEIVED, Means.CREATED, Means.REFUSED)]
    if not starts:
        return None
    latest = max((m for m in starts if m.means is not Means.REFUSED), key=lambda m: m.at, default=starts[-1])
    blockers = {
        m.words["blocker"] for m in starts if m.means is Means.REFUSED and m.at >= latest.at and "blocker" in m.words
    }
    own = {latest.batch} - {""}  # where each item's first line tells of its batch, the latest of them is not the first
    return min([latest.at, *(m.at for m in marks if m.batch in blockers | own)])


def _start_calls(requests: Iterable[Any], path: str) -> Iterator[StartCall]:
    for entry in requests:
        http = entry.http_request
        if urlsplit(http.request_url).path != path:
            continue
        yield StartCall(
            at=began(entry),
            status=http.status,
            latency_s=latency_s(entry),
            user_agent=redact(http.user_agent, 120),
            trace=trace_id(entry),
            reached_app=reached(http.status, entry.labels.get("instanceId", ""), entry.text_payload),
            text=redact(entry.text_payload, 300),
        )
