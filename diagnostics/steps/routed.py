"""Does what is published reach the leg's subscription, and does the subscription push to the right place?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from diagnostics.evidence.model import (
    DELETED_TOPIC,
    AckCounts,
    Backlog,
    By,
    Change,
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
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    TopicConfig,
    TopicSubscriptions,
    Unseen,
    total,
)
from diagnostics.evidence.run_app import address
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.addresses import host_of, is_own, path_of
from diagnostics.readings.answers import RECENT, last_of
from diagnostics.readings.arrived import COUNTED, arrived, owed_here
from diagnostics.readings.balance import residue
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import acked, alive, nowhere, unreached
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Subject, Telling, Where
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import apart, clock, count, short, span


class Filtered(Tells, frozen=True, kw_only=True):
    dropped: float | None = None
    """Messages that the filter dropped since the batch began; None: whether they are missed could not be seen."""


ROUTED = Code("routed.yes", Stage.ROUTED, "the subscription is attached and pushes to the right service")
NO_SUBSCRIPTION = Code(
    "routed.no_subscription", Stage.ROUTED, "the topic has no subscription that pushes to the service", Kind.MECHANISM
)
SUBSCRIPTION_MISSING = Code(
    "routed.subscription_missing", Stage.ROUTED, "the subscription does not exist", Kind.MECHANISM
)
EXPIRED = Code("routed.expired", Stage.ROUTED, "the subscription expired for inactivity", Kind.MECHANISM)
DELETED = Code("routed.deleted", Stage.ROUTED, "somebody deleted the subscription", Kind.MECHANISM)
BY_ANOTHER = Code(
    "routed.by_another", Stage.ROUTED, "another subscription than the profile's pushes to the service", Kind.MECHANISM
)
DETACHED = Code("routed.detached", Stage.ROUTED, "the subscription is detached from its topic", Kind.MECHANISM)
ORPHAN = Code("routed.orphan", Stage.ROUTED, "the subscription's topic was deleted", Kind.MECHANISM)
OTHER_TOPIC = Code("routed.other_topic", Stage.ROUTED, "the subscription belongs to another topic", Kind.MECHANISM)
NOT_PUSH = Code("routed.not_push", Stage.ROUTED, "the subscription does not push", Kind.MECHANISM)
ENDPOINT = Code("routed.endpoint_elsewhere", Stage.ROUTED, "the push endpoint is no URL of the service", Kind.MECHANISM)
SERVICE_GONE = Code(
    "routed.service_gone", Stage.ROUTED, "the service that is to take the pushes does not exist", Kind.MECHANISM
)
ELSEWHERE = Code("routed.in_another_place", Stage.ROUTED, "pushes go to a service of the same name in another place")
FILTERED = Telling(
    "routed.filtered", Stage.ROUTED, "the subscription's filter drops messages", Kind.MECHANISM, tells=Filtered
)
OUTLIVED = Code(
    "routed.outlived", Stage.ROUTED, "messages waited longer than the subscription keeps them", Kind.CONSEQUENCE
)
RESIDUE = Code("routed.residue", Stage.ROUTED, "messages left the subscription and nobody acked them", Kind.EFFECT)
PURGED = Code("routed.purged", Stage.ROUTED, "a seek put away messages that nobody had acked", Kind.EFFECT)
MADE_ANEW = Code(
    "routed.made_anew", Stage.ROUTED, "the subscription was made anew, without what waited in the old one", Kind.EFFECT
)
SECOND_PUSH = Code(
    "routed.second_push", Stage.ROUTED, "a second subscription pushes to the same endpoint", Kind.MECHANISM
)


_VANISHED = (RESIDUE.name, PURGED.name, MADE_ANEW.name, OUTLIVED.name)
"""What became of messages on a route that is right."""
_LEAVE_OPEN = (FILTERED.name, ENDPOINT.name)
"""What, unknown or a warning, leaves it open whether what is published comes to the service."""


def routed(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    subscription: SubscriptionConfig,
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
    lost = owed_here(ledger, leg, published)
    seen = _Seen(leg, ledger, profile, topic, project, service, info, lost, now)
    settings = subscription.settings
    if settings is None:
        found = list(_missing(seen, attached, changes))
    else:
        filtered = list(_filtered(leg, settings, acks, backlog, ledger))
        if isinstance(acks, Unseen):
            filtered = list(_filters_unseen(seen, settings, acks, changes, log))
        came = max(lost, _only_pulled(seen, settings, changes, published))
        kept = max(came - sum(f.held for f in filtered), 0)  # what a filter drops is never pushed
        found = [*_settings(seen, settings, kept, log, changes), *filtered]
        if not any(f.code in (ENDPOINT.name, SERVICE_GONE.name, NOT_PUSH.name) for f in found):
            found += _unmet_path(seen, settings, pushes, log, changes)
        if leg is Leg.REQUEST and not any(f.abnormal for f in found):
            gone = residue(ledger, now, published, pushes, acks, backlog)
            found += _residue(seen, settings, gone, changes, health, now)
        if not any(f.abnormal or f.status is Status.UNKNOWN for f in found):
            found.append(
                ROUTED.says(
                    Status.OK,
                    f"{short(settings.name)} → {_target(settings, service)}",
                    leg=leg,
                    subject=subjects.subscription(settings.name),
                    rests_on=("SubscriptionConfig",),
                )
            )
    yield from found
    broken = any(f.status is Status.FAULT for f in found)
    vanished = all(f.code in _VANISHED for f in found if f.status is Status.FAULT)
    unsure = [f for f in found if f.code in _LEAVE_OPEN and f.status in (Status.UNKNOWN, Status.WARNING)]
    told = (Status.FAULT,) if broken else (Status.UNKNOWN, Status.WARNING) if unsure else (Status.OK,)
    yield Row(
        stage=Stage.ROUTED,
        leg=leg,
        reached=False if broken and not vanished else None if unsure else True,
        basis="config",
        where=_where(found, leg, lost, dead, ledger) if broken else {},
        status=Status.FAULT if broken else max((f.status for f in unsure), key=told.index, default=Status.OK),
        source=next((f.says for f in found if f.status in told), ""),
        not_reached=False,
    )


@dataclass(frozen=True)
class _Seen:
    """One leg, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    profile: PipelineProfile
    topic: TopicConfig | Unseen
    project: ProjectSubscriptions | Unseen
    service: ServiceConfig | Unseen
    info: ProjectInfo | Unseen
    lost: int
    """Items of the batch that a wrong route holds or loses, if there is one."""
    now: datetime

    @property
    def dropped(self) -> int:
        """Of those the ones that are nowhere else, where nothing keeps them."""
        return min(alive(self.ledger, self.leg), self.lost)

    def fault(self, code: Code, sentence: str, about: Subject | None, held: int) -> Finding:
        """A setting that keeps messages from the service."""
        return code.says(
            Status.FAULT,
            sentence,
            leg=self.leg,
            bears=Bears.HOLDS if held else Bears.APART,
            held=held,
            subject=about,
            rests_on=("SubscriptionConfig", "ServiceConfig"),
        )

    def loses(self, code: Code, sentence: str, about: Subject | None, since: datetime | None) -> Finding:
        """Nothing keeps what is published: it is lost."""
        return code.says(
            Status.FAULT,
            sentence,
            leg=self.leg,
            bears=Bears.HOLDS if self.dropped else Bears.APART,
            held=self.dropped,
            since=since,
            subject=about,
            rests_on=("SubscriptionConfig", "TopicSubscriptions"),
        )


def _missing(seen: _Seen, attached: TopicSubscriptions | Unseen, changes: ChangeLog | Unseen) -> Iterator[Finding]:
    """The subscription does not exist: how it went, and whether another one pushes the topic's messages to the service."""
    named = seen.profile.leg(seen.leg)
    name = short(named.subscription if named and named.subscription else "?")
    code, how, since = _gone(changes, name)
    about = subjects.pushing(seen.profile, seen.leg)
    yield seen.loses(SUBSCRIPTION_MISSING, f"subscription {name} does not exist{how and f': {how}'}", about, since)
    if code:
        yield seen.loses(code, f"subscription {name}: {how}", about, since)
    others = _others(attached, seen.project, seen.service)
    if others:
        yield BY_ANOTHER.says(
            Status.WARNING,
            f"subscription {', '.join(map(short, others))} pushes to the service instead",
            leg=seen.leg,
            subject=subjects.subscription(others[0]),
        )
    elif not isinstance(attached, Unseen):
        topic, many = _topic_name(seen.topic, seen.profile, seen.leg), len(attached.names)
        has = f"has {count(many, 'other subscription')} that pushes to the service" if many else "has no subscription"
        says = f"topic {topic} {has}: what is published is lost"
        yield seen.loses(NO_SUBSCRIPTION, says, subjects.topic(topic.strip("?")), since)


def _where(
    found: list[Finding], leg: Leg, owes: int, dead: DeadLetterCounts | Unseen, ledger: Ledger
) -> dict[str, int]:
    """What no subscription kept is lost, but for dead letters; what is pushed to the wrong place, or not at all, is still there or
    dead-lettered."""
    codes = {f.code for f in found if f.status is Status.FAULT}
    kept = Where.WAITING if NOT_PUSH.name in codes else Where.RETRYING
    if not codes <= {ENDPOINT.name, SERVICE_GONE.name, NOT_PUSH.name}:
        most = nowhere(ledger, leg) if owes else 0
        dropped = min(max((f.held for f in found), default=most), most)
        return {Where.DROPPED: dropped} if dropped else {}
    passed = ledger.counts[Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED].least if ledger.counts else 0
    pulled = max((f.held for f in found if f.code == NOT_PUSH.name), default=0)
    never = unreached(ledger, leg)[0] if owes else 0
    lost = max(never, 0 if passed else pulled)  # what passed may come again: then it waits behind this row
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    lettered = 0 if isinstance(dead, Unseen) else min(int(total(dead.series, since)), lost)
    return {place: n for place, n in ((Where.DEAD_LETTERED, lettered), (kept, lost - lettered)) if n}


def _only_pulled(
    seen: _Seen, settings: SubscriptionSettings, changes: ChangeLog | Unseen, published: PublishCounts | Unseen
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


def _settings(
    seen: _Seen, settings: SubscriptionSettings, kept: int, log: RequestLog | Unseen, changes: ChangeLog | Unseen
) -> Iterator[Finding]:
    """What of the subscription's own settings keeps messages from the service; it can have kept no more than `kept` of them, and
    none where it is not attached."""
    name, topic, about = short(settings.name), seen.topic, subjects.subscription(settings.name)
    if settings.topic == DELETED_TOPIC:
        says = f"the topic of subscription {name} was deleted; a new topic of that name does not re-attach it"
        yield seen.fault(ORPHAN, says, about, seen.dropped)
    elif not isinstance(topic, Unseen) and settings.topic != topic.name:
        theirs, ours = apart(settings.topic, topic.name)
        says = f"subscription {name} belongs to topic {theirs}, not {ours}"
        yield seen.fault(OTHER_TOPIC, says, about, seen.dropped)
    if settings.detached:
        says = f"subscription {name} is detached: its backlog is gone and nothing is pushed"
        yield seen.fault(DETACHED, says, about, seen.dropped)
    if settings.detached or settings.topic == DELETED_TOPIC:
        kept = 0
    if not settings.push_endpoint:
        says = f"subscription {name} has no push endpoint: messages wait for a puller"
        yield seen.fault(NOT_PUSH, says, about, kept)
        return
    if place := _other_place(seen, settings):
        yield _perhaps_there(seen, settings, place, kept, changes)
    elif not isinstance(seen.service, Unseen) and seen.service.settings is None:
        yield _no_service(seen, seen.service.name, about, kept, changes)
    elif wrong := _wrong_endpoint(seen, settings):
        yield seen.fault(ENDPOINT, wrong, about, 0 if _turned_away(seen, settings, log) else kept)
    yield from _twins(seen, settings)


def _other_place(seen: _Seen, settings: SubscriptionSettings) -> str:
    """Where the push endpoint leads, if that is a service of the right name in another project or region than the one that was looked
    at: there it may well be at work, and nobody looked."""
    service, at = seen.service, address(host_of(settings.push_endpoint))
    if isinstance(service, Unseen) or at is None or at.service != service.name:
        return ""
    if service.settings is not None and is_own(service.settings, host_of(settings.push_endpoint)):
        return ""
    region = _region(service)
    if at.region and region and at.region != region:
        return f"in {at.region}"
    own = "" if isinstance(seen.info, Unseen) else seen.info.number
    if at.number and at.number != own:
        return f"in the project {at.number}"
    return "" if at.number or service.settings is None else "in another project"


def _region(service: ServiceConfig) -> str:
    """Where the service was looked for: in projects/P/locations/REGION/services/S; empty where that is not told."""
    parts = service.source.query.split("/")
    return parts[3] if len(parts) == 6 else ""


def _perhaps_there(
    seen: _Seen, settings: SubscriptionSettings, place: str, kept: int, changes: ChangeLog | Unseen
) -> Finding:
    """A fault where the endpoint was set lately and nothing of the batch came through it since; else nobody can tell from here."""
    service = seen.service
    name = "" if isinstance(service, Unseen) else service.name
    role = "worker" if seen.leg is Leg.REQUEST else "coordinator"
    says = f"push endpoint {host_of(settings.push_endpoint)} is {name} {place}, not the one that the profile names"
    through = acked(seen.ledger, seen.leg)
    if kept and not through and _set_lately(changes, settings):
        return seen.fault(ENDPOINT, says, subjects.subscription(settings.name), kept)
    return ELSEWHERE.says(
        Status.ADVICE if through else Status.UNKNOWN,
        f"{says}: if it is meant, name {role}.project and {role}.region in the profile, and it is looked at",
        leg=seen.leg,
        subject=subjects.subscription(settings.name),
        rests_on=("SubscriptionConfig", "ServiceConfig"),
    )


def _set_lately(changes: ChangeLog | Unseen, settings: SubscriptionSettings) -> bool:
    """Whether the audit log has somebody set the push endpoint."""
    listed = () if isinstance(changes, Unseen) else changes.changes
    return any(c.ok and c.method in _POINTS and short(c.resource) == short(settings.name) for c in listed)


_POINTS = frozenset({"CreateSubscription", "UpdateSubscription", "ModifyPushConfig"})
"""Methods that set a push endpoint."""


def _wrong_endpoint(seen: _Seen, settings: SubscriptionSettings) -> str:
    """Why the push endpoint is not where the service takes messages; empty where it is, or where that cannot be told."""
    service = seen.service
    if isinstance(service, Unseen) or service.settings is None:
        return ""
    if elsewhere(settings, service.settings):
        return f"push endpoint {host_of(settings.push_endpoint)} is no URL of service {service.settings.name}"
    never = seen.lost > 0 and not acked(seen.ledger, seen.leg)
    if never and (wrong := _wrong_path(settings, seen.profile, seen.leg)):
        return f"pushes go to path {wrong}, and the service takes them at {_takes(seen.profile, seen.leg)}"
    return ""


def _no_service(seen: _Seen, name: str, about: Subject | None, kept: int, changes: ChangeLog | Unseen) -> Finding:
    """The service that the profile names does not exist, and when it was deleted, if the audit log tells."""
    listed = () if isinstance(changes, Unseen) else changes.changes
    deleted = [c for c in listed if c.ok and c.method == "DeleteService" and c.resource == f"services/{name}"]
    if not deleted:
        return seen.fault(SERVICE_GONE, f"Cloud Run service {name} does not exist", about, kept)
    last = deleted[-1]
    says = f"Cloud Run service {name} does not exist: {last.by} deleted it at {clock(last.at, seen.now)}"
    return msgspec.structs.replace(seen.fault(SERVICE_GONE, says, about, kept), since=last.at)


_SETS_PATH = frozenset({"ModifyPushConfig", "UpdateSubscription", "CreateSubscription"})
"""Methods that set where a subscription pushes to."""


def _unmet_path(
    seen: _Seen,
    settings: SubscriptionSettings,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """A path that the profile contradicts and that no item has met yet. One by which a push was acked is right, whatever the profile
    says, and so is one that nobody has set since; where neither could be seen, nothing is said."""
    path = _wrong_path(settings, seen.profile, seen.leg)
    if not path or acked(seen.ledger, seen.leg) or isinstance(pushes, Unseen) or isinstance(log, Unseen):
        return
    listed = () if isinstance(changes, Unseen) else changes.changes
    of_it = (c for c in listed if c.ok and c.method in _SETS_PATH and short(c.resource) == short(settings.name))
    set_at = max((c.at for c in of_it), default=None)
    good = seen.ledger.last_good
    passed = [
        last_of(pushes.series, response_class="ack"),
        max((r.at for r in log.fine if r.pushed_to(path)), default=None),
        good.started if good else None,
    ]
    proven = max((at for at in passed if at), default=None)
    if proven and (set_at is None or set_at < proven):
        return
    yield ENDPOINT.says(
        Status.WARNING,
        f"pushes go to path {path}, and the profile says that the service takes them at {_takes(seen.profile, seen.leg)}; "
        f"no push has been acked {f'since that was set at {clock(set_at, pushes.source.as_of)}' if set_at else 'yet'}",
        leg=seen.leg,
        since=set_at,
        subject=subjects.subscription(settings.name),
        rests_on=("SubscriptionConfig", "PushCounts", "RequestLog", "ChangeLog"),
    )


def _turned_away(seen: _Seen, settings: SubscriptionSettings, log: RequestLog | Unseen) -> bool:
    """Whether the newest pushes to a wrong path came to no program that could say that it has none: turned away by Google's front end,
    or ended by Cloud Run."""
    path = _wrong_path(settings, seen.profile, seen.leg)
    rows = [] if isinstance(log, Unseen) or not path else [r for r in log.refused if r.pushed_to(path)]
    newest = [r for r in rows if r.at > rows[-1].at - RECENT]
    return bool(newest) and all(r.by is not By.APPLICATION for r in newest)


def _twins(seen: _Seen, settings: SubscriptionSettings) -> Iterator[Finding]:
    """Other subscriptions that push the same topic to the same endpoint."""
    listed = () if isinstance(seen.project, Unseen) else seen.project.subscriptions
    twins = [
        s.name
        for s in listed
        if s.push_endpoint == settings.push_endpoint and s.name != settings.name and s.topic == settings.topic
    ]
    if twins:
        yield SECOND_PUSH.says(
            Status.WARNING,
            f"{', '.join(map(short, twins))} pushes the same topic to the same endpoint",
            leg=seen.leg,
            subject=subjects.subscription(twins[0]),
        )


def _wrong_path(settings: SubscriptionSettings, profile: PipelineProfile, leg: Leg) -> str:
    """The path of the push endpoint, if it is another than the profile's; empty if it is right or the profile names none."""
    path = path_of(settings.push_endpoint)
    return path if _takes(profile, leg) not in ("", path) else ""


def _takes(profile: PipelineProfile, leg: Leg) -> str:
    named = profile.leg(leg)
    return named.push_path if named else ""


def _filtered(
    leg: Leg, settings: SubscriptionSettings, acks: AckCounts | Unseen, backlog: Backlog | Unseen, ledger: Ledger
) -> Iterator[Finding]:
    """A filter that drops is doing its work, unless the batch misses more items than there are messages waiting."""
    if not settings.filter or isinstance(acks, Unseen):
        return
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    dropped = sum(s.total(since) for s in acks.series if s.labels.get("delivery_type") == "filter")
    if not dropped:
        return
    missing = nowhere(ledger, leg)
    if missing and (isinstance(backlog, Unseen) or not backlog.source.complete):
        yield FILTERED.says(
            Status.UNKNOWN,
            f"filter {settings.filter} dropped {count(dropped, 'message')}; whether the batch misses them could not be seen, "
            "for it could not be seen how many wait",
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
        f"filter {settings.filter} dropped {count(dropped, 'message')}"
        + ("" if lost else ", none that the batch misses"),
        leg=leg,
        bears=Bears.HOLDS if lost else Bears.APART,
        held=lost,
        subject=subjects.subscription(settings.name),
        tells=Filtered(dropped=dropped),
        rests_on=("AckCounts", "SubscriptionConfig"),
    )


def _filters_unseen(
    seen: _Seen,
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
    mine = (c for c in changes.changes if c.ok and c.at >= moment and short(c.resource) == short(settings.name))
    return any(c.method == "CreateSubscription" for c in mine)


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


_TAKES_AWAY = frozenset(
    {"DeleteSubscription", "CreateSubscription", "Seek", "DetachSubscription", "ExpireInactiveSubscription"}
)
"""Methods by which what waits in a subscription is gone without a push."""


def _residue(
    seen: _Seen,
    settings: SubscriptionSettings,
    gone: int,
    changes: ChangeLog | Unseen,
    health: DeliveryHealth | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    """What the balance of the route lacks, and who took it away, where the audit log tells. Of a seek it has nothing unless reads of
    data are logged; Pub/Sub's own health score says that there was one."""
    if not gone:
        return
    begin = seen.ledger.started
    listed = () if isinstance(changes, Unseen) else changes.changes
    made = [
        c
        for c in listed
        if c.ok and c.method in _TAKES_AWAY and short(c.resource) == short(settings.name) and begin and c.at >= begin
    ]
    code, why, since = _taken_by(settings, made, _sought(health, begin), begin, now)
    noun = seen.profile.item + "s"
    yield code.says(
        Status.FAULT,
        f"at least {gone} {noun} came to the topic and are gone from {short(settings.name)}: neither acked nor filtered nor "
        f"dead-lettered, and they wait no more; {why}",
        leg=seen.leg,
        bears=Bears.HOLDS,
        held=gone,
        since=since,
        subject=subjects.subscription(settings.name),
        rests_on=("PublishCounts", "PushCounts", "AckCounts", "Backlog", "DeadLetterCounts", "ItemMarks"),
    )


def _taken_by(
    settings: SubscriptionSettings, made: list[Change], sought: datetime | None, begin: datetime | None, now: datetime
) -> tuple[Code, str, datetime | None]:
    """What became of messages that are gone, why, and since when. `made`: what was done to the subscription since the batch began, as
    the audit log tells; `sought`: when it was sought, as its health tells."""
    if made:
        who = ", ".join(f"{clock(c.at, now)} {c.method} by {c.by}" for c in made)
        methods = {c.method for c in made}
        code = MADE_ANEW if "CreateSubscription" in methods else PURGED if methods == {"Seek"} else RESIDUE
        return code, f"since the batch began: {who}", made[0].at
    kept = timedelta(seconds=settings.retention_s)
    if begin and sought and sought - begin < kept:
        says = (
            f"the subscription was sought at about {clock(sought, now)}, which the audit log does not tell by default"
        )
        return PURGED, says, sought
    if begin and now - begin > kept:
        says = (
            f"the subscription keeps a message for {span(settings.retention_s)}, and they were not acked in that time"
        )
        return OUTLIVED, says, None
    return RESIDUE, "a seek or purge leaves no trace, and takes away what waits", None


def _sought(health: DeliveryHealth | Unseen, begin: datetime | None) -> datetime | None:
    """When the subscription was sought for the first time since then, by its delivery health: a seek spoils ten minutes of it, so one
    before the batch may show in its first minutes, and begins earlier."""
    if isinstance(health, Unseen) or begin is None:
        return None
    points = sorted(
        (p for s in health.series if s.labels.get("criteria") == "seek_requests" for p in s.points), key=lambda p: p.end
    )
    before = [None, *points]
    spoilt = (
        p for last, p in zip(before, points, strict=False) if p.value < 1.0 and (last is None or last.value == 1.0)
    )
    return next((max(p.start, begin) for p in spoilt if p.end > begin), None)


def _others(
    attached: TopicSubscriptions | Unseen, project: ProjectSubscriptions | Unseen, service: ServiceConfig | Unseen
) -> list[str]:
    """Attached subscriptions that push to the service."""
    if (
        isinstance(attached, Unseen)
        or isinstance(project, Unseen)
        or isinstance(service, Unseen)
        or not service.settings
    ):
        return []
    target = service.settings
    attached_ones = [s for s in project.subscriptions if s.name in attached.names and s.push_endpoint]
    return [s.name for s in attached_ones if is_own(target, host_of(s.push_endpoint))]


def _gone(changes: ChangeLog | Unseen, name: str) -> tuple[Code | None, str, datetime | None]:
    """How the subscription went and when, if the audit log tells."""
    if isinstance(changes, Unseen):
        return None, "", None
    for change in reversed(changes.changes):
        if change.ok and short(change.resource) == name:
            at = clock(change.at, changes.source.as_of)
            if "ExpireInactive" in change.method:
                return EXPIRED, f"expired for inactivity at {at}", change.at
            if change.method == "DeleteSubscription":
                return DELETED, f"deleted at {at} by {change.by}", change.at
    return None, "", None


def elsewhere(settings: SubscriptionSettings, target: ServiceSettings) -> bool:
    """Whether the push endpoint is the run.app address of another service; a domain of one's own may lead anywhere."""
    host = host_of(settings.push_endpoint)
    return host.endswith(".run.app") and not is_own(target, host)


def _topic_name(topic: TopicConfig | Unseen, profile: PipelineProfile, leg: Leg) -> str:
    if not isinstance(topic, Unseen):
        return short(topic.name)
    named = profile.leg(leg)
    return named.topic if named else "?"


def _target(settings: SubscriptionSettings, service: ServiceConfig | Unseen) -> str:
    """Service and path that pushes go to; the whole address where the service was not seen."""
    if isinstance(service, Unseen) or service.settings is None:
        return settings.push_endpoint
    path = settings.push_endpoint.split("://", 1)[-1].partition("/")[2]
    return f"{service.settings.name} /{path}"
