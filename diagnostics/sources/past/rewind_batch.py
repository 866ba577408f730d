"""Batch state as of the end of a past window. Its history is nowhere but in the coordinator's own log, and in times that it states.

What was not written since then is what it was then. Else: a batch is closed once and its items are counted once. So what is open now
was open then, and what was closed after then, was open then; a count stands if no line tells of a completion since; the number
expected stands if it is what the batch was made with, or was changed to before then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from diagnostics.evidence.model import BatchStatus, Mark, Means, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources.markers import marker_filter, marks_of
from diagnostics.sources.route import Services, log_places
from diagnostics.sources.search import PAGE_SIZE, Found, search
from diagnostics.transport.session import Session

ENDS = (Means.CLOSED, Means.FORCED)
COUNTS = (Means.RETURNED_ITEM, Means.RECORDED_ITEM)
PAGES = 3
NOTE = "taken back to then by the coordinator's log"
SINCE = "not written since then"


def batch_then(
    session: Session,
    pipeline: PipelineProfile,
    services: Services,
    today: BatchStatus,
    before: Sequence[Mark],
    at: datetime,
) -> BatchStatus:
    """The state of the batch at `at`, what cannot be told left out. Raises NotSeen where nothing can."""
    if today.exists and today.updated is not None and today.updated <= at:
        return structs.replace(today, source=structs.replace(today.source, as_of=at, note=SINCE))
    markers = [m for m in pipeline.markers if m.means in (*ENDS, *COUNTS) and m.service == "coordinator"]
    clause = marker_filter(markers, services) if markers else ""
    created = next((m for m in before if m.means is Means.CREATED and m.batch == today.batch), None)
    if not today.exists or created is None or not clause:
        says = f"the {today.source.source} tells how the batch stands now, not how it stood then"
        raise NotSeen(Why.EXPIRED, says)
    found = search(
        session,
        log_places(pipeline, services.coordinator, services.worker),
        clause,
        at,
        session.now,
        most=PAGES * PAGE_SIZE,
    )
    since = [m for m in marks_of(found.items, markers, services) if m.at > at and m.batch in ("", today.batch)]
    return _then(today, created, before, since, found, at)


def _then(
    today: BatchStatus, created: Mark, before: Sequence[Mark], since: Sequence[Mark], read: Found, at: datetime
) -> BatchStatus:
    ended = [m for m in before if m.means in ENDS and m.batch == today.batch]
    ended_since = any(m.means in ENDS and m.batch == today.batch for m in since)
    counted_since = not read.complete or any(m.means in COUNTS for m in since)
    changed = [m.numbers["expected"] for m in before if _changes(m, today.batch)]
    same = today.expected is not None and today.expected == [created.numbers.get("expected"), *changed][-1]
    if today.closed_at is not None and today.closed_at > at:
        ended_since = True
    return structs.replace(
        today,
        source=structs.replace(today.source, as_of=at, note=NOTE),
        expected=today.expected if same else None,
        completed=None if counted_since else today.completed,
        failed=None if counted_since else today.failed,
        items=None if counted_since else today.items,
        closed=True if ended or _closed_by(today, at) else False if ended_since or today.closed is False else None,
        forced=today.forced if any(m.means is Means.FORCED for m in ended) or _closed_by(today, at) else "",
    )


def _closed_by(today: BatchStatus, at: datetime) -> bool:
    """Whether the state itself tells that it was closed by then."""
    return bool(today.closed) and today.closed_at is not None and today.closed_at <= at


def _changes(mark: Mark, batch: str) -> bool:
    return mark.means is Means.EXPECTED and mark.batch == batch and "expected" in mark.numbers
