"""The balance of a route: what came onto the topic was acked, waits, was dead-lettered or filtered. The rest is lost on the way.

Counters are the whole subscription's, so each of these is taken at most, and the rest is at least so many of the batch's items. All
must have been seen whole, and late enough to hold what was published last.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    DeadLetterCounts,
    Leg,
    Point,
    PublishCounts,
    PushCounts,
    Stage,
    Unseen,
    total,
)
from diagnostics.readings.arrived import arrived, came_alone
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
    untold = came_alone(ledger, leg, published) if told is None else None
    published_at = told.at if told else untold.last if untold else None
    newest, dead = ledger.last_progress or published_at, ledger.dead(leg)
    if published_at is None or newest is None or ledger.started is None or ledger.closed:
        return 0
    if now - max(newest, published_at) <= dead.pause:
        return 0
    last = published_at if leg is Leg.REQUEST else newest
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
    sent = min(_sent(ledger, leg, told is not None), came)
    pushed = max(pushed - _of_others(ledger, leg, min(pushes.source.as_of, acks.source.as_of)), 0)
    waits = 0 if dead.anew else max(dead.could_wait, _just_waited(backlog))
    return max(sent - max(done, pushed) - otherwise - waits - dead.most, 0)


def gone_since(
    ledger: Ledger,
    now: datetime,
    published: PublishCounts | Unseen,
    pushes: PushCounts | Unseen,
    acks: AckCounts | Unseen,
    backlog: Backlog | Unseen,
    dead: DeadLetterCounts | Unseen,
) -> tuple[int, datetime | None]:
    """(messages that came onto the request topic after the batch was done and are in none of these places, at least; since when they
    came). 0 as well where that cannot be told."""
    done_at = ledger.last_progress
    counters = (pushes, acks, backlog, dead, published)
    if done_at is None or any(isinstance(c, Unseen) or not c.source.complete for c in counters):
        return 0, None
    assert isinstance(published, PublishCounts) and isinstance(dead, DeadLetterCounts)
    assert isinstance(pushes, PushCounts) and isinstance(acks, AckCounts) and isinstance(backlog, Backlog)
    points = sorted((p for s in published.messages for p in s.points if p.start >= done_at and p.value), key=_ends)
    could_wait = ledger.dead(Leg.REQUEST).could_wait
    if not points or could_wait is None or now - points[-1].end <= ledger.dead(Leg.REQUEST).pause:
        return 0, None
    if any(c.source.as_of < points[-1].end + _LAG for c in (pushes, acks, backlog)):
        return 0, None
    begin = points[0].start
    acked = max(total(pushes.series, begin, response_class="ack"), total(acks.series, begin))
    there = acked + max(could_wait, _just_waited(backlog)) + total(dead.series, begin)
    return max(round(sum(p.value for p in points) - there), 0), points[0].end


def _ends(point: Point) -> datetime:
    return point.end


def _sent(ledger: Ledger, leg: Leg, told: bool) -> int:
    """Items of the batch that were published on this leg, at least. Where no line tells of it, all that it expects: what of these never
    came is not on the topic's counter, which bounds them where nobody else published there."""
    if leg is Leg.REQUEST and not told:
        return ledger.expected or 0
    return ledger.counts[Stage.PUBLISHED if leg is Leg.REQUEST else Stage.PROCESSED].least


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
