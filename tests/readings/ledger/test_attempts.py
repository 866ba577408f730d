"""Which line belongs to which start attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import Mark, Means, StartCall
from diagnostics.readings.ledger import Attempt
from diagnostics.readings.ledger.attempts import attempts

T = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def mark(
    means: Means,
    second: float,
    *,
    batch: str = "",
    trace: str = "",
    instance: str = "i1",
    date: str = "",
    **numbers: int,
) -> Mark:
    return Mark(
        means=means,
        at=at(second),
        service="coordinator",
        batch=batch,
        trace=trace,
        instance=instance,
        date=date,
        numbers=numbers,
    )


def call(second: float, latency_s: float, status: int = 202, trace: str = "") -> StartCall:
    return StartCall(at=at(second), status=status, latency_s=latency_s, trace=trace)


def by_batch(found: list[Attempt]) -> dict[str, Attempt]:
    return {a.batch: a for a in found}


def test_lines_without_a_batch_join_by_trace_even_when_two_starts_interleave() -> None:
    marks = [
        mark(Means.RECEIVED, 0, trace="a"),
        mark(Means.RECEIVED, 1, trace="b"),
        mark(Means.CREATED, 2, batch="A", trace="a", expected=10),
        mark(Means.CREATED, 3, batch="B", trace="b", expected=20),
        mark(Means.GATE, 4, trace="b", count=5, of=20),
        mark(Means.GATE, 5, trace="a", count=9, of=10),
    ]
    found = by_batch(attempts(marks, []))
    assert found["A"].gate is not None and found["A"].gate.numbers == {"count": 9, "of": 10}
    assert found["B"].gate is not None and found["B"].gate.numbers == {"count": 5, "of": 20}


def test_without_traces_a_line_that_fits_two_starts_is_left_out() -> None:
    marks = [
        mark(Means.RECEIVED, 0),
        mark(Means.RECEIVED, 1),
        mark(Means.GATE, 4, count=5, of=20),
    ]
    found = attempts(marks, [])
    assert len(found) == 2
    assert all(a.gate is None for a in found)


def test_without_traces_the_only_start_under_way_on_the_instance_gets_the_line() -> None:
    marks = [
        mark(Means.RECEIVED, 0, instance="i1"),
        mark(Means.RECEIVED, 1, instance="i2"),
        mark(Means.GATE, 4, instance="i2", count=5, of=20),
    ]
    first, second = attempts(marks, [])
    assert first.gate is None
    assert second.gate is not None


def test_a_start_that_the_request_log_shows_ended_takes_no_later_lines() -> None:
    marks = [
        mark(Means.RECEIVED, 0),
        mark(Means.CREATED, 5, batch="A", expected=10),
        mark(Means.RECEIVED, 700),
        mark(Means.CREATED, 705, batch="B", expected=20),
        mark(Means.GATE, 706, count=20, of=20),
    ]
    found = by_batch(attempts(marks, [call(-0.5, 540, status=504), call(699.5, 20)]))
    assert found["A"].gate is None and found["A"].call is not None and found["A"].call.status == 504
    assert found["B"].gate is not None and found["B"].call is not None and found["B"].call.status == 202


def test_a_call_that_left_no_line_is_an_attempt_of_its_own() -> None:
    (only,) = attempts([], [call(0, 0.01, status=403)])
    assert only.batch == "" and only.call is not None and only.started == at(0)


def test_a_closing_line_of_another_request_joins_by_its_batch() -> None:
    marks = [
        mark(Means.RECEIVED, 0, trace="a"),
        mark(Means.CREATED, 2, batch="A", trace="a", expected=10),
        mark(Means.CLOSED, 90, batch="A", trace="z", instance="i9", count=10, of=10),
    ]
    (only,) = attempts(marks, [])
    assert only.finished


def test_work_behind_a_504_belongs_to_the_start_call_that_was_cut_off() -> None:
    marks = [
        mark(Means.RECEIVED, 0),
        mark(Means.CREATED, 240, batch="A", expected=10),
        mark(Means.PUBLISHED, 245, batch="A", count=10),
    ]
    (found,) = attempts(marks, [call(0, 120, 504)])
    assert (found.batch, found.call and found.call.status) == ("A", 504)


def test_a_new_start_is_not_taken_for_work_behind_an_older_504() -> None:
    marks = [mark(Means.RECEIVED, 0), mark(Means.RECEIVED, 600), mark(Means.CREATED, 610, batch="B", expected=10)]
    old, new = attempts(marks, [call(0, 120, 504), call(600, 30)])
    assert (old.batch, new.batch) == ("", "B")


def test_a_refusal_of_the_same_moment_belongs_to_the_call_that_it_refuses() -> None:
    (found,) = attempts([mark(Means.REFUSED, 0), mark(Means.RECEIVED, 0)], [call(0, 0.4, 409)])
    assert found.refused is not None and found.turned_away


def test_a_call_that_was_refused_for_another_batch_made_none_though_no_line_tells_of_it() -> None:
    refused, taken = attempts([], [call(0, 1, status=409), call(60, 1, status=202)])
    assert (refused.turned_away, taken.turned_away) == (True, False)


def test_a_batch_of_which_only_the_close_was_read_takes_no_lines_of_the_next_start() -> None:
    marks = [
        mark(Means.CLOSED, 0, batch="A"),
        mark(Means.RECEIVED, 60),
        mark(Means.CREATED, 61, batch="B", expected=10),
        mark(Means.GATE, 62, count=0, of=10),
    ]
    found = by_batch(attempts(marks, []))
    assert found["B"].gate is not None and found["B"].gate.numbers == {"count": 0, "of": 10}
