"""The range in which a batch may be done: in order, never past, and holding the true end nine times of ten."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.conclude.drain import drain

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@given(st.lists(st.integers(0, 3600), max_size=200), st.integers(0, 500), st.integers(0, 600))
def test_the_range_is_in_order_and_lies_ahead(seconds: list[int], left: int, slowest: int) -> None:
    times = sorted(NOW - timedelta(seconds=s) for s in seconds)
    rate, forecast = drain(times, NOW, left, timedelta(seconds=slowest))
    if len(times) < 2:
        assert (rate, forecast) == (None, None)
        return
    assert rate and rate > 0
    if left == 0:
        assert forecast is None
        return
    assert forecast is not None
    middle = NOW + timedelta(minutes=left / rate)
    assert NOW < forecast.earliest <= middle
    assert forecast.latest is None or forecast.latest >= middle


def test_few_items_give_no_latest_moment_and_many_a_narrow_range() -> None:
    few = [NOW - timedelta(seconds=6 * n) for n in range(3, 0, -1)]
    assert (forecast := drain(few, NOW, 100, timedelta(0))[1]) and forecast.latest is None
    steady = [NOW - timedelta(seconds=6 * n) for n in range(100, 0, -1)]
    rate, forecast = drain(steady, NOW, 100, timedelta(0))
    assert rate is not None and 9 < rate < 11
    assert forecast and forecast.latest
    assert forecast.latest - forecast.earliest < 20 * MINUTE, "ten minutes are left"


def test_where_nothing_came_for_long_the_end_moves_out_until_nothing_is_promised() -> None:
    times = [NOW - timedelta(seconds=n) for n in range(60, 0, -1)]
    forecasts = [
        drain(times, NOW + seconds * timedelta(seconds=1), 5, timedelta(seconds=30))[1] for seconds in (0, 5, 10, 300)
    ]
    assert all(
        f and f.earliest > NOW + s * timedelta(seconds=1) for f, s in zip(forecasts, (0, 5, 10, 300), strict=True)
    )
    ends = [f.latest for f in forecasts if f and f.latest]
    assert ends == sorted(ends) and len(ends) >= 2
    assert forecasts[-1] and forecasts[-1].latest is None


def test_what_became_slow_lately_counts() -> None:
    fast = [NOW - 5 * MINUTE - timedelta(seconds=n) for n in range(100, 0, -1)]
    slow = [NOW - timedelta(seconds=n) for n in range(300, 0, -10)]
    forecast = drain(fast + slow, NOW, 60, timedelta(0))[1]
    assert forecast and forecast.latest and forecast.latest > NOW + 10 * MINUTE, (
        "at one in ten seconds ten minutes are left"
    )


def _as_they_come(random_: random.Random) -> float:
    return random_.expovariate(0.5)


def _in_bursts(random_: random.Random) -> float:
    return 0.1 if random_.random() < 0.75 else random_.expovariate(0.15)


@pytest.mark.parametrize("pause", [_as_they_come, _in_bursts], ids=["one by one", "in bursts"])
def test_the_true_end_lies_in_the_range_nine_times_of_ten(pause: Callable[[random.Random], float]) -> None:
    """What comes at random, at a pace that stays: 200 batches, each looked at when a fifth, a half and nine tenths are back."""
    held = looks = bounded = 0
    for seed in range(200):
        random_ = random.Random(seed)
        items = random_.randint(40, 200)
        at, times = NOW, list[datetime]()
        for _ in range(items):
            at += timedelta(seconds=pause(random_))
            times.append(at)
        for share in (0.2, 0.5, 0.9):
            back = int(items * share)
            look = times[back - 1] + timedelta(seconds=1)
            seen = [t for t in times if t <= look]
            forecast = drain(seen, look, items - len(seen), timedelta(seconds=5))[1]
            if forecast is None:
                continue
            looks += 1
            bounded += forecast.latest is not None
            held += forecast.earliest <= times[-1] and (forecast.latest is None or times[-1] <= forecast.latest)
    assert looks > 550 and bounded / looks > 0.8
    assert held / looks >= 0.9, f"{held} of {looks}"
