"""The lab's world as data: what exists in its Google Cloud. `broker`, `cloud_run` and `applications` move it, `servers` show it.

Nothing here decides anything. Simulated time is a float: seconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass
class Binding:
    role: str
    members: set[str]
    condition: str = ""


@dataclass
class Policy:
    """An IAM policy."""

    bindings: list[Binding] = field(default_factory=list)

    def add(self, role: str, member: str, condition: str = "") -> None:
        for binding in self.bindings:
            if (binding.role, binding.condition) == (role, condition):
                binding.members.add(member)
                return
        self.bindings.append(Binding(role, {member}, condition))

    def remove(self, role: str, member: str, condition: str = "") -> None:
        for binding in self.bindings:
            if (binding.role, binding.condition) == (role, condition):
                binding.members.discard(member)
        self.bindings = [b for b in self.bindings if b.members]


@dataclass
class Role:
    """A role of the project's or the organisation's own."""

    name: str
    """projects/P/roles/R or organizations/O/roles/R."""
    permissions: tuple[str, ...] = ()
    stage: str = "GA"
    deleted: bool = False


@dataclass
class DenyPolicy:
    """A deny policy with one rule. Principals and permission are as its API writes them (IAM v2)."""

    on: str
    """What it is attached to: projects/P, folders/F or organizations/O."""
    name: str
    permission: str
    """run.googleapis.com/routes.invoke, or a group of them: run.googleapis.com/routes.*, run.googleapis.com/*.*."""
    principals: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    condition: str = ""
    created: float = 0


@dataclass
class Topic:
    name: str
    """Short id; the resource name is projects/P/topics/<name>."""
    policy: Policy = field(default_factory=Policy)
    retention_s: float = 0
    schema: str = ""
    """Full name of its schema."""
    schema_fields: tuple[str, ...] = ()
    """What a message must hold to match it."""
    kms_key: str = ""
    regions: tuple[str, ...] = ()
    enforce_in_transit: bool = False
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class PushConfig:
    endpoint: str = ""
    account: str = ""
    """E-mail in oidcToken; empty: pushes carry no token."""
    audience: str = ""
    no_wrapper: bool = False
    write_metadata: bool = False
    """Of noWrapper: message metadata and attributes become HTTP headers."""
    wrapper: bool = False
    """pubsubWrapper is stated; the wrapped body is what one gets without it, too."""
    attributes: dict[str, str] = field(default_factory=lambda: {"x-goog-version": "v1"})


@dataclass
class Subscription:
    name: str
    topic: str
    """Short topic id, or "_deleted-topic_"."""
    push: PushConfig = field(default_factory=PushConfig)
    policy: Policy = field(default_factory=Policy)
    ack_deadline_s: float = 300
    retry: tuple[float, float] | None = (10, 600)
    """Minimum and maximum backoff in seconds; None: redeliver at once."""
    dead_letter_topic: str = ""
    max_delivery_attempts: int = 5
    filter: str = ""
    ordering: bool = False
    exactly_once: bool = False
    retention_s: float = 604800
    retain_acked: bool = False
    expiration_s: float | None = 2678400
    """None: never expires."""
    detached: bool = False
    created: float = 0
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Snapshot:
    """A snapshot's resource. What it retains is with the broker."""

    name: str
    topic: str
    created: float
    expires: float
    labels: dict[str, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)


@dataclass
class ServiceAccount:
    email: str
    unique_id: str
    disabled: bool = False
    policy: Policy = field(default_factory=Policy)
    """Policy *on* the account: who may mint its tokens."""


@dataclass
class Revision:
    name: str
    created: float
    image: str
    min_instances: int = 0
    max_instances: int = 100
    concurrency: int = 80
    timeout_s: float = 300
    cpu: str = "1"
    memory_mib: int = 512
    cpu_idle: bool = True
    account: str = ""
    env: dict[str, str] = field(default_factory=dict)
    startup_s: float = 4.0
    """Typical container start-up time."""
    boots: bool = True
    """False: the container exits at start."""
    boot_error: str = ""
    """What it prints before it exits. Where it boots, its server opens its port all the same, and exits then."""
    labels: dict[str, str] = field(default_factory=dict)
    code: str = "head"
    """Which version of the program the image holds, in words of applications.traits. No API and no log shows it."""


@dataclass
class Service:
    name: str
    region: str
    url_hash: str
    """The HASH of https://NAME-HASH-REGIONCODE.a.run.app."""
    policy: Policy = field(default_factory=Policy)
    ingress: str = "all"
    """all | internal | internal-and-cloud-load-balancing | none"""
    custom_audiences: tuple[str, ...] = ()
    invoker_iam_disabled: bool = False
    default_uri_disabled: bool = False
    iap: bool = False
    min_instances: int | None = None
    max_instances: int | None = None
    manual_instances: int | None = None
    revisions: list[Revision] = field(default_factory=list)
    """Oldest first."""
    traffic: list[tuple[str, int, str]] = field(default_factory=list)
    """(revision name or "" for latest, percent, tag)."""
    created: float = 0
    updated: float = 0
    labels: dict[str, str] = field(default_factory=dict)

    def revision(self, name: str) -> Revision | None:
        return next((r for r in self.revisions if r.name == name), None)


@dataclass
class Balancer:
    """An external Application Load Balancer at a domain of the project's own, before a service."""

    host: str
    service: str
    denies: str = ""
    """Name of the Cloud Armor policy that denies what comes; empty: it lets all through."""
    logs: bool = True
    """Whether its backend service has logging on."""


@dataclass
class Neighbour:
    """Another project, in which some of the pipeline's parts are."""

    project: str
    number: str
    url_hash: str
    policy: Policy = field(default_factory=Policy)


@dataclass
class Document:
    """A document of Firestore's default database. Values are what Python has for them: text, numbers, times, lists, tables."""

    fields: dict[str, Any]
    created: float
    updated: float


class Rows(Protocol):
    """The rows of a table: a list, or what makes them anew at each reading where they are many."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...


@dataclass
class Table:
    """A table of BigQuery, in the lab's project and region."""

    name: str
    """DATASET.TABLE"""
    columns: dict[str, str]
    """Name to type, as the API writes it."""
    partition: str = ""
    """The DATE column by which it is partitioned, day by day; empty: it is not."""
    filter_required: bool = False
    """Whether a query has to name partitions."""
    required: frozenset[str] = frozenset()
    """Columns that take no NULL."""
    rows: Rows = field(default_factory=list)
    """Values by column: dates as 2026-02-08, times as seconds since the epoch; None is NULL."""


@dataclass
class StoredObject:
    """An object of Cloud Storage."""

    content: bytes
    updated: float


@dataclass
class World:
    """All that exists in the lab's project, and in its neighbours. Names are short ones, of which there is no second in the lab."""

    project: str
    number: str
    region: str
    region_code: str
    topics: dict[str, Topic] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    """Project-level IAM policy."""
    roles: dict[str, Role] = field(default_factory=dict)
    """Custom roles by full name."""
    documents: Callable[[], dict[str, Document]] = dict
    """What the programs keep in Firestore, by path: collection/id."""
    tables: dict[str, Table] = field(default_factory=dict)
    """By DATASET.TABLE."""
    objects: dict[str, StoredObject] = field(default_factory=dict)
    """Of Cloud Storage, by BUCKET/NAME."""
    buckets: set[str] = field(default_factory=set)
    """Of Cloud Storage, beside those that have objects."""
    log_dataset: str = ""
    """The dataset that is linked to the log bucket; empty: the bucket is not upgraded."""
    staged: dict[str, Any] = field(default_factory=dict)
    """What workers wrote and nobody has merged yet, by batch, as the pipeline's programs keep it."""
    denied: list[DenyPolicy] = field(default_factory=list)
    """What is taken from whom, whatever is granted."""
    tags: dict[str, str] = field(default_factory=dict)
    """Tags of the project, which all that is in it has: key with its owner, as in "77/env", to value."""
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    """Members of the groups that policies name, by the group's e-mail."""
    above: dict[str, Policy] = field(default_factory=dict)
    """What the project is in, the nearest first: folders/F, organizations/O. Empty: it is in nothing."""
    quota_exceeded: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """quota_metric to (from, until) spans in which calls are refused."""

    balancers: dict[str, Balancer] = field(default_factory=dict)
    """By host."""
    neighbours: dict[str, Neighbour] = field(default_factory=dict)
    """By project id."""
    homes: dict[str, str] = field(default_factory=dict)
    """kind:name of what is in a neighbour, to that project: topic:T, subscription:S, service:S."""

    @property
    def pubsub_agent(self) -> str:
        return self.agent_of(self.project)

    def agent_of(self, project: str) -> str:
        """E-mail of Pub/Sub's service agent of a project."""
        return f"service-{self.number_of(project)}@gcp-sa-pubsub.iam.gserviceaccount.com"

    def home(self, kind: str, name: str) -> str:
        """Id of the project that a topic, subscription or service is in."""
        return self.homes.get(f"{kind}:{name}", self.project) if self.homes else self.project

    def number_of(self, project: str) -> str:
        return self.number if project == self.project else self.neighbours[project].number

    def id_of(self, project: str) -> str:
        """Id of a project by its id or number; empty: there is none."""
        if project in (self.project, self.number):
            return self.project
        return next((n.project for n in self.neighbours.values() if project in (n.project, n.number)), "")

    def policy_of(self, project: str) -> Policy:
        """The project-level policy."""
        return self.policy if project == self.project else self.neighbours[project].policy

    def urls(self, service: Service) -> tuple[str, str]:
        """Both URL forms of a service: hashed and deterministic."""
        number = self.number_of(self.home("service", service.name))
        return (
            f"https://{service.name}-{service.url_hash}-{self.region_code}.a.run.app",
            f"https://{service.name}-{number}.{service.region}.run.app",
        )
