"""Is the subscription attached to the right topic, and does it push, it alone?"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import DELETED_TOPIC, ChangeLog, RequestLog, Stage, SubscriptionSettings, Unseen
from diagnostics.readings.addresses import host_of
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status, Telling
from diagnostics.steps.routed.push_endpoint import (
    ENDPOINT,
    another_service,
    no_service,
    other_place,
    perhaps_there,
    turned_away,
    wrong_endpoint,
)
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import apart, short


class Twins(Tells, frozen=True, kw_only=True):
    """Other subscriptions that push the same topic to the same endpoint."""

    alike: int
    """Those that pass the same messages on, having the same filter, or none like this one."""


DETACHED = Code("routed.detached", Stage.ROUTED, "the subscription is detached from its topic", Kind.MECHANISM)
ORPHAN = Code("routed.orphan", Stage.ROUTED, "the subscription's topic was deleted", Kind.MECHANISM)
OTHER_TOPIC = Code("routed.other_topic", Stage.ROUTED, "the subscription belongs to another topic", Kind.MECHANISM)
NOT_PUSH = Code("routed.not_push", Stage.ROUTED, "the subscription does not push", Kind.MECHANISM)
SECOND_PUSH = Telling(
    "routed.second_push",
    Stage.ROUTED,
    "a second subscription pushes to the same endpoint",
    Kind.MECHANISM,
    tells=Twins,
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
        kept = 0 if seen.dropped else kept  # what it pushes is of that topic
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
        if other := another_service(settings, seen.service.name):
            yield seen.fault(
                ENDPOINT, f"push endpoint {host_of(settings.push_endpoint)} is service {other}", about, kept
            )
        yield no_service(seen, seen.service.name, about, kept, changes)
    elif wrong := wrong_endpoint(seen, settings):
        yield seen.fault(ENDPOINT, wrong, about, 0 if turned_away(seen, settings, log) else kept)
    yield from _twins(seen, settings)


def _twins(seen: Seen, settings: SubscriptionSettings) -> Iterator[Finding]:
    """Other subscriptions that push the same topic to the same endpoint. Filters may share the messages out among them: of two that
    differ nobody can tell from here; what one without a filter passes on, it passes on beside the other. What is attached to no topic
    has no twin: the other one is all that there is."""
    attached = not settings.detached and settings.topic != DELETED_TOPIC
    listed = seen.project.subscriptions if attached and not isinstance(seen.project, Unseen) else ()
    twins = [
        s
        for s in listed
        if s.push_endpoint == settings.push_endpoint
        and s.name != settings.name
        and s.topic == settings.topic
        and not s.detached
    ]
    alike = [s for s in twins if s.filter.strip() == settings.filter.strip()]
    beside = [s for s in twins if not s.filter.strip() or not settings.filter.strip()]
    if twins:
        told = alike or beside or twins
        how = "" if alike else ", with another filter"
        yield SECOND_PUSH.says(
            Status.WARNING if alike or beside else Status.ADVICE,
            f"{', '.join(short(s.name) for s in told)} pushes the same topic to the same endpoint{how}",
            leg=seen.leg,
            subject=subjects.subscription(told[0].name),
            tells=Twins(alike=len(alike)),
        )
