"""Is the subscription attached to the right topic, and does it push, it alone?"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import DELETED_TOPIC, ChangeLog, RequestLog, Stage, SubscriptionSettings, Unseen
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status
from diagnostics.steps.routed.push_endpoint import (
    ENDPOINT,
    no_service,
    other_place,
    perhaps_there,
    turned_away,
    wrong_endpoint,
)
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.words import apart, short

DETACHED = Code("routed.detached", Stage.ROUTED, "the subscription is detached from its topic", Kind.MECHANISM)
ORPHAN = Code("routed.orphan", Stage.ROUTED, "the subscription's topic was deleted", Kind.MECHANISM)
OTHER_TOPIC = Code("routed.other_topic", Stage.ROUTED, "the subscription belongs to another topic", Kind.MECHANISM)
NOT_PUSH = Code("routed.not_push", Stage.ROUTED, "the subscription does not push", Kind.MECHANISM)
SECOND_PUSH = Code(
    "routed.second_push", Stage.ROUTED, "a second subscription pushes to the same endpoint", Kind.MECHANISM
)


def set_wrong(
    seen: Seen, settings: SubscriptionSettings, kept: int, log: RequestLog | Unseen, changes: ChangeLog | Unseen
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
    if place := other_place(seen, settings):
        yield perhaps_there(seen, settings, place, kept, changes)
    elif not isinstance(seen.service, Unseen) and seen.service.settings is None:
        yield no_service(seen, seen.service.name, about, kept, changes)
    elif wrong := wrong_endpoint(seen, settings):
        yield seen.fault(ENDPOINT, wrong, about, 0 if turned_away(seen, settings, log) else kept)
    yield from _twins(seen, settings)


def _twins(seen: Seen, settings: SubscriptionSettings) -> Iterator[Finding]:
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
