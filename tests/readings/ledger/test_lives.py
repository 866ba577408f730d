"""Which item a line is about, where it does not say so itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import Mark, Means
from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.readings.ledger.lives import attribute, lives_of
from tests.readings.ledger.test_ledger import mark


def said(means: Means, minute: float, item: str, trace: str, instance: str = "i") -> Mark:
    return replace(mark(means, minute, item, batch="B" if item else ""), trace=trace, instance=instance)


@pytest.mark.parametrize(
    ("trace", "instance", "failed"), [("1", "i", ["a"]), ("2", "i", []), ("1", "j", []), ("", "i", [])]
)
def test_a_completion_that_failed_is_that_of_the_item_that_its_request_is_about(
    trace: str, instance: str, failed: list[str]
) -> None:
    lines = [
        said(Means.STARTED_ITEM, 1, "a", "1"),
        said(Means.STARTED_ITEM, 1, "b", "3"),
        said(Means.COMPLETION_ERROR, 2, "", trace, instance),
        said(Means.DONE_ITEM, 2, "a", "1"),
    ]
    mine, _ = attribute(lines, Attempt(batch="B", marks=[mark(Means.CREATED, 0, expected=2)]))
    assert [x.name for x in lives_of(mine, None).values() if x.completion_failed] == failed
