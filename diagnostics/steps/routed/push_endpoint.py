"""Does the push endpoint lead to the service, and to where it takes messages?"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from diagnostics.evidence.model import (
    By,
    ChangeLog,
    Leg,
    PushCounts,
    RequestLog,
    ServiceConfig,
    ServiceSettings,
    Stage,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.evidence.run_app import address
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.addresses import host_of, is_own, path_of
from diagnostics.readings.answers import RECENT, last_of
from diagnostics.readings.owed import acked
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status, Subject
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.words import clock, short

ENDPOINT = Code("routed.endpoint_elsewhere", Stage.ROUTED, "the push endpoint is no URL of the service", Kind.MECHANISM)
SERVICE_GONE = Code(
    "routed.service_gone", Stage.ROUTED, "the service that is to take the pushes does not exist", Kind.MECHANISM
)
ELSEWHERE = Code("routed.in_another_place", Stage.ROUTED, "pushes go to a service of the same name in another place")


def other_place(seen: Seen, settings: SubscriptionSettings) -> str:
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


def perhaps_there(
    seen: Seen, settings: SubscriptionSettings, place: str, kept: int, changes: ChangeLog | Unseen
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


def another_service(settings: SubscriptionSettings, name: str) -> str:
    """The service that a run.app address names, where that is not the one of this name; a long name may stand there cut short."""
    at = address(host_of(settings.push_endpoint))
    return at.service if at is not None and at.service and not name.startswith(at.service) else ""


def _set_lately(changes: ChangeLog | Unseen, settings: SubscriptionSettings) -> bool:
    """Whether the audit log has somebody set the push endpoint."""
    listed = () if isinstance(changes, Unseen) else changes.changes
    return any(c.ok and c.method in _POINTS and short(c.resource) == short(settings.name) for c in listed)


_POINTS = frozenset({"CreateSubscription", "UpdateSubscription", "ModifyPushConfig"})
"""Methods that set a push endpoint."""


def wrong_endpoint(seen: Seen, settings: SubscriptionSettings) -> str:
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


def no_service(seen: Seen, name: str, about: Subject | None, kept: int, changes: ChangeLog | Unseen) -> Finding:
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


def unmet_path(
    seen: Seen,
    settings: SubscriptionSettings,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """A path that the profile contradicts and by which no item has come. One by which a push was acked is right, whatever the profile
    says, and so is one that nobody has set since; where neither could be seen, nothing is said."""
    path = _wrong_path(settings, seen.profile, seen.leg)
    if not path or isinstance(pushes, Unseen) or isinstance(log, Unseen):
        return
    if acked(seen.ledger, seen.leg) and not _by_another_path(log, path, _takes(seen.profile, seen.leg)):
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


def _by_another_path(log: RequestLog, path: str, right: str) -> bool:
    """Whether what was acked came by the right path, from another subscription: the log has pushes by either, and none by this one
    that went well."""
    went_well = [r for r in log.fine if r.pushed_to(right) or r.pushed_to(path)]
    return (
        any(r.pushed_to(path) for r in log.refused) and bool(went_well) and all(r.pushed_to(right) for r in went_well)
    )


def turned_away(seen: Seen, settings: SubscriptionSettings, log: RequestLog | Unseen) -> bool:
    """Whether the newest pushes to a wrong path came to no program that could say that it has none: turned away by Google's front end,
    or ended by Cloud Run."""
    path = _wrong_path(settings, seen.profile, seen.leg)
    rows = [] if isinstance(log, Unseen) or not path else [r for r in log.refused if r.pushed_to(path)]
    newest = [r for r in rows if r.at > rows[-1].at - RECENT]
    return bool(newest) and all(r.by is not By.APPLICATION for r in newest)


def _wrong_path(settings: SubscriptionSettings, profile: PipelineProfile, leg: Leg) -> str:
    """The path of the push endpoint, if it is another than the profile's; empty if it is right or the profile names none."""
    path = path_of(settings.push_endpoint)
    return path if _takes(profile, leg) not in ("", path) else ""


def _takes(profile: PipelineProfile, leg: Leg) -> str:
    named = profile.leg(leg)
    return named.push_path if named else ""


def elsewhere(settings: SubscriptionSettings, target: ServiceSettings) -> bool:
    """Whether the push endpoint is the run.app address of another service; a domain of one's own may lead anywhere."""
    host = host_of(settings.push_endpoint)
    return host.endswith(".run.app") and not is_own(target, host)
