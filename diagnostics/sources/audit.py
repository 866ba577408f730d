"""What changed, from the audit logs: Admin Activity, System Event (kept 400 days) and policy denials (30 days)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from diagnostics.evidence.model import (
    BatchMarks,
    Change,
    ChangeLog,
    Leg,
    Means,
    ServiceConfig,
    SubscriptionConfig,
    Unseen,
    Why,
)
from diagnostics.evidence.redact import principal, redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources.audit_entries import ACTIVITY, POLICY, SYSTEM_EVENT, Audited, Named, audited, first_policies
from diagnostics.sources.audit_payload import says_of
from diagnostics.sources.collect import BY_THE_WAY
from diagnostics.sources.entries import both, either, logs, one_of
from diagnostics.sources.route import Services, audit_places, full_subscription, full_topic
from diagnostics.sources.search import Found, Search, log_provenance, search, still_kept
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.session import Session

KEPT = timedelta(days=400)
"""How long the _Required bucket keeps Admin Activity and System Event entries; nobody can change it."""

EARLIER = timedelta(days=100)
"""How far before the look-back changes are read where no batch in it was good: a pipeline that runs once a quarter has its last good one
there."""
FEW_READS = 3

Config = SubscriptionConfig | Unseen
Service = ServiceConfig | Unseen


def change_log(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    services: Services,
    request: Annotated[SubscriptionConfig | Unseen, Leg.REQUEST],
    completion: Annotated[SubscriptionConfig | Unseen, Leg.COMPLETION],
    worker: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    marks: Annotated[BatchMarks | Unseen, None, BY_THE_WAY],
) -> ChangeLog:
    """Over the look-back; and before it, where what went wrong may have begun there."""
    since, until = ask.begin(session.now), ask.end(session.now)
    named = _pubsub_names(pipeline, (request, completion))
    about = [
        one_of("protoPayload.resourceName", named),
        both('resource.type="project"', 'protoPayload.methodName:"SetIamPolicy"'),
        'resource.type="iam_role"',
        both(logs(POLICY), 'resource.labels.method:"run.googleapis.com"'),
    ]
    names = sorted({r.service for r in (services.worker, services.coordinator) if r})
    if names:
        about.append(
            both('protoPayload.serviceName="run.googleapis.com"', one_of("resource.labels.service_name", names))
        )
        about.append(one_of("protoPayload.resourceName", _run_names(pipeline, services)))
    accounts = _accounts(pipeline, (request, completion), (worker, coordinator))
    if accounts:
        about.append(
            both('protoPayload.serviceName="iam.googleapis.com"', one_of("resource.labels.email_id", accounts))
        )
    asked = both(logs(ACTIVITY, SYSTEM_EVENT, POLICY), either(f"({clause})" for clause in about))
    places = audit_places(pipeline, services, named)
    found = still_kept(session, since, until, search(session, places, asked, since, until, leaves=Leaves.CHANGED), KEPT)
    if found.complete and _may_have_begun_before(marks):
        earlier = _earlier(session, places, asked, since)
        found, since = found._replace(items=[*found.items, *earlier.items]), earlier.reached
    changes = tuple(_change(one) for one in audited(found.items, policies_before(session, places, since, found.items)))
    source = log_provenance(session, "audit logs", places, asked, (since, until), found)
    return ChangeLog(source=source, since=since, changes=changes)


def _may_have_begun_before(marks: BatchMarks | Unseen) -> bool:
    """Whether no batch of the look-back is known to have been good, the one that is asked about among them."""
    if isinstance(marks, Unseen):
        return marks.why is Why.NOT_CONFIGURED
    good = any(m.means is Means.CLOSED for m in marks.marks)
    return marks.source.complete and not good


def _earlier(session: Session, places: Sequence[str], asked: str, until: datetime) -> Found:
    """What was logged before the look-back, as far back as could be searched."""
    since = max(until - EARLIER, session.now - KEPT)
    try:
        return Search(session, places, asked, since, until, below=True, leaves=Leaves.CHANGED).read(FEW_READS).found
    except NotSeen:
        return Found([], False, "", until)


def _pubsub_names(pipeline: PipelineProfile, configs: Iterable[Config]) -> list[str]:
    """Full names of the pipeline's topics and subscriptions, as stated and as configured."""
    names = set()
    for leg in Leg:
        if named := pipeline.leg(leg):
            names.add(full_subscription(pipeline, leg))
            if named.topic:
                names.add(full_topic(pipeline, named.topic))
    for config in configs:
        if isinstance(config, SubscriptionConfig) and config.settings:
            names.add(config.settings.topic)
            if config.settings.dead_letter:
                names.add(config.settings.dead_letter.topic)
    return sorted(name for name in names if name.startswith("projects/"))


def _accounts(pipeline: PipelineProfile, configs: Iterable[Config], services: Iterable[Service]) -> list[str]:
    """The accounts that pushes and services run as."""
    accounts = {named.push_account for leg in Leg if (named := pipeline.leg(leg))}
    accounts |= {c.settings.push_account for c in configs if isinstance(c, SubscriptionConfig) and c.settings}
    accounts |= {s.settings.template.account for s in services if isinstance(s, ServiceConfig) and s.settings}
    return sorted(account for account in accounts if account)


def _run_names(pipeline: PipelineProfile, services: Services) -> list[str]:
    """The services in every form in which an audit entry names them: a SetIamPolicy may carry no label with the name."""
    known = [r for r in (services.worker, services.coordinator) if r]
    return [name for r in known for name in Named(r.home(pipeline), r.region, r.service).resources]


def policies_before(session: Session, places: Sequence[str], since: datetime, found: Sequence[Any]) -> list[Any]:
    """The entries that tell what policies were before `since`, where a first change since tells only what they became."""
    names = sorted(first_policies(found))
    if not names:
        return []
    asked = both(logs(ACTIVITY), one_of("protoPayload.resourceName", names), 'protoPayload.methodName:"SetIamPolicy"')
    try:
        return list(search(session, places, asked, since - KEPT, since, leaves=Leaves.CHANGED).items)
    except NotSeen:
        return []


def _change(one: Audited) -> Change:
    return Change(
        at=one.at,
        api=one.api,
        method=one.method,
        resource=one.resource,
        by=principal(one.by),
        ok=one.code == 0,
        says=redact(one.message or says_of(one.payload, one.deltas), 300),
        failed=redact(one.failed, 300),
    )
