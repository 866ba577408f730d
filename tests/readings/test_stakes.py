"""What is known of a batch at all, and so what can hold it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Key,
    Leg,
    Mark,
    Means,
    Point,
    Provenance,
    PublishCounts,
    PushCounts,
    Series,
    Stage,
    StartCall,
    StartCalls,
    Unseen,
)
from diagnostics.pipeline.profile import LegProfile, Marker, PipelineProfile
from diagnostics.readings.ledger import Count, Ledger, build
from diagnostics.readings.ledger.ledger import COUNTED
from diagnostics.readings.stakes import stakes_of

NOW = datetime(2026, 2, 8, 14, 20, tzinfo=UTC)
START = NOW - timedelta(minutes=18)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
BARE = PipelineProfile(name="bare", project="p", request=LegProfile(subscription="s"))
MARKED = PipelineProfile(
    name="marked",
    project="p",
    request=LegProfile(subscription="s"),
    markers=tuple(Marker(means=m, contains=m.value) for m in Means),
)


def mark(means: Means, batch: str, item: str = "", **numbers: int) -> Mark:
    return Mark(means=means, at=START, service="s", batch=batch, item=item, numbers=numbers)


def lines(*marks: Mark) -> BatchMarks:
    return BatchMarks(source=SOURCE, marks=marks)


def call(status: int) -> StartCalls:
    return StartCalls(source=SOURCE, calls=(StartCall(at=START, status=status, latency_s=1, reached_app=True),))


def counted(kind: type[PublishCounts] | type[PushCounts], number: float, minutes_ago: float = 15) -> Evidence:
    end = NOW - timedelta(minutes=minutes_ago)
    point = Point(start=end - timedelta(minutes=1), end=end, value=number)
    if kind is PublishCounts:
        return PublishCounts(source=SOURCE, messages=(Series(labels={}, points=(point,)),), requests=())
    return PushCounts(source=SOURCE, series=(Series(labels={"response_class": "ack"}, points=(point,)),))


def seen(*found: Evidence) -> EvidenceSet:
    kinds: dict[Key, Evidence | Unseen] = {
        (type(one).__name__, Leg.REQUEST if one.per_leg else None): one for one in found
    }
    return EvidenceSet(kinds, NOW, timedelta(days=7), NOW - timedelta(hours=1))


STATE = BatchStatus(source=SOURCE, batch="B", exists=True, expected=4, completed=2)


@pytest.mark.parametrize(
    ("found", "batch", "told"),
    [
        ((), "", False),
        ((), "B", False),
        ((counted(PushCounts, 4), counted(PublishCounts, 4)), "B", False),
        ((lines(mark(Means.CREATED, "B", expected=4)),), "B", True),
        ((lines(mark(Means.CREATED, "B", expected=4)),), "", True),
        ((lines(mark(Means.CREATED, "OTHER", expected=4)),), "B", False),
        ((STATE,), "B", True),
        ((STATE,), "OTHER", False),
        ((ItemMarks(source=SOURCE, since=START, marks=(mark(Means.DONE_ITEM, "B", "a"),)),), "B", True),
        ((ItemMarks(source=SOURCE, since=START, marks=(mark(Means.DONE_ITEM, "OTHER", "a"),)),), "B", False),
        ((call(500),), "", True),
        ((call(200),), "", False),
        ((call(504),), "", False),
        ((call(200), lines(mark(Means.CREATED, "OTHER"))), "", True),
    ],
)
def test_a_batch_is_seen_once_anything_tells_of_it(found: tuple[Evidence, ...], batch: str, told: bool) -> None:
    ledger = build(seen(*found), MARKED, batch)
    assert ledger.told is stakes_of(ledger, MARKED).seen is told


def test_of_a_batch_that_nothing_tells_of_nothing_is_counted() -> None:
    ledger = build(seen(counted(PushCounts, 4), lines(mark(Means.CREATED, "OTHER", expected=4))), MARKED, "B")
    assert ledger.counts == dict.fromkeys(COUNTED, Count())
    assert ledger.attempt is None
    assert (ledger.batch, ledger.known_batch, ledger.done_most) == ("B", None, None)


def test_a_batch_that_its_state_does_not_know_is_over_and_judged_no_more() -> None:
    ledger = build(seen(BatchStatus(source=SOURCE, batch="B", exists=False)), BARE, "B")
    assert ledger.known_batch is False
    assert stakes_of(ledger, BARE).over


def asked(*found: Evidence, expect: int | None = 181, since: datetime | None = START) -> Ledger:
    return build(seen(*found), BARE, "", expect, since)


def test_what_the_caller_says_is_taken_where_nothing_tells() -> None:
    ledger = asked(counted(PublishCounts, 15), counted(PushCounts, 12))
    assert ledger.told
    assert ledger.as_asked
    assert (ledger.started, ledger.expected, ledger.expected_from) == (START, 181, "as asked")
    assert ledger.counts[Stage.PUBLISHED] == Count(15, 15, "topic counter", "topic")
    assert ledger.counts[Stage.PROCESSED].most == 12
    assert ledger.gap(Stage.PUBLISHED) == (166, 166)
    assert (ledger.done, ledger.done_most) == (0, 12)


def test_a_topic_that_still_gets_messages_may_get_the_rest() -> None:
    assert asked(counted(PublishCounts, 15, minutes_ago=1)).counts[Stage.PUBLISHED].most == 181


def test_others_may_publish_there_too_so_no_more_than_the_batch_has_are_its() -> None:
    assert asked(counted(PublishCounts, 400)).counts[Stage.PUBLISHED].exact == 181


@pytest.mark.parametrize(("expect", "since"), [(None, START), (181, None)])
def test_half_of_the_word_is_not_enough(expect: int | None, since: datetime | None) -> None:
    assert not asked(counted(PublishCounts, 15), expect=expect, since=since).told


def test_lines_outrank_the_word() -> None:
    found = seen(lines(mark(Means.CREATED, "B", expected=4)))
    ledger = build(found, MARKED, "", 181, START)
    assert (ledger.as_asked, ledger.batch, ledger.expected) == (False, "B", 4)


@pytest.mark.parametrize(
    ("minutes_ago", "number", "other", "least"),
    [(17, 46, None, 46), (17, 400, None, 0), (2, 46, None, 0), (17, 46, 20, 0), (17, 46, 90, 46)],
    ids=["nobody else", "more than it has", "goes on", "another start", "a start of long ago"],
)
def test_what_a_topic_took_while_a_killed_start_published_is_the_batchs_where_nobody_else_can_have_sent_it(
    minutes_ago: float, number: float, other: float | None, least: int
) -> None:
    marks = [mark(Means.CREATED, "B", expected=98)]
    if other is not None:
        marks.insert(0, replace(mark(Means.CREATED, "A", expected=98), at=NOW - timedelta(minutes=other)))
    topic = counted(PublishCounts, number, minutes_ago)
    assert build(seen(call(503), lines(*marks), topic), MARKED, "B").counts[Stage.PUBLISHED].least == least
    cut = BatchMarks(source=replace(SOURCE, complete=False), marks=tuple(marks))
    assert build(seen(call(503), cut, topic), MARKED, "B").counts[Stage.PUBLISHED].least == 0, (
        "another start may be hidden"
    )
