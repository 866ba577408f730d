"""WriteLogEntries: what is written can be read after the ingest delay, and Google's own logs stay Google's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.logging_v2 import types
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client

from tests.lab.bench import ASK, PROJECT, Bench, bench

LOG = f"{PROJECT}/logs/probe"


@pytest.fixture
def site() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


def write(site: Bench, entry: dict[str, Any], **request: Any) -> None:
    asked = {"log_name": LOG, "resource": {"type": "global"}, "entries": [entry], **request}
    site.logs.write_log_entries(request=asked, **ASK)


def read(site: Bench, filter: str = 'log_id("probe")') -> list[types.LogEntry]:
    request = {"resource_names": [PROJECT], "filter": filter}
    client: LoggingServiceV2Client = site.logs
    return list(client.list_log_entries(request=request, **ASK))


def test_an_entry_can_be_read_seconds_later_with_all_its_fields(site: Bench) -> None:
    written = site.lab.now()
    write(
        site,
        {"json_payload": {"run": "abc", "n": 3}, "severity": "NOTICE", "labels": {"a": "b"}, "insert_id": "abc-1"},
        resource={"type": "pubsub_subscription", "labels": {"subscription_id": "jobs-push"}},
    )
    assert read(site) == []
    site.lab.advance(7)
    (entry,) = read(site, 'log_id("probe") AND jsonPayload.run="abc" AND resource.type="pubsub_subscription"')
    assert types.LogEntry.pb(entry).json_payload["n"] == 3
    assert (entry.log_name, entry.severity, dict(entry.labels), entry.insert_id) == (LOG, 300, {"a": "b"}, "abc-1")
    assert entry.resource.labels["subscription_id"] == "jobs-push"
    assert entry.timestamp.timestamp() == pytest.approx(written, abs=0.01)
    assert written < entry.receive_timestamp.timestamp() <= written + 7


def test_the_same_entry_written_twice_is_one(site: Bench) -> None:
    at = datetime.fromtimestamp(site.lab.now(), UTC)
    for _ in range(2):
        write(site, {"text_payload": "one", "insert_id": "x", "timestamp": at})
    write(site, {"text_payload": "two", "insert_id": "y", "timestamp": at})
    site.lab.advance(7)
    assert [e.text_payload for e in read(site)] == ["one", "two"]


def test_a_dry_run_writes_nothing(site: Bench) -> None:
    write(site, {"text_payload": "one"}, dry_run=True)
    site.lab.advance(7)
    assert read(site) == []


@pytest.mark.parametrize(
    ("entry", "request_", "error"),
    [
        ({"text_payload": "x"}, {"log_name": "probe"}, exceptions.InvalidArgument),
        ({"text_payload": "x"}, {"log_name": f"{PROJECT}/logs/with space"}, exceptions.InvalidArgument),
        ({"text_payload": "x"}, {"resource": {}}, exceptions.InvalidArgument),
        ({}, {}, exceptions.InvalidArgument),
        ({}, {"entries": []}, exceptions.InvalidArgument),
        ({"text_payload": "x"}, {"log_name": "projects/other/logs/probe"}, exceptions.PermissionDenied),
        (
            {"text_payload": "x"},
            {"log_name": f"{PROJECT}/logs/cloudaudit.googleapis.com%2Factivity"},
            exceptions.PermissionDenied,
        ),
    ],
)
def test_what_is_no_entry_is_refused(
    site: Bench, entry: dict[str, Any], request_: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        write(site, entry, **request_)


def test_writing_needs_its_own_permission() -> None:
    with bench(lacks="logging.logEntries.create") as site, pytest.raises(exceptions.PermissionDenied):
        write(site, {"text_payload": "x"})
