"""The rows and findings of what does not come by itself: their places add up, their words are of the time in which it was."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    EvidenceSet,
    ItemMarks,
    Leg,
    Mark,
    Means,
    Point,
    PublishCounts,
    Series,
    Stage,
    Unseen,
)
from diagnostics.readings.ledger import DeadLetters, Ledger, build
from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.steps import closed, created, delivered, processed, published, recorded, returned
from diagnostics.steps.delivered import given_up
from diagnostics.steps.finding import AnyCode, Bears, Finding, Row, Status, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.processed import acked, failing_items
from diagnostics.steps.run import Step, run
from tests.readings.ledger.test_ledger import BATCH, NOW, PROFILE, SOURCE, START, evidence, items, mark
from tests.readings.ledger.test_places import Legged, dead, subscription, tried, waiting


def said(step: Step, seen: EvidenceSet, leg: Leg = Leg.REQUEST) -> list[Finding | Row]:
    found = run([step], seen, build(seen, PROFILE), PROFILE, [leg])
    return [*found.findings, *found.rows]


def row(step: Step, seen: EvidenceSet, stage: Stage, leg: Leg = Leg.REQUEST) -> Row:
    return next(x for x in said(step, seen, leg) if isinstance(x, Row) and x.stage is stage)


def finding(step: Step, seen: EvidenceSet, code: AnyCode, leg: Leg = Leg.REQUEST) -> Finding:
    return next(x for x in said(step, seen, leg) if isinstance(x, Finding) and x.code == code.name)


def codes(step: Step, seen: EvidenceSet) -> set[str]:
    return {x.code for x in said(step, seen) if isinstance(x, Finding)}


def test_places_never_exceed_what_a_row_lacks_and_the_rest_is_unattributed() -> None:
    assert places(5, {Where.DEAD_LETTERED: 3}, {Where.WAITING: 9}) == {"dead_lettered": 3, "waiting": 2}
    assert places(5, {Where.DEAD_LETTERED: 3}, {}) == {"dead_lettered": 3, "unattributed": 2}
    assert places(0, {Where.DEAD_LETTERED: 3}, {Where.WAITING: 1}) == {}


DEAD = evidence(
    BATCH, items(*tried("a", 5), *tried("b", 5), *tried("c", 0, done=True)), subscription(), dead(2), waiting(0)
)


def test_items_whose_attempts_ran_out_are_in_the_dead_letter_topic_and_their_storm_is_past() -> None:
    assert row(processed.processed, DEAD, Stage.PROCESSED).where == {"dead_lettered": 2}
    storm = finding(processed.processed, DEAD, failing_items.REPEATS)
    assert (storm.status, storm.until) == (Status.OK, START + timedelta(minutes=5))
    assert "they went to the dead-letter topic" in storm.says


def test_dead_letters_hold_what_the_batch_waits_for_since_the_counter_rose() -> None:
    gone = finding(delivered.delivered, DEAD, given_up.DEAD_LETTERED)
    assert (gone.status, gone.bears, gone.held, gone.until) == (Status.FAULT, Bears.HOLDS, 2, None)
    assert gone.since == START + timedelta(minutes=4)
    assert gone.numbers["of"] == 3


def test_dead_letters_of_others_hold_nothing_and_are_told_as_past() -> None:
    done = items(*(line for item in "abc" for line in tried(item, 0, done=True)))
    seen = evidence(BATCH, done, subscription(), dead(2), waiting(0))
    gone = finding(delivered.delivered, seen, given_up.DEAD_LETTERED)
    assert (gone.status, gone.bears, gone.held) == (Status.OK, Bears.APART, 0)
    assert gone.until is not None


def test_a_failing_item_that_is_still_pushed_is_retrying() -> None:
    late = [mark(m, 10 + n, "a") for n in range(3) for m in (Means.STARTED_ITEM, Means.FAILED_ITEM)]
    others = [mark(m, 11.5, item) for item in "bc" for m in (Means.STARTED_ITEM, Means.DONE_ITEM)]
    seen = evidence(BATCH, items(*late, *others), subscription(), dead(0), waiting(1))
    assert row(processed.processed, seen, Stage.PROCESSED).where == {"retrying": 1}
    storm = finding(processed.processed, seen, failing_items.REPEATS)
    assert (storm.status, storm.bears, storm.until) == (Status.FAULT, Bears.HOLDS, None)


@pytest.mark.parametrize(("starts", "place"), [(1, "in_flight"), (3, "retrying")])
def test_an_item_that_is_taken_up_again_is_retrying_though_no_line_says_how_its_tries_ended(
    starts: int, place: str
) -> None:
    """A container that dies under it says nothing."""
    late = [mark(Means.STARTED_ITEM, 14 + n, "a") for n in range(starts)]
    others = [mark(m, 11.5, item) for item in "bc" for m in (Means.STARTED_ITEM, Means.DONE_ITEM)]
    seen = evidence(BATCH, items(*late, *others), subscription(), dead(0), waiting(1))
    assert row(processed.processed, seen, Stage.PROCESSED).where == {place: 1}


def test_what_nothing_pushes_and_nothing_counts_is_unattributed_and_no_storm() -> None:
    others = [line for item in "bc" for line in tried(item, 0, done=True)]
    seen = evidence(BATCH, items(*tried("a", 3), *others), subscription(), dead(0), waiting(0))
    later = EvidenceSet(dict(seen.items()), NOW + timedelta(hours=3), seen.lookback, seen.since)
    assert row(processed.processed, later, Stage.PROCESSED).where == {"unattributed": 1}
    assert finding(processed.processed, later, failing_items.REPEATS).status is Status.OK


def test_two_failures_in_all_are_no_storm() -> None:
    seen = evidence(BATCH, items(*tried("a", 2)), subscription(), dead(0), waiting(1))
    assert failing_items.REPEATS.name not in codes(processed.processed, seen)


def test_failures_are_told_over_the_span_in_which_they_were() -> None:
    fast = [mark(Means.FAILED_ITEM, 15 + n / 20, "a") for n in range(20)]
    fast.insert(9, mark(Means.DONE_ITEM, 15.4, "b"))
    storm = finding(processed.processed, evidence(BATCH, items(*fast), subscription()), failing_items.REPEATS)
    assert "failed 20 times at 14:17Z" in storm.says
    assert "a minute" not in storm.says


def test_what_was_not_read_whole_is_a_bound_and_has_no_beginning() -> None:
    cut = ItemMarks(
        source=replace(SOURCE, complete=False),
        since=START,
        marks=(
            *(mark(Means.FAILED_ITEM, 2 + 2 * n, "a") for n in range(6)),
            mark(Means.DONE_ITEM, 13, "b"),
            mark(Means.FAILED_ITEM, 14, "a"),
        ),
    )
    storm = finding(processed.processed, evidence(BATCH, cut, subscription()), failing_items.REPEATS)
    assert "failed 7 or more times" in storm.says
    assert storm.since is None


def test_skipped_by_all_names_the_reason_and_says_that_no_work_was_done() -> None:
    lines = [
        replace(mark(means, 2, item), words={"reason": "no_lines"})
        for item in "abc"
        for means in (Means.STARTED_ITEM, Means.SKIPPED_ITEM)
    ]
    given_up = finding(processed.processed, evidence(BATCH, items(*lines)), acked.SKIPPED)
    assert given_up.status is Status.WARNING
    assert "all 3 items" in given_up.says
    assert "no_lines" in given_up.says
    assert "no work was done at all" in given_up.says


def test_a_few_that_were_skipped_and_came_back_are_business() -> None:
    came = [mark(m, 2, i) for i in "abc" for m in (Means.STARTED_ITEM, Means.DONE_ITEM, Means.RETURNED_ITEM)]
    came[1] = mark(Means.SKIPPED_ITEM, 2, "a")
    assert finding(processed.processed, evidence(BATCH, items(*came)), acked.SKIPPED).status is Status.OK


def unrecorded(*more: Legged) -> EvidenceSet:
    came = [mark(m, 2, i) for i in "abc" for m in (Means.STARTED_ITEM, Means.DONE_ITEM, Means.RETURNED_ITEM)]
    failed = [replace(mark(Means.RECORD_ERROR, 3 + 3 * n, "c"), words={"reason": "409 contention"}) for n in range(5)]
    status = BatchStatus(source=SOURCE, batch="B", exists=True, expected=3, completed=2, closed=False)
    return evidence(BATCH, items(*came, *failed), status, *more)


def test_why_completions_could_not_be_recorded_is_said_once_an_item() -> None:
    why = finding(recorded.recorded, unrecorded(), recorded.RECORD_ERRORS)
    assert (why.status, why.held) == (Status.FAULT, 1)
    assert "1 completion could not be recorded" in why.says
    assert "409 contention" in why.says
    assert recorded.BEHIND.name not in codes(recorded.recorded, unrecorded())


def test_a_completion_that_used_up_its_attempts_is_dead_lettered_at_recorded() -> None:
    way_back = (subscription(Leg.COMPLETION), dead(1, Leg.COMPLETION, 16), waiting(0, leg=Leg.COMPLETION))
    seen = unrecorded(*way_back)
    assert row(recorded.recorded, seen, Stage.RECORDED).where == {"dead_lettered": 1}
    assert row(returned.returned, seen, Stage.RETURNED).where == {}
    gone = finding(delivered.delivered, seen, given_up.DEAD_LETTERED, Leg.COMPLETION)
    assert (gone.held, gone.leg) == (1, Leg.COMPLETION)


def test_recorded_by_now_is_past() -> None:
    came = unrecorded().get(ItemMarks)
    assert not isinstance(came, Unseen)
    status = BatchStatus(source=SOURCE, batch="B", exists=True, expected=3, completed=3, closed=False)
    why = finding(recorded.recorded, evidence(BATCH, came, status), recorded.RECORD_ERRORS)
    assert (why.status, why.until) == (Status.OK, START + timedelta(minutes=15))


def ended(done: int, expected: int = 100) -> EvidenceSet:
    marks = BatchMarks(
        source=SOURCE,
        marks=(mark(Means.CREATED, 0.1, expected=expected), mark(Means.PUBLISHED, 0.5, count=expected, of=expected)),
    )
    return evidence(
        marks, BatchStatus(source=SOURCE, batch="B", exists=True, expected=expected, completed=done, closed=True)
    )


def test_closed_by_whom_no_line_tells_is_never_simply_closed() -> None:
    assert finding(closed.closed, ended(0), closed.HOLLOW).status is Status.FAULT
    short = finding(closed.closed, ended(20), closed.FORCED)
    assert (short.status, short.held) == (Status.WARNING, 80)
    assert "20 of 100 done; no line tells who closed it" in short.says
    assert closed.CLOSED.name not in codes(closed.closed, ended(20))
    assert closed.CLOSED.name in codes(closed.closed, ended(100))


def refused(*item_lines: Mark, status: BatchStatus | None = None) -> EvidenceSet:
    first = (mark(Means.CREATED, -60, batch="A", expected=9), mark(Means.PUBLISHED, -59, batch="A", count=9, of=9))
    again = replace(mark(Means.RECEIVED, 17, batch=""), trace="another")
    no = replace(again, means=Means.REFUSED, words={"blocker": "A"})
    seen = (BatchMarks(source=SOURCE, marks=(*first, again, no)), items(*item_lines))
    return evidence(*seen, *((status,) if status else ()))


def test_a_batch_in_the_way_that_only_retries_is_stuck() -> None:
    done = mark(Means.DONE_ITEM, -50, "a", batch="A")
    failing = [mark(Means.FAILED_ITEM, n, "b", batch="A") for n in range(18)]
    stuck = finding(created.created, refused(done, *failing), created.STALE_OPEN)
    assert (stuck.status, stuck.since) == (Status.FAULT, done.at)
    moving = refused(done, *failing, mark(Means.DONE_ITEM, 15, "c", batch="A"))
    assert finding(created.created, moving, created.ACTIVE_OTHER).status is Status.OK


def test_where_no_line_of_progress_names_a_batch_it_could_not_be_told() -> None:
    assert finding(created.created, refused(), created.STALE_OPEN).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("about", "done", "closed", "status"),
    [
        ("A", 0, False, Status.FAULT),
        ("A", 3, False, Status.UNKNOWN),  # when they were done, no count tells
        ("A", 0, True, Status.UNKNOWN),
        ("OTHER", 0, False, Status.UNKNOWN),
    ],
)
def test_a_batch_in_the_way_of_which_nothing_is_done_never_got_further(
    about: str, done: int, closed: bool, status: Status
) -> None:
    state = BatchStatus(source=SOURCE, batch=about, exists=True, expected=9, completed=done, closed=closed)
    assert finding(created.created, refused(status=state), created.STALE_OPEN).status is status


def test_a_batch_that_never_was_has_nothing_published_and_nothing_cut_short() -> None:
    other = mark(Means.CREATED, -60, batch="OLD", expected=9)
    told = mark(Means.PUBLISHED, -59, batch="OLD", count=9, of=9)
    seen = evidence(BatchMarks(source=SOURCE, marks=(other, told, mark(Means.RECEIVED, -40, batch=""))))
    assert row(published.published, seen, Stage.PUBLISHED).not_reached
    assert codes(published.published, seen) == set()


def test_what_a_gate_kept_back_is_noted_though_the_batch_was_lowered() -> None:
    kept = mark(Means.GATE, 0.3, count=3, of=140, existing=137)
    seen = evidence(BatchMarks(source=SOURCE, marks=(*BATCH.marks[:1], kept, mark(Means.CREATED, 0.4, expected=3))))
    assert row(published.published, seen, Stage.PUBLISHED).note == "the gate let 3 of 140 through (137 existing)"


def test_unseen_counters_accuse_nobody() -> None:
    seen = evidence(BATCH, items(*tried("a", 5)))
    assert given_up.DEAD_LETTERED.name not in codes(delivered.delivered, seen)
    assert build(seen, PROFILE).dead(Leg.REQUEST).ours == 0


@pytest.mark.parametrize(("came", "ours"), [(3, 2), (1, 1), (0, 0)])
def test_dead_letters_are_no_items_of_a_batch_that_never_came_onto_the_topic(came: float, ours: int) -> None:
    point = Point(start=START, end=START + timedelta(minutes=1), value=came)
    topic = PublishCounts(source=SOURCE, messages=(Series(points=(point,)),), requests=())
    lines = items(*tried("a", 5), *tried("b", 5), *tried("c", 0, done=True))
    seen = evidence(BATCH, lines, subscription(), dead(2), waiting(0), (("PublishCounts", Leg.REQUEST), topic))
    assert build(seen, PROFILE).dead(Leg.REQUEST).ours == ours


@pytest.mark.parametrize(
    ("could", "attempts", "hours", "waits"),
    [
        (None, 5, 1, 9),  # none has used up its tries yet
        (None, 5, 3, 0),
        (None, None, 9, 9),  # no policy gives them up
        (3, 5, 9, 3),
    ],
)
def test_what_may_have_used_up_its_tries_is_not_taken_to_wait(
    could: int | None, attempts: int | None, hours: float, waits: int
) -> None:
    """Nine items lack, half an hour between two tries at the most, and of how many wait nothing was seen."""
    dead = DeadLetters(could_wait=could, attempts=attempts, pause=timedelta(minutes=30))
    ledger = Ledger(attempt=Attempt(batch="B", begun=NOW - timedelta(hours=hours)), dead_letters={Leg.REQUEST: dead})
    assert may_wait(ledger, Leg.REQUEST, NOW, 9) == waits
