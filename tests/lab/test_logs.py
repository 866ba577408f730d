"""Logs of any length: always in order, packed or not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.telemetry import logs
from diagnostics.lab.telemetry.logs import Log
from tests.sampling import examples

ENTRY = LogEntry(
    log="run.googleapis.com/stdout",
    timestamp=1.0,
    received=4.0,
    severity="INFO",
    resource_type="cloud_run_revision",
    resource_labels={"service_name": "worker"},
    labels={"instanceId": "00ab"},
    json={"message": "done", "rows": 7, "took": 0.1, "of": ["a", {"b": None}]},
    http={"status": 200, "latency": 0.25},
    trace="projects/p/traces/1",
)
WRITTEN = st.lists(st.tuples(st.sampled_from([1.0, 1.5, 2.0, 3.25, 3.2500004]), st.text("abc", min_size=1, max_size=2)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("BLOCK", 3), ("PLAIN", 1), ("UNPACKED", 2)):
        monkeypatch.setattr(logs, name, size)


def entries(written: list[tuple[float, str]]) -> list[LogEntry]:
    return [structs.replace(ENTRY, timestamp=at, insert_id=insert_id) for at, insert_id in written]


@pytest.mark.usefixtures("small")
@settings(max_examples=examples(200), deadline=None)
@given(before=WRITTEN, after=WRITTEN)
def test_it_is_the_list_of_its_entries_in_order(
    before: list[tuple[float, str]], after: list[tuple[float, str]]
) -> None:
    """Also where more is written once it was read."""
    log = Log()
    written = []
    for more in (before, after):
        for entry in entries(more):
            log.append(entry)
            written.append(entry)
        plain = sorted(written, key=lambda e: (e.timestamp, e.insert_id))
        assert list(log) == log[:] == plain
        assert len(log) == len(plain)
        assert [log[-n] for n in range(1, len(log) + 1)] == plain[::-1]
        for since, until in ((1.5, 2.0), (float("-inf"), 1.0), (3.25, 3.25), (5.0, float("inf"))):
            found = [log[place] for place in log.between(since, until)]
            assert found == [e for e in plain if since <= round(e.timestamp, 6) <= until]


@pytest.mark.usefixtures("small")
def test_what_is_long_ago_written_takes_little_room() -> None:
    log = Log()
    for number in range(20):
        log.append(structs.replace(ENTRY, timestamp=float(number), insert_id=f"{number:04}"))
    assert [type(block) for block in log._blocks] == [bytes] * 6 + [list]
    assert [entry.timestamp for entry in log] == [float(number) for number in range(20)]
    assert len(log._read) == 2, "of what was read again only so much is kept"
    with pytest.raises(IndexError):
        log[20]
