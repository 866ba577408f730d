"""Whose answer it is, what fails now, when a failure began and when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.evidence.model import (
    By,
    Death,
    Ended,
    LogRow,
    PlatformLine,
    Point,
    Provenance,
    PushCounts,
    RequestLog,
    Series,
)
from diagnostics.readings.answers import answers, failures, goes_on, lately, outlived, recent, tally

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
HOUR = timedelta(hours=1)


def row(status: int, text: str = "", instance: str = "", minutes_ago: float = 1, **more: str) -> LogRow:
    at = NOW - timedelta(minutes=minutes_ago)
    given = {"method": "POST", "path": "/push"} | more
    return LogRow(at=at, status=status, latency_s=0.1, instance=instance, text=text, **given)


def pushes(**classes: dict[float, float]) -> PushCounts:
    """Pushes by class: minutes ago to how many."""

    def point(ago: float, value: float) -> Point:
        end = NOW - timedelta(minutes=ago)
        return Point(start=end - timedelta(minutes=1), end=end, value=value)

    return PushCounts(
        source=SOURCE,
        series=tuple(
            Series(
                labels={"response_class": name},
                points=tuple(point(ago, n) for ago, n in sorted(points.items(), reverse=True)),
            )
            for name, points in classes.items()
        ),
    )


@pytest.mark.parametrize(
    ("status", "text", "instance", "by", "ended", "reached"),
    [
        (500, "", "i", By.APPLICATION, None, True),
        (429, "", "i", By.APPLICATION, None, True),
        (503, "The request failed because the instance failed the readiness check.", "i", By.CLOUD_RUN, Ended.NOT_STARTED, False),
        (503, "either the HTTP response was malformed or connection to the instance had an error", "i", By.CLOUD_RUN, Ended.BROKEN, True),
        (504, "it has reached the maximum request timeout", "i", By.CLOUD_RUN, Ended.TIMED_OUT, True),
        (500, "was found to be using too much memory and was terminated", "i", By.CLOUD_RUN, Ended.MEMORY, True),
        (503, "some sentence that nobody has told us of", "i", By.CLOUD_RUN, None, True),
        (500, "no available instance", "", By.CLOUD_RUN, Ended.NO_INSTANCE, False),
        (429, "", "", By.CLOUD_RUN, Ended.NO_INSTANCE, False),
        (503, "The request failed because the project exceeded its quota limit for run.googleapis.com/cpu_allocation recently.", "",
         By.CLOUD_RUN, Ended.QUOTA, False),
        (503, "", "", By.CLOUD_RUN, None, False),
        (403, "The request was not authenticated.", "", By.FRONT_END, None, False),
        (404, "", "", By.FRONT_END, None, False),
        (403, "", "i", By.APPLICATION, None, True),
    ],
)  # fmt: skip
def test_who_answered_is_told_by_the_sentence_and_not_by_the_instance_alone(
    status: int, text: str, instance: str, by: By, ended: Ended | None, reached: bool
) -> None:
    found = row(status, text, instance)
    assert (found.by, found.ended, found.reached) == (by, ended, reached)


@pytest.mark.parametrize(
    ("text", "death"),
    [
        ("Container called exit(1).", Death.EXITED),
        ("Container called exit(0).", None),
        ("Container called exit(01).", Death.EXITED),
        ("Container terminated on signal 9.", Death.SIGNAL),
        ("Container terminated on signal 15.", None),
        ("Uncaught signal: 6, pid=1, tid=1, fault_addr=0.", Death.SIGNAL),
        ("[CRITICAL] WORKER TIMEOUT (pid:12)", Death.HUNG),
        ("LIVENESS HTTP probe failed 1 time consecutively for container w. The instance has been shut down.", Death.UNHEALTHY),
        ("Default STARTUP TCP probe failed 1 time consecutively", Death.NOT_STARTED),
        ("Default STARTUP TCP probe succeeded after 1 attempt", None),
        ("Memory limit of 512 MiB exceeded with 514 MiB used.", Death.MEMORY),
        ("Starting new instance. Reason: AUTOSCALING", None),
    ],
)  # fmt: skip
def test_which_lines_tell_that_a_container_died(text: str, death: Death | None) -> None:
    assert PlatformLine(at=NOW, log="varlog/system", severity="ERROR", text=text).death is death


def test_only_pushes_count_and_an_odd_success_is_no_ack() -> None:
    log = RequestLog(
        source=SOURCE,
        push_path="/push",
        refused=(
            row(403),
            row(403, path="/health"),
            row(403, method="GET"),
            row(403, user_agent="GoogleStackdriverMonitoring-UptimeChecks"),
            row(403, user_agent="pubsub-diag/0.0.1"),
            row(500, minutes_ago=90),
            row(500, instance="i", path="/push?x=1"),
        ),
        fine=(row(204, instance="i"), row(206, instance="i")),
    )
    seen = answers(log, NOW - HOUR)
    assert [(a.status, a.by) for a in seen.apart()] == [
        (403, By.FRONT_END),
        (500, By.APPLICATION),
        (206, By.APPLICATION),
    ]
    assert [r.status for r in seen.fine] == [204]
    assert [r.status for r in seen.of(By.APPLICATION)] == [500, 206]
    assert len(lately(seen.rows, NOW)) == 3


def test_of_a_log_that_was_cut_the_oldest_row_is_no_beginning() -> None:
    whole = RequestLog(source=SOURCE, push_path="/push", refused=(row(403),), fine=())
    cut = RequestLog(
        source=Provenance(source="test", fetched_at=NOW, as_of=NOW, complete=False),
        push_path="/push",
        refused=whole.refused,
        fine=(),
    )
    seen, less = answers(whole, NOW - HOUR), answers(cut, NOW - HOUR)
    assert seen.begin(seen.rows) == seen.rows[0].at
    assert less.begin(less.rows) is None


def test_each_class_has_its_own_onset_and_end() -> None:
    """Expired pushes at the start, acks, and refusals since then: the refusals did not begin with the first expiry."""
    seen = pushes(deadline_exceeded={50: 6, 49: 4}, ack={46: 80}, remote_server_4xx={20: 5, 10: 5, 2: 5})
    found = failures(seen, NOW - HOUR, timedelta(minutes=20))
    assert found["deadline_exceeded"].until == NOW - timedelta(minutes=49)
    assert found["deadline_exceeded"].count == 10
    assert found["deadline_exceeded"].over
    assert found["remote_server_4xx"].since == NOW - timedelta(minutes=21)
    assert not found["remote_server_4xx"].over
    assert recent(seen).refused == {"remote_server_4xx": 5}


def test_failures_with_acks_and_a_long_pause_between_are_two_times_of_failing() -> None:
    seen = pushes(remote_server_4xx={58: 9, 4: 3}, ack={40: 100})
    found = failures(seen, NOW - HOUR, timedelta(minutes=20))["remote_server_4xx"]
    assert (found.since, found.count) == (NOW - timedelta(minutes=5), 12)
    patient = failures(seen, NOW - HOUR, timedelta(minutes=60))["remote_server_4xx"]
    assert patient.since == NOW - timedelta(minutes=59)


@pytest.mark.parametrize(
    ("bad", "good", "later", "over"), [(10, 0, 1, True), (1, 99, 20, False), (1, 9, 60, True), (5, 5, 0, False)]
)
def test_a_failure_is_over_once_chance_would_have_failed_one(bad: float, good: float, later: float, over: bool) -> None:
    assert outlived(bad, good, later) is over


def test_counters_that_were_not_seen_tell_nothing() -> None:
    assert tally(pushes(ack={1: 3})).acks == 3
    assert tally(pushes()).all == 0


def logged(*rows: LogRow, whole: bool = True) -> RequestLog:
    return RequestLog(
        source=Provenance(source="test", fetched_at=NOW, as_of=NOW, complete=whole),
        push_path="/push",
        refused=tuple(r for r in rows if r.status >= 300),
        fine=tuple(r for r in rows if r.status < 300),
    )


def going(*rows: LogRow, seen: PushCounts, whole: bool = True) -> bool:
    told = answers(logged(*rows, whole=whole), NOW - HOUR)
    return goes_on(told.rows, told, seen, NOW, timedelta(minutes=10))


BURST = [row(500, minutes_ago=2.7 + n / 60) for n in range(12, 0, -1)]
AFTER = [row(200, minutes_ago=2.6 - n / 60, instance="i") for n in range(30)]


def test_a_burst_that_went_through_is_over_though_counters_put_both_in_one_minute() -> None:
    seen = pushes(remote_server_5xx={2: 12}, ack={2: 30})
    assert not going(*BURST, *AFTER, seen=seen)
    assert going(*BURST, *AFTER, seen=seen, whole=False)
    assert going(*BURST, seen=pushes(remote_server_5xx={2: 12}))


def test_bursts_that_come_again_and_again_are_not_over_in_a_pause_between_two() -> None:
    earlier = [row(500, minutes_ago=8.7 + n / 60) for n in range(12, 0, -1)]
    assert going(*earlier, *BURST, *AFTER, seen=pushes(remote_server_5xx={8: 12, 2: 12}, ack={2: 30}))


def test_what_waits_for_its_next_try_goes_on_until_it_would_have_come() -> None:
    nothing = pushes()
    assert going(row(500, minutes_ago=8), seen=nothing)
    assert not going(row(500, minutes_ago=12), seen=nothing)


def test_a_call_by_another_hand_beside_pushes_is_no_push() -> None:
    """Nobody documents how pushes name themselves: where none does so as it is known, all that come to the path are taken for pushes."""
    push, curl = row(400, user_agent="CloudPubSub-Google"), row(400, user_agent="curl/8.5", minutes_ago=2)

    def called(*rows: LogRow) -> tuple[LogRow, ...]:
        return answers(RequestLog(source=SOURCE, push_path="/push", refused=rows, fine=()), NOW - HOUR).rows

    assert called(push, curl) == (push,)
    assert called(curl) == (curl,)
