"""What becomes of a batch that nobody touches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.causes.verdict import Verdict
from diagnostics.conclude.diagnosis import State
from diagnostics.conclude.outlook import Outlook, Terms, agreed, outlook
from diagnostics.evidence.model import Leg, Stage
from diagnostics.pipeline.profile import Closing
from diagnostics.readings.arrived import Came
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.ledger.ledger import Count, DeadLetters, Life
from diagnostics.steps import progress
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.processed import error_answers

NOW = datetime(2026, 2, 8, 14, 1, tzinfo=UTC)
NOTHING = Verdict((), (), ())


def alone_of(ledger: Ledger, terms: Terms = Terms(), findings: tuple[Finding, ...] = ()) -> bool | None:
    """Whether it finishes alone, moving and with nothing that holds it."""
    return outlook(State.RUNNING, NOTHING, ledger, findings, NOW, terms).alone


@pytest.mark.parametrize(
    ("newest_s", "left", "due"),
    [
        (30, 10, "14:07:00"),
        (1, 3, "14:01:00"),  # within seconds, and no minute that has begun is named
        (30, 1, None),
        (240, 1, None),  # the one that is left takes longer than all others did: their pace says nothing of it
    ],
)
def test_by_when_it_is_done_is_never_a_time_that_is_past(newest_s: int, left: int, due: str | None) -> None:
    """Ten items came back within ten minutes, the newest so many seconds ago."""
    now = datetime(2026, 2, 8, 14, 1, tzinfo=UTC) - timedelta(seconds=15)
    back = [Life(name=str(n), stage=Stage.RETURNED, last=now - timedelta(seconds=newest_s + n)) for n in range(10)]
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=now - timedelta(minutes=20)),
        expected=10 + left,
        counts={s: Count(10, 10) for s in (Stage.RETURNED, Stage.RECORDED)},
        lives=tuple(back),
    )
    found = outlook(State.RUNNING, NOTHING, ledger, (), now, Terms()).forecast.done_by
    assert (found and f"{found:%H:%M:%S}") == due
    assert found is None or found > now


@pytest.mark.parametrize(
    ("done_s", "back_s", "could_wait", "forgiven", "alone"),
    [
        (240, 60, 0, 0, None),
        (240, 60, 3, 0, True),  # they may wait on the way back
        (240, 60, None, 0, None),  # whether any wait there is not seen
        (240, 60, 0, 3, True),  # it closes without them
        (240, 300, 0, 0, True),  # nothing that was done later has come back
        (120, 60, 0, 0, True),  # just now
    ],
)
def test_what_was_done_long_before_others_came_back_may_never_come(
    done_s: int, back_s: int, could_wait: int | None, forgiven: int, alone: bool | None
) -> None:
    """Three of ten are done so long ago and not back, the newest of the others since that moment."""
    out = [
        Life(name=f"o{n}", stage=Stage.PROCESSED, done=True, ended=NOW - timedelta(seconds=done_s)) for n in range(3)
    ]
    back = [
        Life(name=f"b{n}", stage=Stage.RECORDED, done=True, ended=NOW - timedelta(seconds=back_s)) for n in range(7)
    ]
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=NOW - timedelta(minutes=20)),
        expected=10,
        lives=(*out, *back),
        dead_letters={Leg.COMPLETION: DeadLetters(could_wait=could_wait)},
    )
    assert alone_of(ledger, Terms(forgiven)) is alone


@pytest.mark.parametrize(
    ("took_s", "idle_s", "at_work", "alone"),
    [
        (10, 120, 0, True),  # a short silence
        (10, 400, 0, None),
        (300, 400, 0, True),  # items take as long
        (10, 400, 5, True),  # all that is left is at work
    ],
)
def test_a_batch_that_rests_for_longer_than_its_items_take_promises_nothing(
    took_s: int, idle_s: int, at_work: int, alone: bool | None
) -> None:
    """Five of ten are done, the last of them so long ago."""
    end = NOW - timedelta(seconds=idle_s)
    back = [
        Life(name=f"b{n}", stage=Stage.RECORDED, first=end - timedelta(seconds=took_s), ended=end, got_further=end)
        for n in range(5)
    ]
    work = [Life(name=f"w{n}", stage=Stage.DELIVERED, starts=1, first=end, last=end) for n in range(at_work)]
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=NOW - timedelta(minutes=20)),
        expected=10,
        lives=(*back, *work),
        counts={Stage.RECORDED: Count(5, 5)},
    )
    assert alone_of(ledger) is alone


def test_where_nothing_is_promised_it_says_why_and_is_no_all_clear_where_something_speaks_against() -> None:
    """Five of ten are done in ten seconds each, the last of them so long ago, and of their lines a part was read."""
    end = NOW - timedelta(seconds=400)
    back = [
        Life(name=f"b{n}", stage=Stage.RECORDED, first=end - timedelta(seconds=10), ended=end, got_further=end)
        for n in range(5)
    ]
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=NOW - timedelta(minutes=20)),
        expected=10,
        lives=tuple(back),
        counts={Stage.RECORDED: Count(5, 5)},
    )
    rests = outlook(State.RUNNING, NOTHING, ledger, (), NOW, Terms())
    assert [one.says for one in rests.unsure] == ["nothing got further for 7 min, where no item took longer than 10 s"]
    assert agreed(Status.OK, State.RUNNING, rests) is Status.WARNING
    in_part = outlook(State.RUNNING, NOTHING, ledger, (), NOW, Terms(lines=False))
    assert [one.status for one in in_part.unsure] == [Status.UNKNOWN, Status.WARNING]
    assert agreed(Status.OK, State.RUNNING, in_part) is Status.UNKNOWN
    assert agreed(Status.FAULT, State.RUNNING, in_part) is Status.FAULT


@pytest.mark.parametrize(
    ("came", "says", "status"),
    [
        (None, "nothing tells that all of it was published", Status.OK),
        (Came(6, NOW - timedelta(minutes=6), NOW - timedelta(minutes=5)), "nothing tells that all", Status.OK),
        (Came(6, NOW - timedelta(minutes=9), NOW - timedelta(minutes=5)), "only 6 messages came", Status.WARNING),
        (Came(10, NOW - timedelta(minutes=9), NOW - timedelta(minutes=5)), "", Status.OK),
    ],
)
def test_nothing_is_promised_where_less_than_it_needs_is_known_to_have_been_published(
    came: Came | None, says: str, status: Status
) -> None:
    """Five of ten are done, and no coordinator tells of the others."""
    back = [Life(name=f"b{n}", stage=Stage.PROCESSED, done=True, ended=NOW, got_further=NOW) for n in range(5)]
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=NOW - timedelta(minutes=20)),
        expected=10,
        lives=tuple(back),
        counts={Stage.PUBLISHED: Count(5, 10), Stage.PROCESSED: Count(5, 5), Stage.RECORDED: Count(5, 5)},
    )
    found = outlook(State.RUNNING, NOTHING, ledger, (), NOW, Terms(came=came))
    assert "".join(one.says for one in found.unsure).startswith(says)
    assert (found.alone, agreed(Status.OK, State.RUNNING, found)) == (None if says else True, status)


def test_of_what_is_held_no_reason_for_doubt_is_given() -> None:
    """Whether it finishes alone is no question then."""
    told = error_answers.Unreadable(answers=9, recent=9)
    fails = error_answers.UNREADABLE.says(Status.FAULT, "it fails", bears=Bears.HOLDS, held=3, tells=told)
    held = Verdict((), (), (fails,))
    found = outlook(State.RUNNING, held, Ledger(attempt=Attempt(batch="B")), (), NOW, Terms(lines=False))
    assert (found.alone, found.unsure) == (False, ())


def test_what_finishes_alone_is_no_fault() -> None:
    assert agreed(Status.FAULT, State.RUNNING, Outlook(alone=True)) is Status.WARNING
    assert [agreed(Status.FAULT, State.RUNNING, Outlook(alone=alone)) for alone in (None, False)] == [
        Status.FAULT,
        Status.FAULT,
    ]
    assert agreed(Status.OK, State.RUNNING, Outlook(alone=True)) is Status.OK
    assert agreed(Status.FAULT, State.DONE, Outlook(alone=True)) is Status.FAULT, (
        "results that it left out are missing all the same"
    )


@pytest.mark.parametrize(("after_s", "alone"), [(None, True), (7200.0, True), (2000.0, None), (600.0, True)])
def test_nothing_is_promised_where_the_closing_rule_comes_before_the_end(
    after_s: float | None, alone: bool | None
) -> None:
    """Half of 120 were done in twenty minutes, three a minute: the rest takes as long. What should have been closed by now was not."""
    begun = NOW - timedelta(minutes=20)
    back = [
        Life(
            name=f"b{n}",
            stage=Stage.RECORDED,
            first=begun + timedelta(seconds=20 * n),
            last=begun + timedelta(seconds=20 * n + 15),
            got_further=begun + timedelta(seconds=20 * n + 15),
        )
        for n in range(60)
    ]
    ledger = Ledger(
        attempt=Attempt(batch="B", begun=begun),
        expected=120,
        lives=tuple(back),
        counts={Stage.RECORDED: Count(60, 60)},
    )
    closing = Closing(after_s=after_s)
    assert alone_of(ledger, Terms(closing=closing)) is alone


def test_where_it_is_too_early_to_judge_nothing_is_promised() -> None:
    early = progress.TOO_EARLY.says(Status.OK, "nothing is done yet", tells=progress.Moved(idle_s=20, patience_s=300))
    ledger = Ledger(attempt=Attempt(batch="B", begun=NOW - timedelta(minutes=1)), expected=10)
    assert alone_of(ledger, findings=(early,)) is None
