"""A service as gcloud sends it to Cloud Run's v1 API, the form in which ReplaceService is audited."""

from __future__ import annotations

import json
from typing import Any

from diagnostics.lab.model import Revision, Service, World


def service_json(world: World, service: Service, revision: Revision) -> dict[str, Any]:
    """The request's `service`: metadata, template of the revision, traffic."""
    annotations = {"autoscaling.knative.dev/maxScale": str(revision.max_instances)}
    if revision.min_instances:
        annotations["autoscaling.knative.dev/minScale"] = str(revision.min_instances)
    if not revision.cpu_idle:
        annotations["run.googleapis.com/cpu-throttling"] = "false"
    container = {
        "image": revision.image,
        "env": [{"name": name, "value": value} for name, value in revision.env.items()],
        "resources": {"limits": {"cpu": revision.cpu, "memory": f"{revision.memory_mib}Mi"}},
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "namespace": world.home("service", service.name),
            "annotations": _annotations(service),
        },
        "spec": {
            "template": {
                "metadata": {"name": revision.name, "annotations": annotations},
                "spec": {
                    "containerConcurrency": revision.concurrency,
                    "timeoutSeconds": int(revision.timeout_s),
                    "serviceAccountName": revision.account,
                    "containers": [container],
                },
            },
            "traffic": [
                {"percent": percent, **({"revisionName": name} if name else {"latestRevision": True})}
                for name, percent, _ in service.traffic
            ],
        },
    }


def _annotations(service: Service) -> dict[str, str]:
    """What the service itself is set to; what is not said has its default."""
    switches = {
        "invoker-iam-disabled": service.invoker_iam_disabled,
        "default-url-disabled": service.default_uri_disabled,
        "iap-enabled": service.iap,
    }
    numbers = {
        "minScale": service.min_instances,
        "maxScale": service.max_instances,
        "manualInstanceCount": service.manual_instances,
    }
    said = {"ingress": service.ingress, **{name: "true" for name, on in switches.items() if on}}
    said |= {name: str(number) for name, number in numbers.items() if number is not None}
    if service.manual_instances is not None:
        said["scalingMode"] = "manual"
    if service.custom_audiences:
        said["custom-audiences"] = json.dumps(list(service.custom_audiences))
    return {f"run.googleapis.com/{name}": value for name, value in said.items()}


def service_v2_json(world: World, service: Service, revision: Revision) -> dict[str, Any]:
    """The same as Terraform sends it to the v2 API."""
    container = {
        "image": revision.image,
        "env": [{"name": name, "value": value} for name, value in revision.env.items()],
        "resources": {
            "limits": {"cpu": revision.cpu, "memory": f"{revision.memory_mib}Mi"},
            "cpuIdle": revision.cpu_idle,
        },
    }
    ingress = {
        "all": "INGRESS_TRAFFIC_ALL",
        "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
        "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
        "none": "INGRESS_TRAFFIC_NONE",
    }
    return {
        "name": f"projects/{world.project}/locations/{service.region}/services/{service.name}",
        "ingress": ingress[service.ingress],
        "customAudiences": list(service.custom_audiences),
        "template": {
            "containers": [container],
            "scaling": {"minInstanceCount": revision.min_instances, "maxInstanceCount": revision.max_instances},
            "maxInstanceRequestConcurrency": revision.concurrency,
            "timeout": f"{revision.timeout_s:g}s",
            "serviceAccount": revision.account,
        },
        "traffic": [
            {"percent": percent, **({"revision": name} if name else {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"})}
            for name, percent, _ in service.traffic
        ],
    }
