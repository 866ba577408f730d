"""Batches that nobody is called to begin: what the worker's lines, a document and the topic's counter tell of them."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    ItemMarks,
    Leg,
    Mark,
    Means,
    Point,
    PublishCounts,
    Series,
    Stage,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import build
from tests.readings.ledger.test_ledger import NOW, PROFILE, SOURCE, START, evidence, items, mark

ONE_WAY = PipelineProfile(
    name="test", project="p", request=PROFILE.request, markers=PROFILE.markers, one_way=True, item="tile"
)


def said(mark_: Mark) -> Mark:
    """By the worker."""
    return replace(mark_, service="worker")


def begun(*minutes: float, expected: int = 3) -> BatchMarks:
    """A line for each item that is taken up, which names the batch and says how many it has."""
    return BatchMarks(source=SOURCE, marks=tuple(said(mark(Means.CREATED, m, expected=expected)) for m in minutes))


def done(*minutes: float) -> ItemMarks:
    return items(*(said(mark(Means.DONE_ITEM, m, item=f"i{n}")) for n, m in enumerate(minutes)))


def sent(count: int, lately: int = 0) -> tuple[tuple[str, Leg], PublishCounts]:
    points = [(START, count), (NOW - timedelta(minutes=2), lately)]
    minute = timedelta(minutes=1)
    told = tuple(Point(start=at, end=at + minute, value=float(value)) for at, value in points if value)
    return ("PublishCounts", Leg.REQUEST), PublishCounts(source=SOURCE, messages=(Series(points=told),), requests=())


def test_what_the_worker_has_done_is_done_and_with_the_last_it_is_over() -> None:
    part = build(evidence(begun(0, 1, 2), done(1, 2)), ONE_WAY)
    assert (part.done, part.expected, part.closed) == (2, 3, None)
    whole = build(evidence(begun(0, 1, 2), done(1, 2, 3)), ONE_WAY)
    assert (whole.done, whole.closed, whole.closed_at) == (3, True, START + timedelta(minutes=3))


def test_where_something_may_come_back_the_same_lines_close_nothing() -> None:
    ledger = build(evidence(begun(0, 1, 2), done(1, 2, 3)), replace(ONE_WAY, one_way=False))
    assert (ledger.done, ledger.closed) == (0, None)


def test_a_batch_of_unknown_size_is_never_over() -> None:
    unsized = BatchMarks(source=SOURCE, marks=(said(mark(Means.CREATED, 0)),))
    ledger = build(evidence(unsized, done(1, 2, 3)), ONE_WAY)
    assert (ledger.done, ledger.expected, ledger.closed) == (3, None, None)


def test_that_a_batch_is_told_of_again_is_no_progress() -> None:
    ledger = build(evidence(begun(0, 1, 17), done(2)), ONE_WAY)
    assert ledger.last_progress == START + timedelta(minutes=2)


def test_the_callers_word_stands_beside_an_older_batch_that_is_over() -> None:
    seen = evidence(begun(-300, -299, -298), done(-299, -298, -297))
    asked = build(seen, ONE_WAY, expect=5, since=START)
    assert asked.as_asked and asked.batch == "" and asked.expected == 5
    assert asked.made is None, "that other batches have a line says nothing of one that no line can name yet"


def test_a_batch_of_which_something_was_heard_since_is_the_one_that_is_meant() -> None:
    seen = evidence(begun(-1, 0.5, 1), done(1))
    ledger = build(seen, ONE_WAY, expect=3, since=START)
    assert (ledger.batch, ledger.as_asked) == ("B", False)


def test_the_topic_counts_for_it_what_is_neither_more_nor_less_than_it_has() -> None:
    lines = (begun(0), done(1))
    assert build(evidence(*lines, sent(3)), ONE_WAY).counts[Stage.PUBLISHED].exact == 3
    assert build(evidence(*lines, sent(4)), ONE_WAY).counts[Stage.PUBLISHED].exact is None
    assert build(evidence(*lines, sent(2, lately=1)), ONE_WAY).counts[Stage.PUBLISHED].exact is None
    cut = replace(begun(0), source=replace(SOURCE, complete=False))
    assert build(evidence(cut, done(1), sent(3)), ONE_WAY).counts[Stage.PUBLISHED].exact is None


def test_a_document_tells_when_a_batch_began_that_no_line_names() -> None:
    state = BatchStatus(source=SOURCE, batch="B", exists=True, expected=3, completed=0, closed=False)
    old = BatchMarks(source=SOURCE, marks=(said(mark(Means.CREATED, -300, batch="A")),))
    assert build(evidence(old, state), PROFILE, "B").started is None
    told = build(evidence(old, replace(state, created=START), sent(3)), PROFILE, "B")
    assert told.started == START and told.counts[Stage.PUBLISHED].exact == 3
