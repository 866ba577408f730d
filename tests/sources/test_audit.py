"""Audit entries: what changed, without anyone's name and without a value of an environment."""

from __future__ import annotations

from typing import Any

from google.cloud.audit import audit_log_pb2
from google.protobuf import json_format

from diagnostics.sources.audit_payload import says_of


def says(**payload: Any) -> str:
    return says_of(json_format.ParseDict(payload, audit_log_pb2.AuditLog()))


def test_an_update_says_the_fields_that_its_mask_names() -> None:
    request = {
        "subscription": {"name": "projects/p/subscriptions/s", "ackDeadlineSeconds": 20, "filter": "x"},
        "updateMask": "ackDeadlineSeconds",
    }
    assert says(request=request) == "ackDeadlineSeconds=20"
    request["updateMask"] = {"paths": ["ack_deadline_seconds"]}
    assert says(request=request) == "ackDeadlineSeconds=20"


def test_a_mask_whose_field_was_taken_away_says_so() -> None:
    request = {"subscription": {"name": "s"}, "updateMask": "deadLetterPolicy"}
    assert says(request=request) == "deadLetterPolicy=changed"


def test_a_push_config_loses_its_secrets() -> None:
    request = {"subscription": "s", "pushConfig": {"pushEndpoint": "https://w.run.app/predict?token=abc"}}
    assert "pushEndpoint=https://w.run.app/predict?token=[redacted]" in says(request=request)


def test_values_of_environments_are_hashed() -> None:
    container = {"image": "i@sha256:1", "env": [{"name": "API_KEY", "value": "hunter2"}]}
    request = {"service": {"spec": {"template": {"spec": {"containers": [container]}}}}}
    said = says(request=request, resourceName="namespaces/p/services/s")
    assert "image=i@sha256:1" in said
    assert "API_KEY=#" in said
    assert "hunter2" not in said


def test_a_change_reads_the_same_in_every_run() -> None:
    names = ("timeoutSeconds", "maxScale", "image", "cpu", "ingress", "memory", "concurrency")
    request = {"service": {"spec": {name: name.lower() for name in names}}}
    assert says(request=request) == ", ".join(f"{name}={name.lower()}" for name in sorted(names))


def test_roles_given_and_taken_are_said_in_both_forms() -> None:
    delta = {
        "bindingDeltas": [
            {"action": "REMOVE", "role": "roles/run.invoker", "member": "serviceAccount:a@p.iam.gserviceaccount.com"}
        ]
    }
    expected = "remove roles/run.invoker for serviceAccount:a@p.iam.gserviceaccount.com"
    service_data = {"@type": "type.googleapis.com/google.iam.v1.logging.AuditData", "policyDelta": delta}
    assert says(serviceData=service_data) == expected
    assert says(metadata={"policyDelta": delta}) == expected


def test_people_are_not_named() -> None:
    delta = {"bindingDeltas": [{"action": "ADD", "role": "roles/owner", "member": "user:eve@example.com"}]}
    assert "eve" not in says(metadata={"policyDelta": delta})


def test_an_entry_that_tells_nothing_says_nothing() -> None:
    assert says(methodName="google.pubsub.v1.Subscriber.DeleteSubscription") == ""
