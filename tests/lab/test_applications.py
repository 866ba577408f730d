"""Coordinator and worker of both dialects: the codes they answer, the lines they print, the batches they leave."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import simpy

from diagnostics.lab.applications.base import Setting
from diagnostics.lab.applications.downstream import Downstream, Trouble
from diagnostics.lab.applications.pair import DIALECTS, build
from diagnostics.lab.applications.plan import PAYLOADS, BatchPlan, BatchState, Scripted
from diagnostics.lab.applications.script import Script
from diagnostics.lab.applications.traits import PRESETS, TRAITS, traits_of
from diagnostics.lab.cloud_run import CloudRun
from diagnostics.lab.http import PublishError, Request, Response, Token
from diagnostics.lab.model import Revision, Service, World
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.unverified import Unverified

T0 = datetime(2026, 2, 8, 18, 0, tzinfo=UTC).timestamp()
TODAY, PAST = "2026-02-08", "2026-02-01"
ACK = (102, 200, 201, 202, 204)
PREDICTIONS = {
    "coordinator": {"GCP_PROJECT_ID": "p", "PREDICTION_REQUEST_TOPIC": "requests"},
    "worker": {"GCP_PROJECT_ID": "p", "PUBSUB_READY_TOPIC": "completions"},
}
ORDERS = {
    "coordinator": {"GCP_PROJECT_ID": "p", "QUEUE_TOPIC": "requests"},
    "worker": {"GCP_PROJECT_ID": "p", "RECEIPT_TOPIC": "completions"},
}
PATHS = {
    "predictions": {"requests": "/predict", "completions": "/complete"},
    "orders": {"requests": "/export", "completions": "/exported"},
    "statements": {"requests": "/tasks/render", "completions": "/confirm"},
    "thumbnails": {"requests": "/v1/scale", "completions": "/v1/scaled"},
    "tiles": {"requests": "/render"},
    "scans": {"requests": "/"},
}
STARTS = {"/confirm": "/cycles", "/v1/scaled": "/v1/drops"}
"""Where start calls go, by where completions go; else to /start."""


class Logs:
    """A recorder of log entries only."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def count(self, *_: Any) -> None: ...

    observe = level = age_of_oldest = count

    def log(self, entry: LogEntry) -> None:
        self.entries.append(entry)


class Night:
    """A pipeline with a broker that delivers at once and redelivers a nack after ten seconds, five times."""

    def __init__(self, dialect: str = "predictions", code: str = "head", seed: int = 1, **changes: Any) -> None:
        self.env = simpy.Environment(initial_time=T0)
        self.world = World("p", "123", "us-west2", "wl")
        self.logs = Logs()
        self.codes: dict[str, list[int]] = {"requests": [], "completions": []}
        self.published: list[tuple[str, bytes, dict[str, str], str]] = []
        self.publish_error: Callable[[], PublishError | None] = lambda: None
        self.paths = PATHS[dialect]
        self.downstream = Downstream()
        environment = PREDICTIONS if dialect == "predictions" else ORDERS
        for name in ("coordinator", "worker"):
            settings = {"max_instances": 20, "min_instances": 1, "concurrency": 10, "timeout_s": 300.0, **changes}
            revision = Revision(f"{name}-00001-aaa", T0 - 9e5, "img", env=dict(environment[name]), code=code)
            revision = replace(revision, account=f"{name}@p.iam.gserviceaccount.com", **settings)
            service = Service(name, "us-west2", "abc", revisions=[revision], traffic=[("", 100, "")])
            service.policy.add("roles/run.invoker", "allUsers")
            self.world.services[name] = service
        drawn = Unverified.draw(random.Random(seed))
        self.unverified = replace(drawn, uptime_checks=False)
        rng = random.Random(seed)
        setting = Setting(self.env, self.world, self.unverified, rng, self.publish, self.downstream)
        self.pair = build(dialect, setting, "coordinator", "worker")
        programs = self.pair.programs("coordinator", "worker")
        self.cloud_run = CloudRun(self.env, self.world, self.unverified, self.logs, rng, programs)

    def begin(self) -> Night:
        self.cloud_run.start()
        self.run(30)
        return self

    def env_of(self, service: str) -> dict[str, str]:
        return self.world.services[service].revisions[-1].env

    def run(self, seconds: float) -> None:
        self.env.run(until=self.env.now + seconds)

    # Broker

    def publish(self, topic: str, data: bytes, attributes: dict[str, str], account: str) -> str:
        topic = {"tiles-to-render": "requests", "scans-to-read": "requests"}.get(topic, topic)
        if topic not in self.paths:
            raise PublishError("NOT_FOUND", f"Resource not found (resource={topic}).")
        if error := self.publish_error():
            raise error
        self.published.append((topic, data, attributes, account))
        self.push(topic, data, 1)
        return str(len(self.published))

    def push(self, topic: str, data: bytes, attempt: int) -> None:
        service = "worker" if topic == "requests" else "coordinator"
        body = json.dumps({"message": {"data": base64.b64encode(data).decode(), "messageId": "1"}}).encode()

        def answered(response: Response) -> None:
            self.codes[topic].append(response.status)
            if response.status not in ACK and attempt < 5:
                self.env.timeout(10).callbacks.append(lambda _: self.push(topic, data, attempt + 1))

        self.cloud_run.submit(self.request(service, "POST", self.paths[topic], body), answered)

    # Calls

    def request(self, service: str, method: str, path: str, body: bytes = b"", token: bool = True) -> Request:
        host = f"{service}-abc-wl.a.run.app"
        claims = Token("caller@p.iam.gserviceaccount.com", f"https://{host}", self.env.now + 3600) if token else None
        return Request(host, method, path, "test", body=body, token=claims)

    def call(self, method: str, path: str, service: str = "coordinator", **body: Any) -> tuple[int, dict[str, Any]]:
        response = self.cloud_run.call(self.request(service, method, path, json.dumps(body).encode() if body else b""))
        return response.status, json.loads(response.body) if response.body.startswith(b"{") else {}

    def start(self, plan: BatchPlan, wait: float = 600, **body: Any) -> Response | None:
        """Start a batch; None: no answer within the wait."""
        name = f"plan-{len(self.pair.coordinator.attempts)}"
        self.pair.coordinator.plan(name, plan)
        if isinstance(self.pair.coordinator, Script):
            self.pair.coordinator.run(name, TODAY, "script@p.iam.gserviceaccount.com")
            self.run(wait)
            return None
        body.setdefault("game_date" if self.paths["requests"] == "/predict" else "date", TODAY)
        start = STARTS.get(self.paths["completions"], "/start")
        request = self.request("coordinator", "POST", start, json.dumps(body).encode())
        request.headers["X-Lab-Plan"] = name
        answers: list[Response] = []
        self.cloud_run.submit(request, answers.append)
        self.run(wait)
        return answers[0] if answers else None

    def craft(self, payload: str, date: str = TODAY) -> list[int]:
        """Publish one hand-made message; the codes it was answered."""
        data, attributes = self.pair.worker.craft(payload, date=date, batch="batch_x")
        self.publish("requests", data, attributes, "person@example.com")
        self.run(900)
        return self.codes["requests"]

    # What is left

    @property
    def batch(self) -> BatchState:
        (batch,) = self.pair.coordinator.batches.values()
        return batch

    def lines(self, pattern: str) -> list[str]:
        texts = [e.text for e in self.logs.entries if e.text and not e.http]
        return [text for text in texts if re.search(pattern, text)]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [e.json for e in self.logs.entries if e.json and e.json.get("event") == name]


# A night without trouble


def test_predictions_print_their_lines_in_order_and_close() -> None:
    night = Night().begin()
    response = night.start(BatchPlan(items=60))
    assert response and response.status == 202
    says = json.loads(response.body)
    assert says["batch_id"] == f"batch_{TODAY}_{int(T0 + 30)}"
    assert (says["total_requests"], says["published"]) == (60, 60)
    assert night.batch.closed and not night.batch.forced and len(night.batch.completed) == 60
    expected = [
        r"^Starting prediction batch for 2026-02-08 \(correlation_id=\w+",
        r"^Queried 60 players for 2026-02-08",
        r"^HEARTBEAT START: Loading historical games for 60 players",
        r"^Batch loaded \d+ historical games for 60 players in [\d.]+ s",
        r"^Created batch state: batch_\S+ \(expected_players=60\)",
        r"^Batch state persisted to Firestore: batch_\S+ \(expected=60 players\)",
        r"^QUALITY_GATE: 60/60 players will get predictions",
        r"^Published 50/60 requests",
        r"^PUBLISH_METRICS: Published 60 requests in [\d.]+ s .*, 0 failed \[batch=batch_\S+, mode=OVERNIGHT\]",
        r"^Published 60/60 prediction requests",
    ]
    texts = [e.text or "" for e in sorted(night.logs.entries, key=lambda e: e.timestamp)]
    places = [next(i for i, text in enumerate(texts) if re.search(pattern, text)) for pattern in expected]
    assert places == sorted(places)
    for pattern, count in {
        r"^Processing prediction request: \w+ on 2026-02-08 \(dataset_prefix: , correlation_id: \w+\)": 60,
        r"^Successfully generated \d predictions for \w+": 60,
        r"^Completion: \w+ \(batch=batch_\S+, predictions=\d\)": 60,
        r"^Recorded: \w+ -> batch_complete=True": 1,
        r"^Batch \S+ complete! \(60/60 players\)": 1,
        r"^CONSOLIDATION_METRICS: \d+ rows merged": 1,
    }.items():
        assert len(night.lines(pattern)) == count, pattern


def test_orders_log_structured_entries_and_close_when_all_are_back() -> None:
    night = Night("orders").begin()
    response = night.start(BatchPlan(items=40, gated={"existing": 5}))
    assert response and response.status == 202 and night.batch.id == f"EXP-{TODAY}-1"
    assert night.batch.closed and len(night.batch.completed) == night.batch.expected == 35
    (selected,) = night.events("orders_selected")
    assert (selected["selected"], selected["found"], selected["alreadyExported"]) == (35, 40, 5)
    for event in ("order_queued", "export_started", "export_done", "export_recorded"):
        assert len(night.events(event)) == 35, event
    assert all(re.fullmatch(r"ORD-\d{6}", e["order"]) for e in night.events("order_queued"))
    (closed,) = night.events("batch_closed")
    assert (closed["exported"], closed["of"]) == (35, 35)
    assert all(attributes["kind"] == "invoice" for topic, _, attributes, _ in night.published if topic == "requests")


def test_thumbnails_group_what_a_line_is_about() -> None:
    night = Night("thumbnails").begin()
    response = night.start(BatchPlan(items=40, gated={"existing": 5}), day=TODAY)
    assert response and response.status == 202 and night.batch.id == "drop-20260208-01"
    assert night.batch.closed and len(night.batch.completed) == night.batch.expected == 35
    said = {e.json["msg"]: e.json for e in night.logs.entries if e.json}
    assert said["images picked"]["drop"] == {
        "id": night.batch.id,
        "to_scale": 35,
        "found": 40,
        "scaled_before": 5,
        "in_review": 0,
    }
    assert said["drop complete"]["drop"] == {"id": night.batch.id, "scaled": 35, "of": 35}
    assert re.fullmatch(r"p\d{5}-\d\.jpg", said["image scaled"]["image"]["key"])
    assert night.call("GET", f"/v1/drops/{night.batch.id}") == (
        200,
        {"drop": night.batch.id, "status": "complete", "images": {"total": 35, "scaled": 35}},
    )


def test_programs_publish_with_their_own_accounts() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=3))
    accounts = {topic: account for topic, _, _, account in night.published}
    assert accounts == {
        "requests": "coordinator@p.iam.gserviceaccount.com",
        "completions": "worker@p.iam.gserviceaccount.com",
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_payload_class_of_an_item_is_nowhere_in_what_can_be_seen(dialect: str) -> None:
    night = Night(dialect).begin()
    night.start(BatchPlan(items=60, payloads=dict.fromkeys(PAYLOADS, 1)), wait=3600)
    seen = " ".join(str(e.text) + json.dumps(e.json) + json.dumps(e.http) + str(e.labels) for e in night.logs.entries)
    seen += " ".join(data.decode() + json.dumps(attributes) for _, data, attributes, _ in night.published)
    for word in ("good", "undecodable", "permanent_skip", "injured_out", "flaky", "lost_id", "plan-0", "x-lab-plan"):
        assert word not in seen


# What a scenario says word for word


@pytest.mark.parametrize("dialect", ["predictions", "orders"])
@pytest.mark.parametrize(
    ("script", "codes", "done"),
    [
        (Scripted(503, "the ledger is closed", first=2), [503, 503, 204], 1),
        (Scripted(500, "too late", publishes=True), [500] * 5, 1),
        (Scripted(409, "locked"), [409] * 5, 0),
        (Scripted(208, publishes=True), [208] * 5, 1),
        (Scripted(204, publishes=False), [204], 0),
    ],
)
def test_a_scripted_item_is_answered_word_for_word(dialect: str, script: Scripted, codes: list[int], done: int) -> None:
    night = Night(dialect).begin()
    night.start(BatchPlan(items=1, scripted=((1, script),)), wait=900)
    assert night.codes["requests"] == codes
    assert len(night.batch.completed) == done
    told = night.lines(script.reason) if dialect == "predictions" else night.events("export_failed")
    assert bool(told) is not script.done or not script.reason


@pytest.mark.parametrize(
    ("code", "line"),
    [("head server-timeout", r"WORKER TIMEOUT"), ("head busy-fails-liveness", r"^LIVENESS HTTP probe failed 4 times")],
)
def test_what_takes_too_long_may_be_killed_from_within_or_for_a_probe(code: str, line: str) -> None:
    night = Night("orders", code).begin()
    night.downstream.add("worker", Trouble(T0, T0 + 9000, added_s=60.0))
    night.start(BatchPlan(items=1), wait=900)
    assert night.codes["requests"] == [503] * 5
    assert night.lines(line)


# Gate


def test_what_the_gate_keeps_back_is_no_longer_expected() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=181, gated={"existing": 161, "low_quality": 5}))
    assert night.lines(r"\]: 15/181 players viable \(skipped_existing=161, skipped_low_quality=5")
    assert night.lines(r"^Published 15/181 prediction requests")
    assert night.batch.closed and (len(night.batch.completed), night.batch.expected) == (15, 15)


def test_before_the_fix_the_expected_count_stays_and_the_batch_open() -> None:
    night = Night(code="pre-fix").begin()
    night.start(BatchPlan(items=181, gated={"existing": 161, "low_quality": 5}), wait=7200)
    assert not night.batch.closed and (len(night.batch.completed), night.batch.expected) == (15, 181)
    assert not night.lines("PUBLISH_METRICS")


@pytest.mark.parametrize(("code", "closed"), [("head", True), ("pre-fix", False)])
def test_a_batch_of_which_everything_is_gated(code: str, closed: bool) -> None:
    night = Night(code=code).begin()
    response = night.start(BatchPlan(items=20, gated={"existing": 20}))
    assert response and json.loads(response.body)["published"] == 0
    assert night.batch.closed is closed
    assert bool(night.lines(r"marked complete \(0 publishable players")) is closed


def test_orders_with_nothing_to_export_make_no_batch() -> None:
    night = Night("orders").begin()
    response = night.start(BatchPlan(items=20, gated={"existing": 20}))
    assert response and response.status == 200
    assert not night.pair.coordinator.batches and night.events("batch_empty")


# Starts that fail


@pytest.mark.parametrize(("refusal", "status"), [("no_work", 200), ("no_items", 404), ("incomplete_data", 503)])
def test_a_start_that_finds_nothing_to_do_makes_no_batch(refusal: str, status: int) -> None:
    night = Night().begin()
    response = night.start(BatchPlan(items=10, refusal=refusal))
    assert response and response.status == status and not night.pair.coordinator.batches
    assert night.pair.coordinator.attempts["plan-0"].status == status


@pytest.mark.parametrize(("dialect", "line"), [("predictions", "Active batch"), ("orders", "batch_open")])
def test_an_open_batch_of_the_same_date_blocks_the_next_start(dialect: str, line: str) -> None:
    night = Night(dialect).begin()
    night.start(BatchPlan(items=10, payloads={"silent": 3}))
    again = night.start(BatchPlan(items=10))
    assert again and again.status == 409
    assert night.batch.id in again.body.decode()
    assert night.lines(line) or night.events("start_refused")[0]["reason"] == line
    other = night.start(BatchPlan(items=10), game_date=PAST, date=PAST)
    assert other and other.status == 202


def test_force_overrides_an_open_batch() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=10, payloads={"silent": 3}))
    response = night.start(BatchPlan(items=10), force=True)
    assert response and response.status == 202 and night.lines("Overriding existing batch")


def test_a_start_that_meets_its_timeout_is_killed_half_way() -> None:
    night = Night(timeout_s=100).begin()
    response = night.start(BatchPlan(items=4800 // 2, loading_s=80))
    assert response and response.status == 504
    published = sum(topic == "requests" for topic, *_ in night.published)
    assert 0 < published < 2400 and night.batch.expected == 2400
    assert not night.lines(r"^PUBLISH_METRICS|^Published \d+/\d+ prediction requests")
    assert night.pair.coordinator.attempts["plan-0"].status == 0


def test_a_start_that_outlives_its_504_still_finishes_while_it_has_cpu() -> None:
    night = Night(timeout_s=100, cpu_idle=False, code="head outlives-timeout").begin()
    response = night.start(BatchPlan(items=50, loading_s=110))
    assert response and response.status == 504
    assert night.batch.closed and len(night.batch.completed) == 50


@pytest.mark.parametrize(("code", "created"), [("head", False), ("head created-first", True)])
def test_a_batch_that_is_created_first_exists_when_loading_is_cut_off(code: str, created: bool) -> None:
    night = Night(timeout_s=100, code=code).begin()
    night.start(BatchPlan(items=50, loading_s=400))
    assert bool(night.pair.coordinator.batches) is created and not night.published


def test_long_loading_shows_heartbeats() -> None:
    night = Night(timeout_s=1800).begin()
    night.start(BatchPlan(items=5, loading_s=700), wait=1000)
    assert len(night.lines(r"^HEARTBEAT: Loading")) == 2 and night.batch.closed


# Publishing


def test_a_topic_that_is_not_there_fails_every_item_three_times() -> None:
    night = Night()
    night.env_of("coordinator")["PREDICTION_REQUEST_TOPIC"] = "prediction-request"
    response = night.begin().start(BatchPlan(items=10))
    assert response and json.loads(response.body)["published"] == 0
    assert (
        len(night.lines(r"publish attempt \d/3 failed for \w+: 404 Resource not found \(resource=prediction-request\)"))
        == 30
    )
    assert len(night.lines(r"^Pub/Sub publish failed after 3 attempts")) == 10
    assert night.lines(r"^PUBLISH_METRICS: Published 0 requests in .* 10 failed")


def test_a_publish_that_hangs_costs_eighteen_seconds_an_item() -> None:
    night = Night().begin()
    night.publish_error = lambda: PublishError("RESOURCE_EXHAUSTED", "quota")
    response = night.start(BatchPlan(items=10, loading_s=10))
    assert response and 180 < response.latency_s < 200


def test_orders_go_on_after_a_failed_publish_and_wait_for_ever() -> None:
    night = Night("orders").begin()
    failures = iter([True, True])
    night.publish_error = lambda: PublishError("PERMISSION_DENIED", "denied") if next(failures, False) else None
    night.start(BatchPlan(items=10))
    (queued,) = night.events("batch_queued")
    assert (queued["queued"], queued["failed"]) == (8, 2)
    assert not night.batch.closed and len(night.batch.completed) == 8


# One message: the table


@pytest.mark.parametrize(
    ("code", "payload", "date", "codes", "completions"),
    [
        ("head", "good", TODAY, [204], 1),
        ("head", "malformed", TODAY, [204], 0),
        ("pre-fix", "malformed", TODAY, [400] * 5, 0),
        ("head", "undecodable", TODAY, [500] * 5, 0),
        ("head", "transient", TODAY, [500] * 5, 0),
        ("head", "transient", PAST, [204], 1),
        ("pre-fix", "transient", PAST, [500] * 5, 0),
        ("head", "flaky", TODAY, [500, 500, 500, 204], 1),
        ("head", "permanent_skip", TODAY, [204], 1),
        ("pre-fix", "permanent_skip", TODAY, [204], 0),
        ("head", "injured_out", TODAY, [204], 1),
        ("pre-fix", "injured_out", TODAY, [500] * 5, 0),
        ("head", "rate_limited", TODAY, [429] * 5, 0),
        ("head", "write_fails", PAST, [500] * 5, 0),
        ("head completion-before-write", "write_fails", TODAY, [204], 1),
        ("head", "silent", TODAY, [204], 0),
        ("head", "crash", TODAY, [503] * 5, 0),
        ("head", "out_of_memory", TODAY, [500] * 5, 0),
        ("head broken", "good", TODAY, [500] * 5, 0),
        ("head broken", "good", PAST, [204], 0),
        ("head", "slow", TODAY, [504], 0),
    ],
)
def test_predictions_by_payload_and_build(
    code: str, payload: str, date: str, codes: list[int], completions: int
) -> None:
    night = Night(code=code).begin()
    assert night.craft(payload, date)[: len(codes)] == codes
    assert sum(topic == "completions" for topic, *_ in night.published) == completions


@pytest.mark.parametrize(
    ("code", "payload", "codes", "completions"),
    [
        ("head", "good", [204], 1),
        ("head", "malformed", [204], 0),
        ("pre-fix", "malformed", [400] * 5, 0),
        ("pre-fix", "undecodable", [400] * 5, 0),
        ("head", "transient", [500] * 5, 0),
        ("head", "permanent_skip", [204], 1),
        ("head skip-without-completion", "permanent_skip", [204], 0),
        ("head", "rate_limited", [429] * 5, 0),
        ("head", "write_fails", [500] * 5, 0),
        ("head", "silent", [204], 0),
        ("head broken", "good", [500] * 5, 0),
    ],
)
def test_orders_by_payload_and_build(code: str, payload: str, codes: list[int], completions: int) -> None:
    night = Night("orders", code=code).begin()
    assert night.craft(payload) == codes
    assert sum(topic == "completions" for topic, *_ in night.published) == completions


def test_lines_of_failures_name_player_and_reason() -> None:
    night = Night(code="pre-fix").begin()
    for payload in ("injured_out", "transient", "permanent_skip"):
        night.craft(payload)
    assert night.lines(r"^TRANSIENT failure for \w+: player_injury_out - returning 500")
    assert night.lines(r"^TRANSIENT failure for \w+: feature_store_timeout - returning 500")
    assert night.lines(r"^PERMANENT failure for \w+: no_prop_lines")


def test_downstream_trouble_lasts_as_long_as_it_lasts() -> None:
    night = Night("orders").begin()
    now = night.env.now
    night.downstream.add("worker", Trouble(now, now + 25, errors=1.0))
    night.start(BatchPlan(items=10, loading_s=1))
    assert {e["reason"] for e in night.events("export_failed")} == {"ledger_unavailable"}
    assert night.batch.closed
    assert night.codes["requests"].count(500) >= 10


def test_downstream_slowness_stretches_the_work() -> None:
    night = Night("orders").begin()
    night.downstream.add("worker", Trouble(T0, T0 + 9e9, slowdown=10, added_s=5))
    night.craft("good")
    (done,) = night.events("export_done")
    assert done["ms"] > 10_000


@pytest.mark.parametrize(("cpu_idle", "completions"), [(True, 0), (False, 1)])
def test_work_after_an_early_answer_starves_without_cpu(cpu_idle: bool, completions: int) -> None:
    night = Night(code="head ack-first", cpu_idle=cpu_idle).begin()
    assert night.craft("good") == [204]
    assert sum(topic == "completions" for topic, *_ in night.published) == completions


# Completions


def test_without_its_topic_a_completion_is_swallowed_and_the_batch_waits() -> None:
    night = Night()
    del night.env_of("worker")["PUBSUB_READY_TOPIC"]
    night.begin().start(BatchPlan(items=10))
    assert (
        len(night.lines(r"Error publishing completion event: 404 Resource not found \(resource=prediction-ready\)"))
        == 10
    )
    assert set(night.codes["requests"]) == {204} and not night.batch.completed


def test_orders_do_not_acknowledge_without_a_receipt() -> None:
    night = Night("orders")
    night.env_of("worker")["RECEIPT_TOPIC"] = "gone"
    night.begin().start(BatchPlan(items=2))
    assert night.codes["requests"] == [500] * 10
    assert len(night.events("export_done")) == 10 and len(night.events("receipt_failed")) == 10


def test_a_completion_without_batch_is_poison_on_the_way_back() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=10, payloads={"lost_id": 1}))
    assert night.codes["completions"].count(400) == 5 and len(night.lines("Completion event missing batch_id")) == 5
    assert not night.batch.closed and len(night.batch.completed) == 9


@pytest.mark.parametrize(("code", "status"), [("head", 500), ("head state-in-memory", 204)])
def test_a_completion_of_an_unknown_batch(code: str, status: int) -> None:
    night = Night(code=code).begin()
    data, _ = night.pair.worker.craft_completion("unknown_batch", date=TODAY)
    night.publish("completions", data, {}, "x")
    night.run(300)
    assert set(night.codes["completions"]) == {status}


def test_a_duplicate_completion_counts_once() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=10, payloads={"silent": 5}))
    topic, data, _, _ = next(p for p in night.published if p[0] == "completions")
    night.push(topic, data, 1)
    night.run(60)
    assert len(night.batch.completed) == 5 and night.codes["completions"][-1] == 204


def test_state_in_memory_does_not_survive_a_restart() -> None:
    night = Night(code="head state-in-memory").begin()
    night.downstream.add("worker", Trouble(T0, T0 + 9e9, added_s=60))
    night.start(BatchPlan(items=10, loading_s=5), wait=30)
    night.cloud_run.restart("coordinator")
    night.run(600)
    assert not night.batch.closed and not night.batch.completed
    assert len(night.lines("Completion for unknown batch")) == 10


def test_batches_in_the_store_survive_a_restart() -> None:
    night = Night().begin()
    night.downstream.add("worker", Trouble(T0, T0 + 9e9, added_s=60))
    night.start(BatchPlan(items=10, loading_s=5), wait=30)
    night.cloud_run.restart("coordinator")
    night.run(600)
    assert night.batch.closed


# Closing


def test_a_batch_is_not_closed_by_age_while_nothing_comes() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=100, payloads={"silent": 3}), wait=7200)
    assert not night.batch.closed and len(night.batch.completed) == 97


@pytest.mark.parametrize(("code", "forced"), [("head", "STALLED at 97/100"), ("head all-required", "")])
def test_a_late_completion_beyond_95_percent_closes_a_silent_batch(code: str, forced: str) -> None:
    night = Night(code=code).begin()
    night.start(BatchPlan(items=100, payloads={"silent": 3}), wait=1500)
    topic, data, _, _ = next(p for p in night.published if p[0] == "completions")
    night.push(topic, data, 1)
    night.run(60)
    assert night.batch.forced == forced and night.batch.closed is bool(forced)


def test_check_stalled_closes_what_is_old_and_says_so() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=10, payloads={"silent": 5}), wait=600)
    assert night.call("POST", "/check-stalled", min_completion_pct=95)[1]["batches_completed"] == 0
    night.run(1800)
    assert night.call("POST", "/check-stalled")[1]["batches_completed"] == 1
    assert night.batch.forced.startswith("TIMED OUT") and night.lines("TIMED OUT after")


def test_orders_expire_at_their_deadline() -> None:
    night = Night("orders").begin()
    night.start(BatchPlan(items=10, payloads={"silent": 5}), wait=7 * 3600)
    assert not night.batch.closed, "nobody has looked yet"
    night.call("POST", "/sweep")
    assert night.batch.forced == "deadline" and night.events("batch_expired")


@pytest.mark.parametrize(("code", "status"), [("head", 202), ("head reset-blocks", 409)])
def test_a_reset_clears_the_way_unless_the_instance_keeps_the_batch(code: str, status: int) -> None:
    night = Night(code=code).begin()
    night.start(BatchPlan(items=10, payloads={"silent": 5}))
    assert night.call("POST", "/reset", batch_id=night.batch.id)[0] == 200
    response = night.start(BatchPlan(items=10))
    assert response and response.status == status


# Status, health, access


def test_status_has_one_form_from_the_owner_and_another_from_the_store() -> None:
    night = Night().begin()
    night.start(BatchPlan(items=10, payloads={"silent": 4}))
    path = f"/status?batch_id={night.batch.id}"
    status, says = night.call("GET", path)
    assert status == 200 and says["progress"] | {"elapsed_seconds": 0} == {
        "expected": 10,
        "completed": 6,
        "failed": 0,
        "remaining": 4,
        "is_complete": False,
        "total_predictions": sum(night.batch.completed.values()),
        "elapsed_seconds": 0,
        "progress_percentage": 60.0,
    }
    night.cloud_run.restart("coordinator")
    night.run(60)
    status, says = night.call("GET", path)
    assert (says["expected_players"], says["completed_players"], says["source"]) == (10, 6, "firestore")
    assert "is_stalled" not in says
    assert night.call("GET", "/status") == (200, {"status": "no_active_batch"})
    assert night.call("GET", "/status?batch_id=batch_nope")[0] == 404


def test_orders_tell_which_orders_are_exported() -> None:
    night = Night("orders").begin()
    night.start(BatchPlan(items=10, payloads={"silent": 4}))
    status, says = night.call("GET", f"/batches/{night.batch.id}")
    assert status == 200 and says["state"] == "OPEN" and says["orders"]["expected"] == 10
    assert says["orders"]["exported"] == sorted(night.batch.completed) and len(says["orders"]["exported"]) == 6
    assert night.call("GET", "/batches/EXP-nope-1")[0] == 404


def test_health_is_green_whatever_the_worker_does() -> None:
    night = Night(code="head broken").begin()
    assert night.call("GET", "/health", "worker") == (200, {"status": "healthy"})
    assert night.call("GET", "/health/deep", "worker")[1]["checks_passed"] == 5
    assert night.call("GET", "/health/deep")[0] == 200


@pytest.mark.parametrize(("key", "status"), [("", 500), ("secret-key", 401)])
def test_a_call_without_token_meets_the_programs_own_check(key: str, status: int) -> None:
    night = Night()
    if key:
        night.env_of("coordinator")["COORDINATOR_API_KEY"] = key
    night.begin()
    response = night.cloud_run.call(night.request("coordinator", "POST", "/start", token=False))
    assert response.status == status and response.instance
    assert bool(night.lines("Unauthorized request to /start")) is bool(key)
    assert not any("secret-key" in str(e.text) for e in night.logs.entries)


@pytest.mark.parametrize(
    ("dialect", "path", "status"),
    [
        ("predictions", "/predict/", 404),
        ("predictions", "/nope", 404),
        ("orders", "/export/", 307),
        ("orders", "/x", 404),
        ("statements", "/export", 404),
    ],
)
def test_a_wrong_path_reaches_the_program(dialect: str, path: str, status: int) -> None:
    night = Night(dialect).begin()
    response = night.cloud_run.call(night.request("worker", "POST", path))
    assert response.status == status and response.instance


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_its_project_a_worker_dies_at_start(dialect: str) -> None:
    night = Night(dialect)
    del night.env_of("worker")["GCP_PROJECT_ID"]
    night.begin()
    assert night.craft("good") == [503] * 5
    assert night.lines("GCP_PROJECT_ID") and night.lines(r"^Container called exit\(3\)")


def test_publishing_into_another_project_is_not_found() -> None:
    night = Night()
    night.env_of("coordinator")["GCP_PROJECT_ID"] = "other"
    night.begin().start(BatchPlan(items=2))
    assert night.lines("404 Requested project not found") and not night.published


# Plans and versions


def test_a_plan_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown payload class 'bad'"):
        BatchPlan(items=5, payloads={"bad": 1})
    with pytest.raises(ValueError, match="gated"):
        BatchPlan(items=5, gated={"existing": 6})
    with pytest.raises(ValueError, match="more special"):
        BatchPlan(items=5, gated={"existing": 3}, payloads={"silent": 3})


def test_versions_are_presets_and_traits() -> None:
    assert traits_of("head") == frozenset()
    assert traits_of("pre-fix ack-first -no-age-rule") == PRESETS["pre-fix"] - {"no-age-rule"} | {"ack-first"}
    assert all(preset <= TRAITS for preset in PRESETS.values())
    with pytest.raises(ValueError, match="unknown version or trait 'haed'"):
        traits_of("haed")


def test_the_same_seed_prints_the_same_lines() -> None:
    def story(seed: int) -> list[tuple[float, str | None]]:
        night = Night(seed=seed).begin()
        night.start(BatchPlan(items=30, payloads={"flaky": 3, "slow": 1}))
        return [(e.timestamp, e.text) for e in night.logs.entries]

    assert story(3) == story(3) != story(4)
