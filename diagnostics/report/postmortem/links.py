"""Pages of the Cloud Console about the services and the subscriptions of an incident, and the log lines of its time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from diagnostics.evidence.model import Leg, ServiceConfig
from diagnostics.evidence.redact import redact
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Link
from diagnostics.steps.words import short

CONSOLE = "https://console.cloud.google.com/"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~+:-]{0,253}[A-Za-z0-9])?", re.ASCII)
"""What projects, regions, services and subscriptions are called. What is called otherwise gets no link."""


def links(seen: Seen, begin: datetime) -> tuple[Link, ...]:
    """Each leg's subscription, each service's metrics, and each service's log from `begin` to the last look."""
    if seen.last.pipeline.lab:
        return ()
    profile = seen.runs[-1].case.profile
    found = [*_subscriptions(profile), *_services(seen, profile, begin)]
    return tuple({link.url: link for link in found}.values())


def why_none(seen: Seen) -> str:
    return "a lab has no Cloud Console" if seen.last.pipeline.lab else "no name was seen that the Cloud Console takes"


def _subscriptions(profile: PipelineProfile) -> Iterator[Link]:
    for name, leg in (("request", profile.request), ("completion", profile.completion)):
        subscription, project = short(leg.subscription) if leg else "", _project(leg, profile)
        if _are_names(subscription, project):
            url = f"{CONSOLE}cloudpubsub/subscription/detail/{quote(subscription)}?project={quote(project)}"
            yield Link(name=f"subscription {subscription} ({name} leg)", url=url)


def _project(leg: LegProfile | None, profile: PipelineProfile) -> str:
    parts = leg.subscription.split("/") if leg else []
    return parts[1] if len(parts) == 4 else profile.project


def _services(seen: Seen, profile: PipelineProfile, begin: datetime) -> Iterator[Link]:
    for leg, who in ((Leg.REQUEST, profile.worker), (Leg.COMPLETION, profile.coordinator)):
        config = seen.newest(ServiceConfig, leg)
        name = who.service or (config.name if config else "")
        region, project = who.region or profile.region, who.project or profile.project
        if not _are_names(name, region, project):
            continue
        page = f"{CONSOLE}run/detail/{quote(region)}/{quote(name)}/metrics?project={quote(project)}"
        yield Link(name=f"metrics of {name}", url=page)
        window = f"{begin:%H:%M}Z to {seen.end:%H:%M}Z"
        log = f"{CONSOLE}logs/query;query={quote(_query(name, begin, seen.end), safe='')}?project={quote(project)}"
        yield Link(name=f"log of {name}, {window}", url=log)


def _query(service: str, begin: datetime, end: datetime) -> str:
    """Its own times are in the query, so that it shows the same whenever it is opened."""
    return (
        f'resource.type="cloud_run_revision"\nresource.labels.service_name="{service}"\n'
        f'timestamp>="{begin:%Y-%m-%dT%H:%M:%SZ}"\ntimestamp<="{end:%Y-%m-%dT%H:%M:%SZ}"'
    )


def _are_names(*names: str) -> bool:
    return all(_NAME.fullmatch(name) and redact(name) == name for name in names)
