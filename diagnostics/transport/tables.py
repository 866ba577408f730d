"""BigQuery, as the one way to call Google wants a client: a method takes `request`, `timeout` and `retry`, and fails with an error of
google.api_core. The library comes with the extra `outcome` and is loaded here alone, when it is first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from diagnostics.evidence.model import OUR_USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = "google.cloud.bigquery"
NOBODYS = "no-project"
"""The client wants a project by default; each call names its own."""
QUOTA = frozenset({"quotaExceeded", "rateLimitExceeded"})
"""Reasons of a 403 that say that so much was asked (BigQuery: error messages)."""

_WHERE = re.compile(r"^[A-Z]+ https?://\S+: ")
"""The call, which the library puts before what Google says."""

PAGE_ROWS = 5000
"""Rows that are here at a time, as the API writes them: that takes several times as much as what is kept of them."""
Value = str | int | bool | date | datetime


class Column(Struct, frozen=True, kw_only=True):
    type: str
    """As BigQuery's API writes it: STRING, INTEGER, BOOLEAN, …"""
    repeated: bool = False
    required: bool = False
    """It takes no NULL."""


class TableShape(Struct, frozen=True, kw_only=True):
    """What has to be known of a table before it is asked."""

    columns: dict[str, Column]
    partition: str
    """The column by which it is partitioned; empty: none, or the time of loading."""
    filter_required: bool
    """Whether a query has to name partitions."""
    location: str


class Estimate(Struct, frozen=True, kw_only=True):
    """What a query would read."""

    read_bytes: int


class Answer(Struct, frozen=True, kw_only=True):
    """The rows of a query."""

    rows: tuple[Any, ...]
    """By column; or what was to be kept of each."""
    whole: bool
    """False: there are more."""


class Tables:
    """BigQuery for one run. Safe to use from many threads."""

    def __init__(self, library: Any, client: Any) -> None:
        self._library = library
        self._client = client

    def get_table(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> TableShape:
        """`request`: table, PROJECT.DATASET.TABLE."""
        with as_google_says():
            found = self._client.get_table(request["table"], timeout=timeout, retry=retry)
        by = found.time_partitioning or found.range_partitioning
        named = getattr(by, "field", None) or ""
        return TableShape(
            columns={
                f.name: Column(type=f.field_type, repeated=f.mode == "REPEATED", required=f.mode == "REQUIRED")
                for f in found.schema
            },
            partition=named,
            filter_required=bool(found.require_partition_filter),
            location=found.location or "",
        )

    def estimate(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Estimate:
        """A dry run. `request`: project, location, sql, values."""
        config = self._library.QueryJobConfig(
            dry_run=True, use_query_cache=False, query_parameters=self._parameters(request["values"])
        )
        with as_google_says():
            job = self._client.query(
                request["sql"],
                job_config=config,
                project=request["project"],
                location=request["location"] or None,
                timeout=timeout,
                retry=retry,
                job_retry=None,
            )
        return Estimate(read_bytes=int(job.total_bytes_processed or 0))

    def query(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Answer:
        """`request`: project, location, sql, values, most_bytes, most_rows; `whole`: of more rows not
        one is wanted; `keep`, which makes of each row what is kept of it, if that
        is not all. BigQuery itself refuses what would cost more."""
        config = self._library.QueryJobConfig(
            maximum_bytes_billed=request["most_bytes"], query_parameters=self._parameters(request["values"])
        )
        with as_google_says():
            found = self._client.query_and_wait(
                request["sql"],
                job_config=config,
                project=request["project"],
                location=request["location"] or None,
                api_timeout=timeout,
                wait_timeout=timeout,
                retry=retry,
                job_retry=None,
                page_size=min(PAGE_ROWS, request["most_rows"]),
                max_results=request["most_rows"],
            )
            if request.get("whole") and (found.total_rows or 0) > request["most_rows"]:
                return Answer(rows=(), whole=False)
            keep = request.get("keep", lambda row: row)
            rows = tuple(keep(dict(row.items())) for row in found)
        return Answer(rows=rows, whole=found.total_rows is None or found.total_rows <= len(rows))

    def _parameters(self, values: Mapping[str, Value]) -> list[Any]:
        return [self._library.ScalarQueryParameter(name, _type(value), value) for name, value in values.items()]


def connect(load: Any, credentials: Any, lab_http: str) -> Tables:
    """`load` imports a module, one thread at a time. Raises ImportError where the library is not installed."""
    library = load(LIBRARY)
    return Tables(library, rest_client(load, library, credentials, lab_http))


def rest_client(load: Any, library: Any, credentials: Any, lab_http: str) -> Any:
    """The client of a library that speaks REST, of no project: each call names its own."""
    requests = load("google.auth.transport.requests")
    info = load("google.api_core.client_info").ClientInfo(user_agent=OUR_USER_AGENT)
    options = None
    if lab_http:
        credentials = load("google.auth.credentials").AnonymousCredentials()
        options = {"api_endpoint": f"http://{lab_http}"}
    http = requests.AuthorizedSession(credentials)
    http.trust_env = not lab_http  # a proxy of the environment leads nowhere near the lab
    return library.Client(
        project=NOBODYS, credentials=credentials, client_info=info, client_options=options, _http=http
    )


def _type(value: Value) -> str:
    match value:
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case datetime():
            return "TIMESTAMP"
        case date():
            return "DATE"
        case _:
            return "STRING"


@contextmanager
def as_google_says() -> Iterator[None]:
    """What goes wrong below HTTP, and what BigQuery calls forbidden and is a quota, as errors of google.api_core."""
    from concurrent.futures import TimeoutError as GaveUp

    from google.api_core import exceptions
    from requests import exceptions as http

    try:
        yield
    except exceptions.GoogleAPICallError as error:
        kind = exceptions.TooManyRequests if QUOTA & set(_reasons(error.errors)) else type(error)
        raise kind(_WHERE.sub("", error.message), errors=error.errors, response=error.response) from error
    except (http.Timeout, GaveUp) as error:
        raise exceptions.DeadlineExceeded("no answer in time") from error
    except http.RequestException as error:
        raise exceptions.ServiceUnavailable(str(error)) from error


def _reasons(errors: Iterable[Any]) -> list[str]:
    return [str(e.get("reason", "")) for e in errors if isinstance(e, Mapping)]
