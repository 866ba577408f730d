"""Did it really work: what is in the results table, date by date, against what the batches said they had done.

A batch that counts as complete may have left nothing, too little, or results of a model that nobody can name. What is not in the
table is a fault only where the worker said that it had made it; a coordinator's count holds what was given up, too.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from datetime import date, datetime

from diagnostics.evidence.model import BatchMarks, DownstreamRows, ItemMarks, ResultDay, ResultRows, Stage, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.pipeline.results import ResultsProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.model_files import Days, base, parse
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.outcome.claims import claims_of, date_of, kept, redone, redone_by
from diagnostics.steps.outcome.dates import spoken
from diagnostics.steps.outcome.pending import pending, uncounted
from diagnostics.steps.processed.acked import unwritten
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import count, size


class OfVersion(Tells, frozen=True, kw_only=True):
    version: str
    rows: int
    dates: str


class OfFile(Tells, frozen=True, kw_only=True):
    file: str
    rows: int
    dates: str
    """Those that it was trained on."""


class Filled(Tells, frozen=True, kw_only=True):
    column: str
    value_: str
    rows: int
    active: int
    dates: str


class Dated(Tells, frozen=True, kw_only=True):
    rows: int
    dates: str


class Withdrawn(Dated, frozen=True, kw_only=True):
    """Items of which no row is in force."""

    whole: int
    """1: nothing else is in force of one of those dates; 0: other items are, and these may have been withdrawn on purpose."""


ROWS = Code("outcome.rows", Stage.CLOSED, "results by date")
SUPERSEDED = Telling(
    "outcome.superseded_active", Stage.CLOSED, "superseded results are in force", Kind.EFFECT, tells=Dated
)
INACTIVE = Telling(
    "outcome.none_active", Stage.CLOSED, "items have results and none is in force", Kind.EFFECT, tells=Withdrawn
)
UNNAMED = Telling(
    "outcome.unnamed_model", Stage.CLOSED, "results do not say which model made them", Kind.EFFECT, tells=OfVersion
)
NAMED = Code("outcome.named_model", Stage.CLOSED, "results say which model made them")
TRAINED_ON = Telling(
    "outcome.trained_on", Stage.CLOSED, "results for dates that the model was trained on", Kind.EFFECT, tells=OfFile
)
FILLED = Telling("outcome.one_value", Stage.CLOSED, "one value fills nearly all results", Kind.EFFECT, tells=Filled)
DOWNSTREAM = Telling(
    "outcome.downstream", Stage.CLOSED, "what is made of the results is not there", Kind.EFFECT, tells=Dated
)
DOWNSTREAM_HIDDEN = Telling(
    "outcome.downstream_hidden", Stage.CLOSED, "what is made of the results was not seen", tells=Hidden
)

NEARLY_ALL = 0.9
"""Share of a date's active rows from which on one value fills a column."""
ENOUGH_ROWS = 20
"""A date with fewer active rows may well have one value."""


def outcome(
    ledger: Ledger,
    profile: PipelineProfile,
    results: ResultRows,
    downstream: DownstreamRows | Unseen,
    batches: BatchMarks | Unseen,
    lines: ItemMarks | Unseen,
    ask: Ask,
    now: datetime,
) -> Iterator[Finding]:
    if profile.results is None:
        return
    yield rows(results)
    yield from pending(ledger, profile, results, ask, now)
    yield from uncounted(ledger, results, batches)
    claims = [c for c in claims_of(ledger, lines) if results.since <= c.day <= results.until]
    own = date_of(ledger.attempt.date) if ledger.attempt else None
    for claim in claims:
        later = redone_by(ledger, claim)
        yield from [redone(claim, later, results.table)] if later else kept(claim, results, profile, now)
        own = None if claim.asked and later else own
        if claim.unwritten:
            yield from unwritten(ledger, profile, lines)
    yield from of_dates(results, downstream, profile, own, now)


def of_dates(
    results: ResultRows, downstream: DownstreamRows | Unseen, profile: PipelineProfile, own: date | None, now: datetime
) -> Iterator[Finding]:
    """What the rows themselves tell, whatever batch made them. `own`: the date of the batch that was asked about."""
    named = profile.results
    if named is None:
        return
    yield from _in_force(results, named, profile.item, own)
    yield from _versions(results, named, own)
    yield from _trained_on(results, own)
    yield from _filled(results, own)
    yield from _downstream(results, downstream, named, own, now)


def rows(results: ResultRows) -> Finding:
    days = [d for d in results.days if d.rows]
    total, active = sum(d.rows for d in days), sum(d.active for d in days)
    over = f"{results.since}" if results.since == results.until else f"{results.since} to {results.until}"
    none = [day for day in results.dates if not results.of(day).rows]
    without = f", none of {spoken(none)}" if days and none else ""
    return ROWS.says(
        Status.OK if days else Status.IDLE,
        f"{results.table}, {over}: {count(total, 'row')} on {count(len(days), 'date')}, {active} in force"
        f"{without} (the query read {size(results.read_bytes)})",
        rests_on=("ResultRows",),
    )


def _in_force(results: ResultRows, named: ResultsProfile, noun: str, own: date | None) -> Iterator[Finding]:
    if named.active and named.superseded:
        both = {d.day: d.active_superseded for d in results.days if d.active_superseded}
        if both:
            rows = sum(both.values())
            yield SUPERSEDED.says(
                Status.WARNING,
                f"{count(rows, 'row')} of {spoken(both)} say that others took their place, and are in force all the same",
                rests_on=("ResultRows",),
                bears=_bears(both, own),
                tells=Dated(rows=rows, dates=spoken(both)),
            )
    none = _none_in_force(results, named)
    if none:
        number, of = sum(none.values()), spoken(none)
        yield INACTIVE.says(
            Status.WARNING,
            f"{count(number, noun)} of {of} have rows of which none is in force"
            if named.item
            else f"none of {count(number, 'row')} of {of} is in force",
            rests_on=("ResultRows",),
            bears=_bears(none, own),
            tells=Withdrawn(rows=number, dates=of, whole=int(any(not results.of(day).active for day in none))),
        )


def _none_in_force(results: ResultRows, named: ResultsProfile) -> dict[date, int]:
    """Items of each date of which no row is in force; where no column names them, the rows of dates of which none is."""
    if not named.active:
        return {}
    if not named.item:
        return {d.day: d.rows for d in results.days if d.rows and not d.active}
    none = {d.day: d.items - d.active_items for d in results.days if d.items and d.active_items is not None}
    return {day: number for day, number in none.items() if number > 0}


def _versions(results: ResultRows, named: ResultsProfile, own: date | None) -> Iterator[Finding]:
    """Rows in force by a version that names no model. Rows that were replaced do no harm any more."""
    if not named.version or not named.names_model:
        return
    names = re.compile(named.names_model)
    by: dict[str, dict[date, int]] = {}
    good: dict[str, dict[date, int]] = {}
    for day in results.days:
        for made in day.made:
            into = good if names.fullmatch(made.version) else by
            if made.active:
                into.setdefault(made.version, {})[day.day] = into.get(made.version, {}).get(day.day, 0) + made.active
    for version, days in by.items():
        rows = sum(days.values())
        what = f"{version}, which names no model" if version else "no version"
        yield UNNAMED.says(
            Status.WARNING,
            f"{count(rows, 'row')} of {spoken(days)} carry {what}: which model made them cannot be told by it",
            rests_on=("ResultRows",),
            bears=_bears(days, own),
            tells=OfVersion(version=version, rows=rows, dates=spoken(days)),
        )
    for version, days in good.items():
        yield NAMED.says(
            Status.OK,
            f"{count(sum(days.values()), 'row')} of {spoken(days)} are of {version}",
            rests_on=("ResultRows",),
        )


def _trained_on(results: ResultRows, own: date | None) -> Iterator[Finding]:
    """Results in force for dates that lie in the training range of the model that made them, as far as the name of its file tells that."""
    by: dict[str, tuple[Days, dict[date, int]]] = {}
    for day in results.days:
        for made in day.made:
            model = parse(made.file) if made.file else None
            if made.active and model and model.trained and not model.amiss and day.day in model.trained:
                _, days = by.setdefault(base(made.file), (model.trained, {}))
                days[day.day] = days.get(day.day, 0) + made.active
    for file, (trained, days) in by.items():
        rows = sum(days.values())
        yield TRAINED_ON.says(
            Status.WARNING,
            f"{count(rows, 'row')} of {spoken(days)} were made by {file}, which was trained on {trained}: "
            "it had seen how those dates ended",
            rests_on=("ResultRows",),
            bears=_bears(days, own),
            tells=OfFile(file=file, rows=rows, dates=spoken(days)),
        )


def _filled(results: ResultRows, own: date | None) -> Iterator[Finding]:
    by: dict[tuple[str, str], dict[date, tuple[int, int]]] = {}
    for day in results.days:
        for leading in day.leading:
            if day.active >= ENOUGH_ROWS and leading.rows >= NEARLY_ALL * day.active:
                by.setdefault((leading.column, leading.value), {})[day.day] = (leading.rows, day.active)
    for (column, value), days in by.items():
        rows, active = (sum(numbers) for numbers in zip(*days.values(), strict=True))
        yield FILLED.says(
            Status.WARNING,
            f"{rows} of {active} rows in force of {spoken(days)} have {column} {value}",
            rests_on=("ResultRows",),
            bears=_bears(days, own),
            tells=Filled(column=column, value_=value, rows=rows, active=active, dates=spoken(days)),
        )


def _downstream(
    results: ResultRows, downstream: DownstreamRows | Unseen, named: ResultsProfile, own: date | None, now: datetime
) -> Iterator[Finding]:
    if named.downstream is None:
        return
    if isinstance(downstream, Unseen):
        if downstream.why is not Why.NOT_ASKED:
            yield DOWNSTREAM_HIDDEN.says(
                Status.UNKNOWN,
                f"whether {named.downstream.table} has what is made of the results was not seen: {downstream.says}",
                rests_on=("DownstreamRows",),
                tells=Hidden.of(downstream),
            )
        return
    lacks = {d.day: d.active for d in results.days if d.active and not downstream.of(d.day)}
    due = {day: rows for day, rows in lacks.items() if _due(results.of(day), named.downstream.within_s, now)}
    if due:
        rows = sum(due.values())
        makes = named.downstream.makes.replace("{date}", min(due).isoformat())
        yield DOWNSTREAM.says(
            Status.WARNING,
            f"{downstream.table} has no row for {spoken(due)}, which {count(rows, 'result')} in force are of"
            + (f"; this makes them: {makes}" if makes else ""),
            rests_on=("ResultRows", "DownstreamRows"),
            bears=_bears(due, own),
            tells=Dated(rows=rows, dates=spoken(due)),
        )


def _due(day: ResultDay, within_s: float, now: datetime) -> bool:
    """Whether what is made of a date's results has to be there. Where nothing tells when they were written, once the date is past."""
    if day.last is not None:
        return (now - day.last).total_seconds() > within_s
    return day.day < now.date()


def _bears(days: Container[date], own: date | None) -> Bears:
    """Whether the batch that was asked about is among those that have it, by its date."""
    return Bears.SLOWS if own in days else Bears.APART
