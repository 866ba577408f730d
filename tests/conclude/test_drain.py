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
    held = looks = bounded = begun = 0
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
            begun += forecast.earliest <= times[-1]
            held += forecast.latest is not None and forecast.earliest <= times[-1] <= forecast.latest
    assert looks > 550 and bounded / looks > 0.8
    assert begun / looks >= 0.9, f"{begun} of {looks}"
    assert held / bounded >= 0.9, f"{held} of {bounded} that had an end"


def test_the_first_wave_of_items_at_work_together_gives_no_end() -> None:
    """Eight within 0.8 s, and the next eight a minute later: 160 of them need twenty minutes."""
    minute = timedelta(seconds=60)
    waves = [NOW + n * minute + timedelta(seconds=0.1 * k) for n in range(4) for k in range(8)]
    first = drain(waves[:8], waves[7] + timedelta(seconds=5), 160, minute)[1]
    assert first and first.latest is None
    forecast = drain(waves, waves[-1] + timedelta(seconds=5), 136, minute)[1]
    assert forecast and forecast.latest and forecast.latest >= NOW + 20 * minute


@pytest.mark.parametrize("shortest", [0.3, 0.95], ids=["uneven work", "even work"])
def test_the_true_end_lies_in_the_range_where_items_are_at_work_together(shortest: float) -> None:
    """Four to sixteen at a time: an end that is given is held nine times of ten, and half way through one is given."""
    held = bounded = halfway = 0
    for seed in range(200):
        random_ = random.Random(seed)
        came = _at_work_together(random_, random_.randint(60, 200), random_.choice((4, 8, 16)), shortest)
        for share in (0.05, 0.2, 0.5, 0.9):
            look = came[max(int(len(came) * share), 5) - 1][0] + timedelta(seconds=1)
            seen = [(at, took) for at, took in came if at <= look]
            left = len(came) - len(seen)
            forecast = drain([at for at, _ in seen], look, left, max(took for _, took in seen))[1]
            if forecast and forecast.latest:
                bounded += 1
                halfway += share == 0.5
                held += forecast.earliest <= came[-1][0] <= forecast.latest
    assert held / bounded >= 0.9, f"{held} of {bounded}"
    assert halfway > 150, f"{halfway} of 200"


def _at_work_together(
    random_: random.Random, items: int, at_once: int, shortest: float
) -> list[tuple[datetime, timedelta]]:
    """When each item came back, and how long it took: as many at once as there are places."""
    work, free, came = random_.choice((20, 60, 150)), [NOW] * at_once, list[tuple[datetime, timedelta]]()
    for _ in range(items):
        place = free.index(min(free))
        took = timedelta(seconds=work * random_.uniform(shortest, 1))
        free[place] += took
        came.append((free[place], took))
    return sorted(came)
