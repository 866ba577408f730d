"""Nothing takes more than its share the more there is: steps are counted, no clock is read. `make scaling` prints the times, larger."""

from __future__ import annotations

import pytest

from diagnostics.run.investigate import investigate
from tests.scaling.counted import MOST, steep, steps
from tests.scaling.grown import KINDS, TOGETHER, Grown, Name, grown

SMALLEST = 25
"""Entries; the largest is sixteen times that."""


@pytest.mark.parametrize("what", TOGETHER, ids=lambda what: what.name)
def test_four_times_as_much_takes_four_times_the_steps(what: Grown) -> None:
    assert steep(what.make, SMALLEST) == []


def test_there_are_no_more_findings_the_more_lines_there_are() -> None:
    """The verdict holds each against each."""
    few, many = (len(investigate(grown(n, *KINDS)).findings) for n in (SMALLEST, 16 * SMALLEST))
    assert many <= few + 10


def _each_with_each(names: list[Name]) -> int:
    return sum(a == b for a in names for b in names)


def _searched(names: list[Name]) -> list[int]:
    return [names.index(name) for name in names]


def _each_once(names: list[Name]) -> int:
    return len(set(names)) + sum(name == "a" for name in names)


@pytest.mark.parametrize("work", [_each_with_each, _searched])
def test_what_compares_each_with_each_is_seen(work: object) -> None:
    assert callable(work)
    found = steep(lambda n: lambda: work([Name(f"{k}") for k in range(n)]), 8)
    assert found
    few, some, many = found[0].steps
    assert many - some > MOST * (some - few)


def test_what_looks_at_each_once_is_let_pass() -> None:
    assert steep(lambda n: lambda: _each_once([Name(f"{k}") for k in range(n)]), 8) == []


def test_the_same_work_is_the_same_steps() -> None:
    assert steps(lambda: _each_once([Name("b")] * 9)) == steps(lambda: _each_once([Name("b")] * 9))
