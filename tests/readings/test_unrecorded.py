"""Completions that are pushed again: do they get through as others did, or does nothing tell yet?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from diagnostics.evidence.model import Leg, Mark, Means
from diagnostics.readings.ledger import build
from diagnostics.readings.ledger.ledger import DeadLetters
from diagnostics.readings.unrecorded import again
from tests.readings.ledger.test_ledger import BATCH, NOW, PROFILE, evidence, items, mark


def came(item: str, minute: float, failed: int = 0, kept: bool = True) -> list[Mark]:
    """It came back at this minute and once more every half minute, until it was recorded, or not."""
    lines = []
    for n in range(failed):
        lines += [mark(Means.RETURNED_ITEM, minute + n / 2, item), mark(Means.RECORD_ERROR, minute + n / 2 + 0.1, item)]
    end = minute + failed / 2
    return [*lines, mark(Means.RETURNED_ITEM, end, item), mark(Means.RECORDED_ITEM, end + 0.1, item)] if kept else lines


FLAKY = [line for n in range(20) for line in came(f"ok{n}", 7 + n / 2, failed=n % 2)]
"""Of twenty each other one failed once: a third of all tries."""


@pytest.mark.parametrize(
    ("lines", "minutes", "share", "early"),
    [
        ([*FLAKY, *came("a", 17, failed=2, kept=False)], 5, 1 / 3, False),
        ([*FLAKY, *came("a", 12, failed=9, kept=False)], 5, None, False),
        ([*FLAKY, *(line for n in range(12) for line in came(f"x{n}", 17.9, failed=1, kept=False))], 5, None, False),
        (came("a", 15, failed=3, kept=False), 5, None, True),
        (came("a", 15, failed=5, kept=False), 5, None, False),
        (came("a", 10, failed=3, kept=False), 5, None, False),
        ([line for n in range(12) for line in came(f"x{n}", 16, failed=1, kept=False)], 5, None, False),
        (FLAKY, 5, None, False),
    ],
    ids=[
        "as others did",
        "oftener than chance has it",
        "all since a moment",
        "a few tries of late",
        "five tries",
        "long ago",
        "a dozen",
        "none waits",
    ],
)
def test_what_failed_comes_again_as_others_did(
    lines: list[Mark], minutes: float, share: float | None, early: bool
) -> None:
    ledger = build(evidence(BATCH, items(*sorted(lines, key=lambda m: m.at))), PROFILE)
    ledger.dead_letters[Leg.COMPLETION] = DeadLetters(pause=timedelta(minutes=minutes))
    found = again(ledger, NOW)
    assert found.early is early
    assert found.share is None if share is None else found.share == pytest.approx(share)
