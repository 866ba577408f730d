"""A Cloud Run service as of the end of a past window: what its last deploy before asked for, and the revisions that were there.

ReplaceService of Cloud Run's v1 API, which gcloud and the console's deploys are audited as, holds the whole service, and so does
UpdateService of its v2 API without a mask, as Terraform sends it; revisions cannot be changed once they are made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from diagnostics.evidence.model import Revisions, RevisionSettings, ServiceConfig, ServiceSettings, Traffic
from diagnostics.sources import cloud_run
from diagnostics.sources.audit_entries import DEPLOYS
from diagnostics.sources.past.history import History
from diagnostics.sources.past.rewind import GONE, POLICY, unknown
from diagnostics.transport.clients import load

RUN = "run.googleapis.com"


def service(today: ServiceConfig, history: History, arguments: Mapping[str, Any]) -> ServiceConfig:
    resource = f"services/{today.name}"
    changes = [change for change in history.of(resource) if change.method != POLICY]
    if not changes:
        return today
    if changes[-1].method == "CreateService":
        return structs.replace(today, settings=None)
    if today.settings is None or any(change.method in GONE for change in changes):
        raise unknown(f"the service {today.name} was deleted since, and its URL with it")
    earlier = history.earlier(resource)
    made = next((change for change in earlier if change.method in DEPLOYS), None)
    last = made.request.get("service") if made and "updateMask" not in made.request else None
    if not isinstance(last, dict) or not {"spec", "template"} & last.keys():
        raise unknown(f"the service {today.name} was deployed since, and no audit entry of before holds how it was")
    then = revisions_then(cloud_run.revisions(**arguments), history, {})
    settings = _settings(today.settings, last, then) if "spec" in last else _settings_v2(today.settings, last, then)
    return structs.replace(today, settings=settings)


def revisions_then(today: Revisions, history: History, arguments: Mapping[str, Any]) -> Revisions:
    """Those that had been made."""
    del arguments
    then = tuple(r for r in today.revisions if history.at is None or r.created <= history.at)
    if any(change.method == "DeleteRevision" for change in history.since):
        note = "revisions were deleted since"
        return structs.replace(today, revisions=then, source=structs.replace(today.source, complete=False, note=note))
    return structs.replace(today, revisions=then) if then != today.revisions else today


def _settings(today: ServiceSettings, asked: dict[str, Any], revisions: Revisions) -> ServiceSettings:
    """`asked`: the service as its last deploy asked for it, in the form of Cloud Run's v1 API."""
    spec, metadata = asked["spec"], asked.get("metadata", {})
    notes = {name.rpartition("/")[2]: value for name, value in metadata.get("annotations", {}).items()}
    template = _template(spec.get("template", {}).get("metadata", {}).get("name", ""), revisions)
    ready = next((r.name for r in revisions.revisions if r.ready == "ready"), "")
    manual = notes.get("scalingMode") == "manual"
    return structs.replace(
        today,
        custom_audiences=tuple(json.loads(notes.get("custom-audiences", "[]"))),
        ingress=notes.get("ingress", "all"),
        invoker_iam_disabled=notes.get("invoker-iam-disabled") == "true",
        default_uri_disabled=notes.get("default-url-disabled") == "true",
        iap=notes.get("iap-enabled") == "true",
        min_instances=_number(notes.get("minScale")),
        max_instances=_number(notes.get("maxScale")),
        manual_instances=_number(notes.get("manualInstanceCount")) if manual else None,
        latest_ready=ready,
        latest_created=template.name,
        traffic=tuple(
            Traffic(revision=t.get("revisionName", "") or ready, percent=int(t.get("percent", 0)), tag=t.get("tag", ""))
            for t in spec.get("traffic", ())
        ),
        reconciling=False,
        ready="ready" if template.name == ready else template.ready,
        reason="" if template.name == ready else template.reason,
        message="" if template.name == ready else template.message,
        template=template,
        labels=dict(metadata.get("labels", today.labels)),
    )


def _settings_v2(today: ServiceSettings, asked: dict[str, Any], revisions: Revisions) -> ServiceSettings:
    """The same of a service in the form of the v2 API."""
    message = load("google.cloud.run_v2.types").Service.pb()()
    load("google.protobuf.json_format").ParseDict(asked, message, ignore_unknown_fields=True)
    found = cloud_run.settings_of(message, today.name, today.region)
    template = _template(found.template.name, revisions)
    ready = next((r.name for r in revisions.revisions if r.ready == "ready"), "")
    served = tuple(structs.replace(t, revision=t.revision or ready) for t in found.traffic)
    return structs.replace(
        found,
        uri=today.uri,
        urls=today.urls,
        latest_ready=ready,
        latest_created=template.name,
        traffic=served or (Traffic(revision=ready, percent=100),),
        reconciling=False,
        ready="ready" if template.name == ready else template.ready,
        template=template,
    )


def _template(name: str, revisions: Revisions) -> RevisionSettings:
    """The revision that the deploy made. Its name may be left to Cloud Run: then it is the newest of that time."""
    found = revisions.named(name) if name else next(iter(revisions.revisions), None)
    if found is None:
        raise unknown(f"the revision {name or 'of that deploy'} is not kept any more")
    return found


def _number(text: Any) -> int | None:
    return int(text) if str(text or "").isdigit() and int(text) else None
