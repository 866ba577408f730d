"""What the audit logs have of a deploy, from its begin to its end.

As in public samples of 2025 and 2026: gcloud's own entry at the begin and again at the end, the account that was used, Cloud Run's own
account of revision and service in between; of Terraform, begin and end of one call of the v2 API; of a function, its person's call of
Cloud Functions, and what Google's robot does in Cloud Run. Where a revision does not become ready, no second entry of gcloud was seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import simpy

from diagnostics.lab.audit import Audit, Target
from diagnostics.lab.knative import service_json, service_v2_json
from diagnostics.lab.model import Revision, Service, World
from diagnostics.lab.unverified import Unverified

METHOD = {"gcloud": "ReplaceService", "terraform": "UpdateService", "function": "ReplaceInternalService"}
NOT_READY = (
    "The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable "
    "within the allocated timeout."
)


@dataclass(frozen=True)
class Deploys:
    """Writes them, each at its moment."""

    env: simpy.Environment
    world: World
    audit: Audit
    unverified: Unverified
    rng: random.Random

    def log(self, service: Service, revision: Revision, by: str, through: str, new: bool) -> None:
        """`new`: a revision was made; else only the service was set."""
        self.env.process(self._entries(service, revision, by, through, new))

    def _entries(self, service: Service, revision: Revision, by: str, through: str, new: bool) -> Iterator[Any]:
        target, name = Target("service", service.name), service.name
        gcloud = {"service": service_json(self.world, service, revision)}
        id_ = f"{self.rng.randrange(16**12):012x}"
        if through == "gcloud":
            self.audit.activity(target, "ReplaceService", by, gcloud)
        elif through == "terraform":
            self.audit.operation(
                target, "UpdateService", by, id_, {"service": service_v2_json(self.world, service, revision)}
            )
        else:
            function = {"function": {"name": name, "serviceConfig": {"service": name}}}
            self.audit.operation(Target("function", name), "UpdateFunction", by, id_, function)
            self.audit.by_robot(name, "ReplaceInternalService")
        yield self.env.timeout(0.2)
        self.audit.acted_as(revision.account, by)
        yield self.env.timeout(1.4)
        if new and through == "gcloud" and self.unverified.deploy_sets_policy and name in self.world.services:
            self.audit.policy_set(target, by)
        yield self.env.timeout(max(revision.startup_s, 2.0) if new else 2.0)
        ready = revision.boots or not new
        self._outcomes(name, revision, f"/{'Internal' * (through == 'function')}Services.{METHOD[through]}", new, ready)
        yield self.env.timeout(1.6)
        if through == "terraform":
            self.audit.operation(target, "UpdateService", by, id_, None)
        elif through == "function":
            self.audit.operation(Target("function", name), "UpdateFunction", by, id_, None)
        elif ready:
            self.audit.activity(target, "ReplaceService", by, gcloud)
            self.audit.acted_as(revision.account, by)

    def _outcomes(self, name: str, revision: Revision, method: str, new: bool, ready: bool) -> None:
        says = f"Ready condition status changed to {ready} for"
        if new:
            why = "" if ready else f" with message: {NOT_READY}"
            self.audit.outcome(name, method, f"{says} Revision {revision.name}{why or '.'}", revision.name, not ready)
            if ready:
                done = f"{says} Revision {revision.name} with message: Deploying revision succeeded in {revision.startup_s:.2f}s."
                self.audit.outcome(name, method, done, revision.name)
        why = (
            "."
            if ready
            else f" with message: Revision '{revision.name}' is not ready and cannot serve traffic. {NOT_READY}"
        )
        self.audit.outcome(name, method, f"{says} Service {name}{why}", failed=not ready)
