"""Results by date, and what is made of them. Every query is asked what it would read before it is asked for rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from diagnostics.evidence.model import (
    BatchMarks,
    DownstreamDay,
    DownstreamRows,
    Leading,
    Made,
    Provenance,
    ResultDay,
    ResultRows,
    StartCalls,
    Unseen,
    Why,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.models import RegistryProfile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.pipeline.results import TableProfile, full_name
from diagnostics.question.ask import Ask
from diagnostics.readings.ledger.attempts import attempts
from diagnostics.sources.collect import BY_THE_WAY
from diagnostics.sources.results import sql
from diagnostics.sources.results.query import EXTRA, Query, read
from diagnostics.sources.results.sql import Statement
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import GET_TABLE
from diagnostics.transport.session import Session
from diagnostics.transport.tables import TableShape

MOST_ROWS = 20_000
"""Rows of an answer: a year of dates, with dozens of versions each."""
LATELY = timedelta(days=7)


_CORRECT = {
    "results": "correct table under [results] in the profile",
    "model.registry": "correct table under [model.registry] in the profile",
}


def result_rows(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    marks: Annotated[BatchMarks | Unseen, None, BY_THE_WAY],
    calls: Annotated[StartCalls | Unseen, None, BY_THE_WAY],
) -> ResultRows:
    """The rows of the asked dates. Raises NotSeen."""
    results = pipeline.results
    if results is None:
        raise NotSeen(Why.NOT_CONFIGURED, "the profile names no table of results", mend="add [results] to the profile")
    days, began = _days(session, ask, marks, calls)
    name, shape = shape_of(session, pipeline, results)
    answer = answer_of(session, pipeline, ask, name, shape, sql.of_results(name, results, shape, days, began))
    return ResultRows(
        source=answer.source,
        table=name,
        since=days[0],
        until=days[1],
        days=tuple(_day(day, rows, bool(results.item)) for day, rows in sorted(_by_day(answer.rows).items())),
        read_bytes=answer.read_bytes,
        written_since=began if results.written and results.item else None,
    )


def downstream_rows(
    session: Session, pipeline: PipelineProfile, ask: Ask, results: ResultRows | Unseen
) -> DownstreamRows:
    """The same dates, of what is made of them. Raises NotSeen."""
    downstream = pipeline.results.downstream if pipeline.results else None
    if downstream is None:
        raise NotSeen(Why.NOT_CONFIGURED, "the profile names no table that is made of the results")
    if isinstance(results, Unseen):
        raise NotSeen(Why.DEPENDS, f"not asked because {results.says}", results.permission, results.mend)
    days = (results.since, results.until)
    name, shape = shape_of(session, pipeline, downstream)
    answer = answer_of(session, pipeline, ask, name, shape, sql.of_downstream(name, downstream, shape, days))
    found = tuple(DownstreamDay(day=row["day"], rows=row["total"]) for row in answer.rows if row["day"] is not None)
    return DownstreamRows(
        source=answer.source,
        table=name,
        since=days[0],
        until=days[1],
        days=tuple(sorted(found, key=lambda d: d.day)),
        read_bytes=answer.read_bytes,
    )


def _days(
    session: Session, ask: Ask, marks: BatchMarks | Unseen, calls: StartCalls | Unseen
) -> tuple[tuple[date, date], datetime | None]:
    """The asked dates; or the date of the batch as its lines tell it, and when that began; else those of lately and tomorrow, for
    which there may be a batch already."""
    if ask.days is not None:
        return ask.days, None
    if isinstance(marks, Unseen) and marks.why not in (Why.NOT_CONFIGURED, Why.NOT_ASKED):
        says = f"of which dates the batch is could not be seen: {marks.says}"
        raise NotSeen(
            marks.why, says, marks.permission, "name the dates: pubsub-diag outcome --since DATE --until DATE"
        )
    known = attempts(() if isinstance(marks, Unseen) else marks.marks, () if isinstance(calls, Unseen) else calls.calls)
    of_batch = [a for a in known if a.batch and ask.batch in ("", a.batch)]
    if of_batch and (day := _date(of_batch[-1].date)):
        return (day, day), of_batch[-1].started
    today = ask.end(session.now).date()
    return (today - LATELY, today + timedelta(days=1)), None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def shape_of(
    session: Session, pipeline: PipelineProfile, table: TableProfile | RegistryProfile, under: str = "results"
) -> tuple[str, TableShape]:
    """The table's full name, and what has to be known to ask it. `under`: where in the profile it stands. Raises NotSeen."""
    name = full_name(pipeline.project, table.table)
    try:
        return name, call(session, GET_TABLE, {"table": name})
    except ImportError as error:
        says = "reading tables needs google-cloud-bigquery, which is not installed"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=EXTRA) from error
    except NotThere as error:
        says = f"there is no table {name}, or this login may not know of it: {error}"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=_CORRECT[under]) from error


class _Read(NamedTuple):
    rows: tuple[dict[str, Any], ...]
    read_bytes: int
    source: Provenance


def answer_of(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    name: str,
    shape: TableShape,
    statement: Statement,
    under: str = "results",
) -> _Read:
    """The rows of a query that may be asked. Raises NotSeen. It runs where the table is, and the pipeline's project pays."""
    query = Query(
        project=pipeline.project,
        location=shape.location,
        table=name,
        statement=statement,
        most_rows=MOST_ROWS,
        correct=_CORRECT[under],
        cheaper="ask for fewer dates, or allow more with --max-bytes",
    )
    answer, would = read(session, ask, query)
    if not answer.whole:
        says = f"the answer about {name} has more than {len(answer.rows)} rows, and what is counted in a part of it is not so"
        raise NotSeen(Why.FAILED, says, mend="ask for fewer dates with --since and --until")
    return _Read(answer.rows, would, provenance(session, f"BigQuery {name}", statement.sql, query.by_hand))


def _by_day(rows: Iterable[Mapping[str, Any]]) -> dict[date, list[Mapping[str, Any]]]:
    """Rows of the answer by the date that they are about; of a text that is no date there is none."""
    found: dict[date, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["day"] is not None:
            found.setdefault(row["day"], []).append(row)
    return found


def _day(day: date, rows: Iterable[Mapping[str, Any]], items: bool) -> ResultDay:
    rows = list(rows)
    counts = next(row for row in rows if row["kind"] == sql.DAYS)
    made = [row for row in rows if row["kind"] == sql.MADE]
    return ResultDay(
        day=day,
        rows=counts["total"],
        active=counts["active"],
        items=counts["items"] if items else None,
        active_items=counts["active_items"] if items else None,
        active_superseded=counts["active_superseded"],
        written_items=counts["written_items"],
        first=counts["earliest"],
        last=counts["latest"],
        made=tuple(
            Made(version=_said(r["name"]), file=_said(r["value"]), rows=r["total"], active=r["active"])
            for r in sorted(made, key=lambda r: (-r["total"], _said(r["name"]), _said(r["value"])))
        ),
        leading=tuple(
            Leading(column=r["name"], value=_said(r["value"]), rows=r["total"]) for r in rows if r["kind"] == sql.VALUE
        ),
    )


def _said(value: str | None) -> str:
    return redact(value or "", 200)
