"""What a pipeline left behind in its tables: results by date, and what others make of them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from msgspec import Struct

from diagnostics.evidence.model.base import Evidence


class Made(Struct, frozen=True, kw_only=True):
    """The rows of a date that one model made, as far as they say which."""

    version: str
    """Empty: they carry none, or the profile names no such column; likewise `file`."""
    file: str
    rows: int
    active: int


class Leading(Struct, frozen=True, kw_only=True):
    """The value that most of a date's active rows have in a column."""

    column: str
    value: str
    rows: int


class ResultDay(Struct, frozen=True, kw_only=True):
    """The rows of one date. What the profile names no column for is None."""

    day: date
    rows: int
    active: int
    """Rows that are in force; where the profile names no column that tells, all of them."""
    items: int | None = None
    """Items with a row."""
    active_items: int | None = None
    """Items with an active row."""
    active_superseded: int | None = None
    """Active rows that say of themselves that others took their place."""
    written_items: int | None = None
    """Items with a row that was written since the batch that was asked about began."""
    first: datetime | None = None
    """When the oldest row was written."""
    last: datetime | None = None
    made: tuple[Made, ...] = ()
    leading: tuple[Leading, ...] = ()


class ResultRows(Evidence, frozen=True, kw_only=True):
    """The results table, date by date. A date that is not there has no rows."""

    table: str
    """PROJECT.DATASET.TABLE"""
    since: date
    until: date
    """Last date that was looked at."""
    days: tuple[ResultDay, ...]
    read_bytes: int
    """What the query reads, by BigQuery's own word before it ran."""
    written_since: datetime | None = None
    """Since when `written_items` counts."""

    @property
    def dates(self) -> tuple[date, ...]:
        """All that were looked at, those without a row, too."""
        return tuple(self.since + timedelta(days=n) for n in range((self.until - self.since).days + 1))

    def of(self, day: date) -> ResultDay:
        """The rows of a date within the window."""
        return next((d for d in self.days if d.day == day), ResultDay(day=day, rows=0, active=0))


class DownstreamDay(Struct, frozen=True, kw_only=True):
    day: date
    rows: int


class DownstreamRows(Evidence, frozen=True, kw_only=True):
    """A table that is made of the results: how many rows it has for each date."""

    table: str
    since: date
    until: date
    days: tuple[DownstreamDay, ...]
    read_bytes: int

    def of(self, day: date) -> int:
        return next((d.rows for d in self.days if d.day == day), 0)
