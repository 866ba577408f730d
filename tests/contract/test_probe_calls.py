"""The calls that a pull-mode probe makes, the same script on Google's emulator and on the lab; where they differ it is said why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient, types

from tests.contract.sides import Project, Receiver, until
from tests.lab.bench import Bench, bench

pytestmark = [pytest.mark.google_tools, pytest.mark.filterwarnings("ignore:The return_immediately flag")]

ASK: dict[str, Any] = {"timeout": 10, "retry": None}
DAY = 86400


@dataclass
class Side:
    """The emulator or the lab, through the real clients. Topics work, other and dead; a pull subscription and a push subscription."""

    project: str
    subscriber: SubscriberClient
    publisher: PublisherClient
    pass_time: Callable[[float], None]
    now: Callable[[], float]
    topics: dict[str, str] = field(default_factory=dict)

    def sub(self, name: str) -> str:
        return f"projects/{self.project}/subscriptions/{name}"

    def snap(self, name: str) -> str:
        return f"projects/{self.project}/snapshots/{name}"

    def topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{name}"

    def create(self, name: str, topic: str = "work", **fields: Any) -> types.Subscription:
        request = {"name": self.sub(name), "topic": self.topic(topic), **fields}
        return self.subscriber.create_subscription(request=request, **ASK)

    def update(self, *mask: str, **fields: Any) -> types.Subscription:
        request = {"subscription": {"name": self.sub("pull"), **fields}, "update_mask": {"paths": mask}}
        return self.subscriber.update_subscription(request=request, **ASK)

    def publish(self, *texts: str) -> None:
        messages = [{"data": text.encode()} for text in texts]
        self.publisher.publish(topic=self.topic("work"), messages=messages, **ASK)
        self.pass_time(0.2)

    def pull(self, name: str = "pull", rounds: int = 5) -> dict[str, Any]:
        """By text. One empty pull proves nothing, so several are made."""
        found: dict[str, Any] = {}
        for _ in range(rounds):
            request = {"subscription": self.sub(name), "max_messages": 100, "return_immediately": True}
            received = self.subscriber.pull(request=request, **ASK).received_messages
            found |= {r.message.data.decode(): r for r in received}
            self.pass_time(0.05)
        return found

    def give_back(self, received: dict[str, Any], name: str = "pull") -> None:
        ids = [r.ack_id for r in received.values()]
        request = {"subscription": self.sub(name), "ack_ids": ids, "ack_deadline_seconds": 0}
        self.subscriber.modify_ack_deadline(request=request, **ASK)
        self.pass_time(0.2)

    def ack(self, received: dict[str, Any], *texts: str, name: str = "pull") -> None:
        ids = [received[text].ack_id for text in texts or received]
        self.subscriber.acknowledge(request={"subscription": self.sub(name), "ack_ids": ids}, **ASK)

    def snapshot(self, name: str, of: str = "pull", **fields: Any) -> types.Snapshot:
        request = {"name": self.snap(name), "subscription": self.sub(of), **fields}
        return self.subscriber.create_snapshot(request=request, **ASK)

    def seek(self, name: str = "pull", **target: Any) -> None:
        self.subscriber.seek(request={"subscription": self.sub(name), **target}, **ASK)
        self.pass_time(0.2)

    def push_to(self, push_config: dict[str, Any], name: str = "push") -> types.PushConfig:
        """What GetSubscription then shows."""
        request = {"subscription": self.sub(name), "push_config": push_config}
        self.subscriber.modify_push_config(request=request, **ASK)
        return self.subscriber.get_subscription(subscription=self.sub(name), **ASK).push_config


@pytest.fixture
def emulated(project: Project) -> Side:
    side = Side(project.id, project.subscriber, project.publisher, time.sleep, time.time)
    for name in ("other", "dead"):
        project.topic(name)
    return _furnished(side, "http://127.0.0.1:9/nobody")


@pytest.fixture
def site() -> Iterator[Bench]:
    """As the emulator has it: later subscriptions get nothing from before, and no seek takes long."""
    with bench(snapshot_brings_older="false", change_over_s="5") as opened:
        yield opened


@pytest.fixture
def simulated(site: Bench) -> Side:
    def pass_time(seconds: float) -> None:
        site.lab.advance(seconds)

    side = Side(site.lab.world.project, site.subscriber, site.publisher, pass_time, site.lab.now)
    for name in ("work", "dead"):
        if name not in site.lab.world.topics:
            site.lab.world.topics[name] = type(site.lab.world.topics["jobs"])(name)
    return _furnished(side, "https://nobody.example.com/do")


def _furnished(side: Side, endpoint: str) -> Side:
    side.create("pull", ack_deadline_seconds=10)
    side.create("push", push_config={"push_endpoint": endpoint})
    side.create("elsewhere", topic="other")
    return side


# --- the same -----------------------------------------------------------------------------------------------------------


def _leases(side: Side) -> Iterator[object]:
    side.publish("a", "b", "c")
    first = side.pull()
    yield set(first)
    yield set(side.pull())
    side.ack(first, "a")
    side.give_back({text: first[text] for text in ("b", "c")})
    again = side.pull()
    yield set(again)
    side.ack(again)
    side.pass_time(0.2)
    yield set(side.pull())
    yield {r.delivery_attempt for r in again.values()}


def _attempts(side: Side) -> Iterator[object]:
    policy = {"dead_letter_topic": side.topic("dead"), "max_delivery_attempts": 5}
    side.create("strict", ack_deadline_seconds=10, dead_letter_policy=policy)
    side.create("parked", topic="dead")
    side.publish("a")
    for _ in range(5):
        found = side.pull("strict")
        yield found["a"].delivery_attempt
        side.give_back(found, "strict")
    side.pass_time(1)
    yield set(side.pull("strict"))
    yield set(side.pull("parked"))


def _snapshots(side: Side) -> Iterator[object]:
    side.publish("done", "open")
    found = side.pull()
    side.ack(found, "done")
    side.give_back({"open": found["open"]})
    made = side.snapshot("before")
    yield made.topic.rpartition("/")[2]
    yield 6.9 * DAY < made.expire_time.timestamp() - side.now() < 7.1 * DAY
    side.publish("later")
    side.ack(side.pull())
    side.pass_time(0.2)
    yield set(side.pull())
    side.seek(snapshot=side.snap("before"))
    again = side.pull()
    yield set(again)
    side.give_back(again)
    yield [s.name.rpartition("/")[2] for s in side.subscriber.list_snapshots(project=f"projects/{side.project}", **ASK)]
    side.subscriber.delete_snapshot(snapshot=side.snap("before"), **ASK)
    yield set(side.pull())


def _copies(side: Side) -> Iterator[object]:
    """A subscription made later gets nothing from before it, which the lab draws either way."""
    side.publish("old")
    side.snapshot("before")
    side.publish("between")
    side.create("copy")
    side.publish("new")
    side.seek("copy", snapshot=side.snap("before"))
    yield set(side.pull("copy"))
    yield set(side.pull())


def _purges(side: Side) -> Iterator[object]:
    side.publish("old")
    moment = datetime.fromtimestamp(side.now(), UTC)
    side.pass_time(0.1)
    side.publish("new")
    side.seek(time=moment)
    yield set(side.pull())


def _retained(side: Side) -> Iterator[object]:
    side.create("keeps", retain_acked_messages=True, ack_deadline_seconds=10)
    moment = datetime.fromtimestamp(side.now(), UTC)
    side.pass_time(0.1)
    side.publish("a", "b")
    side.ack(side.pull("keeps"), name="keeps")
    side.pass_time(0.2)
    yield set(side.pull("keeps"))
    side.seek("keeps", time=moment)
    yield set(side.pull("keeps"))


def _push_configs(side: Side) -> Iterator[object]:
    endpoint = "https://worker.example.com/do?key=1"
    for push_config in (
        {"push_endpoint": endpoint},
        {"push_endpoint": endpoint, "oidc_token": {"service_account_email": "p@x.iam.gserviceaccount.com"}},
        {"push_endpoint": endpoint, "oidc_token": {"service_account_email": "p@x", "audience": "https://a"}},
        {"push_endpoint": endpoint, "no_wrapper": {"write_metadata": True}},
        {"push_endpoint": endpoint, "no_wrapper": {}},
        {"push_endpoint": endpoint, "pubsub_wrapper": {}},
        {"push_endpoint": endpoint, "attributes": {"x-goog-version": "v1beta1"}},
        {},
    ):
        shown = types.PushConfig.to_dict(side.push_to(push_config))
        attributes = shown.pop("attributes")
        yield shown
        yield attributes.get("x-goog-version", "v1") if "attributes" in push_config else ""


SCRIPTS = (_leases, _attempts, _snapshots, _copies, _purges, _retained, _push_configs)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__.strip("_"))
def test_both_sides_answer_the_same(
    emulated: Side, simulated: Side, site: Bench, script: Callable[[Side], Iterator[object]]
) -> None:
    agent = f"serviceAccount:{site.lab.world.pubsub_agent}"
    site.lab.world.policy.add("roles/pubsub.editor", agent)  # dead letters need it; the emulator knows no IAM
    assert list(script(simulated)) == list(script(emulated))


def test_a_switch_to_pull_and_back_brings_every_message_to_the_worker(
    emulated: Side, simulated: Side, site: Bench, receiver: Receiver
) -> None:
    texts = {f"m{n}" for n in range(8)}
    pushing = {"push_endpoint": receiver.url}
    emulated.push_to({})
    emulated.publish(*texts)
    peeked = emulated.pull("push")
    emulated.give_back(peeked, "push")
    assert not receiver.pushes
    emulated.push_to(pushing)
    until(lambda: set(receiver.deliveries()) == texts)

    simulated.push_to({})
    simulated.pass_time(6)
    simulated.publish(*texts)
    assert set(simulated.pull("push")) == set(peeked) == texts
    pushed = site.truth("push")["delivered_by_push"]
    simulated.push_to({"push_endpoint": "https://nobody.example.com/do"})
    simulated.pass_time(600)
    told = site.truth("push")
    assert (told["waiting"], told["acked_by_pull"]) == (8, 0)
    assert told["delivered_by_push"] >= pushed + 8


# --- refused, and what only one of them refuses ---------------------------------------------------------------------------

Refusal = type[Exception] | None
BAD, GONE, THERE = exceptions.InvalidArgument, exceptions.NotFound, exceptions.AlreadyExists
STATE, RANGE = exceptions.FailedPrecondition, exceptions.OutOfRange


def _pull(side: Side, name: str, n: int) -> object:
    request = {"subscription": side.sub(name), "max_messages": n, "return_immediately": True}
    return side.subscriber.pull(request=request, **ASK)


def _moved(side: Side, *ids: str, seconds: int = 0) -> object:
    request = {"subscription": side.sub("pull"), "ack_ids": ids, "ack_deadline_seconds": seconds}
    return side.subscriber.modify_ack_deadline(request=request, **ASK)


def _other_topics(side: Side) -> None:
    side.snapshot("before")
    side.seek("elsewhere", snapshot=side.snap("before"))


def _twice(side: Side) -> object:
    side.snapshot("before")
    return side.snapshot("before")


SAME: dict[str, tuple[Callable[[Side], object], Refusal]] = {
    "pull of nothing": (lambda s: _pull(s, "pull", 0), BAD),
    "pull of what is not there": (lambda s: _pull(s, "gone", 1), GONE),
    "no ack ids": (lambda s: _moved(s), BAD),
    "an ack id that is none": (lambda s: _moved(s, "zzz"), BAD),
    "snapshot of what is not there": (lambda s: s.snapshot("before", of="gone"), GONE),
    "snapshot without a name": (
        lambda s: s.subscriber.create_snapshot(request={"subscription": s.sub("pull")}, **ASK),
        BAD,
    ),
    "snapshot twice": (_twice, THERE),
    "get snapshot": (lambda s: s.subscriber.get_snapshot(snapshot=s.snap("gone"), **ASK), GONE),
    "delete snapshot": (lambda s: s.subscriber.delete_snapshot(snapshot=s.snap("gone"), **ASK), GONE),
    "seek to nothing": (lambda s: s.seek(), BAD),
    "seek to what is not there": (lambda s: s.seek(snapshot=s.snap("gone")), GONE),
    "seek to another topic's": (_other_topics, STATE),
    "create twice": (lambda s: s.create("pull"), THERE),
    "create on no topic": (lambda s: s.create("new", topic="none"), GONE),
    "a short name": (lambda s: s.create("ab"), BAD),
    "a reserved name": (lambda s: s.create("google"), BAD),
    "an ack deadline over 600 s": (lambda s: s.create("new", ack_deadline_seconds=601), BAD),
    "a retention below 10 min": (lambda s: s.create("new", message_retention_duration={"seconds": 599}), BAD),
    "a retention above 31 d": (lambda s: s.create("new", message_retention_duration={"seconds": 32 * DAY}), BAD),
    "no dead-letter topic": (
        lambda s: s.create("new", dead_letter_policy={"dead_letter_topic": s.topic("none")}),
        GONE,
    ),
    "an empty mask": (lambda s: s.update(), BAD),
    "a mask in camel case": (lambda s: s.update("pushConfig"), BAD),
    "a mask into a field": (lambda s: s.update("push_config.push_endpoint"), BAD),
    "the topic": (lambda s: s.update("topic"), BAD),
    "the ack deadline": (lambda s: s.update("ack_deadline_seconds", ack_deadline_seconds=20), None),
    "the push config": (
        lambda s: s.update("push_config", push_config={"push_endpoint": "https://a.example.com"}),
        None,
    ),
    "an endpoint that is none": (lambda s: s.push_to({"push_endpoint": "nonsense"}), BAD),
    "delete what is not there": (lambda s: s.subscriber.delete_subscription(subscription=s.sub("gone"), **ASK), GONE),
}
"""What is asked, and how both answer."""

DIFFERENT: dict[str, tuple[Callable[[Side], object], Refusal, Refusal, str]] = {
    "pull of a push subscription": (lambda s: _pull(s, "push", 1), None, STATE, "public reports show that the service refuses"),
    "a new label": (lambda s: s.update("labels", labels={"a": "b"}), BAD, None, "labels can be updated, says the labels page"),
    "a new expiration": (
        lambda s: s.update("expiration_policy"), BAD, None, "the emulator does not know the field in a mask",
    ),
    "an ack deadline below 10 s": (lambda s: s.create("new", ack_deadline_seconds=9), None, BAD, "pubsub.proto"),
    "an expiration below 1 d": (
        lambda s: s.create("new", expiration_policy={"ttl": {"seconds": DAY - 1}}), None, BAD, "pubsub.proto",
    ),
    "an expiration within the retention": (
        lambda s: s.create("new", expiration_policy={"ttl": {"seconds": DAY}}), None, BAD, "subscription properties page, quoted",
    ),
    "a filter that is none": (lambda s: s.create("new", filter="nonsense"), None, BAD, "the emulator keeps filters unread"),
    "an upper-case label": (lambda s: s.create("new", labels={"A": "b"}), None, BAD, "labels page"),
    "four attempts": (
        lambda s: s.create("new", dead_letter_policy={"dead_letter_topic": s.topic("dead"), "max_delivery_attempts": 4}),
        RANGE, BAD, "the code is not documented; both are a 400",
    ),
    "a push over plain http": (
        lambda s: s.push_to({"push_endpoint": "http://127.0.0.1:9/x"}), None, BAD, "push page: https only; a test needs http",
    ),
    "an unknown attribute": (
        lambda s: s.push_to({"push_endpoint": "https://a.example.com", "attributes": {"colour": "red"}}),
        None, BAD, "pubsub.proto knows x-goog-version only",
    ),
}  # fmt: skip
"""What is asked, how the emulator answers, how the lab does, and why the lab is not as the emulator."""


def _outcome(side: Side, call: Callable[[Side], object]) -> Refusal:
    try:
        call(side)
    except exceptions.GoogleAPICallError as error:
        return type(error)
    return None


def test_both_sides_refuse_the_same(emulated: Side, simulated: Side) -> None:
    for name, (call, expected) in SAME.items():
        for side in (emulated, simulated):
            assert (name, side.project, _outcome(side, call)) == (name, side.project, expected)
            _outcome(side, _without_snapshot)


def _without_snapshot(side: Side) -> None:
    side.subscriber.delete_snapshot(snapshot=side.snap("before"), **ASK)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_only_one_side_refuses_is_still_so(emulated: Side, simulated: Side, name: str) -> None:
    call, by_emulator, by_lab, why = DIFFERENT[name]
    assert why
    assert (_outcome(emulated, call), _outcome(simulated, call)) == (by_emulator, by_lab)


def test_only_the_emulator_forgets_a_snapshots_labels(emulated: Side, simulated: Side) -> None:
    """So a probe that looks for its own snapshots has to know them by name, too."""
    labels = {"made-by": "probe"}
    assert dict(emulated.snapshot("before", labels=labels).labels) == {}
    assert dict(simulated.snapshot("before", labels=labels).labels) == labels


def test_only_the_emulator_hides_the_version_attribute(emulated: Side, simulated: Side) -> None:
    """GetSubscription always tells it, says pubsub.proto."""
    push_config = {"push_endpoint": "https://a.example.com"}
    assert dict(emulated.push_to(push_config).attributes) == {}
    assert dict(simulated.push_to(push_config).attributes) == {"x-goog-version": "v1"}
