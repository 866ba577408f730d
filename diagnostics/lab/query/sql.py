"""GoogleSQL on the lab's tables: sqlglot reads it in BigQuery's dialect and checks every name, DuckDB runs it.

Both come with the extra `lab`; without them the lab answers no query. What BigQuery refuses is refused here, in its words: a name that
is not there, a table that wants its partitions named and whose query does not.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from diagnostics.lab.model import Rows, Table

try:
    import duckdb
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import Scope, traverse_scope

    ENGINE = True
except ImportError:  # a plain install
    ENGINE = False

DIALECT = "bigquery"
_DUCKDB = {
    "STRING": "VARCHAR",
    "FLOAT": "DOUBLE",
    "INTEGER": "BIGINT",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
    "JSON": "JSON",
}
STRUCT = re.compile(r"STRUCT<(\w+ \w+(?:, \w+ \w+)*)>")
"""A record: its fields, each with its type."""
_API = {
    "VARCHAR": "STRING",
    "DOUBLE": "FLOAT",
    "BIGINT": "INTEGER",
    "HUGEINT": "INTEGER",
    "INTEGER": "INTEGER",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
"""DuckDB's type of a result to the API's."""
AT_ONCE = 5000
"""Rows that the engine is given at a time, each column as one list: a parameter for each value costs eight times as much."""
MOST_IN_MEMORY = "512MB"
_BYTES = {"FLOAT": 8, "INTEGER": 8, "BOOLEAN": 1, "DATE": 8, "TIMESTAMP": 8}
"""Bytes of a value (BigQuery: data type sizes); a STRING has two and its own, a NULL none."""


class BadQuery(Exception):
    """The query is refused: `reason` as the API's error has it."""

    def __init__(self, message: str, reason: str = "invalidQuery") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class NoTable(BadQuery):
    def __init__(self, name: str, region: str) -> None:
        project, dataset, table = name.split(".")
        super().__init__(f"Not found: Table {project}:{dataset}.{table} was not found in location {region}", "notFound")


class Field(NamedTuple):
    name: str
    type: str


class Answer(NamedTuple):
    fields: tuple[Field, ...]
    rows: list[tuple[Any, ...]]


class _Scan(NamedTuple):
    """One reading of a table within the query."""

    name: str
    """PROJECT.DATASET.TABLE"""
    table: Table
    columns: frozenset[str]
    conditions: tuple[Any, ...]
    """What its WHERE demands of the partition column alone."""


class Kept:
    """The rows of a large table that is asked again and again: put into the engine once, in a file where they do not fit."""

    def __init__(self, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
        """`name` is the full one."""
        self.name, self._columns = name.lower(), columns
        self._folder = tempfile.TemporaryDirectory(prefix="lab-tables-")
        self._engine = _engine(str(Path(self._folder.name) / "kept.duckdb"))
        _fill(self._engine, self.name, columns, rows, stays=True)

    def opened(self) -> Any:
        """The engine, for one thread and its tables of a moment."""
        return self._engine.cursor()

    def __len__(self) -> int:
        with self.opened() as engine:
            return int(engine.execute(f'SELECT count(*) FROM "{self.name}"').fetchone()[0])  # noqa: S608

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.opened() as engine:
            got = engine.execute(f'SELECT * FROM "{self.name}"')  # noqa: S608
            while part := got.fetchmany(AT_ONCE):
                yield from (dict(zip(self._columns, map(_kept, row), strict=True)) for row in part)

    def close(self) -> None:
        self._engine.close()
        self._folder.cleanup()


class Query:
    """One query, read and checked. Raises BadQuery."""

    def __init__(
        self, text: str, values: Mapping[str, Any], tables: Mapping[str, Table], project: str, region: str
    ) -> None:
        """`tables` are those of `project`, by DATASET.TABLE."""
        self._values = dict(values)
        self._tables, self._project, self._region = tables, project, region
        try:
            statements = sqlglot.parse(text, read=DIALECT)
        except SqlglotError as error:
            raise BadQuery(f"Syntax error: {_first_line(error)}") from error
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            raise BadQuery("The lab answers one SELECT at a time.")
        tree = statements[0]
        asked = {p.name for p in tree.find_all(exp.Parameter)}
        if missing := sorted(asked - set(values)):
            raise BadQuery(f"Query parameter '{missing[0]}' not found")
        self._values = {name: value for name, value in self._values.items() if name in asked}
        named = [t for scope in traverse_scope(tree) for t in scope.tables if _is_table(scope, t)]
        self._named = tuple(dict.fromkeys(_name(t, project) for t in named))
        self._found = {name.lower(): self._table(name) for name in self._named}  # the engine knows no capitals
        for t in named:
            t.replace(_alone(_name(t, project).lower(), t.alias or t.name.lower()))
        schema: dict[str, object] = {name: dict(table.columns) for name, table in self._found.items()}
        try:
            self._tree = qualify(tree, schema=schema, dialect=DIALECT, validate_qualify_columns=True)
        except SqlglotError as error:
            raise BadQuery(_first_line(error).replace("Column", "Unrecognized name:")) from error
        for extracts in self._tree.find_all(exp.RegexpExtract):
            _extract_group(extracts, self._values)
        self._scans = tuple(self._read())
        for scan in self._scans:
            if scan.table.filter_required and not scan.conditions:
                raise BadQuery(
                    f"Cannot query over table '{scan.name}' without a filter over column(s) '{scan.table.partition}' that can be "
                    "used for partition elimination"
                )

    @property
    def tables(self) -> tuple[str, ...]:
        """PROJECT.DATASET.TABLE of all that it reads."""
        return self._named

    def bytes_read(self) -> int:
        """What it reads: the columns that it names, of the partitions that it names. A table that it names twice is read once."""
        total = 0
        for name in dict.fromkeys(scan.name for scan in self._scans):
            scans = [scan for scan in self._scans if scan.name == name]
            columns = frozenset().union(*(scan.columns for scan in scans))
            if isinstance(kept := scans[0].table.rows, Kept):
                total += self._bytes_kept(kept, scans, columns)
                continue
            rows = scans[0].table.rows if len(scans) > 1 else self._pruned(scans[0])
            total += sum(_size(scans[0].table.columns[c], row.get(c)) for row in rows for c in columns)
        return total

    def run(self) -> Answer:
        ready = next((t.rows for t in self._found.values() if isinstance(t.rows, Kept)), None)
        with ready.opened() if ready else _engine() as engine:
            for name, table in self._found.items():
                if table.rows is ready:
                    continue
                read = frozenset().union(*(scan.columns for scan in self._scans if scan.name == name))
                kept = {c: kind for c, kind in table.columns.items() if c in read} or dict([*table.columns.items()][:1])
                _fill(engine, name, kept, table.rows)
            try:
                got = engine.execute(self._tree.sql(dialect="duckdb"), self._values)
            except duckdb.Error as error:
                raise BadQuery(f"The lab's engine refuses it: {_first_line(error)}") from error
            fields = tuple(Field(column[0], _api_type(str(column[1]))) for column in got.description)
            return Answer(fields, got.fetchall())

    def _table(self, name: str) -> Table:
        project, _, short = name.partition(".")
        if project != self._project or short not in self._tables:
            raise NoTable(name, self._region)
        return self._tables[short]

    def _read(self) -> Iterator[_Scan]:
        for scope in traverse_scope(self._tree):
            for alias, source in scope.sources.items():
                if not isinstance(source, exp.Table):
                    continue
                table = self._found[source.name]
                columns = frozenset(c.name for c in scope.columns if c.table == alias)
                where = scope.expression.args.get("where")
                parts = (
                    where.this.flatten() if where and isinstance(where.this, exp.And) else [where.this] if where else []
                )
                demands = tuple(p for p in parts if _is_of(p, alias, table.partition))
                yield _Scan(source.name, table, columns, demands)

    def _pruned(self, scan: _Scan) -> Rows:
        """Rows of the partitions that its conditions leave."""
        if not scan.conditions:
            return scan.table.rows
        column = scan.table.partition
        kind = scan.table.columns[column]
        days = sorted({row[column] for row in scan.table.rows})
        condition, values = self._demanded(scan)
        with _engine() as engine:
            _fill(engine, scan.name, {column: kind}, [{column: day} for day in days])
            text = f'SELECT "{column}" FROM "{scan.name}" WHERE {condition}'  # noqa: S608
            left = {_kept(found[0]) for found in engine.execute(text, values).fetchall()}
        return [row for row in scan.table.rows if _same(row[column]) in left]

    def _demanded(self, scan: _Scan) -> tuple[str, dict[str, Any]]:
        """What a scan demands of the partition column, for the engine, and the values of its parameters."""
        condition = exp.and_(*(c.copy() for c in scan.conditions))
        for found in condition.find_all(exp.Column):
            found.set("table", None)
        used = {p.name for p in condition.find_all(exp.Parameter)}
        return condition.sql(dialect="duckdb"), {name: value for name, value in self._values.items() if name in used}

    def _bytes_kept(self, kept: Kept, scans: list[_Scan], columns: frozenset[str]) -> int:
        """The same, counted by the engine."""
        if not columns:
            return 0
        condition, values = self._demanded(scans[0]) if len(scans) == 1 and scans[0].conditions else ("true", {})
        sizes = " + ".join(_size_in_engine(column, scans[0].table.columns[column]) for column in sorted(columns))
        with kept.opened() as engine:
            text = f'SELECT coalesce(sum({sizes}), 0) FROM "{kept.name}" WHERE {condition}'  # noqa: S608
            return int(engine.execute(text, values).fetchone()[0])


class Merge:
    """A MERGE into one of the tables from values that it names itself, read and checked. Raises BadQuery."""

    def __init__(self, text: str, tables: Mapping[str, Table], project: str, region: str) -> None:
        """`tables` are those of `project`, by DATASET.TABLE."""
        try:
            statements = [s for s in sqlglot.parse(text, read=DIALECT) if s is not None]
        except SqlglotError as error:
            raise BadQuery(f"Syntax error: {_first_line(error)}") from error
        if len(statements) != 1 or not isinstance(statements[0], exp.Merge):
            raise BadQuery("The lab changes tables by one MERGE at a time.")
        self._tree = statements[0]
        into = self._tree.this
        if [t for t in self._tree.find_all(exp.Table) if t is not into]:
            raise BadQuery("The lab merges from values that the statement names, and from no other table.")
        self.table = _name(into, project)
        owner, _, short = self.table.partition(".")
        if owner != project or short not in tables:
            raise NoTable(self.table, region)
        self._table = tables[short]
        self._check_columns(into.alias or into.name)
        into.replace(_alone(self.table, into.alias or into.name))

    def _check_columns(self, alias: str) -> None:
        for column in self._tree.find_all(exp.Column):
            if column.table == alias and column.name not in self._table.columns:
                raise BadQuery(f"Unrecognized name: {column.name}")

    def run(self) -> int:
        """Change the table's rows. Says how many were."""
        table = self._table
        with _engine() as engine:
            _fill(engine, self.table, table.columns, table.rows)
            for column in sorted(table.required):
                engine.execute(f'ALTER TABLE "{self.table}" ALTER COLUMN "{column}" SET NOT NULL')
            try:
                changed = engine.execute(self._tree.sql(dialect="duckdb")).fetchall()
            except duckdb.ConstraintException as error:
                raise BadQuery(f"Required field cannot be null: {_first_line(error)}") from error
            except duckdb.Error as error:
                raise BadQuery(f"The lab's engine refuses it: {_first_line(error)}") from error
            listed = ", ".join(f'"{column}"' for column in table.columns)
            rows = engine.execute(f'SELECT {listed} FROM "{self.table}"').fetchall()  # noqa: S608
        table.rows = [dict(zip(table.columns, map(_kept, row), strict=True)) for row in rows]
        return int(changed[0][0]) if changed else 0


def _kept(value: Any) -> Any:
    """A value as a table keeps it: dates as text, times as seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    return value.isoformat() if isinstance(value, date) else value


def _same(value: Any) -> Any:
    """A value of a partition column as it comes back from the engine, which knows no time below the microsecond."""
    return datetime.fromtimestamp(value, UTC).timestamp() if isinstance(value, float) else value


def _engine(file: str = ":memory:") -> Any:
    """A database of its own, which reaches for nothing outside. One that has a file keeps little of it in memory."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "enable_external_access": "false",
        "threads": "1",
    }
    if file != ":memory:":
        config["memory_limit"] = MOST_IN_MEMORY
    engine = duckdb.connect(file, config=config)
    engine.execute("SET TimeZone = 'UTC'")
    return engine


def _fill(
    engine: Any, name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], stays: bool = False
) -> None:
    """Make the table with these columns alone. One that does not stay is seen by this connection only."""
    typed = ", ".join(f'"{column}" {_duckdb(kind)}' for column, kind in columns.items())
    engine.execute(f'CREATE {"" if stays else "TEMP "}TABLE "{name}" ({typed})')
    lists = ", ".join(f"unnest(CAST(? AS {_duckdb(kind)}[]))" for kind in columns.values())
    left = iter(rows)
    while part := list(islice(left, AT_ONCE)):
        values = [_column(kind, [row.get(column) for row in part]) for column, kind in columns.items()]
        engine.execute(f'INSERT INTO "{name}" SELECT {lists}', values)


def _duckdb(kind: str) -> str:
    if not (found := STRUCT.fullmatch(kind)):
        return _DUCKDB[kind]
    fields = [field.split(" ") for field in found[1].split(", ")]
    return f"STRUCT({', '.join(f'{name} {_DUCKDB[inner]}' for name, inner in fields)})".replace("(type ", '("type" ')


def _column(kind: str, values: list[Any]) -> list[Any]:
    """Values of a column as the engine takes them."""
    if kind == "TIMESTAMP":
        return [None if value is None else datetime.fromtimestamp(value, UTC) for value in values]
    if kind == "DATE":
        return [None if value is None else date.fromisoformat(value) for value in values]
    return values


def _size(kind: str, value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, dict):
        return sum(2 + len(str(inner).encode()) for inner in value.values())
    return _BYTES[kind] if kind in _BYTES else 2 + len(str(value).encode())


def _size_in_engine(column: str, kind: str) -> str:
    """The same of a column, in the engine's words."""
    if found := STRUCT.fullmatch(kind):
        fields = [field.split(" ")[0] for field in found[1].split(", ")]
        size = " + ".join(f'2 + strlen(CAST("{column}"."{name}" AS VARCHAR))' for name in fields)
    else:
        size = str(_BYTES[kind]) if kind in _BYTES else f'2 + strlen(CAST("{column}" AS VARCHAR))'
    return f'CASE WHEN "{column}" IS NULL THEN 0 ELSE {size} END'


def _api_type(kind: str) -> str:
    if kind not in _API:
        raise BadQuery(f"The lab knows no type {kind}.")
    return _API[kind]


def _is_table(scope: Scope, table: Any) -> bool:
    """Whether it is a table, and no name that WITH gives."""
    return bool(table.db) or table.name not in scope.cte_sources


def _name(table: Any, project: str) -> str:
    if not table.db:
        raise BadQuery(f'Table "{table.name}" must be qualified with a dataset (e.g. dataset.table).')
    return f"{table.catalog or project}.{table.db}.{table.name}"


def _alone(name: str, alias: str) -> Any:
    """A table by its full name as one word."""
    return exp.Table(
        this=exp.to_identifier(name, quoted=True), alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
    )


def _is_of(condition: Any, alias: str, column: str) -> bool:
    """Whether a condition compares this column, and no other, with what is known beforehand."""
    columns = list(condition.find_all(exp.Column))
    compares = isinstance(condition, exp.Between | exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.In)
    alone = bool(columns) and all(c.name == column and c.table == alias for c in columns)
    bare = compares and isinstance(condition.this, exp.Column)
    return alone and bare and not condition.find(exp.Subquery)


def _extract_group(extracts: Any, values: Mapping[str, Any]) -> None:
    """What the only group of the pattern holds, where it has one, as BigQuery has it (string functions: REGEXP_EXTRACT)."""
    pattern = extracts.expression
    known = values.get(pattern.name) if isinstance(pattern, exp.Parameter) else pattern.name
    try:
        groups = re.compile(str(known)).groups
    except re.error:
        return  # for the engine to refuse
    if groups > 1:
        raise BadQuery("Regular expressions passed into extraction functions must not have more than 1 capturing group")
    extracts.set("group", exp.Literal.number(groups))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
