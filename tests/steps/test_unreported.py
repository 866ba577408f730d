"""Work that was done and could not be reported is done again: that is no progress, nothing is lost by it, and its errors are no riddle."""

from __future__ import annotations

from datetime import timedelta

from diagnostics.evidence.model import Evidence, EvidenceSet, Key, Leg, Mark, Means, Unseen
from diagnostics.readings.ledger import Ledger, build
from diagnostics.steps import processed
from diagnostics.steps.finding import Finding
from diagnostics.steps.processed import error_answers
from tests.steps.built import BEGAN, NOW, PROFILE, ago, batch, done, findings, lines, log, mark, of, row


def again(item: str, *minutes: float) -> list[Mark]:
    """Done, and not reported, each time."""
    means = (Means.STARTED_ITEM, Means.DONE_ITEM, Means.COMPLETION_ERROR)
    return [mark(m, at, item) for at in minutes for m in means]


def ledger(*marks: Mark) -> Ledger:
    seen: dict[Key, Evidence | Unseen] = {("BatchMarks", None): batch(10), ("ItemMarks", None): lines(*marks)}
    return build(EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20)), PROFILE)


def test_what_is_done_again_and_again_is_no_progress() -> None:
    assert ledger(*done("a", minutes=30), *again("b", 20, 10), *again("c", 5)).last_progress == ago(30)


def test_what_an_acking_worker_did_and_never_reported_is_progress_of_a_kind() -> None:
    assert ledger(*done("a", minutes=30), *again("b", 20)).last_progress == ago(20)


def errors(*marks: Mark) -> list[Finding]:
    rows = [row(m, 500) for m in (20, 15, 10, 5)]
    return findings(processed.processed, batch(10), lines(*marks), log(*rows), leg=Leg.REQUEST)


def test_errors_are_of_completions_where_nearly_each_has_a_line_that_says_so() -> None:
    reported = errors(*again("b", 20, 15, 10, 5))
    assert len(of(error_answers.UNREPORTED, reported)) == 1 and not of(error_answers.ERRORS, reported)
    for some in (again("b", 20, 15, 10), again("b", 20, 15), done("a")):
        found = errors(*some)
        assert len(of(error_answers.ERRORS, found)) == 1 and not of(error_answers.UNREPORTED, found)
