"""Where the items are that a stage lacks: the places of a row add up to what it lacks, and what nothing accounts for says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import Where

_LAG = timedelta(minutes=5)
"""Backlogs are visible after at most this long: until then, what moved just now may wait and not be counted yet."""


def places(lacks: int, known: Mapping[Where, int], rest: Mapping[Where, int]) -> dict[str, int]:
    """`lacks` items over places: first where they are known to be, then where as many may be, the remainder unattributed."""
    where: dict[str, int] = {}
    for place, number in (*known.items(), *rest.items()):
        taken = min(number, lacks)
        lacks -= taken
        if taken > 0:
            where[place] = where.get(place, 0) + taken
    return where | ({Where.UNATTRIBUTED: where.get(Where.UNATTRIBUTED, 0) + lacks} if lacks > 0 else {})


def may_wait(ledger: Ledger, leg: Leg, now: datetime, lacks: int) -> int:
    """So many of the items that a stage lacks can be in the leg's subscription: all, where its backlog tells nothing of them yet. Where it
    was not seen, and they may have used up their attempts since, none is taken to be there."""
    dead, newest = ledger.dead(leg), ledger.last_progress
    could = dead.could_wait
    begun = newest or ledger.started
    if could is None and dead.attempts and begun and now - begun > dead.attempts * dead.pause:
        return 0
    if could is None or (newest is not None and now - newest <= _LAG):
        return lacks
    return min(could, lacks)
