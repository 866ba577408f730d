"""Google's official emulator agrees with the probe: real pushes to a real HTTP worker before and after, nothing lost.

Where the emulator differs from the lab, and why that is no matter:
* it knows no logs, no metrics and no permissions: the plan says that it could not look, and only --force goes on;
* it takes no `labels` in the mask of UpdateSubscription: the probe goes on unmarked, again only by force, and restores all the same;
* its pushes may stop for good after a round of refusals, probe or no probe: beside a snapshot the worker is slow and refuses nothing;
* a temporary subscription that is sought to a snapshot gets nothing that was published before it: the answer is unknown, never empty.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient

from diagnostics.evidence.model import Probed
from diagnostics.pipeline.load import parse_profile
from diagnostics.probe.journal import Journal, Mode
from diagnostics.probe.plan import Order, plan
from diagnostics.probe.reach import Reach, Waits
from diagnostics.probe.restore import Outcome, State
from diagnostics.probe.run import carry_out
from diagnostics.report.probe import answer
from diagnostics.transport.session import LabSeam, Session
from diagnostics.transport.sign_in import SignIn
from tests.contract.google_tools import Emulator

pytestmark = pytest.mark.google_tools

WAITS = Waits(
    rpc_s=5,
    pull_s=3,
    between_pulls_s=0.2,
    peek_s=4,
    settle_s=0.2,
    readback_s=0.1,
    watch_s=0,
    between_looks_s=0.1,
    restore_s=10,
)
PROFILE = """
name = "emulated"
project = "{project}"
[request]
subscription = "jobs-push"
[request.message]
batch = "batch"
item = "item"
required = ["item"]
"""


class Worker(ThreadingHTTPServer):
    """Acknowledges nothing while it is shut, everything once it is open; knows the id of each message that it acknowledged."""

    daemon_threads = True

    def __init__(self, slow: bool) -> None:
        """`slow`: while it is shut it does not refuse, but waits to be opened."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.slow = slow
        self.came: set[str] = set()
        self.open = threading.Event()
        self.acked: set[str] = set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/do"

    def take(self, message: str) -> int:
        self.came.add(message)
        if not (self.open.wait(60) if self.slow else self.open.is_set()):
            return 500
        self.acked.add(message)
        return 204


class _Handler(BaseHTTPRequestHandler):
    server: Worker

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        base64.b64decode(body["message"].get("data", ""))
        self.send_response(self.server.take(body["message"]["messageId"]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Bench:
    """A topic with a push subscription to the worker, in a project of its own."""

    def __init__(self, emulator: Emulator, project: str, folder: Path, slow: bool) -> None:
        self.publisher, self.subscriber = emulator.client(PublisherClient), emulator.client(SubscriberClient)
        self.worker = Worker(slow)
        self.topic, self.subscription = f"projects/{project}/topics/jobs", f"projects/{project}/subscriptions/jobs-push"
        self.publisher.create_topic(name=self.topic)
        push = {
            "push_endpoint": self.worker.url,
            "attributes": {"x-goog-version": "v1"},
            "oidc_token": {
                "service_account_email": "pusher@p.iam.gserviceaccount.com",
                "audience": "https://worker.example",
            },
        }
        self.subscriber.create_subscription(
            request={
                "name": self.subscription,
                "topic": self.topic,
                "push_config": push,
                "ack_deadline_seconds": 60 if slow else 10,
                "labels": {"team": "jobs"},
                "retry_policy": {"minimum_backoff": {"seconds": 0}, "maximum_backoff": {"seconds": 1}},
            }
        )
        seam = LabSeam(http="", grpc=emulator.address, now=datetime.now(UTC))
        session = Session(
            now=seam.now, timeout_s=60, signed_in=SignIn(credentials=None, how="emulator"), project=project, lab=seam
        )
        self.reach, self.journal = Reach(session, WAITS), Journal(folder)
        self.profile = parse_profile(PROFILE.format(project=project), "test")

    def publish(self, *items: str) -> set[str]:
        messages = [{"data": json.dumps({"item": item, "batch": "b1"}).encode()} for item in items]
        return set(self.publisher.publish(topic=self.topic, messages=messages).message_ids)

    def described(self) -> Any:
        return self.subscriber.get_subscription(subscription=self.subscription)

    def probe(self, mode: Mode) -> tuple[Probed, Outcome]:
        made, source = plan(self.reach, self.profile, Order(mode=mode, force=True, peek=20), self.journal)
        assert made.refusals, "what could not be seen speaks against it"
        assert not made.forbidden
        return carry_out(self.reach, self.profile, made, source, self.journal, lambda _: None)

    def left(self, project: str) -> list[str]:
        where = {"project": f"projects/{project}"}
        things = [*self.subscriber.list_subscriptions(request=where), *self.subscriber.list_snapshots(request=where)]
        return [t.name for t in things if t.name != self.subscription]


@pytest.fixture
def bench(emulator: Emulator, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    project = f"probe-{zlib.crc32(request.node.name.encode()):08x}"
    made = Bench(emulator, project, tmp_path, slow="switch" not in request.node.name)
    yield made
    made.worker.shutdown()
    made.worker.server_close()


@pytest.mark.parametrize("mode", list(Mode))
def test_every_message_is_delivered_to_the_worker_in_the_end(bench: Bench, mode: Mode) -> None:
    published = bench.publish("a", "b", "c", "")
    _until(lambda: bench.worker.came & published)  # pushes work before
    before = bench.described()
    late: set[str] = set()

    def at(when: str, name: str) -> None:
        if (when, name) == ("before", "subscriber.pull") and not late:
            late.update(bench.publish("d", "e"))

    bench.reach._at = at
    probed, outcome = bench.probe(mode)
    assert outcome.state is State.RESTORED, outcome.says
    assert bench.described() == before
    assert bench.left(bench.profile.project) == []
    seen = {m.id for m in probed.messages}
    assert seen <= published | late
    if mode is Mode.SWITCH:
        assert published <= seen
        assert [m.missing for m in probed.messages if not m.item] == [("item",)]
    else:
        assert seen == late, "the emulator's snapshot brings nothing older than the temporary subscription"
    bench.worker.open.set()
    _until(lambda: bench.worker.acked >= published | late)  # and after
    assert bench.worker.acked == published | late


def test_a_snapshot_that_brings_nothing_is_unknown_and_not_empty(bench: Bench) -> None:
    published = bench.publish("a", "b")
    _until(lambda: bench.worker.came >= published)
    bench.reach.waits = Waits(**{**{f: getattr(WAITS, f) for f in WAITS.__struct_fields__}, "peek_s": 1.0})
    probed, outcome = bench.probe(Mode.SNAPSHOT)
    said = answer(probed, probed.source.as_of, outcome.over)
    assert (probed.messages, said.status, said.exit_code) == ((), "unknown", 3)
    assert "does not prove" in said.says


def _until(true: Any, seconds: float = 60.0) -> None:
    """Bounded: what never comes fails the test by its assertion, not by its time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
