"""What is in the results table against what batches said: what is missing, what only looks so, and what nothing tells."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.verdict import decide
from diagnostics.conclude.diagnosis import Header
from diagnostics.conclude.levels import levels
from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    DownstreamDay,
    DownstreamRows,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leading,
    Leg,
    Made,
    Mark,
    Means,
    ResultDay,
    ResultRows,
    Unseen,
    Why,
)
from diagnostics.pipeline.results import DownstreamProfile, ResultsProfile
from diagnostics.question.ask import Ask, Deploy
from diagnostics.readings.ledger import Ledger, build
from diagnostics.run.investigate import Case, worth_reading
from diagnostics.steps import outcome
from diagnostics.steps.finding import AnyCode, Bears, Finding, Status
from diagnostics.steps.outcome import claims
from diagnostics.steps.outcome.dates import spoken
from diagnostics.steps.outcome.lately import lately
from diagnostics.steps.outcome.of_batch import UNREAD, of_batch
from diagnostics.steps.outcome.pending import PENDING, UNCOUNTED
from diagnostics.steps.run import Step, run
from tests.readings.ledger.test_ledger import NOW, PROFILE, SOURCE, START, evidence, items, mark

DAY = date(2026, 2, 8)
NAMED = ResultsProfile(
    table="d.t", date="day", item="item", active="active", superseded="superseded", written="written", version="version",
    file="file", names_model=r"v9_\d{8}_\d{6}", varies=("share",), downstream=DownstreamProfile(table="d.made", date="day"),
)  # fmt: skip
ENDED = START - timedelta(hours=2)
"""The batch is long over, so that nothing is still being merged."""


def told(*more: Mark, items_done: int = 4, closed: bool = True) -> tuple[Evidence, ...]:
    """A batch of the eighth of February, closed with its items done, and the one before it."""
    lines = [
        mark(Means.RECEIVED, -200, batch=""),
        mark(Means.CREATED, -199.9, expected=items_done),
        mark(Means.PUBLISHED, -199.5, count=items_done, of=items_done),
    ]
    lines[0] = replace(lines[0], date=DAY.isoformat())
    if closed:
        lines.append(mark(Means.CLOSED, -190, count=items_done, of=items_done))
    status = BatchStatus(
        source=SOURCE, batch="B", exists=True, expected=items_done, completed=items_done, closed=closed
    )
    earlier = mark(Means.DONE_ITEM, -900, "other", batch="A")
    return BatchMarks(source=SOURCE, marks=tuple(lines)), status, items(earlier, *more)


def done(count: int, means: Means = Means.DONE_ITEM) -> list[Mark]:
    return [mark(means, -195, f"i{n}") for n in range(count)]


def rows(*days: ResultDay, since: datetime | None = None, **more: object) -> ResultRows:
    found = ResultRows(
        source=SOURCE,
        table="p.d.t",
        since=DAY - timedelta(days=7),
        until=DAY,
        days=days,
        read_bytes=2048,
        written_since=since,
    )
    return replace(found, **more)


def day(rows: int = 4, active: int | None = None, of: date = DAY, written: float = -192, **more: object) -> ResultDay:
    active = rows if active is None else active
    at = START + timedelta(minutes=written)
    found = ResultDay(
        day=of, rows=rows, active=active, items=rows, active_items=active, active_superseded=0, first=at, last=at,
        made=(Made(version="v9_20260201_011018", file="", rows=rows, active=active),) if rows else (),
    )  # fmt: skip
    return replace(found, **more)


def made(*days: date) -> DownstreamRows:
    return DownstreamRows(
        source=SOURCE,
        table="p.d.made",
        since=DAY,
        until=DAY,
        read_bytes=1,
        days=tuple(DownstreamDay(day=d, rows=3) for d in days),
    )


def findings(
    *found: Evidence | Unseen, named: ResultsProfile = NAMED, step: Step = outcome.outcome, ask: Ask | None = None
) -> tuple[Finding, ...]:
    gaps = {f.what: f for f in found if isinstance(f, Unseen)}
    seen = evidence(*(f for f in found if not isinstance(f, Unseen)))
    for what, gap in gaps.items():
        seen = seen.with_(type(what, (), {}), None, gap)
    profile = replace(PROFILE, results=named)
    return run([step], seen, build(seen, profile, "B"), profile, [], ask or Ask(batch="B")).findings


def stands(said: tuple[Finding, ...], code: AnyCode) -> Status | None:
    return next((f.status for f in said if f.code == code.name), None)


def test_what_is_there_is_there() -> None:
    said = findings(*told(*done(4)), rows(day()), made(DAY))
    assert stands(said, claims.WRITTEN) is Status.OK
    assert {f.status for f in said} == {Status.OK}


def test_a_date_without_a_row_is_a_fault_where_the_worker_gave_nothing_up() -> None:
    said = findings(*told(*done(4)), rows(), made())
    assert stands(said, claims.MISSING) is Status.FAULT
    (lost,) = claims.MISSING.told(said)
    assert (lost.claimed, lost.found, lost.by_worker) == (4, 0, 1)


def test_what_the_worker_gave_up_is_not_missing() -> None:
    all_given_up = findings(*told(*done(4, Means.SKIPPED_ITEM)), rows(), made())
    assert stands(all_given_up, claims.MISSING) is None
    one = findings(*told(*done(3), mark(Means.SKIPPED_ITEM, -195, "i3")), rows(day(3)), made(DAY))
    assert stands(one, claims.SHORT) is None
    assert stands(one, claims.WRITTEN) is Status.OK


def test_items_without_a_row_are_missing_though_the_date_has_others() -> None:
    said = findings(*told(*done(4)), rows(day(3)), made(DAY))
    (lost,) = claims.SHORT.told(said)
    assert (lost.claimed, lost.found) == (4, 3)


def test_fewer_rows_than_items_are_too_few_whatever_names_the_items() -> None:
    bare = replace(NAMED, item="")

    def of(there: int) -> tuple[Finding, ...]:
        return findings(*told(*done(4)), rows(day(there, items=None, active_items=None)), made(DAY), named=bare)

    (lost,) = claims.SHORT.told(of(3))
    assert (lost.claimed, lost.found) == (4, 3)
    assert stands(of(4), claims.SHORT) is None
    assert stands(of(4), claims.COMPLETE) is None, "one item may have two rows, and another none"


def test_rows_of_an_earlier_batch_of_the_date_are_not_this_ones() -> None:
    began = START + timedelta(minutes=-200)
    said = findings(*told(*done(4)), rows(day(9, written_items=3), since=began), made(DAY))
    (lost,) = claims.SHORT.told(said)
    assert lost.found == 3
    older = findings(*told(*done(4)), rows(day(9, written=-400, written_items=0), since=began), made(DAY))
    assert stands(older, claims.OLDER) is Status.FAULT


@pytest.mark.parametrize("lines", ["hidden", "cut", "another build", "other words"])
def test_where_the_workers_lines_do_not_tell_it_is_a_warning_at_most(lines: str) -> None:
    marks, status, of_items = told(*done(4))
    assert isinstance(of_items, ItemMarks)
    known: dict[str, Evidence | Unseen] = {
        "hidden": Unseen(what="ItemMarks", why=Why.PERMISSION_DENIED, says="no"),
        "cut": replace(of_items, source=replace(SOURCE, complete=False)),
        "another build": replace(of_items, marks=of_items.marks[1:]),  # the marker matched for no other batch
        "other words": items(*(mark(Means.RETURNED_ITEM, -194, f"i{n}") for n in range(4))),
    }
    gone = known[lines]
    said = findings(marks, status, gone, rows(), made())
    assert stands(said, claims.MISSING) is Status.WARNING
    assert "what was given up counts there, too" in next(f.says for f in said if f.code == claims.MISSING.name)


@pytest.mark.parametrize("lines", ["hidden", "cut"])
def test_fewer_rows_than_items_are_neither_well_nor_missing_where_the_lines_were_not_seen_whole(lines: str) -> None:
    marks, status, of_items = told(*done(4))
    assert isinstance(of_items, ItemMarks)
    known: dict[str, Evidence | Unseen] = {
        "hidden": Unseen(what="ItemMarks", why=Why.PERMISSION_DENIED, says="no"),
        "cut": replace(of_items, source=replace(SOURCE, complete=False)),
    }
    said = findings(marks, status, known[lines], rows(day(3)), made(DAY))
    assert stands(said, claims.UNTOLD) is Status.UNKNOWN
    assert (stands(said, claims.SHORT), stands(said, claims.WRITTEN)) == (None, None)


def half_told(rows_there: int) -> tuple[Finding, ...]:
    """Six of ten items have a line of the worker's own that they are done, the others only came back."""
    marks, status, _ = told(items_done=10)
    back = [mark(Means.RETURNED_ITEM, -194, f"i{n}") for n in range(10)]
    earlier = mark(Means.DONE_ITEM, -900, "other", batch="A")
    return findings(marks, status, items(earlier, *done(6), *back), rows(day(rows_there)), made(DAY))


def test_items_that_only_came_back_may_have_been_given_up_in_words_that_no_marker_knows() -> None:
    said = half_told(6)
    (short,) = (f for f in said if f.code == claims.SHORT.name)
    assert (short.status, short.held) == (Status.WARNING, 0)
    assert "none of which the worker gave up" not in short.says
    (cause,) = decide(CATALOGUE, said, list(Leg)).live
    assert (cause.match.cause.code, cause.match.settled) == ("results-missing", False)


def test_fewer_rows_than_the_worker_itself_says_it_made_are_too_few_for_certain() -> None:
    said = half_told(4)
    (short,) = (f for f in said if f.code == claims.SHORT.name)
    assert (short.status, short.held) == (Status.FAULT, 2)
    (lost,) = claims.SHORT.told(said)
    assert (lost.claimed, lost.found, lost.by_worker) == (6, 4, 1)
    (cause,) = decide(CATALOGUE, said, list(Leg)).live
    assert cause.match.settled


def test_a_batch_that_is_open_or_was_closed_a_moment_ago_has_claimed_nothing_yet() -> None:
    assert stands(findings(*told(*done(4), closed=False), rows(), made()), claims.MISSING) is None
    marks, status, lines = told(*done(4))
    assert isinstance(marks, BatchMarks)
    late = replace(marks, marks=(*marks.marks[:-1], replace(marks.marks[-1], at=NOW - timedelta(minutes=2))))
    assert stands(findings(late, status, lines, rows(), made()), claims.MISSING) is None


def test_the_line_that_counts_is_read_whichever_line_of_closing_comes_last() -> None:
    other = [
        replace(mark(Means.RECEIVED, -300, batch=""), date="2026-02-05", trace="u"),
        replace(mark(Means.CREATED, -299, batch="A", expected=9), trace="u"),
        replace(mark(Means.CLOSED, -290, batch="A", count=9, of=9), trace="u"),
        replace(mark(Means.CLOSED, -290, batch="A"), trace="u"),
    ]
    marks, status, lines = told(*done(4))
    assert isinstance(marks, BatchMarks)
    both = replace(marks, marks=(*other, *marks.marks))
    said = findings(both, status, lines, rows(day()), made(DAY))
    assert stands(said, claims.MISSING) is Status.WARNING
    (lost,) = claims.MISSING.told(said)
    assert (lost.claimed, lost.date_) == (9, "2026-02-05")


def test_more_rows_than_rows_in_force_are_no_fault() -> None:
    said = findings(*told(*done(4)), rows(day(11, 4, active_items=4, items=4)), made(DAY))
    assert {f.status for f in said} == {Status.OK}


def test_replaced_rows_in_force_and_items_with_none_are_told_apart() -> None:
    both = findings(*told(*done(4)), rows(day(8, 8, active_superseded=4)), made(DAY))
    assert stands(both, outcome.SUPERSEDED) is Status.WARNING
    assert stands(both, outcome.INACTIVE) is None
    none = findings(*told(*done(4)), rows(day(8, 5, items=8, active_items=5)), made(DAY))
    assert stands(none, outcome.SUPERSEDED) is None
    assert [told.rows for told in outcome.INACTIVE.told(none)] == [3]


def test_items_of_which_no_row_is_in_force_may_have_been_withdrawn_where_others_are() -> None:
    def settled(there: ResultDay) -> bool:
        (cause,) = decide(CATALOGUE, findings(*told(*done(4)), rows(there), made(DAY)), list(Leg)).live
        assert cause.match.cause.code == "superseded-results-in-force"
        return cause.match.settled

    assert not settled(day(8, 5, items=8, active_items=5))
    assert settled(day(8, 0)), "nothing of that date is in force"
    assert settled(day(8, 8, active_superseded=4))


def test_a_constant_version_names_no_model_and_neither_does_none() -> None:
    def of(version: str, active: int = 4) -> tuple[Finding, ...]:
        made_by = (Made(version=version, file="", rows=4, active=active),)
        return findings(*told(*done(4)), rows(day(made=made_by)), made(DAY))

    assert stands(of("v9_current_season"), outcome.UNNAMED) is Status.WARNING
    assert stands(of(""), outcome.UNNAMED) is Status.WARNING
    assert stands(of("v9_20260201_011018"), outcome.UNNAMED) is None
    assert stands(of("v9_20260201_011018"), outcome.NAMED) is Status.OK
    assert stands(of("v9_current_season", active=0), outcome.UNNAMED) is None  # replaced since


@pytest.mark.parametrize(
    ("file", "warns"),
    [
        ("catboost_v9_33f_train20251102-20260208_20260209_170526.cbm", True),
        ("gs://b/catboost_v9_33f_train20251102-20260209_20260210_170526.cbm", True),
        ("catboost_v9_33f_train20251102-20260207_20260208_170526.cbm", False),
        ("catboost_v9_33features_20260201_011018.cbm", False),  # does not tell
        ("catboost_v9_33f_train20260209-20251102_20260210_170526.cbm", False),  # cannot be right
        ("", False),
    ],
)
def test_results_for_dates_that_the_model_was_trained_on(file: str, warns: bool) -> None:
    made_by = (Made(version="v9_20260201_011018", file=file, rows=4, active=4),)
    said = findings(*told(*done(4)), rows(day(made=made_by)), made(DAY))
    assert stands(said, outcome.TRAINED_ON) is (Status.WARNING if warns else None)
    replaced = (Made(version="v9_20260201_011018", file=file, rows=4, active=0),)
    assert stands(findings(*told(*done(4)), rows(day(made=replaced)), made(DAY)), outcome.TRAINED_ON) is None


@pytest.mark.parametrize(
    ("active", "alike", "warns"), [(100, 90, True), (100, 89, False), (19, 19, False), (20, 18, True)]
)
def test_one_value_in_nearly_all_rows_of_a_date_with_enough_of_them(active: int, alike: int, warns: bool) -> None:
    leading = (Leading(column="share", value="50.0", rows=alike),)
    said = findings(*told(*done(4)), rows(day(active, leading=leading)), made(DAY))
    assert stands(said, outcome.FILLED) is (Status.WARNING if warns else None)


def test_what_is_made_of_the_results_may_take_its_time() -> None:
    assert stands(findings(*told(*done(4)), rows(day()), made()), outcome.DOWNSTREAM) is None  # three hours old
    late = findings(*told(*done(4)), rows(day(written=-600)), made())
    assert stands(late, outcome.DOWNSTREAM) is Status.WARNING
    nothing_in_force = findings(*told(*done(4)), rows(day(4, 0, written=-600)), made())
    assert stands(nothing_in_force, outcome.DOWNSTREAM) is None


def test_what_is_made_of_them_and_was_not_seen_is_unknown() -> None:
    hidden = Unseen(what="DownstreamRows", why=Why.PERMISSION_DENIED, says="no", permission="bigquery.tables.getData")
    said = findings(*told(*done(4)), rows(day()), hidden)
    assert stands(said, outcome.DOWNSTREAM_HIDDEN) is Status.UNKNOWN


def test_a_table_that_was_not_seen_clears_nothing() -> None:
    gone = Unseen(what="ResultRows", why=Why.PERMISSION_DENIED, says="bigquery.jobs.create is missing")
    (said,) = findings(*told(*done(4)), gone, made())
    assert (said.code, said.status) == ("outcome.not_checked", Status.UNKNOWN)


def test_dates_are_said_as_spans() -> None:
    assert spoken([DAY]) == "2026-02-08"
    assert spoken([date(2026, 2, 3), date(2026, 1, 31), date(2026, 2, 1)]) == "2026-01-31 to 2026-02-01, 2026-02-03"
    assert spoken([date(2026, 1, n) for n in range(1, 20, 2)]).endswith("and 6 more spans")


# What `batch` says of it, and what the worker itself said


def unstored(*names: str) -> list[Mark]:
    """Items whose result the worker could not store, and that came back as done."""
    marks = (Means.STARTED_ITEM, Means.WRITE_FAILED, Means.RETURNED_ITEM)
    return [mark(means, -195 + at / 10, name) for name in names for at, means in enumerate(marks)]


def of_the_batch(*found: Evidence | Unseen) -> tuple[Finding, ...]:
    return findings(*found, step=of_batch)


def test_what_the_worker_could_not_store_is_told_apart_from_what_is_missing_beside_it() -> None:
    lines = [*done(2), *unstored("i2", "i3")]
    both = findings(*told(*lines), rows(day(2, of=DAY)), made(DAY))
    (lost,) = claims.NOT_STORED.told(both)
    assert (lost.claimed, lost.found) == (4, 2)
    assert stands(both, claims.SHORT) is None, "the worker said of as many as are missing why"
    assert stands(both, claims.UNTOLD) is Status.UNKNOWN, "whether of those, no name tells"
    assert all("of those" not in f.says and "all of them" not in f.says for f in both)
    more = findings(*told(*lines), rows(day(1, of=DAY)), made(DAY))
    assert [(f.code, f.held) for f in more if f.code in ("outcome.not_stored", "outcome.short")] == [
        ("outcome.not_stored", 2),
        ("outcome.short", 1),
    ]
    none = findings(*told(*unstored("i0", "i1", "i2", "i3")), rows(), made())
    assert stands(none, claims.NOT_STORED) is Status.FAULT
    assert stands(none, claims.MISSING) is None
    assert stands(none, claims.UNTOLD) is None, "there is no other item that could lack one"


def test_what_could_not_be_stored_may_have_rows_and_others_lack_them() -> None:
    marks, status, _ = told(items_done=6)
    back = [mark(Means.RETURNED_ITEM, -194, f"i{n}") for n in range(6)]
    earlier = mark(Means.DONE_ITEM, -900, "other", batch="A")
    lines = items(earlier, *done(2), *unstored("i2", "i3"), *back)
    said = findings(marks, status, lines, rows(day(4)), made(DAY))
    assert stands(said, claims.NOT_STORED) is Status.WARNING
    assert stands(said, claims.UNTOLD) is Status.UNKNOWN


def test_failed_writes_of_which_every_row_is_there_lost_nothing() -> None:
    began = START - timedelta(minutes=200)
    lines = [*done(2), *unstored("i2", "i3")]
    all_there = findings(*told(*lines), rows(day(4, written_items=4), since=began), made(DAY))
    assert stands(all_there, claims.COMPLETE) is Status.OK
    assert "writes-fail-behind-acks" not in live(all_there)
    older_may_count = findings(*told(*lines), rows(day(4)), made(DAY))
    assert stands(older_may_count, claims.COMPLETE) is None, "rows of an earlier batch count, too"
    assert "writes-fail-behind-acks" in live(older_may_count)


def test_results_that_the_worker_said_it_lost_are_no_second_cause() -> None:
    lines = [*done(2), *unstored("i2", "i3")]
    assert live(findings(*told(*lines), rows(day(2)), made(DAY))) == {"writes-fail-behind-acks"}
    assert live(findings(*told(*lines), rows(day(1)), made(DAY))) == {"writes-fail-behind-acks", "results-missing"}
    assert live(findings(*told(*done(4)), rows(day(1)), made(DAY))) == {"results-missing"}


def live(said: tuple[Finding, ...]) -> set[str]:
    return {x.match.cause.code for x in decide(CATALOGUE, said, list(Leg)).live}


def test_a_batch_that_is_done_lacks_its_results_as_a_warning() -> None:
    said = of_the_batch(*told(*done(4)), rows(), made())
    assert stands(said, claims.MISSING) is Status.WARNING
    assert {f.bears for f in said if f.code == claims.MISSING.name} == {Bears.SLOWS}
    (cause,) = decide(CATALOGUE, said, list(Leg)).live
    assert cause.match.settled, "that it is said as a warning makes it no less sure"


def test_other_dates_are_not_the_batchs() -> None:
    other = day(9, 9, of=DAY - timedelta(days=1), active_superseded=9)
    said = of_the_batch(*told(*done(4)), rows(other, day(4)), made(DAY))
    assert stands(said, outcome.SUPERSEDED) is None
    assert "4 rows on 1 date" in next(f.says for f in said if f.code == outcome.ROWS.name)


def test_a_date_that_was_done_again_says_nothing_of_the_batch_before() -> None:
    batches, status, lines = told(*done(4))
    assert isinstance(batches, BatchMarks)
    again = [
        replace(mark(Means.RECEIVED, -100, batch=""), date=DAY.isoformat()),
        mark(Means.CREATED, -99.9, batch="C", expected=1),
        mark(Means.CLOSED, -90, batch="C", count=1, of=1),
    ]
    later = replace(batches, marks=(*batches.marks, *again))
    said = of_the_batch(later, status, lines, rows(day(1, active_superseded=1)), made(DAY))
    assert stands(said, claims.REDONE) is Status.OK
    assert stands(said, claims.SHORT) is None
    assert {f.bears for f in said if f.code == outcome.SUPERSEDED.name} == {Bears.APART}


def later_and_open(*more: Mark) -> tuple[Evidence, ...]:
    """A batch whose results could not all be stored, and a later one of the same date, which is under way."""
    batches, status, lines = told(*done(2), *unstored("i2", "i3"))
    assert isinstance(batches, BatchMarks)
    again = [replace(mark(Means.RECEIVED, -100, batch=""), date=DAY.isoformat())]
    return replace(batches, marks=(*batches.marks, *again, *more)), status, lines


CREATED_AGAIN = mark(Means.CREATED, -99.9, batch="C", expected=4)


@pytest.mark.parametrize("step", [outcome.outcome, of_batch])
@pytest.mark.parametrize("ended", [(), (mark(Means.CLOSED, -90, batch="C", count=4, of=4),)], ids=["open", "closed"])
def test_rows_of_a_later_batch_clear_no_earlier_one(step: Step, ended: tuple[Mark, ...]) -> None:
    there = rows(day(4, written_items=4), since=START - timedelta(minutes=200))
    said = findings(*later_and_open(CREATED_AGAIN, *ended), there, made(DAY), step=step)
    assert stands(said, claims.REDONE) is Status.OK
    assert stands(said, claims.COMPLETE) is None
    assert not [f for f in said if f.code in ("outcome.not_stored", "outcome.short", "outcome.untold")]
    if step is outcome.outcome:
        assert "writes-fail-behind-acks" in live(said)


def test_a_later_start_that_was_refused_or_had_nothing_to_do_wrote_nothing() -> None:
    for means in (Means.REFUSED, Means.EMPTY):
        said = of_the_batch(*later_and_open(mark(means, -99.9, batch="C")), rows(day(1)), made(DAY))
        assert stands(said, claims.REDONE) is None
        assert stands(said, claims.SHORT) is Status.WARNING


@pytest.mark.parametrize(
    ("why", "unread"),
    [
        (Why.NOT_ASKED, None),
        (Why.NOT_CONFIGURED, Status.UNKNOWN),
        (Why.FAILED, Status.UNKNOWN),
        (Why.PERMISSION_DENIED, Status.UNKNOWN),
        (Why.TIMED_OUT, Status.UNKNOWN),
    ],
)
def test_of_a_batch_that_is_done_it_is_said_that_the_table_was_not_read(why: Why, unread: Status | None) -> None:
    gone = Unseen(what="ResultRows", why=why, says="no")
    assert stands(of_the_batch(*told(*done(4)), gone), UNREAD) is unread
    assert stands(of_the_batch(*told(*done(4), closed=False), gone), UNREAD) is None, "there it matters to nobody"


def test_the_table_is_read_only_for_a_batch_that_is_closed_and_had_its_time() -> None:
    def worth(*seen: Evidence, now: datetime = NOW, named: ResultsProfile | None = NAMED) -> set[type[Evidence]]:
        held = evidence(*seen)
        held = EvidenceSet(dict(held.items()), now, held.lookback, held.since)
        profile = replace(PROFILE, results=named)
        return worth_reading(Case("batch", held, profile, Ask(batch="B"), Header(pipeline="p", project="p", region="")))

    assert worth(*told(*done(4))) == {ResultRows, DownstreamRows}
    assert worth(*told(*done(4), closed=False)) == set()
    assert worth(*told(*done(4)), named=None) == set()
    assert worth(*told(*done(4)), now=START - timedelta(minutes=185)) == set(), "it may still be merging"


# Batches of which nothing can be said yet


def another(*more: Mark, of: date = DAY - timedelta(days=1)) -> list[Mark]:
    """The lines of batch A, of the date before, which began earlier."""
    lines = [replace(mark(Means.RECEIVED, -300, batch=""), date=of.isoformat(), trace="u")]
    return [*lines, *(replace(m, trace="u") for m in (mark(Means.CREATED, -299, batch="A", expected=9), *more))]


def beside(lines: list[Mark], **more: Any) -> tuple[Evidence, ...]:
    """The lines of another batch before those of the one that was asked about, which is done."""
    marks, status, of_items = told(*done(4), **more)
    assert isinstance(marks, BatchMarks)
    return replace(marks, marks=(*lines, *marks.marks)), status, of_items


WEEK = Ask(days=(DAY - timedelta(days=7), DAY))
CLOSED_A = mark(Means.CLOSED, -290, batch="A", count=9, of=9)
BEFORE = DAY - timedelta(days=1)


def test_fewer_rows_than_another_batch_counted_are_neither_well_nor_missing() -> None:
    said = findings(*beside(another(CLOSED_A)), rows(day(7, of=BEFORE), day()), made(BEFORE, DAY), ask=WEEK)
    (untold,) = (f for f in said if f.code == claims.UNTOLD.name)
    assert untold.status is Status.UNKNOWN
    assert "A ended with 9 items done for 2026-02-07, and 7 have a row: 2 are missing" in untold.says
    assert untold.says.endswith("pubsub-diag outcome A")
    enough = findings(*beside(another(CLOSED_A)), rows(day(9, of=BEFORE), day()), made(BEFORE, DAY), ask=WEEK)
    assert {f.status for f in enough} == {Status.OK}


def uncounted(batches: Evidence | Unseen, there: ResultRows) -> Status | None:
    _, status, lines = told(*done(4))
    return stands(findings(batches, status, lines, there, made(BEFORE, DAY), ask=WEEK), UNCOUNTED)


def test_dates_of_which_no_batch_is_known_are_compared_with_nothing() -> None:
    batches, _, _ = told(*done(4))
    both = replace(rows(day(7, of=BEFORE), day()), since=BEFORE)
    hidden = Unseen(what="BatchMarks", why=Why.PERMISSION_DENIED, says="no")
    cut = replace(batches, source=replace(SOURCE, complete=False))
    assert uncounted(hidden, both) is Status.UNKNOWN
    assert uncounted(cut, both) is Status.UNKNOWN
    assert uncounted(batches, both) is Status.IDLE, "it may be as old as no line is"
    assert uncounted(cut, replace(both, since=DAY)) is None, "the batch of that date is known"
    assert uncounted(batches, replace(rows(day()), since=BEFORE)) is None, "no batch and no row"
    assert uncounted(replace(hidden, why=Why.NOT_CONFIGURED), replace(rows(), since=BEFORE)) is None, (
        "none is described"
    )


def test_a_batch_that_is_open_leaves_open_what_came_of_it() -> None:
    for there in (rows(day(2)), rows()):
        (said,) = (f for f in findings(*told(*done(2), closed=False), there, made()) if f.code == PENDING.name)
        assert (said.status, said.says.startswith("B is not known to be closed")) == (Status.UNKNOWN, True)
    other = findings(*beside(another()), rows(day(9, of=BEFORE), day()), made(BEFORE, DAY), ask=WEEK)
    assert [f.says.split(":")[0] for f in other if f.code == PENDING.name] == ["no line tells that A was closed"]
    elsewhere = findings(*beside(another()), replace(rows(day()), since=DAY), made(DAY), ask=Ask(days=(DAY, DAY)))
    assert stands(elsewhere, PENDING) is None, "that date was not asked about"


def test_a_batch_that_was_replaced_or_turned_away_need_not_be_closed() -> None:
    replaced = findings(*beside(another(of=DAY)), rows(day()), made(DAY), ask=WEEK)
    assert stands(replaced, PENDING) is None, "a later one of that date is closed"
    refused = [replace(mark(Means.REFUSED, -299, batch="A"), date=BEFORE.isoformat(), trace="u")]
    assert stands(findings(*beside(refused), rows(day()), made(DAY), ask=WEEK), PENDING) is None


def test_results_of_a_batch_that_was_closed_a_moment_ago_may_be_on_their_way() -> None:
    marks, status, lines = told(*done(4))
    assert isinstance(marks, BatchMarks)
    late = replace(marks, marks=(*marks.marks[:-1], replace(marks.marks[-1], at=NOW - timedelta(minutes=2))))
    said = findings(late, status, lines, rows(day(3)), made())
    (found,) = (f for f in said if f.code == PENDING.name)
    assert found.status is Status.UNKNOWN and "ask again after" in found.says
    assert stands(said, claims.SHORT) is None


def test_a_batch_of_no_date_is_compared_with_nothing() -> None:
    marks, status, lines = told(*done(4))
    assert isinstance(marks, BatchMarks)
    undated = replace(marks, marks=tuple(replace(m, date="") for m in marks.marks))
    (found,) = (f for f in findings(undated, status, lines, rows(day()), made(DAY)) if f.code == PENDING.name)
    assert "no line tells of which date B is" in found.says
    assert stands(findings(undated, status, lines, rows(day()), made(DAY), ask=WEEK), PENDING) is None


def test_a_batch_of_which_no_line_tells_is_compared_with_nothing() -> None:
    batches = BatchMarks(source=SOURCE, marks=tuple(another(CLOSED_A)))
    said = findings(batches, items(), rows(day(9, of=BEFORE), day()), made(BEFORE, DAY))
    assert [f.subject and f.subject.name for f in said if f.code == PENDING.name] == ["B"]


def test_dates_without_a_row_are_named() -> None:
    (said,) = (f for f in findings(*told(*done(4)), rows(day()), made(DAY)) if f.code == outcome.ROWS.name)
    assert "none of 2026-02-01 to 2026-02-07" in said.says


# What a health check says of it, which asks about no batch


def of_health(
    *found: Evidence | Unseen, deploy: datetime | None = None, named: ResultsProfile | None = NAMED
) -> tuple[Finding, ...]:
    held = evidence(*(f for f in found if not isinstance(f, Unseen)))
    for gap in (f for f in found if isinstance(f, Unseen)):
        held = held.with_(type(gap.what, (), {}), None, gap)
    asked = Ask(deploy=Deploy(at=deploy) if deploy else None)
    return run([lately], held, Ledger(), replace(PROFILE, results=named), [], asked).findings


def test_a_health_check_says_what_is_amiss_with_the_newest_results_alone() -> None:
    old = day(9, 9, of=DAY - timedelta(days=1), active_superseded=9)
    assert {f.code for f in of_health(rows(old, day(4)), made(DAY))} <= {outcome.NAMED.name}
    assert stands(of_health(rows(old), made(DAY)), outcome.SUPERSEDED) is Status.WARNING


def test_a_health_check_looks_past_no_results_of_which_none_is_in_force() -> None:
    old = day(9, 9, of=DAY - timedelta(days=1), active_superseded=9)
    for named in (NAMED, replace(NAMED, item="")):
        said = of_health(rows(old, day(4, 0)), made(DAY), named=named)
        assert stands(said, outcome.INACTIVE) is Status.WARNING
        assert [told.dates for told in outcome.INACTIVE.told(said)] == ["2026-02-08"]
        assert stands(said, outcome.SUPERSEDED) is None
        assert [told.rows for told in outcome.INACTIVE.told(said)] == [4]
    none_of_those = of_health(rows(day(9, 9, of=DAY - timedelta(days=1)), day(0)), made(DAY))
    assert stands(none_of_those, outcome.INACTIVE) is None, "a date without rows has no results yet"


def test_results_from_before_a_deploy_say_nothing_of_it() -> None:
    bad = rows(day(4, active_superseded=4))
    assert stands(of_health(bad, made(DAY), deploy=START - timedelta(minutes=210)), outcome.SUPERSEDED)
    assert of_health(bad, made(DAY), deploy=START) == ()


def test_results_that_could_not_be_read_leave_open_what_a_health_check_says_of_what_the_profile_names() -> None:
    gone = Unseen(what="ResultRows", why=Why.PERMISSION_DENIED, says="bigquery.jobs.create is missing")
    (said,) = of_health(gone)
    assert said.status is Status.UNKNOWN
    assert {level.name for level in levels((said,), ("traffic",)) if level.says == said.says} == {"config"}
    for why in (Why.NOT_CONFIGURED, Why.FAILED):
        assert stands(of_health(replace(gone, why=why)), UNREAD) is Status.UNKNOWN, "the profile names a table"
    assert of_health(replace(gone, why=Why.NOT_ASKED)) == ()
    assert of_health(replace(gone, why=Why.NOT_CONFIGURED), named=None) == ()
