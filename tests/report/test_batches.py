"""The list of batches: attempts that the log tells of, and batches that only their state tells of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import BatchStatus, Mark, Means, Provenance
from diagnostics.readings.ledger import Attempt
from diagnostics.report.batches import Listed, listing, render
from diagnostics.report.layout import Layout

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="Firestore", fetched_at=NOW, as_of=NOW)


def attempt(batch: str, minutes: float, *more: Mark) -> Attempt:
    began = NOW - timedelta(minutes=minutes)
    created = Mark(means=Means.CREATED, at=began, service="coordinator", batch=batch, numbers={"expected": 40})
    return Attempt(batch=batch, marks=[created, *more])


def kept(batch: str, done: int) -> BatchStatus:
    return BatchStatus(
        source=SOURCE,
        batch=batch,
        exists=True,
        expected=40,
        completed=done,
        closed=False,
        updated=NOW - timedelta(hours=3),
    )


def listed(*attempts: Attempt, states: tuple[BatchStatus, ...]) -> dict[str, Listed]:
    return {b.id: b for b in listing(attempts, None, NOW, kept=states).batches}


def test_an_open_attempt_has_what_its_state_counts() -> None:
    found = listed(attempt("a", 10), states=(kept("a", 15),))
    assert (found["a"].done, found["a"].expected, found["a"].state) == (15, 40, "open")
    assert found["a"].started == NOW - timedelta(minutes=10)


def test_a_batch_that_no_line_names_is_listed_after_those_that_one_does() -> None:
    whole = listing([attempt("a", 10)], None, NOW, kept=(kept("old", 3),))
    assert [b.id for b in whole.batches] == ["a", "old"]
    old = whole.batches[1]
    assert (old.started, old.age_s, old.state, old.done) == (None, None, "open", 3)
    assert old.says == "known by its state alone; last written 3 h 00 min ago"
    assert "old" in render(whole, Layout(width=100))


def test_what_the_log_has_closed_is_not_opened_by_a_state() -> None:
    closed = Mark(means=Means.CLOSED, at=NOW, service="coordinator", batch="a", numbers={"count": 40})
    found = listed(attempt("a", 10, closed), states=(kept("a", 15),))
    assert (found["a"].state, found["a"].done) == ("closed", 40)


def test_the_list_fits_80_columns_and_says_how_long_a_closed_one_took() -> None:
    closed = Mark(means=Means.CLOSED, at=NOW, service="coordinator", numbers={"count": 40})
    whole = listing([attempt(f"batch_2026-02-0{n}_1770588120", 60 * 24 * n, closed) for n in (1, 2)], None, NOW)
    wide, narrow = render(whole, Layout(width=120)), render(whole, Layout(width=80))
    assert "age" in wide.splitlines()[0] and "age" not in narrow.splitlines()[0]
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.splitlines()[2].endswith("closed  it took 2 d 0 h")
