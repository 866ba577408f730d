"""Completions that came and are not counted: one container's memory, or nobody knows."""

from __future__ import annotations

import pytest
from msgspec import structs

from diagnostics.evidence.model import BatchMarks, BatchStatus, Mark, Means
from diagnostics.pipeline.profile import LegProfile
from diagnostics.steps import recorded
from tests.steps.built import PROFILE, SOURCE, Legged, batch, done, findings, lines, mark, one

BOTH = structs.replace(PROFILE, completion=LegProfile(subscription="c"))
ITEMS = ("a", "b", "c", "d", "e", "f")


def at(container: str, means: Means, *items: str, revision: str = "r1") -> list[Mark]:
    return [structs.replace(mark(means, 30, item), instance=container, revision=revision) for item in items]


def counted(*names: str) -> Legged:
    return ("BatchStatus", None), BatchStatus(
        source=SOURCE, batch="B", exists=True, expected=6, completed=len(names), items=names, closed=False
    )


def elsewhere(*marks: Mark) -> float:
    made = batch(6)
    assert isinstance(made, BatchMarks)
    home = tuple(structs.replace(m, instance="home", revision="r1") for m in made.marks)
    found = findings(
        recorded.recorded,
        BatchMarks(source=SOURCE, marks=home),
        lines(*done(*ITEMS), *marks),
        counted("a", "b"),
        profile=BOTH,
    )
    behind = one(recorded.BEHIND, found)
    assert behind.numbers["uncounted"] == 4
    return behind.numbers["elsewhere"]


KEPT = [*at("home", Means.RETURNED_ITEM, "a", "b"), *at("home", Means.RECORDED_ITEM, "a", "b")]
AWAY = at("other", Means.RETURNED_ITEM, "c", "d", "e", "f")


@pytest.mark.parametrize(
    ("lost", "number"),
    [
        (AWAY, 4),
        ([*AWAY[:3], *at("home", Means.RETURNED_ITEM, "f")], 0),
        (at("other", Means.RETURNED_ITEM, "c", "d", "e", "f", revision="r2"), 0),
        (at("", Means.RETURNED_ITEM, "c", "d", "e", "f"), 0),
    ],
)
def test_a_batch_in_memory_is_known_by_who_counts(lost: list[Mark], number: int) -> None:
    assert elsewhere(*KEPT, *lost) == number


def test_another_container_that_counts_tells_that_it_is_not_its_memory() -> None:
    kept = [*at("third", Means.RETURNED_ITEM, "a", "b"), *at("third", Means.RECORDED_ITEM, "a", "b")]
    assert elsewhere(*kept, *AWAY) == 0
