"""Counts: what names say is exact, what counters say bounds, what was not seen is not zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Key,
    Leg,
    Mark,
    Means,
    Point,
    Provenance,
    PushCounts,
    ReceiverTraffic,
    RequestLog,
    Series,
    Stage,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, Marker, PipelineProfile
from diagnostics.readings.ledger import Ledger, build

NOW = datetime(2026, 2, 8, 14, 20, tzinfo=UTC)
START = NOW - timedelta(minutes=18)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
PROFILE = PipelineProfile(
    name="test",
    project="p",
    request=LegProfile(subscription="s"),
    markers=tuple(Marker(means=m, contains=m.value) for m in Means),
)


def mark(means: Means, minute: float, item: str = "", batch: str = "B", **numbers: int) -> Mark:
    return Mark(
        means=means,
        at=START + timedelta(minutes=minute),
        service="s",
        batch=batch,
        item=item,
        trace="t",
        numbers=numbers,
    )


def evidence(*found: Evidence | tuple[Key, Evidence]) -> EvidenceSet:
    seen: dict[Key, Evidence | Unseen] = {}
    for one in found:
        if isinstance(one, tuple):
            seen[one[0]] = one[1]
        else:
            seen[(type(one).__name__, None)] = one
    return EvidenceSet(seen, NOW, timedelta(days=7), NOW - timedelta(hours=1))


BATCH = BatchMarks(
    source=SOURCE,
    marks=(
        mark(Means.RECEIVED, 0, batch=""),
        mark(Means.CREATED, 0.1, expected=4),
        mark(Means.PUBLISHED, 0.5, count=3, of=4),
    ),
)


def items(*marks: Mark) -> ItemMarks:
    return ItemMarks(source=SOURCE, since=NOW - timedelta(hours=1), marks=marks)


def test_named_items_count_exactly_once_the_marker_has_matched() -> None:
    ledger = build(
        evidence(
            BATCH,
            items(
                mark(Means.STARTED_ITEM, 1, "a"),
                mark(Means.STARTED_ITEM, 1, "a"),
                mark(Means.STARTED_ITEM, 1, "b"),
                mark(Means.DONE_ITEM, 2, "a"),
            ),
        ),
        PROFILE,
    )
    assert ledger.counts[Stage.PUBLISHED].exact == 3
    assert ledger.counts[Stage.DELIVERED].exact == 2
    assert ledger.gap(Stage.DELIVERED) == (1, 1)
    assert ledger.counts[Stage.PROCESSED].exact == 1


def test_what_failed_to_be_published_bounds_what_was_while_the_start_call_is_at_work() -> None:
    at_work = (mark(Means.RECEIVED, 0, batch=""), mark(Means.CREATED, 0.1, expected=4))
    failed = [mark(Means.PUBLISH_ERROR, 0.4, item) for item in "ab"]
    told = build(evidence(BatchMarks(source=SOURCE, marks=(*at_work, *failed)), items()), PROFILE)
    silent = build(evidence(BatchMarks(source=SOURCE, marks=at_work), items()), PROFILE)
    assert (told.counts[Stage.PUBLISHED].least, told.counts[Stage.PUBLISHED].most) == (0, 2)
    assert silent.counts[Stage.PUBLISHED].most == 4


def test_a_marker_that_never_matched_leaves_the_count_open() -> None:
    ledger = build(evidence(BATCH, items()), PROFILE)
    delivered = ledger.counts[Stage.DELIVERED]
    assert (delivered.least, delivered.most) == (0, 3)
    assert ledger.gap(Stage.DELIVERED) == (0, 3)


def test_no_ack_on_the_whole_subscription_proves_that_nothing_was_processed() -> None:
    silent = PushCounts(
        source=SOURCE,
        series=(
            Series(
                labels={"response_class": "remote_server_4xx"},
                points=(Point(start=START, end=START + timedelta(minutes=1), value=9),),
            ),
        ),
    )
    ledger = build(evidence(BATCH, items(), (("PushCounts", Leg.REQUEST), silent)), PROFILE)
    assert ledger.counts[Stage.PROCESSED].exact == 0


def series(kind: str, value: float) -> Series:
    return Series(
        labels={"response_class": kind, "response_code_class": kind},
        points=(Point(start=START, end=START + timedelta(minutes=1), value=value),),
    )


@pytest.mark.parametrize(("acked", "most"), [(0, 3), (1, 3), (2, 2), (3, 3)])
def test_lines_that_name_more_items_than_a_late_counter_are_believed(acked: int, most: int) -> None:
    """The counter bounds what passed only once it has counted all that lines name."""
    named = [mark(Means.DONE_ITEM, 1, item) for item in ("a", "b")]
    cut = replace(items(*named), source=replace(SOURCE, complete=False))
    counter = PushCounts(source=SOURCE, series=(series("ack", acked),))
    processed = build(evidence(BATCH, cut, (("PushCounts", Leg.REQUEST), counter)), PROFILE).counts[Stage.PROCESSED]
    assert (processed.least, processed.most) == (2, most)


@pytest.mark.parametrize(("expired", "most"), [(0, 1), (1, 2), (9, 3)])
def test_a_completion_that_was_recorded_too_late_for_its_ack_came_back(expired: int, most: int) -> None:
    """The coordinator worked on it for longer than Pub/Sub waits: the push counts as expired, and what it recorded stands."""
    cut = replace(items(mark(Means.RETURNED_ITEM, 1, "a")), source=replace(SOURCE, complete=False))
    counter = PushCounts(source=SOURCE, series=(series("ack", 1), series("deadline_exceeded", expired)))
    back = build(evidence(BATCH, cut, (("PushCounts", Leg.COMPLETION), counter)), PROFILE).counts[Stage.RETURNED]
    assert (back.least, back.most) == (1, most)


@pytest.mark.parametrize(("counted", "whole", "most"), [(0, True, 0), (2, True, 3), (0, False, 3)])
def test_what_no_log_and_no_counter_of_the_receiver_has_did_not_reach_it(
    counted: float, whole: bool, most: int
) -> None:
    """A 4xx may be the application's, whose requests a log can leave out; Cloud Run's counter leaves out just what no container got."""
    refused = PushCounts(source=SOURCE, series=(series("remote_server_4xx", 9),))
    log = RequestLog(source=SOURCE, push_path="/predict", refused=(), fine=())
    traffic = ReceiverTraffic(
        source=replace(SOURCE, complete=whole), requests=(series("4xx", counted),), p50=(), p99=()
    )
    legged = {"PushCounts": refused, "RequestLog": log, "ReceiverTraffic": traffic}
    ledger = build(evidence(BATCH, items(), *(((k, Leg.REQUEST), v) for k, v in legged.items())), PROFILE)
    assert ledger.counts[Stage.DELIVERED].most == most


def test_a_counter_of_which_some_is_missing_bounds_nothing() -> None:
    cut = replace(SOURCE, complete=False)
    acks = PushCounts(source=cut, series=(Series(labels={"response_class": "ack"}),))
    assert (
        build(evidence(BATCH, items(), (("PushCounts", Leg.REQUEST), acks)), PROFILE).counts[Stage.PROCESSED].most == 3
    )


def test_what_the_batch_state_counts_has_passed_every_stage_before() -> None:
    status = BatchStatus(source=SOURCE, batch="B", exists=True, expected=4, completed=2, closed=False)
    ledger = build(evidence(BATCH, status), PROFILE)
    assert ledger.counts[Stage.DELIVERED].least == 2
    assert ledger.counts[Stage.RECORDED].exact == 2
    assert ledger.done == 2


def test_what_came_back_is_done_only_where_nothing_tells_what_was_recorded() -> None:
    """A coordinator that was restarted takes completions and counts them for no batch."""
    back = [mark(Means.RETURNED_ITEM, n, item) for n, item in enumerate("abc", 1)]
    recorded = mark(Means.RECORDED_ITEM, 1, "a")
    assert build(evidence(BATCH, items(*back)), PROFILE).done == 3
    assert build(evidence(BATCH, items(*back, recorded)), PROFILE).done == 1


def test_items_of_other_batches_do_not_fill_a_row() -> None:
    ledger = build(
        evidence(BATCH, items(mark(Means.DONE_ITEM, 1, "x", batch="OTHER"), mark(Means.DONE_ITEM, 1, "a"))), PROFILE
    )
    assert ledger.counts[Stage.PROCESSED].exact == 1


def test_failures_without_a_success_repeat_and_a_success_ends_them() -> None:
    ledger = build(
        evidence(
            BATCH,
            items(
                mark(Means.FAILED_ITEM, 1, "bad", batch="OLD"),
                mark(Means.FAILED_ITEM, 5, "bad", batch="OLD"),
                mark(Means.FAILED_ITEM, 1, "a"),
                mark(Means.FAILED_ITEM, 2, "a"),
                mark(Means.DONE_ITEM, 3, "a"),
            ),
        ),
        PROFILE,
    )
    assert [(r.name, r.ours, r.failures) for r in ledger.repeats] == [("bad", False, 2)]


def test_a_batch_that_nobody_knows_is_said_to_be_unknown() -> None:
    status = BatchStatus(source=SOURCE, batch="NOPE", exists=False)
    assert build(evidence(BATCH, status), PROFILE, "NOPE").known_batch is False
    blind: Ledger = build(evidence(), PROFILE, "NOPE")
    assert blind.known_batch is None


def test_unseen_evidence_is_not_zero() -> None:
    nothing = Unseen(what="ItemMarks", why=Why.PERMISSION_DENIED, says="no")
    seen = EvidenceSet(
        {("BatchMarks", None): BATCH, ("ItemMarks", None): nothing}, NOW, timedelta(days=7), NOW - timedelta(hours=1)
    )
    ledger = build(seen, PROFILE)
    assert ledger.counts[Stage.PROCESSED].most == 3
    assert ledger.gap(Stage.PROCESSED)[0] == 0
