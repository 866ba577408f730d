"""How fast a batch drains, and in which range of time what is left may be done. Pure; measured by `make watch-range`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import Struct

LATELY = timedelta(minutes=10)
"""What the rate is taken from, if that is enough."""
_NEWEST = 8
"""So many of the newest items, or a quarter of all if that is more, tell whether the pace has changed."""
_FEWEST = 4
"""Fewer pauses than so many say nothing of how long the rest may take."""
_WAVES = 2
"""From the first item on, so many times what the slowest took: less may be one wave of items that were at work together, and how fast the
items of one wave follow each other says nothing of when the next one comes."""
_SURE = 2.0
"""Standard deviations that the range takes in, to each side."""
_MOST = 3.0
"""Of the spread: a range from a twentieth to twenty times is none."""
_LEAST_S = 1.0


class Forecast(Struct, frozen=True, kw_only=True):
    """When what is left may be done, if it goes on as it went lately."""

    earliest: datetime
    latest: datetime | None
    """None: too few items came back to say, for too short a time, or too unevenly."""


def drain(
    times: Sequence[datetime], now: datetime, left: int, slowest: timedelta
) -> tuple[float | None, Forecast | None]:
    """(items a minute lately, when the rest is done). `times`: when items came back, in order. `slowest`: the longest that one took.

    The pauses between the items tell how long the rest takes and how uneven that is; those of all lately and of the newest are asked, the
    faster of the two gives the begin of the range, the slower its end. The last item is begun by then, and may take as long as the
    slowest did. Until several waves of items that are at work together can have come, no end is given.
    """
    if len(times) < 2:
        return None, None
    lately = [at for at in times if at > now - LATELY]
    if len(lately) < 2:
        lately = list(times)
    rate = 60 / _pause(lately, now)
    if left <= 0:
        return rate, None
    both = [_rest(came, now, left) for came in (lately, lately[-max(_NEWEST, len(lately) // 4) :])]
    ends = [end for _, end in both if end is not None]
    waves = now - times[0] >= _WAVES * slowest
    whole = waves and len(lately) > _FEWEST and len(ends) == len(both)
    latest = now + timedelta(seconds=max(ends)) + slowest if whole else None
    return rate, Forecast(earliest=now + timedelta(seconds=min(begin for begin, _ in both)), latest=latest)


def _pause(came: Sequence[datetime], now: datetime) -> float:
    """Seconds from item to item, in the mean; the pause that goes on now is one of them."""
    return max((now - came[0]).total_seconds(), _LEAST_S) / len(came)


def _rest(came: Sequence[datetime], now: datetime, left: int) -> tuple[float, float | None]:
    """So many seconds until the rest is done: at least and at most. Uneven pauses make it wide, and so do few of them; it is never taken
    for more even than what comes at random. None: so uneven, or waiting for so long, that the pace says nothing of the end."""
    pause = _pause(came, now)
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise((*came, now))]
    scatter = max(math.sqrt(sum((p - pause) ** 2 for p in pauses) / len(pauses)) / pause, 1.0)
    spread = _SURE * scatter * math.sqrt(1 / left + 1 / len(pauses))
    factor = math.exp(min(spread, _MOST))
    return left * pause / factor, left * pause * factor if spread <= _MOST else None
