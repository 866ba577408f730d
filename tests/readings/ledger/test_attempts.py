"""Which line belongs to which start attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.evidence.model import Mark, Means, StartCall
from diagnostics.readings.ledger import Attempt
from diagnostics.readings.ledger.attempts import attempts
from tests.sampling import examples

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


@pytest.mark.parametrize("stamp", [0, 5.1], ids=["its begin", "its end"])
def test_a_calls_time_in_the_log_may_be_its_begin_or_its_end(stamp: float) -> None:
    marks = [mark(Means.RECEIVED, 0), mark(Means.GATE, 5, count=0, of=10), mark(Means.EMPTY, 5.1)]
    (found,) = attempts(marks, [call(stamp, 5.1)])
    assert found.empty is not None and found.call is not None


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


# --- the same as the plain rule, which looks at every attempt for every line


def plainly(marks: list[Mark], calls: list[StartCall]) -> list[Attempt]:
    """What `attempts` says, in as many steps as there are pairs of lines and attempts."""
    found: list[Attempt] = []
    spare = list(calls)
    for mark in sorted(marks, key=lambda m: (m.at, m.means is not Means.RECEIVED)):
        home = plain_home(mark, found)
        if home is None:
            if mark.means is not Means.RECEIVED and not mark.batch:
                continue
            home = Attempt()
            found.append(home)
        home.marks.append(mark)
        home.batch = home.batch or mark.batch
        if mark.means in (Means.RECEIVED, Means.CREATED) and home.call is None:
            near = [c for c in spare if of_call(c, mark)]
            home.call = min(near, key=lambda c: abs(c.at - mark.at), default=None)
            spare = [c for c in spare if c is not home.call]
    return sorted([*found, *(Attempt(call=c) for c in spare)], key=lambda a: a.started)


def plain_home(mark: Mark, found: list[Attempt]) -> Attempt | None:
    named = [a for a in found if mark.batch and a.batch == mark.batch]
    if named:
        return named[-1]
    if mark.means is Means.RECEIVED:
        return None
    may = [a for a in found if not (mark.batch and a.batch)]
    if mark.trace:
        fitting = [a for a in may if a.trace == mark.trace]
    else:
        fitting = [a for a in may if a.under_way(mark.at)] or [a for a in may if a.lingers(mark.at)]
        if mark.instance:
            fitting = [a for a in fitting if a.instance in ("", mark.instance)]
    if len(fitting) > 1 and mark.date:
        fitting = [a for a in fitting if a.date == mark.date]
    return fitting[0] if len(fitting) == 1 else None


def of_call(call: StartCall, mark: Mark) -> bool:
    if mark.trace and call.trace:
        return mark.trace == call.trace
    span = timedelta(seconds=call.latency_s) + timedelta(seconds=2)
    return call.at - span <= mark.at <= call.at + span


FEW = st.integers(0, 40)
LINES = st.builds(
    mark,
    st.sampled_from([Means.RECEIVED, Means.CREATED, Means.PUBLISHED, Means.GATE, Means.REFUSED, Means.CLOSED]),
    FEW,
    batch=st.sampled_from(["", "", "A", "B", "C"]),
    trace=st.sampled_from(["", "", "a", "b"]),
    instance=st.sampled_from(["", "i1", "i2"]),
    date=st.sampled_from(["", "d1", "d2"]),
)
CALLS = st.builds(call, FEW, st.integers(0, 10), st.sampled_from([202, 504, 409]), st.sampled_from(["", "a", "b"]))


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(LINES, max_size=14), st.lists(CALLS, max_size=5))
def test_any_lines_are_sorted_as_the_plain_rule_sorts_them(marks: list[Mark], calls: list[StartCall]) -> None:
    calls = sorted(calls, key=lambda c: c.at)
    assert [(a.batch, a.marks, a.call) for a in attempts(marks, calls)] == [
        (a.batch, a.marks, a.call) for a in plainly(marks, calls)
    ]
