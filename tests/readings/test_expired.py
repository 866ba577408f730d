"""Pushes that ran into the ack deadline: what starts can account for, and what programs take themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import structs

from diagnostics.evidence.model import (
    LogRow,
    Point,
    Provenance,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    Series,
    Unseen,
    Why,
)
from diagnostics.readings.answers import Answers, answers
from diagnostics.readings.expired import at_starts, work

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SINCE = NOW - timedelta(hours=1)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)


def series(points: dict[float, float], **labels: str) -> tuple[Series, ...]:
    def point(ago: float, value: float) -> Point:
        end = NOW - timedelta(minutes=ago)
        return Point(start=end - timedelta(minutes=1), end=end, value=value)

    return (Series(labels=labels, points=tuple(point(a, v) for a, v in sorted(points.items(), reverse=True))),)


def capacity(starts: dict[float, float], took: float, pending: float = 0) -> ReceiverCapacity:
    lengths = series(dict.fromkeys(starts, took))
    waited = series(dict.fromkeys(starts, pending))
    return ReceiverCapacity(
        source=SOURCE,
        instances=(),
        startup_p50=lengths,
        startup_p99=lengths,
        startups=series(starts),
        pending_p99=waited,
    )


def expired(points: dict[float, float]) -> PushCounts:
    return PushCounts(source=SOURCE, series=series(points, response_class="deadline_exceeded"))


def test_what_expires_while_an_instance_starts_can_be_its_doing() -> None:
    late = at_starts(expired({40: 12, 39: 8}), capacity({39: 2}, 27), 20, SINCE, at_once=80)
    assert (late.count, late.all) == (20, 20)
    assert late.until == NOW - timedelta(minutes=39)


def test_what_expired_just_now_may_have_met_a_start_that_is_not_counted_yet() -> None:
    """The counters end with the push; its start is counted once it has ended. That others expired in between tells otherwise."""
    starts = capacity({39: 1, 20: 1}, 27)
    late = at_starts(expired({40: 1, 21: 1, 0: 1}), starts, 20, SINCE, at_once=80)
    assert (late.count, late.all, late.until) == (2, 3, NOW)
    late = at_starts(expired({40: 1, 21: 1, 10: 1, 0: 1}), starts, 20, SINCE, at_once=80)
    assert (late.count, late.until) == (2, NOW - timedelta(minutes=21))
    late = at_starts(expired({40: 1, 21: 1, 5: 1}), starts, 20, SINCE, at_once=80)
    assert (late.count, late.until) == (2, NOW - timedelta(minutes=21))


def test_what_expires_at_other_times_is_not() -> None:
    late = at_starts(expired({40: 6, 20: 54, 5: 54}), capacity({39: 2}, 27), 20, SINCE, at_once=80)
    assert (late.count, late.all) == (6, 114)
    assert late.until == NOW - timedelta(minutes=40)


def test_two_starts_cannot_make_more_expire_than_can_wait_for_them() -> None:
    late = at_starts(expired({40: 57, 39: 57}), capacity({39: 2}, 15), 10, SINCE, at_once=1)
    assert late.count == 3
    assert late.all == 114


def test_without_starts_none_is_theirs() -> None:
    assert at_starts(expired({40: 5}), capacity({}, 27), 20, SINCE, at_once=80).count == 0


def answered(*latencies: float, instance: str = "i", text: str = "") -> Answers:
    rows = tuple(
        LogRow(at=NOW, method="POST", path="/p", status=200, latency_s=s, instance=instance, text=text)
        for s in latencies
    )
    return Answers(SINCE, (), rows, True)


def test_work_that_takes_longer_than_the_deadline_is_told_without_the_wait() -> None:
    told = work(answered(60, 61, 62, 5), capacity({30: 1}, 4, pending=8), 10)
    assert (told.over, told.all, told.typical_s, told.most) == (3, 4, 53, True)


def test_what_began_before_the_batch_and_ended_since_is_work_of_its_time() -> None:
    """An entry may be stamped with the begin of its request, and work of twenty minutes begins before what it keeps waiting."""
    before = LogRow(at=SINCE - timedelta(minutes=5), method="POST", path="/p", status=200, latency_s=1200, instance="i")
    over = structs.replace(before, at=SINCE - timedelta(minutes=21))
    log = RequestLog(source=SOURCE, push_path="/p", refused=(), fine=(over, before))
    told = work(answers(log, SINCE), capacity({30: 1}, 1), 600)
    assert (told.over, told.all) == (1, 1)


def test_a_request_that_waited_for_its_instance_was_not_worked_on_all_that_time() -> None:
    assert work(answered(30, 31), capacity({30: 1}, 27), 20).over == 0


def test_where_the_wait_was_not_seen_nothing_is_told() -> None:
    unseen = Unseen(what="ReceiverCapacity", why=Why.PERMISSION_DENIED, says="")
    assert work(answered(60, 60), unseen, 10).over == 0


def test_what_no_program_took_is_no_work() -> None:
    assert work(answered(600, instance=""), capacity({30: 1}, 1), 10).all == 0
