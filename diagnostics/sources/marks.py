"""What the pipeline's own log lines say, through the markers that its profile describes: of batches, of items, of start calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from sys import intern
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from diagnostics.evidence.model import (
    BatchMarks,
    ItemMarks,
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
from diagnostics.shell.commands import advice
from diagnostics.sources import log_analytics
from diagnostics.sources.entries import (
    REQUESTS,
    STDERR,
    STDOUT,
    Lines,
    began,
    both,
    either,
    field,
    in_field,
    latency_s,
    log_id,
    moment,
    of_lines,
    quoted,
    trace_id,
)
from diagnostics.sources.log_analytics import Texts
from diagnostics.sources.route import Receiver, Services, log_places
from diagnostics.sources.search import PAGE_SIZE, WAY_ON, Found, Search, log_provenance, search, still_kept
from diagnostics.steps.words import size
from diagnostics.transport.log_reads import USUAL_S, Leaves
from diagnostics.transport.session import Session, together

OF_BATCHES = frozenset(
    {
        Means.RECEIVED, Means.REFUSED, Means.PHASE, Means.CREATED, Means.GATE, Means.PUBLISH_ERROR, Means.PUBLISHED, Means.EMPTY,
        Means.CLOSED, Means.FORCED, Means.EXPECTED,
    }
)  # fmt: skip
"""Means of markers that tell the course of a batch; all others tell that of items."""
_COUNT = re.compile(r"[0-9]{1,9}")
"""What is captured as a count. A longer number is an id, or none."""
WORDS = frozenset({"reason", "blocker", "topic", "phase"})
"""Captured names that are words even when they look like numbers."""
STARTS = frozenset({Means.RECEIVED, Means.CREATED})
"""Means of lines with which a batch begins."""
NEWEST = timedelta(days=1)
"""The part of the look-back that is searched by itself."""
MOST_READS, FEW_READS = 12, 3
"""Pages of what holds the batch, and of what was before it."""
IN_TIME = 0.5
"""Share of the run's time that is left for all that is asked once the batch is known."""
BEFORE_BATCH = timedelta(minutes=5)
AT_LEAST = timedelta(minutes=60)


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
        raise _unnamed(
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
        raise _unnamed(services, "coordinator", "start path", mend="add start_path under [coordinator] to the profile")
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


def item_marks(session: Session, pipeline: PipelineProfile, services: Services, window: Window, ask: Ask) -> ItemMarks:
    markers = [m for m in pipeline.markers if m.means not in OF_BATCHES]
    clause = marker_filter(markers, services)
    if not clause:
        raise _unnamed(services, "worker", "log lines about items", mend="add [[markers]] of its items to the profile")
    start = window.since if window.batch_start is None else window.batch_start - BEFORE_BATCH
    since = min(start, window.until - AT_LEAST)
    places = log_places(pipeline, services.worker, services.coordinator)
    own = {
        role: marker_filter([m for m in markers if m.service == role], services) for role in ("worker", "coordinator")
    }
    of = {r.service: own[role] for role, r in (("worker", services.worker), ("coordinator", services.coordinator)) if r}
    asked = _Asked(places, clause, since, window.until, {service: part for service, part in of.items() if part})
    read, engine = _read(session, pipeline, ask, text_lines(markers, services), asked, _reading(markers, services))
    if read.gap is not None and window.batch:
        read = _with_own(session, places, read, _naming(markers, services, window.batch), window.batch)
    found = still_kept(session, since, window.until, read.found, oldest=read.oldest)
    source = log_provenance(session, "application logs", places, clause, (since, window.until), found)
    return ItemMarks(
        source=replace(source, query=read.query, by_hand=read.by_hand) if read.query else source,
        since=since,
        marks=(*read.by_sql, *marks_of(found.items, markers, services)),
        unread_until=read.gap.until if read.gap else None,
        engine=engine,
    )


class _Gap(NamedTuple):
    """The time between the lines that were read, of which none was."""

    since: datetime
    until: datetime
    why: str


class _Read(NamedTuple):
    """Lines that were read, and the gap between them, if there is one."""

    found: Found
    gap: _Gap | None = None
    by_sql: tuple[Mark, ...] = ()
    """What lines say that were read by SQL: they are before those that were found."""
    oldest: datetime | None = None
    """When the oldest of these was written."""
    query: str = ""
    """The SQL; empty: none was asked."""
    by_hand: str = ""


class _Asked(NamedTuple):
    """Which lines of the log, and of which time."""

    places: Sequence[str]
    clause: str
    since: datetime
    until: datetime
    parts: Mapping[str, str]
    """Those of one service alone, by its name."""


def _read(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    texts: Sequence[Texts],
    asked: _Asked,
    reads: Callable[[Any], tuple[Mark, ...]],
) -> tuple[_Read, str]:
    """The oldest lines, two pages of them, which hold the batch's beginning. If that is not all, the rest by SQL where the profile names a
    dataset for it, else the newest page, which holds how it stands; more pages of both in a longer run. And what is to be said of the
    way."""
    most = 2 * PAGE_SIZE if pipeline.log_dataset else _most(session, 2)
    oldest = search(session, asked.places, asked.clause, asked.since, asked.until, most=most, newest_first=False)
    if oldest.complete:
        return _Read(oldest), ""
    if not pipeline.log_dataset:
        return _both_ends(session, asked, oldest), ""
    try:
        return _by_sql(session, pipeline, ask, texts, asked, oldest, reads)
    except NotSeen as failed:
        why = f"{failed.says} ({failed.mend})" if failed.mend else failed.says
        return _both_ends(session, asked, oldest), f"page by page, not by SQL: {why}"


def _by_sql(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    texts: Sequence[Texts],
    asked: _Asked,
    oldest: Found,
    reads: Callable[[Any], tuple[Mark, ...]],
) -> tuple[_Read, str]:
    """All of the lines, the newest minutes of them from the log itself. Raises NotSeen where SQL cannot be asked, or does not have what
    the log has: another bucket may be linked, or it may have begun later."""
    view = log_analytics.view_of(pipeline)
    if len(asked.places) > 1:
        raise NotSeen(Why.NOT_ASKED, f"lines are looked for in {len(asked.places)} places, and {view} is of one")
    edge = max(asked.since, min(asked.until, session.now - log_analytics.FRESH))
    lines = log_analytics.lines(session, pipeline, ask, texts, asked.since, edge, reads)
    known = {line.key for line in lines.lines}
    there = {service for line in lines.lines for service in line.services}
    _prove(session, view, asked, known, there, oldest.items, edge)
    engine = f"by SQL, {size(lines.read_bytes)} read"
    marks = tuple(mark for line in lines.lines for mark in line.says)
    first = min([*(moment(e.timestamp) for e in oldest.items), *(mark.at for mark in marks[:1])], default=None)
    sql = (marks, first, lines.statement.sql, lines.by_hand)
    if edge == asked.until:
        return _Read(Found([], True, "", asked.until), None, *sql), engine
    try:
        newest = search(session, asked.places, asked.clause, edge, asked.until)
    except NotSeen as failed:
        newest = Found([], False, failed.says, asked.until)
    items = [e for e in reversed(newest.items) if log_analytics.key_of(e) not in known]
    if newest.complete:
        return _Read(Found(items, True, "", asked.until), None, *sql), engine
    gap = _Gap(edge, newest.reached, newest.note)
    return _Read(Found(items, False, _not_read(gap), edge), gap, *sql), engine


def _prove(
    session: Session,
    view: str,
    asked: _Asked,
    known: Set[int],
    there: Set[str],
    oldest: Sequence[Any],
    edge: datetime,
) -> None:
    """Raises NotSeen unless the view has what pages of the log have: the oldest lines, the newest that are old enough to be there, and
    where it has none of a service, that the log has none, either."""
    newest = search(session, asked.places, asked.clause, asked.since, edge).items
    old = [*(e for e in oldest if moment(e.timestamp) < edge), *newest]
    if lacking := sum(log_analytics.key_of(e) not in known for e in old):
        raise NotSeen(Why.FAILED, f"{view} lacks {lacking} of {len(old)} lines that the log has")
    for service, part in asked.parts.items():
        if service not in there:
            found = search(session, asked.places, part, asked.since, edge)
            if found.items or not found.complete:
                raise NotSeen(Why.FAILED, f"{view} has no line of {service}, and the log has some, or was not searched")


def _not_read(gap: _Gap) -> str:
    return f"lines between {gap.since:%H:%M:%SZ} and {gap.until:%H:%M:%SZ} were not read: {gap.why}"


def _most(session: Session, pages: int) -> int:
    """The lines of so many pages in a run of the usual length, of so many more as it may take longer: reads are scarce, and who gives a
    run ten minutes has them read."""
    return PAGE_SIZE * round(pages * max(1.0, session.reads_as_s / USUAL_S))


def _both_ends(session: Session, asked: _Asked, oldest: Found) -> _Read:
    """The oldest lines, which are not all, and the newest page."""
    try:
        most = _most(session, 1)
        newest = search(session, asked.places, asked.clause, oldest.reached, asked.until, most=most)
    except NotSeen:
        return _Read(oldest, _Gap(oldest.reached, asked.until, WAY_ON))
    known = {_order(e) for e in oldest.items}
    later = [e for e in reversed(newest.items) if _order(e) not in known]
    if newest.complete:
        return _Read(Found([*oldest.items, *later], True, "", asked.until))
    if not later:
        return _Read(oldest, _Gap(oldest.reached, asked.until, WAY_ON))
    many = f"there are too many; {WAY_ON}" if len(newest.items) >= most else WAY_ON
    gap = _Gap(oldest.reached, newest.reached, many)
    return _Read(Found([*oldest.items, *later], False, _not_read(gap), oldest.reached), gap)


class _Naming(NamedTuple):
    """A filter for the lines that name one batch, and whether each line that names an item does."""

    query: str
    all: bool


def _with_own(session: Session, places: Sequence[str], read: _Read, own: _Naming, batch: str) -> _Read:
    """The same with the lines of the gap that name the batch: others may be too many, its own hardly ever are."""
    gap = read.gap
    if gap is None or not own.query:
        return read
    try:
        found = search(session, places, own.query, gap.since, gap.until, most=_most(session, 2))
    except NotSeen:
        return read
    known = {_order(e) for e in read.found.items}
    later = [e for e in found.items if not (read.by_sql and moment(e.timestamp) <= gap.since)]
    items = sorted([*read.found.items, *(e for e in later if _order(e) not in known)], key=_order)
    if not (found.complete and own.all):
        return read._replace(found=read.found._replace(items=items))
    note = f"lines between {gap.since:%H:%M:%SZ} and {gap.until:%H:%M:%SZ} that do not name {batch} were not read: {gap.why}"
    return read._replace(found=read.found._replace(items=items, note=note), gap=None)


def _order(entry: Any) -> tuple[datetime, str]:
    """By timestamp and, of equal ones, by insert id, as Google does."""
    return moment(entry.timestamp), entry.insert_id


def _naming(markers: Sequence[Marker], services: Services, batch: str) -> _Naming:
    """A filter for the lines of these markers that name the batch."""
    naming = [m for m in markers if _names("batch", m)]
    fields = sorted({_names("batch", m) for m in naming})
    clause = marker_filter(naming, services) if naming else ""
    named = either(in_field(name, batch) for name in fields) if fields else ""
    return _Naming(both(clause, named) if clause else "", all(m in naming for m in markers if _names("item", m)))


def _names(what: str, marker: Marker) -> str:
    """The field in which a line of the marker names its batch or item; empty: it does not."""
    return marker.captures.get(what) or (marker.field if f"(?P<{what}>" in marker.pattern else "")


def marker_filter(markers: Iterable[Marker], services: Services) -> str:
    """A filter for the lines of these markers, of the services that are known; empty when none is."""
    return of_lines(marker_lines(markers, services))


def marker_lines(markers: Iterable[Marker], services: Services) -> list[Lines]:
    """What to ask for, by service and log."""
    return [
        Lines(of.receiver, of.logs, either(sorted({in_field(*text) for text in of.texts})), through_api=of.through_api)
        for of in text_lines(markers, services)
    ]


def text_lines(markers: Iterable[Marker], services: Services) -> list[Texts]:
    """The same, by what each line has to contain."""
    listed, asked = list(markers), []
    for role, receiver in (("coordinator", services.coordinator), ("worker", services.worker)):
        for log in sorted({m.log for m in listed if m.service == role}):
            texts = sorted({(m.field, m.contains) for m in listed if (m.service, m.log) == (role, log)})
            if receiver:
                asked.append(Texts(receiver, (log,) if log else (STDOUT, STDERR), tuple(texts), through_api=bool(log)))
    return asked


def marks_of(found: Iterable[Any], markers: Sequence[Marker], services: Services) -> tuple[Mark, ...]:
    """The marks in these entries, oldest first."""
    reads = _reading(markers, services)
    lines = sorted(found, key=lambda e: (e.timestamp.seconds, e.timestamp.nanos, e.insert_id))  # as Google does
    return tuple(mark for entry in lines for mark in reads(entry))


def _reading(markers: Sequence[Marker], services: Services) -> Callable[[Any], tuple[Mark, ...]]:
    """What an entry says by these markers."""
    reading = [(marker, re.compile(marker.pattern)) for marker in markers]
    roles = {r.service: role for role, r in (("worker", services.worker), ("coordinator", services.coordinator)) if r}
    return lambda entry: () if entry.HasField("http_request") else tuple(_marks(entry, reading, roles))


def may_hold(entry: Any, marker: Marker, roles: dict[str, str]) -> bool:
    """Whether an entry is of the log and the service of a marker. What is written through the API may name no service."""
    service = entry.resource.labels.get("service_name", "")
    if marker.log:
        return log_id(entry) == marker.log and (not service or roles.get(service, "") == marker.service)
    return log_id(entry) in ("", STDOUT, STDERR) and roles.get(service, "") == marker.service


def _marks(entry: Any, reading: list[tuple[Marker, re.Pattern[str]]], roles: dict[str, str]) -> Iterator[Mark]:
    texts: dict[str, str] = {}
    for marker, pattern in reading:
        if not may_hold(entry, marker, roles):
            continue
        text = texts.get(marker.field)
        if text is None:
            text = texts[marker.field] = field(entry, marker.field)
        if marker.contains.lower() not in text.lower():  # as the log query compares
            continue
        match = pattern.search(text)
        if match is None:
            continue
        captured = {name: value for name, value in match.groupdict().items() if value is not None}
        captured |= {name: value for name, path in marker.captures.items() if (value := field(entry, path))}
        yield _mark(marker.means, entry, marker.service, captured)


def _mark(means: Means, entry: Any, role: str, captured: dict[str, str]) -> Mark:
    """Names that many lines share are kept once: of a million lines, that is most of what is kept."""
    names = {name: intern(captured.pop(name, "")) for name in ("batch", "item", "correlation", "date")}
    whole = {name for name, value in captured.items() if name not in WORDS and _COUNT.fullmatch(value)}
    return Mark(
        means=means,
        at=moment(entry.timestamp),
        service=role,
        revision=intern(entry.resource.labels.get("revision_name", "")),
        instance=intern(entry.labels.get("instanceId", "")),
        trace=intern(trace_id(entry)),
        numbers={name: int(captured[name]) for name in sorted(whole)},
        words={name: redact(captured[name], 200) for name in sorted(captured.keys() - whole)},
        **names,
    )


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


def _unnamed(services: Services, role: str, what: str, mend: str) -> NotSeen:
    """Why there is nothing to ask for: the service is not known, or the profile says too little."""
    known: Receiver | None = services.coordinator if role == "coordinator" else services.worker
    if known is None:
        why = f": {services.why}" if services.why else ""
        return NotSeen(
            Why.NOT_CONFIGURED,
            f"the {role} is not known{why}",
            mend=advice("name {role}.service in the profile", role=role),
        )
    return NotSeen(Why.NOT_CONFIGURED, f"the profile describes no {what}", mend=mend)
