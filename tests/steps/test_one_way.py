"""Where nobody is called and nothing comes back, no row claims that, and no finding takes it for trouble."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import BatchMarks, EvidenceSet, ItemMarks, Leg, Means, Stage
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.readings.ledger import build
from diagnostics.steps import closed, created, progress, published, recorded, requested, returned
from diagnostics.steps.finding import Row, Status
from diagnostics.steps.run import Outcome, Step, run
from tests.readings.ledger.test_ledger import PROFILE, SOURCE, evidence, mark
from tests.readings.ledger.test_one_way import ONE_WAY, begun, done, said

STEPS: list[Step] = [
    requested.requested,
    created.created,
    published.published,
    returned.returned,
    recorded.recorded,
    closed.closed,
]


def judged(seen: EvidenceSet, profile: PipelineProfile = ONE_WAY) -> Outcome:
    return run(STEPS, seen, build(seen, profile), profile, [Leg.REQUEST])


def rows(found: Outcome) -> dict[Stage, Row]:
    return {row.stage: row for row in found.rows}


def test_the_ladder_has_the_rows_that_there_are() -> None:
    found = judged(evidence(begun(0, 1, 2), done(1, 2, 3)))
    assert list(rows(found)) == [Stage.CREATED, Stage.PUBLISHED]
    assert rows(found)[Stage.CREATED].source.startswith("worker log")
    told = {f.code: f.status for f in found.findings}
    assert told[closed.CLOSED.name] is Status.OK
    assert not told.keys() & {closed.UNSEEN.name, returned.NOT_CONFIGURED.name, requested.ACCEPTED.name}


def test_all_that_is_known_being_done_is_not_enough_without_a_number() -> None:
    unsized = BatchMarks(source=SOURCE, marks=(said(mark(Means.CREATED, 0)),))
    found = judged(evidence(unsized, done(1, 2)))
    (told,) = (f for f in found.findings if f.code == closed.OPEN.name)
    assert told.status is Status.UNKNOWN and "nothing tells how many" in told.says


@pytest.mark.parametrize("complete", [True, False])
def test_what_is_started_is_owed_only_where_all_lines_of_the_worker_were_read(complete: bool) -> None:
    unsized = BatchMarks(source=SOURCE, marks=(said(mark(Means.CREATED, 0)),))
    lines = (
        mark(Means.STARTED_ITEM, 1, item="a"),
        mark(Means.STARTED_ITEM, 2, item="b"),
        mark(Means.DONE_ITEM, 3, item="a"),
    )
    items = ItemMarks(source=replace(SOURCE, complete=complete), since=lines[0].at, marks=tuple(said(m) for m in lines))
    seen = evidence(unsized, items)
    found = run([progress.progress], seen, build(seen, ONE_WAY), ONE_WAY, [Leg.REQUEST])
    assert [f.code for f in found.findings] == [progress.STALLED.name if complete else progress.UNSEEN.name]


def test_a_line_of_a_coordinator_has_its_row_as_ever() -> None:
    seen = evidence(BatchMarks(source=SOURCE, marks=(mark(Means.CREATED, 0, expected=3),)))
    found = rows(judged(seen, PROFILE))
    assert found[Stage.REQUESTED].source.startswith("start call")


def test_the_way_back_has_a_row_where_the_profile_names_one_or_a_line_of_it() -> None:
    seen = evidence(begun(0, 1, 2), done(1, 2, 3))
    unnamed = tuple(m for m in PROFILE.markers if m.means is not Means.RETURNED_ITEM)
    assert Stage.RETURNED not in rows(judged(seen, replace(PROFILE, markers=unnamed)))
    assert Stage.RETURNED in rows(judged(seen, PROFILE))
    named = replace(PROFILE, markers=unnamed, completion=LegProfile(subscription="back"))
    assert Stage.RETURNED in rows(judged(seen, named))
