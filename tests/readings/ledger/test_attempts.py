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


def made(batch: str, begins: float, ends: float, instance: str = "i1", trace: str = "") -> list[Mark]:
    """Lines of a start that name its batch; it has told all at `ends`."""
    return [
        mark(Means.GATE, begins, batch=batch, instance=instance, trace=trace, count=9, of=9),
        mark(Means.CREATED, begins + 1, batch=batch, instance=instance, trace=trace, expected=9),
        mark(Means.PUBLISHED, ends, batch=batch, instance=instance, trace=trace, count=9),
    ]


@pytest.mark.parametrize("logged", ["begin", "end"])
def test_without_traces_a_batch_is_of_the_call_that_was_answered_when_it_had_told_all(logged: str) -> None:
    """Three calls of one task, each longer than its caller waits, and two at a time at work in one container."""
    spans = ((0, 184.0), (135, 319.0), (285, 469.0))
    marks = [mark(Means.RECEIVED, begins + 0.2) for begins, _ in spans]
    marks += [
        line for name, (begins, ends) in zip("ABC", spans, strict=True) for line in made(name, begins + 181, ends)
    ]
    calls = [call(begins if logged == "begin" else ends, ends - begins) for begins, ends in spans]
    found = attempts(marks, calls)
    assert [(a.batch, a.first(Means.RECEIVED), a.call) for a in found] == list(
        zip("ABC", marks[:3], calls, strict=True)
    )


@pytest.mark.parametrize(
    ("ends", "calls"),
    [
        ((20.0, 21.0), [call(0, 20.0), call(1, 20.0)]),  # either may be either's
        ((20.0, 40.0), [call(0, 5.0), call(1, 5.0)]),  # answered long before it had told all
        ((20.0, 40.0), [call(0, 20.0, status=503), call(1, 39.0, status=504)]),  # not the program's answer
    ],
)
def test_without_traces_a_call_whose_end_does_not_tell_it_stays_apart_from_batches(
    ends: tuple[float, float], calls: list[StartCall]
) -> None:
    received = [mark(Means.RECEIVED, 0.2), mark(Means.RECEIVED, 1.2)]
    found = attempts([*received, *made("A", 3, ends[0]), *made("B", 4, ends[1])], calls)
    assert len(found) == 4
    assert all(a.first(Means.RECEIVED) is None for a in found if a.batch)


def test_a_batch_of_another_container_or_trace_is_not_of_the_call_that_ends_with_it() -> None:
    received = [mark(Means.RECEIVED, 0.2, instance="i1"), mark(Means.RECEIVED, 1.2, instance="i1")]
    elsewhere = attempts([*received, *made("A", 3, 20, instance="i2")], [call(0, 20.0), call(1, 39.0)])
    assert [a.batch for a in elsewhere] == ["", "", "A"]
    traced = [mark(Means.RECEIVED, 0.2, trace="a"), mark(Means.RECEIVED, 1.2, trace="b")]
    calls = [call(0, 20.0, trace="a"), call(1, 39.0, trace="b")]
    assert [a.batch for a in attempts([*traced, *made("A", 3, 20, trace="z")], calls)] == ["", "", "A"]


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
    in_order = sorted(marks, key=lambda m: (m.at, m.means is not Means.RECEIVED))
    spare, received = list(calls), {}
    for mark in in_order:
        if mark.means is Means.RECEIVED:
            received[id(mark)] = nearest(spare, mark)
            spare = [c for c in spare if c is not received[id(mark)]]
    for mark in in_order:
        home = plain_home(mark, found)
        if home is None:
            if mark.means is not Means.RECEIVED and not mark.batch:
                continue
            home = Attempt()
            found.append(home)
        home.marks.append(mark)
        home.batch = home.batch or mark.batch
        if mark.means in (Means.RECEIVED, Means.CREATED) and home.call is None:
            home.call = received[id(mark)] if mark.means is Means.RECEIVED else nearest(spare, mark)
            spare = [c for c in spare if c is not home.call]
    left = [c for c in calls if not any(c is a.call for a in found)]
    return sorted([*plainly_whole(found), *(Attempt(call=c) for c in left)], key=lambda a: a.started)


def nearest(calls: list[StartCall], mark: Mark) -> StartCall | None:
    return min((c for c in calls if of_call(c, mark)), key=lambda c: abs(c.at - mark.at), default=None)


def plainly_whole(found: list[Attempt]) -> list[Attempt]:
    calls = [a for a in found if a.marks and not a.batch and a.call is not None and a.call.status < 300]
    halves = [a for a in found if a.batch and a.call is None and a.first(Means.RECEIVED) is None]
    pairs = [(half, [c for c in calls if answered_then(c, half)]) for half in halves]
    pairs = [(h, cs) for h, cs in pairs if len(cs) == 1 and sum(answered_then(cs[0], other) for other in halves) == 1]
    apart = [a for a in found if not any(a is h or a is cs[0] for h, cs in pairs)]
    both = [(h, cs[0]) for h, cs in pairs]
    return [*apart, *(Attempt(h.batch, sorted([*c.marks, *h.marks], key=lambda m: m.at), c.call) for h, c in both)]


def answered_then(one: Attempt, half: Attempt) -> bool:
    last, answered = half.last(Means.PUBLISHED, Means.EMPTY), one.call
    if last is None or answered is None or one.started > half.started + timedelta(seconds=2):
        return False
    if any(a and b and a != b for a, b in ((one.trace, half.trace), (one.instance, half.instance))):
        return False
    ends = (answered.at, answered.at + timedelta(seconds=answered.latency_s))
    return any(abs(end - last.at) <= timedelta(seconds=2) for end in ends)


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
