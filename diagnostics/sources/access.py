"""What this principal may see: per command the permissions it needs, where, and which of them are held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from msgspec import Struct

from diagnostics.evidence import model as seen
from diagnostics.evidence.collect import NotSeen
from diagnostics.evidence.model import Evidence, Leg, SubscriptionConfig
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources import rpcs
from diagnostics.sources.call import NotThere, call
from diagnostics.sources.cloud_run import full_service
from diagnostics.sources.iam import full_account
from diagnostics.sources.pubsub import subscription_config
from diagnostics.sources.route import Push, Receiver, Topic, full_subscription, push, receiver, stated, topic
from diagnostics.sources.session import Session, together

TOPIC, SUBSCRIPTION, SERVICE, ACCOUNT, PROJECT = "topic", "subscription", "service", "account", "project"
COORDINATOR = "coordinator"
"""The service that is asked for batch state."""

_METRICS: tuple[type[Evidence], ...] = (
    seen.PublishCounts, seen.PushCounts, seen.PushHistory, seen.Backlog, seen.BacklogHistory, seen.AckCounts, seen.DeadLetterCounts,
    seen.PushLatencies, seen.DeliveryHealth, seen.ReceiverTraffic, seen.ReceiverCapacity, seen.QuotaExceeded,
)  # fmt: skip
_LOGS: tuple[type[Evidence], ...] = (
    seen.BatchMarks, seen.ItemMarks, seen.StartCalls, seen.RequestLog, seen.PlatformLines, seen.ChangeLog,
)  # fmt: skip

NEEDS: dict[type[Evidence], tuple[tuple[str, str], ...]] = {
    seen.SubscriptionConfig: ((SUBSCRIPTION, rpcs.GET_SUBSCRIPTION.permission),),
    seen.SubscriptionPolicy: ((SUBSCRIPTION, rpcs.SUBSCRIPTION_POLICY.permission),),
    seen.TopicConfig: ((TOPIC, rpcs.GET_TOPIC.permission),),
    seen.TopicSubscriptions: ((TOPIC, rpcs.TOPIC_SUBSCRIPTIONS.permission),),
    seen.TopicPolicy: ((TOPIC, rpcs.TOPIC_POLICY.permission),),
    seen.ProjectSubscriptions: ((PROJECT, rpcs.LIST_SUBSCRIPTIONS.permission),),
    seen.DeadLetterTopic: ((PROJECT, rpcs.TOPIC_SUBSCRIPTIONS.permission),),
    seen.DeadLetterTopicPolicy: ((PROJECT, rpcs.TOPIC_POLICY.permission),),
    seen.ServiceConfig: ((SERVICE, rpcs.GET_SERVICE.permission),),
    seen.ServicePolicy: ((SERVICE, rpcs.SERVICE_POLICY.permission),),
    seen.Revisions: ((PROJECT, rpcs.LIST_REVISIONS.permission),),
    seen.PushAccount: ((ACCOUNT, rpcs.GET_ACCOUNT.permission),),
    seen.PushAccountPolicy: ((ACCOUNT, rpcs.ACCOUNT_POLICY.permission),),
    seen.ProjectInfo: ((PROJECT, rpcs.GET_PROJECT.permission),),
    seen.ProjectPolicy: ((PROJECT, rpcs.PROJECT_POLICY.permission),),
    **dict.fromkeys(_METRICS, ((PROJECT, rpcs.TIME_SERIES.permission),)),
    **dict.fromkeys(_LOGS, ((PROJECT, rpcs.LOG_ENTRIES.permission),)),
    seen.BatchStatus: ((COORDINATOR, rpcs.GET_SERVICE.permission), (COORDINATOR, "run.routes.invoke")),
    seen.LiveHealth: ((ACCOUNT, rpcs.ID_TOKEN.permission),),
    seen.LiveStart: ((ACCOUNT, rpcs.ID_TOKEN.permission),),
}
"""Each kind of evidence: on which kind of resource it needs which permission."""

_TEST = {
    TOPIC: rpcs.TEST_TOPIC,
    SUBSCRIPTION: rpcs.TEST_SUBSCRIPTION,
    SERVICE: rpcs.TEST_SERVICE,
    COORDINATOR: rpcs.TEST_SERVICE,
    ACCOUNT: rpcs.TEST_ACCOUNT,
    PROJECT: rpcs.TEST_PROJECT,
}


class Permission(Struct, frozen=True, kw_only=True):
    """One permission on one resource."""

    name: str
    on: str
    """Full resource name; the kind of resource where its name could not be found out."""
    held: bool | None
    """None: could not be told; `says` why."""
    says: str = ""
    evidence: tuple[str, ...]
    """What cannot be seen without it."""
    commands: tuple[str, ...]
    """The commands that want to see that."""


class _Place(NamedTuple):
    """One resource that permissions are tested on."""

    kind: str
    name: str
    says: str = ""
    """Why the name is not known."""


def access(
    session: Session, pipeline: PipelineProfile, commands: Mapping[str, Iterable[type[Evidence]]]
) -> tuple[Permission, ...]:
    """The permissions that these commands need for this pipeline, and which are held. Never raises for what Google says."""
    wanted = {command: set(kinds) for command, kinds in commands.items()}
    kinds = set().union(*wanted.values())
    places = [place for found in together(*_places(session, pipeline)) for place in found]
    needs = {place: sorted({name for k in kinds for on, name in NEEDS[k] if on == place.kind}) for place in places}
    places = [place for place in dict.fromkeys(places) if needs[place]]
    held = together(*(partial(_held, session, place, needs[place]) for place in places))
    found = []
    for place, (names, says) in zip(places, held, strict=True):
        for name in needs[place]:
            hidden = {k for k in kinds if (place.kind, name) in NEEDS[k]}
            found.append(
                Permission(
                    name=name,
                    on=place.name or place.kind,
                    held=None if names is None else name in names,
                    says=says,
                    evidence=tuple(sorted(k.__name__ for k in hidden)),
                    commands=tuple(sorted(c for c, those in wanted.items() if those & hidden)),
                )
            )
    return tuple(found)


def _held(session: Session, place: _Place, permissions: list[str]) -> tuple[set[str] | None, str]:
    """(those of the permissions that are held, None: could not be told; why not)."""
    if not place.name:
        return None, place.says
    try:
        reply = call(session, _TEST[place.kind], {"resource": place.name, "permissions": permissions})
    except NotThere:
        return None, f"{place.name} does not exist"
    except NotSeen as failed:
        return None, failed.says
    return set(reply.permissions), ""


def _places(session: Session, pipeline: PipelineProfile) -> list[Callable[[], list[_Place]]]:
    legs = [leg for leg in Leg if pipeline.leg(leg) is not None]
    return [lambda: [_Place(PROJECT, f"projects/{pipeline.project}")]] + [
        partial(_of_leg, session, pipeline, leg) for leg in legs
    ]


def _of_leg(session: Session, pipeline: PipelineProfile, leg: Leg) -> list[_Place]:
    """The leg's resources; what the profile does not state, the subscription tells."""
    known = stated(pipeline)
    config: SubscriptionConfig | NotSeen
    try:
        config = subscription_config(session, pipeline, leg)
    except NotSeen as failed:
        config = failed

    def of(kind: type, derive: Callable[[SubscriptionConfig], Any]) -> Any:
        if (kind, leg) in known:
            return known[kind, leg]
        if isinstance(config, NotSeen):
            return config
        try:
            return derive(config)
        except NotSeen as failed:
            return failed

    def place(kind: str, found: Any, name: Callable[[Any], str]) -> _Place:
        if isinstance(found, NotSeen):
            return _Place(kind, "", found.says)
        try:
            return _Place(kind, name(found))
        except NotSeen as failed:
            return _Place(kind, "", failed.says)

    service = of(Receiver, partial(receiver, session, pipeline, leg))
    kinds = (SERVICE,) if leg is Leg.REQUEST else (SERVICE, COORDINATOR)
    return [
        *(place(kind, service, lambda r: full_service(pipeline.project, r)) for kind in kinds),
        _Place(SUBSCRIPTION, full_subscription(pipeline, leg)),
        place(TOPIC, of(Topic, partial(topic, pipeline, leg)), lambda t: str(t.name)),
        place(ACCOUNT, of(Push, partial(push, pipeline, leg)), lambda p: full_account(pipeline, p.account)),
    ]
