"""What Google documents of Pub/Sub push, held against the lab's broker."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import simpy

from diagnostics.lab.broker import Broker
from diagnostics.lab.filters import FilterError, compile_filter
from diagnostics.lab.flow import backoff
from diagnostics.lab.http import Answer, PublishError, Request, Response
from diagnostics.lab.model import Policy, PushConfig, ServiceAccount, Subscription, Topic, World
from diagnostics.lab.unverified import Unverified

AGENT = "serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com"
PUSHER = "pusher@p.iam.gserviceaccount.com"
PUBLISHER = "publisher@p.iam.gserviceaccount.com"
ENDPOINT = "https://worker-abc-wl.a.run.app/do"
UNVERIFIED = replace(
    Unverified.draw(random.Random(1)),
    push_code_style="http",
    minting="internal",
    token_reuse_s=0.0,
    snapshot_brings_older=True,
    pull_counts=True,
    change_over_s=60.0,
    seek_settles_s=0.0,
    short_pulls=0.0,
)


class Recording:
    """A recorder that remembers totals and last levels."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.levels: dict[tuple[str, ...], float | None] = {}
        self.values: list[tuple[str, float]] = []

    def count(self, metric: str, _resource: Any, labels: Any, _at: float, n: float = 1) -> None:
        self.counts[metric.rpartition("/")[2], *labels.values()] += int(n)

    def observe(self, metric: str, _resource: Any, _labels: Any, _at: float, value: float) -> None:
        self.values.append((metric.rpartition("/")[2], value))

    def level(self, metric: str, _resource: Any, labels: Any, _at: float, value: float | None) -> None:
        self.levels[metric.rpartition("/")[2], *labels.values()] = value

    age_of_oldest = level

    def log(self, _entry: Any) -> None: ...


class Site:
    """A topic, a push subscription and an endpoint that answers what the test says."""

    def __init__(self, unverified: Unverified = UNVERIFIED, **settings: Any) -> None:
        self.env = simpy.Environment(initial_time=1.8e9)
        self.world = World(project="p", number="123", region="us-west2", region_code="wl")
        for name in ("jobs", "dead"):
            self.world.topics[name] = Topic(name)
        self.world.topics["jobs"].policy.add("roles/pubsub.publisher", f"serviceAccount:{PUBLISHER}")
        self.world.accounts[PUSHER] = ServiceAccount(PUSHER, "1")
        self.world.policy.add("roles/pubsub.serviceAgent", AGENT)
        push = PushConfig(ENDPOINT, account=PUSHER)
        defaults: dict[str, Any] = {"push": push, "retry": None, "ack_deadline_s": 60}
        self.world.subscriptions["jobs"] = Subscription("jobs", "jobs", **{**defaults, **settings})
        self.world.subscriptions["dead"] = Subscription("dead", "dead")
        self.recorder = Recording()
        self.requests: list[tuple[float, Request]] = []
        self.respond: Callable[[Request], Response | None] = lambda _: Response(204)
        self.takes_s = 0.1
        self.broker = Broker(self.env, self.world, unverified, self.recorder, random.Random(7), self._deliver)

    def _deliver(self, request: Request, answer: Answer) -> None:
        self.requests.append((self.env.now, request))
        if (response := self.respond(request)) is not None:
            self.env.timeout(self.takes_s).callbacks.append(lambda _: answer(response))

    def publish(self, n: int = 1, **attributes: str) -> None:
        for i in range(n):
            self.broker.publish("jobs", b'{"n": %d}' % i, attributes, PUBLISHER)

    def run(self, seconds: float) -> None:
        self.env.run(until=self.env.now + seconds)

    def pushes(self, response_class: str) -> int:
        rows = self.recorder.counts.items()
        return sum(n for key, n in rows if key[0] == "push_request_count" and key[1] == response_class)

    @property
    def held(self) -> int:
        return len(self.broker.backlog("jobs"))


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
def test_five_codes_acknowledge(status: int) -> None:
    site = Site()
    site.respond = lambda _: Response(status)
    site.publish()
    site.run(5)
    assert (site.held, site.pushes("ack")) == (0, 1)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (203, "invalid"),
        (206, "invalid"),
        (307, "invalid"),
        (400, "remote_server_4xx"),
        (429, "remote_server_4xx"),
        (500, "remote_server_5xx"),
        (503, "remote_server_5xx"),
        (0, "unreachable"),
    ],
)
def test_every_other_code_is_a_nack(status: int, shown: str) -> None:
    site = Site()
    site.respond = lambda _: Response(status)
    site.publish()
    site.run(5)
    assert site.held == 1
    assert site.pushes("ack") == 0
    assert site.pushes(shown) > 1


def test_one_message_a_push_in_googles_envelope() -> None:
    site = Site()
    site.publish(2, kind="x")
    site.run(5)
    bodies = [json.loads(request.body) for _, request in site.requests]
    assert [body["subscription"] for body in bodies] == ["projects/p/subscriptions/jobs"] * 2
    assert {body["message"]["messageId"] == body["message"]["message_id"] for body in bodies} == {True}
    assert bodies[0]["message"]["attributes"] == {"kind": "x"}
    assert "deliveryAttempt" not in bodies[0]


def test_audience_defaults_to_the_whole_endpoint_url() -> None:
    site = Site()
    site.publish()
    site.run(5)
    token = site.requests[0][1].token
    assert token is not None
    assert (token.email, token.audience) == (PUSHER, ENDPOINT)


def test_without_push_account_there_is_no_token() -> None:
    site = Site(push=PushConfig(ENDPOINT))
    site.publish()
    site.run(5)
    assert site.requests[0][1].token is None


@pytest.mark.parametrize(("minting", "pushes"), [("internal", True), ("remote_server_4xx", True), ("silent", False)])
def test_no_push_reaches_the_endpoint_while_no_token_can_be_minted(minting: str, pushes: bool) -> None:
    site = Site(replace(UNVERIFIED, minting=minting))
    site.world.policy = Policy()
    site.publish()
    site.run(60)
    assert (site.requests, site.held) == ([], 1)
    assert bool(site.pushes(minting)) is pushes
    site.world.accounts[PUSHER].policy.add("roles/iam.serviceAccountTokenCreator", AGENT)
    site.run(120)
    assert site.held == 0


def test_a_disabled_push_account_mints_nothing_once_its_old_token_is_used_up() -> None:
    site = Site(replace(UNVERIFIED, token_reuse_s=1800.0))
    site.publish()
    site.run(5)
    site.world.accounts[PUSHER].disabled = True
    site.publish()
    site.run(5)
    assert site.held == 0
    site.run(1800)
    site.publish()
    site.run(60)
    assert site.held == 1


def test_a_late_answer_does_not_count() -> None:
    site = Site(ack_deadline_s=10)
    site.takes_s = 15
    site.publish()
    site.run(16)
    assert (site.pushes("deadline_exceeded"), site.pushes("ack"), site.held) == (1, 0, 1)
    assert len(site.requests) == 2, "and the message is delivered again"


def test_backoff_meets_both_documented_examples() -> None:
    assert 0.1 <= backoff(0.2) <= 1.0
    assert 30 <= backoff(1.0) <= 60
    assert backoff(0.0) == 0


def test_one_poison_message_slows_all_the_others() -> None:
    site = Site()
    site.publish(300)
    site.run(20)
    assert site.held == 0
    poisoned = Site()
    poisoned.respond = lambda _: Response(400)
    poisoned.publish(23)
    poisoned.run(3600)
    pushes = poisoned.pushes("remote_server_4xx")
    assert 60 < pushes < 400, "the pause of up to 60 s holds the whole subscription, not each message"
    poisoned.requests.clear()
    poisoned.respond = lambda _: Response(204)
    poisoned.publish(1)
    start = poisoned.env.now
    poisoned.run(300)
    assert poisoned.requests[0][0] - start > 1, "a good message waits for the pause, too"


def test_retry_policy_comes_on_top_of_the_pause() -> None:
    quick, slow = Site(), Site(retry=(100, 600))
    for site in (quick, slow):
        site.respond = lambda _: Response(500)
        site.publish()
        site.run(1000)
    gaps = [b - a for (a, _), (b, _) in zip(slow.requests, slow.requests[1:], strict=False)]
    assert gaps[0] == pytest.approx(100, rel=0.15)
    assert gaps[1] == pytest.approx(200, rel=0.15)
    assert len(quick.requests) > len(slow.requests)


def _with_dead_letters(**grants: bool) -> Site:
    site = Site(dead_letter_topic="dead", max_delivery_attempts=5)
    if grants.get("publisher"):
        site.world.topics["dead"].policy.add("roles/pubsub.publisher", AGENT)
    if grants.get("subscriber"):
        site.world.subscriptions["jobs"].policy.add("roles/pubsub.subscriber", AGENT)
    site.respond = lambda _: Response(500)
    site.publish()
    site.run(600)
    return site


def test_dead_letters_are_forwarded_after_the_last_attempt() -> None:
    site = _with_dead_letters(publisher=True, subscriber=True)
    assert [json.loads(request.body)["deliveryAttempt"] for _, request in site.requests] == [1, 2, 3, 4, 5]
    assert site.held == 0
    (dead,) = site.broker.backlog("dead")
    assert dead.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert site.recorder.counts["dead_letter_message_count", "success"] == 1


@pytest.mark.parametrize("grants", [{"publisher": True}, {"subscriber": True}, {}])
def test_attempts_do_not_count_without_both_grants(grants: dict[str, bool]) -> None:
    site = _with_dead_letters(**grants)
    assert len(site.requests) > 5
    assert site.held == 1
    assert all("deliveryAttempt" not in json.loads(request.body) for _, request in site.requests)


def test_publish_is_refused_as_google_refuses_it() -> None:
    site = Site()
    with pytest.raises(PublishError) as missing:
        site.broker.publish("nowhere", b"", {}, PUBLISHER)
    with pytest.raises(PublishError) as denied:
        site.broker.publish("jobs", b"", {}, "other@p.iam.gserviceaccount.com")
    site.world.quota_exceeded["pubsub.googleapis.com/regionalpublisher"] = [(site.env.now, site.env.now + 60)]
    with pytest.raises(PublishError) as exhausted:
        site.broker.publish("jobs", b"", {}, PUBLISHER)
    codes = [caught.value.code for caught in (missing, denied, exhausted)]
    assert codes == ["NOT_FOUND", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"]
    assert missing.value.message == "Resource not found (resource=nowhere)."
    assert site.recorder.counts["send_request_count", "invalid", "permission_denied"] == 1


def test_what_matches_no_schema_or_is_too_large_is_refused_as_invalid() -> None:
    site = Site()
    site.world.topics["jobs"].schema_fields = ("order",)
    site.broker.publish("jobs", b'{"order":"1","more":2}', {}, PUBLISHER)
    for data in (b'{"other":"1"}', b"no JSON", b'{"order":"1"}' + b" " * 10_000_000):
        with pytest.raises(PublishError) as refused:
            site.broker.publish("jobs", data, {}, PUBLISHER)
        assert refused.value.code == "INVALID_ARGUMENT"
    assert site.recorder.counts["send_request_count", "invalid", "invalid_argument"] == 3


def test_a_topic_without_subscription_swallows_messages() -> None:
    site = Site()
    site.broker.remove("jobs")
    site.publish()
    site.run(60)
    assert site.requests == []
    assert site.recorder.counts["send_request_count", "success", "success"] == 1
    assert site.recorder.levels["num_undelivered_messages",] is None, "the series of the deleted subscription ends"


def test_a_new_subscription_gets_only_what_comes_after_it() -> None:
    site = Site()
    site.publish()
    site.world.subscriptions["late"] = Subscription("late", "jobs")
    site.broker.attach("late")
    site.publish()
    assert len(site.broker.backlog("late")) == 1


def test_a_deleted_topic_leaves_its_subscription_orphaned() -> None:
    site = Site()
    site.broker.remove_topic("jobs")
    assert site.world.subscriptions["jobs"].topic == "_deleted-topic_"
    site.world.topics["jobs"] = Topic("jobs", Policy())
    site.world.topics["jobs"].policy.add("roles/pubsub.publisher", f"serviceAccount:{PUBLISHER}")
    site.publish()
    assert site.held == 0, "a topic of the same name does not re-attach it"


def test_detaching_drops_the_backlog_for_good() -> None:
    site = Site(push=PushConfig())
    site.publish()
    site.world.subscriptions["jobs"].detached = True
    site.broker.changed("jobs")
    site.publish()
    assert site.held == 0


def test_messages_older_than_the_retention_are_lost() -> None:
    site = Site(push=PushConfig(), retention_s=3600)
    site.publish()
    site.run(1800)
    site.publish()
    site.run(1801)
    assert site.held == 1
    site.run(1800)
    assert site.held == 0
    assert not any(key[0] == "ack_message_count" for key in site.recorder.counts)


def test_an_unused_subscription_expires_with_its_backlog() -> None:
    site = Site(expiration_s=86400, push=PushConfig())
    site.publish()
    site.run(86399)
    assert "jobs" in site.world.subscriptions
    site.run(10)
    assert "jobs" not in site.world.subscriptions


def test_successful_pushes_keep_a_subscription_alive() -> None:
    site = Site(expiration_s=86400)
    for _ in range(5):
        site.run(80000)
        site.publish()
    site.run(10)
    assert "jobs" in site.world.subscriptions


def test_a_filter_acknowledges_what_does_not_match() -> None:
    site = Site(filter='attributes.kind = "good"')
    site.publish(2, kind="bad")
    site.publish(1, kind="good")
    site.publish(1)
    site.run(5)
    assert site.pushes("ack") == 1
    assert site.recorder.counts["ack_message_count", "filter"] == 3


@pytest.mark.parametrize(
    ("text", "attributes", "takes"),
    [
        ('attributes.k = "v"', {"k": "v"}, True),
        ('attributes.k != "v"', {}, False),
        ("attributes:k", {"k": ""}, True),
        ('NOT attributes.k = "v"', {}, True),
        ('attributes.a = "1" AND (attributes.b = "2" OR attributes:c)', {"a": "1", "c": ""}, True),
        ('hasPrefix(attributes.k, "ab")', {"k": "abc"}, True),
    ],
)
def test_filter_grammar(text: str, attributes: dict[str, str], takes: bool) -> None:
    assert compile_filter(text)(attributes) is takes


@pytest.mark.parametrize(
    "text",
    ['data = "x"', "attributes.k = v", 'attributes.k ~ "v"', "attributes:a AND attributes:b OR attributes:c", "("],
)
def test_what_is_not_a_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(text)


def test_a_switch_to_pull_gathers_messages_and_every_peek_is_an_attempt() -> None:
    site = Site(push=PushConfig(), dead_letter_topic="dead", max_delivery_attempts=5)
    site.world.topics["dead"].policy.add("roles/pubsub.publisher", AGENT)
    site.world.subscriptions["jobs"].policy.add("roles/pubsub.subscriber", AGENT)
    site.publish()
    attempts = []
    for _ in range(5):
        site.run(1)
        ((ack_id, held),) = site.broker.pull("jobs", 10)
        attempts.append(held.attempts)
        site.broker.modify_ack_deadline("jobs", [ack_id], 0)
    assert attempts == [1, 2, 3, 4, 5]
    assert (site.held, len(site.broker.backlog("dead"))) == (0, 1)


def test_pulled_messages_come_again_unless_acknowledged_in_time() -> None:
    site = Site(push=PushConfig(), ack_deadline_s=10)
    site.publish(2)
    site.run(1)
    (first, _), (second, _) = site.broker.pull("jobs", 10)
    site.broker.modify_ack_deadline("jobs", [first], 100)
    site.run(11)
    again = site.broker.pull("jobs", 10)
    assert len(again) == 1
    site.broker.acknowledge("jobs", [second, first])
    assert site.held == 1, "the outdated ack id of the second delivery is ignored"


def test_seek_purges_and_shows_only_in_the_metric() -> None:
    site = Site(push=PushConfig())
    site.publish(3)
    site.run(1)
    assert site.broker.seek("jobs", site.env.now) == 3
    assert site.held == 0
    assert site.recorder.levels["delivery_latency_health_score", "seek_requests"] == 0
    site.run(601)
    assert site.recorder.levels["delivery_latency_health_score", "seek_requests"] == 1


def test_the_same_seed_gives_the_same_pushes() -> None:
    def times() -> list[float]:
        site = Site()
        site.respond = lambda _: Response(204 if len(site.requests) % 3 else 500)
        site.publish(40)
        site.run(600)
        return [at for at, _ in site.requests]

    assert times() == times()
