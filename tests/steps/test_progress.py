"""Silence is a stall only where the time of silence was read."""

from __future__ import annotations

from datetime import datetime

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import ItemMarks, Leg
from diagnostics.steps import progress
from diagnostics.steps.finding import Status
from tests.steps.built import ago, batch, done, findings, lines, service, subscription


@pytest.mark.parametrize(
    ("unread_until", "said"),
    [(None, Status.FAULT), (ago(1), Status.UNKNOWN), (ago(30), Status.FAULT)],
    ids=["all was read", "up to a minute ago too many lines", "too many lines half an hour ago"],
)
def test_a_stall_needs_the_lines_of_the_time_that_one_item_may_take(
    unread_until: datetime | None, said: Status
) -> None:
    read = lines(*done("a"), whole=unread_until is None)
    assert isinstance(read, ItemMarks)
    seen = (batch(4), replace(read, unread_until=unread_until), subscription(), service(leg=Leg.COMPLETION))
    (found,) = findings(progress.progress, *seen)
    assert found.status is said


@pytest.mark.parametrize(("done_at", "said"), [(1, Status.OK), (30, Status.UNKNOWN)])
def test_work_that_is_done_for_long_and_of_which_nothing_came_back_is_not_too_early_to_judge(
    done_at: float, said: Status
) -> None:
    read = lines(*done("a", "b", minutes=done_at), *done("c", minutes=1))
    (found,) = findings(progress.progress, batch(4), read, subscription(), service(leg=Leg.COMPLETION))
    assert (found.status, found.code == progress.TOO_EARLY.name) == (said, said is Status.OK)
