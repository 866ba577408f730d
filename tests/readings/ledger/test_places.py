"""Dead-lettered, skipped, kept back, closed empty: each is a place of its own, by arithmetic, and what is not known is not made up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    Backlog,
    BatchMarks,
    BatchStatus,
    DeadLetterCounts,
    DeadLetterPolicy,
    Evidence,
    Key,
    Leg,
    Mark,
    Means,
    Point,
    PublishCounts,
    PushCounts,
    Series,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger, build
from tests.readings.ledger.test_ledger import BATCH, NOW, PROFILE, SOURCE, START, evidence, items, mark

Legged = tuple[Key, Evidence]


def subscription(leg: Leg = Leg.REQUEST, attempts: int = 5) -> Legged:
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s",
        topic="projects/p/topics/t",
        dead_letter=DeadLetterPolicy(topic="projects/p/topics/d", max_attempts=attempts),
    )
    return (SubscriptionConfig.__name__, leg), SubscriptionConfig(source=SOURCE, settings=settings)


def dead(count: float, leg: Leg = Leg.REQUEST, minute: float = 5) -> Legged:
    end = START + timedelta(minutes=minute)
    points = (Point(start=end - timedelta(minutes=1), end=end, value=count),)
    counted = DeadLetterCounts(source=SOURCE, series=(Series(labels={"response_code": "success"}, points=points),))
    return (DeadLetterCounts.__name__, leg), counted


def waiting(now: float, before: float = 0, leg: Leg = Leg.REQUEST) -> Legged:
    points = tuple(
        Point(start=at, end=at, value=value) for at, value in ((START - timedelta(minutes=2), before), (NOW, now))
    )
    backlog = Backlog(source=SOURCE, undelivered=(Series(points=points),), oldest_age_s=(), outstanding=())
    return (Backlog.__name__, leg), backlog


def tried(item: str, times: int, done: bool = False) -> list[Mark]:
    lines = [mark(m, 1 + n, item) for n in range(times) for m in (Means.STARTED_ITEM, Means.FAILED_ITEM)]
    return [*lines, *([mark(Means.DONE_ITEM, times + 1, item)] if done else [])]


def test_an_item_whose_tries_are_used_up_is_dead_lettered_and_its_neighbour_is_not() -> None:
    marks = items(*tried("a", 5), *tried("b", 2), *tried("c", 0, done=True))
    ledger = build(evidence(BATCH, marks, subscription(), dead(1), waiting(1)), PROFILE)
    assert {x.name for x in ledger.lives if x.dead_lettered} == {"a"}
    assert ledger.dead(Leg.REQUEST).ours == 1
    assert (ledger.dead_at(Stage.DELIVERED), ledger.dead_at(Stage.PROCESSED)) == (0, 1)
    assert [r.dead_lettered for r in ledger.repeats] == [True, False]


@pytest.mark.parametrize(
    ("counted", "still_waiting", "others_done", "ours"),
    [(2, 0, False, 0), (4, 0, False, 2), (2, 2, False, 1), (2, 0, True, 2)],
)
def test_what_lines_show_to_be_of_other_batches_is_not_put_down_to_this_one(
    counted: int, still_waiting: int, others_done: bool, ours: int
) -> None:
    """Two messages of another batch fail; nothing of this one's three came to the worker, for whatever reason."""
    theirs = [replace(m, batch="another") for item in "xy" for m in tried(item, 5, others_done)]
    seen = evidence(BATCH, items(*theirs), subscription(), dead(counted), waiting(still_waiting))
    assert build(seen, PROFILE).dead(Leg.REQUEST).ours == ours


def test_no_more_are_dead_lettered_than_pubsub_counted() -> None:
    marks = items(*tried("a", 5), *tried("b", 5), *tried("c", 0, done=True))
    ledger = build(evidence(BATCH, marks, subscription(), dead(1), waiting(1)), PROFILE)
    assert ledger.dead_at(Stage.PROCESSED) == 1
    assert sum(x.dead_lettered for x in ledger.lives) == 1


def test_without_the_counter_nothing_is_called_dead_lettered() -> None:
    marks = items(*tried("a", 5), *tried("c", 0, done=True))
    ledger = build(evidence(BATCH, marks, subscription(), waiting(0)), PROFILE)
    assert not ledger.dead(Leg.REQUEST).counted
    assert not any(x.dead_lettered for x in ledger.lives)


def test_messages_that_waited_before_the_batch_began_may_be_those_that_were_dead_lettered() -> None:
    marks = items(mark(Means.DONE_ITEM, 1, "a"), mark(Means.STARTED_ITEM, 1, "b"))
    ledger = build(evidence(BATCH, marks, subscription(), dead(4), waiting(3, before=4)), PROFILE)
    went = ledger.dead(Leg.REQUEST)
    assert (went.messages, went.ours, went.most) == (4, 0, 2)


def test_what_was_done_and_pushed_again_may_be_what_was_dead_lettered() -> None:
    """A worker that answers with no ack does each item, and its messages use their attempts up all the same."""
    again = [mark(m, at, "a") for at in (1, 2) for m in (Means.STARTED_ITEM, Means.DONE_ITEM)]
    ledger = build(evidence(BATCH, items(*again), subscription(), dead(1), waiting(9)), PROFILE)
    assert (ledger.dead(Leg.REQUEST).ours, ledger.dead(Leg.REQUEST).most) == (0, 1)
    once = build(evidence(BATCH, items(*again[:2]), subscription(), dead(1), waiting(9)), PROFILE)
    assert once.dead(Leg.REQUEST).ours == 1


def test_what_cannot_wait_any_more_is_what_was_dead_lettered_though_no_line_names_it() -> None:
    marks = items(mark(Means.DONE_ITEM, 1, "a"), mark(Means.STARTED_ITEM, 1, "a"))
    ledger = build(evidence(BATCH, marks, subscription(), dead(9), waiting(0, before=9)), PROFILE)
    assert (ledger.dead_at(Stage.DELIVERED), ledger.dead_at(Stage.PROCESSED)) == (2, 0)


def test_completions_that_could_not_be_recorded_are_dead_lettered_on_the_way_back() -> None:
    came = [mark(m, 2, i) for i in "abc" for m in (Means.STARTED_ITEM, Means.DONE_ITEM, Means.RETURNED_ITEM)]
    failed = [mark(Means.RECORD_ERROR, 3 + n, "c") for n in range(5)]
    status = BatchStatus(source=SOURCE, batch="B", exists=True, expected=4, completed=2, closed=False)
    way_back = (subscription(Leg.COMPLETION), dead(1, Leg.COMPLETION), waiting(0, leg=Leg.COMPLETION))
    ledger = build(evidence(BATCH, items(*came, *failed), status, *way_back), PROFILE)
    assert ledger.done == 2, "what the batch state counts, not what came back"
    assert (ledger.dead_at(Stage.RETURNED), ledger.dead_at(Stage.RECORDED)) == (0, 1)


def came_back(*tries: tuple[str, int, bool]) -> list[Mark]:
    """Lines of a coordinator that says when a completion comes and when it could not be recorded, and of a good end nothing: by item, at
    which minute, and whether it failed."""
    done = [mark(m, 1, i) for i in dict.fromkeys(t[0] for t in tries) for m in (Means.STARTED_ITEM, Means.DONE_ITEM)]
    lines = []
    for item, minute, failed in tries:
        call = f"{item}{minute}"
        lines.append(replace(mark(Means.RETURNED_ITEM, minute, item), trace=call))
        lines += [replace(mark(Means.RECORD_ERROR, minute + 0.1, item), trace=call)] if failed else []
    return [*done, *lines]


def on_topic(count: float) -> Legged:
    points = (Point(start=START, end=START + timedelta(minutes=3), value=count),)
    counted = PublishCounts(source=SOURCE, messages=(Series(points=points),), requests=())
    return (PublishCounts.__name__, Leg.COMPLETION), counted


def test_by_the_log_alone_what_was_refused_and_dead_lettered_is_not_done() -> None:
    marks = items(*came_back(("a", 2, False), ("b", 2, False), *(("c", 2 + n, True) for n in range(5))))
    way_back = (subscription(Leg.COMPLETION), dead(1, Leg.COMPLETION, 8), waiting(0, leg=Leg.COMPLETION))
    ledger = build(evidence(BATCH, marks, *way_back), PROFILE)
    assert (ledger.done, ledger.counts[Stage.RECORDED].most) == (2, 2)
    assert (ledger.dead(Leg.COMPLETION).ours, ledger.dead_at(Stage.RECORDED)) == (1, 1)
    assert [x.name for x in ledger.lives if x.dead_lettered] == ["c"]


def test_by_the_log_alone_what_was_refused_at_last_is_not_done_and_a_later_try_may_be() -> None:
    refused = build(evidence(BATCH, items(*came_back(("a", 2, False), ("b", 2, True)))), PROFILE)
    assert (refused.done, refused.counts[Stage.RECORDED].most) == (1, 1)
    assert not any(x.dead_lettered for x in refused.lives)
    again = build(evidence(BATCH, items(*came_back(("a", 2, False), ("b", 2, True), ("b", 3, False)))), PROFILE)
    assert again.done == 2


def test_a_failure_of_which_no_line_told_that_it_came_back_bounds_nothing() -> None:
    """The coordinator may say so at a good end alone, and this may be a second copy."""
    lines = came_back(("a", 2, False), ("b", 2, False))
    ledger = build(evidence(BATCH, items(*lines, replace(mark(Means.RECORD_ERROR, 5, "b"), trace="copy"))), PROFILE)
    assert (ledger.done, ledger.done_most) == (1, 2)


@pytest.mark.parametrize(
    ("arrived", "waited", "gone", "done"),
    [
        (3, 0, 2, 1),  # each that arrived is one that came back: two of them lie in the dead-letter topic
        (5, 0, 2, 3),  # two more than came back: other batches', or second copies
        (4, 0, 2, 2),
        (3, 2, 2, 3),  # as many waited before it began
        (3, 0, 9, 0),
    ],
)
def test_where_no_line_tells_what_was_recorded_the_dead_lettered_are_counted(
    arrived: int, waited: int, gone: int, done: int
) -> None:
    marks = items(*came_back(("a", 2, False), ("b", 2, False), ("c", 2, False)))
    way_back = (subscription(Leg.COMPLETION), dead(gone, Leg.COMPLETION, 8), waiting(0, waited, Leg.COMPLETION))
    ledger = build(evidence(BATCH, marks, on_topic(arrived), *way_back), PROFILE)
    assert ledger.done == done
    assert ledger.dead_at(Stage.RECORDED) == 3 - done
    recorded = mark(Means.RECORDED_ITEM, 3, "a")
    known = build(evidence(BATCH, items(*marks.marks, recorded), on_topic(arrived), *way_back), PROFILE)
    assert known.done == 1, "where lines tell what was recorded, no counter does"


def test_failing_retries_are_no_progress() -> None:
    ledger = build(evidence(BATCH, items(mark(Means.DONE_ITEM, 2, "a"), *tried("b", 9))), PROFILE)
    assert ledger.last_progress == START + timedelta(minutes=2)
    assert ledger.activity == {"B": START + timedelta(minutes=2)}


def test_a_completion_that_comes_again_and_again_is_no_progress() -> None:
    again = [mark(m, 3 + n, "a") for n in range(6) for m in (Means.RETURNED_ITEM, Means.RECORD_ERROR)]
    ledger = build(evidence(BATCH, items(mark(Means.DONE_ITEM, 2, "a"), *again)), PROFILE)
    assert ledger.last_progress == START + timedelta(minutes=2)
    assert ledger.activity == {"B": START + timedelta(minutes=3)}


def test_failed_publishing_is_no_progress() -> None:
    marks = (*BATCH.marks[:2], mark(Means.PUBLISH_ERROR, 9, "a"))
    assert build(evidence(BatchMarks(source=SOURCE, marks=marks)), PROFILE).last_progress == BATCH.marks[1].at


def gated(reason: str, listed: tuple[str, ...], kept: dict[str, int]) -> Ledger:
    empty = mark(Means.EMPTY, 0.6)
    gate = replace(mark(Means.GATE, 0.5), numbers={"count": 0, "of": 30, **kept})
    marks = BatchMarks(
        source=SOURCE,
        marks=(
            *BATCH.marks[:2],
            gate,
            replace(empty, words={"reason": reason}),
            mark(Means.CLOSED, 0.7),
        ),
    )
    profile = PipelineProfile(name="p", project="p", request=PROFILE.request, empty_reasons=listed)
    return build(evidence(marks), profile)


@pytest.mark.parametrize(
    ("listed", "kept", "right", "hollow"),
    [
        (("gate left none", "existing"), {"existing": 30}, True, False),
        (("gate left none", "existing"), {"low_quality": 30}, False, True),
        (("gate left none", "existing"), {"existing": 25, "low_quality": 5}, False, False),
        (("gate left none", "existing"), {"existing": 10, "low_quality": 20}, False, True),
        (("gate left none", "existing"), {"existing": 10}, False, True),  # of the other twenty nothing tells why
        (("existing",), {"existing": 30}, False, True),  # what the coordinator says is not listed
        (("gate left none",), {}, True, False),  # the gate gives no reasons: what the coordinator says has to do
    ],
)
def test_a_batch_is_empty_by_design_only_if_listed_reasons_cover_all_that_was_kept_back(
    listed: tuple[str, ...], kept: dict[str, int], right: bool, hollow: bool
) -> None:
    ledger = gated("the gate left none", listed, kept)
    assert (ledger.empty_by_design, ledger.hollow) == (right, hollow)


def closed(done: int | None, expected: int = 4) -> Ledger:
    status = BatchStatus(source=SOURCE, batch="B", exists=True, expected=expected, completed=done, closed=True)
    return build(evidence(BATCH, status), PROFILE)


def test_closed_with_nothing_done_is_hollow_and_with_some_of_it_short() -> None:
    assert closed(0).hollow
    assert (closed(3).hollow, closed(3).short) == (False, 1)


def test_closed_and_nothing_told_of_what_is_done_is_neither() -> None:
    assert (closed(None, expected=3).hollow, closed(None, expected=3).short) == (False, 0)


def test_a_batch_that_never_was_is_not_made() -> None:
    other = mark(Means.CREATED, -60, batch="OLD", expected=9)
    received = BatchMarks(source=SOURCE, marks=(other, mark(Means.RECEIVED, 0, batch="")))
    assert build(evidence(received), PROFILE).made is False
    assert build(evidence(BatchMarks(source=SOURCE, marks=received.marks[1:])), PROFILE).made is None
    assert build(evidence(BATCH), PROFILE).made is True


def test_given_up_items_and_items_that_brought_nothing_are_fruitless() -> None:
    marks = items(
        mark(Means.SKIPPED_ITEM, 1, "a"), mark(Means.DONE_ITEM, 1, "b", rows=0), mark(Means.DONE_ITEM, 1, "c", rows=3)
    )
    assert build(evidence(BATCH, marks), PROFILE).fruitless == 2


@pytest.mark.parametrize(("means", "ours"), [(Means.DONE_ITEM, 1), (Means.SKIPPED_ITEM, 0)])
def test_of_an_item_that_was_skipped_nobody_knows_that_a_completion_of_it_is_a_dead_letter(
    means: Means, ours: int
) -> None:
    leg = Leg.COMPLETION
    acked: Legged = (PushCounts.__name__, leg), PushCounts(source=SOURCE, series=())
    found = evidence(BATCH, items(mark(means, 1, "a")), subscription(leg), acked, dead(6, leg), waiting(0, leg=leg))
    assert build(found, PROFILE).dead(leg).ours == ours
