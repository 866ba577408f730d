"""Dead letters are named for why they are there, whatever else holds the batch in another place."""

from __future__ import annotations

from datetime import UTC, datetime

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Confidence
from diagnostics.causes.verdict import Live, Verdict, decide
from diagnostics.evidence.model import Leg
from diagnostics.readings.stakes import Stakes
from diagnostics.steps import dead_letter, recorded
from diagnostics.steps.cold_start import instances as instances_step
from diagnostics.steps.delivered import given_up
from diagnostics.steps.finding import Bears, Finding, Status

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)


def dead(leg: Leg) -> Finding:
    told = given_up.DeadLettered(dead_lettered=10, messages=10, last=NOW.timestamp(), of=60)
    return given_up.DEAD_LETTERED.says(
        Status.FAULT, "ten went", leg=leg, bears=Bears.HOLDS, held=10, since=NOW, tells=told
    )


def of_their_own(leg: Leg) -> Finding:
    told = dead_letter.Tried(theirs=10, outage=0, door=0, unlucky=0, through=50)
    return dead_letter.SPENT.says(Status.OK, "ten failed at each try", leg=leg, tells=told)


UNCOUNTED = recorded.BEHIND.says(
    Status.FAULT, "not counted", bears=Bears.HOLDS, held=20, tells=recorded.Uncounted(uncounted=20, elsewhere=0)
)
UNRECORDED = recorded.RECORD_ERRORS.says(
    Status.FAULT, "not recorded", bears=Bears.HOLDS, held=20, since=NOW, tells=recorded.Unrecorded(items=20, errors=60)
)


def verdict(*findings: Finding) -> Verdict:
    return decide(CATALOGUE, findings, [Leg.REQUEST, Leg.COMPLETION], Stakes(forgiven=0, seen=True))


def named(code: str, *findings: Finding) -> Live:
    (found,) = [live for live in verdict(*findings).live if live.match.cause.code == code]
    return found


def test_completions_that_are_acked_and_not_counted_use_up_no_attempt() -> None:
    """An ack ends a message: what else lies in the dead-letter topic has a reason of its own."""
    for leg in (Leg.REQUEST, Leg.COMPLETION):
        assert named("attempts-used-up", dead(leg), UNCOUNTED).confidence is Confidence.CONFIRMED
        lost = named("completions-acked-uncounted", dead(leg), UNCOUNTED)
        assert not [f for f in lost.share.explained if f.code == given_up.DEAD_LETTERED.name]


def saturated(recent: int, instances: float | None) -> Confidence:
    told = instances_step.TurnedAway(turned_away=170, recent=recent, limit=50, instances=instances, dead_lettered=10)
    away = instances_step.SATURATED.says(
        Status.FAULT, "turned away", leg=Leg.REQUEST, bears=Bears.HOLDS, held=10, since=NOW, tells=told
    )
    return named("max-instances-saturated", away).confidence


def test_a_maximum_that_was_reached_is_one_at_which_instances_ran() -> None:
    """Of a service in manual scaling with no instance, refusals that are past look the same."""
    assert saturated(recent=0, instances=50) is Confidence.CONFIRMED
    assert saturated(recent=0, instances=None) is Confidence.PROBABLE
    assert saturated(recent=12, instances=None) is Confidence.CONFIRMED


def test_completions_that_fail_to_be_recorded_use_up_attempts_of_completions_alone() -> None:
    work = named("failed-items-awaited", dead(Leg.REQUEST), of_their_own(Leg.REQUEST), UNRECORDED)
    assert (work.match.leg, work.confidence) == (Leg.REQUEST, Confidence.CONFIRMED)
    back = verdict(dead(Leg.COMPLETION), UNRECORDED)
    assert [live.match.cause.code for live in back.live] == ["completions-not-recorded"], "they follow from that"
    assert back.live[0].share.follows == (dead(Leg.COMPLETION),)
