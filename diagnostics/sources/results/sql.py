"""The queries of the results table and of the table made of it: GoogleSQL with parameters, one query however many dates.

Names of tables and columns stand in backticks and are what the profile may name; every value is a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.results import ResultsProfile, TableProfile
from diagnostics.transport.tables import Column, TableShape, Value

DAYS, MADE, VALUE = "day", "made", "value"
"""What a row of the answer tells of."""
_DATES = {"DATE", "DATETIME", "TIMESTAMP", "STRING"}
_INTEGER, _BOOLEAN = frozenset({"INTEGER", "INT64"}), frozenset({"BOOLEAN", "BOOL"})


class Statement(NamedTuple):
    sql: str
    values: dict[str, Value]


def of_results(
    name: str, results: ResultsProfile, shape: TableShape, days: tuple[date, date], since: datetime | None
) -> Statement:
    """Counts of each date; by version and file; and the value that most active rows have. Raises NotSeen for a column of another kind."""
    check(results, shape, results.columns)
    for column in filter(None, (results.active, results.superseded)):
        _expect(results, shape, column, _BOOLEAN, "BOOL")
    if results.written:
        _expect(results, shape, results.written, frozenset({"TIMESTAMP"}), "TIMESTAMP")
    where, values = _where(results, shape, days)
    active = f"IFNULL(`{results.active}`, FALSE)" if results.active else "TRUE"
    superseded = f"IFNULL(`{results.superseded}`, FALSE)" if results.superseded else "FALSE"
    read = [
        f"{_day(results, shape)} AS day",
        f"{active} AS active",
        f"{superseded} AS superseded",
        f"{_text(results.item)} AS item",
        f"{_text(results.version)} AS version",
        f"{_text(results.file)} AS file",
        f"{f'`{results.written}`' if results.written else 'CAST(NULL AS TIMESTAMP)'} AS written",
        *(f"{_text(column)} AS varies_{n}" for n, column in enumerate(results.varies)),
    ]
    later = "NULL"
    if since is not None and results.written and results.item:
        values["since_written"] = since
        later = "COUNT(DISTINCT IF(written >= @since_written, item, NULL))"
    parts = [
        f"SELECT '{DAYS}' AS kind, day, CAST(NULL AS STRING) AS name, CAST(NULL AS STRING) AS value, COUNT(*) AS total, "
        "COUNTIF(active) AS active, COUNT(DISTINCT item) AS items, COUNT(DISTINCT IF(active, item, NULL)) AS active_items, "
        f"COUNTIF(active AND superseded) AS active_superseded, CAST({later} AS INT64) AS written_items, "
        "MIN(written) AS earliest, MAX(written) AS latest\nFROM picked GROUP BY day",
        f"SELECT '{MADE}', day, version, file, COUNT(*), COUNTIF(active), {_NONE}\nFROM picked GROUP BY day, version, file",
        *(
            f"SELECT '{VALUE}', day, '{column}', varies_{n}, COUNT(*), COUNT(*), {_NONE}\n"
            f"FROM picked WHERE active AND varies_{n} IS NOT NULL GROUP BY day, varies_{n}\n"
            f"QUALIFY ROW_NUMBER() OVER (PARTITION BY day ORDER BY COUNT(*) DESC, varies_{n}) = 1"
            for n, column in enumerate(results.varies)
        ),
    ]
    picked = ",\n    ".join(read)
    sql = f"WITH picked AS (\n  SELECT\n    {picked}\n  FROM `{name}`\n  WHERE {where}\n)\n"
    return Statement(sql + "\nUNION ALL\n".join(parts), values)


_NONE = (
    "CAST(NULL AS INT64), CAST(NULL AS INT64), CAST(NULL AS INT64), CAST(NULL AS INT64), "
    "CAST(NULL AS TIMESTAMP), CAST(NULL AS TIMESTAMP)"
)
"""What only the counts of a date tell."""


def of_downstream(name: str, table: TableProfile, shape: TableShape, days: tuple[date, date]) -> Statement:
    """Rows by date. Raises NotSeen likewise."""
    check(table, shape, (table.date, *table.only))
    where, values = _where(table, shape, days)
    return Statement(
        f"SELECT {_day(table, shape)} AS day, COUNT(*) AS total\nFROM `{name}`\nWHERE {where}\nGROUP BY day", values
    )


def check(table: TableProfile, shape: TableShape, columns: tuple[str, ...]) -> None:
    """Refuse what the table has not, or cannot be asked by: with what it has, since a name may be written otherwise there."""
    if missing := [c for c in columns if c not in shape.columns]:
        has = ", ".join(sorted(shape.columns)[:12])
        says = f"{table.table} has no column {', '.join(missing)}, which the profile names; it has {has}"
        raise NotSeen(Why.NOT_CONFIGURED, says)
    if listed := [c for c in columns if shape.columns[c].repeated]:
        raise NotSeen(
            Why.NOT_CONFIGURED, f"column {listed[0]} of {table.table} is repeated: one value a row is expected"
        )
    _expect(table, shape, table.date, frozenset(_DATES), "DATE, DATETIME, TIMESTAMP or STRING")
    if shape.filter_required and shape.partition != table.date:
        by = shape.partition or "the time at which rows were loaded"
        says = (
            f"{table.table} wants a filter on {by}, by which it is partitioned, and the profile's date is {table.date}"
        )
        raise NotSeen(Why.NOT_CONFIGURED, says)


def _expect(table: TableProfile, shape: TableShape, column: str, kinds: frozenset[str], said: str) -> None:
    found = shape.columns[column].type
    if found not in kinds:
        raise NotSeen(
            Why.NOT_CONFIGURED,
            f"column {column} of {table.table} is {found}, and {said} is expected of what it is named for",
        )


def _day(table: TableProfile, shape: TableShape) -> str:
    """The date of a row as DATE."""
    match shape.columns[table.date].type:
        case "DATE":
            return f"`{table.date}`"
        case "STRING":
            return f"SAFE_CAST(`{table.date}` AS DATE)"
        case _:
            return f"DATE(`{table.date}`)"


def _where(table: TableProfile, shape: TableShape, days: tuple[date, date]) -> tuple[str, dict[str, Value]]:
    """The dates, compared so that partitions are told by it, and what else the rows have to be."""
    column, kind = f"`{table.date}`", shape.columns[table.date].type
    values: dict[str, Value] = {"first_day": days[0], "last_day": days[1]}
    match kind:
        case "DATE":
            where = f"{column} BETWEEN @first_day AND @last_day"
        case "STRING":
            values = {"first_day": days[0].isoformat(), "last_day": days[1].isoformat()}
            where = f"{column} BETWEEN @first_day AND @last_day"
        case _:
            where = f"{column} >= {kind}(@first_day) AND {column} < {kind}(DATE_ADD(@last_day, INTERVAL 1 DAY))"
    for number, (name, value) in enumerate(table.only.items()):
        values[f"only_{number}"] = _fitting(table, name, shape.columns[name], value)
        where += f" AND `{name}` = @only_{number}"
    return where, values


def _fitting(table: TableProfile, name: str, column: Column, value: str | int | bool) -> Value:
    kinds: Mapping[type, frozenset[str]] = {bool: _BOOLEAN, int: _INTEGER, str: frozenset({"STRING"})}
    if column.type not in kinds[type(value)]:
        raise NotSeen(
            Why.NOT_CONFIGURED,
            f"column {name} of {table.table} is {column.type}, and the profile compares it with {value!r}",
        )
    return value


def _text(column: str) -> str:
    return f"CAST(`{column}` AS STRING)" if column else "CAST(NULL AS STRING)"
