"""How did a subscription go that is not there, and does another one stand in for it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import structs

from diagnostics.evidence.model import (
    STAGES,
    ChangeLog,
    Leg,
    ProjectSubscriptions,
    PushCounts,
    ServiceConfig,
    Stage,
    TopicConfig,
    TopicSubscriptions,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.addresses import host_of, is_own
from diagnostics.readings.answers import tally
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.nearest import nearest
from diagnostics.readings.owed import passed
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.words import clock, count, short

NO_SUBSCRIPTION = Code(
    "routed.no_subscription", Stage.ROUTED, "the topic has no subscription that pushes to the service", Kind.MECHANISM
)
SUBSCRIPTION_MISSING = Code(
    "routed.subscription_missing", Stage.ROUTED, "the subscription does not exist", Kind.MECHANISM
)
EXPIRED = Code("routed.expired", Stage.ROUTED, "the subscription expired for inactivity", Kind.MECHANISM)
DELETED = Code("routed.deleted", Stage.ROUTED, "somebody deleted the subscription", Kind.MECHANISM)
AWAY = Code(
    "routed.away",
    Stage.ROUTED,
    "the subscription was not there when the batch was published, and is there again",
    Kind.MECHANISM,
)
BY_ANOTHER = Code(
    "routed.by_another", Stage.ROUTED, "another subscription than the profile's pushes to the service", Kind.MECHANISM
)


def how_missing(seen: Seen, attached: TopicSubscriptions | Unseen, changes: ChangeLog | Unseen) -> Iterator[Finding]:
    """The subscription does not exist: how it went, and whether another one pushes the topic's messages to the service."""
    named = seen.profile.leg(seen.leg)
    name = short(named.subscription if named and named.subscription else "?")
    code, how, since = _gone(changes, name)
    about = subjects.pushing(seen.profile, seen.leg)
    says = f"subscription {name} does not exist{how and f': {how}'}{'' if how else _meant(name, seen.project)}"
    others = _others(attached, seen.project, seen.service)
    strange = [] if others else _unread(attached, seen.project, seen.service)
    if others and code and _all_before(seen, since):  # another one took its place after the batch had been published
        yield seen.loses(SUBSCRIPTION_MISSING, says, about, since)
        yield seen.loses(code, f"subscription {name}: {how}", about, since)
    elif others or (strange and not code and passed(seen.ledger, seen.leg)):
        yield SUBSCRIPTION_MISSING.says(
            Status.WARNING, says, leg=seen.leg, subject=about, since=since, rests_on=("SubscriptionConfig",)
        )
    else:
        yield seen.loses(SUBSCRIPTION_MISSING, says, about, since)
        if code:
            yield seen.loses(code, f"subscription {name}: {how}", about, since)
    if others:
        yield BY_ANOTHER.says(
            Status.WARNING,
            f"subscription {', '.join(map(short, others))} pushes to the service instead",
            leg=seen.leg,
            subject=subjects.subscription(others[0]),
        )
    elif strange:
        yield _perhaps(seen, strange)
    elif not isinstance(attached, Unseen):
        topic, many = _topic_name(seen.topic, seen.profile, seen.leg), len(attached.names)
        has = f"has {count(many, 'other subscription')}, none to the service" if many else "has no subscription"
        yield seen.loses(
            NO_SUBSCRIPTION, f"topic {topic} {has}: what is published is lost", subjects.topic(topic.strip("?")), since
        )


def _all_before(seen: Seen, since: datetime | None) -> bool:
    """Whether it went before the batch began, none of the batch came to the service, and one that was pushed would have by now."""
    ledger = seen.ledger
    if (
        since is None
        or ledger.started is None
        or since >= ledger.started
        or passed(ledger, seen.leg)
        or not seen.dropped
    ):
        return False
    return seen.now - (ledger.last_progress or ledger.started) > _LAST_ANSWERS


def was_away(seen: Seen, name: str, changes: ChangeLog | Unseen) -> Iterator[Finding]:
    """The subscription exists, and by the audit log it did not when all of the batch was published: none of it ever came to it."""
    ledger = seen.ledger
    told = ledger.attempt.published if ledger.attempt else None
    if isinstance(changes, Unseen) or ledger.started is None or told is None or not seen.dropped:
        return
    own = [c for c in changes.changes if c.ok and short(c.resource) == short(name)]
    before = [c for c in own if c.at <= ledger.started and c.method in ("DeleteSubscription", "CreateSubscription")]
    since = [c for c in own if c.at >= told.at and c.method == "CreateSubscription"]
    if (
        not before
        or before[-1].method != "DeleteSubscription"
        or not since
        or _passed_since(ledger, seen.leg, ledger.started)
    ):
        return
    gone, back = before[-1], since[0]
    yield structs.replace(
        seen.loses(
            AWAY,
            f"subscription {short(name)} was deleted at {clock(gone.at, seen.now)} by {gone.by} and made again at "
            f"{clock(back.at, seen.now)}: what was published in between never came to it",
            subjects.subscription(name),
            gone.at,
        ),
        rests_on=("ChangeLog",),
    )


def perhaps_deleted(seen: Seen, changes: ChangeLog | Unseen, pushes: PushCounts | Unseen) -> Iterator[Finding]:
    """The subscription may not be looked at, and the audit log tells that it was deleted, and of none of its name made since; nor was
    anything pushed after that."""
    named = seen.profile.leg(seen.leg)
    name = short(named.subscription) if named and named.subscription else ""
    code, how, since = _gone(changes, name)
    if not name or code is None or since is None or isinstance(changes, Unseen):
        return
    if any(
        c.at > since and c.ok and c.method == "CreateSubscription" and short(c.resource) == name
        for c in changes.changes
    ):
        return
    if _passed_since(seen.ledger, seen.leg, since) or tally(pushes, since + _LAST_ANSWERS).all:
        return
    about = subjects.pushing(seen.profile, seen.leg)
    says = f"subscription {name}: {how}; whether there is one again could not be seen"
    yield structs.replace(seen.loses(code, says, about, since), rests_on=("ChangeLog",))


_LAST_ANSWERS = timedelta(minutes=12)
"""What was pushed before a subscription went is answered within the longest ack deadline, and a sample of the counters may hold both."""


def _passed_since(ledger: Ledger, leg: Leg, since: datetime) -> bool:
    """Whether an item of the batch came through the leg's subscription after that, by its lines."""
    first = Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED
    came = (x for x in ledger.lives if STAGES.index(x.stage) >= STAGES.index(first))
    return any(x.last is not None and x.last > since for x in came)


def _meant(name: str, project: ProjectSubscriptions | Unseen) -> str:
    """Of a name that may be mistyped, for no audit log tells that it ever was one: the subscription of the project that is most like it."""
    near = "" if isinstance(project, Unseen) else nearest(name, (short(s.name) for s in project.subscriptions))
    return f" (the name most like it in the project: {near})" if near else ""


def _perhaps(seen: Seen, strange: Sequence[str]) -> Finding:
    """Subscriptions of the topic of which it could not be read where they push."""
    topic, which = _topic_name(seen.topic, seen.profile, seen.leg), ", ".join(strange[:3])
    if passed(seen.ledger, seen.leg):
        says = f"topic {topic} has {which}, which the profile does not name; items come through"
        return BY_ANOTHER.says(Status.WARNING, says, leg=seen.leg, subject=subjects.subscription(strange[0]))
    says = f"topic {topic} has {which}; whether it pushes to the service could not be read"
    return BY_ANOTHER.says(Status.UNKNOWN, says, leg=seen.leg, subject=subjects.subscription(strange[0]))


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


def _unread(
    attached: TopicSubscriptions | Unseen, project: ProjectSubscriptions | Unseen, service: ServiceConfig | Unseen
) -> list[str]:
    """Attached subscriptions of which it cannot be told whether they push to the service: of other projects, or where the list of
    subscriptions or the service was not seen."""
    if isinstance(attached, Unseen):
        return []
    if isinstance(project, Unseen) or isinstance(service, Unseen) or not service.settings:
        return list(attached.names)
    known = {s.name for s in project.subscriptions}
    return [name for name in attached.names if name not in known]


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


def _topic_name(topic: TopicConfig | Unseen, profile: PipelineProfile, leg: Leg) -> str:
    if not isinstance(topic, Unseen):
        return short(topic.name)
    named = profile.leg(leg)
    return named.topic if named else "?"
