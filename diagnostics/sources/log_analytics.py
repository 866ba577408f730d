"""Lines of the log by SQL, where the log bucket is upgraded to Log Analytics and a BigQuery dataset is linked to it.

The quota of log reads, 60 pages a minute, does not count there: one query gives all lines of a batch, however many. They come as the same
entries that a page of the log has, so whoever reads them cannot tell which engine it was. What differs is taken care of here:

* a view has an entry as often as it was delivered, a page once: by log, time and insert id (logging/docs/analyze/troubleshoot);
* nobody says how late the view is, so its newest minutes are read from the log itself;
* it is of one bucket, since that was upgraded: it is believed where it has every line that the log's own first pages have;
* a query costs: it is asked first what it would read, and Google itself refuses more than was allowed.

Columns are those of a log view: LogEntry's fields in snake case, labels and payload as JSON (logging/docs/analyze/examples).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from diagnostics.evidence.model import Mark, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources.entries import log_id
from diagnostics.sources.results.query import EXTRA, Query, read
from diagnostics.sources.results.sql import Statement
from diagnostics.sources.route import Receiver
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.clients import load
from diagnostics.transport.rpcs import GET_TABLE
from diagnostics.transport.session import Session
from diagnostics.transport.tables import TableShape, Value

VIEW = "_AllLogs"
"""What a linked dataset calls the view of all its entries."""
COLUMNS = {
    "timestamp": "TIMESTAMP",
    "insert_id": "STRING",
    "log_name": "STRING",
    "log_id": "STRING",
    "resource": "RECORD",
    "labels": "JSON",
    "trace": "STRING",
    "text_payload": "STRING",
    "json_payload": "JSON",
}
"""What is read of it."""
FRESH = timedelta(minutes=5)
"""Entries younger than this are read from the log itself."""
MOST_LINES = 100_000
"""Lines of one answer: what a kept run can hold."""
CORRECT = "correct log_dataset in the profile"
MORE = "allow more with --max-bytes"
_FIELD = re.compile(r"\w+(?:\.\w+)*", re.ASCII)


class Texts(NamedTuple):
    """Some lines of one service: in which logs, and the fields of which one has to contain its text."""

    receiver: Receiver
    logs: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    """Field, as a marker names it, and text."""
    through_api: bool
    """Written through the Logging API: the entry may name another kind of resource and no service."""


class Line(NamedTuple):
    """What is kept of one line."""

    key: int
    """Of `key_of`."""
    services: tuple[str, ...]
    """Whose it may be."""
    says: tuple[Mark, ...]
    """What it was read as."""


class Lines(NamedTuple):
    """All lines of a span, oldest first."""

    lines: tuple[Line, ...]
    statement: Statement
    by_hand: str
    """The query for all of the lines, whichever was asked."""
    read_bytes: int


def lines(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    asked: Sequence[Texts],
    since: datetime,
    until: datetime,
    reads: Callable[[Any], tuple[Mark, ...]],
    alike: Callable[[str], Statement],
) -> Lines:
    """All of the lines, those of both ends among them, each as what `reads` makes of its entry; the entries are not kept, since they take
    several times as much. Of more lines than an answer holds those that `alike` asks the view for, where an item may stand for others.
    Raises NotSeen: then the log itself has to be read."""
    name = view_of(pipeline)
    shape = _shape(session, name)
    statement, keep = _statement(name, asked, since, until), _Keeping(asked, reads)
    query = Query(
        project=pipeline.project,
        location=shape.location,
        table=name,
        statement=statement,
        most_rows=MOST_LINES,
        correct=CORRECT,
        cheaper=MORE,
        whole=True,
        keep=keep,
    )
    answer, would = read(session, ask, query)
    if not answer.whole:
        statement = alike(name)
        answer, more = read(session, ask, query._replace(statement=statement, read_before=would))
        would += more
    if not answer.whole:
        says = f"{name} has more than {MOST_LINES:,} such lines, even with one item for all that are alike"
        raise NotSeen(Why.FAILED, says)
    if keep.odd:
        raise NotSeen(
            Why.FAILED, f"{name} finds other items in {keep.odd} of {len(answer.rows)} lines than the markers do"
        )
    return Lines(answer.rows, statement, query.by_hand, would)


def key_of(entry: Any) -> int:
    """What tells an entry from all others of a run, to the microsecond: SQL knows no smaller part of a second."""
    return hash((entry.log_name, entry.timestamp.seconds, entry.timestamp.nanos // 1000, entry.insert_id))


def is_of(entry: Any, one: Texts) -> bool:
    """Whether an entry is of these logs of this service."""
    service = entry.resource.labels.get("service_name", "")
    return service == one.receiver.service or (one.through_api and not service and log_id(entry) in one.logs)


def view_of(pipeline: PipelineProfile) -> str:
    """PROJECT.DATASET.VIEW"""
    named = pipeline.log_dataset
    return f"{named if '.' in named else f'{pipeline.project}.{named}'}.{VIEW}"


def _shape(session: Session, name: str) -> TableShape:
    """What has to be known of the view. Raises NotSeen where there is none, or something else goes by its name."""
    try:
        shape: TableShape = call(session, GET_TABLE, {"table": name})
    except ImportError as error:
        says = "asking Log Analytics needs google-cloud-bigquery, which is not installed"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=EXTRA) from error
    except NotThere as error:
        raise NotSeen(
            Why.NOT_CONFIGURED, f"there is no {name}, or this login may not know of it", mend=CORRECT
        ) from error
    for column, kind in COLUMNS.items():
        found = shape.columns.get(column)
        if found is None or found.type not in (kind, "STRUCT" if kind == "RECORD" else kind):
            says = f"{name} is no view of a log: {column} of type {kind} is expected in it"
            raise NotSeen(Why.NOT_CONFIGURED, says, mend=CORRECT)
    return shape


BARE = "timestamp, insert_id, log_name, trace, text_payload"
"""Columns that are asked for as they are."""
ONCE = "QUALIFY ROW_NUMBER() OVER (PARTITION BY log_name, timestamp, insert_id) = 1"
"""Each entry once, however often it was delivered."""


# --- asking ---------------------------------------------------------------------------------------------------------------


def _statement(name: str, asked: Sequence[Texts], since: datetime, until: datetime) -> Statement:
    values = Values(since=since, until=until)
    which = "\n    OR ".join(f"({where_of(one, values)})" for one in asked)
    sql = (
        f"SELECT {BARE}, TO_JSON_STRING(json_payload) AS payload,\n"
        "  TO_JSON_STRING(resource.labels) AS resource_labels, TO_JSON_STRING(labels) AS labels\n"
        f"FROM `{name}`\n"
        f"WHERE timestamp >= @since AND timestamp <= @until\n  AND ({which})\n"
        f"{ONCE}\n"
        "ORDER BY timestamp, insert_id"
    )
    return Statement(sql, values.named)


class Values:
    """The parameters of a query, each value once."""

    def __init__(self, **named: Value) -> None:
        self.named = dict(named)

    def __call__(self, value: Value) -> str:
        for name, known in self.named.items():
            if known == value:
                return f"@{name}"
        name = f"p{len(self.named)}"
        self.named[name] = value
        return f"@{name}"


def where_of(one: Texts, values: Values) -> str:
    service = "JSON_VALUE(resource.labels, '$.service_name')"
    if one.through_api:
        where = f"({service} = {values(one.receiver.service)} OR {service} IS NULL)"
    else:
        region = values(one.receiver.region)
        where = (
            f"resource.type = {values('cloud_run_revision')} AND {service} = {values(one.receiver.service)} "
            f"AND JSON_VALUE(resource.labels, '$.location') = {region}"
        )
    logs = ", ".join(values(log) for log in one.logs)
    texts = " OR ".join(
        f"STRPOS(LOWER({place}), {values(text.lower())}) > 0" for field, text in one.texts for place in _places(field)
    )
    return f"{where} AND log_id IN ({logs}) AND ({texts})"


def place_of(field: str) -> str:
    """The text of a field of a marker. Raises NotSeen for what no path can name."""
    first, *others = _places(field)
    return f"COALESCE({', '.join((first, *others))})" if others else first


def _places(field: str) -> tuple[str, ...]:
    """Where a field of a marker is: a text stands in a structured entry's message, too. Raises NotSeen for what no path can name."""
    if field == "textPayload":
        return "text_payload", _in_payload("message")
    return (_in_payload(field.removeprefix("jsonPayload.")),)


def _in_payload(path: str) -> str:
    if not _FIELD.fullmatch(path):
        raise NotSeen(Why.NOT_ASKED, f"no SQL is asked about the field jsonPayload.{path}")
    return f"JSON_VALUE(json_payload, '$.{path}')"


# --- reading --------------------------------------------------------------------------------------------------------------


class _Keeping:
    """What is kept of each row. Lines of the same services share one tuple of them."""

    def __init__(self, asked: Sequence[Texts], reads: Callable[[Any], tuple[Mark, ...]]) -> None:
        self.odd = 0
        """Rows of which the query named another item than their markers do."""
        self._asked, self._reads = asked, reads
        self._message = load("google.cloud.logging_v2.types").LogEntry.pb()
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, row: dict[str, Any]) -> Line:
        entry = _entry(self._message, row)
        services = tuple(one.receiver.service for one in self._asked if is_of(entry, one))
        marks = self._reads(entry)
        if "many" in row:
            named = next((mark.item for mark in marks if mark.item), None)
            self.odd += named != row["item"]
            marks = tuple(replace(mark, many=row["many"]) for mark in marks) if row["many"] > 1 else marks
        return Line(key_of(entry), self._known.setdefault(services, services), marks)


def _entry(message: Any, row: dict[str, Any]) -> Any:
    """The entry that a row is of."""
    entry = message(log_name=row["log_name"] or "", insert_id=row["insert_id"] or "", trace=row["trace"] or "")
    entry.timestamp.FromDatetime(row["timestamp"])
    entry.resource.labels.update(_texts(row["resource_labels"]))
    entry.labels.update(_texts(row["labels"]))
    payload = json.loads(row["payload"]) if row["payload"] else None
    if isinstance(payload, dict):
        entry.json_payload.update(payload)
    elif row["text_payload"] is not None:
        entry.text_payload = row["text_payload"]
    return entry


def _texts(labels: str | None) -> dict[str, str]:
    found = json.loads(labels) if labels else None
    return {name: str(value) for name, value in found.items() if value is not None} if isinstance(found, dict) else {}
