"""A cold start owns what it can account for, and holds the batch only while it does."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    Backlog,
    DeadLetterCounts,
    DeadLetterPolicy,
    Leg,
    LiveCall,
    LiveStart,
    LogRow,
    Mark,
    Means,
    ReceiverCapacity,
    ServiceConfig,
    SubscriptionConfig,
)
from diagnostics.steps import cold_start
from diagnostics.steps.cold_start import cold_start as step
from diagnostics.steps.cold_start import instances, startup
from diagnostics.steps.finding import Bears, Finding, Status, Telling
from tests.steps.built import (
    DENIED,
    SOURCE,
    UNAVAILABLE,
    Legged,
    ago,
    backlog,
    batch,
    capacity,
    done,
    failed,
    findings,
    lines,
    log,
    mark,
    of,
    one,
    pushes,
    row,
    series,
    service,
    subscription,
    unseen,
)


def said(*found: Legged) -> list[Finding]:
    return findings(
        step, batch(10), lines(*done("a", "b")), subscription(ack_deadline_s=20), service(), backlog(8, 40), *found
    )


def test_dead_letters_that_another_hand_turned_away_are_not_on_the_account_of_a_service_that_is_switched_off() -> None:
    (key, config), (subscribed, limited) = service(), subscription()
    assert isinstance(config, ServiceConfig) and config.settings
    assert isinstance(limited, SubscriptionConfig) and limited.settings
    letters = replace(limited.settings, dead_letter=DeadLetterPolicy(topic="d", max_attempts=5))
    held = {}
    for answer in (row(35, 403, DENIED, ""), row(35, 429, UNAVAILABLE, "")):
        found = findings(
            step,
            batch(10),
            lines(),
            (subscribed, replace(limited, settings=letters)),
            (key, replace(config, settings=replace(config.settings, manual_instances=0))),
            (("DeadLetterCounts", Leg.REQUEST), DeadLetterCounts(source=SOURCE, series=(series({30: 10}),))),
            backlog(0, 40),
            log(answer),
            pushes(),
        )
        switched = one(cold_start.SWITCHED_OFF, found)
        held[answer.status] = (switched.bears, switched.held)
    assert held == {403: (Bears.APART, 0), 429: (Bears.HOLDS, 10)}


def test_pushes_that_expired_at_a_start_of_earlier_are_past() -> None:
    late = one(
        startup.TOO_SLOW,
        said(
            capacity({38: 2}, took_s=27),
            pushes(deadline_exceeded={38: 5}, ack={37: 2}, remote_server_4xx={2: 9}),
            log(*(row(m, 403, instance="") for m in (1, 2))),
        ),
    )
    assert (late.status, late.bears, late.held, late.until) == (Status.WARNING, Bears.SLOWS, 0, ago(38))
    assert late.since == ago(39)
    assert late.numbers["expired"] == 5


def test_pushes_that_expire_at_a_start_now_hold_the_batch() -> None:
    late = one(
        startup.TOO_SLOW, said(capacity({2: 2}, took_s=27), pushes(deadline_exceeded={2: 5}, ack={37: 2}), log())
    )
    assert (late.status, late.bears, late.held, late.until) == (Status.FAULT, Bears.HOLDS, 5, None)


def test_two_starts_do_not_account_for_what_expires_all_the_time() -> None:
    late = one(
        startup.TOO_SLOW,
        said(capacity({38: 2}, took_s=27), pushes(deadline_exceeded=dict.fromkeys(range(1, 39), 6.0)), log()),
    )
    assert late.numbers["expired"] == 0
    assert late.bears is Bears.APART
    assert late.numbers["all_expired"] == 228


def test_two_starts_account_for_what_expired_at_them_once_nothing_expires_any_more() -> None:
    expired = pushes(deadline_exceeded=dict.fromkeys(range(20, 39), 6.0), ack=dict.fromkeys(range(5, 39), 6.0))
    late = one(startup.TOO_SLOW, said(capacity({38: 2}, took_s=27), expired, log()))
    assert 0 < late.numbers["expired"] < late.numbers["all_expired"]
    assert (late.status, late.bears, late.held) == (Status.WARNING, Bears.SLOWS, 0)
    assert late.until is not None


def test_where_work_itself_takes_longer_the_start_owns_nothing() -> None:
    warm = log(*(row(m, 200, latency_s=90) for m in (30, 20, 10)))
    late = one(startup.TOO_SLOW, said(capacity({2: 2}, took_s=27), pushes(deadline_exceeded={2: 5}), warm))
    assert late.numbers["expired"] == 0


def away(status: int, *minutes: float) -> tuple[LogRow, ...]:
    return tuple(row(m, status, UNAVAILABLE, instance="") for m in minutes)


COLD = capacity({38: 2}, took_s=5)


@pytest.mark.parametrize(
    ("most", "says"),
    [(3, "2 of at most 3 instances ran"), (1, "429 “no available instance” in the last 5 min; at most 1")],
)
def test_more_instances_than_may_run_now_ran_before_that_was_lowered(most: int, says: str) -> None:
    key, seen = COLD
    assert isinstance(seen, ReceiverCapacity)
    two = replace(seen, instances=(series(dict.fromkeys(range(40), 2), state="active"),))
    told = said((key, two), service(most=most), pushes(remote_server_4xx={2: 9}, ack={2: 3}), log(*away(429, 1, 2, 3)))
    assert says in one(instances.SATURATED, told).says


def test_turned_away_now_and_nothing_gets_through() -> None:
    told = said(COLD, pushes(remote_server_4xx={2: 3}), log(*away(429, 1, 2, 3)))
    full = one(instances.SATURATED, told)
    assert (full.status, full.bears, full.held, full.since) == (Status.FAULT, Bears.HOLDS, 8, ago(3))


def test_turned_away_now_and_others_get_through() -> None:
    told = said(COLD, pushes(remote_server_4xx={2: 3}, ack={1: 1}), log(*away(429, 1, 2, 3)))
    full = one(instances.SATURATED, told)
    assert (full.status, full.bears, full.held) == (Status.WARNING, Bears.SLOWS, 0)


@pytest.mark.parametrize(("attempts", "went", "holds"), [(5, 2, True), (5, 0, False), (20, 2, False)])
def test_what_runs_out_of_attempts_before_it_gets_through_is_held(attempts: int, went: int, holds: bool) -> None:
    """Twelve are turned away for one that gets through: with five attempts most go to the dead-letter topic first."""
    key, config = subscription()
    assert isinstance(config, SubscriptionConfig)
    assert config.settings is not None
    limited = replace(config.settings, dead_letter=DeadLetterPolicy(topic="projects/p/topics/d", max_attempts=attempts))
    (backlog_key, waits) = backlog(8, 90)
    assert isinstance(waits, Backlog)
    before = replace(waits, undelivered=(series({60: 3, 0: 8}),))  # so that the dead letters may be older ones
    letters = DeadLetterCounts(source=SOURCE, series=(series({20: went}),) if went else ())
    told = said(
        COLD,
        (key, replace(config, settings=limited)),
        (("DeadLetterCounts", Leg.REQUEST), letters),
        (backlog_key, before),
        pushes(remote_server_4xx={2: 12}, ack={1: 1}),
        log(*away(429, *(n / 10 for n in range(1, 13)))),
    )
    full = one(instances.SATURATED, told)
    assert (full.bears is Bears.HOLDS, full.status is Status.FAULT) == (holds, holds)


def test_turned_away_lately_and_outlived_is_drained() -> None:
    told = said(COLD, pushes(remote_server_5xx={4: 34}, ack={2: 39}), log(*away(500, 4.2, 4.1)))
    assert of(instances.CANNOT_SCALE, told) == []
    assert one(instances.DRAINED, told).until == ago(4.1)


@pytest.mark.parametrize(("acked", "status"), [({25: 9}, Status.OK), ({35: 9}, Status.UNKNOWN), ({}, Status.UNKNOWN)])
def test_refusals_that_are_over_are_outlived_only_where_something_was_acked_since(
    acked: dict[float, float], status: Status
) -> None:
    told = said(COLD, pushes(remote_server_4xx={30: 9}, ack=acked), log(*away(429, 30.2, 30.1)))
    assert one(instances.DRAINED, told).status is status


def test_of_a_batch_that_is_not_seen_dead_letters_may_be() -> None:
    """Nine refusals, and what waited was acked since: of a batch that is seen they are outlived."""
    beside = (COLD, subscription(), service(), pushes(remote_server_4xx={30: 9}, ack={25: 9}), log(*away(429, 30.2)))
    unseen_batch = one(instances.DRAINED, findings(step, *beside))
    assert unseen_batch.status is Status.UNKNOWN and "used up the attempts of items of this batch" in unseen_batch.says


def test_an_item_at_work_now_does_not_tell_that_what_was_turned_away_before_got_through() -> None:
    rest = (COLD, subscription(ack_deadline_s=20), service(), pushes(remote_server_4xx={30: 9}))
    found = one(
        instances.DRAINED,
        findings(step, batch(10), lines(mark(Means.STARTED_ITEM, 0.2, "c")), *rest, log(*away(429, 30.2, 30.1))),
    )
    assert found.status is Status.UNKNOWN and "none acked since" in found.says


def test_too_slow_to_scale_and_nothing_gets_through_holds() -> None:
    told = said(COLD, pushes(remote_server_5xx={2: 3}), log(*away(500, 1, 2, 3)))
    slow = one(instances.CANNOT_SCALE, told)
    assert (slow.status, slow.bears, slow.held) == (Status.FAULT, Bears.HOLDS, 3)


@pytest.mark.parametrize(("status", "code"), [(429, instances.SATURATED), (500, instances.CANNOT_SCALE)])
@pytest.mark.parametrize(
    ("marks", "goes_on"),
    [
        ([mark(Means.STARTED_ITEM, 0.2, "c")], True),
        ([mark(Means.STARTED_ITEM, 3, "c")], False),
        (failed("c", 0.2), False),
    ],
    ids=["at work", "longer than its push may take", "failed"],
)
def test_what_a_container_has_at_work_goes_on_though_none_can_have_come_back_yet(
    status: int, code: Telling[instances.TurnedAway], marks: list[Mark], goes_on: bool
) -> None:
    counted = pushes(remote_server_4xx={2: 3}) if status == 429 else pushes(remote_server_5xx={2: 3})
    rest = (COLD, subscription(ack_deadline_s=20), service(), counted, log(*away(status, 1, 2, 3)))
    found = one(code, findings(step, batch(10), lines(*marks), *rest))
    assert (found.bears is Bears.SLOWS, "others are at work" in found.says) == (goes_on, goes_on)


@pytest.mark.parametrize(("status", "code"), [(429, instances.SATURATED), (500, instances.CANNOT_SCALE)])
@pytest.mark.parametrize(("failing", "slows"), [(3, False), (4, True)])
def test_where_more_reach_a_container_than_are_turned_away_it_slows_whatever_comes_of_these(
    status: int, code: Telling[instances.TurnedAway], failing: int, slows: bool
) -> None:
    counted = pushes(remote_server_4xx={2: 3}) if status == 429 else pushes(remote_server_5xx={2: 3})
    answers = [row(3 + n / 10, 500, "", "an-instance") for n in range(failing)]
    rest = (COLD, subscription(ack_deadline_s=20), service(), counted, log(*away(status, 1, 2, 3), *answers))
    found = one(code, findings(step, batch(10), lines(), *rest))
    assert (found.bears is Bears.SLOWS, "more reach a container" in found.says) == (slows, slows)


def test_the_applications_own_429_is_not_cloud_runs() -> None:
    told = said(COLD, pushes(remote_server_4xx={2: 3}), log(*(row(m, 429) for m in (1, 2, 3))))
    assert of(instances.SATURATED, told) == []


def test_of_a_log_that_was_cut_the_first_refusal_is_no_beginning() -> None:
    told = said(COLD, pushes(remote_server_4xx={2: 3}), log(*away(429, 1, 2, 3), whole=False))
    assert one(instances.SATURATED, told).since is None
    assert "3 or more pushes" in one(instances.SATURATED, told).says


def test_capacity_that_was_not_seen_is_unknown() -> None:
    assert one(cold_start.UNSEEN, said(unseen("ReceiverCapacity"), log())).status is Status.UNKNOWN


OUT_OF_QUOTA = (
    "The request failed because the project exceeded its quota limit for run.googleapis.com/cpu_allocation recently."
)


def test_a_quota_of_the_project_that_is_used_up_is_no_limit_of_the_service() -> None:
    rows = tuple(row(m, 503, OUT_OF_QUOTA, instance="") for m in (1, 2, 3))
    told = said(COLD, pushes(remote_server_5xx={2: 3}), log(*rows))
    quota = one(instances.QUOTA, told)
    assert (quota.status, quota.bears, quota.held, quota.since) == (Status.FAULT, Bears.HOLDS, 3, ago(3))
    assert "the project's quota run.googleapis.com/cpu_allocation" in quota.says
    assert of(instances.SATURATED, told) == of(instances.CANNOT_SCALE, told) == []


def test_a_quota_that_was_used_up_earlier_is_told_in_the_past() -> None:
    told = said(COLD, pushes(remote_server_5xx={8: 3}, ack={2: 9}), log(row(8, 503, OUT_OF_QUOTA, instance="")))
    quota = one(instances.QUOTA, told)
    assert (quota.status, quota.until) == (Status.OK, ago(8))


@pytest.mark.parametrize(
    ("status", "minting", "told", "says"),
    [
        (200, "", Status.OK, "live first call 4.0 s (200), then 2.0 s"),
        (403, "iam.serviceAccounts.getOpenIdToken is missing", Status.UNKNOWN, "without a token (iam.serviceAccounts.getOpenIdToken"),
        (403, "", Status.UNKNOWN, "live first call answered 403"),
        (404, "", Status.UNKNOWN, "is not known"),
        (0, "", Status.UNKNOWN, "was not answered"),
        (503, "", Status.UNKNOWN, "is not known"),
    ],
)  # fmt: skip
def test_a_live_call_that_did_not_get_in_tells_nothing_of_a_start(
    status: int, minting: str, told: Status, says: str
) -> None:
    calls = tuple(LiveCall(at=ago(0), status=status, latency_s=took) for took in (4.0, 2.0))
    live = ("LiveStart", Leg.REQUEST), LiveStart(source=SOURCE, calls=calls, minting=minting)
    found = one(cold_start.LIVE, said(capacity({}), pushes(ack={37: 2}), live))
    assert found.status is told and says in found.says


@pytest.mark.parametrize(
    ("rows", "acks", "status"),
    [
        ((), 0, None),
        ((row(30, 500, UNAVAILABLE, ""),), 0, None),
        ((row(1, 500, UNAVAILABLE, ""), row(2, 429, UNAVAILABLE, "")), 0, Status.FAULT),
        ((row(1, 500, UNAVAILABLE, ""),), 3, Status.WARNING),
    ],
    ids=["none turned away", "long ago", "and nothing gets through", "and something does"],
)
def test_what_is_turned_away_is_said_though_nobody_may_see_how_many_instances_may_run(
    rows: tuple[LogRow, ...], acks: int, status: Status | None
) -> None:
    answered = pushes(ack={2: acks}) if acks else pushes()
    told = findings(
        step, batch(10), lines(*done("a", "b")), subscription(), unseen("ServiceConfig"), log(*rows), answered
    )
    assert one(cold_start.UNSEEN, told).status is Status.UNKNOWN
    assert [f.status for f in of(cold_start.TURNED_AWAY, told)] == ([status] if status else [])
    assert all((f.bears is Bears.HOLDS) is (status is Status.FAULT) for f in of(cold_start.TURNED_AWAY, told))


@pytest.mark.parametrize(("ran", "most", "goes_on"), [(2, 2, True), (1, 2, False), (2, 10, False)])
def test_a_silence_of_a_minute_is_no_end_of_refusals_where_all_places_are_taken_and_more_is_owed(
    ran: float, most: int, goes_on: bool
) -> None:
    """What was turned away rests until its next try, longer each time."""
    away = [row(10 - n / 10, 429, UNAVAILABLE, "") for n in range(70)]
    fine = [row(2.9 - n / 50, 200) for n in range(80)]
    (key, room) = capacity({})
    assert isinstance(room, ReceiverCapacity)
    full = (key, replace(room, instances=(series(dict.fromkeys(range(30), ran), state="active"),)))
    told = findings(
        step,
        batch(10),
        lines(*done("a", "b")),
        subscription(),
        service(most, concurrency=1),
        full,
        log(*away, *fine),
        pushes(ack={1: 3}),
    )
    assert bool(of(instances.SATURATED, told)) is goes_on
    assert bool(of(instances.DRAINED, told)) is not goes_on
