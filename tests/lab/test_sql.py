"""GoogleSQL on the lab's tables: what BigQuery refuses is refused, what it would read is told, and NULL is NULL."""

# ruff: noqa: S608 -- the queries are made of our own names
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from diagnostics.lab.model import Table
from diagnostics.lab.query.sql import BadQuery, Kept, NoTable, Query

ROWS: list[dict[str, Any]] = [
    {"day": "2026-02-01", "name": "a", "good": True, "at": 1_770_000_000.0, "share": 0.5},
    {"day": "2026-02-01", "name": "b", "good": None, "at": None, "share": None},
    {"day": "2026-02-02", "name": None, "good": False, "at": 1_770_000_001.5, "share": 1.0},
]
COLUMNS = {"day": "DATE", "name": "STRING", "good": "BOOLEAN", "at": "TIMESTAMP", "share": "FLOAT"}
TABLES = {
    "d.t": Table("d.t", COLUMNS, partition="day", filter_required=True, rows=ROWS),
    "d.free": Table("d.free", COLUMNS, partition="day", rows=ROWS),
}
FIRST = {"first": date(2026, 2, 1), "last": date(2026, 2, 1)}
IN = "day BETWEEN @first AND @last"


def query(text: str, values: dict[str, Any] | None = None) -> Query:
    return Query(text, FIRST if values is None else values, TABLES, "my-project", "us-west2")


@pytest.mark.parametrize("name", ["`my-project.d.t`", "`my-project`.d.t", "d.t", "`d.t`", "`my-project.d.t` AS x"])
def test_a_table_goes_by_each_of_its_names(name: str) -> None:
    assert query(f"SELECT COUNT(*) AS n FROM {name} WHERE {IN}").run().rows == [(2,)]


def test_null_is_neither_true_nor_false_and_is_not_counted() -> None:
    text = f"SELECT COUNT(name), COUNTIF(good), COUNTIF(NOT good), COUNT(DISTINCT good), MIN(at) FROM d.free WHERE {IN}"
    assert query(text).run().rows == [(2, 1, 0, 1, datetime(2026, 2, 2, 2, 40, tzinfo=UTC))]


def test_types_are_the_apis() -> None:
    fields = query(f"SELECT day, name, good, at, share, COUNT(*) OVER () AS n FROM d.t WHERE {IN}").run().fields
    assert [f.type for f in fields] == ["DATE", "STRING", "BOOLEAN", "TIMESTAMP", "FLOAT", "INTEGER"]


def test_a_dry_run_counts_the_named_columns_of_the_named_partitions() -> None:
    both = {"first": date(2026, 2, 1), "last": date(2026, 2, 9)}
    assert query(f"SELECT COUNT(*) FROM d.t WHERE {IN}").bytes_read() == 2 * 8
    assert query(f"SELECT name FROM d.t WHERE {IN}").bytes_read() == 2 * 8 + 2 * (2 + 1)
    assert query(f"SELECT share FROM d.t WHERE {IN}", both).bytes_read() == 3 * 8 + 2 * 8  # a NULL has no bytes
    assert query("SELECT name FROM d.free", {}).bytes_read() == 2 * (2 + 1)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (f"SELECT name, at, JSON_VALUE(more.labels, '$.a') AS a FROM d.t WHERE {IN} ORDER BY at", FIRST),
        (f"SELECT COUNT(*) AS n FROM d.t AS x JOIN d.free USING (name) WHERE x.{IN}", FIRST),
        (
            "SELECT COUNT(*) AS n FROM d.t AS x JOIN d.t AS y ON x.name = y.name WHERE x.day > '2026-01-01' AND y.day > '2026-01-01'",
            {},
        ),
    ],
)
def test_a_table_that_is_kept_answers_as_one_that_is_made_for_each_query(text: str, values: dict[str, Any]) -> None:
    columns = {**COLUMNS, "more": "STRUCT<type STRING, labels JSON>"}
    rows = [{**row, "more": {"type": "é", "labels": '{"a": "b"}'} if row["good"] else None} for row in ROWS]
    made = Table("d.t", columns, partition="day", filter_required=True, rows=rows)
    kept = Kept("my-project.d.t", columns, rows)
    asked = [
        Query(text, values, {**TABLES, "d.t": replace(made, rows=r)}, "my-project", "us-west2") for r in (rows, kept)
    ]
    assert asked[0].bytes_read() == asked[1].bytes_read() > 0
    assert asked[0].run() == asked[1].run() == asked[1].run()
    assert (len(kept), list(kept)) == (len(rows), rows)
    kept.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT COUNT(*) FROM d.t", "without a filter over column(s) 'day'"),
        ("SELECT COUNT(*) FROM d.t WHERE name = 'a'", "without a filter"),
        ("SELECT COUNT(*) FROM d.t WHERE DATE_ADD(day, INTERVAL 1 DAY) > @first", "without a filter"),
        ("SELECT COUNT(*) FROM d.t WHERE day = @first OR name = 'a'", "without a filter"),
        (f"SELECT nothing FROM d.t WHERE {IN}", "Unrecognized name"),
        ("SELECT COUNT(*) FROM t WHERE day = @first", "must be qualified with a dataset"),
        ("SELECT COUNT(*) FROM d.t WHERE day = @other", "Query parameter 'other' not found"),
        ("SELECT FROM WHERE", "Syntax error"),
        ("DELETE FROM d.t WHERE day = @first", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
    ],
)
def test_what_bigquery_refuses_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadQuery) as refused:
        query(text)
    assert says in refused.value.message


@pytest.mark.parametrize("name", ["d.gone", "`other-project.d.t`"])
def test_a_table_that_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(NoTable) as refused:
        query(f"SELECT COUNT(*) FROM {name} WHERE {IN}")
    assert "was not found in location us-west2" in refused.value.message


def test_a_name_of_with_is_no_table_and_its_columns_are_checked() -> None:
    picked = f"WITH picked AS (SELECT day, name AS called FROM d.t WHERE {IN}) "
    assert query(picked + "SELECT COUNT(called) FROM picked UNION ALL SELECT COUNT(*) FROM picked").run().rows == [
        (2,),
        (2,),
    ]
    with pytest.raises(BadQuery):
        query(picked + "SELECT name FROM picked")


def test_the_most_frequent_value_by_date() -> None:
    text = (
        "WITH picked AS (SELECT day, CAST(share AS STRING) AS share FROM d.free) SELECT day, share, COUNT(*) FROM picked "
        "WHERE share IS NOT NULL GROUP BY day, share QUALIFY ROW_NUMBER() OVER (PARTITION BY day ORDER BY COUNT(*) DESC, share) = 1"
    )
    assert sorted(query(text, {}).run().rows) == [(date(2026, 2, 1), "0.5", 1), (date(2026, 2, 2), "1.0", 1)]
