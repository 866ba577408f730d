"""Batches of which nothing can be said yet: they are open, or were closed a moment ago, or nothing tells their date or their end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from diagnostics.evidence.model import BatchMarks, Means, ResultRows, Stage, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.shell.commands import command
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Status
from diagnostics.steps.outcome.claims import LATE, date_of, had_work
from diagnostics.steps.outcome.dates import spoken
from diagnostics.steps.words import clock

UNCOUNTED = Code("outcome.uncounted", Stage.CLOSED, "what batches counted was not seen, or in part")
PENDING = Code("outcome.pending", Stage.CLOSED, "what a batch left cannot be judged yet")


def pending(
    ledger: Ledger, profile: PipelineProfile, results: ResultRows, ask: Ask, now: datetime
) -> Iterator[Finding]:
    """Of the batch that was asked about, and of the latest of each date."""
    own = ledger.attempt
    told = [(own, _own(ledger, own, now))] if own else []
    told += [(other, _other(other, profile, results, now)) for other in _latest(ledger) if other is not own]
    for attempt, why in told:
        day = date_of(attempt.date)
        in_days = day is not None and results.since <= day <= results.until
        if why and (in_days or (attempt is own and ask.days is None)):
            yield _says(why, attempt.batch)
    if own is None and ledger.asked and ask.days is None:
        yield _says(f"no line tells of {ledger.asked}: its results are compared with nothing", ledger.asked)


def uncounted(ledger: Ledger, results: ResultRows, batches: BatchMarks | Unseen) -> Iterator[Finding]:
    """Dates that no batch is known of: their rows are compared with nothing. Whether lines that tell of one were not read, or there
    are none of that age, is not the same."""
    if isinstance(batches, Unseen):
        why = "" if batches.why in (Why.NOT_CONFIGURED, Why.NOT_ASKED) else batches.says
    else:
        why = "" if batches.source.complete else batches.source.note or "their lines were read in part"
    known = {date_of(attempt.date) for attempt in ledger.attempts}
    unknown = [day for day in results.dates if day not in known]
    if why and unknown:
        says = f"what batches counted for {spoken(unknown)} was not seen, so that results may be missing: {why}"
        yield UNCOUNTED.says(Status.UNKNOWN, says, rests_on=("BatchMarks", "ResultRows"))
    elif alone := [day for day in unknown if results.of(day).rows]:
        says = (
            f"no line that was read tells of a batch of {spoken(alone)}: what there is of it is compared with nothing"
        )
        yield UNCOUNTED.says(Status.IDLE, says, rests_on=("BatchMarks", "ResultRows"))


def _says(why: str, batch: str) -> Finding:
    about = subjects.batch(batch) if batch else None
    return PENDING.says(Status.UNKNOWN, why, subject=about, rests_on=("BatchMarks", "ResultRows"))


def _latest(ledger: Ledger) -> list[Attempt]:
    """The latest of each date that had something to write: what was there before it may have been replaced."""
    found: dict[date, Attempt] = {}
    for attempt in ledger.attempts:
        if attempt.batch and had_work(attempt) and (day := date_of(attempt.date)):
            found[day] = attempt
    return list(found.values())


def _own(ledger: Ledger, attempt: Attempt, now: datetime) -> str:
    """Why nothing can be said of the batch that was asked about; empty: it can."""
    if ledger.empty_by_design:
        return ""
    if not attempt.batch:
        at = f" at {clock(attempt.started, now)}" if attempt.seen else ""
        return f"no batch is known to have come of the start{at}: pubsub-diag batch says why"
    if not ledger.closed:
        way_on = command("pubsub-diag batch {batch}", batch=attempt.batch)
        return f"{attempt.batch} is not known to be closed: what it leaves may not all be there yet ({way_on})"
    if date_of(attempt.date) is None:
        return f"no line tells of which date {attempt.batch} is: name it with --since and --until"
    return _just_closed(attempt.batch, ledger.closed_at or ledger.last_progress, now)


def _other(attempt: Attempt, profile: PipelineProfile, results: ResultRows, now: datetime) -> str:
    """Likewise of another one, by its lines alone."""
    if not profile.has(Means.CLOSED):
        return ""
    ends = [m for m in attempt.marks if m.means in (Means.CLOSED, Means.FORCED)]
    if not ends:
        says = f"no line tells that {attempt.batch} was closed: what there is of {attempt.date} may not be all"
        return f"{says} ({command('pubsub-diag batch {batch}', batch=attempt.batch)})"
    day = date_of(attempt.date)
    if day and not results.of(day).rows and not any("count" in m.numbers for m in ends):
        return f"{attempt.batch} was closed, there is no row of {attempt.date}, and no line tells how many it had done"
    return _just_closed(attempt.batch, ends[-1].at, now)


def _just_closed(batch: str, at: datetime | None, now: datetime) -> str:
    if at is None or now - at >= LATE:
        return ""
    return f"{batch} was closed at {clock(at, now)}, and its results may still be on their way: ask again after {clock(at + LATE, now)}"
