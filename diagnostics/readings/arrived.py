"""What a route can hold or lose: no more than arrived on the leg's topic."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from diagnostics.evidence.model import Leg, PublishCounts, Stage, Unseen, total
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.ledger.arrived import COUNTED, arrived
from diagnostics.readings.owed import absent, acked, unacked, unreached

__all__ = ["COUNTED", "Came", "arrived", "astray", "came_alone", "owed_here"]


class Came(NamedTuple):
    """What a topic took since the batch began, by its counter."""

    messages: int
    last: datetime | None
    """When it took the last one; None: it took none."""
    until: datetime
    """So far its counter was seen."""


def came_alone(ledger: Ledger, leg: Leg, counts: PublishCounts | Unseen) -> Came | None:
    """What came onto the leg's topic, where nothing tells that others published there meanwhile: then it is the batch's. None: not seen
    whole, or lines tell of others' items."""
    if isinstance(counts, Unseen) or not counts.source.complete or ledger.started is None:
        return None
    if ledger.others_through.get(leg):
        return None
    begin = ledger.started - timedelta(minutes=1)
    points = [p for s in counts.messages for p in s.within(begin) if p.value > 0]
    last = max((p.end for p in points), default=None)
    return Came(round(sum(p.value for p in points)), last, counts.source.as_of)


def owed_here(ledger: Ledger, leg: Leg, counts: PublishCounts | Unseen) -> int:
    """Items that the leg owes and that can have come onto its topic, besides those that came through: what is routed wrong has no
    other on its account."""
    sent = ledger.counts[Stage.PUBLISHED if leg is Leg.REQUEST else Stage.PROCESSED].least if ledger.counts else 0
    least = unacked(ledger, leg)[0] if sent else 0
    most = arrived(ledger, leg, counts)
    return least if most is None else min(least, max(most - acked(ledger, leg), 0))


def astray(ledger: Ledger, counts: PublishCounts | Unseen) -> int:
    """Items that the coordinator says it published and that never came onto the request topic, at least: its counter shows none of
    them, and hardly any came out of it. An absent series is not zero, so this alone is never certain."""
    told = ledger.attempt.published if ledger.attempt else None
    sent = ledger.counts[Stage.PUBLISHED].exact if ledger.counts else None
    if told is None or not sent or ledger.started is None or isinstance(counts, Unseen):
        return 0
    if counts.source.as_of < told.at + COUNTED or total(counts.messages, ledger.started - timedelta(minutes=1)):
        return 0
    missing = max(unreached(ledger, Leg.REQUEST)[0], absent(ledger))
    return missing if 2 * missing > sent else 0
