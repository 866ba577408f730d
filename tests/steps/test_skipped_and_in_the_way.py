"""Items that were given up are told from completions that are on their way; an older batch that nothing is acked for does nothing."""

from __future__ import annotations

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    Backlog,
    BatchStatus,
    DeadLetterCounts,
    Evidence,
    ItemMarks,
    Leg,
    Mark,
    Means,
    PublishCounts,
)
from diagnostics.steps import created
from diagnostics.steps.created import created as created_step
from diagnostics.steps.finding import AnyCode, Bears, Finding, Status
from diagnostics.steps.returned import never_sent
from diagnostics.steps.returned import returned as returned_step
from tests.steps.built import PROFILE, SOURCE, Legged, ago, batch, done, findings, lines, mark, of, one, pushes, series


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
    return of(never_sent.MISSING, findings(returned_step, batch(4), marks, pushes(ack={34: 6}), *found))


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


def test_what_was_given_up_and_what_was_only_acked_are_two_things() -> None:
    told = missing(lines(*done("a", "b"), *skipped("c", "d"), *back("a")), *sent(1))
    assert [(f.held, f.numbers["skipped"], f.numbers["unskipped"]) for f in told] == [(2, 2, 0), (1, 0, 1)]
    assert "given up by the worker: c, d" in told[0].says and told[1].says.endswith("for it: b")


def test_a_topic_that_takes_all_twice_hides_nothing_where_each_message_has_its_line() -> None:
    """Two messages an item that came back, as where two subscriptions push the work: of the third none was among them."""
    twice = lines(*done("a", "b", "c"), *back("a", "a", "b", "b"))
    (never,) = missing(twice, *sent(4))
    assert (never.held, never.numbers["unskipped"]) == (1, 1) and never.says.endswith(": c")
    assert missing(lines(*done("a", "b", "c"), *back("a", "b")), *sent(4)) == [], "two messages may be its own"
    assert missing(twice, *sent(4, waits=1)) == [], "it may wait"
    refused = mark(Means.RECORD_ERROR, 33, "a")
    assert missing(lines(*done("a", "b", "c"), *back("a", "a", "b", "b"), refused), *sent(4)) == [], "one came again"


def test_while_the_batch_runs_what_was_finished_long_ago_and_never_came_is_told() -> None:
    """Ten minutes long a client may still try to publish; of what was finished before, all that was published has come back."""
    running = [*done("c", minutes=11), *done("d", minutes=9), *done("e", minutes=0)]
    (never,) = missing(lines(*done("a", "b"), *running, *back("a", "b")), *sent(2))
    assert (never.held, never.says.rpartition(": ")[2]) == (1, "c")
    assert missing(lines(*done("a", "b"), *running[2:], *back("a", "b")), *sent(2)) == []


def quiet(*marks: Mark, whole: bool = True) -> list[Finding]:
    seen = lines(*marks, whole=whole)
    return of(never_sent.SILENT, findings(returned_step, batch(4), seen, pushes(ack={34: 6}), *sent(0)))


def test_beside_completions_that_fail_with_a_line_what_has_none_was_never_tried() -> None:
    error = mark(Means.COMPLETION_ERROR, 35, "a", reason="404")
    (never,) = quiet(*done("a", "b", "c"), error)
    assert (never.held, never.bears, never.says.rpartition(": ")[2]) == (2, Bears.HOLDS, "b, c")
    assert quiet(*done("a", "b", "c"), error, whole=False) == [], "its line may not have been read"
    assert quiet(*done("a", "b", "c"), error, mark(Means.COMPLETION_ERROR, 35, reason="404")) == [], "one may be of b"
    assert quiet(*done("a"), *done("b", minutes=9), error) == [], "its line may still come"
    assert quiet(*done("a", "b", "c")) == []


def none_published(*marks: Mark) -> Finding:
    return one(
        never_sent.NONE_PUBLISHED, findings(returned_step, batch(4), lines(*marks), pushes(ack={34: 6}), *sent(0))
    )


def test_acks_of_other_batches_tell_nothing_of_one_whose_items_all_fail() -> None:
    """Six pushes were acked and nothing was published: none of them is of a batch of which nothing was done."""
    old = done("x", minutes=38)
    others = [structs.replace(m, batch="OLD") for m in old]
    fail = [mark(m, n, item) for item in "abcd" for n in (35, 30) for m in (Means.STARTED_ITEM, Means.FAILED_ITEM)]
    assert none_published(*others, *fail).bears is Bears.APART
    assert none_published().bears is Bears.HOLDS, "no line tells of any item: they may be its own"
    assert none_published(*others, *done("a")).bears is Bears.HOLDS


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


def refused_for(*more: Mark, items: Evidence, found: tuple[Evidence | Legged, ...] = (), own: bool = True) -> Finding:
    """What is said of batch A, begun 80 minutes ago, for whose sake a start was refused 40 minutes ago."""
    other = [mark(Means.CREATED, 80, batch="A", expected=9), mark(Means.PUBLISHED, 79, batch="A", count=9, of=9), *more]
    asked = [mark(Means.RECEIVED, 40, batch=""), mark(Means.REFUSED, 40, batch="", blocker="A")]
    marks = batch_marks(*other, *(structs.replace(m, trace="another") for m in asked))
    profile = PROFILE if own else structs.replace(PROFILE, completion=structs.replace(PROFILE.request))
    said = findings(created_step, marks, items, *found, profile=profile)
    codes: tuple[AnyCode, ...] = (created.STALE_OPEN, created.ACTIVE_OTHER)
    (only,) = [f for code in codes for f in of(code, said)]
    return only


@pytest.mark.parametrize(
    ("progress", "code", "status"),
    [
        (58, created.STALE_OPEN, Status.FAULT),  # 18 minutes before the refusal
        (45, created.ACTIVE_OTHER, Status.WARNING),
        (20, created.ACTIVE_OTHER, Status.WARNING),
    ],
)
def test_a_batch_that_was_given_up_after_the_refusal_did_not_do_the_work(
    progress: float, code: AnyCode, status: Status
) -> None:
    forced = mark(Means.FORCED, 10, batch="A", count=1, of=9)
    told = refused_for(forced, items=lines(mark(Means.RECORDED_ITEM, progress, "a", batch="A")))
    assert (told.code, told.status, told.until) == (code.name, status, ago(10))


def test_whether_what_was_given_up_had_been_idle_is_unknown_where_no_line_was_seen() -> None:
    forced = mark(Means.FORCED, 10, batch="A", count=1, of=9)
    assert refused_for(forced, items=lines()).status is Status.UNKNOWN
    cut = lines(mark(Means.RECORDED_ITEM, 58, "a", batch="A"), whole=False)
    assert refused_for(forced, items=cut).status is Status.UNKNOWN
    late = structs.replace(lines(mark(Means.RECORDED_ITEM, 30, "b", batch="OTHER")), since=ago(45))
    assert refused_for(forced, items=late).status is Status.UNKNOWN


def test_a_batch_that_came_to_its_end_after_the_refusal_was_rightly_in_the_way() -> None:
    closed = mark(Means.CLOSED, 10, batch="A", count=9, of=9)
    assert refused_for(closed, items=lines()).status is Status.OK


def test_work_that_nothing_comes_back_of_is_no_progress() -> None:
    work = [mark(Means.DONE_ITEM, n, f"i{n}", batch="A") for n in (25, 15, 1)]
    assert refused_for(items=lines(*work)).status is Status.OK, "there is no way back that it has to go"
    silent = refused_for(items=lines(*work), found=(pushes(Leg.COMPLETION),), own=False)
    assert (silent.code, silent.status) == (created.STALE_OPEN.name, Status.UNKNOWN)
    acked = (pushes(Leg.COMPLETION, ack={2: 1}),)
    assert refused_for(items=lines(*work), found=acked, own=False).status is Status.OK
    recorded = mark(Means.RECORDED_ITEM, 16, "i25", batch="A")
    assert refused_for(items=lines(*work, recorded), own=False).status is Status.OK, "the rest may be on its way"
    assert refused_for(items=lines(*work[1:]), own=False).status is Status.OK, "it may still be on its way"


@pytest.mark.parametrize(("expected", "status"), [(9, Status.OK), (12, Status.UNKNOWN)])
def test_a_batch_at_work_that_expects_more_than_was_published_need_not_end(expected: int, status: Status) -> None:
    state = BatchStatus(source=SOURCE, batch="A", exists=True, expected=expected, completed=3, closed=False)
    work = lines(mark(Means.RECORDED_ITEM, 1, "a", batch="A"))
    assert refused_for(items=work, found=(state,)).status is status
    fewer = mark(Means.PUBLISHED, 78, batch="A", count=5, of=5)
    assert refused_for(fewer, items=work).status is Status.UNKNOWN, "by the line that told of its making"


@pytest.mark.parametrize(("forced", "status"), [("", Status.OK), ("EXPIRED", Status.UNKNOWN)])
def test_a_batch_that_its_state_has_given_up_is_not_called_right(forced: str, status: Status) -> None:
    state = BatchStatus(source=SOURCE, batch="A", exists=True, expected=9, completed=3, closed=True, forced=forced)
    work = lines(mark(Means.RECORDED_ITEM, 1, "a", batch="A"))
    assert refused_for(items=work, found=(state,)).status is status


def test_how_much_is_owed_of_a_batch_in_the_way_is_what_was_published_and_is_not_done() -> None:
    recorded = [mark(Means.RECORDED_ITEM, 75, item, batch="A") for item in ("a", "b")]
    stuck = created.STALE_OPEN.of(refused_for(items=structs.replace(lines(*recorded), since=ago(90))))
    assert stuck is not None and (stuck.owed, stuck.closed) == (7, 0)
    late = created.STALE_OPEN.of(refused_for(items=structs.replace(lines(*recorded), since=ago(60))))
    assert late is not None and late.owed == 0, "what was done before lines begin is not told"
    state = BatchStatus(source=SOURCE, batch="A", exists=True, expected=9, completed=0, closed=False)
    counted = created.STALE_OPEN.of(refused_for(items=lines(*recorded), found=(state,)))
    assert counted is not None and counted.owed == 9


def test_a_batch_in_the_way_that_waits_for_what_nobody_published_owes_nothing_that_would_close_it() -> None:
    recorded = structs.replace(lines(mark(Means.RECORDED_ITEM, 75, "a", batch="A")), since=ago(90))
    gated = refused_for(mark(Means.PUBLISHED, 78, batch="A", count=5, of=5), items=recorded)
    told = created.STALE_OPEN.of(gated)
    assert told is not None and told.owed == 0, "its remedy is to close it: mending what keeps the 4 would not"
    assert gated.says.endswith(
        "4 items of it were published and are not done; with these done it would still be open: it expects 9 and 5 were published"
    )
    state = BatchStatus(source=SOURCE, batch="A", exists=True, expected=5, completed=1, closed=False)
    lowered = created.STALE_OPEN.of(
        refused_for(mark(Means.PUBLISHED, 78, batch="A", count=5, of=5), items=recorded, found=(state,))
    )
    assert lowered is not None and lowered.owed == 4, "the coordinator waits for no more than it sent"


def test_a_batch_that_was_closed_before_the_refusal_owes_nothing_and_counts_all_the_same() -> None:
    closed = mark(Means.FORCED, 50, batch="A", count=1, of=9)
    told = created.STALE_OPEN.of(refused_for(closed, items=lines(mark(Means.RECORDED_ITEM, 75, "a", batch="A"))))
    assert told is not None and (told.closed, told.owed) == (1, 0)
