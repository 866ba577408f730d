"""The worker: POST /predict makes one player's predictions and reports them on the completion topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView, Setting
from diagnostics.lab.applications.cases import BIG_MIB, Case, Outcome, decide
from diagnostics.lab.applications.messages import NoEnvelope, Undecodable, client_error, read
from diagnostics.lab.applications.plan import Casebook, Scripted
from diagnostics.lab.applications.predictions import models, results
from diagnostics.lab.applications.predictions.names import PLAYERS
from diagnostics.lab.applications.predictions.request import completion_data, request_data
from diagnostics.lab.http import PublishError, Request
from diagnostics.lab.model import Revision

USUAL_S = 9.0
"""Seconds of work for a usual player."""
REQUIRED = ("player_lookup", "game_date", "game_id")
REASONS = {
    "skip": "no_prop_lines",
    "injury": "player_injury_out",
    "transient": "feature_store_timeout",
    "limited": "rate_limited",
    "downstream": "bigquery_timeout",
}
DEFAULT_READY_TOPIC = "prediction-ready"
"""The program's own default, a topic that does not exist in production."""
MISSING_PROJECT = """[CRITICAL] Worker failed to boot.
MissingEnvironmentVariablesError: missing required environment variables: GCP_PROJECT_ID"""


@dataclass(frozen=True)
class Item:
    """One request message, read."""

    player: str
    date: str
    batch: str
    correlation: str
    prefix: str


class PredictionWorker:
    """Answers by outcome and by what its build does differently (traits)."""

    def __init__(self, setting: Setting, casebook: Casebook, service: str) -> None:
        self._setting = setting
        self._casebook = casebook
        self._service = service

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else MISSING_PROJECT

    def booted(self, instance: InstanceView) -> None:
        commit = instance.revision.env.get("BUILD_COMMIT", "unknown")
        instance.log("INFO", f"Build tracking: commit={commit}, revision={instance.revision.name}")
        for line in models.lines(instance.revision):
            instance.log("INFO", line)
        instance.log("INFO", "Worker initialized successfully")

    def handle(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        path = request.path.partition("?")[0]
        if path == "/predict" and request.method == "POST":
            self._predict(request, instance, finish)
        elif path == "/predict":
            instance.after(0.01, lambda: finish(405, b"Method Not Allowed"))
        elif path in ("/health", "/"):
            instance.after(0.01, lambda: finish(200, b'{"status":"healthy"}'))
        elif path in ("/health/deep", "/ready"):
            instance.after(self._setting.rng.uniform(0.4, 1.8), lambda: finish(200, _deep_health()))
        else:
            instance.after(0.01, lambda: finish(404, b"Not Found"))

    def craft(self, payload: str, *, date: str = "", batch: str = "") -> tuple[bytes, dict[str, str]]:
        """Data and attributes of a hand-made request message of a payload class; this pipeline uses no attributes."""
        rng, now = self._setting.rng, float(self._setting.env.now)
        player = rng.choice(PLAYERS)
        date = date or _day(now)
        self._casebook.classes[batch, player] = payload
        return request_data(payload, player, date, batch, "manual", "OVERNIGHT", now, rng), {}

    def craft_completion(self, fault: str, *, date: str = "", batch: str = "") -> tuple[bytes, dict[str, str]]:
        """Data and attributes of a hand-made completion: fault is no_batch_id, unknown_batch, undecodable or ""."""
        rng, now = self._setting.rng, float(self._setting.env.now)
        if fault == "undecodable":
            return b"not json", {}
        if fault == "unknown_batch":
            batch = f"fallback_{int(now * 1000)}"
        date = date or _day(now)
        return completion_data(
            rng.choice(PLAYERS), date, 4, "" if fault == "no_batch_id" else batch, "manual", "", now
        ), {}

    # One message

    def _predict(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        refuses = t.has(instance.revision, t.POISON_REFUSED)
        try:
            content = read(request)
        except NoEnvelope as error:
            self._unreadable(f"no Pub/Sub envelope: {error}", refuses, instance, finish)
            return
        except Undecodable as error:
            instance.log("ERROR", f"Error processing prediction request: JSONDecodeError: {error}")
            instance.after(0.02, lambda: finish(500, b'{"error":"Internal server error"}'))
            return
        if missing := [key for key in REQUIRED if not content.get(key)]:
            self._unreadable(f"missing required fields: {missing}", refuses, instance, finish)
            return
        item = Item(
            content["player_lookup"],
            content["game_date"],
            content.get("batch_id", ""),
            content.get("correlation_id", ""),
            content.get("dataset_prefix", ""),
        )
        instance.log(
            "INFO",
            f"Processing prediction request: {item.player} on {item.date} "
            f"(dataset_prefix: {item.prefix}, correlation_id: {item.correlation})",
        )
        case, work_s = decide(self._setting, self._casebook, self._service, item.batch, item.player, USUAL_S)
        if t.has(instance.revision, t.ACK_FIRST):
            instance.after(0.05, lambda: finish(204, b""))
        instance.after(work_s, lambda: self._conclude(item, case, instance, finish))

    def _unreadable(self, why: str, refuses: bool, instance: InstanceView, finish: Finish) -> None:
        if refuses:
            instance.log("ERROR", f"Invalid prediction request: {why}")
        else:
            instance.log("ERROR", f"POISON_MESSAGE: {why} - acknowledging to stop redelivery")
        instance.after(0.02, lambda: finish(*((400, b'{"error":"Bad request"}') if refuses else (204, b""))))

    def _conclude(self, item: Item, case: Case, instance: InstanceView, finish: Finish) -> None:
        """The table: outcome × build → code, lines, completion."""
        build, reason = t.traits_of(instance.revision.code), REASONS.get(case.reason, case.reason)
        outcome = case.outcome
        if outcome is Outcome.SKIPPED and case.reason == "injury" and t.INJURY_TRANSIENT in build:
            outcome = Outcome.FAILED
        match outcome:
            case Outcome.CRASHED:
                instance.log("ERROR", "Fatal Python error: Segmentation fault")
                instance.exit(139)
            case Outcome.OUT_OF_MEMORY if instance.revision.memory_mib < BIG_MIB:
                instance.out_of_memory()
            case Outcome.SCRIPTED if case.script is not None:
                self._scripted(item, case.script, instance, finish)
            case _ if t.BROKEN in build:
                self._broken(item, instance, finish)
            case Outcome.SKIPPED:
                instance.log("WARNING", f"PERMANENT failure for {item.player}: {reason} - acknowledging without retry")
                self._report(item, 0, instance, finish, silent=t.SKIP_WITHOUT_COMPLETION in build)
            case Outcome.FAILED if self._is_stale(item, 0) and t.STALE_RETRIED not in build:
                instance.log(
                    "WARNING", f"STALE_MESSAGE: Transient failure for past date {item.date}: {item.player} ({reason})"
                )
                self._report(item, 0, instance, finish)
            case Outcome.FAILED:
                instance.log("ERROR", f"TRANSIENT failure for {item.player}: {reason} - returning 500")
                finish(500, b'{"error":"transient"}')
            case Outcome.LIMITED:
                instance.log("WARNING", f"TRANSIENT failure for {item.player}: {reason} - returning 429")
                finish(429, b'{"error":"rate limited"}')
            case Outcome.NOT_WRITTEN if t.COMPLETION_BEFORE_WRITE not in build:
                instance.log("ERROR", f"STAGING WRITE FAILED for {item.player}")
                instance.log("ERROR", f"Staging write failed for {item.player} returning 500")
                finish(500, b'{"error":"staging write failed"}')
            case Outcome.NOT_WRITTEN:
                instance.log("ERROR", f"STAGING WRITE FAILED for {item.player}")
                self._report(item, 4, instance, finish)
            case _:
                self._done(item, outcome, instance, finish)

    def _done(self, item: Item, outcome: Outcome, instance: InstanceView, finish: Finish) -> None:
        count = self._setting.rng.randint(3, 6)
        table = f"nba_predictions._staging_{item.batch.replace('-', '_')}_{instance.revision.name.replace('-', '_')}"
        instance.log("INFO", f"Features validated for {item.player}", at=instance.now - 2.0)
        instance.log(
            "INFO", f"Staging write complete: {count} rows to {table} (batch={item.batch})", at=instance.now - 0.2
        )
        instance.log("INFO", f"Successfully generated {count} predictions for {item.player}")
        self._write(item, count, instance)
        lost = outcome is Outcome.LOST_ID
        self._report(
            item,
            count,
            instance,
            finish,
            silent=outcome is Outcome.SILENT and instance.revision.cpu_idle,
            without_batch=lost,
        )

    def _write(self, item: Item, count: int, instance: InstanceView) -> None:
        results.stage(self._setting.world, instance.revision, item.player, item.date, item.batch, count, instance.now)

    def _scripted(self, item: Item, script: Scripted, instance: InstanceView, finish: Finish) -> None:
        """Word for word what the scenario says; an acknowledgement is given by its status."""
        if script.says:
            instance.log("ERROR", script.says)
        count = self._setting.rng.randint(3, 6) if script.results is None else script.results
        if script.done:
            self._write(item, count, instance)
            instance.log("INFO", f"Successfully generated {count} predictions for {item.player}")
        else:
            instance.log("ERROR", f"TRANSIENT failure for {item.player}: {script.reason} - returning {script.status}")

        def answer(status: int, body: bytes) -> None:
            finish(script.status if status == 204 else status, body)

        self._report(item, count, instance, answer, silent=not script.publishes)

    def _broken(self, item: Item, instance: InstanceView, finish: Finish) -> None:
        error = "ImportError: cannot import name 'firestore' from 'google.cloud' (unknown location)"
        if self._is_stale(item, 1) and not t.has(instance.revision, t.STALE_RETRIED):
            instance.log("WARNING", f"STALE_MESSAGE: Exception for stale date {item.date}: {item.player}: {error}")
            finish(204, b"")
        else:
            instance.log("ERROR", f"Error processing prediction request for {item.player}: {error}")
            finish(500, b'{"error":"Internal server error"}')

    def _report(
        self,
        item: Item,
        predictions: int,
        instance: InstanceView,
        finish: Finish,
        silent: bool = False,
        without_batch: bool = False,
    ) -> None:
        """Publish the completion and acknowledge. A failure is logged and swallowed: the completion is then lost for good."""
        revision = instance.revision
        topic = revision.env.get("PUBSUB_READY_TOPIC", DEFAULT_READY_TOPIC)
        batch = "" if without_batch else item.batch or f"fallback_{int(instance.now * 1000)}"
        data = completion_data(
            item.player, item.date, predictions, batch, item.correlation, revision.name, instance.now
        )
        try:
            if not silent:
                self._setting.publish_as(revision, topic, data, {})
        except PublishError as error:
            instance.log("ERROR", f"Error publishing completion event: {client_error(error)}")
            if t.has(revision, t.COMPLETION_NACKS):
                finish(500, b'{"error":"completion not published"}')
                return
        finish(204, b"")

    def _is_stale(self, item: Item, days: int) -> bool:
        """Whether the item's date is more than so many days past."""
        return item.date < _day(float(self._setting.env.now) - days * 86400)


def _day(at: float) -> str:
    """The date in New York, as this pipeline counts days (winter time will do)."""
    return (datetime.fromtimestamp(at, UTC) - timedelta(hours=5)).date().isoformat()


def _deep_health() -> bytes:
    """Names what it checks; neither Pub/Sub nor the completion topic is among it."""
    checks = [
        {"check": name, "status": "pass", "duration_ms": 40 + 30 * number}
        for number, name in enumerate(
            ("gcs_access", "bigquery_access", "model_loading", "configuration", "output_schema")
        )
    ]
    return json.dumps({"status": "healthy", "checks": checks, "checks_run": 5, "checks_passed": 5}).encode()
