"""Audit entries as they are seen in public, with invented names: each change once, with its person, and with what became of it.

`source` says where the shape was seen; `before` are older entries; `reads` is what a person reads, a row for each change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2 import types as logging_types
from google.protobuf import json_format

from diagnostics.sources.audit import _change
from diagnostics.sources.audit_entries import Named, audited, first_policies

CASES = json.loads((Path(__file__).parents[1] / "data" / "google" / "audit.json").read_text(encoding="utf-8"))


def entry(shape: dict[str, Any]) -> Any:
    """A google.logging.v2.LogEntry."""
    payload: dict[str, Any] = {
        name: shape[name] for name in ("resourceName", "request", "response", "status", "serviceData") if name in shape
    }
    payload |= {"methodName": shape["method"], "serviceName": shape.get("service", "run.googleapis.com")}
    if "by" in shape:
        payload["authenticationInfo"] = {"principalEmail": shape["by"]}
    named = shape["resourceName"].rpartition("/")[2]
    labels = {"email_id": shape["email_id"]} if "email_id" in shape else {}
    if "type" not in shape:
        labels["service_name"] = "" if shape.get("unlabelled") else shape.get("service_name", named.partition("-0")[0])
    found = logging_types.LogEntry.pb()()
    outer = {
        "logName": f"projects/acme-shop/logs/cloudaudit.googleapis.com%2F{shape.get('log', 'activity')}",
        "timestamp": shape["timestamp"],
        "resource": {"type": shape.get("type", "cloud_run_revision"), "labels": labels},
        **({"operation": shape["operation"]} if "operation" in shape else {}),
    }
    json_format.ParseDict(outer, found)
    found.proto_payload.Pack(json_format.ParseDict(payload, audit_log_pb2.AuditLog()))
    return found


def entries(shapes: Sequence[dict[str, Any]]) -> list[Any]:
    return [entry(shape) for shape in shapes]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["source"][:60])
def test_what_happened_is_read_once_each(case: dict[str, Any]) -> None:
    found = audited(entries(case["entries"]), entries(case.get("before", ())))
    changes = [_change(one) for one in found]
    assert [c.method for c in changes] == [row["method"] for row in case["reads"]]
    for one, change, row in zip(found, changes, case["reads"], strict=True):
        read = {
            "at": one.at.isoformat(),
            "resource": one.resource,
            "by": one.by,
            "code": one.code,
            "method": one.method,
        }
        read |= {"says": change.says, "failed": change.failed}
        assert {name: read[name] for name in row} == row


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["source"][:60])
def test_the_order_in_which_entries_come_is_no_matter(case: dict[str, Any]) -> None:
    shapes, before = entries(case["entries"]), entries(case.get("before", ()))
    assert audited(reversed(shapes), reversed(before)) == audited(shapes, before)


DEPLOY = CASES[0]["entries"][0]


def later(minute: int, **other: Any) -> dict[str, Any]:
    return {**DEPLOY, "timestamp": f"2026-08-06T16:{9 + minute:02d}:20Z", **other}


@pytest.mark.parametrize(
    "second",
    [
        later(3, by="lee@example.com"),
        later(3, request={"service": {"spec": {"template": {"spec": {"timeoutSeconds": 60}}}}}),
        later(40),
        later(3, resourceName="namespaces/acme-shop/services/other"),
    ],
    ids=["by another", "of something else", "much later", "of another service"],
)
def test_two_deploys_stay_two(second: dict[str, Any]) -> None:
    assert len(audited(entries([DEPLOY, second]))) == 2


def test_a_refused_deploy_and_the_one_after_it_are_two() -> None:
    refused = DEPLOY | {"status": {"code": 7, "message": "denied"}}
    assert [one.code for one in audited(entries([refused, later(1)]))] == [7, 0]


def test_what_became_of_a_deploy_is_not_laid_to_one_long_before() -> None:
    event = CASES[2]["entries"][1]
    early = CASES[2]["entries"][0] | {"timestamp": "2026-09-18T00:20:00Z"}
    (found,) = audited(entries([early, event]))
    assert found.failed == ""


def test_a_policy_whose_change_is_not_told_asks_for_the_one_before() -> None:
    assert first_policies(entries(CASES[6]["entries"])) == {"projects/acme-shop/locations/us-west1/services/worker"}
    assert first_policies(entries(CASES[9]["entries"])) == set()


def test_a_service_is_asked_for_in_every_form_in_which_entries_name_it() -> None:
    names = set(Named("acme-shop", "us-west1", "worker").resources)
    for case in CASES:
        for shape in (*case["entries"], *case.get("before", ())):
            if shape["resourceName"].rpartition("/")[2] == "worker" and "us-east1" not in shape["resourceName"]:
                assert shape["resourceName"] in names
