"""Does the dead-letter setup bind? Pub/Sub counts delivery attempts only while topic and both grants are right.

Messages that went to the dead-letter topic prove it, whatever a policy hides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DeadLetterCounts,
    DeadLetterPolicy,
    DeadLetterTopic,
    DeadLetterTopicPolicy,
    ItemMarks,
    Leg,
    ProjectInfo,
    ProjectPolicy,
    RequestLog,
    Stage,
    SubscriptionConfig,
    SubscriptionPolicy,
    Unseen,
)
from diagnostics.readings.answers import last_of
from diagnostics.readings.grants import CONSUME, PUBLISH, Grant, Permission, at_home, hidden, holds, taken
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.spent import spent
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Subject, Telling
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import count, short


class Lacking(Tells, frozen=True, kw_only=True):
    retrying_items: int
    """Items that come round again and again meanwhile."""
    lacking: str
    """Roles and what they lack on, in words."""


class Unbound(Tells, frozen=True, kw_only=True):
    """Items of the batch that failed far more often than their subscription allows, and are in no dead-letter topic."""

    items: int
    most: int
    """How often the one that failed most did."""
    allowed: int
    """Delivery attempts, after which a message is to go to the dead-letter topic."""


class Tried(Tells, frozen=True, kw_only=True):
    """Items of the batch that used up their attempts, by why."""

    theirs: int
    """Those that failed while others got through: they are bad themselves."""
    outage: int
    """Those that failed while nothing got through."""
    door: int
    """Those that were turned away before any program took them."""
    unlucky: int
    """Those that met what was bad for all, either of these."""
    through: int
    """Others that got through meanwhile."""


BINDS = Code("dead_letter.binds", Stage.DELIVERED, "the dead-letter setup is in force")
NONE = Code("dead_letter.none", Stage.DELIVERED, "no dead-letter topic is set")
TOPIC_MISSING = Code(
    "dead_letter.topic_missing", Stage.DELIVERED, "the dead-letter topic does not exist", Kind.MECHANISM
)
NO_READER = Code("dead_letter.no_reader", Stage.DELIVERED, "the dead-letter topic has no subscription", Kind.MECHANISM)
GRANTS = Telling(
    "dead_letter.grants",
    Stage.DELIVERED,
    "Google's Pub/Sub agent lacks a grant that dead-lettering needs",
    Kind.MECHANISM,
    tells=Lacking,
)
UNBOUND = Telling(
    "dead_letter.unbound",
    Stage.DELIVERED,
    "messages fail far more often than is allowed and are not dead-lettered",
    Kind.EFFECT,
    tells=Unbound,
)
SPENT = Telling("dead_letter.spent", Stage.DELIVERED, "why attempts were used up", tells=Tried)
UNSEEN = Telling("dead_letter.unseen", Stage.DELIVERED, "the dead-letter grants could not be seen", tells=Hidden)


def dead_letter(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig,
    topic: DeadLetterTopic | Unseen,
    topic_policy: DeadLetterTopicPolicy | Unseen,
    subscription_policy: SubscriptionPolicy | Unseen,
    project: ProjectInfo | Unseen,
    project_policy: ProjectPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
    dead: DeadLetterCounts | Unseen,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Reads policy, topic and the two grants (dead-letter topics page), and what was dead-lettered."""
    settings = subscription.settings
    if settings is None:
        return
    policy, about = settings.dead_letter, subjects.subscription(settings.name)
    if policy is None:
        yield NONE.says(
            Status.ADVICE,
            f"subscription {short(settings.name)} has no dead-letter topic: bad messages come back for days",
            leg=leg,
            subject=about,
            rests_on=("SubscriptionConfig",),
        )
        return
    yield from _topic(leg, ledger, policy, topic)
    if not isinstance(topic, Unseen) and not topic.exists:
        return
    project = at_home(settings.name, project)
    if isinstance(project, Unseen):
        yield _cannot_tell(leg, about, hidden(project))
        return
    agent = f"serviceAccount:{project.pubsub_agent}"
    may_publish = holds(agent, PUBLISH, topic_policy, project_policy, above, roles=roles, now=now)
    may_consume = holds(agent, CONSUME, subscription_policy, project_policy, above, roles=roles, now=now)
    needs = (
        _Need(PUBLISH, f"topics/{short(policy.topic)}", may_publish),
        _Need(CONSUME, f"subscriptions/{short(settings.name)}", may_consume),
    )
    if all(need.grant.granted for need in needs) or _works(dead, needs, changes, project.project):
        if not isinstance(topic, Unseen) or _forwarded(dead):
            yield _binds(leg, about, policy, dead)
        return
    for need in needs:
        if need.grant.unknown:
            yield _cannot_tell(leg, about, need.grant)
    if lacking := [need for need in needs if need.grant.missing]:
        yield _lacks(leg, about, ledger, project, lacking, changes)
    elif leg is Leg.REQUEST:
        yield from _unbound(about, ledger, policy, changes, short(settings.name))


class _Need(NamedTuple):
    """A right that Google's agent needs."""

    permission: Permission
    on: str
    """kind/name, as the audit log writes it."""
    grant: Grant


def _topic(leg: Leg, ledger: Ledger, policy: DeadLetterPolicy, topic: DeadLetterTopic | Unseen) -> Iterator[Finding]:
    if isinstance(topic, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"whether dead-letter topic {short(policy.topic)} exists and keeps what it gets could not be seen: {topic.says}",
            leg=leg,
            subject=subjects.topic(policy.topic),
            rests_on=("DeadLetterTopic",),
            tells=Hidden.of(topic),
        )
    elif not topic.exists:
        yield TOPIC_MISSING.says(
            Status.WARNING,
            f"dead-letter topic {short(policy.topic)} does not exist: nothing is ever dead-lettered",
            leg=leg,
            bears=Bears.SLOWS if _go_round(ledger, leg, policy) else Bears.APART,
            subject=subjects.topic(policy.topic),
            rests_on=("DeadLetterTopic",),
        )
    elif not topic.subscriptions and topic.source.complete:
        yield NO_READER.says(
            Status.WARNING,
            f"dead-letter topic {short(policy.topic)} has no subscription: dead letters are lost"
            + (f", {lost} of this batch among them" if (lost := ledger.dead(leg).ours) else ""),
            leg=leg,
            bears=Bears.SLOWS if lost else Bears.APART,
            subject=subjects.topic(policy.topic),
            rests_on=("DeadLetterTopic",),
        )


def _go_round(ledger: Ledger, leg: Leg, policy: DeadLetterPolicy) -> bool:
    """Whether items of the batch fail again and again, or were tried as often as is allowed."""
    if leg is Leg.COMPLETION:
        return any(x.unrecorded > 1 for x in ledger.lives)
    spent_all = any(x.attempts >= policy.max_attempts and not x.done and not x.skipped for x in ledger.lives)
    return spent_all or any(r.ours for r in ledger.repeats)


def attempts(leg: Leg, ledger: Ledger, marks: ItemMarks | Unseen, log: RequestLog | Unseen) -> Iterator[Finding]:
    """What the lines tell of why items of the batch used up their attempts."""
    told = spent(ledger, leg, marks, log)
    if told is None or not (told.theirs or told.outage or told.door):
        return
    says = [
        f"{told.theirs} failed at each try while {told.through} others got through: they fail for reasons of their own",
        f"{told.outage} failed at each try, and nothing at all got through meanwhile",
        f"{told.door} were turned away at each try before any program took them",
    ]
    kinds = (told.theirs, told.outage, told.door if not told.outage else 0)
    yield SPENT.says(
        Status.OK,
        f"of those that used up their attempts, {'; '.join(s for s, number in zip(says, kinds, strict=True) if number)}",
        leg=leg,
        since=told.since,
        until=told.last,
        rests_on=("ItemMarks", "RequestLog"),
        subject=None,
        tells=Tried(
            theirs=told.theirs,
            outage=told.outage,
            door=told.door,
            unlucky=told.outage or told.door,
            through=told.through,
        ),
    )


def _forwarded(dead: DeadLetterCounts | Unseen) -> datetime | None:
    """When a message was last seen to go to the dead-letter topic. The metric has a point for each try; only success goes there."""
    return None if isinstance(dead, Unseen) else last_of(dead.series, response_code="success")


def _works(
    dead: DeadLetterCounts | Unseen, needs: tuple[_Need, ...], changes: ChangeLog | Unseen, project: str
) -> bool:
    """Whether dead letters were forwarded, and no grant was changed since."""
    at = _forwarded(dead)
    if at is None or isinstance(changes, Unseen):
        return at is not None
    about = {need.on for need in needs} | {f"projects/{project}"}
    return not any(c.ok and c.method == "SetIamPolicy" and c.resource in about and c.at > at for c in changes.changes)


def _binds(leg: Leg, about: Subject | None, policy: DeadLetterPolicy, dead: DeadLetterCounts | Unseen) -> Finding:
    proven = "; some did lately" if _forwarded(dead) else ""
    return BINDS.says(
        Status.OK,
        f"after {policy.max_attempts} attempts messages go to {short(policy.topic)}{proven}",
        leg=leg,
        subject=about,
        rests_on=("DeadLetterTopicPolicy", "SubscriptionPolicy", "DeadLetterCounts"),
    )


def _lacks(
    leg: Leg,
    about: Subject | None,
    ledger: Ledger,
    project: ProjectInfo,
    lacking: list[_Need],
    changes: ChangeLog | Unseen,
) -> Finding:
    agent = project.pubsub_agent
    made = [] if isinstance(changes, Unseen) else changes.changes
    places = {f"projects/{project.project}"}
    since = [
        taken(f"serviceAccount:{agent}", need.permission, [c for c in made if c.resource in places | {need.on}])
        for need in lacking
    ]
    what = " and ".join(f"{need.permission.role} on {short(need.on)}" for need in lacking)
    return GRANTS.says(
        Status.WARNING,
        f"{agent} lacks {what}: delivery attempts are not counted and nothing is dead-lettered",
        leg=leg,
        bears=Bears.SLOWS if any(r.ours for r in ledger.repeats) else Bears.APART,
        since=min((at for at in since if at), default=None),
        rests_on=("SubscriptionConfig", "DeadLetterTopicPolicy", "SubscriptionPolicy", "ProjectPolicy"),
        subject=about,
        tells=Lacking(retrying_items=len({r.name for r in ledger.repeats}), lacking=what),
    )


_FAR_MORE = 3
"""Attempts are counted only nearly, and an item may come in more messages than one: so many times what is allowed is no such slip."""


def _unbound(
    about: Subject | None, ledger: Ledger, policy: DeadLetterPolicy, changes: ChangeLog | Unseen, name: str
) -> Iterator[Finding]:
    """That dead-lettering does not bind shows in items that come round for ever, whatever policy is hidden. What failed before the
    subscription was changed may have been allowed more."""
    made = () if isinstance(changes, Unseen) else changes.changes
    changed = max((c.at for c in made if c.ok and c.resource == f"subscriptions/{name}"), default=None)
    for_ever = [
        life
        for life in ledger.lives
        if life.failures > _FAR_MORE * policy.max_attempts
        and not life.dead_lettered
        and (changed is None or (life.first is not None and life.first > changed))
    ]
    if not for_ever:
        return
    most = max(life.failures for life in for_ever)
    yield UNBOUND.says(
        Status.WARNING,
        f"{count(len(for_ever), 'item')} failed up to {most} times where {policy.max_attempts} attempts are allowed, and none of them was "
        "dead-lettered: attempts are not counted",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS,
        rests_on=("ItemMarks", "SubscriptionConfig"),
        subject=about,
        tells=Unbound(items=len(for_ever), most=most, allowed=policy.max_attempts),
    )


def _cannot_tell(leg: Leg, about: Subject | None, grant: Grant) -> Finding:
    return UNSEEN.says(
        Status.UNKNOWN,
        f"whether Google's agent may dead-letter could not be told: {grant.why}",
        leg=leg,
        rests_on=(grant.what,),
        subject=about,
        tells=Hidden(permission=grant.permission, mend=grant.settled_by),
    )
