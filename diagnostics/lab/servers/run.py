"""google.cloud.run.v2 Services and Revisions, as far as they are read."""

from __future__ import annotations

from typing import Any

from google.cloud.run_v2 import types

from diagnostics.lab.model import Revision, Service
from diagnostics.lab.servers.cloud import Cloud, Method, split_name
from diagnostics.lab.servers.errors import invalid, no_consumer, not_found
from diagnostics.lab.servers.iam_policy import (
    GetIamPolicyRequest,
    TestIamPermissionsRequest,
    held_permissions,
    policy_message,
)
from diagnostics.lab.servers.pages import slice_page

INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    "none": "INGRESS_TRAFFIC_NONE",
}
LATEST, PINNED = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
SERVICE = "projects/*/locations/*/services/*"


def get_service(cloud: Cloud, request: Any) -> Any:
    return _service_message(cloud, _service(cloud, request.name))


def list_services(cloud: Cloud, request: Any) -> Any:
    project, region = split_name(request.parent, "projects/*/locations/*")
    if region == "-":
        raise invalid("Location must be a valid Google Cloud region, and cannot be the '-' wildcard.")
    _known(cloud, project, region)
    home = cloud.world.id_of(project)
    every = (s for _, s in sorted(cloud.world.services.items()) if cloud.world.home("service", s.name) == home)
    services = [s for s in every if s.region == region]
    page, token = slice_page(services, request.page_size, request.page_token, request.parent)
    messages = [_service_message(cloud, s) for s in page]
    return types.ListServicesResponse.pb()(services=messages, next_page_token=token)


def get_iam_policy(cloud: Cloud, request: Any) -> Any:
    return policy_message(_service(cloud, request.resource).policy, request)


def test_iam_permissions(cloud: Cloud, request: Any) -> Any:
    _service(cloud, request.resource)
    return held_permissions(cloud, request)


def get_revision(cloud: Cloud, request: Any) -> Any:
    parent, _, name = request.name.partition("/revisions/")
    service = _service(cloud, parent)
    revision = service.revision(name)
    if revision is None:
        raise _missing(cloud.world.home("service", service.name), "REVISION", name, service.region)
    return _revision_message(cloud, service, revision)


def list_revisions(cloud: Cloud, request: Any) -> Any:
    """Newest first."""
    service = _service(cloud, request.parent)
    revisions = sorted(service.revisions, key=lambda r: (-r.created, r.name))
    page, token = slice_page(revisions, request.page_size, request.page_token, request.parent)
    messages = [_revision_message(cloud, service, r) for r in page]
    return types.ListRevisionsResponse.pb()(revisions=messages, next_page_token=token)


# --- what is meant ---------------------------------------------------------------------------------------------------


def _service(cloud: Cloud, name: str) -> Service:
    project, region, short = split_name(name, SERVICE)
    _known(cloud, project, region)
    service = cloud.world.services.get(short)
    home = cloud.world.id_of(project)
    if service is None or service.region != region or cloud.world.home("service", short) != home:
        raise _missing(home, "SERVICE", short, region)
    return service


def _known(cloud: Cloud, project: str, region: str) -> None:
    if not cloud.world.id_of(project):
        raise no_consumer("run.googleapis.com", project)
    if region != cloud.world.region and region not in {s.region for s in cloud.world.services.values()}:
        raise not_found(f"Location {region} is not found or access is unauthorized.")


def _missing(project: str, kind: str, name: str, region: str) -> Exception:
    return not_found(f"Resource '{name}' of kind '{kind}' in region '{region}' in project '{project}' does not exist.")


# --- messages --------------------------------------------------------------------------------------------------------


def _name(cloud: Cloud, service: Service) -> str:
    return f"projects/{cloud.world.home('service', service.name)}/locations/{service.region}/services/{service.name}"


def _service_message(cloud: Cloud, service: Service) -> Any:
    created = service.revisions[-1] if service.revisions else None
    ready = next((r for r in reversed(service.revisions) if r.boots), None)
    name = _name(cloud, service)
    # With the default URL disabled the service has none (inferred; gcloud prints "None").
    urls = () if service.default_uri_disabled else cloud.world.urls(service)
    message = types.Service.pb()(
        name=name,
        labels=service.labels,
        create_time=_timestamp(service.created),
        update_time=_timestamp(service.updated or service.created),
        generation=len(service.revisions),
        observed_generation=len(service.revisions),
        ingress=INGRESS[service.ingress],
        launch_stage="GA",
        traffic=[_target(t) for t in service.traffic],
        traffic_statuses=[_status(cloud, service, t) for t in service.traffic],
        scaling={"min_instance_count": service.min_instances or 0, "max_instance_count": service.max_instances or 0},
        invoker_iam_disabled=service.invoker_iam_disabled,
        default_uri_disabled=service.default_uri_disabled,
        iap_enabled=service.iap,
        urls=urls,
        uri=urls[0] if urls else "",
        custom_audiences=service.custom_audiences,
        terminal_condition=_condition(created, reason="REVISION_FAILED"),
        latest_ready_revision=f"{name}/revisions/{ready.name}" if ready else "",
        latest_created_revision=f"{name}/revisions/{created.name}" if created else "",
    )
    if service.manual_instances is not None:
        message.scaling.scaling_mode = types.ServiceScaling.ScalingMode.MANUAL
        message.scaling.manual_instance_count = service.manual_instances
    if created is not None:
        message.template.CopyFrom(_template(created))
    return message


def _template(revision: Revision) -> Any:
    return types.RevisionTemplate.pb()(
        labels=revision.labels,
        scaling=_scaling(revision),
        timeout=_duration(revision.timeout_s),
        service_account=revision.account,
        containers=[_container(revision)],
        max_instance_request_concurrency=revision.concurrency,
    )


def _revision_message(cloud: Cloud, service: Service, revision: Revision) -> Any:
    return types.Revision.pb()(
        name=f"{_name(cloud, service)}/revisions/{revision.name}",
        labels=revision.labels,
        create_time=_timestamp(revision.created),
        service=service.name,
        scaling=_scaling(revision),
        timeout=_duration(revision.timeout_s),
        service_account=revision.account,
        containers=[_container(revision)],
        max_instance_request_concurrency=revision.concurrency,
        conditions=[_condition(revision, revision_reason="HEALTH_CHECK_CONTAINER_ERROR")],
    )


def _scaling(revision: Revision) -> dict[str, int]:
    return {"min_instance_count": revision.min_instances, "max_instance_count": revision.max_instances}


def _container(revision: Revision) -> Any:
    return types.Container.pb()(
        image=revision.image,
        env=[{"name": name, "value": value} for name, value in sorted(revision.env.items())],
        resources={
            "limits": {"cpu": revision.cpu, "memory": _memory(revision.memory_mib)},
            "cpu_idle": revision.cpu_idle,
        },
        ports=[{"name": "http1", "container_port": 8080}],
    )


def _condition(revision: Revision | None, **reason: str) -> Any:
    """Condition Ready; `reason` is what a failure carries."""
    if revision is None or revision.boots:
        return types.Condition.pb()(type_="Ready", state="CONDITION_SUCCEEDED")
    return types.Condition.pb()(
        type_="Ready",
        state="CONDITION_FAILED",
        severity="ERROR",
        **reason,
        message=(
            f"Revision '{revision.name}' is not ready and cannot serve traffic. The user-provided container failed to start "
            "and listen on the port defined by the PORT=8080 environment variable within the allocated timeout."
        ),
    )


def _target(traffic: tuple[str, int, str]) -> dict[str, Any]:
    revision, percent, tag = traffic
    return {"type_": PINNED if revision else LATEST, "revision": revision, "percent": percent, "tag": tag}


def _status(cloud: Cloud, service: Service, traffic: tuple[str, int, str]) -> dict[str, Any]:
    tag = traffic[2]
    url = cloud.world.urls(service)[0].replace("https://", f"https://{tag}---") if tag else ""
    return {**_target(traffic), "uri": url}


def _memory(mib: int) -> str:
    return f"{mib // 1024}Gi" if mib % 1024 == 0 else f"{mib}Mi"


def _timestamp(moment: float) -> dict[str, int]:
    return {"seconds": int(moment), "nanos": int(moment % 1 * 1e6) * 1000}


def _duration(seconds: float) -> dict[str, int]:
    return {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}


SERVICES = "google.cloud.run.v2.Services"
REVISIONS = "google.cloud.run.v2.Revisions"

METHODS: tuple[Method, ...] = (
    Method(f"{SERVICES}/GetService", types.GetServiceRequest.pb(), get_service, "run.services.get", lambda r: r.name),
    Method(
        f"{SERVICES}/ListServices",
        types.ListServicesRequest.pb(),
        list_services,
        "run.services.list",
        lambda r: r.parent,
    ),
    Method(
        f"{SERVICES}/GetIamPolicy",
        GetIamPolicyRequest,
        get_iam_policy,
        "run.services.getIamPolicy",
        lambda r: r.resource,
    ),
    Method(f"{SERVICES}/TestIamPermissions", TestIamPermissionsRequest, test_iam_permissions, "", lambda r: r.resource),
    Method(
        f"{REVISIONS}/GetRevision", types.GetRevisionRequest.pb(), get_revision, "run.revisions.get", lambda r: r.name
    ),
    Method(
        f"{REVISIONS}/ListRevisions",
        types.ListRevisionsRequest.pb(),
        list_revisions,
        "run.revisions.list",
        lambda r: r.parent,
    ),
)
