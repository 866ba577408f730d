"""Where a leg runs: its topic, the service that receives its pushes, the path and the account of the pushes.

What the profile states is taken from there (`stated`), so that nothing waits for Google to repeat it. The rest follows from the
subscription's own configuration.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.model import DELETED_TOPIC, Leg, SubscriptionConfig, SubscriptionSettings, Unseen, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile, ServiceProfile
from diagnostics.transport.call import NotThere, pages
from diagnostics.transport.rpcs import LIST_SERVICES
from diagnostics.transport.session import Session

REGION_CODES = {
    "an": "asia-northeast1", "as": "asia-southeast1", "de": "asia-east1", "df": "asia-east2", "dt": "asia-northeast2",
    "du": "asia-northeast3", "el": "asia-south1", "et": "asia-southeast2", "ew": "europe-west1", "ey": "europe-west3",
    "ez": "europe-west4", "lm": "europe-central2", "lz": "europe-north1", "nn": "northamerica-northeast1",
    "nw": "europe-west2", "oa": "europe-west6", "rj": "southamerica-east1", "ts": "australia-southeast1",
    "uc": "us-central1", "ue": "us-east1", "uk": "us-east4", "ul": "us-east5", "uw": "us-west1", "vp": "us-south1",
    "wl": "us-west2", "wm": "us-west3", "wn": "us-west4",
}  # fmt: skip
"""Region codes of run.app URLs. Google documents no list: only a hint where to look for the service, which its URLs then confirm."""

_BY_NUMBER = re.compile(r"(?:[a-z0-9-]+---)?(?P<service>[a-z0-9-]+)-\d+\.(?P<region>[a-z]+-[a-z]+\d+)\.run\.app")
_BY_HASH = re.compile(r"(?:[a-z0-9-]+---)?(?P<service>[a-z0-9-]+)-[a-z0-9]+-(?P<code>[a-z]{2})\.a\.run\.app")


class Topic(Struct, frozen=True, kw_only=True):
    """The leg's topic: projects/P/topics/T."""

    per_leg: ClassVar[bool] = True
    name: str


class Receiver(Struct, frozen=True, kw_only=True):
    """The Cloud Run service that receives the leg's pushes."""

    per_leg: ClassVar[bool] = True
    service: str
    region: str


class Push(Struct, frozen=True, kw_only=True):
    """How the leg's pushes call."""

    per_leg: ClassVar[bool] = True
    path: str
    account: str
    """E-mail of the account in their token; empty: they carry none."""


class Services(Struct, frozen=True, kw_only=True):
    """The two services by name, where they are known."""

    coordinator: Receiver | None
    worker: Receiver | None
    why: str = ""
    """What keeps us from knowing the missing one."""


def stated(pipeline: PipelineProfile) -> dict[tuple[type, Leg | None], Any]:
    """What the profile says by itself."""
    known: dict[tuple[type, Leg | None], Any] = {}
    for leg in Leg:
        named = pipeline.leg(leg)
        if named is None:
            continue
        service = _service(pipeline, leg)
        if named.topic:
            known[Topic, leg] = Topic(name=full_topic(pipeline, named.topic))
        if service.service and (service.region or pipeline.region):
            known[Receiver, leg] = Receiver(service=service.service, region=service.region or pipeline.region)
        if named.push_path and named.push_account:
            known[Push, leg] = Push(path=named.push_path, account=named.push_account)
    coordinator, worker = (
        known.get((Receiver, leg)) or _stated(pipeline, leg) for leg in (Leg.COMPLETION, Leg.REQUEST)
    )
    if coordinator and worker:
        known[Services, None] = Services(coordinator=coordinator, worker=worker)
    return known


def topic(pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig) -> Topic:
    name = _settings(pipeline, leg, config).topic
    if name == DELETED_TOPIC:
        raise NotSeen(
            Why.DEPENDS, "the topic that the subscription was attached to is deleted, and the profile names none"
        )
    return Topic(name=name)


def receiver(session: Session, pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig) -> Receiver:
    settings = _settings(pipeline, leg, config)
    role = "worker" if leg is Leg.REQUEST else "coordinator"
    if not settings.push_endpoint:
        says = f"{settings.name} has no push endpoint, and the profile does not name the {role}"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=f"name {role}.service in the profile")
    host = urlsplit(settings.push_endpoint).hostname or ""
    return of_host(session, pipeline.project, host, _service(pipeline, leg).region or pipeline.region)


def push(pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig) -> Push:
    settings = _settings(pipeline, leg, config)
    return Push(path=urlsplit(settings.push_endpoint).path or "/", account=settings.push_account)


def services(
    pipeline: PipelineProfile,
    worker: Annotated[Receiver | Unseen, Leg.REQUEST],
    coordinator: Annotated[Receiver | Unseen, Leg.COMPLETION],
) -> Services:
    why = next((found.says for found in (worker, coordinator) if isinstance(found, Unseen)), "")
    return Services(
        coordinator=_stated(pipeline, Leg.COMPLETION) if isinstance(coordinator, Unseen) else coordinator,
        worker=_stated(pipeline, Leg.REQUEST) if isinstance(worker, Unseen) else worker,
        why=why,
    )


def of_host(session: Session, project: str, host: str, region: str) -> Receiver:
    """The service behind a run.app host. Raises NotSeen."""
    if numbered := _BY_NUMBER.fullmatch(host):
        return Receiver(service=numbered["service"], region=numbered["region"])
    hashed = _BY_HASH.fullmatch(host)
    region = region or REGION_CODES.get(hashed["code"] if hashed else "", "")
    if not region:
        raise NotSeen(
            Why.NOT_CONFIGURED, f"the region of {host} is not known", mend="say --region, or region in the profile"
        )
    try:
        listed = pages(session, LIST_SERVICES, {"parent": f"projects/{project}/locations/{region}"}, "services")
    except (NotSeen, NotThere):
        if not hashed:
            raise
        return Receiver(service=hashed["service"], region=region)
    base = host.rpartition("---")[2]
    for service in listed.items:
        if any(urlsplit(url).hostname == base for url in (service.uri, *service.urls)):
            return Receiver(service=service.name.rpartition("/")[2], region=region)
    if hashed:
        return Receiver(service=hashed["service"], region=region)
    says = f"no service in {region} has the URL https://{host}"
    raise NotSeen(Why.NOT_CONFIGURED, says, mend="name the service in the profile")


def full_topic(pipeline: PipelineProfile, name: str) -> str:
    return name if name.startswith("projects/") else f"projects/{pipeline.project}/topics/{name}"


def full_subscription(pipeline: PipelineProfile, leg: Leg) -> str:
    named = pipeline.leg(leg)
    name = named.subscription if named else ""
    return name if name.startswith("projects/") else f"projects/{pipeline.project}/subscriptions/{name}"


def _settings(pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig) -> SubscriptionSettings:
    if config.settings is None:
        raise NotSeen(
            Why.DEPENDS, f"{full_subscription(pipeline, leg)} does not exist, and the profile does not state it"
        )
    return config.settings


def _service(pipeline: PipelineProfile, leg: Leg) -> ServiceProfile:
    """The service that receives the leg's pushes."""
    return pipeline.worker if leg is Leg.REQUEST else pipeline.coordinator


def _stated(pipeline: PipelineProfile, leg: Leg) -> Receiver | None:
    service = _service(pipeline, leg)
    region = service.region or pipeline.region
    return Receiver(service=service.service, region=region) if service.service and region else None
