"""Completions that went to a topic that is not there: for as long as none that was published later came back."""

from __future__ import annotations

from diagnostics.evidence.model import Leg, Means
from diagnostics.steps import returned
from diagnostics.steps.finding import Finding
from diagnostics.steps.returned import refused
from tests.steps.built import ago, batch, done, findings, lines, mark, of

LOST = [
    mark(means, 20, "b", reason="404 Not found")
    for means in (Means.STARTED_ITEM, Means.DONE_ITEM, Means.COMPLETION_ERROR)
]


def missing(*names: str) -> Finding:
    """What is said of the topic once these items are done, ten minutes after that."""
    came = (Means.RETURNED_ITEM, Means.RECORDED_ITEM)
    later = [m for name in names for m in (*done(name, minutes=10), *(mark(means, 9, name) for means in came))]
    (found,) = of(
        refused.TOPIC_MISSING, findings(returned.returned, batch(2), lines(*LOST, *later), leg=Leg.COMPLETION)
    )
    return found


def test_what_nothing_came_back_after_goes_on() -> None:
    assert missing().until is None


def test_once_all_came_back_it_is_over() -> None:
    assert missing("b", "c").until == ago(20)
