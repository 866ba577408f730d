"""Does what is published reach the leg's subscription, and does the subscription push to the right place?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    ChangeLog,
    DeadLetterCounts,
    DeliveryHealth,
    Leg,
    ProjectInfo,
    ProjectSubscriptions,
    PublishCounts,
    PushCounts,
    RequestLog,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    TopicConfig,
    TopicSubscriptions,
    Unseen,
    total,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.arrived import arrived, owed_here
from diagnostics.readings.balance import gone_since, residue
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import nowhere, unreached
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Row, Status, Where
from diagnostics.steps.routed.attachment import NOT_PUSH, set_wrong
from diagnostics.steps.routed.filters import FILTERED, by_filter
from diagnostics.steps.routed.missing import BY_ANOTHER, how_missing, perhaps_deleted, was_away
from diagnostics.steps.routed.push_endpoint import ENDPOINT, SERVICE_GONE, unmet_path
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.routed.vanished import VANISHED, gone_later, left_unacked
from diagnostics.steps.run import could_not
from diagnostics.steps.words import short

ROUTED = Code("routed.yes", Stage.ROUTED, "the subscription is attached and pushes to the right service")
_LEAVE_OPEN = (FILTERED.name, ENDPOINT.name)
"""What, unknown or a warning, leaves it open whether what is published comes to the service."""
_NOT_THERE = frozenset({ENDPOINT.name, SERVICE_GONE.name, NOT_PUSH.name})
"""What keeps messages in the subscription, away from the service."""


def routed(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    subscription: SubscriptionConfig | Unseen,
    topic: TopicConfig | Unseen,
    attached: TopicSubscriptions | Unseen,
    project: ProjectSubscriptions | Unseen,
    service: ServiceConfig | Unseen,
    acks: AckCounts | Unseen,
    backlog: Backlog | Unseen,
    dead: DeadLetterCounts | Unseen,
    changes: ChangeLog | Unseen,
    published: PublishCounts | Unseen,
    log: RequestLog | Unseen,
    pushes: PushCounts | Unseen,
    info: ProjectInfo | Unseen,
    health: DeliveryHealth | Unseen,
    now: datetime,
) -> Iterator[Finding | Row]:
    """Reads the configuration and what a filter dropped; what was lost is counted from what the stage before let through, and is no
    more than the topic took."""
    seen = Seen(leg, ledger, profile, topic, project, service, info, owed_here(ledger, leg, published), now)
    if isinstance(subscription, Unseen):
        yield could_not(routed, [subscription], leg)
        yield from perhaps_deleted(seen, changes, pushes)
        return
    settings = subscription.settings
    if settings is None:
        found = list(how_missing(seen, attached, changes))
    else:
        filtered = list(by_filter(seen, settings, acks, backlog, changes, log))
        came = max(seen.lost, _only_pulled(seen, settings, changes, published))
        gone = residue(ledger, leg, now, published, pushes, acks, backlog)
        # what a filter drops is never pushed, and what was taken out of the subscription is pushed no more
        kept = max(came - sum(f.held for f in filtered) - gone, 0)
        found = [*set_wrong(seen, settings, kept, log, changes), *filtered, *was_away(seen, settings.name, changes)]
        if not any(f.code in _NOT_THERE for f in found):
            found += unmet_path(seen, settings, pushes, log, changes)
        if all(f.code in _NOT_THERE for f in found if f.abnormal):
            found += left_unacked(seen, settings, gone, changes, health)
        if not any(f.abnormal or f.status is Status.UNKNOWN for f in found):
            found.append(_right(leg, settings, service))
        if ledger.closed:
            yield from gone_later(seen, *gone_since(ledger, now, published, pushes, acks, backlog, dead))
    yield from found
    yield _row(found, leg, seen.lost, dead, ledger)


def _right(leg: Leg, settings: SubscriptionSettings, service: ServiceConfig | Unseen) -> Finding:
    return ROUTED.says(
        Status.OK,
        f"{short(settings.name)} → {_target(settings, service)}",
        leg=leg,
        subject=subjects.subscription(settings.name),
        rests_on=("SubscriptionConfig",),
    )


def _row(found: list[Finding], leg: Leg, lost: int, dead: DeadLetterCounts | Unseen, ledger: Ledger) -> Row:
    """Reached, unless a fault keeps messages from coming this far; those that came and vanished had been reached."""
    another = next((f for f in found if f.code == BY_ANOTHER.name), None)
    perhaps = another is not None and another.status is Status.UNKNOWN
    broken = not perhaps and any(f.status is Status.FAULT for f in found)
    vanished = all(f.code in VANISHED for f in found if f.status is Status.FAULT)
    unsure = [f for f in found if f.code in _LEAVE_OPEN and f.status in (Status.UNKNOWN, Status.WARNING)]
    unsure += [another] if another and perhaps else []
    told = (Status.FAULT,) if broken else (Status.UNKNOWN, Status.WARNING) if unsure else (Status.OK,)
    telling = max((f for f in found if f.status in told), key=lambda f: f.held, default=None)
    return Row(
        stage=Stage.ROUTED,
        leg=leg,
        reached=False if broken and not vanished else None if unsure else True,
        basis="config",
        where=_where(found, leg, lost, dead, ledger) if broken else {},
        status=Status.FAULT if broken else max((f.status for f in unsure), key=told.index, default=Status.OK),
        source=telling.says if telling else another.says if another else "",
        not_reached=False,
    )


def _where(
    found: list[Finding], leg: Leg, owes: int, dead: DeadLetterCounts | Unseen, ledger: Ledger
) -> dict[str, int]:
    """What no subscription kept is lost, but for dead letters; what is pushed to the wrong place, or not at all, is still there or
    dead-lettered."""
    codes = {f.code for f in found if f.status is Status.FAULT}
    kept = Where.WAITING if NOT_PUSH.name in codes else Where.RETRYING
    if not codes & _NOT_THERE or not codes <= _NOT_THERE.union(VANISHED):
        most = nowhere(ledger, leg) if owes else 0
        dropped = min(max((f.held for f in found), default=most), most)
        return {Where.DROPPED: dropped} if dropped else {}
    passed = ledger.counts[Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED].least if ledger.counts else 0
    pulled = max((f.held for f in found if f.code == NOT_PUSH.name), default=0)
    never = unreached(ledger, leg)[0] if owes else 0
    lost = max(never, 0 if passed else pulled)  # what passed may come again: then it waits behind this row
    gone = min(sum(f.held for f in found if f.code in VANISHED), lost)
    lost -= gone
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    lettered = 0 if isinstance(dead, Unseen) else min(int(total(dead.series, since)), lost)
    places = ((Where.DROPPED, gone), (Where.DEAD_LETTERED, lettered), (kept, lost - lettered))
    return {place: n for place, n in places if n}


def _only_pulled(
    seen: Seen, settings: SubscriptionSettings, changes: ChangeLog | Unseen, published: PublishCounts | Unseen
) -> int:
    """Items that were sent to a subscription in pull mode that nobody has changed since before the batch began, and of which none is
    known to have passed: no counter has to tell that none was pushed."""
    begin, ledger = seen.ledger.started, seen.ledger
    if settings.push_endpoint or begin is None or isinstance(changes, Unseen) or not changes.source.complete:
        return 0
    stage = Stage.DELIVERED if seen.leg is Leg.REQUEST else Stage.RETURNED
    changed = any(c.at >= begin and short(c.resource) == short(settings.name) for c in changes.changes)
    if changed or changes.since > begin or ledger.counts[stage].least:
        return 0
    sent, most = ledger.before(stage).least, arrived(ledger, seen.leg, published)
    return sent if most is None else min(sent, most)


def _target(settings: SubscriptionSettings, service: ServiceConfig | Unseen) -> str:
    """Service and path that pushes go to; the whole address where the service was not seen."""
    if isinstance(service, Unseen) or service.settings is None:
        return settings.push_endpoint
    path = settings.push_endpoint.split("://", 1)[-1].partition("/")[2]
    return f"{service.settings.name} /{path}"
