"""The balance of a route: what came onto the topic was acked, waits, was dead-lettered or filtered. The rest is lost on the way.

Counters are the whole subscription's, so each of these is taken at most, and the rest is at least so many of the batch's items. All
must have been seen whole, and late enough to hold what was published last.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from diagnostics.evidence.model import AckCounts, Backlog, Leg, PublishCounts, PushCounts, Stage, Unseen, total
from diagnostics.readings.arrived import arrived
from diagnostics.readings.ledger import Ledger

_LAG = timedelta(minutes=5)
"""Backlogs are visible after at most this long (four minutes, and a sample)."""


def residue(
    ledger: Ledger,
    leg: Leg,
    now: datetime,
    published: PublishCounts | Unseen,
    pushes: PushCounts | Unseen,
    acks: AckCounts | Unseen,
    backlog: Backlog | Unseen,
) -> int:
    """Items of the batch that are in none of these places, at least; 0 as well where that cannot be told.

    Nothing is said while items get further, or while one may rest between two pushes.
    """
    told = ledger.attempt.published if ledger.attempt else None
    newest, dead = ledger.last_progress, ledger.dead(leg)
    if told is None or newest is None or ledger.started is None or ledger.closed or now - newest <= dead.pause:
        return 0
    last = told.at if leg is Leg.REQUEST else newest
    counters = (pushes, acks, backlog)
    if any(isinstance(c, Unseen) or not c.source.complete or c.source.as_of < last + _LAG for c in counters):
        return 0
    came, done = arrived(ledger, leg, published), _done(ledger, leg)
    if came is None or done is None or dead.could_wait is None or not dead.counted:
        return 0
    assert isinstance(pushes, PushCounts) and isinstance(acks, AckCounts) and isinstance(backlog, Backlog)
    begin = ledger.started - timedelta(minutes=1)
    pushed = round(
        max(total(pushes.series, begin, response_class="ack"), total(acks.series, begin, delivery_type="push"))
    )
    otherwise = round(total(acks.series, begin)) - round(total(acks.series, begin, delivery_type="push"))
    sent = min(ledger.counts[Stage.PUBLISHED if leg is Leg.REQUEST else Stage.PROCESSED].least, came)
    pushed = max(pushed - _of_others(ledger, leg, min(pushes.source.as_of, acks.source.as_of)), 0)
    waits = 0 if dead.anew else max(dead.could_wait, _just_waited(backlog))
    return max(sent - max(done, pushed) - otherwise - waits - dead.most, 0)


def _done(ledger: Ledger, leg: Leg) -> int | None:
    """Items that the leg's receiver may have acked, at most. A completion that came back and was not recorded was refused, or is among the
    acks that are counted."""
    stages = (Stage.PROCESSED,) if leg is Leg.REQUEST else (Stage.RETURNED, Stage.RECORDED)
    return min((most for stage in stages if (most := ledger.counts[stage].most) is not None), default=None)


_COUNTED = timedelta(minutes=2)
"""What was acked so long before the counters end is in them."""


def _of_others(ledger: Ledger, leg: Leg, as_of: datetime) -> int:
    """Acks that are of items of other batches, as their lines tell; at least, for one that is acked twice counts once."""
    return sum(1 for at in ledger.others_through.get(leg, ()) if at < as_of - _COUNTED)


def _just_waited(backlog: Backlog) -> int:
    """How many messages waited within the time that the other counters may lag behind the backlog, at most: what has left it since may
    be counted nowhere yet."""
    since = backlog.source.as_of - _LAG
    return round(max((p.value for s in backlog.undelivered for p in s.points if p.end >= since), default=0))
