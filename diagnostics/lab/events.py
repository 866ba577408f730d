"""What can happen in a scenario: one struct per event, as its YAML mapping reads. `timeline` makes them happen.

Names are aliases or real names. A leg is "request" or "completion" and stands for its topic or subscription; "dead_letter" and
"completion_dead_letter" are the dead-letter topics. A service or account is "coordinator" or "worker". A member is "agent"
(Pub/Sub's service agent), "coordinator", "worker", "publisher" (of the requests), "pusher" (of these), "allUsers" or a full e-mail
address. `by` is "ci", "person" or an e-mail.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from diagnostics.lab.durations import Duration, When

Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all events and of the differences from the healthy default."""


class Change(Event, frozen=True, kw_only=True):
    """A change of configuration: leaves the audit entry that Google would leave."""

    by: str = "ci"


# --- the pipeline at work ---------------------------------------------------------------------------------------------


class Gated(Event, frozen=True, kw_only=True):
    """Items that the coordinator's quality gate keeps back."""

    existing: Count = 0
    low_quality: Count = 0


class ItemOutcome(Event, frozen=True, kw_only=True):
    """What the worker answers for some items, in so many words."""

    items: Count
    status: Annotated[int, Meta(ge=200, le=599)] = 500
    reason: str = ""
    """Said in its line of the failure; with a status below 300 the item is done."""
    first: Count = 0
    """Only for so many tries of an item, after which it is good; 0: for each."""
    publishes: bool | None = None
    """Whether a completion leaves; default: where the item is done."""
    results: Count | None = None
    """How much it brings where it is done; default: some."""
    says: str = ""
    """A line that it prints before, as plain text."""
    first_takes: Duration = ""
    """The first try works for so long instead, and is done then; beyond the request timeout or the deadline nobody listens any more."""


class TaskQueue(Event, frozen=True, kw_only=True):
    """A Cloud Tasks queue that makes a start call and repeats it until it succeeds or its attempts are used up (lab/task_queue.py). What
    is not said is Google's default."""

    name: str = "batch-starts"
    max_attempts: Annotated[int, Meta(ge=1)] = 100
    """The first one included."""
    min_backoff: Duration = "100ms"
    max_backoff: Duration = "1h"
    max_doublings: Count = 16
    max_retry_duration: Duration = "0s"
    """Attempts go on for so long at least, however many there were."""
    dispatch_deadline: Duration = "10m"
    """After so long without an answer the call is given up, and made again; 15 seconds to 30 minutes."""
    refused: Count = 0
    """Only the first so many calls find the `refusal`; 0: each does."""


class StartBatch(Event, frozen=True, kw_only=True):
    """A call to the coordinator's start path, by the scheduler or by a person; where there is no coordinator, a run of the script that
    publishes."""

    items: Count
    name: str = ""
    """Name under which scoring can ask for the batch; default batch-1, batch-2, … in order of time."""
    date: str = ""
    """Date of the batch; default: the (simulated) day of the call."""
    mode: str = ""
    gated: Gated = field(default_factory=Gated)
    payloads: dict[str, Count] = {}
    """How many of the published items are of which payload class; the rest are good."""
    outcomes: tuple[ItemOutcome, ...] = ()
    """Answers for others of them."""
    refusal: Literal["", "no_work", "no_items", "incomplete_data"] = ""
    """What the coordinator finds that ends the start before a batch exists."""
    unsent: Count = 0
    """Of the items that pass the gate, so many are counted and never published, and no line says so."""
    loading: Duration = ""
    """How long loading takes; default: what is normal for the pipeline."""
    same_items: bool = False
    """The items of earlier batches of that date come again, before others (predictions)."""
    caller: Literal["scheduler", "person"] = "scheduler"
    queue: TaskQueue | None = None
    """A task queue makes the call instead of the caller, as the scheduler's account. A second call and later ones can be asked for by
    NAME.2, NAME.3, …; NAME itself is the first that got a batch."""
    no_token: bool = False
    body: dict[str, Any] = {}
    """Further fields of the request, e.g. force: true."""


class PublishMessages(Event, frozen=True, kw_only=True):
    """Messages published by hand, past the coordinator: the usual source of poison."""

    topic: str = "request"
    payloads: dict[str, Count]
    """How many of which payload class; on the completion topic: no_batch_id, unknown_batch, undecodable."""
    spread: Duration = "0s"
    """They are published evenly over this time."""
    date: str = ""
    attributes: dict[str, str] = {}


class Call(Event, frozen=True, kw_only=True):
    """Any HTTP call to a service: a curl from somebody's shell, a scheduler job, a monitor."""

    service: str = "coordinator"
    method: str = "POST"
    path: str
    body: dict[str, Any] = {}
    caller: Literal["scheduler", "person", "monitor"] = "person"
    no_token: bool = False


class ClearBatch(Event, frozen=True, kw_only=True):
    """A person closes a batch by hand in the coordinator's store."""

    batch: str


class DeleteBatch(Event, frozen=True, kw_only=True):
    """A person deletes a batch's record from the coordinator's store."""

    batch: str


class Downstream(Event, frozen=True, kw_only=True):
    """What a service depends on is slow or fails for a while."""

    service: str = "worker"
    lasts: Duration = field(name="for")
    slowdown: Annotated[float, Meta(ge=1)] = 1.0
    """Work takes this many times as long."""
    latency: Duration = "0s"
    """Added to the work of each item."""
    errors: Share = 0.0
    """Share of the calls that fail."""
    error: str = ""
    """The reason that the program then gives; rate_limited makes the worker answer 429."""


class Quota(Event, frozen=True, kw_only=True):
    """A quota is exhausted for a while."""

    metric: Literal["pubsub.googleapis.com/regionalpublisher"] = "pubsub.googleapis.com/regionalpublisher"
    lasts: Duration = field(name="for")


# --- Cloud Run --------------------------------------------------------------------------------------------------------


class RevisionChanges(Change, frozen=True, kw_only=True):
    """Fields of a revision. What is not named stays as it was."""

    image: str | UnsetType = UNSET
    min_instances: Count | UnsetType = UNSET
    max_instances: Count | UnsetType = UNSET
    concurrency: Count | UnsetType = UNSET
    timeout: Duration | UnsetType = UNSET
    cpu: str | UnsetType = UNSET
    memory_mib: Count | UnsetType = UNSET
    cpu_idle: bool | UnsetType = UNSET
    account: str | UnsetType = UNSET
    startup: Duration | UnsetType = UNSET
    boots: bool | UnsetType = UNSET
    boot_error: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    set_env: dict[str, str] | UnsetType = UNSET
    """Replaces all environment variables, as --set-env-vars does."""
    update_env: dict[str, str] = {}
    """Merged into what is there, as --update-env-vars does."""
    remove_env: tuple[str, ...] = ()
    code: str | UnsetType = UNSET
    """Which version of the program the image holds: head, pre-fix, or traits (see applications/traits.py)."""


class Deploy(RevisionChanges, frozen=True, kw_only=True):
    """A new revision of a service."""

    service: str
    resets_min: bool = False
    """The deploy command named no --min-instances, and the minimum falls to 0."""
    traffic: Literal["latest", "keep"] = "latest"
    """"keep": the new revision gets no traffic (--no-traffic)."""
    through: Literal["gcloud", "terraform", "function"] = "gcloud"
    """What it is deployed with, which decides what the audit log has of it: ReplaceService of Cloud Run's v1 API, UpdateService of its v2
    API, or UpdateFunction and what Google's robot then does."""


class Traffic(Change, frozen=True, kw_only=True):
    """Traffic is moved between revisions (gcloud run services update-traffic)."""

    service: str
    to: str = "previous"
    """"previous", "latest" or the name of a revision."""
    tag: str = ""
    """Set: only this tag is put there (--update-tags), and the traffic stays where it is."""


class ServiceChanges(Change, frozen=True, kw_only=True):
    """Fields of a service that belong to no revision."""

    ingress: Literal["all", "internal", "internal-and-cloud-load-balancing", "none"] | UnsetType = UNSET
    custom_audiences: tuple[str, ...] | UnsetType = UNSET
    invoker_iam_disabled: bool | UnsetType = UNSET
    default_uri_disabled: bool | UnsetType = UNSET
    iap: bool | UnsetType = UNSET
    service_min_instances: Count | UnsetType | None = UNSET
    service_max_instances: Count | UnsetType | None = UNSET
    manual_instances: Count | UnsetType | None = UNSET


class SetService(ServiceChanges, frozen=True, kw_only=True):
    """A change of a service's own settings."""

    service: str


class ServiceEvent(Change, frozen=True, kw_only=True):
    """Something that needs only the service's name."""

    service: str


# --- Pub/Sub ----------------------------------------------------------------------------------------------------------


class SubscriptionChanges(Change, frozen=True, kw_only=True):
    """Fields of a subscription. What is not named stays as it was."""

    endpoint: str | UnsetType = UNSET
    """Push endpoint; {worker} and {coordinator} stand for the services' URLs. Empty: a pull subscription."""
    account: str | UnsetType = UNSET
    """Push account; empty: pushes carry no token."""
    audience: str | UnsetType = UNSET
    """Empty: not set, Pub/Sub then uses the endpoint URL."""
    no_wrapper: bool | UnsetType = UNSET
    ack_deadline: Duration | UnsetType = UNSET
    retry: tuple[Duration, Duration] | UnsetType | None = UNSET
    """Minimum and maximum backoff; null: redeliver at once."""
    dead_letter_topic: str | UnsetType = UNSET
    max_delivery_attempts: Annotated[int, Meta(ge=5, le=100)] | UnsetType = UNSET
    retention: Duration | UnsetType = UNSET
    expiration: Duration | UnsetType | None = UNSET
    """null: never expires."""


class SetSubscription(SubscriptionChanges, frozen=True, kw_only=True):
    """A change of a subscription (UpdateSubscription, or ModifyPushConfig if only the push configuration changes)."""

    subscription: str


class NewSubscription(SubscriptionChanges, frozen=True, kw_only=True):
    """A subscription as it is created; Google's defaults for what is not named."""

    name: str
    topic: str
    filter: str = ""


class CreateSubscription(NewSubscription, frozen=True, kw_only=True):
    """A subscription is created. It gets only messages published from then on."""


class SubscriptionEvent(Change, frozen=True, kw_only=True):
    """Something that needs only the subscription's name."""

    subscription: str


class Seek(Change, frozen=True, kw_only=True):
    """A subscription is sought forward: what was published before is acknowledged. Leaves no activity log entry."""

    subscription: str
    back: Duration = "0s"
    """To this long before the moment of the call; 0s purges all."""


class TopicChanges(Change, frozen=True, kw_only=True):
    """Fields of a topic."""

    regions: tuple[str, ...] | UnsetType = UNSET
    enforce_in_transit: bool | UnsetType = UNSET
    retention: Duration | UnsetType = UNSET
    schema: str | UnsetType = UNSET
    """Short name of the schema that messages must match; empty: none."""
    schema_fields: tuple[str, ...] | UnsetType = UNSET
    """Fields that a message must have to match it."""


class NewTopic(TopicChanges, frozen=True, kw_only=True):
    """A topic as it is created."""

    name: str


class SetTopic(TopicChanges, frozen=True, kw_only=True):
    """A change of a topic."""

    topic: str


class TopicEvent(Change, frozen=True, kw_only=True):
    """Something that needs only the topic's name."""

    topic: str


# --- IAM and the rest -------------------------------------------------------------------------------------------------


class Grant(Change, frozen=True, kw_only=True):
    """A role given to, or taken from, a member on one resource."""

    on: str
    """project, topic:NAME, subscription:NAME, service:NAME, account:NAME, or what the project is in: folders/F, organizations/O."""
    role: str
    """A predefined one, or the id or the full name of a custom one."""
    member: str
    condition: str = ""
    """When it holds: request.time < timestamp("…"), or >= it."""


class Denied(Change, frozen=True, kw_only=True):
    """A deny policy: what it takes from a member, whatever is granted. Its audit entry is not played."""

    permission: str
    """As allow policies write it, run.routes.invoke, or as deny policies do, groups of permissions too: run.googleapis.com/routes.*."""
    member: str
    """As in Grant; "everybody"; "accounts": all service accounts of the project."""
    excepted: tuple[str, ...] = ()
    """Members that it spares."""
    on: str = "project"
    """What it is attached to: project, or what the project is in."""
    name: str = "guardrail"
    condition: str = ""
    """resource.matchTag('77/env', 'prod'), or the same with "!" before it."""


class RoleChanges(Change, frozen=True, kw_only=True):
    """A role of the project's own, and what it holds."""

    role: str
    """Its id, or its full name: projects/P/roles/R, organizations/O/roles/R."""
    permissions: tuple[str, ...] | UnsetType = UNSET
    stage: Literal["ALPHA", "BETA", "GA", "DEPRECATED", "DISABLED", "EAP"] | UnsetType = UNSET
    deleted: bool | UnsetType = UNSET


class NewBalancer(Event, frozen=True, kw_only=True):
    """An external Application Load Balancer at a domain of the project's own, before a service."""

    host: str
    to: str = "worker"
    """The service behind it."""
    denies: str = ""
    """Name of a Cloud Armor policy that denies all that comes."""
    logs: bool = True
    """Whether its backend service has logging on."""


class SetBalancer(Change, frozen=True, kw_only=True):
    """A Cloud Armor policy is set before a load balancer's backend, or taken away: of another API, whose audit entry is not played."""

    host: str
    denies: str = ""
    """Name of the policy that denies all that comes; empty: none does."""


class AccountEvent(Change, frozen=True, kw_only=True):
    """A service account is disabled, enabled or deleted."""

    account: str


class FailChange(Change, frozen=True, kw_only=True):
    """Somebody tried to change something and was refused: an audit entry with a status and nothing else."""

    on: str
    """As in Grant."""
    method: str
    """Last part of the method name: UpdateSubscription, ReplaceService, SetIamPolicy, …"""
    code: int = 7
    """google.rpc.Code, 7 = PERMISSION_DENIED."""
    message: str = "The caller does not have permission"


class TimelineEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of the timeline: when, and exactly one event."""

    at: When
    jitter: Duration = "0s"
    """The event happens up to this much earlier or later, as the seed says."""
    every: Duration = ""
    """Repeats the event at this distance until `until`."""
    until: When = ""

    start_batch: StartBatch | None = None
    publish_messages: PublishMessages | None = None
    call: Call | None = None
    clear_batch: ClearBatch | None = None
    delete_batch: DeleteBatch | None = None
    downstream: Downstream | None = None
    quota: Quota | None = None

    deploy: Deploy | None = None
    traffic: Traffic | None = None
    set_service: SetService | None = None
    delete_service: ServiceEvent | None = None
    create_service: ServiceEvent | None = None
    restart: ServiceEvent | None = None

    set_subscription: SetSubscription | None = None
    create_subscription: CreateSubscription | None = None
    delete_subscription: SubscriptionEvent | None = None
    expire_subscription: SubscriptionEvent | None = None
    detach: SubscriptionEvent | None = None
    seek: Seek | None = None
    create_topic: NewTopic | None = None
    set_topic: SetTopic | None = None
    delete_topic: TopicEvent | None = None

    grant: Grant | None = None
    revoke: Grant | None = None
    deny: Denied | None = None
    set_balancer: SetBalancer | None = None
    set_role: RoleChanges | None = None
    disable_account: AccountEvent | None = None
    enable_account: AccountEvent | None = None
    delete_account: AccountEvent | None = None
    fail_change: FailChange | None = None

    @property
    def events(self) -> dict[str, Event]:
        """The events of this entry by name; a valid entry has exactly one."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: event for name, event in named.items() if isinstance(event, Event)}
