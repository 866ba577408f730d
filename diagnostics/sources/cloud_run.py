"""What Cloud Run says of the services that receive pushes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from diagnostics.evidence.model import (
    Revisions,
    RevisionSettings,
    ServiceConfig,
    ServicePolicy,
    ServiceSettings,
    Traffic,
    Why,
)
from diagnostics.evidence.redact import hashed, redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.shell.commands import command
from diagnostics.sources.pubsub import bindings, seconds
from diagnostics.sources.route import Receiver, full_service
from diagnostics.transport.call import NotThere, call, pages
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import GET_SERVICE, LIST_REVISIONS, SERVICE_POLICY
from diagnostics.transport.session import Session

INGRESS = {1: "all", 2: "internal", 3: "internal-and-cloud-load-balancing", 4: "none"}
"""google.cloud.run.v2.IngressTraffic."""
READY = {3: "failed", 4: "ready"}
"""google.cloud.run.v2.Condition.State; everything else is pending."""
MANUAL = 2
"""google.cloud.run.v2.ServiceScaling.ScalingMode."""
MAX_INSTANCES, CONCURRENCY, TIMEOUT_S = 100, 80, 300.0
"""Server defaults, where a revision says nothing (service.proto, revision_template.proto)."""


def service_config(session: Session, pipeline: PipelineProfile, receiver: Receiver) -> ServiceConfig:
    return config_of(session, pipeline, receiver)


def config_of(session: Session, pipeline: PipelineProfile, receiver: Receiver) -> ServiceConfig:
    """The service as it is configured, whichever leg it is asked for."""
    name = full_service(pipeline, receiver)
    by_hand = _by_hand(
        "gcloud run services describe {service} --region={region} --project={project}", pipeline, receiver
    )
    source = provenance(session, "Cloud Run", name, by_hand)
    try:
        found = call(session, GET_SERVICE, {"name": name})
    except NotThere:
        return ServiceConfig(source=source, name=receiver.service, settings=None)
    return ServiceConfig(
        source=source,
        name=receiver.service,
        settings=settings_of(found, receiver.service, receiver.region, _variable(pipeline)),
    )


def revisions(session: Session, pipeline: PipelineProfile, receiver: Receiver) -> Revisions:
    name = full_service(pipeline, receiver)
    by_hand = _by_hand(
        "gcloud run revisions list --service={service} --region={region} --project={project}", pipeline, receiver
    )
    try:
        listed = pages(session, LIST_REVISIONS, {"parent": name, "page_size": 200}, "revisions", most=5)
    except NotThere as error:
        raise NotSeen(Why.DEPENDS, f"the service {receiver.service} does not exist in {receiver.region}") from error
    newest_first = sorted(
        (_revision(r, name, _variable(pipeline)) for r in listed.items), key=lambda r: r.created, reverse=True
    )
    return Revisions(source=provenance(session, "Cloud Run", name, by_hand, of=listed), revisions=tuple(newest_first))


def service_policy(session: Session, pipeline: PipelineProfile, receiver: Receiver) -> ServicePolicy:
    name = full_service(pipeline, receiver)
    by_hand = _by_hand(
        "gcloud run services get-iam-policy {service} --region={region} --project={project}", pipeline, receiver
    )
    return ServicePolicy(
        source=provenance(session, "IAM", name, by_hand),
        resource=name,
        bindings=bindings(session, SERVICE_POLICY, name),
    )


def _by_hand(template: str, pipeline: PipelineProfile, receiver: Receiver) -> str:
    home = receiver.home(pipeline)
    return command(template, service=receiver.service, region=receiver.region, project=home)


def _variable(pipeline: PipelineProfile) -> str:
    """The one variable whose value is shown; empty: none is."""
    return pipeline.model.variable if pipeline.model else ""


def settings_of(found: Any, name: str, region: str, variable: str = "") -> ServiceSettings:
    """A google.cloud.run.v2.Service as evidence. `variable`: names the model's file."""
    scaling, condition = found.scaling, found.terminal_condition
    return ServiceSettings(
        name=name,
        region=region,
        uri=found.uri,
        urls=tuple(found.urls),
        custom_audiences=tuple(found.custom_audiences),
        ingress=INGRESS.get(found.ingress, "all"),
        invoker_iam_disabled=found.invoker_iam_disabled,
        default_uri_disabled=found.default_uri_disabled,
        iap=found.iap_enabled,
        min_instances=scaling.min_instance_count or None,
        max_instances=scaling.max_instance_count or None,
        manual_instances=scaling.manual_instance_count if scaling.scaling_mode == MANUAL else None,
        latest_ready=_short(found.latest_ready_revision),
        latest_created=_short(found.latest_created_revision),
        traffic=tuple(
            Traffic(revision=_short(t.revision), percent=t.percent, tag=t.tag)
            for t in (found.traffic_statuses or found.traffic)
        ),
        reconciling=found.reconciling,
        ready=READY.get(condition.state, "pending"),
        reason=_reason(condition),
        message=redact(condition.message, 300),
        template=_template(
            found.template,
            found.name,
            _short(found.template.revision or found.latest_created_revision),
            found.update_time,
            variable=variable,
        ),
        labels=dict(found.labels),
    )


def _revision(found: Any, service: str, variable: str) -> RevisionSettings:
    """A google.cloud.run.v2.Revision."""
    ready = next((c for c in found.conditions if c.type_ == "Ready"), None)
    return _template(found, service, _short(found.name), found.create_time, ready, variable)


def _template(
    found: Any, service: str, name: str, created: Any, ready: Any = None, variable: str = ""
) -> RevisionSettings:
    """What a revision and a revision template have in common."""
    container = _taking_requests(found.containers)
    resources = container.resources if container is not None and container.HasField("resources") else None
    named = next((e for e in (container.env if container is not None else ()) if variable and e.name == variable), None)
    limits = dict(resources.limits) if resources is not None else {}
    return RevisionSettings(
        name=name,
        created=datetime.fromtimestamp(created.seconds + created.nanos / 1e9, UTC),
        image=container.image if container is not None else "",
        min_instances=found.scaling.min_instance_count,
        max_instances=found.scaling.max_instance_count or MAX_INSTANCES,
        concurrency=found.max_instance_request_concurrency or CONCURRENCY,
        timeout_s=seconds(found.timeout) or TIMEOUT_S,
        cpu=cores(limits.get("cpu", "1")),
        memory=limits.get("memory", "512Mi"),
        cpu_idle=resources.cpu_idle
        if resources is not None
        else True,  # the default holds only where resources are unset
        account=found.service_account,
        env={e.name: hashed(_value(e), service) for e in (container.env if container is not None else ())},
        model=redact(named.value.partition("?")[0], 300) if named is not None and not _secret(named) else None,
        ready=READY.get(ready.state, "pending") if ready is not None else "ready",
        reason=_reason(ready) if ready is not None else "",
        message=redact(ready.message, 300) if ready is not None else "",
        labels=dict(found.labels),
    )


def _taking_requests(containers: Any) -> Any:
    """The container that takes the requests, which names a port where others stand beside it; None: there is none."""
    return next((c for c in containers if c.ports), containers[0] if containers else None)


def cores(limit: str) -> str:
    """A CPU limit in cores, however it is written: 1000m is 1, 500m is 0.5."""
    if limit.endswith("m") and limit[:-1].isdigit():
        return f"{int(limit[:-1]) / 1000:g}"
    return limit


def _secret(variable: Any) -> bool:
    """Whether Secret Manager keeps its value, which is not read."""
    return bool(variable.value_source.secret_key_ref.secret)


def _value(variable: Any) -> str:
    """What has to be the same for the variable to be the same: its value, or the secret version that it refers to."""
    secret = variable.value_source.secret_key_ref
    return f"{secret.secret}:{secret.version}" if secret.secret else str(variable.value)


def _reason(condition: Any) -> str:
    which = condition.WhichOneof("reasons")
    if which is None:
        return ""
    number = getattr(condition, which)
    return str(condition.DESCRIPTOR.fields_by_name[which].enum_type.values_by_number[number].name)


def _short(name: str) -> str:
    return name.rpartition("/")[2]
