"""Worse than before: what chance would do is not said to be worse, what it would not do is."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.steps.since_deploy import CHANCE, at_least


@given(st.integers(1, 60), st.data(), st.floats(0.001, 0.999))
def test_the_tail_is_the_sum_of_its_terms(tries: int, data: st.DataObject, share: float) -> None:
    hits = data.draw(st.integers(0, tries))
    exact = sum(comb(tries, k) * share**k * (1 - share) ** (tries - k) for k in range(hits, tries + 1))
    assert at_least(hits, tries, share) == pytest.approx(exact, abs=1e-9)


def test_many_pushes_do_not_overflow() -> None:
    assert 0 < at_least(10_300, 1_000_000, 0.01) < CHANCE
    assert at_least(10_050, 1_000_000, 0.01) > CHANCE


@pytest.mark.parametrize(
    ("failed", "pushed", "failed_before", "pushed_before", "worse"),
    [
        (0, 100, 0, 5000, False),
        (1, 1, 0, 2, False),
        (1, 100, 0, 200, False),
        (5, 100, 2, 5000, True),
        (30, 100, 1500, 5000, False),
        (50, 100, 1500, 5000, True),
    ],
)
def test_worse_is_what_chance_hardly_does(
    failed: int, pushed: int, failed_before: int, pushed_before: int, worse: bool
) -> None:
    before = (failed_before + 1) / (pushed_before + 2)
    assert (at_least(failed, pushed, before) < CHANCE) is worse
