"""Why items could not be published, apart by Google's answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.evidence.model import Mark, Means, Stage
from diagnostics.readings.ledger import Attempt, Count, Ledger
from diagnostics.readings.refusals import code_of, lost, overtaken

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("403 User not authorized to perform this action.", "permission_denied"),
        ("404 Resource not found (resource=orders).", "not_found"),
        ("504 Timeout", "deadline_exceeded"),
        ("Timeout of 600.0s exceeded, last exception: 429 You have exceeded your quota", "resource_exhausted"),
        ("RESOURCE_EXHAUSTED: quota", "resource_exhausted"),
        ("Permission denied on topic", "permission_denied"),
        ("connection timed out", "deadline_exceeded"),
        ("request 403abc", ""),
        ("", ""),
    ],
)
def test_the_code_in_an_error_line(reason: str, code: str) -> None:
    assert code_of(reason) == code


def attempt(failed: int | None, *reasons: str) -> Attempt:
    lines = [
        Mark(means=Means.PUBLISH_ERROR, at=NOW + timedelta(seconds=n), service="c", item=f"i{n}", words={"reason": r})
        for n, r in enumerate(reasons)
    ]
    if failed is not None:
        numbers = {"count": 0, "failed": failed}
        lines.append(Mark(means=Means.PUBLISHED, at=NOW + timedelta(hours=1), service="c", numbers=numbers))
    return Attempt(batch="B", marks=lines)


def test_items_go_to_the_answer_that_they_got() -> None:
    found = lost(attempt(5, "403 no", "403 no", "403 no", "429 quota", "429 quota"))
    assert [(x.code, x.items, x.put_off) for x in found] == [
        ("permission_denied", 3, False),
        ("resource_exhausted", 2, True),
    ]


def test_what_the_lines_leave_out_goes_to_the_only_answer_that_they_name() -> None:
    assert [(x.code, x.items) for x in lost(attempt(60, "403 no"))] == [("permission_denied", 60)]


def test_what_the_lines_leave_out_goes_to_none_of_several() -> None:
    found = {x.code: x.items for x in lost(attempt(60, "403 no", "429 quota"))}
    assert found == {"permission_denied": 1, "resource_exhausted": 1, "": 58}


def test_nothing_failed() -> None:
    assert lost(attempt(None)) == ()
    assert lost(None) == ()


@pytest.mark.parametrize(
    ("published", "reasons", "over"),
    [
        (0, ("429 quota", "403 no", "403 no"), True),
        (1, ("429 quota", "403 no", "403 no"), False),
        (0, ("403 no", "403 no", "429 quota"), False),
        (0, ("429 quota", "429 quota", "403 no"), False),
        (0, ("429 quota", "429 quota"), False),
        (0, ("403 no", "403 no"), False),
    ],
)
def test_what_was_put_off_holds_nothing_where_all_that_came_later_was_refused_for_good(
    published: int, reasons: tuple[str, ...], over: bool
) -> None:
    counts = {Stage.PUBLISHED: Count(published, published)}
    assert overtaken(Ledger(attempt=attempt(len(reasons), *reasons), counts=counts)) is over
