"""More done than expected: told so, not used, and never called well; two things explain it."""

from __future__ import annotations

from dataclasses import replace as put
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.evidence.model import BatchMarks, BatchStatus, Mark, Means, Unseen, Why
from diagnostics.keep.bundle import load
from diagnostics.readings.believable import contradiction
from diagnostics.run.investigate import Case, investigate

CASE = load(next((Path(__file__).parents[1] / "data" / "bundles").glob("night-0379aef*"))).case


def status(**fields: Any) -> BatchStatus:
    found = CASE.evidence.get(BatchStatus)
    assert isinstance(found, BatchStatus)
    return replace(found, **fields)


def line(means: Means, batch: str = "B", **numbers: int) -> Mark:
    return Mark(means=means, at=CASE.evidence.now, service="coordinator", batch=batch, numbers=numbers)


@pytest.mark.parametrize(
    ("done", "lines", "believed"),
    [
        (14, [], True),
        (15, [], False),
        (15, [line(Means.EXPECTED, expected=14)], True),
        (15, [line(Means.EXPECTED, "another", expected=14)], False),
        (15, [line(Means.EXPECTED, expected=99)], False),
        (15, [line(Means.PUBLISHED, count=14, failed=1)], True),
        (16, [line(Means.PUBLISHED, count=14, failed=1)], False),
        (15, [line(Means.PUBLISH_ERROR)], True),
        (15, [line(Means.CREATED, expected=181)], False),
    ],
    ids=["all", "one more", "lowered", "another lowered", "other number", "failed", "two", "named", "made with more"],
)
def test_more_done_than_expected_is_believed_where_lines_explain_it(
    done: int, lines: list[Mark], believed: bool
) -> None:
    said = contradiction(status(batch="B", expected=14, completed=done), lines)
    assert (not said) is believed
    if said:
        assert f"{done} done of 14 expected" in said


def asked(found: BatchStatus | Unseen, expected: int | None = None) -> Diagnosis:
    """The night, with this batch state, and with this number in the lines that tell one."""
    case: Case = CASE
    marks = case.evidence.get(BatchMarks)
    assert isinstance(marks, BatchMarks)
    told = tuple(
        replace(m, numbers=m.numbers | {"expected": expected})
        if expected is not None and "expected" in m.numbers
        else m
        for m in marks.marks
    )
    seen = case.evidence.with_(BatchMarks, None, replace(marks, marks=told)).with_(BatchStatus, None, found)
    return investigate(put(case, evidence=seen))


def test_what_cannot_be_is_said_and_not_counted() -> None:
    said = asked(status(expected=3, completed=29))
    assert "/3" not in said.headline
    assert any("29 done of 3 expected: not used" in gap.says for gap in said.unknown)
    without = asked(Unseen(what="BatchStatus", why=Why.FAILED, says="it is not there"))
    assert (said.headline, said.exit_code) == (without.headline, without.exit_code)


def test_the_log_alone_is_held_to_the_same() -> None:
    said = asked(Unseen(what="BatchStatus", why=Why.NOT_CONFIGURED, says="the log alone tells it"), expected=3)
    assert said.exit_code == Exit.UNKNOWN
    assert "/3" not in said.headline
    assert "3 are said to be expected, and 15 came back" in said.headline
    assert said.as_of - CASE.evidence.now == timedelta(0)
