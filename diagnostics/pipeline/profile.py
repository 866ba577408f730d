"""What is diagnosed: a pipeline as a profile (TOML) describes it.

The smallest profile is one push subscription; `discover` derives the rest from Google's own configuration. What a profile
leaves out makes its stages unknown, and the answer says so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from enum import StrEnum
from pathlib import PurePath
from urllib.parse import urlsplit

from msgspec import Struct, field, structs

from diagnostics.evidence.model import Leg, Means
from diagnostics.evidence.redact import endpoint
from diagnostics.pipeline.models import ModelProfile
from diagnostics.pipeline.models import wrong as wrong_model
from diagnostics.pipeline.names import DATASET, PREFIX
from diagnostics.pipeline.results import ResultsProfile
from diagnostics.pipeline.results import wrong as wrong_results


class MessageProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a message of the leg holds: JSON, told by dotted paths. The probe reads it."""

    batch: str = ""
    """Where the message names its batch."""
    item: str = ""
    """Where it names its item."""
    required: tuple[str, ...] = ()
    """Fields without which the receiver cannot read the message; an empty value counts as missing."""


class LegProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One leg by name. Everything but the subscription can be derived from it. What is in another project than the pipeline goes by
    its full name, projects/P/…"""

    subscription: str
    """The push subscription."""
    topic: str = ""
    """The topic that it takes its messages from; empty: the subscription tells."""
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
    """Its name; empty: the push endpoint tells."""
    region: str = ""
    """Its region, where that is another than the pipeline's."""
    project: str = ""
    """Its project, where that is another than the pipeline's: its id or its number."""
    health_path: str = "/health"
    """The path that live checks call."""
    start_path: str = ""
    """Coordinator only: the path whose calls start a batch."""
    item_timeout_s: float | None = None
    """Longest that the program gives one item, in seconds; None: not stated, so `lint` does not compare it."""
    server_timeout_s: float | None = None
    """Longest that the HTTP server in the container waits for the program, e.g. gunicorn's --timeout; likewise."""


class Auth(StrEnum):
    """How the status endpoint wants to be asked."""

    NONE = "none"
    ID_TOKEN = "id_token"  # noqa: S105
    HEADER = "header"
    API_KEY = "api_key"
    """A header, by its older name: X-API-Key, its value in `api_key_env`."""


class StateKind(StrEnum):
    """Where batch state is read."""

    STATUS = "status"
    """A GET that answers JSON: of the coordinator, or of whatever `url` names."""
    FIRESTORE = "firestore"
    """A Firestore document, one for each batch."""
    COMMAND = "command"
    """A program of yours that prints JSON."""
    LOG = "log"
    """The coordinator's log lines alone; nothing else is asked, and nothing is said to be missing."""


class BatchStateProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that tells what is known of a batch, and which of its fields says what (dotted paths). A profile may name several,
    as [[batch_state]]: they are asked in order until one knows the batch, and the answer says which of them failed."""

    kind: StateKind = StateKind.STATUS
    """Where it is read."""
    path: str = ""
    """status: path with {batch}: "/status?batch_id={batch}"."""
    url: str = ""
    """status: https://HOST, where it is not the coordinator's own URL: a custom domain, a load balancer, GKE."""
    auth: Auth = Auth.ID_TOKEN
    """status: how it wants to be asked."""
    audience: str = ""
    """status: audience of the identity token; empty: the URL. IAP wants its client id."""
    header: str = "X-API-Key"
    """status: name of the header, with auth = "header"."""
    header_env: str = ""
    """status: environment variable of the caller that holds the header's value; it is never printed."""
    api_key_env: str = ""
    """status: likewise, with auth = "api_key"."""
    document: str = ""
    """firestore: path of the document with {batch}: "batches/{batch}"."""
    project: str = ""
    """firestore: its project; empty: the pipeline's."""
    database: str = "(default)"
    """firestore: its database."""
    command: tuple[str, ...] = ()
    """command: the program and its arguments, one of which holds {batch}. It is run as it stands, without a shell, and only where the
    profile is a file of yours: kept runs and bundles do not carry it."""
    timeout_s: float = 10.0
    """command: so many seconds it is given, and never more than the run has left."""
    expected: str = "expected"
    """How many items the batch expects."""
    completed: str = "completed"
    """A number, a list of item names, or a table by item name."""
    failed: str = ""
    """How many are given up, likewise."""
    closed: str = ""
    """A boolean, or a string that equals `closed_when`."""
    closed_when: str = ""
    """What `closed` says of a batch that is closed."""
    forced: str = ""
    """A reason, when it was closed by hand or by age; or a string that equals `forced_when`."""
    forced_when: str = ""
    """A batch that was forced is closed, whatever `closed` says."""
    closed_at: str = ""
    """When it was closed, RFC 3339. Times let `--until` tell what the state was then."""
    updated: str = ""
    """When anything of it was last written, likewise; Firestore tells by itself."""
    alternatives: dict[str, tuple[str, ...]] = {}
    """Other dotted paths to try for a field, e.g. expected = ["progress.expected"]."""

    @property
    def name(self) -> str:
        """For people."""
        return {
            StateKind.STATUS: "status endpoint" if self.url else "coordinator status",
            StateKind.FIRESTORE: "Firestore",
            StateKind.COMMAND: f"command {self.command[0] if self.command else ''}".strip(),
            StateKind.LOG: "coordinator log",
        }[self.kind]


class Marker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of log line and what it means."""

    means: Means
    """What such a line tells."""
    service: str = "coordinator"
    """"coordinator" or "worker"."""
    contains: str
    """A literal that every such line contains; it is what the log query asks for."""
    field: str = "textPayload"
    """Log entry field that holds the text: jsonPayload.<name>, or textPayload, which a structured entry has in jsonPayload.message:
    both are tried."""
    log: str = ""
    """Id of the log that holds the line, where the program writes through the Logging API: winston_log, java.log, …; empty: what it
    prints, in stdout and stderr."""
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
    """Why it is accepted, for people."""

    def over(self, now: datetime) -> bool:
        return now.date() > self.until


class RedactProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What else has to be taken out of all evidence before anything is made of it."""

    patterns: tuple[str, ...] = ()
    """Python regular expressions; what they match becomes "[redacted by profile]"."""


class KeepProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where runs, notes and captures are kept beside this machine, for the colleagues."""

    store: str = ""
    """gs://BUCKET or gs://BUCKET/PREFIX, or a folder that is there, such as one on a shared disk, by its full path. What is kept here
    is copied there once the answer is given, redacted as it is here, and nothing there is ever written over."""


class PipelineProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole profile, as read from TOML."""

    name: str
    """What the pipeline is called in every output."""
    project: str
    """Id of its Google Cloud project."""
    request: LegProfile
    """From the coordinator to the worker."""
    completion: LegProfile | None = None
    """From the worker back to the coordinator, where completions come by Pub/Sub."""
    one_way: bool = False
    """Nothing comes back and nobody keeps count: there is no coordinator, and an item is done once the worker's lines say so. The first
    line that names a batch may then be its CREATED marker."""
    region: str = ""
    """Region of its services, where they do not name their own."""
    item: str = "item"
    """What the pipeline calls one item: player, order, …"""
    coordinator: ServiceProfile = field(default_factory=ServiceProfile)
    """The service that makes batches and publishes their items."""
    worker: ServiceProfile = field(default_factory=ServiceProfile)
    """The service that works on the items."""
    batch_state: BatchStateProfile | tuple[BatchStateProfile, ...] | None = None
    closing: Closing | None = None
    empty_reasons: tuple[str, ...] = ()
    """Reasons that make an empty batch right by design, as substrings of the EMPTY or REFUSED marker's reason; and the names
    under which a GATE marker counts what is rightly kept back. Where a gate counts reasons, all that it kept back must be listed."""
    markers: tuple[Marker, ...] = ()
    results: ResultsProfile | None = None
    model: ModelProfile | None = None
    log_views: tuple[str, ...] = ()
    """Where the services' logs are, by resource name, if not in their projects: projects/P/locations/L/buckets/B/views/V, or projects/P
    for a project to which logs are routed. All of them are read."""
    log_dataset: str = ""
    """Where the log bucket is upgraded to Log Analytics: the BigQuery dataset that is linked to it, DATASET or PROJECT.DATASET. Lines about
    items that do not fit two pages are then read by SQL, however many they are; what cannot be read so is read as without it."""
    accepted: tuple[Accepted, ...] = ()
    redact: RedactProfile = field(default_factory=RedactProfile)
    keep_runs: bool = True
    """Whether runs are kept in the state directory; PUBSUB_DIAG_KEEP_RUNS=0 turns it off, too."""
    keep: KeepProfile | None = None

    @property
    def store(self) -> str:
        """Where what is kept is shared; empty: nowhere."""
        return self.keep.store if self.keep else ""

    @property
    def log_places(self) -> tuple[str, ...]:
        """Where the logs of the services are read, as resource names."""
        return self.log_views or (f"projects/{self.project}",)

    @property
    def audit_places(self) -> tuple[str, ...]:
        """Where the audit logs are read, likewise: in the projects themselves, which always keep them, also in those of the services,
        unless a view of such a bucket is named."""
        if any("/buckets/_Required/" in view for view in self.log_views):
            return self.log_views
        named = (self.project, self.coordinator.project, self.worker.project)
        return tuple(dict.fromkeys(f"projects/{project}" for project in named if project))

    @property
    def batch_states(self) -> tuple[BatchStateProfile, ...]:
        """Where batch state is asked for, in this order."""
        if self.batch_state is None:
            return ()
        return (self.batch_state,) if isinstance(self.batch_state, BatchStateProfile) else self.batch_state

    def to_keep(self) -> PipelineProfile:
        """As it is kept with what was seen: without commands and a store, which only a file of the user's may name, and with its own
        patterns of redaction applied already."""
        states = tuple(structs.replace(s, command=s.command[:1]) for s in self.batch_states)
        alone = states[0] if isinstance(self.batch_state, BatchStateProfile) else states or None
        return structs.replace(self, redact=RedactProfile(), batch_state=alone, keep=None)

    def leg(self, leg: Leg) -> LegProfile | None:
        return self.request if leg is Leg.REQUEST else self.completion

    @property
    def comes_back(self) -> bool:
        """Whether anything tells of finished items that come back: else the worker itself counts what it has done."""
        return self.completion is not None or self.has(Means.RETURNED_ITEM)

    def has(self, *means: Means) -> bool:
        """Whether log markers for all of these are described."""
        return set(means) <= {m.means for m in self.markers}


LOG_PLACE = re.compile(
    r"projects/[^/]+|(?:projects|folders|organizations|billingAccounts)/[^/]+/locations/[^/]+/buckets/[^/]+/views/[^/]+"
)
"""What log entries can be read of: a project, or a view of a log bucket (logging.proto)."""


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
    if profile.one_way and (profile.completion or profile.batch_state or profile.coordinator.service):
        raise ProfileError(f"{where}: one_way: expected neither completion, coordinator nor batch_state beside it")
    for number, view in enumerate(profile.log_views):
        if not LOG_PLACE.fullmatch(view):
            raise ProfileError(
                f'{where}: log_views[{number}]: expected projects/P or projects/P/locations/L/buckets/B/views/V, got "{view}"'
            )
    for number, marker in enumerate(profile.markers):
        key = f"{where}: markers[{number}]"
        if marker.service not in ("coordinator", "worker"):
            raise ProfileError(f'{key}.service: expected "coordinator" or "worker", got "{marker.service}"')
        if not marker.contains:
            raise ProfileError(f"{key}.contains: expected a literal that the line contains, got nothing")
        if "/logs/" in marker.log or not re.fullmatch(r"[\w/.%-]*", marker.log, re.ASCII):
            raise ProfileError(f'{key}.log: expected the id of a log, such as winston_log, got "{marker.log}"')
        if marker.field != "textPayload" and not marker.field.startswith("jsonPayload."):
            raise ProfileError(f'{key}.field: expected textPayload or jsonPayload.<name>, got "{marker.field}"')
        try:
            groups = re.compile(marker.pattern).groupindex
        except re.error as error:
            raise ProfileError(f"{key}.pattern: expected a Python regular expression: {error}") from error
        for where_named, names in (("pattern", groups), ("captures", marker.captures)):
            if wrong := next(_mistyped(names), ""):
                raise ProfileError(f"{key}.{where_named}: {wrong}")
    if profile.log_dataset and not DATASET.fullmatch(profile.log_dataset):
        raise ProfileError(f'{where}: log_dataset: expected DATASET or PROJECT.DATASET, got "{profile.log_dataset}"')
    if profile.results is not None and (wrong := next(wrong_results(profile.results), "")):
        raise ProfileError(f"{where}: results.{wrong}")
    if profile.model is not None and (wrong := next(wrong_model(profile.model), "")):
        raise ProfileError(f"{where}: model.{wrong}")
    if profile.store and not (PREFIX.fullmatch(profile.store) or PurePath(profile.store).is_absolute()):
        raise ProfileError(
            f'{where}: keep.store: expected gs://BUCKET/PREFIX or the full path of a folder, got "{profile.store}"'
        )
    for number, pattern in enumerate(profile.redact.patterns):
        key = f"{where}: redact.patterns[{number}]"
        try:
            matches_nothing = re.compile(pattern).search("") is not None
        except re.error as error:
            raise ProfileError(f"{key}: expected a Python regular expression: {error}") from error
        if matches_nothing:
            raise ProfileError(f"{key}: it matches where there is nothing, so it would match everywhere")
    return profile


CAPTURED = (
    "batch",
    "item",
    "correlation",
    "date",
    "reason",
    "blocker",
    "topic",
    "phase",
    "count",
    "of",
    "expected",
    "failed",
)
"""Names under which markers capture what is read. A gate may capture other numbers, under the names of its reasons."""
_LIKE = 0.75
_ENDS = ("_id", "_name", "_key")


def nearest(word: str, known: Iterable[str], like: float = 0.6) -> str:
    """The known word that somebody may have meant by this one; empty if none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), 1, like)), "")


def _mistyped(names: Iterable[str]) -> Iterator[str]:
    """Names that nothing reads and that look like one that is read."""
    for name in names:
        ended = next((known for known in CAPTURED for end in _ENDS if name == known + end), "")
        meant = ended or nearest(name, CAPTURED, _LIKE)
        related = not ended and (name.startswith(meant) or meant.startswith(name))  # failed and fail are two counts
        if name not in CAPTURED and meant and not related:
            yield f'"{name}" is not read; did you mean "{meant}"? Those that are: {", ".join(CAPTURED)}'


def check_states(profile: PipelineProfile, where: str) -> PipelineProfile:
    """Refuse places of batch state that cannot be asked. Of a kept run none ever is."""
    for number, state in enumerate(profile.batch_states):
        key = f"batch_state{f'[{number}]' if isinstance(profile.batch_state, tuple) else ''}"
        if wrong := next(_wrong(state), ""):
            raise ProfileError(f"{where}: {key}.{wrong}")
    return profile


_OF: dict[StateKind, tuple[str, ...]] = {
    StateKind.STATUS: ("path", "url", "auth", "audience", "header", "header_env", "api_key_env"),
    StateKind.FIRESTORE: ("document", "project", "database"),
    StateKind.COMMAND: ("command", "timeout_s"),
    StateKind.LOG: (),
}
"""Keys that mean something for one kind alone."""
_DEFAULT = BatchStateProfile()


def _wrong(state: BatchStateProfile) -> Iterator[str]:
    """What cannot be meant: the key and what was expected."""
    for kind, keys in _OF.items():
        for key in keys:
            if kind is not state.kind and getattr(state, key) != getattr(_DEFAULT, key):
                yield f'{key}: expected only with kind = "{kind}", this one is of kind "{state.kind}"'
    if state.kind is StateKind.STATUS:
        yield from _wrong_status(state)
    elif state.kind is StateKind.FIRESTORE:
        parts = state.document.split("/")
        if "{batch}" not in state.document or len(parts) % 2 or not all(parts):
            yield f'document: expected COLLECTION/{{batch}}, the path of a document, got "{state.document}"'
    elif state.kind is StateKind.COMMAND:
        if not any("{batch}" in word for word in state.command[1:]) or not state.command[0]:
            yield 'command: expected a program and its arguments, one of them with {batch}: ["program", "{batch}"]'
        if not 0 < state.timeout_s <= 300:
            yield f"timeout_s: expected seconds, at most 300, got {state.timeout_s:g}"


def _wrong_status(state: BatchStateProfile) -> Iterator[str]:
    parts = urlsplit(state.url)
    if "{batch}" not in state.path or not state.path.startswith("/"):
        yield f'path: expected a path with {{batch}}: "/status?batch_id={{batch}}", got "{state.path}"'
    if state.url and (parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment):
        yield f'url: expected https://HOST, got "{endpoint(state.url)}"'
    if "@" in parts.netloc:
        yield "url: expected no user name and password in it; auth says how to sign in"
    if state.auth is Auth.HEADER and not (state.header_env and re.fullmatch(r"[A-Za-z0-9-]+", state.header)):
        yield 'header_env: expected the environment variable that holds the header\'s value, with auth = "header"'
