"""The view of a linked dataset: what Log Analytics shows of the project's logs as a table of BigQuery.

Columns and types: Google's sample queries of log views (logging/docs/analyze/examples) and LogEntry, in snake case. A view does not leave
out entries that were delivered twice (logging/docs/analyze/troubleshoot). How late it is, nobody says: here a little later than the log.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from diagnostics.lab.model import Rows, Table
from diagnostics.lab.query import sql
from diagnostics.lab.query.sql import Kept
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.logging import DEFAULT_RETENTION_S, RETENTION_S

VIEW = "_AllLogs"
LATE_S = 45.0
"""Seconds by which the view lags behind the log."""
ONE_IN = 50
"""Of so many entries one is there twice."""
LARGE = 100_000
"""Entries from which on the view is made once and kept, since that takes seconds."""
COLUMNS = {
    "timestamp": "TIMESTAMP",
    "receive_timestamp": "TIMESTAMP",
    "insert_id": "STRING",
    "log_name": "STRING",
    "log_id": "STRING",
    "severity": "STRING",
    "resource": "STRUCT<type STRING, labels JSON>",
    "labels": "JSON",
    "trace": "STRING",
    "text_payload": "STRING",
    "json_payload": "JSON",
}


class Shelf:
    """The view of a large log, made once for all that is asked while the clock stands."""

    def __init__(self) -> None:
        self._of: tuple[float, int] | None = None
        """The moment for which it was made, and the number of entries that there were."""
        self._kept: Kept | None = None

    def rows(self, cloud: Cloud, name: str, written: int) -> Kept:
        """The caller holds the lab's lock."""
        of = (cloud.lab.now(), written)
        if self._kept is None or self._of != of:
            if self._kept is not None:
                self._kept.close()
            self._of, self._kept = of, Kept(f"{cloud.world.project}.{name}", COLUMNS, _rows(cloud))
        return self._kept


def tables(cloud: Cloud, shelf: Shelf | None = None) -> Mapping[str, Table]:
    """All tables of the project, the view among them where a dataset is linked: a large one from the shelf, if there is any."""
    world = cloud.world
    if not world.log_dataset:
        return world.tables
    name = f"{world.log_dataset}.{VIEW}"
    written = sum(len(cloud.telemetry.log_entries(log)) for log in cloud.telemetry.log_ids())
    large = shelf is not None and sql.ENGINE and written > LARGE
    rows: Rows = shelf.rows(cloud, name, written) if shelf is not None and large else list(_rows(cloud))
    return {**world.tables, name: Table(name, COLUMNS, partition="timestamp", rows=rows)}


def _rows(cloud: Cloud) -> Iterator[dict[str, Any]]:
    now = cloud.lab.now()
    for log in cloud.telemetry.log_ids():
        if log in RETENTION_S:
            continue  # of another bucket, _Required, to which no dataset is linked
        for entry in cloud.telemetry.log_entries(log):
            if entry.timestamp >= now - DEFAULT_RETENTION_S and entry.received <= now - LATE_S:
                row = _row(cloud, entry)
                yield row
                if zlib.crc32(entry.insert_id.encode()) % ONE_IN == 0:
                    yield row


@lru_cache(1024)
def _json(*labels: tuple[str, str]) -> str:
    """Labels as text: many entries have the same."""
    return json.dumps(dict(labels))


def _row(cloud: Cloud, entry: LogEntry) -> dict[str, Any]:
    project = entry.resource_labels.get("project_id", cloud.world.project)
    return {
        "timestamp": round(entry.timestamp * 1e6) / 1e6,
        "receive_timestamp": round(entry.received * 1e6) / 1e6,
        "insert_id": entry.insert_id,
        "log_name": f"projects/{project}/logs/{entry.log.replace('/', '%2F')}",
        "log_id": entry.log,
        "severity": entry.severity,
        "resource": {"type": entry.resource_type, "labels": _json(*entry.resource_labels.items())},
        "labels": _json(*entry.labels.items()),
        "trace": entry.trace or None,
        "text_payload": entry.text,
        "json_payload": None if entry.json is None else json.dumps(entry.json),
    }
