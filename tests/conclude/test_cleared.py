"""A clearance is a claim: it needs something of the batch that passed, nothing against it, and whole evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diagnostics.causes.match import Refuted
from diagnostics.causes.verdict import Verdict
from diagnostics.conclude.cleared import ruled_out
from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.ledger.ledger import COUNTED, Count
from diagnostics.readings.wholeness import Wholeness
from diagnostics.steps import push_auth, requested, routed
from diagnostics.steps.cold_start import startup
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.push_auth import invoker
from tests.causes.test_verdict import cause

NOTHING = Verdict((), (), ())
ROUTED = routed.ROUTED.says(Status.OK, "requests → worker", leg=Leg.REQUEST)
GRANTED = invoker.GRANTED.says(Status.OK, "may call", leg=Leg.REQUEST)
REFUSED = push_auth.REFUSED.says(
    Status.FAULT, "109 refused", leg=Leg.REQUEST, bears=Bears.HOLDS, held=109, tells=push_auth.TurnedAway(refused=109)
)
NO_START = startup.FINE.says(Status.OK, "no instance had to start", leg=Leg.REQUEST, tells=startup.Starts())


def ledger(delivered: int) -> Ledger:
    counts = {stage: Count(0, 0) for stage in COUNTED}
    return Ledger(
        expected=10,
        told=True,
        counts={**counts, Stage.PUBLISHED: Count(120, 120), Stage.DELIVERED: Count(delivered, 120)},
    )


def cleared(
    *findings: Finding, delivered: int = 120, gaps: frozenset[tuple[str, Leg | None]] = frozenset()
) -> set[str]:
    return {r.code for r in ruled_out(ledger(delivered), findings, NOTHING, Wholeness(gaps))}


def test_configuration_clears_once_something_of_the_batch_passed() -> None:
    assert cleared(ROUTED, GRANTED, delivered=1) == {"routing", "sign-in"}


def test_a_batch_of_which_nothing_arrived_clears_nothing() -> None:
    assert cleared(ROUTED, GRANTED, NO_START, delivered=0) == set()


def test_what_is_refused_now_is_not_cleared_by_a_grant() -> None:
    assert cleared(GRANTED, REFUSED) == set()


def test_what_is_over_speaks_against_nothing() -> None:
    over = push_auth.REFUSED.says(
        Status.OK, "3 refused until 12:51Z", leg=Leg.REQUEST, tells=push_auth.TurnedAway(refused=3)
    )
    assert cleared(GRANTED, over) == {"sign-in"}


@pytest.mark.parametrize("kind", ["RequestLog", "PushCounts", "ReceiverCapacity"])
def test_where_the_accuser_could_not_speak_nothing_is_cleared(kind: str) -> None:
    assert cleared(NO_START, gaps=frozenset({(kind, Leg.REQUEST)})) == set()


def test_that_an_account_may_call_clears_nothing_where_nobody_saw_whether_it_is_there() -> None:
    for hidden, codes in (("PushAccount", set()), ("Revisions", {"sign-in"})):
        found = ruled_out(ledger(120), [GRANTED], NOTHING, Wholeness(hidden=frozenset({hidden})))
        assert {r.code for r in found} == codes


def test_nothing_is_cleared_while_it_is_open_which_attempt_is_the_latest() -> None:
    later = requested.LATER.says(Status.UNKNOWN, "a later one may be hidden")
    assert cleared(ROUTED, GRANTED) == {"routing", "sign-in"}
    assert cleared(ROUTED, GRANTED, later) == set()


@pytest.mark.parametrize(("hidden", "codes"), [("StartCalls", set()), ("ServicePolicy", {"routing"})])
def test_nothing_is_cleared_where_whatever_tells_of_attempts_was_hidden(hidden: str, codes: set[str]) -> None:
    found = ruled_out(Ledger(), [ROUTED], NOTHING, Wholeness(hidden=frozenset({hidden})))
    assert {r.code for r in found} == codes


@pytest.mark.parametrize(
    ("whole", "codes"),
    [
        (Wholeness(), {"no-grant"}),
        (Wholeness(gaps=frozenset({("RequestLog", Leg.REQUEST)})), {"no-grant"}),
        (Wholeness(cut=frozenset({("PushCounts", Leg.REQUEST)})), set()),
        (Wholeness(cut=frozenset({("PushCounts", Leg.COMPLETION)})), {"no-grant"}),
    ],
)
def test_a_cause_is_ruled_out_only_by_what_was_seen_to_its_end(whole: Wholeness, codes: set[str]) -> None:
    proven = push_auth.PROVEN.says(Status.OK, "9 acked", leg=Leg.REQUEST, rests_on=("PushCounts", "RequestLog"))
    refuted = Refuted(cause("no-grant", invoker.INVOKER), Leg.REQUEST, (proven,))
    found = ruled_out(ledger(120), [proven], Verdict((), (refuted,), ()), whole)
    assert {r.code for r in found} - {"sign-in"} == codes


def test_pushes_of_other_batches_clear_nothing_of_one_of_which_none_passed() -> None:
    acked = push_answers.ACKED.says(Status.OK, "110 pushes acked", leg=Leg.REQUEST, tells=push_answers.Acks(acks=110))
    assert cleared(acked, delivered=1) == {"delivery"}
    assert cleared(acked, delivered=0) == set()


def test_where_nothing_tells_how_many_items_there_are_only_what_it_met_clears() -> None:
    """What is set up right may have lost those of which nobody knows."""
    some, unnumbered = ledger(3), replace(ledger(3), expected=None)
    assert [r.code for r in ruled_out(some, [ROUTED], NOTHING, Wholeness())] == ["routing"]
    assert ruled_out(unnumbered, [ROUTED], NOTHING, Wholeness()) == ()
