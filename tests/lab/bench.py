"""A lab with a topic, a pull and a push subscription of it, served on loopback and asked by Google's own clients."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.pubsub_v1 import PublisherClient, SubscriberClient

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.servers.permissions import OTHERS
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import GaugeSeries, Telemetry

PROJECT = "projects/nba-props-platform"
WORLD = """
name: bench
story: Topic jobs has a pull subscription and a push subscription whose endpoint nobody serves; jobs-strict dead-letters.
pipeline:
  topics: [{{name: jobs}}, {{name: other}}, {{name: dead}}]
  subscriptions:
    - {{name: jobs-pull, topic: jobs, ack_deadline: 30s}}
    - {{name: jobs-push, topic: jobs, endpoint: "https://nobody.example.com/do", account: worker}}
    - {{name: jobs-strict, topic: jobs, ack_deadline: 10s, dead_letter_topic: dead, max_delivery_attempts: 5}}
    - {{name: other-pull, topic: other}}
    - {{name: dead-pull, topic: dead}}
  grants:
    - {{on: "subscription:jobs-strict", member: agent, role: roles/pubsub.subscriber}}
    - {{on: "topic:dead", member: agent, role: roles/pubsub.publisher}}
caller: {{holds: [{holds}], lacks: [{lacks}]}}
draw: {{{draw}}}
faults: [{faults}]
"""
PINS = {
    "change_over_s": "60",
    "seek_settles_s": "0",
    "short_pulls": "0",
    "pull_counts": "true",
    "snapshot_brings_older": "true",
    "oldest_first": "true",
    "gap_share": "0",
}
ASK: dict[str, Any] = {"timeout": 5, "retry": None}


@dataclass
class Bench:
    """The lab and the clients."""

    lab: Lab
    running: RunningLab
    subscriber: SubscriberClient
    publisher: PublisherClient
    logs: LoggingServiceV2Client
    opened: float
    """Simulated seconds."""

    def publish(self, *texts: str, topic: str = "jobs", **message: Any) -> list[str]:
        """Message ids. They have arrived when this returns."""
        messages = [{"data": text.encode(), **message} for text in texts]
        ids = self.publisher.publish(topic=f"{PROJECT}/topics/{topic}", messages=messages, **ASK).message_ids
        self.lab.advance(1)
        return list(ids)

    def pull(self, name: str = "jobs-pull", limit: int = 100) -> dict[str, Any]:
        """Received messages by their text."""
        request = {"subscription": sub(name), "max_messages": limit}
        received = self.subscriber.pull(request=request, **ASK).received_messages
        return {r.message.data.decode(): r for r in received}

    def give_back(self, received: dict[str, Any], name: str = "jobs-pull", seconds: int = 0) -> None:
        request = {
            "subscription": sub(name),
            "ack_ids": [r.ack_id for r in received.values()],
            "ack_deadline_seconds": seconds,
        }
        self.subscriber.modify_ack_deadline(request=request, **ASK)

    def truth(self, name: str = "jobs-pull") -> dict[str, Any]:
        """What became of a subscription's messages."""
        found: dict[str, Any] = self.control("GET", "/lab/truth")["subscriptions"][name]
        return found

    def audited(self, log: str = "activity") -> list[dict[str, Any]]:
        """Payloads of the audit log since the bench was opened, whether or not they can be read yet."""
        telemetry = self.lab.recorder
        assert isinstance(telemetry, Telemetry)
        entries = telemetry.log_entries(f"cloudaudit.googleapis.com/{log}")
        return [e.proto for e in entries if e.proto is not None and e.timestamp >= self.opened]

    def gauge(self, metric: str, **resource: str) -> float | None:
        """The value of a Pub/Sub gauge now; None: absent."""
        telemetry = self.lab.recorder
        assert isinstance(telemetry, Telemetry)
        for series in telemetry.metrics.get(f"pubsub.googleapis.com/{metric}", {}).values():
            if isinstance(series, GaugeSeries) and resource.items() <= series.resource.items():
                return series.at(self.lab.now())
        return None

    def control(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.running.endpoint}{path}", data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=5) as answer:
            return json.load(answer)


@contextmanager
def bench(lacks: str = "", faults: str = "", pace: float = 0.0, **draw: str) -> Iterator[Bench]:
    """A bench whose caller holds every permission but those in `lacks`; `draw` pins what is unverified."""
    drawn = ", ".join(f"{name}: {value}" for name, value in {**PINS, **draw}.items())
    text = WORLD.format(holds=", ".join(sorted(OTHERS)), lacks=lacks, draw=drawn, faults=faults)
    lab = Lab(parse(text), 1, Telemetry())
    running = start(lab, pace=pace)
    channel = grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}", options=[("grpc.enable_http_proxy", 0)])

    def client(kind: Any) -> Any:
        return kind(transport=kind.get_transport_class("grpc")(channel=channel))

    try:
        subscriber, publisher = client(SubscriberClient), client(PublisherClient)
        yield Bench(lab, running, subscriber, publisher, client(LoggingServiceV2Client), lab.now())
    finally:
        channel.close()
        running.close()


def sub(name: str) -> str:
    return f"{PROJECT}/subscriptions/{name}"


def snap(name: str) -> str:
    return f"{PROJECT}/snapshots/{name}"
