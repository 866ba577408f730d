"""Completions that the coordinator failed to record and that are pushed again: will they get through, as others did?

Where a share of all tries fails and others are recorded, one that failed no oftener than that share makes likely comes again and gets
through as those did. Where a few failed a few times of late, nothing tells yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.pace import LEAST_ATTEMPTS

_ENOUGH = 10
"""Completions that were recorded: of fewer, no share is told. So many that fail are no few, either."""
_CHANCE = 0.01
"""Less than one item in a hundred batches: that is not put down to chance."""
_ROW = 0.0001
"""As many failures in a row, of whatever items, since the last one that was recorded: one look in ten thousand."""


@dataclass(frozen=True)
class Again:
    """What comes again."""

    share: float | None = None
    """Of the tries of those that were recorded, the share that failed, 0 to 1, where it makes what waits likely; None: it does not."""
    early: bool = False
    """A few, each of which failed a few times of late."""


def again(ledger: Ledger, now: datetime) -> Again:
    """How those stand that wait for being recorded."""
    back = [x for x in ledger.lives if x.stage in (Stage.RETURNED, Stage.RECORDED) and not x.dead_lettered]
    waiting = [x for x in back if x.stage is Stage.RETURNED and x.refused]
    passed = [x for x in back if not x.refused]
    if not waiting:
        return Again()
    failed = sum(x.unrecorded for x in passed)
    share = failed / (failed + len(passed)) if passed else 0.0
    if len(passed) >= _ENOUGH and _likely(waiting, passed, share, len(back)):
        return Again(share=share)
    first = min((x.got_further for x in waiting if x.got_further), default=now)
    few = len(waiting) < _ENOUGH and all(x.unrecorded < LEAST_ATTEMPTS for x in waiting)
    return Again(early=few and now - first <= ledger.dead(Leg.COMPLETION).pause)


def _likely(waiting: Sequence[Life], passed: Sequence[Life], share: float, tried: int) -> bool:
    """Whether each failed no oftener than the share makes likely in one of so many, and all of them together since the last one got
    through."""
    newest = max((x.got_further for x in passed if x.got_further), default=None)
    since = [x for x in waiting if newest is None or (x.last and x.last > newest)]
    return all(tried * share**x.unrecorded >= _CHANCE for x in waiting) and share ** len(since) >= _ROW
