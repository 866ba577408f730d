"""What a batch said it had done, against what is in the results table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

from diagnostics.evidence.model import ItemMarks, Means, ResultRows, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.shell.commands import command
from diagnostics.steps import subjects
from diagnostics.steps.finding import AnyCode, Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.processed import acked
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
    """1: by the worker's own lines; 0: what it gave up may be among them."""


MISSING = Telling("outcome.missing", Stage.CLOSED, "a batch that is done left no results", Kind.EFFECT, tells=Claimed)
OLDER = Telling("outcome.older", Stage.CLOSED, "all results are older than the batch", Kind.EFFECT, tells=Claimed)
NOT_STORED = Telling(
    "outcome.not_stored",
    Stage.CLOSED,
    "what the worker could not store is not in the table",
    Kind.EFFECT,
    tells=Claimed,
)
SHORT = Telling("outcome.short", Stage.CLOSED, "results of some items are missing", Kind.EFFECT, tells=Claimed)
WRITTEN = Code("outcome.written", Stage.CLOSED, "what the batch did is in the table")
UNTOLD = Code("outcome.untold", Stage.CLOSED, "whether results are missing could not be told")
COMPLETE = Telling(
    "outcome.complete", Stage.CLOSED, "each item that is done has a row of this batch in the table", tells=Claimed
)
REDONE = Code("outcome.redone", Stage.CLOSED, "a later batch did the date again")

LOST = (MISSING, OLDER, SHORT, NOT_STORED)
"""What a batch claims and the table does not have."""

LATE = timedelta(minutes=10)
"""A batch that was closed this lately may still be merging its results."""


class Claim(NamedTuple):
    """What one closed batch said it had done for a date."""

    batch: str
    day: date
    items: int
    started: datetime
    closed: datetime | None
    by_worker: bool
    """Its lines were read whole and tell of items how they ended: what they say was given up is left out."""
    moved: datetime | None = None
    """When it last got further: where nothing tells when it was closed, not before then."""
    empty: bool = False
    """There was nothing to do, and rightly."""
    unwritten: int = 0
    """Items of which the worker says that it could not store what it made, and that count as done all the same."""
    made: int = 0
    """Items of which a line of the worker's own says that it made them."""
    proven: bool = False
    """Such lines are known of another batch, too: they mean what they seem to."""
    asked: bool = False
    """It is the batch that was asked about."""

    @property
    def sure(self) -> int:
        """Items that must have a row, whatever became of the others."""
        return self.made if self.proven else 0


def claims_of(ledger: Ledger, lines: ItemMarks | Unseen) -> list[Claim]:
    """What the closed batches of the look-back said, the latest of each date: what was there before it may have been replaced. What
    the batch that was asked about said is among them in any case."""
    found: dict[date, Claim] = {}
    for attempt in ledger.attempts:
        claim = _of_asked(ledger, attempt, lines) if attempt is ledger.attempt else _of_other(attempt)
        if claim is not None:
            found[claim.day] = claim
    asked = _of_asked(ledger, ledger.attempt, lines) if ledger.attempt else None
    others = [claim for claim in found.values() if not claim.asked]
    return [asked, *others] if asked else others


def claim_to_check(ledger: Ledger, lines: ItemMarks | Unseen, now: datetime) -> Claim | None:
    """What the batch that was asked about claims, once it is closed, tells its date, and has had time to bring its results together."""
    claim = _of_asked(ledger, ledger.attempt, lines) if ledger.attempt else None
    return claim if claim and claim.items and not too_early(claim, now) else None


def redone_by(ledger: Ledger, claim: Claim) -> Attempt | None:
    """A later batch of the same date, closed or not: what is in the table may be its doing, and what was there before may be gone."""
    later = [a for a in ledger.attempts if a.batch and a.batch != claim.batch and a.started > claim.started]
    return next((a for a in reversed(later) if date_of(a.date) == claim.day and had_work(a)), None)


def had_work(attempt: Attempt) -> bool:
    """Whether there was anything for it to write: it was neither refused nor empty."""
    return attempt.created is not None or not (attempt.refused or attempt.empty)


def redone(claim: Claim, later: Attempt, table: str) -> Finding:
    return REDONE.says(
        Status.OK,
        f"{later.batch} did {claim.day} again: what {table} has of that date says nothing of {claim.batch}",
        subject=subjects.batch(claim.batch),
        rests_on=("ResultRows", "BatchMarks"),
    )


def too_early(claim: Claim, now: datetime) -> bool:
    """Whether the batch may still be bringing its results together."""
    at = claim.closed or claim.moved
    return at is not None and now - at < LATE


def _of_asked(ledger: Ledger, attempt: Attempt, lines: ItemMarks | Unseen) -> Claim | None:
    """The batch that was asked about: without what the worker gave up, where its lines were read whole and tell that of items."""
    day = date_of(attempt.date)
    if day is None or not ledger.closed:
        return None
    whole = not isinstance(lines, Unseen) and lines.source.complete and lines.unread_until is None
    by_worker = whole and (ledger.proven(Means.DONE_ITEM) or any(x.done or x.skipped for x in ledger.lives))
    items = ledger.done - (ledger.fruitless if by_worker else 0)
    return Claim(
        batch=attempt.batch,
        day=day,
        items=items,
        started=attempt.started,
        closed=ledger.closed_at,
        by_worker=by_worker,
        moved=ledger.last_progress,
        empty=ledger.empty_by_design,
        unwritten=len(acked.unstored(ledger)),
        made=min(_made_by_worker(ledger), items) if by_worker else 0,
        proven=ledger.proven(Means.DONE_ITEM),
        asked=True,
    )


def _made_by_worker(ledger: Ledger) -> int:
    """Items that the worker's own lines say it made. That one came back says no more than that it was acked."""
    return sum(1 for life in ledger.lives if life.done and not life.fruitless and not life.unwritten)


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
    """Whether what one batch said it had done is in the table. What the worker could not store, and said so, is told apart."""
    about, table = subjects.batch(claim.batch), results.table
    if claim.items == 0:
        if claim.empty:
            yield WRITTEN.says(Status.OK, f"{claim.batch} was empty by design", subject=about, rests_on=_RESTS)
        return
    if too_early(claim, now):
        return
    lost, found, tail = _lack(claim, results, now)
    said = f"{claim.batch} ended with {count(claim.items, profile.item)} done for {claim.day}{_whose_word(claim)}"
    if lost is UNTOLD:
        way_on = "" if claim.asked else f": {command('pubsub-diag outcome {batch}', batch=claim.batch)}"
        yield UNTOLD.says(Status.UNKNOWN, f"{said}, and {tail}{_GIVEN_UP}{way_on}", subject=about, rests_on=_RESTS)
    elif isinstance(lost, Telling):
        yield from _lacking(claim, lost, found or 0, f"{said}, and {tail}")
    else:
        day = results.of(claim.day)
        there = f"{said}; {count(day.rows, 'row')} of that date are there, {day.active} in force"
        yield WRITTEN.says(Status.OK, there, subject=about, rests_on=_RESTS)
        if claim.by_worker and found is not None and _counted(claim, results):
            says = f"each of {count(claim.items, profile.item)} has a row in {table} that was written since it began"
            tells = _told(claim, claim.items, claim.items, True)
            yield COMPLETE.says(Status.OK, says, subject=about, rests_on=_RESTS, tells=tells)


def _whose_word(claim: Claim) -> str:
    """What the worker's own lines say of those items."""
    if not claim.by_worker:
        return ""
    if claim.made + claim.unwritten >= claim.items:
        return ", none of which the worker gave up"
    return f", of {claim.made} of which the worker itself says so"


def _lacking(claim: Claim, lost: Telling[Claimed], found: int, says: str) -> Iterator[Finding]:
    """Rows are counted and not named: what the worker could not store is matched with what is missing by number alone."""
    lacks = claim.items - found
    told = min(claim.unwritten, lacks)
    word = f": of {claim.unwritten} the worker said that it could not store the result" if told else ""
    if told:
        certain = claim.by_worker and claim.made + claim.unwritten - found >= told
        yield _lost(NOT_STORED, claim, claim.items, claim.items - told, says + word, told if certain else 0)
    if claim.sure > found:
        yield _lost(lost, claim, claim.sure, found, says + word, claim.sure - found)
    elif lacks > told:
        yield _lost(lost, claim, claim.items, found, says + word, 0)
    elif claim.items > claim.unwritten:
        more = f"{says}{word}; whether those are the missing ones could not be told, for rows are counted and not named"
        yield UNTOLD.says(Status.UNKNOWN, more, subject=subjects.batch(claim.batch), rests_on=_RESTS)


def _lack(claim: Claim, results: ResultRows, now: datetime) -> tuple[AnyCode | None, int | None, str]:
    """In which way the table lacks what the batch said, how many of its items have a row, and in words; None: it does not."""
    day = results.of(claim.day)
    if day.rows == 0:
        return MISSING, 0, f"{results.table} has no row of that date"
    if day.last is not None and day.last < claim.started:
        newest, began = clock(day.last, now), clock(claim.started, now)
        return OLDER, 0, f"the newest row of that date was written at {newest}, before it began at {began}"
    counted = _counted(claim, results)
    found = day.written_items if counted else day.items
    if found is not None and found < claim.items:
        since = " written since it began" if counted else ""
        lacks = f"{found} have a row{since}: {claim.items - found} are missing"
        return SHORT if claim.by_worker else UNTOLD, found, lacks
    if found is None and day.rows < claim.items:
        lacks = f"there are {count(day.rows, 'row')} of that date: {claim.items - day.rows} are missing at least"
        return SHORT if claim.by_worker else UNTOLD, day.rows, lacks
    return None, found, ""


def _counted(claim: Claim, results: ResultRows) -> bool:
    """Whether items were counted of which something was written since the batch began."""
    return results.written_since == claim.started


_RESTS = ("ResultRows", "BatchMarks", "ItemMarks")


_GIVEN_UP = "; what was given up counts there, too, and only the lines of its items would tell"


def _lost(code: Telling[Claimed], claim: Claim, claimed: int, found: int, says: str, certain: int) -> Finding:
    """`claimed`: items that this one counts; `certain`: those of them that must have a row and have none."""
    own = Bears.SLOWS if claim.by_worker else Bears.APART
    return code.says(
        Status.FAULT if certain else Status.WARNING,
        says if certain else says + _GIVEN_UP,
        bears=Bears.HOLDS if certain else own,
        held=certain,
        since=claim.closed,
        subject=subjects.batch(claim.batch),
        rests_on=_RESTS,
        tells=_told(claim, claimed, found, bool(certain)),
    )


def _told(claim: Claim, claimed: int, found: int, by_worker: bool) -> Claimed:
    return Claimed(claimed=claimed, found=found, date_=claim.day.isoformat(), by_worker=int(by_worker))
