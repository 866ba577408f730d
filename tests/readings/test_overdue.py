"""What was done minutes ago and has not come back, while what was done later has."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from diagnostics.evidence.model import Leg, Mark, Means, Stage
from diagnostics.readings.ledger import build
from diagnostics.readings.ledger.ledger import Count, DeadLetters
from diagnostics.readings.overdue import overdue
from tests.readings.ledger.test_ledger import BATCH, NOW, PROFILE, evidence, items, mark


def worked(item: str, minute: float, back: bool) -> list[Mark]:
    lines = [mark(Means.STARTED_ITEM, minute - 1, item), mark(Means.DONE_ITEM, minute, item)]
    return [*lines, mark(Means.RETURNED_ITEM, minute + 0.1, item)] if back else lines


@pytest.mark.parametrize(
    ("lines", "waits", "late"),
    [
        ([*worked("a", 5, False), *worked("b", 8, True)], 0, ["a"]),
        ([*worked("a", 5, False), *worked("b", 8, True)], None, ["a"]),
        ([*worked("a", 5, False), *worked("b", 8, True)], 1, []),
        ([*worked("a", 9, False), *worked("b", 8, True)], 0, []),
        ([*worked("a", 16, False), *worked("b", 17, True)], 0, []),
        ([*worked("a", 5, False)], 0, []),
    ],
    ids=["later one is back", "backlog not seen", "it may wait", "none that is later", "of just now", "none is back"],
)
def test_it_is_overdue_once_a_later_one_is_back(lines: list[Mark], waits: int | None, late: list[str]) -> None:
    ledger = build(evidence(BATCH, items(*sorted(lines, key=lambda m: m.at))), PROFILE)
    ledger.dead_letters[Leg.COMPLETION] = DeadLetters(pause=timedelta(minutes=5), could_wait=waits)
    assert [x.name for x in overdue(ledger, NOW)] == late


def test_what_was_not_read_may_be_that_it_came_back() -> None:
    lines = sorted([*worked("a", 5, False), *worked("b", 7, False), *worked("c", 9, True)], key=lambda m: m.at)
    read_from = mark(Means.DONE_ITEM, 6).at
    told = structs.replace(items(*lines), unread_until=read_from)
    ledger = build(evidence(BATCH, told), PROFILE)
    assert [x.name for x in overdue(ledger, NOW)] == ["b"]


def test_no_more_are_overdue_than_can_lack() -> None:
    lines = sorted([*worked("a", 5, False), *worked("b", 8, True)], key=lambda m: m.at)
    ledger = build(evidence(BATCH, items(*lines)), PROFILE)
    all_back = {**ledger.counts, Stage.PROCESSED: Count(2, 2), Stage.RETURNED: Count(2, 2)}
    assert overdue(ledger, NOW) and not overdue(replace(ledger, counts=all_back), NOW)
