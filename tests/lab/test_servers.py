"""The lab's servers, asked by Google's own clients over loopback."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import grpc
import pytest
import simpy
from google.api_core import exceptions
from google.cloud import iam_admin_v1, iam_credentials_v1, resourcemanager_v3, run_v2
from google.cloud import monitoring_v3 as monitoring
from google.cloud.audit import audit_log_pb2
from google.cloud.iam_v2 import PoliciesClient
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.pubsub_v1 import PublisherClient, PublishRequest, SubscriberClient

from diagnostics.lab.audit import Audit
from diagnostics.lab.broker import Broker
from diagnostics.lab.clock import Clock
from diagnostics.lab.http import PublishError, Response, Token
from diagnostics.lab.model import (
    DenyPolicy,
    Policy,
    PushConfig,
    Revision,
    Service,
    ServiceAccount,
    Subscription,
    Topic,
    World,
)
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.rights import EVERYBODY
from diagnostics.lab.scenario import Caller, Fault, Scenario
from diagnostics.lab.servers import pubsub
from diagnostics.lab.servers.cloud import Cloud, Quota
from diagnostics.lab.servers.errors import RpcError
from diagnostics.lab.servers.front import METHODS
from diagnostics.lab.servers.http import Server
from diagnostics.lab.servers.permissions import HELD, OTHERS, held_by_caller
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.lab.tokens import Claims, Tokens
from diagnostics.lab.unverified import Unverified

NOW = 1770560460.0
PROJECT = "projects/nba-props-platform"
REGION = f"{PROJECT}/locations/us-west2"
ACCOUNT = "pusher@nba-props-platform.iam.gserviceaccount.com"
WORKER = "prediction-worker-abc-wl.a.run.app"

DOCUMENTED = {
    "google.pubsub.v1.Publisher": {"GetTopic", "ListTopics", "ListTopicSubscriptions", "Publish", "CreateTopic", "UpdateTopic"},
    "google.pubsub.v1.Subscriber": {
        "GetSubscription", "ListSubscriptions", "CreateSubscription", "UpdateSubscription", "DeleteSubscription", "ModifyPushConfig",
        "Pull", "Acknowledge", "ModifyAckDeadline", "CreateSnapshot", "GetSnapshot", "ListSnapshots", "DeleteSnapshot", "Seek",
    },
    "google.iam.v1.IAMPolicy": {"GetIamPolicy", "SetIamPolicy", "TestIamPermissions"},
    "google.monitoring.v3.MetricService": {"ListTimeSeries", "GetMetricDescriptor", "ListMetricDescriptors"},
    "google.monitoring.v3.AlertPolicyService": {"CreateAlertPolicy"},  # for tests alone: `pubsub-diag alerts` only prints
    "google.logging.v2.LoggingServiceV2": {"ListLogEntries", "WriteLogEntries"},
    "google.cloud.run.v2.Services": {"GetService", "ListServices", "GetIamPolicy", "TestIamPermissions"},
    "google.cloud.run.v2.Revisions": {"GetRevision", "ListRevisions"},
    "google.iam.admin.v1.IAM": {"GetServiceAccount", "GetRole", "GetIamPolicy", "TestIamPermissions"},
    "google.iam.v2.Policies": {"ListPolicies", "GetPolicy"},
    "google.iam.credentials.v1.IAMCredentials": {"GenerateIdToken"},
    "google.cloud.resourcemanager.v3.Projects": {"GetProject", "GetIamPolicy", "TestIamPermissions"},
    "google.firestore.v1.Firestore": {"GetDocument", "ListDocuments"},
    "google.cloud.resourcemanager.v3.Folders": {"GetFolder", "GetIamPolicy"},
    "google.cloud.resourcemanager.v3.Organizations": {"GetIamPolicy"},
}  # fmt: skip


@dataclass
class StillLab:
    """A lab in which nothing moves: a hand-made world and whatever the test records."""

    world: World
    scenario: Scenario = field(default_factory=lambda: Scenario(name="still", story="Nothing moves."))
    unverified: Unverified = field(
        default_factory=lambda: replace(
            Unverified.draw(random.Random(0)), zero_points_min=0, gap_share=0.0, short_log_pages=0.0
        )
    )
    recorder: Telemetry = field(default_factory=Telemetry)
    clock: Clock = field(default_factory=lambda: Clock(simpy.Environment(initial_time=NOW)))
    lock: threading.RLock = field(default_factory=threading.RLock)
    published: list[tuple[str, bytes, str | None]] = field(default_factory=list)
    heard: list[tuple[str, str, str, Token | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        env, rng = self.clock._env, random.Random(0)
        self.audit = Audit(env, self.world, self.recorder, rng)
        self.broker = Broker(env, self.world, self.unverified, self.recorder, rng, lambda _request, _answer: None)

    def now(self) -> float:
        return self.clock.now()

    def advance(self, seconds: float) -> float:
        return self.clock.advance(seconds)

    def publish(
        self, topic: str, data: bytes, attributes: dict[str, str], account: str | None, ordering_key: str = ""
    ) -> str:
        del ordering_key
        if "refuse" in attributes:
            raise PublishError(attributes["refuse"], "Refused.")
        self.published.append((topic, data, account))
        return str(len(self.published))

    def http(
        self,
        host: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes = b"",
        token: Token | None = None,
        remote_ip: str = "203.0.113.7",
    ) -> Response:
        del headers, remote_ip
        self.heard.append((host, method, path, token))
        if path == "/lost":
            return Response(0, error="unreachable")
        return Response(200 if token else 403, b"hello " + body, {"Content-Type": "text/plain"}, latency_s=4.2)


def world() -> World:
    world = World("nba-props-platform", "756957797294", "us-west2", "wl")
    world.topics["requests"] = Topic("requests", retention_s=86400)
    world.topics["dead"] = Topic("dead")
    push = PushConfig(f"https://{WORKER}/predict", ACCOUNT)
    world.subscriptions["push"] = Subscription("push", "requests", push, dead_letter_topic="dead", retry=(10, 600))
    world.subscriptions["pull"] = Subscription("pull", "_deleted-topic_", retry=None, expiration_s=None, detached=True)
    world.subscriptions["push"].policy.add("roles/pubsub.subscriber", f"serviceAccount:{world.pubsub_agent}")
    world.accounts[ACCOUNT] = ServiceAccount(ACCOUNT, "1122334455")
    service = Service("prediction-worker", "us-west2", "abc", created=NOW - 9000)
    service.policy.add("roles/run.invoker", f"serviceAccount:{ACCOUNT}")
    service.revisions = [
        Revision("prediction-worker-00001", NOW - 9000, "img@sha256:1", min_instances=1, env={"A": "b"}),
        Revision("prediction-worker-00002", NOW - 60, "img@sha256:2", boots=False),
    ]
    service.traffic = [("", 100, ""), ("prediction-worker-00001", 0, "blue")]
    world.services[service.name] = service
    world.policy.add("roles/viewer", "user:oncall@example.com")
    return world


@dataclass
class Google:
    """A running lab and Google's clients for it."""

    lab: StillLab
    running: RunningLab
    channel: Any

    def client(self, kind: Any) -> Any:
        return kind(transport=kind.get_transport_class("grpc")(channel=self.channel))


ASK: dict[str, Any] = {"timeout": 5, "retry": None}
Start = Callable[..., Google]


@pytest.fixture
def starts() -> Iterator[Start]:
    """Starts labs and closes them."""
    opened: list[Google] = []

    def begin(lacks: tuple[str, ...] = (), faults: tuple[Fault, ...] = (), **options: Any) -> Google:
        scenario = Scenario(name="still", story="", caller=Caller(lacks=lacks), faults=faults)
        lab = StillLab(world(), scenario)
        running = start(lab, **options)
        target = f"127.0.0.1:{running.grpc_port}"
        google = Google(lab, running, grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]))
        opened.append(google)
        return google

    yield begin
    for google in opened:
        google.channel.close()
        google.running.close()


@pytest.fixture
def google(starts: Start) -> Google:
    return starts()


def test_it_serves_the_documented_calls_and_no_other() -> None:
    served = {(m.service, m.name.partition("/")[2]) for m in METHODS}
    assert served == {(service, name) for service, names in DOCUMENTED.items() for name in names}
    assert len(METHODS) == len(served)


def test_every_permission_that_is_checked_exists() -> None:
    checked = {p for m in METHODS for p in m.permissions_for(m.request())} - {""}
    assert checked <= HELD | OTHERS
    with pytest.raises(ValueError, match=r"no such permission: pubsub\.topic\.get"):
        held_by_caller(("pubsub.topic.get",))


# --- Pub/Sub ---------------------------------------------------------------------------------------------------------


def test_a_subscription_has_all_its_fields(google: Google) -> None:
    found = google.client(SubscriberClient).get_subscription(subscription=f"{PROJECT}/subscriptions/push", **ASK)
    assert found.topic == f"{PROJECT}/topics/requests"
    assert found.push_config.push_endpoint == f"https://{WORKER}/predict"
    assert found.push_config.oidc_token.service_account_email == ACCOUNT
    assert found.push_config.oidc_token.audience == ""
    assert found.dead_letter_policy.dead_letter_topic == f"{PROJECT}/topics/dead"
    assert found.dead_letter_policy.max_delivery_attempts == 5
    assert found.retry_policy.maximum_backoff.total_seconds() == 600
    assert found.expiration_policy.ttl.days == 31
    assert (found.ack_deadline_seconds, found.message_retention_duration.days) == (300, 7)


def test_what_a_subscription_lacks_is_unset(google: Google) -> None:
    found = google.client(SubscriberClient).get_subscription(subscription=f"{PROJECT}/subscriptions/pull", **ASK)
    assert found.topic == "_deleted-topic_"
    assert found.detached
    message = type(found).pb(found)
    assert not message.HasField("retry_policy")
    assert not message.HasField("dead_letter_policy")
    assert message.HasField("expiration_policy") and not message.expiration_policy.HasField("ttl")
    assert message.push_config.push_endpoint == ""


def test_lists_come_in_pages(google: Google) -> None:
    publisher, subscriber = google.client(PublisherClient), google.client(SubscriberClient)
    topics = publisher.list_topics(request={"project": PROJECT, "page_size": 1}, **ASK)
    assert [t.name for t in topics] == [f"{PROJECT}/topics/dead", f"{PROJECT}/topics/requests"]
    assert len([c for c in google.running.rpcs if c.name.endswith("ListTopics")]) == 2
    assert len(list(subscriber.list_subscriptions(project=PROJECT, **ASK))) == 2
    attached = publisher.list_topic_subscriptions(topic=f"{PROJECT}/topics/requests", **ASK)
    assert list(attached) == [f"{PROJECT}/subscriptions/push"]


def test_a_page_token_of_another_listing_is_refused(google: Google) -> None:
    publisher, subscriber = google.client(PublisherClient), google.client(SubscriberClient)
    token = publisher.list_topics(request={"project": PROJECT, "page_size": 1}, **ASK).next_page_token
    with pytest.raises(exceptions.InvalidArgument):
        subscriber.list_subscriptions(request={"project": "projects/756957797294", "page_token": token}, **ASK)


def test_what_does_not_exist_is_not_found_in_pubsubs_words(google: Google) -> None:
    subscriber, publisher = google.client(SubscriberClient), google.client(PublisherClient)
    with pytest.raises(exceptions.NotFound, match=r"Resource not found \(resource=gone\)\."):
        subscriber.get_subscription(subscription=f"{PROJECT}/subscriptions/gone", **ASK)
    with pytest.raises(exceptions.NotFound, match="Requested project not found"):
        publisher.get_topic(topic="projects/other/topics/requests", **ASK)
    with pytest.raises(exceptions.InvalidArgument, match="Invalid resource name"):
        publisher.get_topic(topic="requests", **ASK)


def test_policies_of_topics_and_subscriptions(google: Google) -> None:
    subscriber = google.client(SubscriberClient)
    policy = subscriber.get_iam_policy(request={"resource": f"{PROJECT}/subscriptions/push"}, **ASK)
    agent = "serviceAccount:service-756957797294@gcp-sa-pubsub.iam.gserviceaccount.com"
    assert [(b.role, list(b.members)) for b in policy.bindings] == [("roles/pubsub.subscriber", [agent])]
    topic = google.client(PublisherClient).get_iam_policy(request={"resource": f"{PROJECT}/topics/dead"}, **ASK)
    assert list(topic.bindings) == []


def test_a_conditional_binding_shows_its_condition_only_to_version_3(google: Google) -> None:
    policy = Policy()
    policy.add("roles/pubsub.publisher", "allUsers")
    policy.bindings[0].condition = 'request.time < timestamp("2026-01-01T00:00:00Z")'
    google.lab.world.topics["dead"].policy = policy
    ask = google.client(PublisherClient).get_iam_policy
    resource = f"{PROJECT}/topics/dead"
    plain = ask(request={"resource": resource}, **ASK).bindings[0]
    assert plain.role.startswith("roles/pubsub.publisher_withcond_")
    asked = ask(request={"resource": resource, "options": {"requested_policy_version": 3}}, **ASK).bindings[0]
    assert (asked.role, asked.condition.expression) == ("roles/pubsub.publisher", policy.bindings[0].condition)


def test_held_permissions_are_told_and_unknown_ones_refused(starts: Start) -> None:
    subscriber = starts(lacks=("pubsub.subscriptions.get",)).client(SubscriberClient)
    names = ["pubsub.subscriptions.get", "pubsub.subscriptions.list", "pubsub.subscriptions.consume"]
    request = {"resource": f"{PROJECT}/subscriptions/push", "permissions": names}
    assert list(subscriber.test_iam_permissions(request=request, **ASK).permissions) == ["pubsub.subscriptions.list"]
    with pytest.raises(exceptions.InvalidArgument, match="not valid for this resource"):
        subscriber.test_iam_permissions(request={**request, "permissions": ["pubsub.peek"]}, **ASK)


def test_publishing_needs_a_permission_that_a_viewer_lacks(google: Google) -> None:
    with pytest.raises(exceptions.PermissionDenied, match="User not authorized to perform this action"):
        google.client(PublisherClient).publish(topic=f"{PROJECT}/topics/requests", messages=[{"data": b"x"}], **ASK)
    assert google.lab.published == []


def test_publishing_goes_to_the_broker_and_its_refusals_come_back() -> None:
    lab = StillLab(world())
    cloud = Cloud(lab, lab.recorder, Tokens(), Quota(60), "oncall@example.com", HELD | {"pubsub.topics.publish"})
    request = PublishRequest(topic=f"{PROJECT}/topics/requests", messages=[{"data": b"x"}, {"data": b"y"}])
    assert list(pubsub.publish(cloud, PublishRequest.pb(request)).message_ids) == ["1", "2"]
    assert lab.published == [("requests", b"x", None), ("requests", b"y", None)]
    request.messages[0].attributes["refuse"] = "RESOURCE_EXHAUSTED"
    with pytest.raises(RpcError, match="Refused") as refusal:
        pubsub.publish(cloud, PublishRequest.pb(request))
    assert refusal.value.code == "RESOURCE_EXHAUSTED"
    with pytest.raises(RpcError, match="out of range"):
        pubsub.publish(cloud, PublishRequest.pb(PublishRequest(topic=f"{PROJECT}/topics/requests")))


# --- Cloud Run, IAM, Resource Manager --------------------------------------------------------------------------------


def test_a_service_with_a_failed_rollout(google: Google) -> None:
    client = google.client(run_v2.ServicesClient)
    service = client.get_service(name=f"{REGION}/services/prediction-worker", **ASK)
    assert list(service.urls) == [f"https://{WORKER}", "https://prediction-worker-756957797294.us-west2.run.app"]
    assert service.uri == f"https://{WORKER}"
    assert service.ingress is run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL
    assert service.latest_ready_revision.endswith("/prediction-worker-00001")
    assert service.latest_created_revision.endswith("/prediction-worker-00002")
    assert service.terminal_condition.state is run_v2.Condition.State.CONDITION_FAILED
    assert [(t.percent, t.tag) for t in service.traffic] == [(100, ""), (0, "blue")]
    assert service.traffic_statuses[1].uri == f"https://blue---{WORKER}"
    assert [s.name for s in client.list_services(parent=REGION, **ASK)] == [service.name]
    policy = client.get_iam_policy(request={"resource": service.name}, **ASK)
    assert policy.bindings[0].role == "roles/run.invoker"
    asked = {"resource": service.name, "permissions": ["run.services.get", "run.services.update"]}
    assert list(client.test_iam_permissions(request=asked, **ASK).permissions) == ["run.services.get"]


def test_revisions_come_newest_first(google: Google) -> None:
    client = google.client(run_v2.RevisionsClient)
    newest, oldest = client.list_revisions(parent=f"{REGION}/services/prediction-worker", **ASK)
    assert newest.conditions[0].revision_reason.name == "HEALTH_CHECK_CONTAINER_ERROR"
    assert oldest.scaling.min_instance_count == 1
    assert [(e.name, e.value) for e in oldest.containers[0].env] == [("A", "b")]
    assert client.get_revision(name=oldest.name, **ASK) == oldest
    with pytest.raises(exceptions.NotFound, match="of kind 'REVISION'"):
        client.get_revision(name=f"{REGION}/services/prediction-worker/revisions/x", **ASK)


def test_a_disabled_default_url_is_no_url(google: Google) -> None:
    google.lab.world.services["prediction-worker"].default_uri_disabled = True
    service = google.client(run_v2.ServicesClient).get_service(name=f"{REGION}/services/prediction-worker", **ASK)
    assert (service.uri, list(service.urls), service.default_uri_disabled) == ("", [], True)


def test_services_that_are_not_there(google: Google) -> None:
    client = google.client(run_v2.ServicesClient)
    with pytest.raises(exceptions.NotFound, match="Resource 'gone' of kind 'SERVICE' in region 'us-west2'"):
        client.get_service(name=f"{REGION}/services/gone", **ASK)
    with pytest.raises(exceptions.NotFound, match="Location mars-1"):
        client.get_service(name=f"{PROJECT}/locations/mars-1/services/prediction-worker", **ASK)
    with pytest.raises(exceptions.InvalidArgument, match="wildcard"):
        client.list_services(parent=f"{PROJECT}/locations/-", **ASK)


def test_a_service_account_and_its_policy(google: Google) -> None:
    client = google.client(iam_admin_v1.IAMClient)
    google.lab.world.accounts[ACCOUNT].disabled = True
    account = client.get_service_account(name=f"{PROJECT}/serviceAccounts/{ACCOUNT}", **ASK)
    assert (account.email, account.unique_id, account.disabled) == (ACCOUNT, "1122334455", True)
    policy = client.get_iam_policy(request={"resource": f"{PROJECT}/serviceAccounts/{ACCOUNT}"}, **ASK)
    assert list(policy.bindings) == []


def test_the_wildcard_project_turns_not_found_into_permission_denied(google: Google) -> None:
    client = google.client(iam_admin_v1.IAMClient)
    with pytest.raises(exceptions.NotFound, match="Unknown service account"):
        client.get_service_account(name=f"{PROJECT}/serviceAccounts/gone@x", **ASK)
    with pytest.raises(exceptions.PermissionDenied):
        client.get_service_account(name="projects/-/serviceAccounts/gone@x", **ASK)


def test_the_project(google: Google) -> None:
    client = google.client(resourcemanager_v3.ProjectsClient)
    found = client.get_project(name=PROJECT, **ASK)
    assert (found.name, found.project_id) == ("projects/756957797294", "nba-props-platform")
    assert client.get_iam_policy(request={"resource": PROJECT}, **ASK).bindings[0].role == "roles/viewer"
    with pytest.raises(exceptions.PermissionDenied):
        client.get_project(name="projects/other", **ASK)


def test_a_minted_token_carries_the_account_and_the_audience(google: Google) -> None:
    client = google.client(iam_credentials_v1.IAMCredentialsClient)
    name = f"projects/-/serviceAccounts/{ACCOUNT}"
    answer = client.generate_id_token(name=name, audience="https://a", include_email=True, **ASK)
    google.lab.heard.clear()
    assert http(google, "GET", "/health", WORKER, token=answer.token)[0] == 200
    assert google.lab.heard[0][3] == Token(ACCOUNT, "https://a", NOW + 3600)
    with pytest.raises(exceptions.InvalidArgument, match="wildcard"):
        client.generate_id_token(name=f"{PROJECT}/serviceAccounts/{ACCOUNT}", audience="https://a", **ASK)
    with pytest.raises(exceptions.NotFound, match="Gaia id not found"):
        client.generate_id_token(name="projects/-/serviceAccounts/gone@x", audience="https://a", **ASK)


def test_a_token_is_only_good_if_we_signed_it_and_for_an_hour() -> None:
    ours, theirs = Tokens(), Tokens()
    claims = Claims("a@b", "1", "https://a")
    assert ours.read(ours.mint(claims, NOW), NOW) == Token("a@b", "https://a", NOW + 3600)
    assert ours.read(ours.mint(claims, NOW), NOW + 3601) is None
    assert ours.read(theirs.mint(claims, NOW), NOW) is None
    assert ours.read("nonsense", NOW) is None


# --- Monitoring ------------------------------------------------------------------------------------------------------

PUSHES = "pubsub.googleapis.com/subscription/push_request_count"
LATENCIES = "pubsub.googleapis.com/subscription/push_request_latencies"


def series_of(google: Google, filter: str = f'metric.type="{PUSHES}"', **more: Any) -> Any:
    request = {
        "name": PROJECT,
        "filter": filter,
        "interval": {"start_time": {"seconds": int(NOW) - 3600}, "end_time": {"seconds": int(NOW)}},
        "view": monitoring.ListTimeSeriesRequest.TimeSeriesView.FULL,
        **more,
    }
    return google.client(monitoring.MetricServiceClient).list_time_series(request=request, **ASK)


def record_pushes(google: Google) -> None:
    for response_class, pushes in {"ack": 3, "remote_server_4xx": 5}.items():
        labels = {"response_class": response_class, "response_code": "x", "delivery_type": "push"}
        for push in range(pushes):
            at = NOW - 1800 + 60 * push
            resource = {"project_id": "nba-props-platform", "subscription_id": "push"}
            google.lab.recorder.count(PUSHES, resource, labels, at)
            google.lab.recorder.observe(
                LATENCIES, resource, {"response_code": "x", "delivery_type": "push"}, at, 2_000_000
            )


def test_time_series_newest_point_first(google: Google) -> None:
    record_pushes(google)
    ack, refused = series_of(google)
    assert (ack.metric.labels["response_class"], refused.metric.labels["response_class"]) == (
        "ack",
        "remote_server_4xx",
    )
    assert ack.resource.labels["subscription_id"] == "push"
    assert ack.metric_kind == 2 and ack.value_type == 2  # DELTA, INT64
    ends = [p.interval.end_time.timestamp() for p in refused.points]
    assert ends == sorted(ends, reverse=True) and len(ends) == 5
    assert refused.points[0].value.int64_value == 1
    assert refused.points[0].interval.start_time.timestamp() == ends[0] - 60


def test_aggregated_time_series(google: Google) -> None:
    record_pushes(google)
    sums = {
        "alignment_period": {"seconds": 3600},
        "per_series_aligner": monitoring.Aggregation.Aligner.ALIGN_DELTA,
        "cross_series_reducer": monitoring.Aggregation.Reducer.REDUCE_SUM,
    }
    (total,) = series_of(google, aggregation=sums)
    assert total.points[0].value.int64_value == 8
    median = {"alignment_period": {"seconds": 3600}, "per_series_aligner": "ALIGN_PERCENTILE_50"}
    (latency,) = series_of(google, f'metric.type="{LATENCIES}"', aggregation=median)
    assert latency.points[0].value.double_value == pytest.approx(2e6, rel=0.1)
    raw = {"alignment_period": {"seconds": 3600}, "per_series_aligner": "ALIGN_DELTA"}
    (distribution,) = series_of(google, f'metric.type="{LATENCIES}"', aggregation=raw)
    value = distribution.points[0].value.distribution_value
    assert (value.count, value.mean, sum(value.bucket_counts)) == (8, 2e6, 8)


def test_a_page_of_time_series_is_counted_in_points(google: Google) -> None:
    record_pushes(google)
    pages = list(series_of(google, page_size=3).pages)
    assert [sum(len(s.points) for s in page.time_series) for page in pages] == [3, 3, 2]
    headers = series_of(google, view=monitoring.ListTimeSeriesRequest.TimeSeriesView.HEADERS, page_size=1)
    assert [len(page.time_series) for page in headers.pages] == [1, 1]


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"filter": 'metric.type="pubsub.googleapis.com/x"'}, exceptions.NotFound, r"Cannot find metric\(s\)"),
        ({"filter": 'resource.type="pubsub_subscription"'}, exceptions.InvalidArgument, "single metric type"),
        (
            {"filter": f'metric.type="{PUSHES}" AND resource.labels.topic_id="t"'},
            exceptions.InvalidArgument,
            "valid combination of metric and monitored resource",
        ),
        ({"interval": {"end_time": {"seconds": 5}}}, exceptions.InvalidArgument, "startTime and endTime"),
        ({"order_by": "value"}, exceptions.InvalidArgument, "left blank"),
        ({"secondary_aggregation": {"per_series_aligner": 1}}, exceptions.InvalidArgument, "not supported"),
        ({"aggregation": {"per_series_aligner": "ALIGN_DELTA"}}, exceptions.InvalidArgument, "at least 60 seconds"),
        (
            {"aggregation": {"per_series_aligner": "ALIGN_PERCENTILE_99", "alignment_period": {"seconds": 60}}},
            exceptions.InvalidArgument,
            "cannot be applied",
        ),
        ({"name": "projects/other"}, exceptions.PermissionDenied, "denied"),
        ({"page_size": -1}, exceptions.InvalidArgument, "negative"),
    ],
)
def test_a_read_that_google_refuses_is_refused(google: Google, more: dict[str, Any], error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        series_of(google, **more)


def test_metric_descriptors_tell_their_delay(google: Google) -> None:
    client = google.client(monitoring.MetricServiceClient)
    one = client.get_metric_descriptor(name=f"{PROJECT}/metricDescriptors/{PUSHES}", **ASK)
    assert one.metadata.ingest_delay.seconds == 120
    assert one.metadata.sample_period.seconds == 60
    request = {"name": PROJECT, "filter": 'metric.type = starts_with("run.googleapis.com/container")'}
    found = list(client.list_metric_descriptors(request=request, **ASK))
    assert "run.googleapis.com/container/instance_count" in {d.type for d in found}
    assert all(d.type.startswith("run.googleapis.com/container") for d in found)


# --- Logging ---------------------------------------------------------------------------------------------------------

RUN = {"project_id": "nba-props-platform", "service_name": "prediction-worker"}


def entries(google: Google, filter: str = "", **more: Any) -> Any:
    request = {"resource_names": [PROJECT], "filter": filter, **more}
    return google.client(LoggingServiceV2Client).list_log_entries(request=request, **ASK)


def write(
    google: Google, at: float, log: str = "run.googleapis.com/stdout", received: float = 2, **fields: Any
) -> None:
    entry = LogEntry(
        log, NOW + at, NOW + at + received, fields.pop("severity", "INFO"), "cloud_run_revision", RUN, **fields
    )
    google.lab.recorder.log(entry)


def test_a_request_log_entry_has_googles_shape(google: Google) -> None:
    http_request = {
        "requestMethod": "POST", "requestUrl": f"https://{WORKER}/predict", "status": 403, "latency": 0.25,
        "userAgent": "CloudPubSub-Google", "remoteIp": "66.102.6.167", "requestSize": 900,
    }  # fmt: skip
    write(google, -60, "run.googleapis.com/requests", severity="WARNING", text="refused", http=http_request, trace="t")
    (entry,) = entries(google, 'log_id("run.googleapis.com/requests") httpRequest.status>=300')
    assert entry.log_name == f"{PROJECT}/logs/run.googleapis.com%2Frequests"
    assert (entry.http_request.status, entry.http_request.latency.ToTimedelta().total_seconds()) == (403, 0.25)
    assert (entry.severity, entry.text_payload, entry.trace, dict(entry.labels)) == (400, "refused", "t", {})
    assert entry.receive_timestamp.timestamp() == NOW - 58
    assert entry.insert_id


def test_structured_and_audit_payloads(google: Google) -> None:
    write(google, -60, json={"event": "order_queued", "order": {"id": "ORD-000123"}, "n": 3})
    audit = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "serviceName": "pubsub.googleapis.com",
        "methodName": "google.pubsub.v1.Subscriber.UpdateSubscription",
        "authenticationInfo": {"principalEmail": "ci@x"},
        "request": {
            "@type": "type.googleapis.com/google.pubsub.v1.UpdateSubscriptionRequest",
            "updateMask": "ackDeadline",
        },
    }
    write(google, -50, "cloudaudit.googleapis.com/activity", severity="NOTICE", proto=audit)
    line, change = entries(google)
    assert type(line).pb(line).json_payload["order"]["id"] == "ORD-000123"
    log = audit_log_pb2.AuditLog()
    assert type(change).pb(change).proto_payload.Unpack(log)
    assert (log.method_name, log.authentication_info.principal_email) == (audit["methodName"], "ci@x")


def test_an_entry_is_seen_only_once_it_was_received(google: Google) -> None:
    write(google, -5, received=10, text="late")
    assert list(entries(google)) == []
    google.lab.advance(5)
    assert [e.text_payload for e in entries(google)] == ["late"]


def test_entries_are_ordered_across_logs_and_paged(google: Google) -> None:
    for i in range(120):
        write(google, -600 + i, "run.googleapis.com/stdout" if i % 2 else "run.googleapis.com/stderr", text=str(i))
    write(google, -700, text="written last, oldest")
    oldest_first = list(entries(google))
    assert [e.text_payload for e in oldest_first[:2]] == ["written last, oldest", "0"]
    assert len(oldest_first) == 121
    newest_first = entries(google, order_by="timestamp desc", page_size=100)
    assert [len(page.entries) for page in newest_first.pages] == [100, 21]
    assert len([c for c in google.running.rpcs if c.name.endswith("ListLogEntries")]) == 3 + 2


def test_a_page_goes_on_after_the_last_entry_though_new_ones_came(google: Google) -> None:
    for i in range(4):
        write(google, -600 + i, text=str(i))
    pages = entries(google, order_by="timestamp desc", page_size=2).pages
    assert [e.text_payload for e in next(pages).entries] == ["3", "2"]
    write(google, -100, text="new")
    assert [e.text_payload for e in next(pages).entries] == ["1", "0"]


def test_logs_are_kept_for_thirty_days_and_admin_activity_for_four_hundred(google: Google) -> None:
    for days in (29, 31, 399, 401):
        write(google, -days * 86400, text=f"line {days}")
        write(google, -days * 86400, "cloudaudit.googleapis.com/activity", text=f"change {days}")
    assert {e.text_payload for e in entries(google)} == {"line 29", "change 29", "change 31", "change 399"}


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"filter": 'text="a"'}, exceptions.InvalidArgument, "Field not found"),
        ({"page_size": 1001}, exceptions.InvalidArgument, "page_size"),
        ({"page_size": -1}, exceptions.InvalidArgument, "page_size"),
        ({"order_by": "severity desc"}, exceptions.InvalidArgument, "order_by"),
        ({"resource_names": []}, exceptions.InvalidArgument, "resource_names"),
        ({"resource_names": ["projects/other"]}, exceptions.PermissionDenied, "log views"),
        ({"page_token": "abc"}, exceptions.InvalidArgument, "page token"),
    ],
)
def test_a_log_read_that_google_refuses_is_refused(google: Google, more: dict[str, Any], error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        entries(google, **more)


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_a_log_read_without_time_for_all_answers_in_part_and_loses_nothing(
    starts: Start, order: str, seconds: float
) -> None:
    google = starts(faults=(Fault(rpc="ListLogEntries", kind="short", seconds=seconds, pages=6),))
    for hour in range(0, 24, 2):
        write(google, -3600.0 * hour - 10, text=f"hour {hour}")
    begin, end = (datetime.fromtimestamp(NOW + at, UTC).isoformat() for at in (-86400, 10))
    asked = f'timestamp>="{begin}" AND timestamp<="{end}"'
    pages = list(entries(google, asked, order_by=order, page_size=5).pages)
    read = [e.text_payload for page in pages for e in page.entries]
    assert read == sorted(read, key=lambda text: int(text[5:]), reverse=order == "timestamp asc")
    assert len(read) == 12, "each once"
    assert any(len(page.entries) < 5 and page.next_page_token for page in pages), (
        "shorter than asked for, and not the end"
    )
    assert not pages[-1].next_page_token


def test_the_log_quota_is_per_minute(starts: Start) -> None:
    seconds = [0.0]
    google = starts(log_reads_per_minute=2, quota_clock=lambda: seconds[0])
    entries(google)
    entries(google)
    with pytest.raises(exceptions.ResourceExhausted, match="Quota exceeded") as refusal:
        entries(google)
    assert refusal.value.reason == "RATE_LIMIT_EXCEEDED"
    seconds[0] = 61
    entries(google)


# --- faults, permissions, record -------------------------------------------------------------------------------------


def test_a_denial_names_the_permission_where_google_does(starts: Start) -> None:
    google = starts(lacks=("run.services.get", "pubsub.topics.get"))
    with pytest.raises(exceptions.PermissionDenied) as refusal:
        google.client(run_v2.ServicesClient).get_service(name=f"{REGION}/services/prediction-worker", **ASK)
    assert refusal.value.reason == "IAM_PERMISSION_DENIED"
    assert refusal.value.metadata["permission"] == "run.services.get"
    with pytest.raises(exceptions.PermissionDenied, match="User not authorized") as refusal:
        google.client(PublisherClient).get_topic(topic=f"{PROJECT}/topics/gone", **ASK)
    assert refusal.value.reason is None


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unavailable", exceptions.ServiceUnavailable),
        ("permission_denied", exceptions.PermissionDenied),
        ("resource_exhausted", exceptions.ResourceExhausted),
        ("unauthenticated", exceptions.Unauthenticated),
    ],
)
def test_a_fault_hits_its_rpc_and_no_other(starts: Start, kind: Any, error: type[Exception]) -> None:
    google = starts(faults=(Fault(rpc="Publisher/GetTopic", kind=kind),))
    publisher = google.client(PublisherClient)
    with pytest.raises(error):
        publisher.get_topic(topic=f"{PROJECT}/topics/dead", **ASK)
    assert list(publisher.list_topics(project=PROJECT, **ASK))


def test_a_fault_on_an_rpc_that_is_not_served_is_a_mistake(starts: Start) -> None:
    with pytest.raises(ValueError, match="no such RPC: GetTopics"):
        starts(faults=(Fault(rpc="GetTopics", kind="hang"),))


def test_a_fault_can_hit_service_urls_too(starts: Start) -> None:
    google = starts(faults=(Fault(rpc="HTTP", kind="unavailable"),))
    assert http(google, "GET", "/health", WORKER)[0] == 503
    assert http(google, "GET", "/lab")[0] == 200


def test_a_fault_can_begin_after_some_calls_and_cut_a_listing(starts: Start) -> None:
    late = Fault(rpc="GetTopic", kind="unavailable", after_calls=1)
    google = starts(faults=(late, Fault(rpc="ListTopics", kind="cut", after_pages=1)))
    publisher = google.client(PublisherClient)
    publisher.get_topic(topic=f"{PROJECT}/topics/dead", **ASK)
    with pytest.raises(exceptions.ServiceUnavailable):
        publisher.get_topic(topic=f"{PROJECT}/topics/dead", **ASK)
    pages = publisher.list_topics(request={"project": PROJECT, "page_size": 1}, **ASK).pages
    assert len(next(pages).topics) == 1
    with pytest.raises(exceptions.ServiceUnavailable, match="Connection reset"):
        next(pages)


def test_a_hanging_call_outlives_neither_its_deadline_nor_the_lab(starts: Start) -> None:
    google = starts(faults=(Fault(rpc="GetTopic", kind="hang"),))
    publisher = google.client(PublisherClient)
    with pytest.raises(exceptions.DeadlineExceeded):
        publisher.get_topic(topic=f"{PROJECT}/topics/dead", timeout=0.2, retry=None)
    ended: list[Exception] = []

    def ask() -> None:
        try:
            publisher.get_topic(topic=f"{PROJECT}/topics/dead", timeout=60, retry=None)
        except exceptions.GoogleAPICallError as error:
            ended.append(error)

    callers = [threading.Thread(target=ask) for _ in range(8)]
    for caller in callers:
        caller.start()
    while len(google.running.rpcs) < 1:  # the first one has ended; the others are on their way or hang
        time.sleep(0.01)
    google.running.close()
    for caller in callers:
        caller.join(10)
    assert len(ended) == 8


def test_many_calls_at_once_are_answered(starts: Start) -> None:
    google = starts(rpc_delay_s=3.0)
    publisher = google.client(PublisherClient)
    callers = [
        threading.Thread(target=publisher.get_topic, kwargs={"topic": f"{PROJECT}/topics/dead", **ASK})
        for _ in range(48)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    calls = google.running.rpcs
    assert [c.status for c in calls] == ["OK"] * 48
    assert max(c.started for c in calls) < min(c.ended for c in calls)  # all under way before the first ended


def test_every_call_is_recorded(google: Google) -> None:
    subscriber = google.client(SubscriberClient)
    with pytest.raises(exceptions.NotFound):
        subscriber.get_subscription(subscription=f"{PROJECT}/subscriptions/gone", **ASK)
    found = google.client(PublisherClient).get_topic(topic=f"{PROJECT}/topics/dead", **ASK)
    call, answered = google.running.rpcs
    assert call.name == "google.pubsub.v1.Subscriber/GetSubscription"
    assert (call.resource, call.status, call.size) == (f"{PROJECT}/subscriptions/gone", "NOT_FOUND", 0)
    assert call.ended >= call.started
    assert answered.size == type(found).pb(found).ByteSize() > 0


def test_a_call_that_is_not_served_is_unimplemented(google: Google) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        google.client(PublisherClient).delete_topic(topic=f"{PROJECT}/topics/dead", **ASK)


# --- HTTP ------------------------------------------------------------------------------------------------------------


def http(
    google: Google, method: str, path: str, host: str = "", body: bytes | None = None, token: str = ""
) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(f"http://{google.running.endpoint}{path}", data=body, method=method)
    if host:
        request.add_header("Host", host)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_the_lab_says_where_and_when_it_is(google: Google) -> None:
    status, body, _ = http(google, "GET", "/lab")
    said = json.loads(body)
    assert status == 200
    assert said["grpc"] == f"127.0.0.1:{google.running.grpc_port}"
    assert (said["now"], said["clock"]) == ("2026-02-08T14:21:00.000000Z", "stands")
    assert (said["project"], said["caller"]) == ("nba-props-platform", "oncall@example.com")
    assert f"https://{WORKER}" in said["services"]["prediction-worker"]


def test_the_lab_can_be_advanced(google: Google) -> None:
    status, body, _ = http(google, "POST", "/lab/advance", body=b'{"seconds": 90}')
    assert (status, json.loads(body)["now"]) == (200, "2026-02-08T14:22:30Z")
    assert google.lab.now() == NOW + 90
    assert http(google, "POST", "/lab/advance", body=b'{"seconds": -1}')[0] == 400
    assert http(google, "POST", "/lab/advance", body=b"soon")[0] == 400


def test_a_request_with_a_services_host_reaches_that_service(google: Google) -> None:
    status, body, headers = http(google, "POST", "/predict?x=1", WORKER, b"there")
    assert (status, body, headers["X-Lab-Latency-S"]) == (403, b"hello there", "4.200")
    token = json.loads(http(google, "GET", "/lab/token?audience=https://a")[1])["token"]
    assert http(google, "GET", "/health", WORKER, token=token)[0] == 200
    assert google.lab.heard == [
        (WORKER, "POST", "/predict?x=1", None),
        (WORKER, "GET", "/health", Token("oncall@example.com", "https://a", NOW + 3600)),
    ]
    assert [(c.name, c.status) for c in google.running.rpcs] == [("HTTP", "403"), ("HTTP", "200")]


def test_a_foreign_token_is_a_token_that_proves_nothing(google: Google) -> None:
    http(google, "GET", "/", WORKER, token="ya29.access")
    assert google.lab.heard[0][3] == Token("", "", 0)


def test_a_caller_who_lacks_the_permission_invokes_as_nobody(starts: Start) -> None:
    google = starts(lacks=("run.routes.invoke",))
    token = json.loads(http(google, "GET", "/lab/token?audience=https://a")[1])["token"]
    http(google, "GET", "/", WORKER, token=token)
    assert google.lab.heard[0][3] == Token("nobody@example.com", "https://a", NOW + 3600)


def test_an_unreachable_service_gives_no_answer(google: Google) -> None:
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        http(google, "GET", "/lost", WORKER)


def test_certificates_rpcs_and_nothing_else(google: Google) -> None:
    assert "BEGIN CERTIFICATE" in json.loads(http(google, "GET", "/lab/certs")[1])["lab"]
    assert json.loads(http(google, "GET", "/lab/rpcs")[1]) == []
    assert http(google, "GET", "/")[0] == 404


def test_the_ports_are_closed_afterwards(google: Google) -> None:
    google.running.close()
    for port in (google.running.http_port, google.running.grpc_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("error", "told"), [(BrokenPipeError(), False), (ConnectionResetError(), False), (KeyError("x"), True)]
)
def test_a_caller_that_hangs_up_is_no_trouble(error: Exception, told: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        try:
            raise error
        except Exception:
            server.handle_error(None, ("127.0.0.1", 1))
    assert bool(capsys.readouterr().err) is told


def test_deny_policies_are_listed_without_rules_by_a_quoted_attachment_point(google: Google) -> None:
    """policies.listPolicies and policies.get: metadata only, then each; projects by id or number, answered by number."""
    deny = DenyPolicy("projects/756957797294", "edge", "run.googleapis.com/routes.invoke", (EVERYBODY,), created=NOW)
    google.lab.world.denied.append(deny)
    client = google.client(PoliciesClient)
    point = "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F"
    for project in ("nba-props-platform", "756957797294"):
        (listed,) = client.list_policies(request={"parent": f"{point}{project}/denypolicies"}, **ASK)
        assert listed.name == f"{point}756957797294/denypolicies/edge"
        assert not listed.rules
    (rule,) = client.get_policy(request={"name": listed.name}, **ASK).rules
    assert list(rule.deny_rule.denied_principals) == ["principalSet://goog/public:all"]
    for parent in (
        "policies/cloudresourcemanager.googleapis.com/projects/x/denypolicies",
        "policies/projects%2Fx/denypolicies",
    ):
        with pytest.raises(exceptions.InvalidArgument):
            client.list_policies(request={"parent": parent}, **ASK)
    with pytest.raises(exceptions.NotFound):
        client.get_policy(request={"name": f"{point}756957797294/denypolicies/none"}, **ASK)
