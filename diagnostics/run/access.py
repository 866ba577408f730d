"""What this principal may see: per command the permissions it needs, where, which of them are held, and what is hidden without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from msgspec import Struct

from diagnostics.evidence import model as seen
from diagnostics.evidence.model import Evidence, Leg, SubscriptionConfig
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.models import RegistryProfile
from diagnostics.pipeline.names import OBJECT
from diagnostics.pipeline.profile import Auth, BatchStateProfile, PipelineProfile, StateKind
from diagnostics.pipeline.results import TableProfile, full_name
from diagnostics.question.ask import Ask
from diagnostics.sources import given
from diagnostics.sources.collect import requirements
from diagnostics.sources.iam import full_account
from diagnostics.sources.project import out_of_sight
from diagnostics.sources.pubsub import subscription_config
from diagnostics.sources.route import (
    Receiver,
    Signer,
    Topic,
    full_service,
    full_subscription,
    receiver,
    signed_by,
    stated,
    topic,
)
from diagnostics.transport import rpcs
from diagnostics.transport.call import ApiOff, NotThere, call
from diagnostics.transport.objects import BUCKETS
from diagnostics.transport.session import Session, together

TOPIC, SUBSCRIPTION, SERVICE, ACCOUNT, PROJECT = "topic", "subscription", "service", "account", "project"
COORDINATOR = "coordinator"
"""The service that is asked for batch state."""
HOME = "home"
"""The project of a service, where that is another than the pipeline's: its logs and metrics are there."""
TABLE = "table"
"""The project whose tables hold results."""
BUCKET = "bucket"
"""The bucket with the manifest."""
DATABASE = "database"
"""The project whose Firestore holds batch state."""

_METRICS: tuple[type[Evidence], ...] = (
    seen.PublishCounts, seen.PushCounts, seen.PushHistory, seen.Backlog, seen.BacklogHistory, seen.AckCounts, seen.DeadLetterCounts,
    seen.PushLatencies, seen.DeliveryHealth, seen.ReceiverTraffic, seen.ReceiverCapacity, seen.QuotaExceeded,
)  # fmt: skip
_LOGS: tuple[type[Evidence], ...] = (
    seen.BatchMarks, seen.ItemMarks, seen.StartCalls, seen.RequestLog, seen.PlatformLines, seen.ChangeLog,
    seen.BalancerLog,
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
    seen.AncestorPolicies: ((PROJECT, rpcs.GET_PROJECT.permission),),
    seen.CustomRoles: ((PROJECT, rpcs.GET_ROLE.permission),),
    seen.DenyPolicies: ((PROJECT, rpcs.GET_PROJECT.permission),),
    seen.MetricDelays: ((PROJECT, rpcs.LIST_DESCRIPTORS.permission),),
    **dict.fromkeys(_METRICS, ((PROJECT, rpcs.TIME_SERIES.permission),)),
    **dict.fromkeys(_LOGS, ((PROJECT, rpcs.LOG_ENTRIES.permission), (HOME, rpcs.LOG_ENTRIES.permission))),
    **dict.fromkeys(
        (seen.ReceiverTraffic, seen.ReceiverCapacity),
        ((PROJECT, rpcs.TIME_SERIES.permission), (HOME, rpcs.TIME_SERIES.permission)),
    ),
    seen.BatchStatus: ((COORDINATOR, rpcs.GET_SERVICE.permission), (COORDINATOR, "run.routes.invoke")),
    seen.OpenBatches: (),
    seen.ResultRows: (),
    seen.DownstreamRows: (),
    seen.ModelManifest: (),
    seen.ModelRegistry: (),
    seen.ModelDocument: (),
    seen.ModelLoads: ((PROJECT, rpcs.LOG_ENTRIES.permission), (HOME, rpcs.LOG_ENTRIES.permission)),
    seen.LiveHealth: ((ACCOUNT, rpcs.ID_TOKEN.permission),),
    seen.LiveStart: ((ACCOUNT, rpcs.ID_TOKEN.permission),),
}
"""Each kind of evidence: on which kind of resource it needs which permission. Of batch state, where it is the coordinator's."""


def needs(kind: type, pipeline: PipelineProfile | None) -> tuple[tuple[str, str], ...]:
    """The same for one pipeline: where its batch state is kept decides what that needs."""
    if kind is seen.OpenBatches and pipeline is not None:
        kept = any(state.kind is StateKind.FIRESTORE for state in pipeline.batch_states)
        return ((DATABASE, rpcs.LIST_DOCUMENTS.permission),) if kept else ()
    if kind in (seen.ResultRows, seen.DownstreamRows) and pipeline is not None:
        return _of_table(kind, pipeline)
    if kind in (seen.ModelManifest, seen.ModelRegistry) and pipeline is not None:
        return _of_model(kind, pipeline)
    if kind is not seen.BatchStatus or pipeline is None:
        return NEEDS.get(kind, ())
    found = (need for state in pipeline.batch_states for need in _of_state(state))
    return tuple(dict.fromkeys(found))


def _of_table(kind: type, pipeline: PipelineProfile) -> tuple[tuple[str, str], ...]:
    """Who asks pays in the pipeline's project, and reads where the table is; of which dates a batch is, its lines tell."""
    results = pipeline.results
    table = results if kind is seen.ResultRows or results is None else results.downstream
    if table is None:
        return ()
    lines = NEEDS[seen.BatchMarks]
    reads = ((TABLE, rpcs.GET_TABLE.permission), (TABLE, "bigquery.tables.getData"))
    return ((PROJECT, rpcs.QUERY.permission), *reads, *lines)


def _of_model(kind: type, pipeline: PipelineProfile) -> tuple[tuple[str, str], ...]:
    """Of a manifest in a bucket, and of the registry."""
    model = pipeline.model
    if model is None or (kind is seen.ModelRegistry and model.registry is None):
        return ()
    if kind is seen.ModelManifest:
        return ((BUCKET, rpcs.GET_OBJECT.permission),) if model.manifest.startswith("gs:") else ()
    reads = ((TABLE, rpcs.GET_TABLE.permission), (TABLE, "bigquery.tables.getData"))
    return ((PROJECT, rpcs.QUERY.permission), *reads)


def _of_state(state: BatchStateProfile) -> tuple[tuple[str, str], ...]:
    if state.kind is StateKind.FIRESTORE:
        return ((DATABASE, rpcs.GET_DOCUMENT.permission),)
    if state.kind is not StateKind.STATUS or state.url:
        return ()
    get, invoke = NEEDS[seen.BatchStatus]
    return (get, invoke) if state.auth is Auth.ID_TOKEN else (get,)


_TEST = {
    TOPIC: rpcs.TEST_TOPIC,
    SUBSCRIPTION: rpcs.TEST_SUBSCRIPTION,
    SERVICE: rpcs.TEST_SERVICE,
    COORDINATOR: rpcs.TEST_SERVICE,
    ACCOUNT: rpcs.TEST_ACCOUNT,
    PROJECT: rpcs.TEST_PROJECT,
    HOME: rpcs.TEST_PROJECT,
    DATABASE: rpcs.TEST_PROJECT,
    TABLE: rpcs.TEST_PROJECT,
    BUCKET: rpcs.TEST_BUCKET,
}


class Want(NamedTuple):
    """A permission that a command needs beside those of its evidence: to change something, with consent."""

    command: str
    place: str
    name: str


class Permission(Struct, frozen=True, kw_only=True):
    """One permission on one resource."""

    name: str
    on: str
    """Full resource name; the kind of resource where its name could not be found out. A grant on what holds it does as well."""
    held: bool | None
    """None: could not be told; `says` why."""
    says: str = ""
    evidence: tuple[str, ...] = ()
    """What cannot be seen without it, itself or what it rests on."""
    commands: tuple[str, ...] = ()
    """The commands that want to see that."""
    changes: tuple[str, ...] = ()
    """The commands that change something with it."""


class _Place(NamedTuple):
    """One resource that permissions are tested on."""

    kind: str
    name: str
    says: str = ""
    """Why the name is not known."""


class Rights(Struct, frozen=True, kw_only=True):
    permissions: tuple[Permission, ...]
    off: dict[str, str] = {}
    """APIs that are not enabled, and what enables them."""
    answered: frozenset[str] = frozenset()
    """APIs that answered."""


def access(
    session: Session,
    pipeline: PipelineProfile,
    commands: Mapping[str, Iterable[type[Evidence]]],
    wants: Iterable[Want] = (),
) -> Rights:
    """The permissions that these commands need for this pipeline, and which are held. Never raises for what Google says."""
    wanted = {command: set(kinds) for command, kinds in commands.items()}
    hidden = hides(session, pipeline, set().union(*wanted.values()))
    extra = {(want.place, want.name): {w.command for w in wants if w[1:] == want[1:]} for want in wants}
    places = [place for found in together(*_places(session, pipeline)) for place in found]
    wants_of = {place: sorted({name for on, name in (*hidden, *extra) if on == place.kind}) for place in places}
    places = [place for place in dict.fromkeys(places) if wants_of[place]]
    if not places:
        return Rights(permissions=())
    replies = together(*(partial(_held, session, place, wants_of[place]) for place in places))
    if not any(reply.names for place, reply in zip(places, replies, strict=True) if place.kind == PROJECT):
        replies = _told_apart(session, pipeline, places, replies)
    found: dict[tuple[str, str], Permission] = {}
    for place, reply in zip(places, replies, strict=True):
        for name in wants_of[place]:
            those = hidden.get((place.kind, name), set())
            one = Permission(
                name=name,
                on=place.name or place.kind,
                held=None if reply.names is None else name in reply.names,
                says=reply.says,
                evidence=tuple(sorted(k.__name__ for k in those)),
                commands=tuple(sorted(c for c, kinds in wanted.items() if kinds & those)),
                changes=tuple(sorted(extra.get((place.kind, name), ()))),
            )
            same = found.get((one.name, one.on))
            found[one.name, one.on] = _joined(same, one) if same else one
    return Rights(
        permissions=tuple(found.values()),
        off={reply.api: reply.mend for reply in replies if reply.mend},
        answered=frozenset(reply.api for reply in replies if reply.names is not None),
    )


def hides(
    session: Session, pipeline: PipelineProfile, kinds: Iterable[type[Evidence]]
) -> dict[tuple[str, str], set[type[Evidence]]]:
    """(kind of place, permission) to the evidence that cannot be seen without it, on either leg."""
    known = given(pipeline, Ask(live=True), session.now)
    legs = [leg for leg in Leg if pipeline.leg(leg) is not None]
    found: dict[tuple[str, str], set[type[Evidence]]] = {}
    for kind in kinds:
        rests_on = {kind}.union(*(requirements(kind, leg, known) for leg in legs))
        for need in (need for one in rests_on for need in needs(one, pipeline)):
            found.setdefault(need, set()).add(kind)
    return found


def _joined(one: Permission, other: Permission) -> Permission:
    """The same permission on the same resource, wanted for two reasons."""
    return Permission(
        name=one.name,
        on=one.on,
        held=one.held,
        says=one.says,
        evidence=tuple(sorted({*one.evidence, *other.evidence})),
        commands=tuple(sorted({*one.commands, *other.commands})),
        changes=tuple(sorted({*one.changes, *other.changes})),
    )


class _Reply(NamedTuple):
    """What Google said when it was asked which permissions are held."""

    names: set[str] | None
    says: str = ""
    api: str = ""
    mend: str = ""
    """Set when the API is off: what enables it."""


def _told_apart(
    session: Session, pipeline: PipelineProfile, places: list[_Place], replies: list[_Reply]
) -> list[_Reply]:
    """The replies; where the project itself is out of sight, that is what is said of all that is in it."""
    hidden = out_of_sight(session, pipeline)
    inside = f"projects/{pipeline.project}"
    return [
        reply._replace(names=None, says=hidden.says) if hidden and f"{place.name}/".startswith(f"{inside}/") else reply
        for place, reply in zip(places, replies, strict=True)
    ]


def _held(session: Session, place: _Place, permissions: list[str]) -> _Reply:
    if not place.name:
        return _Reply(None, place.says)
    rpc = _TEST[place.kind]
    try:
        reply = call(session, rpc, {"resource": place.name, "permissions": permissions})
    except ImportError:
        return _Reply(None, "asking for it needs google-cloud-storage, which is not installed")
    except NotThere:
        return _Reply(None, f"{place.name} does not exist", rpc.api)
    except ApiOff as off:
        return _Reply(None, off.says, rpc.api, off.mend)
    except NotSeen as failed:
        return _Reply(None, failed.says, rpc.api)
    held = set(reply.permissions)
    if not held and place.kind in _LOOK and not _there(session, place):
        return _Reply(None, f"{place.name} does not exist", rpc.api)
    return _Reply(held, "", rpc.api)


_LOOK = {TOPIC: (rpcs.GET_TOPIC, "topic"), SUBSCRIPTION: (rpcs.GET_SUBSCRIPTION, "subscription")}
"""Kinds of which Pub/Sub answers that nobody holds any permission, where there is no such thing."""


def _there(session: Session, place: _Place) -> bool:
    """False only where Google says that it is not."""
    rpc, field = _LOOK[place.kind]
    try:
        call(session, rpc, {field: place.name})
    except NotThere:
        return False
    except NotSeen:
        return True
    return True


def _places(session: Session, pipeline: PipelineProfile) -> list[Callable[[], list[_Place]]]:
    legs = [leg for leg in Leg if pipeline.leg(leg) is not None]
    projects = [_Place(PROJECT, f"projects/{pipeline.project}")] + [
        _Place(DATABASE, f"projects/{state.project or pipeline.project}")
        for state in pipeline.batch_states
        if state.kind is StateKind.FIRESTORE
    ]
    tables: tuple[TableProfile | RegistryProfile | None, ...] = (
        (pipeline.results, pipeline.results.downstream) if pipeline.results else ()
    )
    tables += (pipeline.model.registry,) if pipeline.model else ()
    homes = {full_name(pipeline.project, table.table).rsplit(".", 2)[0] for table in tables if table}
    projects += [_Place(TABLE, f"projects/{home}") for home in sorted(homes)]
    if pipeline.model and (manifest := OBJECT.fullmatch(pipeline.model.manifest)):
        projects.append(_Place(BUCKET, f"{BUCKETS}{manifest['bucket']}"))
    return [lambda: projects] + [partial(_of_leg, session, pipeline, leg) for leg in legs]


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

    def signed() -> Signer | NotSeen:
        try:
            settings = None if isinstance(config, NotSeen) else config.settings
            return signed_by(
                pipeline, leg, settings, str(config) if isinstance(config, NotSeen) else "it does not exist"
            )
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
    elsewhere = isinstance(service, Receiver) and service.home(pipeline) != pipeline.project
    return [
        *(place(kind, service, partial(full_service, pipeline)) for kind in kinds),
        *([_Place(HOME, f"projects/{service.home(pipeline)}")] if elsewhere else []),
        _Place(SUBSCRIPTION, full_subscription(pipeline, leg)),
        place(TOPIC, of(Topic, partial(topic, pipeline, leg)), lambda t: str(t.name)),
        place(ACCOUNT, signed(), lambda s: full_account(pipeline, s.account)),
    ]
