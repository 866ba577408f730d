"""Who answered, what is broken, and whether it still is: no answer of Google's is the application's, and no past is told as now."""

from __future__ import annotations

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    FINE_AT_MOST,
    Backlog,
    DeadLetterCounts,
    DeadLetterPolicy,
    Leg,
    Mark,
    Means,
    PlatformLine,
    PlatformLines,
    PushCounts,
    RetryPolicy,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    SubscriptionConfig,
    SubscriptionSettings,
    Traffic,
)
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.processed import acked, after_answer, containers, duration, error_answers, failing_items
from diagnostics.steps.processed import processed as step
from tests.steps.built import (
    BEGAN,
    BROKEN,
    CUT,
    DENIED,
    SOURCE,
    TIMED_OUT,
    UNREADY,
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

TEN = batch(10)
EIGHT = [line for n in range(8) for line in done(f"ok{n}", minutes=30 - n)]
"""Eight of ten got through, one a minute."""


def said(*found: Legged, items: object = None) -> list[Finding]:
    marks = lines(*EIGHT) if items is None else items
    return findings(step, TEN, marks, subscription(), service(), backlog(2, 40), *found)  # type: ignore[arg-type]


def platform(*told: tuple[float, str], whole: bool = True, read_to: float = 0) -> Legged:
    kept = tuple(
        PlatformLine(at=ago(m), log="varlog/system", severity="ERROR", text=text, instance=f"i{n}")
        for n, (m, text) in enumerate(sorted(told, reverse=True))
    )
    return ("PlatformLines", Leg.REQUEST), PlatformLines(
        source=structs.replace(SOURCE if whole else CUT, as_of=ago(read_to)), lines=kept
    )


@pytest.mark.parametrize(("status", "text"), [(503, UNREADY), (503, BROKEN), (504, TIMED_OUT), (403, DENIED)])
def test_no_answer_of_google_is_the_applications(status: int, text: str) -> None:
    told = said(log(*(row(m, status, text) for m in (1, 2, 3))), pushes(remote_server_5xx={2: 3}), platform())
    assert of(error_answers.ERRORS, told) == []
    assert of(error_answers.UNREADABLE, told) == []


def test_each_status_of_the_application_is_a_finding_of_its_own() -> None:
    rows = [row(m, status) for m in (1, 2, 3) for status in (500, 429)]
    told = of(error_answers.ERRORS, said(log(*rows), pushes(remote_server_5xx={2: 6}), platform()))
    assert {(f.numbers["status"], f.numbers["answers"]) for f in told} == {(500, 3), (429, 3)}
    assert all((f.status, f.bears, f.held) == (Status.FAULT, Bears.HOLDS, 2) for f in told)


def test_errors_that_are_outlived_are_told_as_past() -> None:
    (past,) = of(
        error_answers.ERRORS,
        said(log(row(30, 500), row(29, 500), row(1, 200)), pushes(remote_server_5xx={29: 2}, ack={1: 50}), platform()),
    )
    assert (past.status, past.until) == (Status.OK, ago(29))
    assert "none since" in past.says


@pytest.mark.parametrize(
    ("last", "counted", "status", "says"),
    [
        (7, 6, Status.WARNING, "the last at 13:53Z"),
        (7, 0, Status.OK, "none since 13:53Z"),  # the counters see the last minutes, too, and nothing fails there
        (14, 6, Status.OK, "none since 13:46Z"),
    ],
)
def test_what_the_counters_still_call_failing_is_not_past_by_the_log(
    last: int, counted: int, status: Status, says: str
) -> None:
    """Messages of others that the receiver cannot read, once in a few minutes, beside a batch that is done."""
    key, shown = pushes(remote_server_4xx={last - 1: 1, last + 8: 1})
    assert isinstance(shown, PushCounts)
    as_counted = structs.replace(shown, source=structs.replace(SOURCE, as_of=ago(counted)))
    rows = log(row(last, 400), row(last + 9, 400))
    told = findings(step, batch(8), lines(*EIGHT), subscription(backoff_s=600), service(), rows, (key, as_counted))
    bad = one(error_answers.UNREADABLE, told)
    assert (bad.status, bad.bears) == (status, Bears.APART)
    assert says in bad.says


def test_few_errors_of_the_application_among_many_refusals_of_another_hand_hold_nothing() -> None:
    rows = [row(2, 500), *(row(m / 10, 403, DENIED, instance="") for m in range(1, 40))]
    (own,) = of(
        error_answers.ERRORS, said(log(*rows), pushes(remote_server_4xx={2: 39}, remote_server_5xx={2: 1}), platform())
    )
    assert own.bears is Bears.SLOWS


def test_of_a_log_that_was_cut_numbers_are_least_ones_and_the_first_row_is_no_beginning() -> None:
    rows = log(*(row(m, 500) for m in (1, 2, 3)), whole=False)
    (cut,) = of(error_answers.ERRORS, said(rows, pushes(remote_server_5xx={2: 3}), platform()))
    assert "3 or more pushes" in cut.says
    assert cut.since is None


def test_what_was_so_before_the_batch_did_not_begin_with_it() -> None:
    (old,) = of(
        error_answers.ERRORS,
        said(log(*(row(m, 500) for m in (55, 50, 3, 2, 1))), pushes(remote_server_5xx={2: 3}), platform()),
    )
    assert old.since is None
    assert old.numbers["answers"] == 3


def test_an_odd_success_is_no_ack() -> None:
    odd = one(error_answers.NO_ACK, said(log(row(1, 206), row(2, 206)), pushes(invalid={2: 2}), platform()))
    assert odd.numbers["status"] == 206


def test_a_program_that_refuses_before_it_reads_turns_the_caller_away_and_one_that_has_read_fails_at_its_work() -> None:
    refused = (log(*(row(m, 401) for m in (3, 2, 1))), pushes(remote_server_4xx={2: 3}), platform())
    away = one(error_answers.TURNED_AWAY, said(*refused))
    assert (away.numbers["status"], away.numbers["reads"]) == (401, 8)
    assert one(error_answers.TURNED_AWAY, said(*refused, items=lines())).numbers["reads"] == 0
    read = said(*refused, items=lines(*EIGHT, *failed("a", 2)))
    assert one(error_answers.ERRORS, read).numbers["status"] == 401 and not of(error_answers.TURNED_AWAY, read)


def test_a_line_of_somebodys_own_call_does_not_show_that_pushes_are_read() -> None:
    google = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
    refused = [structs.replace(row(m, 401), user_agent=google) for m in (3, 2, 1)]
    scanner = structs.replace(row(2.2, 400), user_agent="curl/8")
    counted = (pushes(remote_server_4xx={2: 3}), platform())
    of_a_call = lines(*EIGHT, mark(Means.FAILED_ITEM, 2.2, "?"))
    assert of(error_answers.TURNED_AWAY, said(log(*refused, scanner), *counted, items=of_a_call))
    assert not of(error_answers.TURNED_AWAY, said(log(*refused), *counted, items=of_a_call)), "nobody else called"
    two = lines(*EIGHT, *(mark(Means.FAILED_ITEM, m, "?") for m in (2.2, 1.5)))
    assert not of(error_answers.TURNED_AWAY, said(log(*refused, scanner), *counted, items=two)), "one call, two lines"


@pytest.mark.parametrize(
    ("acked", "elsewise", "dead", "left"),
    [({}, 0, 2, 0), ({8: 1}, 0, 2, 1), ({}, 5, 2, 1), ({}, 0, 0, 1)],
    ids=["all was dead-lettered", "one was acked since", "others failed otherwise", "something waits"],
)
def test_a_caller_who_was_turned_away_to_the_last_message_is_turned_away_still(
    acked: dict[float, float], elsewise: int, dead: int, left: int
) -> None:
    """That no push is refused any more shows nothing where none was left to be pushed."""
    refused = (row(m, 401, instance="i1") for m in range(12, 22))
    others = (row(11 + n / 10, 500) for n in range(elsewise))
    counted = pushes(remote_server_4xx={12: 10}, ack=acked)
    found = said(log(*refused, *others), counted, platform(), *(dead_lettering(dead, 12) if dead else []))
    away = one(error_answers.TURNED_AWAY, found)
    assert away.numbers["left"] == left
    assert (away.bears, away.held, away.until) == ((Bears.HOLDS, 2, None) if not left else (away.bears, 0, ago(12)))


def test_the_last_that_fail_are_no_break_where_as_large_a_share_failed_before() -> None:
    """Each of them is tried again and again: that is still two items, and not as many proofs as tries."""
    last = [*failed("d", 20, 12, 8, 4, 1), *failed("e", 20, 12, 8, 4, 1)]
    counted = (log(row(1, 500)), pushes(remote_server_5xx={20: 2, 1: 2}, ack={24: 8}), platform())
    before = [line for name in "abc" for line in failed(name, 29, 21, 11, 2)]
    assert of(failing_items.ALL_FAIL, said(*counted, items=lines(*EIGHT, *before, *last))) == []
    assert len(of(failing_items.ALL_FAIL, said(*counted, items=lines(*EIGHT, *last)))) == 1


@pytest.mark.parametrize(("waits", "over"), [(2, False), (0, True)])
def test_items_that_rest_for_long_still_come_round_where_their_messages_wait(waits: int, over: bool) -> None:
    """Pub/Sub pushes few while many fail."""
    rested = [*failed("a", 29, 26, 24, 20), *failed("b", 29, 26, 24, 20)]
    counted = (log(row(20, 500)), pushes(remote_server_5xx={20: 2}, ack={24: 8}), backlog(waits, 29), platform())
    (found,) = of(failing_items.REPEATS, said(*counted, items=lines(*EIGHT, *rested)))
    assert (found.status is Status.OK) is over


HALF = "export of this order already exists"


def tripping(first: float, reason: str) -> list[Mark]:
    """Taken up, never brought to an end, and refused for this reason at each later try."""
    later = [
        mark(means, m, "a", **({"reason": reason} if means is Means.FAILED_ITEM else {}))
        for m in (20, 12, 1)
        for means in (Means.STARTED_ITEM, Means.FAILED_ITEM)
    ]
    return [mark(Means.STARTED_ITEM, first, "a"), *later]


@pytest.mark.parametrize(("reason", "leftovers"), [(HALF, 1), ("ledger refused", 0)])
def test_items_that_meet_what_their_first_try_left_are_told_from_such_as_fail_for_one_reason(
    reason: str, leftovers: int
) -> None:
    rows = log(row(1, 500))
    told = said(rows, pushes(remote_server_5xx={1: 2}, ack={24: 8}), items=lines(*EIGHT, *tripping(31, reason)))
    (found,) = [*of(failing_items.REPEATS, told), *of(failing_items.FAIL, told)]
    assert (found.numbers["steady"], found.numbers["leftovers"], found.words["reason"]) == (1, leftovers, reason)
    whole = said(rows, pushes(remote_server_5xx={1: 2}, ack={24: 8}), items=lines(*EIGHT, *tripping(31, reason)[1:]))
    (ended,) = [*of(failing_items.REPEATS, whole), *of(failing_items.FAIL, whole)]
    assert ended.numbers["leftovers"] == 0, "each try came to its end"


def refused_for(reason: str, *items: str) -> list[Mark]:
    tries = [(means, m) for m in (20, 12, 1) for means in (Means.STARTED_ITEM, Means.FAILED_ITEM)]
    return [mark(means, m, item, reason=reason) for item in items for means, m in tries]


def repeating(*marks: Mark) -> list[tuple[float, float, str | None]]:
    others = done(*(f"late{n}" for n in range(8)), minutes=5)
    told = said(log(row(1, 500)), pushes(remote_server_5xx={1: 6}, ack={5: 8}), items=lines(*EIGHT, *others, *marks))
    return [(f.held, f.numbers["steady"], f.words.get("reason")) for f in of(failing_items.REPEATS, told)]


def test_items_that_fail_for_two_reasons_are_two_kinds_each_with_its_own() -> None:
    injured, unwritten = refused_for("injured", "a", "b", "c"), refused_for("Staging write failed", "d", "e")
    assert repeating(*injured, *unwritten) == [(3, 3, "injured"), (2, 2, "Staging write failed")]
    assert repeating(*injured, *refused_for("KeyError: d", "d")) == [(4, 3, "injured")], "one alone is no kind"
    each = [refused_for(f"KeyError: {item}", item) for item in "abcd"]
    assert [held for held, *_ in repeating(*(m for marks in each for m in marks))] == [4]
    several = [m for item in "fghi" for m in [*refused_for("x", item)[:2], *refused_for("y", item)[2:]]]
    assert [held for held, *_ in repeating(*injured, *unwritten, *several)] == [9], (
        "those of no one reason are too many"
    )


def test_results_that_could_not_be_stored_are_lost_once_their_item_came_back() -> None:
    def unwritten(*more: Mark) -> list[Finding]:
        lost = [mark(m, 20, "a") for m in (Means.STARTED_ITEM, Means.WRITE_FAILED)]
        return of(acked.UNWRITTEN, said(items=lines(*EIGHT, *lost, *more)))

    back = mark(Means.RETURNED_ITEM, 19, "a")
    (lost,) = unwritten(back)
    assert (lost.numbers["unwritten"], lost.status) == (1, Status.WARNING)
    assert unwritten() == [], "nobody counts it"
    assert unwritten(mark(Means.FAILED_ITEM, 19.9, "a"), back) == [], "it was refused, and done by a later try"
    assert unwritten(*done("a", minutes=19.5), back) == [], "a later try stored it"


def test_items_that_are_acked_before_the_work_stand_still_where_the_cpu_goes_with_the_answer() -> None:
    taken = [mark(Means.STARTED_ITEM, 20, item) for item in "ab"]

    def first(latency_s: float = 0.05, idle: bool = True) -> list[Finding]:
        key, config = service()
        assert isinstance(config, ServiceConfig) and config.settings is not None
        template = structs.replace(config.settings.template, cpu_idle=idle)
        cpu = structs.replace(config, settings=structs.replace(config.settings, template=template))
        acks = (log(*(row(20, 204, latency_s=latency_s) for _ in "ab")), pushes(ack={30: 8, 20: 2}))
        waits = (backlog(0, 0), (key, cpu))
        return of(after_answer.AFTERWARDS, said(*acks, *waits, items=lines(*EIGHT, *taken)))

    (still,) = first()
    assert (still.bears, still.held, still.numbers["ended"]) == (Bears.HOLDS, 2, 8)
    assert first(latency_s=9) == [], "whoever answers late has worked"
    assert first(idle=False) == [], "the CPU is there all the time"


@pytest.mark.parametrize("stamp_s", [0, 8])
def test_the_wait_for_a_container_is_not_the_work_of_a_push(stamp_s: float) -> None:
    """Two pushes wait eight seconds for a container; their entries are stamped with the begin of the request or with its end."""

    def first(worked_s: float) -> list[Finding]:
        begun = [structs.replace(mark(Means.STARTED_ITEM, 20, item), instance="i1") for item in "ab"]
        ends = [row(20 + (8 - stamp_s - worked_s * bool(stamp_s)) / 60, 204, latency_s=8 + worked_s) for _ in "ab"]
        key, config = service()
        assert isinstance(config, ServiceConfig) and config.settings is not None
        template = structs.replace(config.settings.template, cpu_idle=True)
        cpu = (key, structs.replace(config, settings=structs.replace(config.settings, template=template)))
        counted = pushes(ack={30: 8, 20: 2})
        return of(after_answer.AFTERWARDS, said(log(*ends), counted, backlog(0, 0), cpu, items=lines(*EIGHT, *begun)))

    (still,) = first(0.05)
    assert "answered 50 ms after a container had them" in still.says
    assert first(6) == [], "it worked on them before it answered"


def test_what_was_cut_off_is_no_older_than_its_entry_and_what_a_request_may_take() -> None:
    """Entries may be stamped with the begin: what was cut off two minutes ago began seven minutes ago."""
    cut = log(*(row(m, 504, TIMED_OUT, latency_s=300) for m in (20, 13, 7)), row(1, 500))
    taken = lines(*EIGHT, *STARTED)

    def ended(counted: Legged) -> Finding:
        return one(duration.TIMED_OUT, said(cut, counted, platform(), items=taken))

    still = ended(pushes(deadline_exceeded={15: 1, 8: 1, 2: 1}, ack={18: 4, 3: 1}))
    assert (still.status, still.until) == (Status.WARNING, None)
    assert ended(pushes(ack={18: 4, 4: 20})).until == ago(7), "too many were acked since"
    old = log(*(row(m, 504, TIMED_OUT, latency_s=300) for m in (20, 11)), row(1, 500))
    assert one(duration.TIMED_OUT, said(old, LATE, platform(), items=taken)).until == ago(11)
    key, config = service()
    assert isinstance(config, ServiceConfig) and config.settings is not None
    template = structs.replace(config.settings.template, timeout_s=900)
    longer = (key, structs.replace(config, settings=structs.replace(config.settings, template=template)))
    assert one(duration.TIMED_OUT, said(cut, LATE, platform(), longer, items=taken)).until == ago(7), "not any more"


def test_requests_that_end_at_the_timeout_are_cloud_runs() -> None:
    rows = [row(m, 504, TIMED_OUT, latency_s=300) for m in (1, 2)]
    ended = one(duration.TIMED_OUT, said(log(*rows), pushes(remote_server_5xx={2: 2}), platform()))
    assert (ended.status, ended.bears, ended.held) == (Status.FAULT, Bears.HOLDS, 2)
    assert "after 5 min, the request timeout" in ended.says


def test_what_a_request_took_beyond_the_timeout_it_waited() -> None:
    """Cloud Run counts the timeout from the moment a container has it, the log the whole time."""
    rows = [row(m, 504, TIMED_OUT, latency_s=379) for m in (1, 2)]
    ended = one(duration.TIMED_OUT, said(log(*rows), pushes(remote_server_5xx={2: 2}), platform()))
    assert "after 6 min, over the request timeout of 5 min" in ended.says


def test_the_same_few_while_others_get_through() -> None:
    items = lines(*EIGHT, *failed("a", 29, 26, 20, 1), *failed("b", 29, 26, 20, 1))
    told = said(log(row(1, 500)), pushes(remote_server_5xx={1: 2}, ack={24: 8}), platform(), items=items)
    storm = one(failing_items.REPEATS, told)
    assert (storm.status, storm.bears, storm.held, storm.since) == (Status.FAULT, Bears.HOLDS, 2, ago(29))
    assert of(failing_items.ALL_FAIL, told) == []


def test_everything_since_a_moment_is_no_storm_of_messages() -> None:
    items = lines(*EIGHT, *failed("a", 20, 12, 1), *failed("b", 20, 12, 1))
    told = said(log(row(1, 500)), pushes(remote_server_5xx={20: 2, 1: 2}, ack={24: 8}), platform(), items=items)
    broken = one(failing_items.ALL_FAIL, told)
    assert (broken.status, broken.bears, broken.held, broken.since) == (Status.FAULT, Bears.HOLDS, 2, ago(20))
    assert "8 had got through before" in broken.says
    assert of(failing_items.REPEATS, told) == []


def test_everything_failed_for_a_while_and_nothing_comes_any_more() -> None:
    items = lines(*EIGHT, *failed("a", 20, 19.5, 19), *failed("b", 20, 19.5, 19))
    refused = [row(m / 10, 403, DENIED, instance="") for m in range(1, 40)]
    over = one(
        failing_items.ALL_FAIL,
        said(
            log(*refused),
            pushes(remote_server_5xx={19: 6}, remote_server_4xx={1: 39}, ack={24: 8}),
            platform(),
            items=items,
        ),
    )
    assert (over.status, over.until, over.held) == (Status.OK, ago(19), 0)


def test_one_item_alone_that_fails_last_leaves_it_open() -> None:
    items = lines(*EIGHT, *done("ok8"), *failed("a", 18, 10, 1))
    told = said(log(row(1, 500)), pushes(remote_server_5xx={1: 1}, ack={24: 9}), platform(), items=items)
    unsure = one(failing_items.FAIL, told)
    assert (unsure.status, unsure.bears, unsure.held) == (Status.FAULT, Bears.HOLDS, 1)
    assert of(failing_items.REPEATS, told) == []
    repeated = failing_items.FAIL.of(unsure)
    assert repeated is not None
    assert (repeated.through, repeated.beside, failing_items.rare(repeated)) == (9, 0, 9)


LUCKY = tuple(f"n{n}" for n in range(10))
MORE: Legged = (("BatchMarks", None), batch(14))


@pytest.mark.parametrize(
    ("before", "since", "held"),
    [(1, 0, None), (0, 0, 2), (1, 9, 2)],
    ids=["as often as others did", "no other ever did", "and nothing since"],
)
def test_items_that_fail_no_oftener_than_a_share_of_all_tries_does_are_unlucky(
    before: int, since: int, held: int | None
) -> None:
    """Ten got through, each after as many failures as told; two have failed three times, the last time before or after all of those."""
    through = [m for n, name in enumerate(LUCKY) for m in failed(name, *[9 - n / 10] * before)]
    through += [m for n, name in enumerate(LUCKY) for m in done(name, minutes=3 - n / 10)]
    bad = [m for name in ("a", "b") for m in failed(name, 8, 5, *(2.1 - n / 10 for n in range(since)), 1)]
    told = said(
        log(row(1, 500)), pushes(remote_server_5xx={1: 2}, ack={1: 9}), platform(), MORE, items=lines(*through, *bad)
    )
    found = [*of(failing_items.REPEATS, told), *of(failing_items.FAIL, told), *of(failing_items.ALL_FAIL, told)]
    unlucky = of(failing_items.UNLUCKY, told)
    assert [f.held for f in found] == ([held] if held else [])
    assert [(f.status, f.bears, f.held) for f in unlucky] == ([] if held else [(Status.WARNING, Bears.SLOWS, 0)])


@pytest.mark.parametrize(
    ("acked", "took_s", "status"),
    [((1, 2, 3), 5, Status.WARNING), ((1, 2, 3), 90, Status.FAULT), ((9, 8, 7), 5, Status.FAULT)],
    ids=["beside them", "beyond the deadline", "before them"],
)
def test_counters_that_lag_are_not_taken_for_no_acks_where_the_log_has_some(
    acked: tuple[float, ...], took_s: float, status: Status
) -> None:
    fine = [row(m, 204, latency_s=took_s) for m in acked]
    refused = [row(m / 2, 429) for m in range(1, 9)]
    told = said(log(*fine, *refused), pushes(), platform())
    assert one(error_answers.ERRORS, told).status is status


@pytest.mark.parametrize(
    ("through", "beside", "each"), [(26, 3, None), (26, 0, 13), (26, None, None), (None, 0, None), (0, 0, 0)]
)
def test_those_that_fail_last_are_rare_only_where_nothing_else_is_left(
    through: int | None, beside: int | None, each: float | None
) -> None:
    """Had the receiver broken at some moment, others would be left, too."""
    told = failing_items.Repeated(items=2, failures=8, through=through, beside=beside)
    assert failing_items.rare(told) == each


FOREIGN = lines(*EIGHT, *failed("x", 29, 26, 20, 1, batch="old"), *failed("y", 28, 24, 19, 2, batch="old"))


def test_others_hold_the_batch_by_their_own_failures_now() -> None:
    storm = one(
        failing_items.REPEATS,
        said(log(row(1, 500), row(2, 500)), pushes(remote_server_5xx={1: 2}, ack={24: 8}), platform(), items=FOREIGN),
    )
    assert (storm.bears, storm.held, storm.since) == (Bears.HOLDS, 2, None)


def test_others_keep_nothing_away_that_comes_round_itself() -> None:
    ours = (mark(Means.STARTED_ITEM, 3, "a"), mark(Means.STARTED_ITEM, 4, "b"))
    told = said(
        log(row(1, 500), row(2, 500)),
        pushes(remote_server_5xx={1: 2}, ack={24: 8}),
        platform(),
        items=lines(*EIGHT, *failed("x", 29, 26, 20, 1, batch="old"), *failed("y", 28, 24, 19, 2, batch="old"), *ours),
    )
    storm = one(failing_items.REPEATS, told)
    assert (storm.status, storm.bears, storm.held) == (Status.WARNING, Bears.APART, 0)


def test_others_keep_nothing_away_that_lies_in_the_dead_letter_topic() -> None:
    told = said(
        log(row(1, 500), row(2, 500)),
        pushes(remote_server_5xx={27: 10, 1: 2}, ack={24: 8}),
        platform(),
        *dead_lettering(2, 24),
        items=lines(
            *EIGHT,
            *(f for item in "ab" for f in failed(item, 28.5, 28, 27, 26, 25)),
            *failed("x", 29, 26, 20, 1, batch="old"),
            *failed("y", 28, 24, 19, 2, batch="old"),
        ),
    )
    spent, others = of(failing_items.REPEATS, told)
    assert (spent.until is not None, spent.held) == (True, 0)
    assert (others.status, others.bears, others.held) == (Status.WARNING, Bears.APART, 0)


def test_others_hold_nothing_where_another_hand_refuses_the_pushes() -> None:
    refused = [row(m / 10, 403, DENIED, instance="") for m in range(1, 40)]
    told = said(
        log(*refused),
        pushes(remote_server_4xx={1: 39}, remote_server_5xx={1: 2}, ack={24: 8}),
        platform(),
        items=FOREIGN,
    )
    storm = one(failing_items.REPEATS, told)
    assert (storm.status, storm.bears, storm.held) == (Status.WARNING, Bears.APART, 0)
    assert one(failing_items.STORM_SMALL, told).status is Status.OK


@pytest.mark.parametrize(
    "text", ["Container called exit(1).", "Uncaught signal: 6, pid=1", "[CRITICAL] WORKER TIMEOUT (pid:3)"]
)
def test_containers_that_die_now_hold_the_batch(text: str) -> None:
    rows = [row(m, 503, BROKEN) for m in (1, 2, 3)]
    dead = one(
        containers.CRASHING,
        said(log(*rows), pushes(remote_server_5xx={2: 3}), platform(*((m, text) for m in (1, 2, 3)))),
    )
    assert (dead.status, dead.bears, dead.held, dead.since) == (Status.FAULT, Bears.HOLDS, 2, ago(3))
    assert dead.words["how"]


def crash(*found: Legged) -> Finding:
    died = platform(*((m, "Container called exit(1).") for m in (31, 22, 12, 3)))
    return one(containers.CRASHING, said(died, *found))


def test_containers_that_no_push_comes_to_hold_nothing() -> None:
    unmet = (
        crash(log(), pushes()),
        crash(log(*(row(m, 403, DENIED, "") for m in (1, 2))), pushes(remote_server_4xx={1: 2})),
    )
    assert {(dead.status, dead.bears, dead.held) for dead in unmet} == {(Status.WARNING, Bears.APART, 0)}
    met = crash(log(*(row(m, 503, BROKEN) for m in (1, 2))), pushes(remote_server_5xx={1: 2}))
    assert (met.status, met.bears, met.held) == (Status.FAULT, Bears.HOLDS, 2)
    assert crash(unseen("RequestLog"), pushes(remote_server_5xx={1: 2})).bears is Bears.HOLDS


@pytest.mark.parametrize(("dead_at", "bears"), [(25, Bears.APART), (2, Bears.HOLDS)], ids=["before", "by it"])
def test_containers_that_die_once_all_is_dead_lettered_hold_nothing(dead_at: float, bears: Bears) -> None:
    died = platform(*((m, "Container called exit(1).") for m in (12, 8, 3)))
    met = pushes(remote_server_4xx={28: 10}, remote_server_5xx={4: 6})
    dead = one(containers.CRASHING, said(log(), met, died, *dead_lettering(2, dead_at)))
    assert (dead.bears, bool(dead.held)) == (bears, bears is Bears.HOLDS)


@pytest.mark.parametrize(
    ("told", "burnt"),
    [([], 2), ([mark(Means.FAILED_ITEM, 29, item) for item in ("x", "y") for _ in range(4)], 0)],
    ids=["no word", "the program failed"],
)
def test_what_containers_took_along_until_its_tries_were_used_up_is_on_their_account(
    told: list[Mark], burnt: int
) -> None:
    """Five times each of two items was taken up, and each time the container died; of what a program itself failed it says so."""
    tries = [mark(Means.STARTED_ITEM, m, item) for m in (36, 35, 34, 33, 32) for item in ("x", "y")]
    died = platform(*((m - 0.2, "Memory limit of 512 MiB exceeded with 530 MiB used.") for m in (36, 35, 34, 33, 32)))
    items = lines(*EIGHT, *tries, *told)
    seen = said(died, log(), pushes(remote_server_5xx={32: 10}), *dead_lettering(2, 31), items=items)
    dead = one(containers.CRASHING, seen)
    assert dead.numbers["burnt"] == burnt
    assert (dead.status, dead.bears, dead.held) == (
        (Status.FAULT, Bears.HOLDS, 2) if burnt else (Status.OK, Bears.SLOWS, 0)
    )
    assert ("an attempt of what it had taken, and 2 messages" in dead.says) is bool(burnt)


def test_a_crash_is_not_over_while_all_pushes_since_are_turned_away_before_it() -> None:
    met, died = row(38, 503, BROKEN), platform((38, "Container called exit(1)."))
    shut = one(
        containers.CRASHING,
        said(log(met, *(row(m, 403, DENIED, "") for m in range(1, 30))), pushes(remote_server_4xx={1: 9}), died),
    )
    assert (shut.status, shut.bears, shut.until) == (Status.WARNING, Bears.SLOWS, None)
    gone = one(containers.CRASHING, said(log(met, row(20, 500)), pushes(remote_server_5xx={20: 1}), died))
    assert (gone.status, gone.until) == (Status.OK, ago(38))


@pytest.mark.parametrize(
    ("serves", "state", "dies"), [("w-1", "failed", False), ("w-2", "failed", True), ("w-1", "ready", True)]
)
def test_a_revision_that_did_not_start_beside_one_that_serves_is_no_crash(serves: str, state: str, dies: bool) -> None:
    made = [
        RevisionSettings(name=name, created=ago(at), ready=ready)
        for name, at, ready in (("w-2", 60, state), ("w-1", 999, "ready"))
    ]
    (key, config), (_, died) = service(), platform((39, "Container called exit(1)."))
    assert isinstance(config, ServiceConfig) and config.settings and isinstance(died, PlatformLines)
    settings = structs.replace(config.settings, latest_ready="w-1", traffic=(Traffic(revision=serves, percent=100),))
    found = findings(
        step,
        TEN,
        lines(),
        subscription(),
        (key, structs.replace(config, settings=settings)),
        (("Revisions", Leg.REQUEST), Revisions(source=SOURCE, revisions=tuple(made))),
        (
            ("PlatformLines", Leg.REQUEST),
            structs.replace(died, lines=tuple(structs.replace(x, revision="w-2") for x in died.lines)),
        ),
        log(),
        pushes(),
        backlog(2, 40),
    )
    assert bool(of(containers.CRASHING, found)) == dies


def test_a_failed_readiness_check_is_a_crash_without_any_line() -> None:
    dead = one(
        containers.CRASHING,
        said(log(*(row(m, 503, UNREADY) for m in (1, 2))), pushes(remote_server_5xx={2: 2}), unseen("PlatformLines")),
    )
    assert dead.status is Status.FAULT
    assert "2 or more times" in dead.says


def test_crashes_that_were_mended_are_told_as_past() -> None:
    died = platform(*((m, "Container called exit(1).") for m in (39, 35, 31)))
    dead = one(containers.CRASHING, said(log(), pushes(remote_server_5xx={31: 9}, ack={24: 8}), died))
    assert (dead.status, dead.until) == (Status.OK, ago(31))


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("Container called exit(1).", "ModuleNotFoundError: No module named 'pandas'"),
        ("Memory limit of 512 MiB exceeded with 530 MiB used.", "Memory limit of 512 MiB exceeded with 530 MiB used."),
    ],
)
def test_the_reason_of_a_crash_is_not_what_a_container_that_went_on_complained_of(end: str, reason: str) -> None:
    printed = (
        PlatformLine(at=ago(3.2), log="stderr", severity="DEFAULT", text=reason, instance="i0"),
        PlatformLine(
            at=ago(2.9), log="stdout", severity="ERROR", text="export of ORD-7 failed: ledger_locked", instance="lives"
        ),
        PlatformLine(at=ago(30), log="stdout", severity="ERROR", text="export of ORD-9 failed", instance="i0"),
    )
    key, died = platform((3, end))
    assert isinstance(died, PlatformLines)
    seen = (key, structs.replace(died, lines=(*died.lines, *printed)))
    dead = one(containers.CRASHING, said(log(), pushes(remote_server_5xx={3: 3}), seen))
    assert f"the last at {ago(3):%H:%M}Z: {reason}" in dead.says


def on(revision: str, instance: str, *of: Mark) -> list[Mark]:
    return [structs.replace(m, revision=revision, instance=instance) for m in of]


@pytest.mark.parametrize(("before", "here"), [("w-1", 8), ("w-0", 0), ("", 0)])
def test_what_had_worked_on_the_same_revision_is_told_from_what_never_did(before: str, here: int) -> None:
    fails = [
        *on("w-1", "i1", *failed("a", 15, 10, 5), *failed("b", 15, 10, 5)),
        *on("w-1", "i2", *failed("c", 14, 9, 4)),
    ]
    told = said(
        log(row(1, 500)),
        pushes(ack={24: 8}, remote_server_5xx={4: 9}),
        platform(),
        items=lines(*on(before, "i1", *EIGHT), *fails),
    )
    broken = one(failing_items.ALL_FAIL, told)
    assert (broken.numbers["before"], broken.numbers["here"], broken.numbers["instances"]) == (8, here, 2)


MEMORY, KILLED, EXITED = (
    "Memory limit of 512 MiB exceeded with 520 MiB used.",
    "Container terminated on signal 9.",
    "Container called exit(3).",
)
LIVENESS = 'LIVENESS HTTP probe failed 4 times consecutively for container "w-1" on port 8080. The instance has been shut down.'


@pytest.mark.parametrize(
    ("told", "memory", "hung", "unhealthy", "other"),
    [
        ((EXITED, EXITED), 0, 0, 0, 2),
        ((MEMORY, MEMORY), 2, 0, 0, 0),
        ((MEMORY, KILLED), 2, 0, 0, 0),
        ((KILLED, KILLED), 0, 0, 0, 2),
        ((MEMORY, EXITED), 1, 0, 0, 1),
        (("[CRITICAL] WORKER TIMEOUT (pid:17)",), 0, 1, 0, 0),
        ((LIVENESS, LIVENESS), 0, 0, 2, 0),
    ],
)
def test_containers_are_told_apart_by_what_they_died_of(
    told: tuple[str, ...], memory: int, hung: int, unhealthy: int, other: int
) -> None:
    died = platform(*((3 - n, text) for n, text in enumerate(told)))
    dead = one(containers.CRASHING, said(log(), pushes(remote_server_5xx={3: 3}), died))
    counted = tuple(dead.numbers[name] for name in ("memory", "hung", "unhealthy", "other"))
    assert counted == (memory, hung, unhealthy, other)


def revisions(**env: str) -> Legged:
    """A serving revision with no variable, and one before it with these."""
    listed = (
        RevisionSettings(name="w-1", created=ago(100)),
        RevisionSettings(name="w-0", created=ago(9000), env=env),
    )
    return ("Revisions", Leg.REQUEST), Revisions(source=SOURCE, revisions=listed)


@pytest.mark.parametrize(
    ("words", "env", "lacking"),
    [
        ("fatal: REGION_CODE is not set", {"REGION_CODE": "hash"}, 1),
        ("fatal: REGION_CODE is not set", {"REGION": "hash"}, 0),
        ("fatal: REGION_CODE is not set", {}, 0),
        ("panic: no such table", {"REGION_CODE": "hash"}, 0),
    ],
)
def test_a_variable_is_lost_where_the_last_words_name_one_that_the_revision_before_had(
    words: str, env: dict[str, str], lacking: int
) -> None:
    key, died = platform((3, EXITED))
    assert isinstance(died, PlatformLines)
    line = PlatformLine(at=ago(3.1), log="stderr", severity="DEFAULT", text=words, instance="i0")
    seen = (key, structs.replace(died, lines=(*died.lines, line)))
    younger = service()
    assert isinstance(younger[1], ServiceConfig) and younger[1].settings
    settings = structs.replace(younger[1].settings, template=RevisionSettings(name="w-1", created=ago(100)))
    serving = (younger[0], structs.replace(younger[1], settings=settings))
    dead = one(containers.CRASHING, said(log(), pushes(remote_server_5xx={3: 3}), seen, serving, revisions(**env)))
    assert (dead.numbers["lacking"], dead.numbers["other"]) == (lacking, 1 - lacking)
    assert dead.words.get("variable") == ("REGION_CODE" if lacking else None)


def test_a_container_that_was_no_longer_needed_did_not_crash() -> None:
    told = said(
        log(),
        pushes(ack={24: 8}),
        platform((5, "Container called exit(0)."), (4, "Container terminated on signal 15.")),
    )
    assert of(containers.CRASHING, told) == []


def test_of_lines_that_were_cut_the_oldest_crash_is_no_beginning() -> None:
    died = platform(*((m, "Container called exit(1).") for m in (3, 2, 1)), whole=False)
    dead = one(containers.CRASHING, said(log(), pushes(remote_server_5xx={1: 3}), died))
    assert dead.since is None
    assert "3 or more times" in dead.says


def test_work_that_takes_longer_than_the_deadline_is_told_by_warm_containers() -> None:
    rows = log(*(row(m, 200, latency_s=180) for m in (10, 6, 2)))
    told = said(rows, pushes(deadline_exceeded={8: 2, 2: 2}), platform(), capacity({38: 1}))
    long = one(duration.TOO_LONG, told)
    assert (long.status, long.bears, long.held) == (Status.FAULT, Bears.HOLDS, 2)
    assert long.numbers["deadline_s"] == 60
    short = said(log(row(2, 200, latency_s=20)), pushes(deadline_exceeded={2: 2}), platform(), capacity({38: 1}))
    assert of(duration.TOO_LONG, short) == []


@pytest.mark.parametrize(("long", "expired", "told"), [(1, 9, False), (1, 2, True), (3, 9, True)])
def test_a_long_one_among_many_is_not_what_made_most_pushes_expire(long: int, expired: int, told: bool) -> None:
    rows = [row(9 - n, 200, latency_s=180) for n in range(long)] + [
        row(5 - n / 10, 200, latency_s=20) for n in range(20)
    ]
    late = pushes(deadline_exceeded={8: expired})
    seen = said(log(*rows), late, platform(), capacity({38: 1}))
    assert bool(of(duration.TOO_LONG, seen)) is told, "three of 23 are many; one of two that expired is half"
    cut = said(log(*rows, whole=False), late, platform(), capacity({38: 1}))
    assert of(duration.TOO_LONG, cut), "of a log that was cut there may be more"


def test_more_time_would_not_have_done_what_the_program_failed_at_each_try() -> None:
    """Two items that failed five times and were dead-lettered, on a subscription whose pushes ran into the deadline, too."""
    rows = log(*(row(m, 200, latency_s=180) for m in (10, 8)), *(row(m, 500) for m in (30, 25, 20, 18, 15)))
    tries = (30, 25, 20, 18, 15)
    late = pushes(deadline_exceeded={20: 9}, remote_server_5xx={15: 10})
    limits = dead_lettering(2, 14)
    own = lines(*EIGHT, *failed("a", *tries), *failed("b", *tries))
    long = one(duration.TOO_LONG, said(rows, late, platform(), capacity({38: 1}), *limits, items=own))
    assert (long.bears, long.held) == (Bears.SLOWS, 0)
    silent = lines(*EIGHT, *(mark(Means.STARTED_ITEM, m, item) for item in "ab" for m in tries))
    long = one(duration.TOO_LONG, said(rows, late, platform(), capacity({38: 1}), *limits, items=silent))
    assert (long.bears, long.held) == (Bears.HOLDS, 2), "of what has no line of its end the deadline is to blame"


def dead_lettering(messages: float, minutes: float, leg: Leg = Leg.REQUEST) -> list[Legged]:
    """So many messages went to the dead-letter topic at that time, after five attempts each, and none waits."""
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s",
        topic="projects/p/topics/t",
        push_endpoint="https://w.run.app/push",
        ack_deadline_s=60,
        retry=RetryPolicy(min_s=10, max_s=60),
        dead_letter=DeadLetterPolicy(topic="d", max_attempts=5),
    )
    seen = DeadLetterCounts(source=SOURCE, series=(series({minutes: messages}),))
    empty = Backlog(source=SOURCE, undelivered=(series({39: 0, 0: 0}),), oldest_age_s=(), outstanding=())
    return [
        (("SubscriptionConfig", leg), SubscriptionConfig(source=SOURCE, settings=settings)),
        (("DeadLetterCounts", leg), seen),
        (("Backlog", leg), empty),
    ]


@pytest.mark.parametrize(("latency_s", "found"), [(90, 1), (0.1, 0)], ids=["answered late", "answered first"])
def test_what_the_programs_own_lines_tell_of_its_work_is_no_wait_for_a_start(latency_s: float, found: int) -> None:
    """A minute and a half at each of two items by their lines, where a start took as long: the log alone could not tell one from the other.
    A program that answers first is late for nobody."""
    works = [m for i in "ab" for m in (mark(Means.STARTED_ITEM, 10, i), mark(Means.DONE_ITEM, 8.5, i))]
    rows = log(*(row(m, 200, latency_s=latency_s) for m in (8.5, 8.4)))
    told = said(
        rows,
        pushes(deadline_exceeded={8: 2}, ack={1: 2}),
        platform(),
        capacity({38: 1}, took_s=80),
        items=lines(*works),
    )
    long = of(duration.TOO_LONG, told)
    assert [(f.status, f.numbers["over"], f.numbers["work_s"]) for f in long] == [(Status.WARNING, 2, 90)] * found


STARTED = [mark(Means.STARTED_ITEM, 20, item) for item in ("a", "b")]
"""Two items that were taken up twenty minutes ago and have not come to an end."""
LATE = pushes(deadline_exceeded={18: 2, 2: 2})


def test_work_that_has_not_ended_is_longer_than_the_deadline_too_as_long_as_its_container_lives() -> None:
    told = said(log(), LATE, platform(), capacity({38: 1}), items=lines(*EIGHT, *STARTED))
    long = one(duration.TOO_LONG, told)
    assert (long.status, long.bears, long.held) == (Status.FAULT, Bears.HOLDS, 2)
    assert (long.numbers["over"], long.numbers["at_work"], long.numbers["work_s"]) == (0, 2, 1200)
    died = [structs.replace(line, instance="i0") for line in STARTED]
    gone = platform((15, "Container called exit(1)."))
    assert of(duration.TOO_LONG, said(log(), LATE, gone, capacity({38: 1}), items=lines(*EIGHT, *died))) == []
    ended = [*STARTED, *(mark(Means.DONE_ITEM, 2, item) for item in ("a", "b"))]
    assert of(duration.TOO_LONG, said(log(), LATE, platform(), capacity({38: 1}), items=lines(*EIGHT, *ended))) == []


def test_what_was_cut_off_may_have_ended_without_a_word() -> None:
    cut = log(*(row(m, 504, TIMED_OUT, latency_s=300) for m in (10, 4)))
    told = said(cut, LATE, platform(), capacity({38: 1}, pending_s=300), items=lines(*EIGHT, *STARTED))
    assert of(duration.TOO_LONG, told) == []
    ended = one(duration.TIMED_OUT, told)
    assert (ended.status, ended.bears, ended.held) == (Status.FAULT, Bears.HOLDS, 2)


def test_items_that_fail_with_a_line_of_their_own_are_not_what_cloud_run_cut_off() -> None:
    cut = log(*(row(m, 504, TIMED_OUT, latency_s=300) for m in (10, 4)))
    fails = [*failed("a", 20, 12, 6), *failed("b", 20, 12, 6)]
    ended = one(duration.TIMED_OUT, said(cut, LATE, platform(), items=lines(*EIGHT, *fails)))
    assert ended.bears is not Bears.HOLDS


def test_fine_says_how_many_the_log_has_and_no_more() -> None:
    told = said(log(*(row(m, 200) for m in (20, 10))), pushes(ack={10: 2}), platform())
    assert one(error_answers.FINE, told).status is Status.OK
    assert "has 2 that went well" in one(error_answers.FINE, told).says
    silent = said(log(), pushes(ack={1: 2}), platform())
    assert one(error_answers.FINE, silent).status is Status.UNKNOWN


def test_as_many_as_are_read_at_most_are_so_many_or_more() -> None:
    """A log with exactly so many in the window is told the same: nothing tells the two apart."""
    newest = [row(n / 10, 200) for n in range(FINE_AT_MOST, 0, -1)]
    full = said(log(*newest), pushes(ack={10: 200}), platform())
    assert "has 100 or more that went well" in one(error_answers.FINE, full).says
    reaches_back = said(log(row(600, 200), *newest[1:]), pushes(ack={10: 200}), platform())
    assert "has 99 that went well" in one(error_answers.FINE, reaches_back).says


@pytest.mark.parametrize(
    ("statuses", "whole", "says"),
    [
        ((500, 500, 500), True, "3 pushes answered 500 by the application itself, all of them in the last 5 min"),
        ((500, 500, 500), False, "3 or more pushes answered 500 by the application itself, all of them in"),
    ],
)
def test_what_was_read_in_part_is_so_many_or_more(statuses: tuple[int, ...], whole: bool, says: str) -> None:
    told = said(
        log(*(row(n, s) for n, s in enumerate(statuses, 1)), whole=whole), pushes(remote_server_5xx={2: 3}), platform()
    )
    assert says in one(error_answers.ERRORS, told).says


def test_what_fails_holds_nothing_that_cannot_have_come_to_it() -> None:
    """Two old messages are refused, and nothing else waits: the batch lost its own on the way."""
    refused = [row(m, 400) for m in range(1, 38, 3)]
    counted = pushes(remote_server_4xx=dict.fromkeys(range(1, 38, 3), 1.0))
    waits = Backlog(
        source=SOURCE, undelivered=(series({41: 2, 0: 2}),), oldest_age_s=(series({0: 9e4}),), outstanding=()
    )
    letters = DeadLetterCounts(source=SOURCE, series=())

    def unreadable(backlog_: Backlog) -> Finding:
        found = (log(*refused), counted, platform(), (("DeadLetterCounts", Leg.REQUEST), letters))
        return one(error_answers.UNREADABLE, findings(step, TEN, lines(), (("Backlog", Leg.REQUEST), backlog_), *found))

    lost, kept = unreadable(waits), unreadable(structs.replace(waits, undelivered=(series({41: 2, 0: 12}),)))
    assert (lost.bears, lost.held) == (Bears.APART, 0)
    assert (kept.bears, kept.held) == (Bears.HOLDS, 10)


def test_of_what_a_gate_picked_out_all_that_fail_are_no_fair_sample() -> None:
    items = lines(*failed("a", 30, 20, 2), *failed("b", 29, 19, 1))

    def broken(*gate: Mark) -> Finding:
        begun = batch(20, 2, *gate)
        found = (items, log(row(1, 500)), pushes(remote_server_5xx={1: 2}), platform())
        return one(failing_items.ALL_FAIL, findings(step, begun, *found))

    picked = mark(Means.GATE, BEGAN - 0.2, count=2, of=20)
    half = mark(Means.GATE, BEGAN - 0.2, count=2, of=4)
    assert (
        broken(picked).numbers["picked_from"],
        broken(half).numbers["picked_from"],
        broken().numbers["picked_from"],
    ) == (20, 0, 0)


@pytest.mark.parametrize(("whole", "read_to", "explained"), [(True, 0, 3), (False, 0, 3), (False, 20, 0)])
def test_why_containers_die_is_not_known_where_their_newest_lines_were_not_read(
    whole: bool, read_to: float, explained: int
) -> None:
    """The oldest may be missing: what was said last is known all the same."""
    rows = [row(m, 503, BROKEN) for m in (31, 30, 29)]
    key, died = platform(*((m, EXITED) for m in (31, 30, 29)), whole=whole, read_to=read_to)
    assert isinstance(died, PlatformLines)
    last = PlatformLine(at=ago(29.1), log="stderr", severity="DEFAULT", text="panic: no such table", instance="i2")
    lately = [row(m, 503, BROKEN) for m in (2, 1)]
    dead = one(
        containers.CRASHING,
        said(
            log(*rows, *lately),
            pushes(remote_server_5xx={2: 2}),
            (key, structs.replace(died, lines=(*died.lines, last))),
        ),
    )
    assert dead.words["why"] and dead.numbers["explained"] == explained


def test_a_reason_of_which_others_used_up_their_attempts_does_not_pass_however_few_tries_these_have_had() -> None:
    twice = [m for m in refused_for("blocked", "a", "b", "c") if m.at != ago(20)]
    assert repeating(*twice) == [(3, 0, None)]
    assert repeating(*twice, *refused_for("blocked", "d")) == [(4, 4, "blocked")]
    assert repeating(*twice, *refused_for("another", "d")) == [(4, 1, "another")]
