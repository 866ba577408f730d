"""Items that were given up are told from completions that are on their way; an older batch that nothing is acked for does nothing."""

from __future__ import annotations

from msgspec import structs

from diagnostics.evidence.model import (
    Backlog,
    DeadLetterCounts,
    Evidence,
    ItemMarks,
    Leg,
    Mark,
    Means,
    PublishCounts,
)
from diagnostics.steps import created, returned
from diagnostics.steps.created import created as created_step
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.returned import returned as returned_step
from tests.steps.built import SOURCE, Legged, batch, done, findings, lines, mark, of, one, pushes, series


def sent(messages: float, waits: float = 0) -> list[Legged]:
    """What the completion topic took and what waits on the way back."""
    return [
        (
            ("PublishCounts", Leg.COMPLETION),
            PublishCounts(source=SOURCE, messages=(series({34: messages}),), requests=()),
        ),
        (
            ("Backlog", Leg.COMPLETION),
            Backlog(source=SOURCE, undelivered=(series({0: waits}),), oldest_age_s=(), outstanding=()),
        ),
        (("DeadLetterCounts", Leg.COMPLETION), DeadLetterCounts(source=SOURCE, series=())),
        pushes(Leg.COMPLETION, ack={33: messages}),
    ]


def skipped(*items: str) -> list[Mark]:
    return [mark(m, 35, item) for item in items for m in (Means.STARTED_ITEM, Means.SKIPPED_ITEM)]


def back(*items: str) -> list[Mark]:
    return [mark(Means.RETURNED_ITEM, 33, item) for item in items]


def missing(marks: ItemMarks | Evidence, *found: Legged) -> list[Finding]:
    return of(returned.MISSING, findings(returned_step, batch(4), marks, pushes(ack={34: 6}), *found))


def test_what_was_given_up_and_alone_stays_out_was_never_reported() -> None:
    twice = lines(*done("a", "b"), *skipped("c", "d"), *back("a", "b"))
    (given_up,) = missing(twice, *sent(4))
    assert (given_up.bears, given_up.held, given_up.numbers["unskipped"]) == (Bears.HOLDS, 2, 0)
    assert missing(twice, *sent(4, waits=2)) == [], "that may be theirs"
    assert missing(lines(*done("a", "b"), *skipped("c", "d"), *back("a")), *sent(4)) == [], "others stay out, too"


def test_beside_completions_that_fail_what_was_given_up_has_no_line() -> None:
    failed = [mark(Means.COMPLETION_ERROR, 35, batch="", reason="404") for _ in range(2)]
    (given_up,) = missing(lines(*done("a", "b"), *skipped("c", "d"), *failed), *sent(0))
    assert given_up.held == 2
    assert missing(lines(*done("a", "b"), *skipped("c", "d"), *failed, failed[0]), *sent(0)) == [], "one may be of c"


def in_the_way(*found: Legged) -> Finding:
    other = [mark(Means.CREATED, 80, batch="A", expected=9), mark(Means.PUBLISHED, 79, batch="A", count=9, of=9)]
    asked = [mark(Means.RECEIVED, 40, batch=""), mark(Means.REFUSED, 40, batch="", blocker="A")]
    refused = [structs.replace(m, trace="another") for m in asked]
    return one(created.STALE_OPEN, findings(created_step, batch_marks(*other, *refused), lines(), *found))


def batch_marks(*marks: Mark) -> Evidence:
    made = batch(1)
    return type(made)(source=SOURCE, marks=marks)  # type: ignore[call-arg]


def test_a_batch_that_no_push_is_acked_for_does_nothing() -> None:
    silent = in_the_way(pushes(remote_server_4xx={5: 9}), pushes(Leg.COMPLETION))
    assert (silent.status, silent.words["blocker"]) == (Status.FAULT, "A")
    assert in_the_way(pushes(ack={4: 1}), pushes(Leg.COMPLETION)).status is Status.UNKNOWN, (
        "whose that was nothing tells"
    )
    assert in_the_way(pushes()).status is Status.UNKNOWN
