"""Configuration of Cloud Run: services and their revisions, without any secret."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from diagnostics.evidence.model.base import Evidence


class RevisionSettings(Struct, frozen=True, kw_only=True):
    """One revision of a service: what ran, without any secret."""

    name: str
    created: datetime
    image: str = ""
    """Image as deployed, with digest where Google resolved it."""
    min_instances: int = 0
    max_instances: int = 100
    concurrency: int = 80
    timeout_s: float = 300.0
    cpu: str = "1"
    memory: str = "512Mi"
    cpu_idle: bool = True
    """True: CPU only while a request is processed (request-based billing)."""
    account: str = ""
    env: dict[str, str] = {}
    """Environment name to salted hash of its value; never the value."""
    model: str | None = None
    """What the variable holds that the profile declares to name the model's file; None: it has none, the profile declared none then, or
    Secret Manager keeps it; `env` has its name where it is set."""
    ready: str = "ready"
    """"ready", "failed" or "pending"."""
    reason: str = ""
    message: str = ""
    labels: dict[str, str] = {}


class Traffic(Struct, frozen=True, kw_only=True):
    revision: str
    """Revision name; empty means the latest ready one."""
    percent: int
    tag: str = ""


class ServiceSettings(Struct, frozen=True, kw_only=True):
    name: str
    region: str
    uri: str
    urls: tuple[str, ...]
    custom_audiences: tuple[str, ...] = ()
    ingress: str = "all"
    """"all", "internal", "internal-and-cloud-load-balancing" or "none"."""
    invoker_iam_disabled: bool = False
    default_uri_disabled: bool = False
    iap: bool = False
    min_instances: int | None = None
    """Service-level minimum, beside the revision's; None: not set."""
    max_instances: int | None = None
    manual_instances: int | None = None
    """Set only in manual scaling mode."""
    latest_ready: str = ""
    latest_created: str = ""
    traffic: tuple[Traffic, ...] = ()
    reconciling: bool = False
    ready: str = "ready"
    reason: str = ""
    message: str = ""
    template: RevisionSettings
    labels: dict[str, str] = {}

    @property
    def serving(self) -> str:
        """Name of the revision with the largest share of traffic."""
        if not self.traffic:
            return self.latest_ready
        return max(self.traffic, key=lambda t: t.percent).revision or self.latest_ready


class ServiceConfig(Evidence, frozen=True, kw_only=True):
    """The Cloud Run service that receives the leg's pushes: worker on the request leg, coordinator on the completion leg."""

    per_leg: ClassVar[bool] = True
    name: str
    settings: ServiceSettings | None


class Revisions(Evidence, frozen=True, kw_only=True):
    """Revisions of that service, newest first."""

    per_leg: ClassVar[bool] = True
    revisions: tuple[RevisionSettings, ...]

    def named(self, name: str) -> RevisionSettings | None:
        return next((r for r in self.revisions if r.name == name), None)
