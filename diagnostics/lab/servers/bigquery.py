"""BigQuery's REST API, as far as its Python client is used: a table's schema, a dry run, a query and the further pages of its answer.

Shapes and errors: BigQuery REST reference (tables.get, jobs.insert, jobs.query, jobs.get, jobs.getQueryResults) and its page of error
messages. Field and parameter that the lab does not know are refused.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from diagnostics.lab.query import sql
from diagnostics.lab.query.sql import STRUCT, Answer, BadQuery, Query
from diagnostics.lab.servers import log_view
from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.errors import RpcError

PREFIX = "/bigquery/v2/"
GET_TABLE, INSERT, QUERY, GET_JOB, RESULTS = (
    f"bigquery.v2/{name}" for name in ("GetTable", "InsertJob", "Query", "GetJob", "GetQueryResults")
)
SERVED = (GET_TABLE, INSERT, QUERY, GET_JOB, RESULTS)
LEAST_BILLED = 10 * 2**20
"""Bytes that any query is billed for at least (pricing page)."""
_ROUTES = (
    ("GET", re.compile(r"projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)"), GET_TABLE),
    ("POST", re.compile(r"projects/([^/]+)/jobs"), INSERT),
    ("POST", re.compile(r"projects/([^/]+)/queries"), QUERY),
    ("GET", re.compile(r"projects/([^/]+)/jobs/([^/]+)"), GET_JOB),
    ("GET", re.compile(r"projects/([^/]+)/queries/([^/]+)"), RESULTS),
)
_QUERY_KEYS = frozenset(
    {
        "query", "useLegacySql", "queryParameters", "parameterMode", "maximumBytesBilled", "useQueryCache", "formatOptions", "location",
        "maxResults", "timeoutMs", "requestId", "dryRun",
    }
)  # fmt: skip
_STATUS = {"invalid": 400, "invalidQuery": 400, "bytesBilledLimitExceeded": 400, "accessDenied": 403, "notFound": 404}


class RestError(Exception):
    """An error as the REST API answers it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    @property
    def body(self) -> bytes:
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        return json.dumps({"error": {"code": self.status, "message": self.message, "errors": [error]}}).encode()


class Call(NamedTuple):
    rpc: str
    parts: tuple[str, ...]


def route(method: str, path: str) -> Call | None:
    """Which method of the API a request is; None: none that the lab serves."""
    if not path.startswith(PREFIX):
        return None
    for wanted, pattern, rpc in _ROUTES:
        found = pattern.fullmatch(path.removeprefix(PREFIX))
        if found and wanted == method:
            return Call(rpc, found.groups())
    return None


class BigQuery:
    """The API on one lab. Keeps the answers of queries, whose further pages are asked for by job."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._answers: dict[str, tuple[Answer, int]] = {}
        self._lock = threading.Lock()
        self._shelf = log_view.Shelf()

    def answer(self, call: Call, asked: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Raises RestError."""
        try:
            said = json.loads(body) if body else {}
        except ValueError as error:
            raise RestError(400, "parseError", "Parse Error") from error
        project = call.parts[0]
        if not self._cloud.is_project(project):
            raise self._denied_project(project)
        try:
            match call.rpc:
                case _ if call.rpc == GET_TABLE:
                    return self._table(*call.parts)
                case _ if call.rpc == INSERT:
                    return self._dry_run(project, said)
                case _ if call.rpc == QUERY:
                    return self._query(project, said)
                case _ if call.rpc == GET_JOB:
                    return self._job(project, call.parts[1])
                case _:
                    return self._page(project, call.parts[1], asked)
        except BadQuery as error:
            raise RestError(_STATUS[error.reason], error.reason, error.message) from error

    def _table(self, project: str, dataset: str, name: str) -> dict[str, Any]:
        if "bigquery.tables.get" not in self._cloud.held:
            raise RestError(
                403,
                "accessDenied",
                f"Access Denied: Table {project}:{dataset}.{name}: Permission bigquery.tables.get denied on table "
                f"{project}:{dataset}.{name} (or it may not exist).",
            )
        table = log_view.tables(self._cloud, self._shelf).get(f"{dataset}.{name}")
        if table is None:
            raise RestError(404, "notFound", f"Not found: Table {project}:{dataset}.{name}")
        found: dict[str, Any] = {
            "kind": "bigquery#table",
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": name},
            "schema": {
                "fields": [
                    {**_kind(k), "name": n, "mode": "REQUIRED" if n in table.required else "NULLABLE"}
                    for n, k in table.columns.items()
                ]
            },
            "type": "TABLE",
            "location": self._cloud.world.region,
            "numRows": str(len(table.rows)),
        }
        if table.partition:
            found["timePartitioning"] = {"type": "DAY", "field": table.partition}
            found["requirePartitionFilter"] = table.filter_required
        return found

    def _dry_run(self, project: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """jobs.insert: what runs for good goes by jobs.query."""
        configuration = dict(said.get("configuration") or {})
        if configuration.pop("dryRun", False) is not True:
            raise RestError(400, "invalid", "The lab takes dry runs only as inserted jobs.")
        asked = configuration.pop("query", None)
        if asked is None or set(configuration) - {"labels"}:
            raise RestError(
                400, "invalid", "Job configuration must contain exactly one job-specific configuration object"
            )
        reference = said.get("jobReference") or {}
        query = self._read(project, {**asked, "location": reference.get("location")})
        read = str(query.bytes_read())
        return {
            "kind": "bigquery#job",
            "jobReference": {"projectId": project, "location": self._cloud.world.region},
            "configuration": {"dryRun": True, "query": asked, "jobType": "QUERY"},
            "status": {"state": "DONE"},
            "statistics": {"totalBytesProcessed": read, "query": {"totalBytesProcessed": read, "cacheHit": False}},
        }

    def _query(self, project: str, said: Mapping[str, Any]) -> dict[str, Any]:
        if said.get("dryRun"):
            raise RestError(400, "invalid", "The lab takes dry runs only as inserted jobs.")
        if re.match(r"(?:--[^\n]*\n|\s)*MERGE\b", said.get("query", ""), re.IGNORECASE):
            return self._merge(project, said)
        query = self._read(project, said)
        read = query.bytes_read()
        billed, most = max(read, LEAST_BILLED), said.get("maximumBytesBilled")
        if most is not None and int(most) < billed:
            raise RestError(
                400,
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {most}. {billed} or higher required.",
            )
        with self._lock:
            job = f"job_{len(self._answers):08d}"
            self._answers[job] = (query.run(), read)
        first = self._rows(job, 0, int(said.get("maxResults") or 0))
        return {"kind": "bigquery#queryResponse", **self._head(project, job), **first}

    def _merge(self, project: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """A statement that changes a table."""
        self._may_query(project, said)
        if "bigquery.tables.updateData" not in self._cloud.held:
            raise RestError(
                403,
                "accessDenied",
                f"Access Denied: Table: User does not have bigquery.tables.updateData permission in project {project}.",
            )
        world = self._cloud.world
        changed = sql.Merge(said["query"], world.tables, world.project, world.region).run()
        return {
            "kind": "bigquery#queryResponse",
            "jobReference": {"projectId": project, "jobId": "job_merge", "location": world.region},
            "jobComplete": True,
            "numDmlAffectedRows": str(changed),
            "totalRows": "0",
        }

    def _page(self, project: str, job: str, asked: Mapping[str, str]) -> dict[str, Any]:
        self._known(project, job)
        start = int(asked.get("startIndex") or asked.get("pageToken") or 0)
        rows = self._rows(job, start, int(asked["maxResults"]) if "maxResults" in asked else 0)
        return {"kind": "bigquery#getQueryResultsResponse", **self._head(project, job), **rows}

    def _job(self, project: str, job: str) -> dict[str, Any]:
        self._known(project, job)
        return {
            "kind": "bigquery#job",
            "jobReference": {"projectId": project, "jobId": job, "location": self._cloud.world.region},
            "configuration": {
                "jobType": "QUERY",
                "query": {"destinationTable": {"projectId": project, "datasetId": "_anonymous", "tableId": job}},
            },
            "status": {"state": "DONE"},
            "statistics": {"query": {"statementType": "SELECT"}},
        }

    def _known(self, project: str, job: str) -> None:
        if job not in self._answers:
            raise RestError(404, "notFound", f"Not found: Job {project}:{job}")

    def _read(self, project: str, said: Mapping[str, Any]) -> Query:
        """The query, checked, its tables readable. Raises BadQuery, RestError."""
        self._may_query(project, said)
        world = self._cloud.world
        query = Query(
            said["query"], _values(said), log_view.tables(self._cloud, self._shelf), world.project, world.region
        )
        if said.get("location") not in (None, world.region):
            raise RestError(
                404,
                "notFound",
                f"Not found: Dataset {query.tables[0].rpartition('.')[0].replace('.', ':')} was not found in location {said['location']}",
            )
        if "bigquery.tables.getData" not in self._cloud.held and query.tables:
            name = query.tables[0].replace(".", ":", 1)
            raise RestError(
                403,
                "accessDenied",
                f"Access Denied: Table {name}: User does not have permission to query table {name}, or perhaps it does not exist.",
            )
        return query

    def _may_query(self, project: str, said: Mapping[str, Any]) -> None:
        """Raises RestError for what the lab does not know, and for who may not."""
        if unknown := sorted(set(said) - _QUERY_KEYS):
            raise RestError(
                400, "invalid", f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            )
        if said.get("useLegacySql", True):
            raise RestError(400, "invalid", "The lab reads GoogleSQL only.")
        if "bigquery.jobs.create" not in self._cloud.held:
            raise RestError(
                403,
                "accessDenied",
                f"Access Denied: Project {project}: User does not have bigquery.jobs.create permission in project {project}.",
            )
        if not sql.ENGINE:
            raise RestError(
                501, "notImplemented", "The lab's tables need duckdb and sqlglot: pip install 'pubsub-diag[lab]'"
            )

    def _head(self, project: str, job: str) -> dict[str, Any]:
        answer, read = self._answers[job]
        return {
            "jobReference": {"projectId": project, "jobId": job, "location": self._cloud.world.region},
            "schema": {"fields": [{"name": f.name, "type": f.type, "mode": "NULLABLE"} for f in answer.fields]},
            "totalRows": str(len(answer.rows)),
            "totalBytesProcessed": str(read),
            "jobComplete": True,
            "cacheHit": False,
        }

    def _rows(self, job: str, start: int, most: int) -> dict[str, Any]:
        answer, _ = self._answers[job]
        end = len(answer.rows) if most <= 0 else min(start + most, len(answer.rows))
        page = answer.rows[start:end]
        rows = [{"f": [{"v": _value(v)} for v in row]} for row in page]
        return {"rows": rows} | ({"pageToken": str(end)} if end < len(answer.rows) else {})

    def _denied_project(self, project: str) -> RestError:
        return RestError(
            403,
            "accessDenied",
            f"Access Denied: Project {project}: User does not have bigquery.jobs.create permission in project {project}.",
        )


def _kind(column: str) -> dict[str, Any]:
    """A column's type as the API writes it."""
    if not (found := STRUCT.fullmatch(column)):
        return {"type": column}
    fields = [field.split(" ") for field in found[1].split(", ")]
    return {"type": "RECORD", "fields": [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in fields]}


def of_rpc(error: RpcError) -> RestError:
    """A fault of the scenario, as this API says it."""
    status, reason = {
        "UNAVAILABLE": (503, "backendError"),
        "PERMISSION_DENIED": (403, "accessDenied"),
        "RESOURCE_EXHAUSTED": (403, "quotaExceeded"),
        "UNAUTHENTICATED": (401, "authError"),
    }.get(error.code, (500, "internalError"))
    message = f"Access Denied: {error.message}" if reason == "accessDenied" else error.message
    return RestError(status, reason, message)


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    """Named parameters of a query, by their types."""
    given: Iterable[Mapping[str, Any]] = said.get("queryParameters") or ()
    if given and str(said.get("parameterMode", "")).upper() != "NAMED":
        raise RestError(400, "invalid", "The lab takes named parameters only.")
    return {p["name"]: _parameter(p["parameterType"]["type"], p["parameterValue"].get("value")) for p in given}


def _parameter(kind: str, text: Any) -> Any:
    if text is None:
        return None
    match kind:
        case "DATE":
            return date.fromisoformat(text)
        case "TIMESTAMP":
            return datetime.fromisoformat(text).astimezone(UTC)
        case "INT64":
            return int(text)
        case "BOOL":
            return str(text).lower() == "true"
        case "STRING":
            return text
        case _:
            raise RestError(400, "invalid", f"The lab knows no parameters of type {kind}.")


def _value(value: Any) -> str | None:
    """A value as the API writes it: all as text, a TIMESTAMP in microseconds as the client asks for it."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case datetime():
            return str(round(value.timestamp() * 1e6))
        case date():
            return value.isoformat()
        case _:
            return str(value)
