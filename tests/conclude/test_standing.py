"""Where a batch stands: each item at one row and in one place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from diagnostics.causes.attribute import Share
from diagnostics.causes.match import Match
from diagnostics.causes.model import Cause, Confidence, Has, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude.diagnosis import State
from diagnostics.conclude.standing import (
    lost_once,
    reasons,
    state_of,
    status_of,
    stopped_at,
    taken_away,
)
from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.ledger.ledger import Count
from diagnostics.steps import created, progress, requested
from diagnostics.steps.delivered import push_answers, what_waits
from diagnostics.steps.finding import AnyCode, Bears, Finding, Kind, Row, Status
from diagnostics.steps.processed import error_answers, failing_items
from diagnostics.steps.routed import vanished

NOW = datetime(2026, 2, 8, 14, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("route", "next_row", "left"),
    [
        ({"dead_lettered": 19, "retrying": 66}, {"dead_lettered": 19, "waiting": 66}, {}),
        ({"dropped": 80}, {"waiting": 85}, {"waiting": 5}),
        ({"dropped": 80}, {"dead_lettered": 5}, {"dead_lettered": 5}),
        ({"dead_lettered": 3}, {"dead_lettered": 5, "waiting": 2}, {"dead_lettered": 2, "waiting": 2}),
        ({}, {"waiting": 7}, {"waiting": 7}),
    ],
)
def test_what_a_route_holds_does_not_stand_at_the_next_row_again(
    route: dict[str, int], next_row: dict[str, int], left: dict[str, int]
) -> None:
    rows = [
        Row(stage=Stage.ROUTED, leg=Leg.REQUEST, where=route),
        Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where=next_row),
        Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where=next_row),
    ]
    routed, delivered, returned = lost_once(rows)
    assert (routed.where, delivered.where, returned.where) == (route, left, next_row)


def finding(code: str, stage: Stage, kind: Kind, leg: Leg | None = Leg.REQUEST, held: int = 0) -> Finding:
    return Finding(
        code=code,
        stage=stage,
        title=code,
        leg=leg,
        held=held,
        status=Status.FAULT,
        says=code,
        bears=Bears.HOLDS,
        kind=kind,
    )


def test_here_is_where_a_cause_holds_items_and_not_where_that_shows() -> None:
    """The backlog of the way there grows old, too, where the worker fails; the row with the failing worker is the place to look."""
    fails = finding("processed.errors", Stage.PROCESSED, Kind.EFFECT)
    shows = finding("delivered.old_backlog", Stage.DELIVERED, Kind.CONSEQUENCE)
    cause = Cause(
        code="c", family="worker", title="t", says="s", stage=Stage.PROCESSED, requires=Has(error_answers.ERRORS)
    )
    live = Live(Share(Match(cause, Leg.REQUEST, (fails,), True), (fails,), (shows,)), Role.BLOCKS, Confidence.CONFIRMED)
    assert stopped_at((), State.STALLED, Verdict((live,), (), ())) == (Stage.PROCESSED, Leg.REQUEST)


@pytest.mark.parametrize(
    ("coming", "work", "found", "here"),
    [
        ({"retrying": 44}, {"retrying": 21}, (Stage.RECORDED, None), Stage.RECORDED),
        ({"retrying": 44}, {"retrying": 21}, (Stage.PROCESSED, Leg.COMPLETION), Stage.RECORDED),
        ({"retrying": 44}, {}, (Stage.PROCESSED, Leg.COMPLETION), Stage.RETURNED),
        ({"retrying": 44}, {"retrying": 21}, (Stage.DELIVERED, Leg.COMPLETION), Stage.RETURNED),
        ({"retrying": 40, "dead_lettered": 4}, {"retrying": 21}, (Stage.RECORDED, None), Stage.RETURNED),
    ],
)
def test_what_waits_behind_refusals_is_not_where_the_batch_stopped(
    coming: dict[str, int], work: dict[str, int], found: tuple[Stage, Leg | None], here: Stage
) -> None:
    """Completions that the coordinator takes and cannot record hold back those behind them; what never gets to it is another matter."""
    rows = (
        Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where=coming, status=Status.WARNING),
        Row(stage=Stage.RECORDED, where=work, status=Status.WARNING),
    )
    stage, leg = found
    own = msgspec.structs.replace(finding("f", stage, Kind.EFFECT), leg=leg)
    assert stopped_at(rows, State.STALLED, Verdict((), (), (own,)))[0] is here


def stalled(*holding: AnyCode, waits: str = "waiting") -> tuple[Stage | None, Leg | None]:
    """Where a batch of 55 stopped of which 7 never reached the worker, by what holds it and nothing accounts for."""
    rows = (
        Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where={waits: 7}, status=Status.FAULT),
        Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, where={"retrying": 48}, status=Status.WARNING),
    )
    found = tuple(finding(code.name, code.stage, code.kind) for code in holding)
    return stopped_at(rows, State.STALLED, Verdict((), (), found))


@pytest.mark.parametrize(
    ("holding", "here"),
    [
        ((failing_items.ALL_FAIL,), Stage.PROCESSED),
        ((failing_items.ALL_FAIL, what_waits.HELD_BACK), Stage.PROCESSED),
        ((push_answers.DEADLINE,), Stage.PROCESSED),
        ((push_answers.UNREACHABLE, failing_items.ALL_FAIL), Stage.DELIVERED),
        ((push_answers.UNREACHABLE,), Stage.DELIVERED),
        ((), Stage.DELIVERED),
    ],
)
def test_the_row_does_not_depend_on_how_many_came_to_the_worker(holding: tuple[AnyCode, ...], here: Stage) -> None:
    assert stalled(*holding) == (here, Leg.REQUEST)
    assert stalled(*holding, waits="dropped") == (Stage.DELIVERED, Leg.REQUEST), "what is lost waits for nothing"


@pytest.mark.parametrize(
    ("found", "here"),
    [
        ((), (Stage.RETURNED, Leg.COMPLETION)),
        ((what_waits.HELD_BACK,), (Stage.DELIVERED, Leg.REQUEST)),
        ((push_answers.UNREACHABLE,), (Stage.DELIVERED, Leg.REQUEST)),
    ],
)
def test_pushes_that_wait_behind_completions_that_cannot_be_sent_stopped_at_these(
    found: tuple[AnyCode, ...], here: tuple[Stage, Leg | None]
) -> None:
    """The worker refuses what it cannot report. What nothing accounts for on the way to it is another matter."""
    rows = (
        Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where={"waiting": 21}, status=Status.FAULT),
        Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, status=Status.OK),
        Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where={"retrying": 18, "dropped": 6}, status=Status.FAULT),
    )
    lost = msgspec.structs.replace(finding("lost", Stage.RETURNED, Kind.EFFECT), leg=Leg.COMPLETION)
    more = (finding(code.name, code.stage, code.kind) for code in found)
    assert stopped_at(rows, State.STALLED, Verdict((), (), (lost, *more))) == here


def blocking(*own: Finding) -> Verdict:
    cause = Cause(
        code="c", family="worker", title="t", says="s", stage=Stage.PROCESSED, requires=Has(error_answers.ERRORS)
    )
    leg = own[0].leg or Leg.REQUEST
    return Verdict((Live(Share(Match(cause, leg, own, True), own, ()), Role.BLOCKS, Confidence.CONFIRMED),), (), ())


FEW_THEN_ALL = (
    Row(stage=Stage.CREATED, seen_min=100, seen_max=100, status=Status.OK),
    Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, where={"retrying": 3}, status=Status.WARNING),
    Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where={"waiting": 97}, status=Status.FAULT),
)


def test_what_the_closing_rule_forgives_is_not_where_it_stopped() -> None:
    """Three items that fail for good do not hold a batch that closes without five; what keeps all others from coming back does."""
    refused = finding("push_auth.forbidden", Stage.DELIVERED, Kind.EFFECT, Leg.COMPLETION, 97)
    assert stopped_at(FEW_THEN_ALL, State.STALLED, blocking(refused), 5) == (Stage.RETURNED, Leg.COMPLETION)
    unknown = Verdict((), (), ())
    assert stopped_at(FEW_THEN_ALL, State.STALLED, unknown, 5) == (Stage.RETURNED, Leg.COMPLETION)
    assert stopped_at(FEW_THEN_ALL, State.STALLED, unknown, 0) == (Stage.PROCESSED, Leg.REQUEST)
    assert stopped_at(FEW_THEN_ALL[:2], State.STALLED, unknown, 5) == (Stage.PROCESSED, Leg.REQUEST)


SLOWED_THEN_REFUSED = (
    Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where={"retrying": 60}, status=Status.FAULT),
    Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, where={"waiting": 40}, status=Status.FAULT),
)


@pytest.mark.parametrize(
    ("role", "place", "here"),
    [
        (Role.WORSENS, "retrying", (Stage.RETURNED, Leg.COMPLETION)),
        (Role.WORSENS, "dropped", (Stage.DELIVERED, Leg.REQUEST)),
        (Role.LATENT, "retrying", (Stage.DELIVERED, Leg.REQUEST)),
    ],
)
def test_what_comes_by_itself_past_a_cause_that_slows_it_has_not_stopped(
    role: Role, place: str, here: tuple[Stage, Leg]
) -> None:
    refused = blocking(finding("push_auth.forbidden", Stage.DELIVERED, Kind.EFFECT, Leg.COMPLETION, 40)).live
    slow = finding("cold_start.saturated", Stage.DELIVERED, Kind.EFFECT)
    slows = (replace(one, role=role) for one in blocking(slow).live)
    rows = (msgspec.structs.replace(SLOWED_THEN_REFUSED[0], where={place: 60}), SLOWED_THEN_REFUSED[1])
    assert stopped_at(rows, State.STALLED, Verdict((*refused, *slows), (), ())) == here


def test_a_batch_that_was_never_made_stopped_there_whatever_is_wrong_behind() -> None:
    rows = (
        Row(stage=Stage.CREATED, seen_min=0, seen_max=0, status=Status.FAULT),
        Row(stage=Stage.ROUTED, leg=Leg.REQUEST, reached=False, status=Status.FAULT),
    )
    refused = finding("requested.refused", Stage.CREATED, Kind.EFFECT, None)
    assert stopped_at(rows, State.FAILED, blocking(refused)) == (Stage.CREATED, None)


@pytest.mark.parametrize(
    ("done", "minutes_ago", "state"),
    [(8, 3, State.STALLED), (8, 8, State.STALLED), (40, 3, State.RUNNING), (0, 3, State.STALLED)],
)
def test_whether_the_last_of_few_items_came_just_now_does_not_decide_whether_a_batch_that_is_held_runs(
    done: int, minutes_ago: float, state: State
) -> None:
    """A storm lets an item past every ten minutes; one may take six."""
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=NOW - timedelta(minutes=92)),
        expected=181,
        counts={s: Count(done, done) for s in (Stage.RETURNED, Stage.RECORDED)},
        told=True,
    )
    idle = minutes_ago * 60
    moved = progress.Moved(idle_s=idle, patience_s=360, every_s=92 * 60 / done if done else None)
    code, status = (
        (progress.STALLED, Status.FAULT)
        if idle > 360
        else (progress.PROGRESSING if done else progress.TOO_EARLY, Status.OK)
    )
    found = code.says(status, "how it gets on", tells=moved)
    held = blocking(finding("processed.repeats", Stage.PROCESSED, Kind.EFFECT))
    assert state_of(ledger, [found], held) is state
    unheld = state_of(ledger, [found], Verdict((), (), ()))
    assert unheld is (State.STALLED if idle > 360 else State.RUNNING)


def test_a_setting_and_what_pushes_meet_by_it_are_one_trouble() -> None:
    ingress = finding("push_auth.ingress", Stage.DELIVERED, Kind.MECHANISM)
    silent = finding("push_auth.silent", Stage.DELIVERED, Kind.EFFECT)
    late = finding("delivered.deadline", Stage.DELIVERED, Kind.EFFECT)
    apart = msgspec.structs.replace(
        finding("dead_letter.topic_missing", Stage.DELIVERED, Kind.MECHANISM), bears=Bears.APART
    )
    assert reasons([ingress, silent]) == [ingress]
    assert reasons([late, apart]) == [late, apart], "a latent setting of another step accounts for nothing"
    elsewhere = msgspec.structs.replace(silent, leg=Leg.COMPLETION)
    assert reasons([ingress, elsewhere]) == [ingress, elsewhere]


def test_a_start_that_was_refused_for_a_batch_that_is_hidden_may_have_been_refused_rightly() -> None:
    """Where that batch is seen to get further, all is well: to see less is no fault."""
    refused = requested.REFUSED.says(
        Status.FAULT, "answered 409", bears=Bears.HOLDS, tells=requested.Blocked(blocker="other")
    )
    hidden = created.STALE_OPEN.says(
        Status.UNKNOWN, "its progress could not be seen", bears=Bears.HOLDS, tells=created.InTheWay(blocker="other")
    )
    gate = requested.NOT_READY.says(Status.FAULT, "its own gate", bears=Bears.HOLDS, tells=requested.NotReady())

    def status(*findings: Finding) -> Status:
        faults = tuple(f for f in findings if f.status is Status.FAULT)
        return status_of("batch", State.FAILED, Ledger(), findings, Verdict((), (), faults))

    assert status(refused, hidden) is Status.UNKNOWN
    assert status(refused) is Status.FAULT
    assert status(refused, hidden, gate) is Status.FAULT


@pytest.mark.parametrize(
    ("held", "left"), [(50, {"dropped": 48}), (20, {"unattributed": 30, "dropped": 18}), (2, {"unattributed": 48})]
)
def test_what_vanished_after_a_try_is_lost_too(held: int, left: dict[str, int]) -> None:
    """Two never came to the worker, 48 were tried."""
    gone = finding(vanished.PURGED.name, Stage.ROUTED, Kind.EFFECT, held=held)
    rows = [
        Row(stage=Stage.ROUTED, leg=Leg.REQUEST, where={"dropped": 2}),
        Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, where={"unattributed": 48}),
    ]
    assert taken_away(rows, [gone])[1].where == left
    assert taken_away(rows, [])[1].where == {"unattributed": 48}


def test_what_others_items_do_to_the_worker_does_not_move_the_stop_to_it() -> None:
    """172 wait, one is at work: the failing ones are of no item of the batch."""
    rows = [
        Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, where={"waiting": 172}, status=Status.FAULT),
        Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, where={"in_flight": 1}, status=Status.WARNING),
    ]

    def repeats(foreign: int) -> Finding:
        return failing_items.REPEATS.says(
            Status.FAULT,
            "they fail",
            leg=Leg.REQUEST,
            bears=Bears.HOLDS,
            held=172,
            tells=failing_items.Repeated(items=25, failures=53, foreign=foreign),
        )

    ours, theirs = (stopped_at(rows, State.STALLED, Verdict((), (), (repeats(n),))) for n in (0, 1))
    assert ours == (Stage.PROCESSED, Leg.REQUEST) and theirs == (Stage.DELIVERED, Leg.REQUEST)
