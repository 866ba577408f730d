"""What a source said: immutable, typed, with its provenance. What could not be seen is evidence too (`Unseen`).

Every class below `Evidence` is one kind of evidence. `per_leg` tells whether there is one for each leg or one a run.
Times are aware UTC datetimes, durations are seconds (`_s`), counts are integers. Values are redacted before they get here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeVar

from msgspec import Struct

from diagnostics import __version__


class Leg(StrEnum):
    """A direction of the pipeline: coordinator to worker, or worker back to coordinator."""

    REQUEST = "request"
    COMPLETION = "completion"


class Stage(StrEnum):
    """How far an item got, in order."""

    REQUESTED = "requested"
    CREATED = "created"
    PUBLISHED = "published"
    ROUTED = "routed"
    DELIVERED = "delivered"
    PROCESSED = "processed"
    RETURNED = "returned"
    RECORDED = "recorded"
    CLOSED = "closed"


STAGES: tuple[Stage, ...] = tuple(Stage)

OUR_USER_AGENT = f"pubsub-diag/{__version__}"
"""User agent of every request that this tool sends to a service, by which steps recognise its own traces."""


# --- provenance ------------------------------------------------------------------------------------------------------


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a piece of evidence came from, and how to get it by hand."""

    source: str
    """What was asked, in words for a person: "Cloud Monitoring", "request log", "coordinator /status"."""
    query: str = ""
    """The query that fetched it: a filter, a resource name, an URL."""
    by_hand: str = ""
    """One shell command (gcloud, curl) or PromQL line that shows the same."""
    fetched_at: datetime
    as_of: datetime
    """The newest moment this evidence can speak about (metrics lag by minutes, logs by seconds)."""
    complete: bool = True
    """False when a page cap, a failing page or a partial answer cut it short; `note` says which."""
    note: str = ""


class Why(StrEnum):
    """Why something could not be seen."""

    NOT_CONFIGURED = "not_configured"
    PERMISSION_DENIED = "permission_denied"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    SIGN_IN = "sign_in"
    FAILED = "failed"
    EXPIRED = "expired"
    """It is no longer kept: logs 30 days, metrics 6 weeks, audit logs 400 days, states that are not logged at all."""
    DEPENDS = "depends"
    NOT_ASKED = "not_asked"


class Unseen(Struct, frozen=True, kw_only=True):
    """Evidence of not having seen: which kind, why, and what would let us see it."""

    what: str
    """Class name of the evidence that is missing, e.g. "Backlog"."""
    leg: Leg | None = None
    why: Why
    says: str
    """One sentence for a person, without secrets."""
    permission: str = ""
    """The IAM permission that was refused, when Google named one or the call implies one."""
    mend: str = ""
    """The command that would let us see it next time."""


class Evidence(Struct, frozen=True, kw_only=True):
    """Base of all kinds of evidence."""

    per_leg: ClassVar[bool] = False

    source: Provenance


# --- time series -----------------------------------------------------------------------------------------------------


class Point(Struct, frozen=True, kw_only=True):
    """One aligned point of a time series: the value over (start, end], or at end for a gauge."""

    start: datetime
    end: datetime
    value: float


class Series(Struct, frozen=True, kw_only=True):
    """One time series after alignment, oldest point first. No points means absent, which is not zero."""

    labels: dict[str, str] = {}
    points: tuple[Point, ...] = ()

    def total(self, since: datetime | None = None, until: datetime | None = None) -> float:
        """Sum of the points that end in (since, until]."""
        return sum(p.value for p in self.within(since, until))

    def within(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Point]:
        for point in self.points:
            if (since is None or point.end > since) and (until is None or point.end <= until):
                yield point

    @property
    def last(self) -> Point | None:
        return self.points[-1] if self.points else None

    def peak(self, since: datetime | None = None, until: datetime | None = None) -> float | None:
        values = [p.value for p in self.within(since, until)]
        return max(values) if values else None


def total(
    series: Iterable[Series], since: datetime | None = None, until: datetime | None = None, **labels: str
) -> float:
    """Sum over the series whose labels match, within (since, until]."""
    return sum(s.total(since, until) for s in series if all(s.labels.get(k) == v for k, v in labels.items()))


# --- configuration: Pub/Sub ------------------------------------------------------------------------------------------

DELETED_TOPIC = "_deleted-topic_"


class RetryPolicy(Struct, frozen=True, kw_only=True):
    min_s: float
    max_s: float


class DeadLetterPolicy(Struct, frozen=True, kw_only=True):
    topic: str
    max_attempts: int


class SubscriptionSettings(Struct, frozen=True, kw_only=True):
    """One subscription, every field that can stop a batch."""

    name: str
    """projects/P/subscriptions/S"""
    topic: str
    """projects/P/topics/T, or DELETED_TOPIC."""
    push_endpoint: str = ""
    """Empty for a pull subscription."""
    push_account: str = ""
    """E-mail of the service account in oidcToken; empty if pushes carry no token."""
    audience: str = ""
    """As configured; empty means that Google uses the push endpoint URL."""
    no_wrapper: bool = False
    ack_deadline_s: float = 10.0
    retry: RetryPolicy | None = None
    dead_letter: DeadLetterPolicy | None = None
    filter: str = ""
    ordering: bool = False
    exactly_once: bool = False
    retention_s: float = 604800.0
    expiration_s: float | None = None
    """None means that it never expires."""
    detached: bool = False
    transforms: int = 0
    labels: dict[str, str] = {}

    @property
    def effective_audience(self) -> str:
        return self.audience or self.push_endpoint


class SubscriptionConfig(Evidence, frozen=True, kw_only=True):
    """The push subscription of a leg. `settings` is None when Google says that it does not exist."""

    per_leg: ClassVar[bool] = True
    settings: SubscriptionSettings | None


class TopicSettings(Struct, frozen=True, kw_only=True):
    name: str
    """projects/P/topics/T"""
    retention_s: float = 0.0
    schema: str = ""
    kms_key: str = ""
    regions: tuple[str, ...] = ()
    enforce_in_transit: bool = False
    transforms: int = 0


class TopicConfig(Evidence, frozen=True, kw_only=True):
    """The topic of a leg. `settings` is None when Google says that it does not exist."""

    per_leg: ClassVar[bool] = True
    name: str
    settings: TopicSettings | None


class TopicSubscriptions(Evidence, frozen=True, kw_only=True):
    """Full names of all subscriptions attached to the leg's topic, in any project."""

    per_leg: ClassVar[bool] = True
    names: tuple[str, ...]


class ProjectSubscriptions(Evidence, frozen=True, kw_only=True):
    """Settings of every subscription of the project."""

    subscriptions: tuple[SubscriptionSettings, ...]


class DeadLetterTopic(Evidence, frozen=True, kw_only=True):
    """The dead-letter topic that the leg's subscription names (`name` empty: it names none)."""

    per_leg: ClassVar[bool] = True
    name: str
    exists: bool
    subscriptions: tuple[str, ...] = ()


# --- configuration: IAM ----------------------------------------------------------------------------------------------


class Binding(Struct, frozen=True, kw_only=True):
    role: str
    members: tuple[str, ...]
    condition: str = ""
    """CEL expression; empty for an unconditional grant."""


class Policy(Evidence, frozen=True, kw_only=True):
    """Base of the IAM policies. `resource` is the full resource name."""

    resource: str
    bindings: tuple[Binding, ...]

    def members(self, *roles: str) -> set[str]:
        """Members of unconditional bindings of any of these roles."""
        return {m for b in self.bindings if b.role in roles and not b.condition for m in b.members}

    def conditional(self, *roles: str) -> set[str]:
        return {m for b in self.bindings if b.role in roles and b.condition for m in b.members}


class SubscriptionPolicy(Policy, frozen=True, kw_only=True):
    per_leg: ClassVar[bool] = True


class TopicPolicy(Policy, frozen=True, kw_only=True):
    per_leg: ClassVar[bool] = True


class DeadLetterTopicPolicy(Policy, frozen=True, kw_only=True):
    per_leg: ClassVar[bool] = True


class ServicePolicy(Policy, frozen=True, kw_only=True):
    """IAM policy of the Cloud Run service that receives this leg's pushes."""

    per_leg: ClassVar[bool] = True


class PushAccountPolicy(Policy, frozen=True, kw_only=True):
    """IAM policy *on* the push service account: who may mint its tokens."""

    per_leg: ClassVar[bool] = True


class ProjectPolicy(Policy, frozen=True, kw_only=True):
    pass


class PushAccount(Evidence, frozen=True, kw_only=True):
    """The push service account itself. `exists` False: Google says not found."""

    per_leg: ClassVar[bool] = True
    email: str
    exists: bool
    disabled: bool = False


class ProjectInfo(Evidence, frozen=True, kw_only=True):
    project: str
    number: str

    @property
    def pubsub_agent(self) -> str:
        """Google's own account that mints push tokens and forwards dead letters."""
        return f"service-{self.number}@gcp-sa-pubsub.iam.gserviceaccount.com"


# --- configuration: Cloud Run ----------------------------------------------------------------------------------------


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


# --- metrics ---------------------------------------------------------------------------------------------------------


class PublishCounts(Evidence, frozen=True, kw_only=True):
    """Messages published to the leg's topic and publish requests by class and code, a point a minute."""

    per_leg: ClassVar[bool] = True
    messages: tuple[Series, ...]
    requests: tuple[Series, ...]
    """Labels response_class (success, invalid, internal) and response_code."""


class PushCounts(Evidence, frozen=True, kw_only=True):
    """push_request_count of the leg's subscription, a point a minute; labels response_class and response_code."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class PushHistory(Evidence, frozen=True, kw_only=True):
    """The same over the look-back, a point an hour."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class Backlog(Evidence, frozen=True, kw_only=True):
    """Unacked messages of the leg's subscription (they include outstanding ones), a point a minute."""

    per_leg: ClassVar[bool] = True
    undelivered: tuple[Series, ...]
    oldest_age_s: tuple[Series, ...]
    outstanding: tuple[Series, ...]


class BacklogHistory(Evidence, frozen=True, kw_only=True):
    """Largest oldest-unacked age per hour over the look-back."""

    per_leg: ClassVar[bool] = True
    oldest_age_s: tuple[Series, ...]


class AckCounts(Evidence, frozen=True, kw_only=True):
    """ack_message_count by delivery_type (push, pull, filter), a point a minute."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class DeadLetterCounts(Evidence, frozen=True, kw_only=True):
    """dead_letter_message_count by response_code, a point a minute."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class PushLatencies(Evidence, frozen=True, kw_only=True):
    """Push request latency in seconds, p50 and p99 a minute."""

    per_leg: ClassVar[bool] = True
    p50: tuple[Series, ...]
    p99: tuple[Series, ...]


class DeliveryHealth(Evidence, frozen=True, kw_only=True):
    """delivery_latency_health_score: share of the minute that was healthy (0 to 1), one series a `criteria`."""

    per_leg: ClassVar[bool] = True
    series: tuple[Series, ...]


class ReceiverTraffic(Evidence, frozen=True, kw_only=True):
    """Requests that reached a container of the receiving service, and their latency in seconds."""

    per_leg: ClassVar[bool] = True
    requests: tuple[Series, ...]
    """Labels response_code_class ("2xx" …) and revision_name."""
    p50: tuple[Series, ...]
    p99: tuple[Series, ...]


class ReceiverCapacity(Evidence, frozen=True, kw_only=True):
    """Instances, start-up and queueing of the receiving service, a point a minute; durations in seconds."""

    per_leg: ClassVar[bool] = True
    instances: tuple[Series, ...]
    """Label state (active, idle)."""
    startup_p50: tuple[Series, ...]
    startup_p99: tuple[Series, ...]
    startups: tuple[Series, ...]
    """How many instances finished starting in the minute."""
    pending_p99: tuple[Series, ...]


class QuotaExceeded(Evidence, frozen=True, kw_only=True):
    """serviceruntime quota/exceeded of pubsub.googleapis.com: 1 in a minute in which a call was refused for quota."""

    series: tuple[Series, ...]
    """Label quota_metric."""


class MetricDelays(Evidence, frozen=True, kw_only=True):
    """How late the metrics of a traffic check are, as their own descriptors say; both by metric type, in seconds."""

    ingest_s: dict[str, float]
    """After sampling, data is not visible for up to this long."""
    sample_s: dict[str, float]
    """Time between two samples."""

    @property
    def settle_s(self) -> float:
        """After this time what happened is visible in all of them: the longest delay and two sampling periods."""
        return max(self.ingest_s.values(), default=0) + 2 * max(self.sample_s.values(), default=0)


# --- logs ------------------------------------------------------------------------------------------------------------


class StartCall(Struct, frozen=True, kw_only=True):
    """One request to the coordinator's start path, from its request log."""

    at: datetime
    """When the call began, as well as the log can say."""
    status: int
    latency_s: float
    user_agent: str = ""
    trace: str = ""
    reached_app: bool = True
    """False: Google's front end answered (no instanceId)."""
    text: str = ""


class StartCalls(Evidence, frozen=True, kw_only=True):
    """Calls to the coordinator's start path over the look-back, oldest first."""

    calls: tuple[StartCall, ...]


class Means(StrEnum):
    """What a marker line means. The profile maps log lines of a pipeline to these."""

    RECEIVED = "received"
    """The coordinator took a start call."""
    REFUSED = "refused"
    """It refused one; captures `blocker`, the batch that is in the way, where it can."""
    PHASE = "phase"
    """A phase of a start began or ended; captures `phase`."""
    CREATED = "created"
    """Batch state was written; captures `batch` and `expected`."""
    GATE = "gate"
    """A gate decided how many items to publish; captures `count` (passed), `of`, and optional reasons as further numbers."""
    PUBLISH_ERROR = "publish_error"
    """Publishing an item failed; captures `item` where it can."""
    PUBLISHED_ITEM = "published_item"
    PUBLISHED = "published"
    """The coordinator's count for the batch; captures `count`, optional `failed` and `of`."""
    EMPTY = "empty"
    """The batch is empty by design; captures `reason` where it can."""
    STARTED_ITEM = "started_item"
    """A push of this item reached worker code."""
    DONE_ITEM = "done_item"
    """The worker finished the item."""
    SKIPPED_ITEM = "skipped_item"
    """The worker gave the item up and acked it; captures `reason`."""
    FAILED_ITEM = "failed_item"
    """The worker failed on the item and did not ack it; captures `reason`."""
    BAD_MESSAGE = "bad_message"
    """A message the worker cannot read."""
    COMPLETION_ERROR = "completion_error"
    """Publishing the completion failed; captures `topic` or `reason` where it can."""
    RETURNED_ITEM = "returned_item"
    """The coordinator took the completion of an item."""
    RETURN_REJECTED = "return_rejected"
    RECORDED_ITEM = "recorded_item"
    RECORD_ERROR = "record_error"
    CLOSED = "closed"
    """The batch was closed; captures `count` and `of` where it can."""
    FORCED = "forced"
    """The batch was closed or reset by hand or by age, with work missing."""


class Mark(Struct, frozen=True, kw_only=True):
    """One marker line: what the profile's pattern captured of it."""

    means: Means
    at: datetime
    service: str
    revision: str = ""
    instance: str = ""
    trace: str = ""
    batch: str = ""
    item: str = ""
    correlation: str = ""
    date: str = ""
    numbers: dict[str, int] = {}
    """Captured groups that are whole numbers: expected, count, of, failed, …"""
    words: dict[str, str] = {}
    """Other captured groups: reason, blocker, topic, phase."""


class BatchMarks(Evidence, frozen=True, kw_only=True):
    """Marker lines about whole batches (received to published, closed) over the look-back, oldest first."""

    marks: tuple[Mark, ...]


class ItemMarks(Evidence, frozen=True, kw_only=True):
    """Marker lines about items in the window, both services, oldest first."""

    since: datetime
    marks: tuple[Mark, ...]


class LogRow(Struct, frozen=True, kw_only=True):
    """One request-log entry of a receiving service."""

    at: datetime
    method: str
    path: str
    status: int
    latency_s: float
    user_agent: str = ""
    instance: str = ""
    """Empty: the request never reached a container; Google's front end answered."""
    revision: str = ""
    text: str = ""


class RequestLog(Evidence, frozen=True, kw_only=True):
    """Request log of the leg's receiving service in the window, oldest first: every refusal and failure, on any path,
    and a sample of what went well (so that silence can be told from a log that is not written)."""

    per_leg: ClassVar[bool] = True
    push_path: str
    refused: tuple[LogRow, ...]
    """Status 300 and up."""
    fine: tuple[LogRow, ...]
    """Newest entries below 300."""


class PlatformLine(Struct, frozen=True, kw_only=True):
    at: datetime
    log: str
    """"varlog/system", "stderr" or "stdout"."""
    severity: str
    text: str
    """Redacted, at most 300 characters."""
    revision: str = ""
    instance: str = ""


class PlatformLines(Evidence, frozen=True, kw_only=True):
    """Lines of Cloud Run about instances (starts, exits, memory, probes) and ERROR lines of the receiving service in the window."""

    per_leg: ClassVar[bool] = True
    lines: tuple[PlatformLine, ...]


class Change(Struct, frozen=True, kw_only=True):
    """One configuration change from the audit logs, failed attempts included."""

    at: datetime
    api: str
    """pubsub.googleapis.com, run.googleapis.com, iam.googleapis.com, …"""
    method: str
    """Last part of the method name: UpdateSubscription, ReplaceService, SetIamPolicy, …"""
    resource: str
    """Short resource name: kind/name, e.g. "subscriptions/prediction-request-prod"."""
    by: str
    """Service principals as they are; people as "person-1f0c", the same wherever that person occurs."""
    ok: bool = True
    says: str = ""
    """What changed where the payload tells, else the status message."""


class ChangeLog(Evidence, frozen=True, kw_only=True):
    """Activity, system-event and policy log entries about the pipeline's resources over the look-back, oldest first."""

    since: datetime
    changes: tuple[Change, ...]


# --- batch state -----------------------------------------------------------------------------------------------------


class BatchStatus(Evidence, frozen=True, kw_only=True):
    """What the coordinator's batch state says of one batch. `exists` False: it says that it knows no such batch."""

    batch: str
    exists: bool
    expected: int | None = None
    completed: int | None = None
    failed: int | None = None
    closed: bool | None = None
    items: tuple[str, ...] | None = None
    """Names of completed items where the state lists them."""
    forced: str = ""
    """Reason, when it was closed by hand or by age."""


# --- live calls ------------------------------------------------------------------------------------------------------


class LiveCall(Struct, frozen=True, kw_only=True):
    """One HTTP call that we made ourselves."""

    at: datetime
    status: int
    """0: no HTTP answer; `text` says why."""
    latency_s: float
    text: str = ""


class LiveHealth(Evidence, frozen=True, kw_only=True):
    """The receiving service's health path, called without a token and with a token minted for the push account."""

    per_leg: ClassVar[bool] = True
    anonymous: LiveCall
    authenticated: LiveCall | None
    """None when no token could be minted; `minting` says why."""
    minting: str = ""


class LiveStart(Evidence, frozen=True, kw_only=True):
    """First and repeated calls of the health path: what a cold start costs from here."""

    per_leg: ClassVar[bool] = True
    calls: tuple[LiveCall, ...]


# --- the probe -------------------------------------------------------------------------------------------------------


class Peeked(Struct, frozen=True, kw_only=True):
    """One message that the probe was handed. It was not acknowledged."""

    id: str
    published: datetime
    size: int
    """Bytes of data."""
    batch: str = ""
    item: str = ""
    missing: tuple[str, ...] = ()
    """Fields that the profile requires and that are absent or empty."""
    unreadable: str = ""
    """Why the data is not what the profile says it is (no JSON object); empty: it is, or no profile says."""
    attributes: dict[str, str] = {}
    """Values are redacted."""
    ordered: bool = False
    """Whether it carries an ordering key."""
    attempts: int = 0
    """Google's delivery attempt, this one included; 0: not counted (no dead-letter policy on what was pulled)."""
    times: int = 1
    """How often it came during this peek."""
    data: str = ""
    """The data, redacted; only when it was asked for."""


class Probed(Evidence, frozen=True, kw_only=True):
    """What a pull-mode probe was handed, oldest message first."""

    per_leg: ClassVar[bool] = True
    mode: str
    """"snapshot" (through a temporary subscription) or "switch" (through the subscription itself)."""
    subscription: str
    """projects/P/subscriptions/S, whose backlog was looked at."""
    messages: tuple[Peeked, ...]
    asked_for: int
    """At most so many messages were wanted."""
    pulls: int
    empty_pulls: int
    """Pulls that brought nothing new, though they were answered."""
    unanswered_pulls: int = 0
    backlog: int | None = None
    """num_undelivered_messages, its newest point; None: there was none."""
    snapshot: int | None = None
    """num_messages of the snapshot; None: the metric had no point yet."""
    tried_s: float = 0.0
    """Age in seconds at which a message has been pushed at least twice, if pushes flow: twice the ack deadline and longest backoff."""
    restored: str = ""
    """What became of the subscription afterwards, in a sentence."""

    @property
    def whole(self) -> bool:
        """Whether what came is known to be all that waited: as many as the snapshot or the backlog counted, some, and no more came."""
        counted = self.snapshot if self.snapshot is not None else self.backlog
        return counted is not None and 0 < counted <= len(self.messages) and self.empty_pulls > 0


# --- the set ---------------------------------------------------------------------------------------------------------

E = TypeVar("E", bound=Evidence)
Key = tuple[str, Leg | None]


class EvidenceSet:
    """All evidence of one run, seen and unseen, by kind and leg. Read-only once built."""

    def __init__(
        self,
        seen: Mapping[Key, Evidence | Unseen],
        now: datetime,
        lookback: timedelta,
        since: datetime,
        looked_at: datetime | None = None,
    ) -> None:
        self._seen = dict(seen)
        self.now = now
        """The moment that the evidence speaks of: that of the run, or the end of a past window; nothing downstream reads a clock."""
        self.looked_at = looked_at or now
        """The moment of the run."""
        self.lookback = lookback
        self.since = since
        """Begin of the window that minute-resolution evidence covers."""

    def get(self, kind: type[E], leg: Leg | None = None) -> E | Unseen:
        """The evidence of this kind, or the reason why it was not seen."""
        key = (kind.__name__, leg if kind.per_leg else None)
        found = self._seen.get(key)
        if found is None:
            return Unseen(what=kind.__name__, leg=key[1], why=Why.NOT_ASKED, says="this command does not look at it")
        if isinstance(found, Unseen):
            return found
        if not isinstance(found, kind):
            raise TypeError(f"{key} holds {type(found).__name__}")
        return found

    def with_(self, kind: type[Evidence], leg: Leg | None, found: Evidence | Unseen) -> EvidenceSet:
        """The same set and one piece more, which nobody fetched: it was handed in."""
        more = {**self._seen, (kind.__name__, leg): found}
        return EvidenceSet(more, self.now, self.lookback, self.since, self.looked_at)

    def items(self) -> Iterator[tuple[Key, Evidence | Unseen]]:
        yield from self._seen.items()

    def unseen(self) -> tuple[Unseen, ...]:
        return tuple(e for e in self._seen.values() if isinstance(e, Unseen))


def seen(found: E | Unseen) -> E | None:
    """The evidence, or None when it was not seen."""
    return None if isinstance(found, Unseen) else found
