"""The two sides that contract tests compare: Google's emulator pushing to a real HTTP receiver, and the lab's broker."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import simpy

from diagnostics.evidence.model import Evidence, EvidenceSet
from diagnostics.lab.broker import Broker
from diagnostics.lab.http import Answer, Request, Response
from diagnostics.lab.model import PushConfig, ServiceAccount, Subscription, Topic, World
from diagnostics.lab.unverified import Unverified
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.sources.collect import Ask, collect
from diagnostics.transport.session import LabSeam, Session
from diagnostics.transport.sign_in import SignIn
from tests.contract.google_tools import Emulator

DONE_S = 20.0
"""How long to wait for what has to happen; what has to be absent is looked at when that has happened."""
PUSHER = "pusher@p.iam.gserviceaccount.com"

_number = count(1)


@dataclass
class Receiver:
    """A real HTTP worker on loopback: keeps what was pushed and answers what the test says."""

    respond: Callable[[dict[str, Any]], int] = lambda _: 204
    pushes: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """Envelope and headers of each push."""
    url: str = ""

    def deliveries(self) -> Counter[str]:
        """How often each message came, by its text."""
        return Counter(text_of(envelope) for envelope, _ in list(self.pushes))


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.pushes.append((envelope, dict(self.headers)))
            self.send_response(kept.respond(envelope))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/do"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()


class Project:
    """A project of its own in the emulator, with a topic `work`, through the real clients."""

    def __init__(self, emulator: Emulator) -> None:
        from google.pubsub_v1 import PublisherClient, SubscriberClient

        self.id = f"emulated-{next(_number)}"
        self.address = emulator.address
        self.publisher = emulator.client(PublisherClient)
        self.subscriber = emulator.client(SubscriberClient)
        self.topic("work")

    def topic(self, name: str) -> str:
        return str(self.publisher.create_topic(name=self.topic_name(name)).name)

    def topic_name(self, name: str) -> str:
        return f"projects/{self.id}/topics/{name}"

    def subscription_name(self, name: str) -> str:
        return f"projects/{self.id}/subscriptions/{name}"

    def subscribe(self, name: str, topic: str = "work", endpoint: str = "", **settings: Any) -> None:
        if endpoint:
            settings["push_config"] = {"push_endpoint": endpoint, **settings.get("push_config", {})}
        request = {"name": self.subscription_name(name), "topic": self.topic_name(topic), **settings}
        self.subscriber.create_subscription(request=request)

    def publish(self, *texts: str, **attributes: str) -> None:
        messages = [{"data": text.encode(), "attributes": attributes} for text in texts]
        self.publisher.publish(request={"topic": self.topic_name("work"), "messages": messages})

    def peek(self, subscription: str, rounds: int = 4) -> set[str]:
        """Texts of what waits, and all of it given back. One empty pull proves nothing, so several are made."""
        name, found, leases = self.subscription_name(subscription), set(), []
        for _ in range(rounds):
            request = {"subscription": name, "max_messages": 100, "return_immediately": True}
            got = self.subscriber.pull(request=request).received_messages
            found |= {m.message.data.decode() for m in got}
            leases += [m.ack_id for m in got]
        if leases:
            self.subscriber.modify_ack_deadline(
                request={"subscription": name, "ack_ids": leases, "ack_deadline_seconds": 0}
            )
        return found

    def evidence(self, *kinds: type[Evidence]) -> EvidenceSet:
        """These kinds, as our own sources collect them."""
        now = datetime.now(UTC)
        session = Session(
            now=now,
            timeout_s=20,
            signed_in=SignIn(credentials=None, how="emulator", project=self.id, principal=""),
            project=self.id,
            lab=LabSeam(http="127.0.0.1:9", grpc=self.address, now=now),
        )
        pipeline = PipelineProfile(
            name="emulated",
            project=self.id,
            region="us-west2",
            request=LegProfile(subscription="work-push", topic="work"),
            worker=ServiceProfile(service="worker"),
        )
        return collect(session, pipeline, kinds, Ask())


class Lab:
    """The lab's broker with one push subscription, and the same receiver, in simulated time."""

    def __init__(self, **settings: Any) -> None:
        self.env = simpy.Environment(initial_time=1.8e9)
        self.respond: Callable[[dict[str, Any]], int] = lambda _: 204
        self.pushes: list[dict[str, Any]] = []
        self.tokens: list[object] = []
        self._world = world = World("p", "123", "us-west2", "wl")
        world.topics.update({name: Topic(name) for name in ("work", "dead")})
        world.accounts[PUSHER] = ServiceAccount(PUSHER, "1")
        world.policy.add("roles/pubsub.serviceAgent", f"serviceAccount:{world.pubsub_agent}")
        for account in (world.pubsub_agent, PUSHER):
            world.policy.add("roles/pubsub.editor", f"serviceAccount:{account}")
        push = PushConfig("https://worker-abc-wl.a.run.app/do", account=PUSHER)
        world.subscriptions["work-push"] = Subscription("work-push", "work", push=push, retry=None, **settings)
        world.subscriptions["dead-pull"] = Subscription("dead-pull", "dead")
        unverified = Unverified.draw(random.Random(1))
        self._broker = Broker(self.env, world, unverified, _Deaf(), random.Random(7), self._deliver)

    def publish(self, *texts: str, **attributes: str) -> None:
        for text in texts:
            self._broker.publish("work", text.encode(), attributes, PUSHER)

    def run(self, seconds: float) -> None:
        self.env.run(until=self.env.now + seconds)

    def deliveries(self) -> Counter[str]:
        return Counter(text_of(envelope) for envelope in self.pushes)

    def dead_letters(self) -> list[tuple[str, dict[str, str]]]:
        return [(h.message.data.decode(), h.message.attributes) for h in self._broker.backlog("dead-pull")]

    def _deliver(self, request: Request, answer: Answer) -> None:
        envelope = json.loads(request.body)
        self.pushes.append(envelope)
        self.tokens.append(request.token)
        status = self.respond(envelope)
        self.env.timeout(0.05).callbacks.append(lambda _: answer(Response(status)))


class _Deaf:
    """A recorder that keeps nothing."""

    def count(self, *args: object, **more: object) -> None: ...

    observe = level = age_of_oldest = log = count


def text_of(envelope: dict[str, Any]) -> str:
    return base64.b64decode(envelope["message"]["data"]).decode()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DONE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def acked_by(receiver: Receiver, nacks: list[int]) -> set[int]:
    """Answers after which a message came once only, by the time that those of `nacks` have come three times."""
    until(lambda: all(receiver.deliveries()[str(status)] >= 3 for status in nacks))
    return {int(text) for text, n in receiver.deliveries().items() if n == 1}


def dead_lettering(project: Project, receiver: Receiver) -> None:
    project.topic("dead")
    project.subscribe("dead-pull", topic="dead")
    policy = {"dead_letter_topic": project.topic_name("dead"), "max_delivery_attempts": 5}
    project.subscribe("work-push", endpoint=receiver.url, dead_letter_policy=policy)


def pulled_from(project: Project, subscription: str) -> list[tuple[str, dict[str, str]]]:
    """Text and attributes of what a subscription holds, once it holds something."""
    name = project.subscription_name(subscription)
    got: list[tuple[str, dict[str, str]]] = []

    def some() -> bool:
        request = {"subscription": name, "max_messages": 10, "return_immediately": True}
        for received in project.subscriber.pull(request=request).received_messages:
            got.append((received.message.data.decode(), dict(received.message.attributes)))
        return bool(got)

    until(some)
    return got
