"""Does the subscription's filter drop what the batch misses?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    ChangeLog,
    Leg,
    RequestLog,
    Stage,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.arrived import COUNTED
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import nowhere, unreached
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import count, short


class Filtered(Tells, frozen=True, kw_only=True):
    dropped: float | None = None
    """Messages that the filter dropped since the batch began; None: whether they are missed could not be seen."""
    gone: int = 0
    """1: that filter is no more."""
    now: str = ""
    """Which one the subscription has now, in words."""


FILTERED = Telling(
    "routed.filtered", Stage.ROUTED, "the subscription's filter drops messages", Kind.MECHANISM, tells=Filtered
)


def by_filter(
    seen: Seen,
    settings: SubscriptionSettings,
    acks: AckCounts | Unseen,
    backlog: Backlog | Unseen,
    changes: ChangeLog | Unseen,
    log: RequestLog | Unseen,
) -> Iterator[Finding]:
    if isinstance(acks, Unseen):
        return _unseen(seen, settings, acks, changes, log)
    return _dropped(seen.leg, settings, acks, backlog, changes, seen.ledger)


def _dropped(
    leg: Leg,
    settings: SubscriptionSettings,
    acks: AckCounts,
    backlog: Backlog | Unseen,
    changes: ChangeLog | Unseen,
    ledger: Ledger,
) -> Iterator[Finding]:
    """A filter that drops is doing its work, unless the batch misses more items than there are messages waiting. What was dropped is
    counted by the subscription's name: one that was made anew since may have no filter any more."""
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    dropped = sum(s.total(since) for s in acks.series if s.labels.get("delivery_type") == "filter")
    if not dropped:
        return
    missing = nowhere(ledger, leg)
    if missing and (isinstance(backlog, Unseen) or not backlog.source.complete):
        yield FILTERED.says(
            Status.UNKNOWN,
            f"{_named(settings)} dropped {count(dropped, 'message')}; whether the batch misses them is not known, "
            "since it could not be seen how many wait",
            leg=leg,
            subject=subjects.subscription(settings.name),
            rests_on=("AckCounts", "Backlog"),
            tells=Filtered(),
        )
        return
    waits = (
        0.0 if isinstance(backlog, Unseen) else max((s.last.value for s in backlog.undelivered if s.last), default=0)
    )
    lost = min(max(missing - round(waits), 0), round(dropped))
    yield FILTERED.says(
        Status.FAULT if lost else Status.OK,
        f"{_named(settings)} dropped {count(dropped, 'message')}" + ("" if lost else ", none that the batch misses"),
        leg=leg,
        bears=Bears.HOLDS if lost else Bears.APART,
        held=lost,
        subject=subjects.subscription(settings.name),
        tells=Filtered(dropped=dropped, gone=int(_is_gone(settings, acks, changes)), now=_now(settings)),
        rests_on=("AckCounts", "SubscriptionConfig"),
    )


def _is_gone(settings: SubscriptionSettings, acks: AckCounts, changes: ChangeLog | Unseen) -> bool:
    """Whether it was another filter that dropped: the subscription has none, or was made anew since the last was dropped."""
    drops = (s for s in acks.series if s.labels.get("delivery_type") == "filter")
    last = max((p.start for s in drops for p in s.points if p.value), default=None)
    made = [] if isinstance(changes, Unseen) else _made(changes, settings)
    return not settings.filter or (last is not None and any(at > last for at in made))


def _now(settings: SubscriptionSettings) -> str:
    return (
        f"the filter {settings.filter} now, and nothing shows that this one lets them through"
        if settings.filter
        else "none now"
    )


def _made(changes: ChangeLog, settings: SubscriptionSettings) -> list[datetime]:
    mine = (c for c in changes.changes if c.ok and short(c.resource) == short(settings.name))
    return [c.at for c in mine if c.method == "CreateSubscription"]


def _named(settings: SubscriptionSettings) -> str:
    return f"filter {settings.filter}" if settings.filter else f"a filter that {short(settings.name)} no longer has"


def _unseen(
    seen: Seen,
    settings: SubscriptionSettings,
    acks: Unseen,
    changes: ChangeLog | Unseen,
    log: RequestLog | Unseen,
) -> Iterator[Finding]:
    """A filter of which nobody counts what it drops clears nothing. It is suspected where the batch had time to be pushed, no push of it
    is known, and no good batch is known to have come through the same filter."""
    ledger, leg = seen.ledger, seen.leg
    least, most = unreached(ledger, leg)
    if not settings.filter or not ledger.told or most == 0:
        return
    passed = ledger.last_good is not None and not _made_since(changes, settings, ledger.last_good.started)
    suspected = not passed and _never_pushed(ledger, leg, settings, log)
    before = "; the last good batch came through it" if passed else ""
    yield FILTERED.says(
        Status.WARNING if suspected else Status.UNKNOWN,
        f"the subscription has the filter {settings.filter}; what it drops could not be seen: {acks.says}{before}"
        + ("; nothing of the batch is known to have been pushed" if suspected else ""),
        leg=leg,
        bears=Bears.HOLDS if suspected else Bears.APART,
        held=least if suspected else 0,
        subject=subjects.subscription(settings.name),
        tells=Filtered(),
        rests_on=("SubscriptionConfig", "RequestLog"),
    )


def _made_since(changes: ChangeLog | Unseen, settings: SubscriptionSettings, moment: datetime) -> bool:
    """Whether the subscription may have been made anew since then: a filter cannot be changed, only made."""
    if isinstance(changes, Unseen) or changes.since > moment or not changes.source.complete:
        return True
    return any(at >= moment for at in _made(changes, settings))


def _never_pushed(ledger: Ledger, leg: Leg, settings: SubscriptionSettings, log: RequestLog | Unseen) -> bool:
    """Whether the request log, read whole, has no push since the batch came, though there was time to answer one."""
    newest = ledger.last_progress
    if isinstance(log, Unseen) or not log.source.complete or ledger.started is None or newest is None:
        return False
    time_for_one = timedelta(seconds=settings.ack_deadline_s) + COUNTED
    came = ledger.counts[Stage.PUBLISHED if leg is Leg.REQUEST else Stage.PROCESSED].least
    reached = ledger.counts[Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED].least
    pushed = any(r.at >= ledger.started for r in log.pushes())
    return came > 0 and not reached and not pushed and log.source.as_of > newest + time_for_one
