"""What the pipeline's own log lines say of items: page by page from both ends of the window, or by SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from msgspec.structs import replace

from diagnostics.evidence.model import (
    ItemMarks,
    Mark,
    Why,
    items_of,
)
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Marker, PipelineProfile
from diagnostics.question.ask import Ask, Window
from diagnostics.sources import crowds, log_analytics
from diagnostics.sources.entries import (
    both,
    either,
    in_field,
    moment,
)
from diagnostics.sources.markers import OF_BATCHES, marker_filter, marks_of, names, reading, text_lines, unnamed
from diagnostics.sources.results.sql import Statement
from diagnostics.sources.route import Services, log_places
from diagnostics.sources.search import PAGE_SIZE, WAY_ON, Found, log_provenance, search, still_kept
from diagnostics.steps.words import size
from diagnostics.transport.log_reads import USUAL_S
from diagnostics.transport.session import Session

BEFORE_BATCH = timedelta(minutes=5)

AT_LEAST = timedelta(minutes=60)

FRESH_PAGES = 4
"""Of the minutes that a view may not have yet, so many pages are read in a run of the usual length."""


def item_marks(session: Session, pipeline: PipelineProfile, services: Services, window: Window, ask: Ask) -> ItemMarks:
    markers = [m for m in pipeline.markers if m.means not in OF_BATCHES]
    clause = marker_filter(markers, services)
    if not clause:
        raise unnamed(services, "worker", "log lines about items", mend="add [[markers]] of its items to the profile")
    start = window.since if window.batch_start is None else window.batch_start - BEFORE_BATCH
    since = min(start, window.until - AT_LEAST)
    places = log_places(pipeline, services.worker, services.coordinator)
    own = {
        role: marker_filter([m for m in markers if m.service == role], services) for role in ("worker", "coordinator")
    }
    of = {r.service: own[role] for role, r in (("worker", services.worker), ("coordinator", services.coordinator)) if r}
    asked = _Asked(places, clause, since, window.until, {service: part for service, part in of.items() if part})
    read, engine = _read(session, pipeline, ask, _Markers(tuple(markers), services), asked)
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


class _Markers(NamedTuple):
    """What lines about items look like."""

    listed: tuple[Marker, ...]
    services: Services


def _read(session: Session, pipeline: PipelineProfile, ask: Ask, markers: _Markers, asked: _Asked) -> tuple[_Read, str]:
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
        return _by_sql(session, pipeline, ask, markers, asked, oldest)
    except NotSeen as failed:
        why = f"{failed.says} ({failed.mend})" if failed.mend else failed.says
        return _both_ends(session, asked, oldest), f"page by page, not by SQL: {why}"


@dataclass(frozen=True)
class _Linked:
    """The log beside a view that is linked to it: what pages of the log tell that the view cannot, each read when it is first needed."""

    session: Session
    asked: _Asked
    markers: _Markers
    oldest: Found
    edge: datetime
    """Until then lines are old enough to be in the view."""

    @cached_property
    def newest(self) -> Sequence[Any]:
        """A page of the newest lines that the view has to have."""
        return search(self.session, self.asked.places, self.asked.clause, self.asked.since, self.edge).items

    @cached_property
    def fresh(self) -> Found:
        """Lines that are younger."""
        if self.edge == self.asked.until:
            return Found([], True, "", self.asked.until)
        try:
            most = _most(self.session, FRESH_PAGES)
            return search(self.session, self.asked.places, self.asked.clause, self.edge, self.asked.until, most=most)
        except NotSeen as failed:
            return Found([], False, failed.says, self.asked.until)

    @property
    def both_ends(self) -> list[Any]:
        """Lines that the view has to have."""
        return [*(e for e in self.oldest.items if moment(e.timestamp) < self.edge), *self.newest]

    def alike(self, view: str) -> Statement:
        """What is asked where there are more lines than can be read."""
        told = crowds.Told(
            asked=text_lines(*self.markers),
            markers=self.markers.listed,
            services=self.markers.services,
            since=self.asked.since,
            until=self.edge,
            old=max((moment(e.timestamp) for e in self.oldest.items), default=self.asked.since),
            young=min((moment(e.timestamp) for e in self.newest), default=self.edge),
            fresh=frozenset(m.item for m in marks_of(self.fresh.items, *self.markers) if m.item),
        )
        return crowds.statement(view, told)


def _by_sql(
    session: Session, pipeline: PipelineProfile, ask: Ask, markers: _Markers, asked: _Asked, oldest: Found
) -> tuple[_Read, str]:
    """All of the lines, the newest minutes of them from the log itself. Raises NotSeen where SQL cannot be asked, or does not have what
    the log has: another bucket may be linked, or it may have begun later."""
    view = log_analytics.view_of(pipeline)
    if len(asked.places) > 1:
        raise NotSeen(Why.NOT_ASKED, f"lines are looked for in {len(asked.places)} places, and {view} is of one")
    edge = max(asked.since, min(asked.until, session.now - log_analytics.FRESH))
    log = _Linked(session, asked, markers, oldest, edge)
    texts = text_lines(*markers)
    lines = log_analytics.lines(session, pipeline, ask, texts, asked.since, edge, reading(*markers), log.alike)
    known = {line.key for line in lines.lines}
    there = {service for line in lines.lines for service in line.services}
    _prove(session, asked, view, _Of(known, there), log)
    marks = tuple(mark for line in lines.lines for mark in line.says)
    engine = f"by SQL, {size(lines.read_bytes)} read{_alike(marks)}"
    first = min([*(moment(e.timestamp) for e in oldest.items), *(mark.at for mark in marks[:1])], default=None)
    sql = (marks, first, lines.statement.sql, lines.by_hand)
    items = [e for e in reversed(log.fresh.items) if log_analytics.key_of(e) not in known]
    if log.fresh.complete:
        return _Read(Found(items, True, "", asked.until), None, *sql), engine
    gap = _Gap(edge, log.fresh.reached, log.fresh.note)
    return _Read(Found(items, False, _not_read(gap), edge), gap, *sql), engine


class _Of(NamedTuple):
    """What the view has."""

    lines: Set[int]
    services: Set[str]


def _prove(session: Session, asked: _Asked, view: str, there: _Of, log: _Linked) -> None:
    """Raises NotSeen unless the view has what pages of the log have: the oldest lines, the newest that are old enough to be there, and
    where it has none of a service, that the log has none, either."""
    old = log.both_ends
    if lacking := sum(log_analytics.key_of(e) not in there.lines for e in old):
        raise NotSeen(Why.FAILED, f"{view} lacks {lacking} of {len(old)} lines that the log has")
    for service, part in asked.parts.items():
        if service not in there.services:
            found = search(session, asked.places, part, asked.since, log.edge)
            if found.items or not found.complete:
                raise NotSeen(Why.FAILED, f"{view} has no line of {service}, and the log has some, or was not searched")


def _alike(marks: Sequence[Mark]) -> str:
    """How many items were read one by one, where one stands for others; else nothing."""
    items = items_of(marks)
    read = len({mark.item for mark in marks if mark.item})
    return f": {read:,} of {items:,} items, one for all that are alike" if read < items else ""


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
    naming = [m for m in markers if names("batch", m)]
    fields = sorted({names("batch", m) for m in naming})
    clause = marker_filter(naming, services) if naming else ""
    named = either(in_field(name, batch) for name in fields) if fields else ""
    return _Naming(both(clause, named) if clause else "", all(m in naming for m in markers if names("item", m)))
