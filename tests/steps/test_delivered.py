"""How pushes are answered: each class with its own begin, end and number; now is now, and over is over."""

from __future__ import annotations

import pytest

from diagnostics.evidence.model import (
    Backlog,
    BalancedRow,
    BalancerLog,
    Leg,
    Means,
    Provenance,
    PublishCounts,
    PushCounts,
    PushHistory,
)
from diagnostics.steps.delivered import at_balancer, push_answers, what_waits
from diagnostics.steps.delivered import delivered as step
from diagnostics.steps.finding import Bears, Finding, Status
from tests.steps.built import (
    BEGAN,
    NOW,
    SOURCE,
    UNAVAILABLE,
    Legged,
    ago,
    backlog,
    batch,
    done,
    findings,
    lines,
    log,
    mark,
    of,
    one,
    pushes,
    row,
    series,
    subscription,
    unseen,
)

FOUR = batch(4)


def said(*found: Legged, got: tuple[str, ...] = ("a", "b")) -> list[Finding]:
    return findings(step, FOUR, lines(*done(*got)), subscription(), *found)


def test_expired_pushes_have_their_own_begin_end_and_number() -> None:
    """A cold start at the beginning, and refusals of another kind since: the expired ones are over."""
    told = said(
        pushes(deadline_exceeded={38: 5, 37: 3}, ack={35: 2}, remote_server_4xx=dict.fromkeys(range(10), 2.0)),
        backlog(2, BEGAN),
    )
    late = one(push_answers.DEADLINE, told)
    assert (late.status, late.bears, late.held) == (Status.OK, Bears.SLOWS, 0)
    assert (late.since, late.until) == (ago(39), ago(37))
    assert late.numbers["expired"] == 8
    failing = one(push_answers.FAILING, told)
    assert (failing.since, failing.bears) == (ago(10), Bears.HOLDS)
    assert "deadline" not in failing.says


def test_pushes_that_expire_now_hold_what_is_owed() -> None:
    late = one(push_answers.DEADLINE, said(pushes(ack={35: 2}, deadline_exceeded={6: 2, 2: 2}), backlog(2, BEGAN)))
    assert (late.status, late.bears, late.held, late.until) == (Status.FAULT, Bears.HOLDS, 2, None)
    assert late.since == ago(7)


def test_pushes_of_others_hold_nothing_of_a_batch_that_never_came_onto_the_topic() -> None:
    def late(came: dict[float, float]) -> Finding:
        counted = ("PublishCounts", Leg.REQUEST), PublishCounts(source=SOURCE, messages=(series(came),), requests=())
        others = lines(*(mark(Means.STARTED_ITEM, 8, item, batch="A") for item in ("x", "y")))
        told = findings(
            step, FOUR, others, subscription(), pushes(deadline_exceeded={6: 2, 2: 2}), backlog(3, 900), counted
        )
        assert bool(of(what_waits.HELD_BACK, told)) is bool(came.get(39))
        return one(push_answers.DEADLINE, told)

    assert (late({90: 3}).bears, late({90: 3}).held) == (Bears.APART, 0)
    assert (late({39: 4}).bears, late({39: 4}).held) == (Bears.HOLDS, 2)


def test_expired_pushes_that_wait_for_their_next_try_are_not_over() -> None:
    told = findings(
        step,
        FOUR,
        lines(*done("a", "b")),
        subscription(ack_deadline_s=600, backoff_s=600),
        pushes(ack={35: 2}, deadline_exceeded={15: 2}),
        backlog(2, BEGAN),
    )
    assert one(push_answers.DEADLINE, told).bears is Bears.HOLDS
    assert one(push_answers.PAUSED, told).status is Status.WARNING


def test_expired_pushes_beside_acks_slow_and_do_not_hold() -> None:
    late = one(push_answers.DEADLINE, said(pushes(ack={2: 2}, deadline_exceeded={2: 2}), backlog(2, BEGAN)))
    assert (late.status, late.bears, late.held) == (Status.WARNING, Bears.SLOWS, 0)


def test_a_row_of_acks_after_failures_is_no_failing() -> None:
    told = said(pushes(remote_server_5xx={4: 3}, ack={2: 60}), backlog(0, 0), got=("a", "b", "c", "d"))
    assert of(push_answers.FAILING, told) == []
    assert one(push_answers.RECOVERED, told).until == ago(4)
    assert one(push_answers.ACKED, told).status is Status.OK


def test_unreachable_of_earlier_is_told_as_past() -> None:
    gone = one(push_answers.UNREACHABLE, said(pushes(unreachable={30: 4}, ack={20: 2}), backlog(0, 0)))
    assert (gone.status, gone.until) == (Status.OK, ago(30))


def test_what_the_receiver_is_at_work_on_is_no_silence() -> None:
    quiet = (pushes(ack={39: 1}), backlog(2, 20, in_flight=2))
    told = said(*quiet)
    assert of(what_waits.NO_PUSHES, told) == []
    assert one(what_waits.AT_WORK, told).status is Status.OK
    waiting = one(what_waits.NO_PUSHES, said(pushes(ack={39: 1}), backlog(2, 20, in_flight=1)))
    assert (waiting.status, waiting.bears, waiting.held) == (Status.FAULT, Bears.HOLDS, 2)


def history(**classes: dict[float, float]) -> Legged:
    counted = tuple(series(points, response_class=name) for name, points in classes.items())
    return ("PushHistory", Leg.REQUEST), PushHistory(source=SOURCE, series=counted)


@pytest.mark.parametrize(("acks", "named"), [({600.0: 40.0}, True), ({}, False)])
def test_failing_again_and_again_by_arithmetic_needs_others_that_get_through(
    acks: dict[float, float], named: bool
) -> None:
    """Three days of nacks on twelve messages. Without an ack in all that time it is the receiver, or whoever refuses."""
    told = said(
        pushes(remote_server_5xx={2: 4}),
        backlog(12, 72 * 60),
        history(remote_server_5xx={float(m): 20.0 for m in range(60, 4000, 60)}, ack=acks),
    )
    assert bool(of(what_waits.REDELIVERED, told)) is named
    assert one(what_waits.OLD_BACKLOG, told).status is Status.WARNING


def test_how_pushes_fail_is_said_by_class_and_with_shares_only_of_several() -> None:
    one_kind = one(push_answers.FAILING, said(pushes(remote_server_4xx={2: 5}), backlog(2, BEGAN)))
    assert one_kind.says == "100% of pushes in the last 5 min failed (remote_server_4xx; 1.0 a minute), 0 acks"
    mixed = one(push_answers.FAILING, said(pushes(ack={2: 5}, invalid={2: 3}, unreachable={2: 2}), backlog(2, BEGAN)))
    assert mixed.says == "50% of pushes in the last 5 min failed (30% invalid, 20% unreachable; 1.0 a minute), 5 acks"


def test_status_codes_of_a_log_that_was_cut_are_bounds() -> None:
    rows = [row(m, 429, UNAVAILABLE, instance="") for m in (1, 2, 3)]
    seen = (pushes(remote_server_4xx={2: 3}), backlog(2, BEGAN))
    assert "3 × 429" in one(push_answers.FAILING, said(*seen, log(*rows))).says
    assert "3 or more × 429" in one(push_answers.FAILING, said(*seen, log(*rows, whole=False))).says


def test_counters_that_were_not_seen_are_unknown() -> None:
    assert one(push_answers.UNSEEN, said(unseen("PushCounts"), backlog(2, BEGAN))).status is Status.UNKNOWN


# --- a load balancer before the receiver ----------------------------------------------------------------------------------


def balancer(*minutes: float, status: int = 502, details: str = "backend_timeout") -> Legged:
    rows = tuple(
        BalancedRow(at=ago(m), method="POST", status=status, latency_s=30, details=details)
        for m in sorted(minutes, reverse=True)
    )
    return ("BalancerLog", Leg.REQUEST), BalancerLog(source=SOURCE, host="api.example.com", rows=rows)


def test_what_a_load_balancer_ends_itself_holds_what_is_owed() -> None:
    found = one(at_balancer.BALANCED, said(pushes(remote_server_5xx={2: 3}), backlog(2, BEGAN), balancer(1, 2, 3)))
    assert (found.status, found.bears, found.held) == (Status.FAULT, Bears.HOLDS, 2)
    assert "3 or more pushes to api.example.com answered 502 by the load balancer itself" in found.says
    assert "the backend took longer than its backend service allows" in found.says


def test_what_a_load_balancer_ended_is_over_once_pushes_are_acked() -> None:
    told = said(pushes(remote_server_5xx={20: 3}, ack={2: 60}), backlog(0, 0), balancer(20), got=("a", "b", "c", "d"))
    found = one(at_balancer.BALANCED, told)
    assert (found.status, found.bears, found.until) == (Status.OK, Bears.APART, ago(20))


def test_answers_from_behind_it_are_told_by_the_receivers_own_log_where_there_is_one() -> None:
    passed_on = balancer(1, 2, status=403, details="response_sent_by_backend")
    some = (pushes(remote_server_4xx={2: 3}), backlog(2, BEGAN))
    assert of(at_balancer.BALANCED, said(*some, passed_on, log(row(1, 403)))) == []
    found = one(at_balancer.BALANCED, said(*some, passed_on, unseen("RequestLog")))
    assert "by what is behind the load balancer" in found.says


def test_whether_what_waits_is_older_than_a_batch_that_is_hidden_is_not_known() -> None:
    """The same messages are no matter where the batch is seen to have begun before them."""
    waits = (pushes(ack={1: 4}), backlog(3, BEGAN - 2))
    assert not of(what_waits.OLD_BACKLOG, findings(step, batch(10), *waits))
    hidden = one(what_waits.OLD_BACKLOG, findings(step, unseen("BatchMarks", None), *waits))
    assert hidden.status is Status.UNKNOWN and "could not be seen: BatchMarks may not be read" in hidden.says
    unnamed = one(what_waits.OLD_BACKLOG, findings(step, *waits))
    assert unnamed.status is Status.WARNING, "no batch is known of, and nothing is hidden"


@pytest.mark.parametrize(
    ("counted", "read", "hidden"),
    [
        (pushes(), unseen("RequestLog"), True),
        (unseen("PushCounts"), unseen("RequestLog"), True),
        (pushes(), log(row(9, 200), whole=False), True),
        (pushes(), log(), False),
        (pushes(ack={30: 2}), unseen("RequestLog"), False),
    ],
)
def test_where_neither_counters_nor_the_log_tell_of_the_time_since_the_batch_began_that_is_said(
    counted: Legged, read: Legged, hidden: bool
) -> None:
    """What is owed may be turned away, and nothing would show it."""
    assert {f.status for f in of(push_answers.UNTOLD, said(counted, read))} == ({Status.UNKNOWN} if hidden else set())
    assert not of(push_answers.UNTOLD, said(counted, read, got=("a", "b", "c", "d"))), "nothing is owed"


@pytest.mark.parametrize(("whole", "later"), [(True, True), (False, False)])
def test_of_a_log_that_was_cut_the_last_refusal_is_not_taken_for_the_last_of_all(whole: bool, later: bool) -> None:
    met = pushes(remote_server_4xx={30: 5}, ack={30: 5})
    told = said(met, log(row(30.9, 429, UNAVAILABLE), row(30.5, 200), whole=whole), backlog(0, 0))
    assert bool(of(push_answers.ACKED, told)) is later


def test_pushes_that_expire_beside_such_as_go_well_by_the_log_hold_nothing() -> None:
    """Counters lag by minutes; a young batch is in the log first."""
    met = pushes(deadline_exceeded={4: 2, 2: 2})
    held = one(push_answers.DEADLINE, said(met, backlog(2, BEGAN), log()))
    slow = one(push_answers.DEADLINE, said(met, backlog(2, BEGAN), log(row(1, 200))))
    assert (held.status, slow.status, slow.held) == (Status.FAULT, Status.WARNING, 0)


@pytest.mark.parametrize(("newest", "held_back"), [(1, False), (12, True)])
def test_what_came_back_since_is_not_said_to_be_held_back_by_counters_that_are_older(
    newest: float, held_back: bool
) -> None:
    """The way back was opened a minute ago; the counters end seven minutes ago, and until then no push got through."""
    old = Provenance(source="test", fetched_at=NOW, as_of=ago(7))
    refused = PushCounts(
        source=old, series=(series(dict.fromkeys(range(7, 30), 4.0), response_class="remote_server_4xx"),)
    )
    waits = Backlog(
        source=old, undelivered=(series({7: 3}),), oldest_age_s=(series({7: 1500}),), outstanding=(series({7: 0}),)
    )
    back = mark(Means.RETURNED_ITEM, newest, "a")
    told = findings(
        step,
        FOUR,
        lines(*done("a", "b", "c"), back),
        subscription(leg=Leg.COMPLETION),
        (("PushCounts", Leg.COMPLETION), refused),
        (("Backlog", Leg.COMPLETION), waits),
        leg=Leg.COMPLETION,
    )
    assert bool(of(what_waits.HELD_BACK, told)) is held_back
