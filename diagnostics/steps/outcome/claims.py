"""What a batch said it had done, against what is in the results table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

from diagnostics.evidence.model import ItemMarks, Means, ResultRows, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, count


class Claimed(Tells, frozen=True, kw_only=True):
    """What a batch said, and what there is of it."""

    claimed: int
    """Items that it said it had done."""
    found: int
    """Items of which there is something."""
    date_: str
    by_worker: int
    """1: what the worker gave up is left out; 0: it is among them, for its lines were not seen."""


MISSING = Telling("outcome.missing", Stage.CLOSED, "a batch that is done left no results", Kind.EFFECT, tells=Claimed)
OLDER = Telling("outcome.older", Stage.CLOSED, "all results are older than the batch", Kind.EFFECT, tells=Claimed)
SHORT = Telling("outcome.short", Stage.CLOSED, "results of some items are missing", Kind.EFFECT, tells=Claimed)
WRITTEN = Code("outcome.written", Stage.CLOSED, "what the batch did is in the table")

_LATE = timedelta(minutes=10)
"""A batch that was closed this lately may still be merging its results."""


class Claim(NamedTuple):
    """What one closed batch said it had done for a date."""

    batch: str
    day: date
    items: int
    started: datetime
    closed: datetime | None
    by_worker: bool
    """What the worker gave up is left out."""
    empty: bool = False
    """There was nothing to do, and rightly."""


def claims_of(ledger: Ledger, lines: ItemMarks | Unseen) -> list[Claim]:
    """What the closed batches of the look-back said, the latest of each date: what was there before it may have been replaced."""
    found: dict[date, Claim] = {}
    for attempt in ledger.attempts:
        claim = _of_asked(ledger, attempt, lines) if attempt is ledger.attempt else _of_other(attempt)
        if claim is not None:
            found[claim.day] = claim
    return list(found.values())


def _of_asked(ledger: Ledger, attempt: Attempt, lines: ItemMarks | Unseen) -> Claim | None:
    """The batch that was asked about: without what the worker gave up, where its lines would tell that of each item."""
    day = date_of(attempt.date)
    if day is None or not ledger.closed:
        return None
    ended = attempt.closed or attempt.forced
    told = not isinstance(lines, Unseen) and lines.source.complete and lines.unread_until is None
    by_worker = told and ledger.proven(Means.DONE_ITEM)
    return Claim(
        batch=attempt.batch,
        day=day,
        items=ledger.done - (ledger.fruitless if by_worker else 0),
        started=attempt.started,
        closed=ended.at if ended else None,
        by_worker=by_worker,
        empty=ledger.empty_by_design,
    )


def _of_other(attempt: Attempt) -> Claim | None:
    """Another batch, by the line that closed it."""
    day = date_of(attempt.date)
    ended = [m for m in attempt.marks if m.means in (Means.CLOSED, Means.FORCED) and "count" in m.numbers]
    if day is None or not attempt.batch or not ended:
        return None
    last = ended[-1]
    return Claim(attempt.batch, day, last.numbers["count"], attempt.started, last.at, by_worker=False)


def date_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def kept(claim: Claim, results: ResultRows, profile: PipelineProfile, now: datetime) -> Iterator[Finding]:
    """Whether what one batch said it had done is in the table."""
    day, noun = results.of(claim.day), f"{profile.item}s"
    if claim.items == 0:
        if claim.empty:
            yield WRITTEN.says(
                Status.OK, f"{claim.batch} was empty by design", subject=subjects.batch(claim.batch), rests_on=_RESTS
            )
        return
    if claim.closed is not None and now - claim.closed < _LATE:
        return
    said = f"{claim.batch} ended with {claim.items} {noun} done for {claim.day}"
    said += ", none of which the worker gave up" if claim.by_worker else ""
    if day.rows == 0:
        yield _lost(MISSING, claim, 0, f"{said}, and {results.table} has no row of that date")
        return
    if day.last is not None and day.last < claim.started:
        yield _lost(
            OLDER,
            claim,
            0,
            f"{said}, and the newest row of that date was written at {clock(day.last, now)}, before it began at "
            f"{clock(claim.started, now)}",
        )
        return
    counted = results.written_since == claim.started
    found = day.written_items if counted else day.items
    if claim.by_worker and found is not None and found < claim.items:
        since = " written since it began" if counted else ""
        yield _lost(SHORT, claim, found, f"{said}, and {found} have a row{since}: {claim.items - found} are missing")
        return
    yield WRITTEN.says(
        Status.OK,
        f"{said}; {count(day.rows, 'row')} of that date are there, {day.active} in force",
        subject=subjects.batch(claim.batch),
        rests_on=_RESTS,
    )


_RESTS = ("ResultRows", "BatchMarks", "ItemMarks")


def _lost(code: Telling[Claimed], claim: Claim, found: int, says: str) -> Finding:
    tail = (
        "" if claim.by_worker else "; what was given up counts there, too, and only the lines of its items would tell"
    )
    return code.says(
        Status.FAULT if claim.by_worker else Status.WARNING,
        says + tail,
        bears=Bears.HOLDS if claim.by_worker else Bears.APART,
        held=claim.items - found if claim.by_worker else 0,
        since=claim.closed,
        subject=subjects.batch(claim.batch),
        rests_on=_RESTS,
        tells=Claimed(claimed=claim.items, found=found, date_=claim.day.isoformat(), by_worker=int(claim.by_worker)),
    )
