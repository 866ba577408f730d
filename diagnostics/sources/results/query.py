"""One query of BigQuery: it is asked first what it would read, and Google itself refuses to read more than was allowed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.question.ask import Ask
from diagnostics.shell.commands import command, quote
from diagnostics.sources.results.sql import Statement
from diagnostics.steps.words import size
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.rpcs import ESTIMATE, QUERY, Rpc
from diagnostics.transport.session import Session
from diagnostics.transport.tables import Answer

EXTRA = "pip install 'pubsub-diag[outcome]'"
USUAL_BYTES = 10 * 2**30
"""So much one query may read where nobody says: a fraction of a euro."""
LEAST_BILLED = 10 * 2**20
"""BigQuery bills this much for any query (pricing page), so that a lower limit refuses each."""


class Query(NamedTuple):
    """What is asked of a table, and what whoever asks says where it cannot be."""

    project: str
    """It pays."""
    location: str
    """Where the table is: there it runs."""
    table: str
    """PROJECT.DATASET.TABLE"""
    statement: Statement
    most_rows: int
    correct: str
    """What to do where the table is not there."""
    cheaper: str
    """What to do where it would read too much."""
    read_before: int = 0
    """Bytes that queries of the same question have read already: what is allowed is allowed for all of them."""
    whole: bool = False
    """Whether of more rows than that not one is wanted."""
    keep: Callable[[dict[str, Any]], Any] | None = None
    """What is kept of each row; None: all of it. It may be called twice for a row, where the question had to be asked again."""

    @property
    def by_hand(self) -> str:
        """The same query for bq."""
        line = command(
            "bq --project_id={project} --location={location} query --nouse_legacy_sql --max_rows=20000 {sql}",
            project=self.project,
            location=self.location,
            sql=" ".join(self.statement.sql.split()),
        )
        values = self.statement.values.items()
        said = [quote(f"--parameter={name}:{_type(value)}:{value}") for name, value in values]
        return line.replace(_ROWS, " ".join((_ROWS, *said)), 1)


_ROWS = "--max_rows=20000"


class Read(NamedTuple):
    """What came of it."""

    answer: Answer
    bytes: int
    """What BigQuery said that it would read."""


def read(session: Session, ask: Ask, query: Query) -> Read:
    """Its rows, or the first of them, if they may be asked for. Raises NotSeen."""
    most = USUAL_BYTES if ask.max_bytes is None else ask.max_bytes
    asked: dict[str, Any] = {
        "project": query.project,
        "location": query.location,
        "sql": query.statement.sql,
        "values": query.statement.values,
    }
    would = int(_asked(session, ESTIMATE, asked, query).read_bytes)
    if query.read_before + max(would, LEAST_BILLED) > most:
        before = f" after {size(query.read_before)}" if query.read_before else ""
        says = (
            f"the query of {query.table} would read {size(would)}{before} (BigQuery bills {size(LEAST_BILLED)} at least), "
            f"and --max-bytes allows {size(most)}"
        )
        raise NotSeen(Why.FAILED, says, mend=query.cheaper)
    asked |= {"most_bytes": most, "most_rows": query.most_rows, "whole": query.whole} | (
        {"keep": query.keep} if query.keep else {}
    )
    return Read(_asked(session, QUERY, asked, query), would)


def _asked(session: Session, rpc: Rpc, asked: dict[str, Any], query: Query) -> Any:
    """Its answer. Raises NotSeen, also where the table went between two calls, or is a view of a table that is not there."""
    try:
        return call(session, rpc, asked)
    except NotThere as error:
        raise NotSeen(Why.FAILED, f"{query.table} cannot be asked: {error}", mend=query.correct) from error


def _type(value: object) -> str:
    return {bool: "BOOL", int: "INT64", date: "DATE", datetime: "TIMESTAMP"}.get(type(value), "STRING")
