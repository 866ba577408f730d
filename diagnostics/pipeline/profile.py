"""What is diagnosed: a pipeline as a profile (TOML) describes it.

The smallest profile is one push subscription; `discover` derives the rest from Google's own configuration. What a profile
leaves out makes its stages unknown, and the answer says so.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct, field

from diagnostics.evidence.model import Leg, Means


class MessageProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a message of the leg holds: JSON, told by dotted paths. The probe reads it."""

    batch: str = ""
    item: str = ""
    required: tuple[str, ...] = ()
    """Fields without which the receiver cannot read the message; an empty value counts as missing."""


class LegProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One leg by name. Everything but the subscription can be derived from it. What is in another project than the pipeline goes by
    its full name, projects/P/…"""

    subscription: str
    topic: str = ""
    topic_env: str = ""
    """Environment name in which the publisher of this leg finds its topic."""
    push_path: str = ""
    """Path that the pushes call, e.g. /predict; empty: the subscription tells."""
    push_account: str = ""
    """E-mail of the service account whose tokens the pushes carry; empty: the subscription tells."""
    message: MessageProfile | None = None


class ServiceProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Cloud Run service of the pipeline."""

    service: str = ""
    region: str = ""
    project: str = ""
    """Its project, where that is another than the pipeline's: its id or its number."""
    health_path: str = "/health"
    start_path: str = ""
    """Coordinator only: the path whose calls start a batch."""
    item_timeout_s: float | None = None
    """Longest that the program gives one item, in seconds; None: not stated, so `lint` does not compare it."""
    server_timeout_s: float | None = None
    """Longest that the HTTP server in the container waits for the program, e.g. gunicorn's --timeout; likewise."""


class Auth(StrEnum):
    """How the status endpoint wants to be asked."""

    NONE = "none"
    ID_TOKEN = "id_token"
    API_KEY = "api_key"


class BatchStateProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the coordinator tells what it knows of a batch, and which JSON field says what (dotted paths)."""

    path: str
    """Path with {batch}: "/status?batch_id={batch}"."""
    auth: Auth = Auth.ID_TOKEN
    api_key_env: str = ""
    """Environment variable of the caller that holds the key, with auth = "api_key"."""
    expected: str = "expected"
    completed: str = "completed"
    """A number, or a list of item names."""
    failed: str = ""
    closed: str = ""
    """A boolean, or a string that equals `closed_when`."""
    closed_when: str = ""
    forced: str = ""
    """A reason, when it was closed by hand or by age; or a string that equals `forced_when`."""
    forced_when: str = ""
    """A batch that was forced is closed, whatever `closed` says."""
    alternatives: dict[str, tuple[str, ...]] = {}
    """Other dotted paths to try for a field, e.g. expected = ["progress.expected"]."""


class Marker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of log line and what it means."""

    means: Means
    service: str = "coordinator"
    """"coordinator" or "worker"."""
    contains: str
    """A literal that every such line contains; it is what the log query asks for."""
    field: str = "textPayload"
    """Log entry field that holds the text: textPayload or jsonPayload.<name>."""
    pattern: str = ""
    """Python regex on that text; named groups batch, item, correlation, date, reason, blocker, topic, and numbers."""
    captures: dict[str, str] = {}
    """For structured logs: captured name to entry field, e.g. item = "jsonPayload.order"."""


class Closing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the coordinator closes a batch."""

    share: float = 1.0
    """Share of the expected items that suffices."""
    after_s: float | None = None
    """Age at which it is closed whatever is missing; None: never."""


class Accepted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding or cause that is known and accepted for a while: it is listed apart and does not count."""

    code: str
    """Code of a finding or of a cause."""
    leg: Leg | None = None
    """Only on this leg; None: on both."""
    until: date
    """Last day (UTC) of the acceptance."""
    reason: str

    def over(self, now: datetime) -> bool:
        return now.date() > self.until


class RedactProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What else has to be taken out of all evidence before anything is made of it."""

    patterns: tuple[str, ...] = ()
    """Python regular expressions; what they match becomes "[redacted by profile]"."""


class PipelineProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole profile, as read from TOML."""

    name: str
    project: str
    request: LegProfile
    completion: LegProfile | None = None
    region: str = ""
    item: str = "item"
    """What the pipeline calls one item: player, order, …"""
    coordinator: ServiceProfile = field(default_factory=ServiceProfile)
    worker: ServiceProfile = field(default_factory=ServiceProfile)
    batch_state: BatchStateProfile | None = None
    closing: Closing | None = None
    empty_reasons: tuple[str, ...] = ()
    """Reasons that make an empty batch right by design, as substrings of the EMPTY or REFUSED marker's reason; and the names
    under which a GATE marker counts what is rightly kept back. Where a gate counts reasons, all that it kept back must be listed."""
    markers: tuple[Marker, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    redact: RedactProfile = field(default_factory=RedactProfile)
    keep_runs: bool = True
    """Whether runs are kept in the state directory; PUBSUB_DIAG_KEEP_RUNS=0 turns it off, too."""

    @property
    def log_places(self) -> tuple[str, ...]:
        """Where the logs of the services are read, as resource names."""
        return (f"projects/{self.project}",)

    @property
    def audit_places(self) -> tuple[str, ...]:
        """Where the audit logs are read, likewise: also in the services' projects, where the profile names others."""
        named = (self.project, self.coordinator.project, self.worker.project)
        return tuple(dict.fromkeys(f"projects/{project}" for project in named if project))

    def leg(self, leg: Leg) -> LegProfile | None:
        return self.request if leg is Leg.REQUEST else self.completion

    def has(self, *means: Means) -> bool:
        """Whether log markers for all of these are described."""
        return set(means) <= {m.means for m in self.markers}


class ProfileError(ValueError):
    """A profile that cannot be used: names file, key and what was expected; `mend` is what would help, where that is known."""

    def __init__(self, says: str, mend: str = "") -> None:
        super().__init__(says)
        self.mend = mend


def check(profile: PipelineProfile, where: str) -> PipelineProfile:
    """Refuse what types cannot: markers that do not compile or capture nothing useful, acceptances without a reason."""
    for number, accepted in enumerate(profile.accepted):
        if not accepted.reason.strip() or not accepted.code:
            raise ProfileError(f"{where}: accepted[{number}]: expected a code and a reason")
    for number, marker in enumerate(profile.markers):
        key = f"{where}: markers[{number}]"
        if marker.service not in ("coordinator", "worker"):
            raise ProfileError(f'{key}.service: expected "coordinator" or "worker", got "{marker.service}"')
        if not marker.contains:
            raise ProfileError(f"{key}.contains: expected a literal that the line contains, got nothing")
        if marker.field != "textPayload" and not marker.field.startswith("jsonPayload."):
            raise ProfileError(f'{key}.field: expected textPayload or jsonPayload.<name>, got "{marker.field}"')
        try:
            re.compile(marker.pattern)
        except re.error as error:
            raise ProfileError(f"{key}.pattern: expected a Python regular expression: {error}") from error
    for number, pattern in enumerate(profile.redact.patterns):
        key = f"{where}: redact.patterns[{number}]"
        try:
            matches_nothing = re.compile(pattern).search("") is not None
        except re.error as error:
            raise ProfileError(f"{key}: expected a Python regular expression: {error}") from error
        if matches_nothing:
            raise ProfileError(f"{key}: it matches where there is nothing, so it would match everywhere")
    return profile
