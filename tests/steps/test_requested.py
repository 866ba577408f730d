"""Which start attempt is the latest one can only be said where a later one would have been seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import BatchMarks, Mark, Means, Provenance, StartCalls, Unseen, Why
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.requested import LATER, requested

NOW = datetime(2026, 2, 8, 14, 21, tzinfo=UTC)
STARTED = NOW - timedelta(hours=5)
PROFILE = PipelineProfile(name="test", project="p", request=LegProfile(subscription="s"))
ATTEMPT = Attempt("batch-1", [Mark(at=STARTED, means=Means.CREATED, service="coordinator", batch="batch-1")])


def source(as_of: datetime = NOW, complete: bool = True) -> Provenance:
    return Provenance(source="coordinator log", fetched_at=NOW, as_of=as_of, complete=complete, note="cut")


def later(calls: StartCalls | Unseen, asked: str = "") -> list[Status]:
    ledger = Ledger(attempt=ATTEMPT, asked=asked, known_batch=True if asked else None)
    marks = BatchMarks(source=source(), marks=())
    said = requested(ledger, PROFILE, NOW, calls, marks)
    return [f.status for f in said if isinstance(f, Finding) and f.code == LATER.name]


def hidden(why: Why) -> Unseen:
    return Unseen(what="StartCalls", why=why, says="start calls may not be read")


def test_a_hidden_start_call_may_have_been_later() -> None:
    assert later(hidden(Why.PERMISSION_DENIED)) == [Status.UNKNOWN]


def test_a_log_that_ends_too_early_may_lack_a_later_one() -> None:
    cut = StartCalls(source=source(NOW - timedelta(hours=1), complete=False), calls=())
    assert later(cut) == [Status.UNKNOWN]


def test_a_log_that_ends_before_the_latest_attempt_that_was_seen_may_lack_a_later_one_too() -> None:
    cut = StartCalls(source=source(STARTED - timedelta(hours=3), complete=False), calls=())
    assert later(cut) == [Status.UNKNOWN]


def test_what_was_cut_before_the_attempt_hides_no_later_one() -> None:
    assert later(StartCalls(source=source(complete=False), calls=())) == []


def test_a_batch_that_was_asked_for_by_its_id_needs_no_later_one() -> None:
    assert later(hidden(Why.PERMISSION_DENIED), asked="batch-1") == []


def test_a_profile_that_names_no_start_path_hides_nothing() -> None:
    assert later(hidden(Why.NOT_CONFIGURED)) == []
