"""Audit log entries: what Google writes when configuration changes. Publish, Pull, Ack and Seek leave none.

Method names: cloud.google.com/pubsub/docs/audit-logging for Pub/Sub; Cloud Run's, IAM's and Cloud Functions' as seen in public samples.
Google's own pages disagree on the name under which Pub/Sub logs SetIamPolicy, so the seed draws it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import simpy

from diagnostics.lab.model import Binding, World
from diagnostics.lab.recorder import LogEntry, Recorder
from diagnostics.lab.unverified import Unverified

ACTIVITY = "cloudaudit.googleapis.com/activity"
SYSTEM_EVENT = "cloudaudit.googleapis.com/system_event"
AUDIT_LOG = "type.googleapis.com/google.cloud.audit.AuditLog"
SUBSCRIBER, PUBLISHER = "google.pubsub.v1.Subscriber", "google.pubsub.v1.Publisher"
RUN = "google.cloud.run.v1.Services"
IAM = "google.iam.admin.v1"
METHODS = {
    "topic": ("pubsub.googleapis.com", PUBLISHER),
    "subscription": ("pubsub.googleapis.com", SUBSCRIBER),
    "snapshot": ("pubsub.googleapis.com", SUBSCRIBER),
    "service": ("run.googleapis.com", RUN),
    "function": ("cloudfunctions.googleapis.com", "google.cloud.functions.v2.FunctionService"),
    "account": ("iam.googleapis.com", IAM),
    "role": ("iam.googleapis.com", IAM),
    "project": ("cloudresourcemanager.googleapis.com", ""),
}
"""Kind of resource to serviceName and the prefix of its methods."""


@dataclass(frozen=True)
class Target:
    """What an audit entry is about."""

    kind: str
    """topic, subscription, snapshot, service, account, role or project."""
    name: str
    """Short; of a role in full."""


class Audit:
    """Writes audit entries."""

    def __init__(
        self,
        env: simpy.Environment,
        world: World,
        recorder: Recorder,
        rng: random.Random,
        unverified: Unverified | None = None,
    ) -> None:
        self._whole = unverified is not None and unverified.policy_changes == "whole"
        self._env = env
        self._world = world
        self._recorder = recorder
        self._rng = rng
        self._pubsub_set_iam = rng.choice(["google.iam.v1.IAMPolicy.SetIamPolicy", "google.iam.v1.SetIamPolicy"])

    def activity(
        self,
        target: Target,
        method: str,
        by: str,
        request: dict[str, Any] | None = None,
        refused: tuple[int, str] | None = None,
        at: float | None = None,
    ) -> None:
        """An Admin Activity entry, of now if `at` says nothing. `method`: last part of the name; `refused`: google.rpc.Code, message."""
        proto = self._payload(target, self._full_method(target, method), by)
        if request is not None:
            proto["request"] = request
        if refused is not None:
            proto["status"] = {"code": refused[0], "message": refused[1]}
        self._write(ACTIVITY, target, proto, "ERROR" if refused else "NOTICE", at)

    def policy_change(self, target: Target, by: str, action: str, role: str, member: str) -> None:
        """An entry for SetIamPolicy; action ADD or REMOVE."""
        if target.kind == "service" and self._whole:
            self.policy_set(target, by)
            return
        proto = self._payload(target, self._full_method(target, "SetIamPolicy"), by)
        delta = {"action": action, "role": role, "member": member}
        proto["serviceData"] = {
            "@type": "type.googleapis.com/google.iam.v1.logging.AuditData",
            "policyDelta": {"bindingDeltas": [delta]},
        }
        self._write(ACTIVITY, target, proto, "NOTICE")

    def policy_set(self, target: Target, by: str, at: float | None = None) -> None:
        """An entry for SetIamPolicy of a service without a change: it says so, or holds the policy as it is now, and no label."""
        if not self._whole:
            proto = self._payload(target, self._full_method(target, "SetIamPolicy"), by)
            proto["serviceData"] = {"@type": "type.googleapis.com/google.iam.v1.logging.AuditData", "policyDelta": {}}
            self._write(ACTIVITY, target, proto, "NOTICE", at)
            return
        name = (
            f"projects/{self._world.home('service', target.name)}/locations/{self._world.region}/services/{target.name}"
        )
        policy = {"bindings": [_binding(b) for b in self._world.services[target.name].policy.bindings]}
        proto = self._payload(target, self._full_method(target, "SetIamPolicy"), by) | {
            "resourceName": name,
            "request": {
                "@type": "type.googleapis.com/google.iam.v1.SetIamPolicyRequest",
                "resource": name,
                "policy": policy,
            },
            "response": {"@type": "type.googleapis.com/google.iam.v1.Policy", "etag": "BwYQYvUoBxs=", **policy},
        }
        self._write(ACTIVITY, target, proto, "NOTICE", at, unlabelled=True)

    def acted_as(self, account: str, by: str) -> None:
        """Who deploys a service uses the account that it runs as, and IAM says so."""
        proto = self._payload(Target("account", account), "iam.serviceAccounts.actAs", by)
        proto |= {"methodName": "iam.serviceAccounts.actAs", "resourceName": f"projects/-/serviceAccounts/{account}"}
        self._write(ACTIVITY, Target("acting", account), proto, "NOTICE")

    def operation(self, target: Target, method: str, by: str, id_: str, request: dict[str, Any] | None) -> None:
        """The begin of a call that takes its time, with what was asked for; without a request, its end."""
        proto = self._payload(target, self._full_method(target, method), by)
        proto |= {"request": request} if request is not None else {"response": {"@type": "type.googleapis.com/empty"}}
        said = {"id": id_, "producer": METHODS[target.kind][0], "first" if request is not None else "last": True}
        self._write(ACTIVITY, target, proto, "NOTICE", operation=said)

    def by_robot(self, service: str, method: str) -> None:
        """What Google's robot does in Cloud Run for a function; it does not say what it asks for."""
        robot = f"service-{self._world.number}@gcf-admin-robot.iam.gserviceaccount.com"
        target = Target("service", service)
        proto = self._payload(target, f"google.cloud.serverless.internal.InternalServices.{method}", robot)
        self._write(ACTIVITY, target, proto, "NOTICE")

    def outcome(self, service: str, method: str, message: str, revision: str = "", failed: bool = False) -> None:
        """Cloud Run's own account of what became of a deploy: in nobody's name, under the method with a slash before it."""
        kind, name = ("revisions", revision) if revision else ("services", service)
        proto: dict[str, Any] = {
            "@type": AUDIT_LOG,
            "serviceName": METHODS["service"][0],
            "methodName": method,
            "resourceName": f"namespaces/{self._world.home('service', service)}/{kind}/{name}",
            "status": {"code": 9, "message": message} if failed else {"message": message},
            "response": {"kind": kind.title().removesuffix("s"), "metadata": {"name": name}},
        }
        self._write(SYSTEM_EVENT, Target("service", service), proto, "ERROR" if failed else "INFO")

    def role_change(
        self, role: str, method: str, by: str, changed: dict[str, Any], before: set[str], after: set[str]
    ) -> None:
        """An entry for a change of a custom role, with the permissions that it gained and lost."""
        target = Target("role", role)
        proto = self._payload(target, self._full_method(target, method), by)
        proto["request"] = {"name": role, "role": changed, "updateMask": ",".join(changed)}
        delta = {"addedPermissions": sorted(after - before), "removedPermissions": sorted(before - after)}
        proto["serviceData"] = {
            "@type": "type.googleapis.com/google.iam.admin.v1.AuditData",
            "permissionDelta": {name: names for name, names in delta.items() if names},
        }
        self._write(ACTIVITY, target, proto, "NOTICE")

    def expired(self, subscription: str) -> None:
        """The System Event entry of a subscription deleted by its expiration policy."""
        self._expired(Target("subscription", subscription), "InternalExpireInactiveSubscription")

    def snapshot_expired(self, snapshot: str) -> None:
        """The System Event entry of a snapshot at the end of its life."""
        self._expired(Target("snapshot", snapshot), "InternalExpireInactiveSnapshot")

    def _expired(self, target: Target, method: str) -> None:
        proto = self._payload(target, f"{SUBSCRIBER}.{method}", "cloud-pubsub@system.gserviceaccount.com")
        self._write(SYSTEM_EVENT, target, proto, "NOTICE")

    def _full_method(self, target: Target, method: str) -> str:
        if method == "SetIamPolicy":
            if target.kind in ("topic", "subscription"):
                return self._pubsub_set_iam
            if target.kind == "account":
                return f"{IAM}.SetIAMPolicy"
        if method == "DetachSubscription":
            return f"{PUBLISHER}.{method}"
        prefix = METHODS[target.kind][1]
        return f"{prefix}.{method}" if prefix else method

    def _payload(self, target: Target, method: str, by: str) -> dict[str, Any]:
        return {
            "@type": AUDIT_LOG,
            "serviceName": METHODS[target.kind][0],
            "methodName": method,
            "resourceName": self._resource_name(target),
            "authenticationInfo": {"principalEmail": by},
            "requestMetadata": {"callerIp": "203.0.113.40", "callerSuppliedUserAgent": "google-cloud-sdk gcloud"},
        }

    def _resource_name(self, target: Target) -> str:
        project = self._world.home(target.kind, target.name)
        return {
            "topic": f"projects/{project}/topics/{target.name}",
            "subscription": f"projects/{project}/subscriptions/{target.name}",
            "snapshot": f"projects/{project}/snapshots/{target.name}",
            "service": f"namespaces/{project}/services/{target.name}",
            "account": f"projects/{project}/serviceAccounts/{target.name}",
            "role": target.name,
            "function": f"projects/{project}/locations/{self._world.region}/functions/{target.name}",
            "project": f"projects/{project}",
        }[target.kind]

    def _write(
        self,
        log: str,
        target: Target,
        proto: dict[str, Any],
        severity: str,
        at: float | None = None,
        *,
        unlabelled: bool = False,
        operation: dict[str, Any] | None = None,
    ) -> None:
        now = float(self._env.now) if at is None else at
        kind, labels = self._resource(target)
        if unlabelled:
            labels["service_name"] = ""
        self._recorder.log(
            LogEntry(
                log=log,
                timestamp=now,
                received=now + self._rng.uniform(0.5, 6.0),
                severity=severity,
                resource_type=kind,
                resource_labels=labels,
                proto=proto,
                operation=operation or {},
            )
        )

    def _resource(self, target: Target) -> tuple[str, dict[str, str]]:
        project = {"project_id": self._world.home(target.kind, target.name)}
        if target.kind == "topic":
            return "pubsub_topic", {**project, "topic_id": target.name}
        if target.kind == "subscription":
            return "pubsub_subscription", {**project, "subscription_id": target.name}
        if target.kind == "snapshot":
            return "pubsub_snapshot", {**project, "snapshot_id": target.name}
        if target.kind == "service":
            place = {"service_name": target.name, "location": self._world.region}
            return "cloud_run_revision", {**project, **place, "revision_name": "", "configuration_name": ""}
        if target.kind == "account":
            account = self._world.accounts.get(target.name)
            return "service_account", {
                **project,
                "email_id": target.name,
                "unique_id": account.unique_id if account else "",
            }
        if target.kind == "acting":
            return "audited_resource", {
                **project,
                "service": "iam.googleapis.com",
                "method": "iam.serviceAccounts.actAs",
            }
        if target.kind == "function":
            return "cloud_function", {**project, "function_name": target.name, "region": self._world.region}
        if target.kind == "role":
            return "iam_role", {**project, "role_name": target.name}
        return "project", project


def _binding(binding: Binding) -> dict[str, Any]:
    said: dict[str, Any] = {"role": binding.role, "members": sorted(binding.members)}
    return said | ({"condition": {"expression": binding.condition}} if binding.condition else {})
