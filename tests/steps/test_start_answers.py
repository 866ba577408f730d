"""Who answered a start call, and what that says: the door, the program, or Cloud Run over a container that went away."""

from __future__ import annotations

import pytest
from msgspec import structs

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Confidence
from diagnostics.causes.verdict import decide
from diagnostics.evidence.model import BatchMarks, Leg, Mark, Means, StartCall, StartCalls, Unseen, Why
from diagnostics.steps import created, published, requested
from diagnostics.steps.created import created as created_step
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.published import published as published_step
from diagnostics.steps.requested import requested as requested_step
from tests.steps.built import BEGAN, BROKEN, CUT, PROFILE, SOURCE, TIMED_OUT, ago, findings, mark, of, one

RECEIVED = mark(Means.RECEIVED, BEGAN, batch="")
GATE = mark(Means.REFUSED, BEGAN - 0.1, batch="", reason="DATA COMPLETENESS GATE: Refusing (41.2% < 80%)")
OLDER = tuple(
    structs.replace(one, trace="another")
    for one in (
        mark(Means.RECEIVED, BEGAN + 1440, batch=""),
        mark(Means.CREATED, BEGAN + 1440, batch="A", expected=3),
        mark(Means.CLOSED, BEGAN + 1430, batch="A"),
    )
)


def hidden(why: Why) -> Unseen:
    return Unseen(what="StartCalls", why=why, says="not to be seen")


def answered(status: int, *marks: Mark, text: str = "", reached: bool = True) -> list[Finding]:
    call = StartCall(at=ago(BEGAN), status=status, latency_s=60.0, trace="t", text=text, reached_app=reached)
    seen = BatchMarks(source=SOURCE, marks=(*OLDER, *marks))
    return [
        found
        for step in (requested_step, created_step)
        for found in findings(step, seen, StartCalls(source=SOURCE, calls=(call,)))
    ]


def test_a_gate_of_the_program_is_told_with_its_reason_and_no_batch_is_in_the_way() -> None:
    said = answered(503, RECEIVED, GATE)
    told = requested.NOT_READY.of(one(requested.NOT_READY, said))
    assert told is not None and told.reason.startswith("DATA COMPLETENESS GATE")
    assert not of(created.STALE_OPEN, said)


def test_a_container_that_went_away_is_no_gate_of_the_program() -> None:
    said = answered(503, RECEIVED, text=BROKEN)
    assert not of(requested.NOT_READY, said)
    found = one(requested.FAILED, said)
    assert (found.numbers["killed"], found.bears) == (1, Bears.HOLDS)
    assert "itself" not in found.says


@pytest.mark.parametrize(
    ("status", "marks", "text"),
    [(500, (RECEIVED,), ""), (503, (), BROKEN), (500, (RECEIVED,), "something new of Cloud Run")],
    ids=["the program says 500", "no line of the program", "another sentence"],
)
def test_nothing_was_killed_that_was_not_seen_to_be_at_work_or_ended_otherwise(
    status: int, marks: tuple[Mark, ...], text: str
) -> None:
    assert one(requested.FAILED, answered(status, *marks, text=text)).numbers["killed"] == 0


@pytest.mark.parametrize(("reached", "door"), [(False, 1), (True, 0)])
def test_the_door_is_told_from_a_check_of_the_program(reached: bool, door: int) -> None:
    found = one(requested.SIGN_IN, answered(401, *((RECEIVED,) if reached else ()), reached=reached))
    assert found.numbers["at_the_door"] == door


def test_a_call_that_was_cut_off_without_a_batch_leaves_none() -> None:
    said = answered(504, RECEIVED, text=TIMED_OUT)
    assert one(created.MISSING, said).status is Status.FAULT
    cut = one(requested.TIMED_OUT, said)
    assert (cut.status, cut.bears) == (Status.WARNING, Bears.APART), "no item came to be published"


def test_a_gate_that_keeps_all_back_is_one_whether_the_batch_is_closed_or_waits() -> None:
    def kept(passed: int, **reasons: int) -> set[str]:
        gate = structs.replace(mark(Means.GATE, BEGAN), numbers={**reasons, "count": passed, "of": 9})
        sent = mark(Means.PUBLISHED, BEGAN - 0.5, count=passed, of=9)
        made = (mark(Means.RECEIVED, BEGAN, batch=""), mark(Means.CREATED, BEGAN, expected=9), gate, sent)
        profile = structs.replace(PROFILE, empty_reasons=("existing",))
        told = findings(published_step, BatchMarks(source=SOURCE, marks=made), profile=profile)
        return {x.match.cause.code for x in decide(CATALOGUE, told, tuple(Leg)).live}

    assert kept(0, low_quality=9) == kept(0, low_quality=5, existing=4) == {"gate-refuses-everything"}
    assert kept(1, low_quality=8) == kept(0, low_quality=4, existing=5) == set()
    assert kept(0) == set(), "why it kept them back its line does not tell"


def test_where_no_line_would_tell_of_a_batch_the_call_may_have_been_cut_off_before_or_after_it_was_made() -> None:
    short = published.CutShort(failed=0, limit_s=300)
    cut = published.CUT_SHORT.says(Status.FAULT, "", leg=Leg.REQUEST, bears=Bears.HOLDS, held=9, tells=short)
    late = requested.TIMED_OUT.says(Status.WARNING, "", bears=Bears.SLOWS, tells=requested.TimedOut(latency_s=300))
    unseen = created.UNSEEN.says(Status.UNKNOWN, "")
    live = {x.match.cause.code: x for x in decide(CATALOGUE, [cut, late, unseen], tuple(Leg)).live}
    assert live.keys() == {"start-cut-off-while-loading", "start-timed-out-before-publish"}
    assert {x.confidence for x in live.values()} == {Confidence.POSSIBLE}
    exists = created.CREATED.says(Status.OK, "")
    assert [x.match.cause.code for x in decide(CATALOGUE, [cut, late, exists], tuple(Leg)).live] == [
        "start-timed-out-before-publish"
    ]


def gated(*days: float) -> Finding:
    """A batch of which the gate let nothing through, after others of so many days ago of which it did neither."""
    marks: list[Mark] = []
    for number, minutes in enumerate((*(day * 1440 for day in days), BEGAN)):
        name = "B" if minutes == BEGAN else f"A{number}"
        marks += [
            mark(Means.RECEIVED, minutes, batch=""),
            mark(Means.CREATED, minutes, batch=name, expected=9),
            mark(Means.GATE, minutes, batch=name, count=0, of=9, low_quality=9),
            mark(Means.EMPTY, minutes, batch=name, reason="nothing publishable"),
        ]
    return one(published.EMPTY, findings(published_step, BatchMarks(source=SOURCE, marks=tuple(marks))))


def test_how_often_a_gate_let_nothing_through_is_told_with_its_first_day() -> None:
    found = gated(3, 2, 1)
    assert "3 batches before" in found.says and found.since == ago(3 * 1440)
    assert "before" not in gated().says


@pytest.mark.parametrize(
    ("calls", "status"),
    [
        (StartCalls(source=SOURCE, calls=()), Status.OK),
        (StartCalls(source=CUT, calls=()), Status.UNKNOWN),
        (hidden(Why.PERMISSION_DENIED), Status.UNKNOWN),
        (hidden(Why.NOT_CONFIGURED), Status.OK),
    ],
)
def test_that_a_start_call_is_at_work_is_known_only_where_its_end_would_have_been_seen(
    calls: StartCalls | Unseen, status: Status
) -> None:
    began = (mark(Means.RECEIVED, 5, batch=""), mark(Means.CREATED, 5, expected=4))
    seen = BatchMarks(source=SOURCE, marks=(*OLDER, *began))
    told = findings(published_step, seen, (("StartCalls", None), calls))
    assert one(published.IN_PROGRESS, told).status is status
