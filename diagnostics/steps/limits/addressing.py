"""Do topic, path, URL and audience agree with one another? Configuration alone.

`routed` and `push_auth` ask that of what happens; here they are asked what their configuration forbids, without any traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    AncestorPolicies,
    ChangeLog,
    CustomRoles,
    DeadLetterTopic,
    DeadLetterTopicPolicy,
    ItemMarks,
    Leg,
    Means,
    ProjectInfo,
    ProjectPolicy,
    ProjectSubscriptions,
    PublishCounts,
    PushAccount,
    PushAccountPolicy,
    Revisions,
    ServiceConfig,
    ServicePolicy,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionPolicy,
    SubscriptionSettings,
    TopicConfig,
    TopicSubscriptions,
    Unseen,
    Why,
    total,
)
from diagnostics.evidence.redact import hashed
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.addresses import host_of, path_of, tag_of, untagged
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.refusals import lost
from diagnostics.steps import dead_letter as dead_letters
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Row, Status, Telling
from diagnostics.steps.limits import serving
from diagnostics.steps.push_auth.may_call import may_call
from diagnostics.steps.push_auth.may_mint import may_mint
from diagnostics.steps.routed import routed
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, names, short

PUSH_PATH = Code("limits.push_path", Stage.ROUTED, "pushes go to another path than the profile's")
TAG_URL = Code("limits.tag_url", Stage.ROUTED, "pushes go to a traffic tag")
AUDIENCE_UNSET = Code("limits.audience_unset", Stage.DELIVERED, "the subscription names no audience")
DUPLICATE = Code("limits.duplicate", Stage.ROUTED, "a second subscription pushes the same topic to the service")
TOPIC_ENV = Code("limits.topic_env", Stage.PUBLISHED, "the publisher's environment names another topic")
TOPIC_IN_FORCE = Code(
    "limits.topic_in_force", Stage.PUBLISHED, "the publisher at work names another topic", Kind.MECHANISM
)

TOPIC_UNTRIED = Code(
    "limits.topic_untried",
    Stage.PUBLISHED,
    "a new revision of the publisher names another topic, and has published nothing yet",
    Kind.MECHANISM,
)


class NameBack(Tells, frozen=True, kw_only=True):
    back: str
    """When the publisher got the name of its topic back, in words."""


TOPIC_NAME_BACK = Telling(
    "limits.topic_name_back", Stage.PUBLISHED, "the publisher names its topic again", tells=NameBack
)


def route(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    subscription: SubscriptionConfig,
    topic: TopicConfig | Unseen,
    attached: TopicSubscriptions | Unseen,
    project: ProjectSubscriptions | Unseen,
    service: ServiceConfig | Unseen,
    info: ProjectInfo | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    """What `routed` finds in the configuration."""
    traffic = dict.fromkeys(("acks", "backlog", "dead", "changes", "published", "log", "pushes", "health"), _NOT_ASKED)
    said = routed(leg, ledger, profile, subscription, topic, attached, project, service, info=info, now=now, **traffic)
    yield from (f for f in said if not isinstance(f, Row))


def sign_in(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig,
    service: ServiceConfig,
    policy: ServicePolicy | Unseen,
    project_policy: ProjectPolicy | Unseen,
    project: ProjectInfo | Unseen,
    account: PushAccount | Unseen,
    account_policy: PushAccountPolicy | Unseen,
    above: AncestorPolicies | Unseen,
    roles: CustomRoles | Unseen,
) -> Iterator[Finding]:
    """What `push_auth` finds in the configuration: endpoint, audience, invoker, token creator, ingress."""
    nothing = {"pushes": _NOT_ASKED, "log": _NOT_ASKED, "changes": _NOT_ASKED}
    yield from may_call(
        leg, ledger, now, subscription, service, policy, project_policy, above, roles, _NOT_ASKED, **nothing
    )
    yield from may_mint(
        leg,
        ledger,
        now,
        subscription,
        project,
        project_policy,
        account,
        account_policy,
        above,
        roles,
        _NOT_ASKED,
        **nothing,
    )


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
) -> Iterator[Finding]:
    """What the step of this name finds in the configuration."""
    yield from dead_letters.dead_letter(
        leg,
        ledger,
        now,
        subscription,
        topic,
        topic_policy,
        subscription_policy,
        project,
        project_policy,
        above,
        roles,
        dead=_NOT_ASKED,
        changes=_NOT_ASKED,
    )


def addressing(
    leg: Leg,
    profile: PipelineProfile,
    subscription: SubscriptionConfig,
    service: ServiceConfig | Unseen,
    revisions: Revisions | Unseen,
    project: ProjectSubscriptions | Unseen,
) -> Iterator[Finding]:
    """Forms of the push endpoint and of the audience, and who else pushes there."""
    settings = subscription.settings
    if settings is None or not settings.push_endpoint:
        return
    named, at = profile.leg(leg), path_of(settings.push_endpoint)
    about = subjects.subscription(settings.name)
    if named and named.push_path and named.push_path != at:
        yield PUSH_PATH.says(
            Status.FAULT,
            f"{short(settings.name)} pushes to {at}, and the profile says that the service takes messages at "
            f"{named.push_path}",
            leg=leg,
            subject=about,
            rests_on=("SubscriptionConfig",),
        )
    if settings.push_account and not settings.audience:
        yield AUDIENCE_UNSET.says(
            Status.ADVICE,
            f"{short(settings.name)} names no audience, so the token's is the whole push endpoint, path and all: name the "
            "service's own URL",
            leg=leg,
            subject=about,
            rests_on=("SubscriptionConfig",),
        )
    if isinstance(service, Unseen) or service.settings is None:
        return
    if tag_of(settings.push_endpoint):
        yield from _tagged(leg, settings, service.settings, revisions)
    if not isinstance(project, Unseen):
        yield from _twins(leg, settings, service.settings, project)


def topic_names(
    leg: Leg,
    profile: PipelineProfile,
    topic: TopicConfig | Unseen,
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    worker: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    coordinators: Annotated[Revisions | Unseen, Leg.COMPLETION],
    workers: Annotated[Revisions | Unseen, Leg.REQUEST],
) -> Iterator[Finding]:
    """Whether the leg's publisher finds its topic in its environment: values are compared by their hash."""
    named = profile.leg(leg)
    publisher, revisions = (coordinator, coordinators) if leg is Leg.REQUEST else (worker, workers)
    if named is None or not named.topic_env or isinstance(publisher, Unseen) or publisher.settings is None:
        return
    name = named.topic if isinstance(topic, Unseen) else topic.name
    env = serving(publisher.settings, revisions).env
    right = _right_names(name, profile, publisher)
    if named.topic_env not in env:
        yield TOPIC_ENV.says(
            Status.WARNING,
            f"{publisher.name} has no {named.topic_env} in its environment, so it publishes to whatever topic its code falls back to",
            leg=leg,
            subject=subjects.service(publisher.name),
            rests_on=("ServiceConfig", "TopicConfig"),
        )
    elif env[named.topic_env] not in right:
        yield TOPIC_ENV.says(
            Status.FAULT,
            f"{named.topic_env} of {publisher.name} names another topic than {short(name)}",
            leg=leg,
            subject=subjects.service(publisher.name),
            rests_on=("ServiceConfig", "TopicConfig"),
        )


def _right_names(topic: str, profile: PipelineProfile, publisher: ServiceConfig) -> set[str]:
    """The forms of the topic's name as they stand in the publisher's environment: by their hash."""
    full = topic if topic.startswith("projects/") else f"projects/{profile.project}/topics/{topic}"
    salt = publisher.source.query  # the service's full name
    return {hashed(form, salt) for form in (full, short(topic))}


def topic_in_force(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    profile: PipelineProfile,
    marks: ItemMarks | Unseen,
    topic: TopicConfig | Unseen,
    published: PublishCounts | Unseen,
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    worker: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    coordinators: Annotated[Revisions | Unseen, Leg.COMPLETION],
    workers: Annotated[Revisions | Unseen, Leg.REQUEST],
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """What `topic_names` finds wrong for certain, unless messages of this batch came out of the topic all the same, or of those that
    were finished since a deploy under way, where any were; a name that a deploy lost, unless something was published to the topic since;
    and one that a deploy brought back since the batch began."""
    found = list(topic_names(leg, profile, topic, coordinator, worker, coordinators, workers))
    arrived = ledger.counts.get(Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED)
    publisher, revisions = (coordinator, coordinators) if leg is Leg.REQUEST else (worker, workers)
    deploy = _deployed_under_way(ledger, publisher, revisions) if leg is Leg.COMPLETION else None
    unheard = deploy and any(x.ended and x.ended > deploy for x in ledger.lives if x.stage is Stage.PROCESSED)
    quiet = deploy is not None and not _took_since(ledger, leg, published, deploy)
    silent = quiet and bool(unheard)
    certain = [f for f in found if f.status is Status.FAULT]
    if arrived is None or not arrived.least or silent:
        yield from (
            TOPIC_IN_FORCE.says(
                Status.FAULT,
                f.says,
                leg=leg,
                subject=f.subject,
                since=deploy if silent else None,
                rests_on=f.rests_on,
            )
            for f in certain
        )
    elif quiet and deploy and not isinstance(published, Unseen) and published.source.as_of > deploy + _LATE:
        yield from (
            TOPIC_UNTRIED.says(
                Status.WARNING,
                f"{f.says}, and nothing was published since it was deployed",
                leg=leg,
                subject=f.subject,
                since=deploy,
                rests_on=(*f.rests_on, "Revisions", "PublishCounts"),
            )
            for f in certain
        )
    if found and not isinstance(publisher, Unseen) and not isinstance(revisions, Unseen):
        yield from _lost_name(leg, ledger, profile, publisher, revisions, published)
    if found or isinstance(topic, Unseen) or isinstance(publisher, Unseen) or isinstance(revisions, Unseen):
        return
    yield from _name_back(leg, ledger, now, profile, marks, topic, publisher, revisions, changes)


def _deployed_under_way(
    ledger: Ledger, publisher: ServiceConfig | Unseen, revisions: Revisions | Unseen
) -> datetime | None:
    """When the revision at work was made, if the batch had begun by then."""
    if isinstance(publisher, Unseen) or publisher.settings is None or isinstance(revisions, Unseen):
        return None
    made = serving(publisher.settings, revisions).created
    return made if ledger.started and made > ledger.started else None


def _lost_name(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    publisher: ServiceConfig,
    revisions: Revisions,
    published: PublishCounts | Unseen,
) -> Iterator[Finding]:
    """The name of the topic that the revision at work lacks and an older one had."""
    named = profile.leg(leg)
    if named is None or publisher.settings is None:
        return
    runs = serving(publisher.settings, revisions)
    had = [r for r in revisions.revisions if r.created < runs.created and named.topic_env in r.env]
    failed = leg is Leg.REQUEST and any(each.code == "not_found" for each in lost(ledger.attempt))
    if named.topic_env in runs.env or not had or failed:  # what the code falls back to is not there, say its own errors
        return
    last = max(had, key=lambda r: r.created)
    new = min((r for r in revisions.revisions if last.created < r.created <= runs.created), key=lambda r: r.created)
    alone = last.env.keys() - new.env.keys() == {named.topic_env}  # a whole environment that was lost is another story
    if alone and not _took_since(ledger, leg, published, new.created):
        yield TOPIC_IN_FORCE.says(
            Status.WARNING,
            f"{new.name} lost {named.topic_env}, which {last.name} had, so {publisher.name} publishes to whatever topic its code falls "
            "back to",
            leg=leg,
            subject=subjects.service(publisher.name),
            since=new.created,
            rests_on=("ServiceConfig", "Revisions", "PublishCounts"),
        )


def _name_back(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    profile: PipelineProfile,
    marks: ItemMarks | Unseen,
    topic: TopicConfig,
    publisher: ServiceConfig,
    revisions: Revisions,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """The name of the topic that the revision at work has, and the one that the batch began with had not: since nothing more was refused,
    it is put right, and what was lost by then does not come by itself."""
    named = profile.leg(leg)
    if named is None or not named.topic_env or publisher.settings is None or ledger.started is None:
        return
    right, runs = _right_names(topic.name, profile, publisher), serving(publisher.settings, revisions)
    wrong = [r.created for r in revisions.revisions if r.env.get(named.topic_env) not in right]
    if not wrong:
        return
    # A deploy of the right name, or the traffic sent back to a revision that had it.
    back = min((r.created for r in revisions.revisions if max(wrong) < r.created <= runs.created), default=None)
    back = back or max((at for at in _changed_at(publisher.name, changes) if at > max(wrong)), default=None)
    if back and back > ledger.started and not any(at > back + _LATE for at in _refused_at(leg, ledger, marks)):
        yield TOPIC_NAME_BACK.says(
            Status.OK,
            f"{publisher.name} names {short(topic.name)} again since {clock(back, now)}, and nothing more was refused",
            leg=leg,
            subject=subjects.service(publisher.name),
            since=back,
            rests_on=("ServiceConfig", "Revisions", "BatchMarks" if leg is Leg.REQUEST else "ItemMarks"),
            tells=NameBack(back=clock(back, now)),
        )


def _changed_at(service: str, changes: ChangeLog | Unseen) -> list[datetime]:
    """When somebody changed the service, of which sending its traffic elsewhere is one way."""
    listed = () if isinstance(changes, Unseen) else changes.changes
    return [c.at for c in listed if c.ok and c.resource == f"services/{service}"]


def _refused_at(leg: Leg, ledger: Ledger, marks: ItemMarks | Unseen) -> list[datetime]:
    """When what the leg's publisher published was refused, as its own lines say."""
    if leg is Leg.REQUEST:
        return [mark.at for each in lost(ledger.attempt) for mark in each.marks]
    return [] if isinstance(marks, Unseen) else [m.at for m in marks.marks if m.means is Means.COMPLETION_ERROR]


_LATE = timedelta(minutes=5)
"""What an older revision had at work when the new one took over is published by then, as a rule."""


def _took_since(ledger: Ledger, leg: Leg, published: PublishCounts | Unseen, deploy: datetime) -> bool:
    """Whether the topic took something, or an item of the batch came out of it, after what the revision before had at work."""
    after = deploy + _LATE
    passed = (Stage.DELIVERED,) if leg is Leg.REQUEST else (Stage.RETURNED, Stage.RECORDED)
    if any(x.got_further and x.got_further > after for x in ledger.lives if x.stage in passed):
        return True
    return not isinstance(published, Unseen) and bool(total(published.messages, after))


_NOT_ASKED = Unseen(what="", why=Why.NOT_ASKED, says="the configuration alone is looked at")


def _tagged(
    leg: Leg, settings: SubscriptionSettings, target: ServiceSettings, revisions: Revisions | Unseen
) -> Iterator[Finding]:
    label = tag_of(settings.push_endpoint)
    row = next((t for t in target.traffic if t.tag == label), None)
    if row is None:
        yield TAG_URL.says(
            Status.FAULT,
            f"{short(settings.name)} pushes to the tag {label}, which {target.name} does not have: Cloud Run answers 404",
            leg=leg,
            subject=subjects.subscription(settings.name),
            rests_on=("SubscriptionConfig", "ServiceConfig"),
        )
        return
    behind, serves = row.revision or target.latest_ready, serving(target, revisions).name
    yield TAG_URL.says(
        Status.ADVICE if behind == serves else Status.WARNING,
        f"{short(settings.name)} pushes to the tag {label} of {target.name}, which points to {behind}"
        + (": the next deploy will not reach it" if behind == serves else f"; {serves} serves all else"),
        leg=leg,
        subject=subjects.subscription(settings.name),
        rests_on=("SubscriptionConfig", "ServiceConfig"),
    )


def _twins(
    leg: Leg, settings: SubscriptionSettings, target: ServiceSettings, project: ProjectSubscriptions
) -> Iterator[Finding]:
    """The same topic to the same path of the same service, by another of its URLs; the same URL is what `routed` sees."""
    hosts = {host_of(url) for url in (*target.urls, target.uri)}
    twins = [
        short(s.name)
        for s in project.subscriptions
        if s.name != settings.name
        and s.topic == settings.topic
        and s.push_endpoint not in ("", settings.push_endpoint)
        and untagged(host_of(s.push_endpoint)) in hosts
        and path_of(s.push_endpoint) == path_of(settings.push_endpoint)
        and (s.filter == settings.filter or not s.filter or not settings.filter)  # others may share the messages out
    ]
    if twins:
        yield DUPLICATE.says(
            Status.WARNING,
            f"{names(twins)} pushes the same topic to the same path of {target.name} by another of its URLs: every message is "
            "worked on twice",
            leg=leg,
            subject=subjects.topic(settings.topic),
            rests_on=("ProjectSubscriptions", "ServiceConfig"),
        )
