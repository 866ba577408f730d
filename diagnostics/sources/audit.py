"""What changed, from the audit logs: Admin Activity, System Event (kept 400 days) and policy denials (30 days)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Any

from diagnostics.evidence.model import Change, ChangeLog, Leg, ServiceConfig, SubscriptionConfig, Unseen
from diagnostics.evidence.redact import principal, redact
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources.audit_payload import says_of
from diagnostics.sources.entries import both, either, logs, moment, one_of
from diagnostics.sources.route import Services, audit_places, full_subscription, full_topic
from diagnostics.sources.search import log_provenance, search, still_kept
from diagnostics.transport.clients import load
from diagnostics.transport.session import Session

ACTIVITY = "cloudaudit.googleapis.com/activity"
SYSTEM_EVENT = "cloudaudit.googleapis.com/system_event"
KEPT = timedelta(days=400)
"""How long the _Required bucket keeps Admin Activity and System Event entries; nobody can change it."""
POLICY = "cloudaudit.googleapis.com/policy"

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
) -> ChangeLog:
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
    accounts = _accounts(pipeline, (request, completion), (worker, coordinator))
    if accounts:
        about.append(
            both('protoPayload.serviceName="iam.googleapis.com"', one_of("resource.labels.email_id", accounts))
        )
    asked = both(logs(ACTIVITY, SYSTEM_EVENT, POLICY), either(f"({clause})" for clause in about))
    places = audit_places(pipeline, services, named)
    found = still_kept(session, since, until, search(session, places, asked, since, until), KEPT)
    changes = sorted(_changes(found.items), key=lambda c: c.at)
    source = log_provenance(session, "audit logs", places, asked, (since, until), found)
    return ChangeLog(source=source, since=since, changes=tuple(changes))


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


def _changes(found: Iterable[Any]) -> Iterator[Change]:
    audit_log = load("google.cloud.audit.audit_log_pb2").AuditLog
    for entry in found:
        payload = audit_log()
        if not entry.proto_payload.Unpack(payload):
            continue
        yield Change(
            at=moment(entry.timestamp),
            api=payload.service_name,
            method=method_of(payload.method_name),
            resource=resource_of(entry, payload.resource_name),
            by=principal(payload.authentication_info.principal_email),
            ok=payload.status.code == 0,
            says=redact(payload.status.message or says_of(payload), 300),
        )


def method_of(name: str) -> str:
    """Last part of a method's name, written one way."""
    method = name.rpartition("/")[2].rpartition(".")[2]
    return "SetIamPolicy" if method.lower() == "setiampolicy" else method


def resource_of(entry: Any, name: str) -> str:
    """kind/name; a service account by its e-mail, since IAM writes its unique id."""
    email = entry.resource.labels.get("email_id", "")
    return f"serviceAccounts/{email}" if email else "/".join(name.split("/")[-2:])
