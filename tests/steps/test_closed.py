"""What a batch waits for, and whether it did its work, is said only where what tells it was seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    EvidenceSet,
    Key,
    Leg,
    Mark,
    Means,
    StartCall,
    StartCalls,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import Closing
from diagnostics.readings.ledger import build
from diagnostics.steps import closed, created, published, recorded
from diagnostics.steps.finding import Status
from diagnostics.steps.run import run
from tests.readings.ledger.test_ledger import BATCH, NOW, PROFILE, SOURCE, START, evidence, items, mark

CUT = replace(SOURCE, complete=False, note="there is too much")
EMPTY = (mark(Means.RECEIVED, 0, batch=""), mark(Means.CREATED, 0.1, expected=0), mark(Means.EMPTY, 0.2))
CLOSED = BatchStatus(source=SOURCE, batch="B", exists=True, expected=0, completed=0, closed=True)


def lines(*marks: Mark, cut: bool = False) -> BatchMarks:
    return BatchMarks(source=CUT if cut else SOURCE, marks=marks)


def without(seen: EvidenceSet, kind: type, why: Why = Why.PERMISSION_DENIED) -> EvidenceSet:
    key: Key = (kind.__name__, None)
    gone = Unseen(what=kind.__name__, why=why, says=f"{kind.__name__} may not be read")
    return EvidenceSet({**dict(seen.items()), key: gone}, NOW, seen.lookback, seen.since)


def findings(seen: EvidenceSet, batch: str = "B") -> dict[str, Status]:
    found = run(
        [recorded.recorded, closed.closed, published.published],
        seen,
        build(seen, PROFILE, batch),
        PROFILE,
        [Leg.REQUEST],
    )
    return {f.code: f.status for f in found.findings}


def of_closing(seen: EvidenceSet) -> Status:
    return findings(seen)[closed.CLOSED.name]


def test_a_batch_that_closed_with_nothing_done_is_done_only_where_the_lines_about_it_were_seen() -> None:
    old = mark(Means.CREATED, -60, batch="A", expected=3)
    assert of_closing(evidence(lines(old, *EMPTY), CLOSED)) is Status.OK
    assert of_closing(without(evidence(lines(), CLOSED), BatchMarks)) is Status.UNKNOWN
    assert of_closing(evidence(lines(EMPTY[-1], cut=True), CLOSED)) is Status.UNKNOWN


def test_what_was_cut_before_the_batch_began_hides_nothing_of_it() -> None:
    assert of_closing(evidence(lines(*EMPTY, cut=True), CLOSED)) is Status.OK


def test_a_profile_without_lines_about_batches_takes_the_batch_state_at_its_word() -> None:
    assert of_closing(without(evidence(lines(), CLOSED), BatchMarks, Why.NOT_CONFIGURED)) is Status.OK


def test_what_did_its_work_is_done_whatever_lines_are_hidden() -> None:
    worked = replace(CLOSED, expected=3, completed=3)
    assert of_closing(without(evidence(lines(), worked), BatchMarks)) is Status.OK


def test_nothing_to_do_is_right_only_if_no_line_about_it_is_missing() -> None:
    for cut, status in ((False, Status.OK), (True, Status.UNKNOWN)):
        seen = evidence(lines(*EMPTY[1:], cut=cut), CLOSED)
        assert findings(seen)[published.EMPTY.name] is status


OPEN = BatchStatus(source=SOURCE, batch="B", exists=True, expected=4, completed=1, closed=False)
CALL = StartCalls(source=SOURCE, calls=(StartCall(at=START, status=202, latency_s=40.0, trace="t"),))


def waits(seen: EvidenceSet) -> dict[str, Status]:
    codes = (closed.OPEN.name, closed.WILL_WAIT.name)
    return {code: status for code, status in findings(seen, "").items() if code in codes}


def test_fewer_than_it_expects_is_not_enough_where_batch_state_and_start_call_tell_so() -> None:
    assert waits(evidence(BATCH, OPEN, CALL)) == {"closed.will_wait": Status.FAULT}


def test_without_the_batch_state_nobody_knows_whether_it_waits_for_the_rest() -> None:
    assert waits(without(evidence(BATCH, CALL), BatchStatus)) == {"closed.open": Status.UNKNOWN}


def test_a_start_call_that_was_hidden_may_still_lower_what_the_batch_expects() -> None:
    just_now = [replace(m, at=m.at + (NOW - START) - timedelta(seconds=40)) for m in BATCH.marks]
    seen = evidence(lines(*just_now), OPEN, StartCalls(source=SOURCE, calls=()))
    assert waits(seen) == {"closed.open": Status.OK}
    assert waits(without(seen, StartCalls)) == {"closed.open": Status.UNKNOWN}


def test_a_start_call_made_no_batch_only_where_the_lines_about_it_were_read() -> None:
    before = (mark(Means.RECEIVED, -60, batch=""), mark(Means.CREATED, -59, batch="A", expected=4))
    call = StartCalls(source=SOURCE, calls=(StartCall(at=START, status=202, latency_s=2.0),))
    for cut, status in ((False, Status.FAULT), (True, Status.UNKNOWN)):
        seen = evidence(BatchMarks(source=replace(CUT, as_of=START) if cut else SOURCE, marks=before), call)
        found = run([created.created], seen, build(seen, PROFILE), PROFILE, [Leg.REQUEST]).findings
        assert [(f.code, f.status) for f in found] == [("created.unseen" if cut else "created.missing", status)]


@pytest.mark.parametrize(
    ("counted", "done", "says"),
    [
        (3, 3, "closed at 14:12Z with 3 of 4 done (TIMED OUT)"),
        (3, 4, "closed at 14:12Z with 3 of 4 done (TIMED OUT); 1 came after that"),
        (None, 4, "closed at 14:12Z (TIMED OUT); 4 of 4 are done by now"),
    ],
)
def test_what_came_after_it_was_closed_was_not_there_yet(counted: int | None, done: int, says: str) -> None:
    numbers = {} if counted is None else {"count": counted, "of": 4}
    by_age = replace(mark(Means.FORCED, 10), numbers=numbers, words={"reason": "TIMED OUT"})
    status = replace(CLOSED, expected=4, completed=done, forced="TIMED OUT")
    seen = evidence(lines(*BATCH.marks, by_age), status)
    told_of = run([closed.closed], seen, build(seen, PROFILE, "B"), PROFILE, [Leg.REQUEST]).findings
    (found,) = [f for f in told_of if f.code == closed.FORCED.name]
    assert says in found.says
    told = closed.FORCED.of(found)
    assert told is not None and told.missing == (0 if counted is None else 1)


def test_closed_by_age_with_no_more_missing_than_the_rule_forgives_is_closed() -> None:
    by_age = replace(mark(Means.FORCED, 10), numbers={"count": 20, "of": 21}, words={"reason": "TIMED OUT"})
    status = replace(CLOSED, expected=21, completed=21, forced="TIMED OUT")
    seen = evidence(lines(*BATCH.marks, by_age), status)
    forgiving = replace(PROFILE, closing=Closing(share=0.95))
    strictly, (ended,) = (
        run([closed.closed], seen, build(seen, profile, "B"), profile, [Leg.REQUEST]).findings
        for profile in (PROFILE, forgiving)
    )
    assert closed.FORCED.name in {f.code for f in strictly}
    assert (ended.status, ended.says) == (
        Status.OK,
        "closed at 14:12Z with 20 of 21 done (TIMED OUT); 1 came after that",
    )


# --- by the log alone

OTHER = (mark(Means.CREATED, -60, batch="A", expected=3), mark(Means.CLOSED, -50, batch="A"))
"""A batch of before, which a line closed."""
LOWERED_OTHER = mark(Means.EXPECTED, -59, batch="A", expected=2)
DONE = tuple(mark(Means.RECORDED_ITEM, 2, item) for item in "abc")
"""All that was published of four came back, after the start call."""


def by_the_log(*marks: Mark, done: tuple[Mark, ...] = DONE, cut: bool = False) -> dict[str, Status]:
    found = findings(evidence(lines(*marks, cut=cut), items(*done), CALL), "B")
    codes = (closed.OPEN, closed.UNSEEN, closed.WAITS_FOR_UNPUBLISHED, closed.WILL_WAIT, closed.CLOSED)
    return {code.name: found[code.name] for code in codes if code.name in found}


def test_no_line_that_closes_it_leaves_a_batch_open_where_lines_close_others() -> None:
    assert by_the_log(*OTHER, *BATCH.marks) == {"closed.waits_for_unpublished": Status.FAULT}


@pytest.mark.parametrize(
    "marks",
    [
        BATCH.marks,
        (*OTHER[:1], *BATCH.marks),
        (*OTHER, *BATCH.marks, mark(Means.CLOSED, 5, batch="")),
        (*OTHER, *BATCH.marks, mark(Means.FORCED, 5, batch="")),
    ],
    ids=["no other batch", "no line closed the other", "closed, and no batch named", "reset, and no batch named"],
)
def test_silence_says_nothing_where_a_closing_line_might_not_be_known_as_one(marks: tuple[Mark, ...]) -> None:
    assert by_the_log(*marks) == {"closed.unseen": Status.UNKNOWN, "closed.open": Status.UNKNOWN}


def test_a_log_that_was_cut_within_the_batch_is_not_silent() -> None:
    assert closed.UNSEEN.name in by_the_log(*OTHER, *BATCH.marks[1:], cut=True)


def test_a_line_that_lowers_the_number_is_read_where_no_state_is() -> None:
    lowered = mark(Means.EXPECTED, 0.6, expected=3)
    assert by_the_log(*OTHER, *BATCH.marks, lowered) == {"closed.open": Status.OK}


def test_work_on_its_way_may_be_all_that_the_batch_waits_for_unless_lowering_is_known_to_leave_a_line() -> None:
    assert by_the_log(*OTHER, *BATCH.marks, done=DONE[:1]) == {"closed.open": Status.UNKNOWN}
    assert by_the_log(*OTHER, LOWERED_OTHER, *BATCH.marks, done=DONE[:1]) == {"closed.will_wait": Status.FAULT}


def test_what_closes_on_a_timer_is_waited_for() -> None:
    late = tuple(replace(m, at=NOW - timedelta(minutes=2)) for m in DONE)
    assert by_the_log(*OTHER, *BATCH.marks, done=late) == {"closed.open": Status.UNKNOWN}


@pytest.mark.parametrize(
    ("marks", "done", "hidden"),
    [
        ((), DONE, "closed by hand"),
        ((), tuple(mark(Means.RECORDED_ITEM, 0.45, i) for i in "abc"), "closed by hand or lowered at its start"),
        ((LOWERED_OTHER,), tuple(mark(Means.RECORDED_ITEM, 0.45, i) for i in "abc"), "closed by hand"),
    ],
    ids=["came after the start call", "came before its end", "lowering leaves a line"],
)
def test_what_may_leave_no_line_is_said(marks: tuple[Mark, ...], done: tuple[Mark, ...], hidden: str) -> None:
    seen = evidence(lines(*OTHER, *marks, *BATCH.marks), items(*done), CALL)
    found = run([closed.closed], seen, build(seen, PROFILE, "B"), PROFILE, [Leg.REQUEST]).findings
    told = next(f.says for f in found if f.code == closed.WAITS_FOR_UNPUBLISHED.name)
    assert f"if it was {hidden}, there may be none" in told


@pytest.mark.parametrize(("after_s", "aged"), [(600.0, True), (3600.0, False)])
def test_an_age_rule_may_have_closed_it_once_it_is_that_old(after_s: float, aged: bool) -> None:
    profile = replace(PROFILE, closing=Closing(after_s=after_s))
    seen = evidence(lines(*OTHER, *BATCH.marks), items(*DONE), CALL)
    found = run([closed.closed], seen, build(seen, profile, "B"), profile, [Leg.REQUEST]).findings
    told = next(f.says for f in found if f.code == closed.WAITS_FOR_UNPUBLISHED.name)
    assert ("closed by its age" in told) is aged


@pytest.mark.parametrize(
    ("done", "idle_min", "told"), [(96, 25, True), (94, 25, False), (96, 10, False), (100, 25, False)]
)
def test_enough_is_done_and_nothing_closes_it_once_no_completion_can_come_any_more(
    done: int, idle_min: float, told: bool
) -> None:
    ended = (NOW - START).total_seconds() / 60 - idle_min
    marks = (
        mark(Means.RECEIVED, -40, batch=""),
        mark(Means.CREATED, -39.9, expected=100),
        mark(Means.PUBLISHED, -39.8, count=100, of=100),
    )
    came = [mark(Means.RECORDED_ITEM, ended, item=f"i{n}") for n in range(done)]
    state = BatchStatus(source=SOURCE, batch="B", exists=True, expected=100, completed=done, closed=False)
    seen = evidence(lines(*marks), state, items(*came))
    profile = replace(PROFILE, closing=Closing(share=0.95))
    found = run([closed.closed], seen, build(seen, profile, "B"), profile, [Leg.REQUEST]).findings
    assert (closed.ENOUGH.name in {f.code for f in found}) is told
