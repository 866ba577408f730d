"""Where a pipeline's results are, as a profile says: `[results]` and `[results.downstream]`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from diagnostics.pipeline.names import TABLE, WORD


def full_name(project: str, table: str) -> str:
    """PROJECT.DATASET.TABLE of a table that may be named without its project."""
    return table if table.count(".") > 1 else f"{project}.{table}"


class TableProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of BigQuery with rows by date. Columns are named as the table has them."""

    table: str
    """DATASET.TABLE, in full PROJECT.DATASET.TABLE."""
    date: str
    """The date that a row is about: a DATE, DATETIME, TIMESTAMP or, written 2026-02-08, a STRING. The table is best partitioned by it."""
    only: dict[str, str | int | bool] = {}
    """Rows that count: column to value. A table with the rows of several systems is read one system at a time."""


class DownstreamProfile(TableProfile, frozen=True, kw_only=True):
    """A table that is made of the results once they are there."""

    within_s: float = 6 * 3600.0
    """How long after the newest result of a date it has to have rows for it, in seconds."""
    makes: str = ""
    """What makes them, for people: a command of yours, in which {date} stands for the date. It is printed, never run."""


class ResultsProfile(TableProfile, frozen=True, kw_only=True):
    """Where the pipeline's results are, and what their columns mean. What is not named is not looked at."""

    item: str = ""
    """The item that a row is about, by the name that log lines and messages use."""
    active: str = ""
    """BOOL: whether the row is in force; empty: every row is."""
    superseded: str = ""
    """BOOL: whether another row took its place."""
    written: str = ""
    """TIMESTAMP: when the row was last written."""
    version: str = ""
    """Version of the model that made the row."""
    file: str = ""
    """Its file, as a name, a path or gs://BUCKET/PATH."""
    names_model: str = ""
    """Python regular expression that a version has to match whole to name one model: a constant names none."""
    varies: tuple[str, ...] = ()
    """Columns in which one value does not fill nearly all active rows of a date."""
    downstream: DownstreamProfile | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        named = (self.date, self.item, self.active, self.superseded, self.written, self.version, self.file)
        return tuple(dict.fromkeys((*filter(None, named), *self.only, *self.varies)))


def wrong(results: ResultsProfile) -> Iterator[str]:
    """What of it cannot be meant: the key and what was expected."""
    for key, table in (("", results), ("downstream.", results.downstream)):
        if table is None:
            continue
        if not TABLE.fullmatch(table.table):
            yield f'{key}table: expected DATASET.TABLE or PROJECT.DATASET.TABLE, got "{table.table}"'
        for column in (table.date, *(results.columns if table is results else table.only)):
            if not WORD.fullmatch(column):
                yield f'{key or ""}columns: expected the name of a column, got "{column}"'
    try:
        re.compile(results.names_model)
    except re.error as error:
        yield f"names_model: expected a Python regular expression: {error}"
