"""The drain forecast holds what it says, and counts alone can tell progress from a stall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from diagnostics.conclude.diagnosis import Batch, Diagnosis, State
from diagnostics.evidence.model import BatchStatus, Evidence, EvidenceSet, ItemMarks, Key, Provenance, Unseen, Why
from diagnostics.run.watch import Sample, glance

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def look(night: Diagnosis, done: int, at: datetime, before: list[Sample]) -> tuple[State, list[Sample]]:
    """What one look says whose only evidence is the batch state's count."""
    batch = Batch(id="b", started=NOW, expected=100, done=done)
    said = msgspec.structs.replace(night, state=State.UNKNOWN, batch=batch, items=())
    source = Provenance(source="test", fetched_at=at, as_of=at)
    status = BatchStatus(source=source, batch="b", exists=True, expected=100, completed=done)
    evidence = EvidenceSet({("BatchStatus", None): status}, now=at, lookback=timedelta(days=7), since=NOW)
    return glance(said, evidence, before).state, [*before, Sample(at, done)]


def test_a_count_that_rises_is_progress_and_one_that_stands_still_for_too_long_a_stall(night: Diagnosis) -> None:
    looks: list[Sample] = []
    for minute in range(8):
        state, looks = look(night, 10 * minute, NOW + minute * MINUTE, looks)
        assert state is State.RUNNING
    patience = timedelta(seconds=10 + 600 + 10 + 15)  # nothing tells the subscription's deadline: the longest there is
    risen = NOW + 7 * MINUTE
    assert look(night, 70, risen + patience, looks)[0] is State.RUNNING
    assert look(night, 70, risen + patience + timedelta(seconds=1), looks)[0] is State.STALLED


def test_without_any_count_it_is_unknown_however_long(night: Diagnosis) -> None:
    said = msgspec.structs.replace(night, state=State.UNKNOWN, batch=Batch(id="b", started=NOW), items=())
    evidence = EvidenceSet({}, now=NOW + timedelta(hours=5), lookback=timedelta(days=7), since=NOW)
    assert glance(said, evidence, []).state is State.UNKNOWN


def test_what_a_look_did_not_see_is_said_with_its_figures(night: Diagnosis) -> None:
    """Also of a batch that is done: what hides may hide something else. What nobody named hides nothing."""
    said = msgspec.structs.replace(
        night, state=State.DONE, batch=Batch(id="b", started=NOW, expected=3, done=3), items=()
    )
    source = Provenance(source="application log", fetched_at=NOW, as_of=NOW, complete=False, note="the first 100 lines")
    gaps: dict[Key, Evidence | Unseen] = {
        ("SubscriptionConfig", None): Unseen(
            what="SubscriptionConfig", why=Why.PERMISSION_DENIED, says="subscriptions.get is missing"
        ),
        ("ReceiverCapacity", None): Unseen(
            what="ReceiverCapacity", why=Why.DEPENDS, says="subscriptions.get is missing"
        ),
        ("BatchStatus", None): Unseen(what="BatchStatus", why=Why.NOT_CONFIGURED, says="no place is named"),
        ("ItemMarks", None): ItemMarks(source=source, since=NOW, marks=()),
    }
    evidence = EvidenceSet(gaps, now=NOW, lookback=timedelta(days=7), since=NOW)
    told = glance(said, evidence, [])
    assert told.state is State.DONE
    assert told.not_seen == ("subscriptions.get is missing", "only part of it was read: the first 100 lines")
    assert glance(said, EvidenceSet({}, now=NOW, lookback=timedelta(days=7), since=NOW), []).not_seen == ()
