"""Marker lines: what a profile's patterns capture of log entries, and which window a batch needs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.logging_v2.types import LogEntry

from diagnostics.evidence.model import BatchMarks, Mark, Means, Provenance, StartCall, StartCalls
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import Marker
from diagnostics.question.ask import Ask
from diagnostics.sources import item_lines
from diagnostics.sources.entries import began, field, quoted, text_of
from diagnostics.sources.item_lines import item_marks
from diagnostics.sources.markers import marker_filter, marks_of
from diagnostics.sources.marks import batch_start, batch_window
from diagnostics.sources.route import Receiver, Services, stated
from diagnostics.sources.search import READS, search
from diagnostics.transport.session import Session

AT = datetime(2026, 2, 8, 14, 2, 0, tzinfo=UTC)
EXAMPLE = load_profile("nba-predictions")
SERVICES: Services = stated(EXAMPLE)[Services, None]
SOURCE = Provenance(source="test", fetched_at=AT, as_of=AT)


def entry(text: str = "", *, service: str = "prediction-coordinator", at: datetime = AT, **fields: Any) -> Any:
    labels = {"service_name": service, "revision_name": f"{service}-00123-abc", "location": "us-west2"}
    payload = {"text_payload": text} if text else {}
    made = LogEntry(resource={"type": "cloud_run_revision", "labels": labels}, timestamp=at, **payload, **fields)
    return LogEntry.pb(made)


@pytest.mark.parametrize(
    ("service", "line", "means", "captured"),
    [
        ("coordinator", "Starting prediction batch for 2026-02-08 (correlation_id=ab12cd34, parent=None, mode=single)",
         Means.RECEIVED, {"date": "2026-02-08", "correlation": "ab12cd34"}),
        ("coordinator", "Active batch batch_2026-02-08_1 found for 2026-02-08 in Firestore (1/9 players) — blocking duplicate start",
         Means.REFUSED, {"blocker": "batch_2026-02-08_1", "date": "2026-02-08"}),
        ("coordinator", "Batch already in progress", Means.REFUSED, {"reason": "Batch already in progress"}),
        ("coordinator", "Batch state persisted to Firestore: batch_2026-02-08_1 (expected=181 players)",
         Means.CREATED, {"batch": "batch_2026-02-08_1", "expected": 181}),
        ("coordinator", "QUALITY_GATE [catboost_v9]: 15/181 players viable (skipped_existing=161, skipped_low_quality=5, hard_blocked=0)",
         Means.GATE, {"count": 15, "of": 181, "skipped_existing": 161, "skipped_low_quality": 5, "hard_blocked": 0}),
        ("coordinator", "HEARTBEAT END: Loading historical games for 181 players (32.0s)", Means.PHASE,
         {"phase": "Loading historical games for 181 players"}),
        ("coordinator", "PUBLISH_METRICS: Published 15 requests in 0.4 s (37.5 req/s), 2 failed [batch=batch_2026-02-08_1, mode=BACKFILL]",
         Means.PUBLISHED, {"batch": "batch_2026-02-08_1", "count": 15, "failed": 2}),
        ("coordinator", "Published 15/181 prediction requests", Means.PUBLISHED, {"count": 15, "of": 181}),
        ("coordinator", "Published 150/181 requests", Means.PHASE, {"count": 150, "of": 181}),
        ("coordinator", "Pub/Sub publish failed after 3 attempts for adamkovac: 404 Resource not found (resource=prediction-request).",
         Means.PUBLISH_ERROR, {"item": "adamkovac"}),
        ("coordinator", "Batch batch_2026-02-08_1 marked complete (0 publishable players after quality gate)",
         Means.EMPTY, {"batch": "batch_2026-02-08_1", "reason": "0 publishable players after quality gate"}),
        ("coordinator", "Batch batch_2026-02-08_1 complete! (15/15 players)", Means.CLOSED, {"count": 15, "of": 15}),
        ("coordinator", "Batch batch_2026-02-08_1 STALLED at 143/150: completing with 143/150 players",
         Means.FORCED, {"batch": "batch_2026-02-08_1", "reason": "STALLED at 143/150", "count": 143}),
        ("coordinator", "TIMED OUT after 31 min", Means.FORCED, {"reason": "TIMED OUT after 31 min", "batch": ""}),
        ("coordinator", "BATCH RESET: batch_id=batch_2026-02-08_1 (3/9 players completed)", Means.FORCED, {"batch": "batch_2026-02-08_1"}),
        ("coordinator", "Completion: adamkovac (batch=batch_2026-02-08_1, predictions=4)", Means.RETURNED_ITEM,
         {"item": "adamkovac", "batch": "batch_2026-02-08_1"}),
        ("coordinator", "Recorded completion for adamkovac in batch batch_2026-02-08_1", Means.RECORDED_ITEM, {"item": "adamkovac"}),
        ("worker", "Processing prediction request: adamkovac on 2026-02-08 (dataset_prefix: , correlation_id: ab12cd34)",
         Means.STARTED_ITEM, {"item": "adamkovac", "date": "2026-02-08", "correlation": "ab12cd34"}),
        ("worker", "TRANSIENT failure for adamkovac: player_injury_out - returning 500", Means.FAILED_ITEM,
         {"item": "adamkovac", "reason": "player_injury_out"}),
        ("worker", "TRANSIENT failure for adamkovac: 403 Quota exceeded: reads - per day - returning 500\nTraceback: x", Means.FAILED_ITEM,
         {"item": "adamkovac", "reason": "403 Quota exceeded: reads - per day"}),
        ("worker", "PERMANENT failure for adamkovac: no_prop_lines - acknowledging without retry", Means.SKIPPED_ITEM,
         {"item": "adamkovac", "reason": "no_prop_lines"}),
        ("worker", "PERMANENT failure for adamkovac", Means.SKIPPED_ITEM, {"item": "adamkovac", "reason": None}),
        ("worker", "STALE_MESSAGE: Transient failure for past date 2026-02-01: adamkovac (bigquery_timeout)", Means.SKIPPED_ITEM,
         {"item": "adamkovac", "date": "2026-02-01", "reason": "Transient failure for past date"}),
        ("worker", "POISON_MESSAGE: missing required fields: ['player_lookup']", Means.BAD_MESSAGE, {}),
        ("worker", "Error publishing completion event: 404 Resource not found (resource=prediction-ready).", Means.COMPLETION_ERROR,
         {"topic": "prediction-ready"}),
        ("worker", "Timeout publishing completion event for adamkovac after 30s", Means.COMPLETION_ERROR, {"topic": None}),
    ],
)  # fmt: skip
def test_the_example_profile_reads_its_pipelines_lines(
    service: str, line: str, means: Means, captured: dict[str, Any]
) -> None:
    marks = marks_of([entry(line, service=f"prediction-{service}")], EXAMPLE.markers, SERVICES)
    assert [m.means for m in marks] == [means]
    (mark,) = marks
    read = {"batch": mark.batch, "item": mark.item, "correlation": mark.correlation, "date": mark.date}
    read |= {**mark.words, **mark.numbers}  # type: ignore[dict-item]
    assert {name: read.get(name) for name in captured} == captured
    assert (mark.service, mark.revision) == (service, f"prediction-{service}-00123-abc")


def test_a_line_of_the_other_service_is_no_mark() -> None:
    line = "Completion: adamkovac (batch=b, predictions=4)"
    assert marks_of([entry(line, service="prediction-worker")], EXAMPLE.markers, SERVICES) == ()


def test_structured_logs_are_read_by_field() -> None:
    marker = Marker(
        means=Means.FAILED_ITEM,
        service="worker",
        field="jsonPayload.event",
        contains="export_failed",
        captures={"item": "jsonPayload.order.id", "tries": "jsonPayload.tries", "reason": "jsonPayload.code"},
    )
    line = entry(
        service="prediction-worker",
        json_payload={"event": "export_failed", "order": {"id": "ORD-1"}, "tries": 3, "code": "500"},
    )
    (mark,) = marks_of([line], [marker], SERVICES)
    assert (mark.item, mark.numbers, mark.words) == ("ORD-1", {"tries": 3}, {"reason": "500"})
    assert field(line, "jsonPayload.order.missing") == ""
    assert '"event": "export_failed"' in text_of(line)


def test_secrets_in_a_captured_reason_are_taken_out() -> None:
    line = entry(
        "Error publishing completion event: 401 Bearer ya29.abcdefghijkl by bob@example.com",
        service="prediction-worker",
    )
    (mark,) = marks_of([line], EXAMPLE.markers, SERVICES)
    assert "ya29" not in mark.words["reason"]
    assert "bob" not in mark.words["reason"]


def test_the_query_asks_only_for_lines_that_the_markers_name() -> None:
    query = marker_filter([m for m in EXAMPLE.markers if m.means is Means.CREATED], SERVICES)
    assert 'textPayload:"Batch state persisted to Firestore"' in query
    assert 'resource.labels.service_name="prediction-coordinator"' in query
    assert "prediction-worker" not in query
    unknown = Services(coordinator=None, worker=Receiver(service="w", region="r"))
    assert marker_filter([m for m in EXAMPLE.markers if m.service == "coordinator"], unknown) == ""


def test_a_filter_that_google_would_refuse_is_not_sent(session_of: Callable[..., Session]) -> None:
    session = session_of(logs={"list_log_entries": AssertionError("must not be asked")})
    with pytest.raises(NotSeen, match="20,000"):
        search(session, ["projects/p"], "x" * 20_001, AT - timedelta(hours=1), AT)


def test_quotes_in_a_literal_stay_inside_it() -> None:
    assert quoted('say "hi" \\ bye') == '"say \\"hi\\" \\\\ bye"'


@pytest.mark.parametrize("stamped", ["start", "end"])
def test_the_begin_of_a_slow_request_is_found_whichever_end_the_log_stamps(stamped: str) -> None:
    start, end = AT, AT + timedelta(seconds=300)
    request = entry(
        at=start if stamped == "start" else end,
        receive_timestamp=end + timedelta(seconds=4),
        http_request={"latency": timedelta(seconds=300), "status": 504},
    )
    assert began(request) == start


# --- which window ------------------------------------------------------------------------------------------------------


def mark(means: Means, minutes: float, batch: str = "", **words: str) -> Mark:
    return Mark(means=means, at=AT + timedelta(minutes=minutes), service="coordinator", batch=batch, words=words)


def test_the_start_of_a_named_batch_is_its_first_line() -> None:
    marks = [mark(Means.CREATED, -90, "old"), mark(Means.PUBLISHED, -89, "old"), mark(Means.CREATED, -5, "new")]
    assert batch_start(marks, "old") == AT - timedelta(minutes=90)
    assert batch_start(marks, "none") is None


def test_the_latest_attempt_counts_and_what_blocked_it() -> None:
    marks = [
        mark(Means.CREATED, -300, "open"),
        mark(Means.RECEIVED, -10),
        mark(Means.REFUSED, -10, blocker="open"),
    ]
    assert batch_start(marks, "") == AT - timedelta(minutes=300)
    assert batch_start(marks[:2], "") == AT - timedelta(minutes=10)
    assert batch_start([], "") is None
    each = [mark(Means.CREATED, -90, "run"), mark(Means.CREATED, -40, "run"), mark(Means.CREATED, -2, "run")]
    assert batch_start(each, "") == AT - timedelta(minutes=90), "each item's line names the run"


def test_without_marker_lines_the_latest_start_call_tells(session_of: Callable[..., Session]) -> None:
    session = session_of()
    call = StartCall(at=session.now - timedelta(hours=3), status=202, latency_s=40)
    found = batch_window(session, Ask(), BatchMarks(source=SOURCE, marks=()), StartCalls(source=SOURCE, calls=(call,)))
    assert found.since == call.at - timedelta(minutes=30)


# --- too many lines ----------------------------------------------------------------------------------------------------


def test_when_there_are_too_many_lines_both_ends_are_read_and_the_gap_is_said(
    session_of: Callable[..., Session],
) -> None:
    def page(request: dict[str, Any]) -> Any:
        oldest = request["order_by"] == "timestamp asc"
        minute = (0 if not request["page_token"] else 1) if oldest else 30
        line = entry("Successfully generated 4 predictions for adamkovac", service="prediction-worker")
        line.timestamp.FromDatetime(AT + timedelta(minutes=minute))
        return SimpleNamespace(pages=iter([SimpleNamespace(entries=[line], next_page_token="more")]))

    session = session_of(logs={"list_log_entries": page})
    window = batch_window(
        session, Ask(since=AT), BatchMarks(source=SOURCE, marks=()), StartCalls(source=SOURCE, calls=())
    )
    found = item_marks(session, EXAMPLE, SERVICES, window, Ask())
    assert [m.at.minute for m in found.marks] == [2, 3, 32]
    assert not found.source.complete
    assert "between 14:03:00Z and 14:32:00Z" in found.source.note
    assert len(session.calls) <= 2 * READS, "each side is gone on with, not for ever"


def long_log(request: dict[str, Any]) -> Any:
    """A hundred lines, a second apart, as many a page as are asked for."""
    lines = [
        entry(f"Successfully generated {n} predictions for item{n}", service="prediction-worker") for n in range(100)
    ]
    for n, line in enumerate(lines):
        line.timestamp.FromDatetime(AT + timedelta(seconds=n))
    if request["order_by"] == "timestamp desc":
        since = datetime.fromisoformat(request["filter"].partition('timestamp>="')[2].partition('"')[0])
        lines = [line for line in reversed(lines) if line.timestamp.ToDatetime(UTC) >= since]
    begin = int(request["page_token"] or 0)
    end = begin + request["page_size"]
    page = SimpleNamespace(entries=lines[begin:end], next_page_token=str(end) if end < len(lines) else "")
    return SimpleNamespace(pages=iter([page]))


@pytest.mark.parametrize(("timeout_s", "read"), [(5, 30), (20, 30), (40, 60), (60, 90), (80, 100)])
def test_a_longer_run_reads_more_of_the_lines_from_both_ends(
    timeout_s: float, read: int, session_of: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_lines, "PAGE_SIZE", 10)
    session = session_of(timeout_s, logs={"list_log_entries": long_log})
    window = batch_window(
        session, Ask(since=AT), BatchMarks(source=SOURCE, marks=()), StartCalls(source=SOURCE, calls=())
    )
    found = item_marks(session, EXAMPLE, SERVICES, window, Ask())
    assert len(found.marks) == read and found.source.complete is (read == 100)
    assert ("there are too many; a longer --timeout" in found.source.note) is (read < 100)


ORDERS = load_profile("orders-export")
EXPORTER: Services = stated(ORDERS)[Services, None]


def flood(request: dict[str, Any]) -> Any:
    """Two thousand lines of other batches, oldest first or newest first; those of one batch are asked for by its name."""
    if '"EXP-1"' in request["filter"]:
        lines, more = [done_order("A-7", "EXP-1", 20)], ""
    elif request["order_by"] == "timestamp asc":
        lines, more = [done_order("X", "EXP-0", 1 if request["page_token"] else 0)], "more"
    else:
        lines, more = [done_order("Y", "EXP-0", 30)], "more"
    return SimpleNamespace(pages=iter([SimpleNamespace(entries=lines, next_page_token=more)]))


def done_order(order: str, batch: str, minute: float) -> Any:
    fields = {"event": "export_done", "order": order, "batch": batch, "lines": 3}
    return entry(
        service=EXPORTER.worker.service if EXPORTER.worker else "",
        at=AT + timedelta(minutes=minute),
        json_payload=fields,
    )


@pytest.mark.parametrize(("asked", "read"), [("EXP-1", ["X", "X", "A-7", "Y"]), ("", ["X", "X", "Y"])])
def test_where_there_are_too_many_lines_those_that_name_the_batch_are_read_all_the_same(
    asked: str, read: list[str], session_of: Callable[..., Session]
) -> None:
    session = session_of(logs={"list_log_entries": flood})
    window = batch_window(
        session, Ask(since=AT, batch=asked), BatchMarks(source=SOURCE, marks=()), StartCalls(source=SOURCE, calls=())
    )
    found = item_marks(session, ORDERS, EXPORTER, window, Ask())
    assert [m.item for m in found.marks] == read
    assert not found.source.complete
    assert found.unread_until == (None if asked else AT + timedelta(minutes=30))
