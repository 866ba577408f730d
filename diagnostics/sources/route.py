"""Where a leg runs: its topic, the service that receives its pushes, the path of the pushes and the account that signs them.

What the profile states of places is taken from there (`stated`), so that nothing waits for Google to repeat it; steps compare it with
what the subscription says. The rest follows from the subscription's own configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.model import DELETED_TOPIC, Leg, SubscriptionConfig, SubscriptionSettings, Unseen, Why
from diagnostics.evidence.run_app import Address, address
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile, ServiceProfile
from diagnostics.shell.commands import advice, command, noted
from diagnostics.transport.call import NotThere, Pages, call, pages
from diagnostics.transport.rpcs import GET_PROJECT, GET_SERVICE, LIST_SERVICES
from diagnostics.transport.session import Session

FUNCTION = re.compile(r"(?P<region>[a-z]+-[a-z]+\d+)-(?P<project>[a-z][a-z0-9-]*)\.cloudfunctions\.net")
"""REGION-PROJECT.cloudfunctions.net/NAME: a function of Cloud Run runs as the service of its name (2nd generation)."""


class Topic(Struct, frozen=True, kw_only=True):
    """The leg's topic: projects/P/topics/T."""

    per_leg: ClassVar[bool] = True
    name: str


class Receiver(Struct, frozen=True, kw_only=True):
    """The Cloud Run service that receives the leg's pushes."""

    per_leg: ClassVar[bool] = True
    service: str
    region: str
    project: str = ""
    """Id or number of its project; empty: the pipeline's."""

    def home(self, pipeline: PipelineProfile) -> str:
        """Id or number of the project that it is in."""
        return self.project or pipeline.project


class Push(Struct, frozen=True, kw_only=True):
    """How the leg's pushes call."""

    per_leg: ClassVar[bool] = True
    path: str


class Signer(Struct, frozen=True, kw_only=True):
    """Whose token the leg's pushes carry: what the subscription says, whatever account the profile names."""

    per_leg: ClassVar[bool] = True
    account: str
    """E-mail of the account; empty: they carry none."""


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
        if named.topic:
            known[Topic, leg] = Topic(name=full_topic(pipeline, named.topic))
        if service := _stated(pipeline, leg):
            known[Receiver, leg] = service
        if named.push_path:
            known[Push, leg] = Push(path=named.push_path)
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
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=advice("name {role}.service in the profile", role=role))
    return of_endpoint(session, pipeline, settings.push_endpoint, role, _service(pipeline, leg).region)


def push(pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig) -> Push:
    settings = _settings(pipeline, leg, config)
    return Push(path=urlsplit(settings.push_endpoint).path or "/")


def signer(pipeline: PipelineProfile, leg: Leg, config: SubscriptionConfig | Unseen) -> Signer:
    """Raises NotSeen where neither the subscription nor the profile tells."""
    if isinstance(config, Unseen):
        return signed_by(pipeline, leg, None, config.says)
    return signed_by(pipeline, leg, config.settings, f"{full_subscription(pipeline, leg)} does not exist")


def signed_by(pipeline: PipelineProfile, leg: Leg, settings: SubscriptionSettings | None, why: str) -> Signer:
    """The account that the profile names only stands in for a subscription that could not be asked (`why`), or that pushes nowhere.
    Raises NotSeen."""
    if settings is not None and settings.push_endpoint:
        return Signer(account=settings.push_account)
    named = pipeline.leg(leg)
    if named is not None and named.push_account:
        return Signer(account=named.push_account)
    if settings is not None:
        why = f"{settings.name} pushes nowhere"
    raise NotSeen(Why.DEPENDS, f"{why}, and the profile names no push account")


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


def of_endpoint(session: Session, pipeline: PipelineProfile, endpoint: str, role: str, region: str = "") -> Receiver:
    """The service behind a push endpoint. The address comes before what flags say of region and project. Raises NotSeen."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").lower()
    if at := address(host):
        if at.number:
            return Receiver(service=at.service, region=at.region, project=_home(session, pipeline, at.number))
        return _of_hash(session, pipeline, host, at, region or pipeline.region, role)
    if function := FUNCTION.fullmatch(host):
        return _of_function(session, pipeline, function, parts.path, role)
    return _of_domain(session, pipeline, host, region or pipeline.region, role)


def _of_hash(session: Session, pipeline: PipelineProfile, host: str, at: Address, region: str, role: str) -> Receiver:
    """By the addresses that the services list, in the region of the code first. Only what lists the address is taken for it: a service
    of the same name may be another project's."""
    regions = dict.fromkeys(filter(None, (at.region, region)))
    if not regions:
        raise NotSeen(
            Why.NOT_CONFIGURED, f"the region of {host} is not known", mend="say --region, or region in the profile"
        )
    for place in regions:
        try:
            listed = _services(session, pipeline.project, place)
        except NotSeen:
            return _unlisted(session, pipeline, host, Receiver(service=at.service, region=place), role)
        if found := _listing(listed, host, place):
            return found
    raise _of_nobody(pipeline, host, " or ".join(regions), role)


def _unlisted(session: Session, pipeline: PipelineProfile, host: str, guess: Receiver, role: str) -> Receiver:
    """The service of the address's name, where services may not be listed: unless it can be seen that it is not the one."""
    try:
        found = call(session, GET_SERVICE, {"name": full_service(pipeline, guess)})
    except NotThere as error:
        raise _of_nobody(pipeline, host, guess.region, role) from error
    except NotSeen:
        return guess
    if not _has(found, host):
        raise _of_nobody(pipeline, host, guess.region, role)
    return guess


def _of_function(
    session: Session, pipeline: PipelineProfile, function: re.Match[str], path: str, role: str
) -> Receiver:
    """The Cloud Run service that a function of the 2nd generation is, by the function's name; one of the 1st is none."""
    name = path.strip("/").partition("/")[0]
    project = "" if function["project"] == pipeline.project else function["project"]
    guess = Receiver(service=name.lower().replace("_", "-"), region=function["region"], project=project)
    try:
        call(session, GET_SERVICE, {"name": full_service(pipeline, guess)})
    except NotThere as error:
        says = f"the function {name} is no service of Cloud Run: of the 1st generation, or gone"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=_name_it(role)) from error
    except NotSeen:
        return guess
    return guess


def _of_domain(session: Session, pipeline: PipelineProfile, host: str, region: str, role: str) -> Receiver:
    """A service that lists an address which Cloud Run did not make. What is behind a load balancer or elsewhere, nobody lists."""
    if region and (found := _listing(_services(session, pipeline.project, region), host, region)):
        return found
    if kind := _other_kind(host):
        raise NotSeen(Why.NOT_CONFIGURED, f"{host} is {kind}: Pub/Sub alone tells how it answers")
    where = (
        f"no service of {pipeline.project} in {region} has the URL"
        if region
        else "nothing tells which service has the URL"
    )
    says = f"{where} https://{host}: a domain of its own may lead to any service, or to a load balancer before it"
    read = command(
        "gcloud logging read {filter} --project={project} --limit=20",
        filter=_BALANCED.format(host=host),
        project=pipeline.project,
    )
    mend = noted(read, "shows what a load balancer answered", f"or {_name_it(role)}")
    raise NotSeen(Why.NOT_CONFIGURED, says, mend=mend)


_BALANCED = 'resource.type="http_load_balancer" AND httpRequest.requestUrl:"https://{host}/"'
"""Requests to a host in the log of an external application load balancer; `statusDetails` says who answered."""


def of_own_domain(host: str) -> bool:
    """Whether none of Google's services made this address: it may be a load balancer's."""
    return not (address(host) or FUNCTION.fullmatch(host) or _other_kind(host))


def _other_kind(host: str) -> str:
    """What else of Google's takes pushes at such an address; empty where that cannot be told."""
    if host.endswith(".appspot.com"):
        return "an App Engine application, not a service of Cloud Run"
    if host.endswith(".googleapis.com"):
        return "an API of Google's, not a service of Cloud Run"
    if host.endswith(".global.run.app"):
        return "the address of a service of several regions, which this version does not take apart"
    return ""


def _services(session: Session, project: str, region: str) -> Pages:
    try:
        return pages(session, LIST_SERVICES, {"parent": f"projects/{project}/locations/{region}"}, "services")
    except NotThere as error:
        raise NotSeen(Why.FAILED, f"the services of {region} could not be listed: {error}") from error


def _listing(listed: Pages, host: str, region: str) -> Receiver | None:
    """The service that lists the host as its own."""
    found = next((service for service in listed.items if _has(service, host)), None)
    return Receiver(service=found.name.rpartition("/")[2], region=region) if found is not None else None


def _has(service: Any, host: str) -> bool:
    base = host.rpartition("---")[2]
    return any(urlsplit(url).hostname in (host, base) for url in (service.uri, *service.urls))


def _of_nobody(pipeline: PipelineProfile, host: str, region: str, role: str) -> NotSeen:
    says = f"no service of {pipeline.project} in {region} has the URL https://{host}: it is another project's or region's, or gone"
    return NotSeen(Why.NOT_CONFIGURED, says, mend=_name_it(role))


def _name_it(role: str) -> str:
    return f"name {role}.service, {role}.region and {role}.project in the profile"


def _home(session: Session, pipeline: PipelineProfile, number: str) -> str:
    """The project of this number: empty where it is the pipeline's, else its id where that may be seen, else the number, which does as
    well."""
    if number == pipeline.project:
        return ""
    try:
        own = call(session, GET_PROJECT, {"name": f"projects/{pipeline.project}"})
        if own.name.rpartition("/")[2] == number:
            return ""
        return str(call(session, GET_PROJECT, {"name": f"projects/{number}"}).project_id) or number
    except (NotSeen, NotThere):
        return number


def full_service(pipeline: PipelineProfile, receiver: Receiver) -> str:
    return f"projects/{receiver.home(pipeline)}/locations/{receiver.region}/services/{receiver.service}"


def log_places(pipeline: PipelineProfile, *receivers: Receiver | None) -> tuple[str, ...]:
    """Where the logs of these services are read: in their own projects, the pipeline's first, unless the profile names the places."""
    own = f"projects/{pipeline.project}"
    if pipeline.log_places != (own,):
        return pipeline.log_places
    homes = {f"projects/{r.home(pipeline)}" for r in receivers if r}
    return tuple(sorted(homes, key=lambda place: (place != own, place))) or (own,)


def audit_places(pipeline: PipelineProfile, services: Services, names: Iterable[str] = ()) -> tuple[str, ...]:
    """Where changes of these services, and of what these full names are of, are logged: each in its own project, unless the profile
    names the places."""
    if any("/views/" in place for place in pipeline.audit_places):
        return pipeline.audit_places
    named = ("/".join(name.split("/")[:2]) for name in names if name.startswith("projects/"))
    homes = (f"projects/{r.home(pipeline)}" for r in (services.worker, services.coordinator) if r)
    return tuple(dict.fromkeys((*pipeline.audit_places, *sorted({*named, *homes}))))


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
    if not service.service or not region:
        return None
    home = "" if service.project == pipeline.project else service.project
    return Receiver(service=service.service, region=region, project=home)
