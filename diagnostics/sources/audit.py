"""What changed, from the audit logs: Admin Activity, System Event (kept 400 days) and policy denials (30 days)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from diagnostics.evidence.ask import Ask
from diagnostics.evidence.model import Change, ChangeLog, Leg, ServiceConfig, SubscriptionConfig, Unseen
from diagnostics.evidence.redact import endpoint, hashed, principal, redact
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.sources.entries import between, both, either, entries, log_provenance, logs, moment, one_of
from diagnostics.sources.route import Services, full_subscription, full_topic
from diagnostics.sources.session import Session

ACTIVITY = "cloudaudit.googleapis.com/activity"
SYSTEM_EVENT = "cloudaudit.googleapis.com/system_event"
POLICY = "cloudaudit.googleapis.com/policy"
FIELDS = 8
"""How many changed fields one change names."""

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
    about = [
        one_of("protoPayload.resourceName", _pubsub_names(pipeline, (request, completion))),
        both('resource.type="project"', 'protoPayload.methodName:"SetIamPolicy"'),
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
    query = both(between(since, until), logs(ACTIVITY, SYSTEM_EVENT, POLICY), either(f"({clause})" for clause in about))
    found = entries(session, pipeline.project, query)
    changes = sorted(_changes(found.items), key=lambda c: c.at)
    source = log_provenance(session, "audit logs", pipeline.project, query, until, found)
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
    from google.cloud.audit import audit_log_pb2

    for entry in found:
        payload = audit_log_pb2.AuditLog()
        if not entry.proto_payload.Unpack(payload):
            continue
        method = payload.method_name.rpartition("/")[2].rpartition(".")[2]
        yield Change(
            at=moment(entry.timestamp),
            api=payload.service_name,
            method="SetIamPolicy" if method.lower() == "setiampolicy" else method,
            resource=_resource(entry, payload.resource_name),
            by=principal(payload.authentication_info.principal_email),
            ok=payload.status.code == 0,
            says=redact(payload.status.message or _says(payload), 300),
        )


def _resource(entry: Any, name: str) -> str:
    """kind/name; a service account by its e-mail, since IAM writes its unique id."""
    email = entry.resource.labels.get("email_id", "")
    return f"serviceAccounts/{email}" if email else "/".join(name.split("/")[-2:])


def _says(payload: Any) -> str:
    """What changed, as far as the entry tells."""
    deltas = _policy_deltas(payload)
    if deltas:
        return "; ".join(f"{d.action.lower()} {d.role} for {redact(d.member, 0)}" for d in deltas)
    from google.protobuf.json_format import MessageToDict

    request = MessageToDict(payload.request)
    fields = list(_leaves(request, payload.resource_name))
    mask = request.get("updateMask", "")
    masked = [
        _snake(part) for part in (mask if isinstance(mask, str) else ",".join(mask.get("paths", ()))).split(",") if part
    ]
    if masked:
        fields = [(path, value) for path, value in fields if any(_snake(part) in masked for part in path)] or [
            (tuple(masked), "changed")
        ]
    return ", ".join(f"{path[-1]}={value}" for path, value in fields[:FIELDS])


def _policy_deltas(payload: Any) -> list[Any]:
    """ADD and REMOVE of roles, where IAM wrote them."""
    from google.iam.v1.logging import audit_data_pb2
    from google.protobuf.json_format import MessageToDict, ParseDict

    data = audit_data_pb2.AuditData()
    if payload.service_data.Unpack(data):
        return [
            _Delta(d.DESCRIPTOR.fields_by_name["action"].enum_type.values_by_number[d.action].name, d.role, d.member)
            for d in data.policy_delta.binding_deltas
        ]
    metadata = MessageToDict(payload.metadata).get("policyDelta")
    if isinstance(metadata, dict):
        ParseDict({"policyDelta": metadata}, data, ignore_unknown_fields=True)
    return [_Delta(str(d.action), d.role, d.member) for d in data.policy_delta.binding_deltas]


class _Delta:
    def __init__(self, action: str, role: str, member: str) -> None:
        self.action, self.role, self.member = action, role, member


def _leaves(value: Any, salt: str, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, value) of every field of a request, values of environments hashed, names of resources left out."""
    if isinstance(value, dict):
        if path and {"name", "value"} <= value.keys():
            yield (*path, str(value["name"])), f"#{hashed(str(value['value']), salt)}"
            return
        for key, inner in value.items():
            if key not in ("@type", "name", "resource", "updateMask", "apiVersion", "kind"):
                yield from _leaves(inner, salt, (*path, key.rpartition("/")[2]))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, salt, path)
    elif path and value not in ("", None):
        yield path, endpoint(value) if isinstance(value, str) and "://" in value else _plain(value)


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _snake(name: str) -> str:
    """push_config and pushConfig compare equal."""
    return name.rpartition(".")[2].replace("_", "").lower()
