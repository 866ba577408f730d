"""The coordinator: POST /start makes a batch and publishes its requests, POST /complete counts what comes back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView, Setting
from diagnostics.lab.applications.messages import NoEnvelope, Undecodable, body, read
from diagnostics.lab.applications.plan import BatchState, Casebook
from diagnostics.lab.applications.predictions.closing import ENOUGH, STALLED_S, consolidate, force_if_stalled
from diagnostics.lab.applications.predictions.start import Start
from diagnostics.lab.applications.predictions.status import status_of
from diagnostics.lab.applications.store import BatchStore, moment
from diagnostics.lab.http import Request
from diagnostics.lab.model import Revision

REQUEST_TOPIC_ENV = "PREDICTION_REQUEST_TOPIC"
CONTENDED = "409 Aborted due to cross-transaction contention"
RUNNING_S = 300.0
"""A start overrides the instance's own batch after this long without a completion."""
MISSING_PROJECT = """[CRITICAL] Worker failed to boot.
MissingEnvironmentVariablesError: missing required environment variables: GCP_PROJECT_ID"""


class PredictionCoordinator(BatchStore):
    """State in Firestore; beside it each instance remembers the batch it started."""

    collection = "prediction_batches"

    def __init__(self, setting: Setting, casebook: Casebook, service: str) -> None:
        super().__init__(setting, casebook)
        self.service = service
        self.listed: dict[str, list[str]] = {}
        """Players of each date, in the order in which batches first asked for them."""

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else MISSING_PROJECT

    def booted(self, instance: InstanceView) -> None:
        instance.log("INFO", f"Coordinator initialized (revision={instance.revision.name})")

    def handle(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        path, _, query = request.path.partition("?")
        route = {
            ("POST", "/start"): self._start,
            ("POST", "/complete"): self._complete,
            ("POST", "/check-stalled"): self._check_stalled,
            ("POST", "/reset"): self._reset,
        }.get((request.method, path))
        if path in ("/health", "/health/ready", "/health/live", "/health/metrics"):
            instance.after(0.01, lambda: finish(200, b'{"status":"healthy"}'))
        elif path == "/health/deep":
            instance.after(
                0.6,
                lambda: finish(200, b'{"status":"healthy","checks":{"bigquery":"ok","firestore":"ok","pubsub":"ok"}}'),
            )
        elif path == "/":
            says = {
                "service": self.service,
                "status": "healthy",
                "project_id": instance.revision.env.get("GCP_PROJECT_ID"),
            }
            instance.after(0.01, lambda: finish(200, json.dumps(says).encode()))
        elif route is None and (request.method, path) != ("GET", "/status"):
            instance.after(0.01, lambda: finish(404, b"Not Found"))
        elif refusal := self._unauthorized(request, instance):
            code, says_why = refusal
            instance.after(0.01, lambda: finish(code, says_why))
        elif route:
            route(request, instance, finish)
        else:
            batch = parse_qs(query).get("batch_id", [""])[0]
            state = self._known(instance, batch or instance.memory.get("batch", ""))
            answer = status_of(state, batch, instance)
            instance.after(0.15, lambda: finish(*answer))

    def document(self, state: BatchState) -> dict[str, Any]:
        fields = {
            "batch_id": state.id,
            "game_date": state.date,
            "expected_players": state.expected,
            "completed_players": list(state.completed),
            "failed_players": [],
            "predictions_by_player": dict(state.completed),
            "total_predictions": sum(state.completed.values()),
            "is_complete": state.closed,
            "start_time": moment(state.started),
            "updated_at": moment(max(state.updated, state.corrected)),
            "correlation_id": state.correlation,
        }
        if state.closed_at is not None:
            fields["completion_time"] = moment(state.closed_at)
        if state.forced.startswith(("STALLED", "TIMED OUT")):
            fields |= {"stall_completed": True, "stall_reason": state.forced}
        elif state.forced:
            fields["manual_clear"] = state.forced
        return fields

    def again(self, date: str, drawn: list[str]) -> list[str]:
        """As many players as were drawn: those of the date first, then of the drawn ones such as are not among them."""
        known = self.listed.get(date, [])
        among = set(known)
        return [*known, *(name for name in drawn if name not in among)][: len(drawn)]

    def topic(self, revision: Revision) -> str:
        """The request topic: from the environment, else the program's default."""
        default = "prediction-request" if t.has(revision, t.OLD_TOPIC_DEFAULT) else "prediction-request-prod"
        return revision.env.get(REQUEST_TOPIC_ENV, default)

    def remember(self, instance: InstanceView, batch: str) -> None:
        """The instance now holds this batch for its own."""
        instance.memory["batch"] = batch
        instance.memory.setdefault("batches", set()).add(batch)

    def _unauthorized(self, request: Request, instance: InstanceView) -> tuple[int, bytes] | None:
        """Any bearer token passes: the program trusts Cloud Run to have looked at it."""
        if request.token is not None:
            return None
        key = instance.revision.env.get("COORDINATOR_API_KEY")
        if not key:
            return 500, b'{"error":"Server misconfigured"}'
        if {name.lower(): value for name, value in request.headers.items()}.get("x-api-key") == key:
            return None
        instance.log("WARNING", f"Unauthorized request to {request.path.partition('?')[0]}")
        return 401, b'{"error":"Unauthorized"}'

    # Start

    def _start(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        options = body(request)
        attempt = self.attempt(request)
        attempt.received = instance.now
        date = self._date(str(options.get("game_date") or "TODAY"), instance.now)
        correlation = str(options.get("correlation_id") or f"{self.setting.rng.getrandbits(32):08x}")
        instance.log(
            "INFO",
            f"Starting prediction batch for {date} (correlation_id={correlation}, parent={options.get('parent_processor')}, "
            f"mode={options.get('mode', 'single')}, run_mode={options.get('prediction_run_mode') or 'OVERNIGHT'}, dataset_prefix=)",
        )
        if attempt.plan.refusal == "incomplete_data":
            instance.log("ERROR", f"DATA COMPLETENESS GATE: Refusing to make predictions for {date} (41.2% < 80%)")
            details = {"analytics_coverage_pct": 41.2, "threshold": 80}
            refusal: tuple[int, dict[str, Any]] | None = (
                503,
                {"status": "error", "error": "DATA_INCOMPLETE", "details": details},
            )
        else:
            refusal = self._running(instance, date, bool(options.get("force")))
        if refusal is None:
            Start(self, attempt, options, date, correlation, instance, finish).run()
            return
        attempt.status, says = refusal
        instance.after(0.4, lambda: finish(attempt.status, json.dumps(says).encode()))

    def _running(self, instance: InstanceView, date: str, force: bool) -> tuple[int, dict[str, Any]] | None:
        """409 if the instance or the store holds an open batch that is in the way."""
        own = self.batches.get(instance.memory.get("batch", ""))
        blocked = own is not None and instance.memory.get("blocked") == own.id
        if own and (blocked or not own.closed):
            if blocked or (instance.now - own.updated < RUNNING_S and not force):
                instance.log(
                    "WARNING", f"Batch already in progress: {own.id} ({len(own.completed)}/{own.expected} players)"
                )
                return 409, {"status": "already_running", "batch_id": own.id, "progress": _progress(own)}
            why = "forced" if force else "stalled"
            instance.log("WARNING", f"Overriding existing batch ({why}), starting new batch")
        if not force and not t.has(instance.revision, t.STATE_IN_MEMORY) and (active := self.open_batch(date)):
            done = f"{len(active.completed)}/{active.expected}"
            instance.log(
                "WARNING",
                f"Active batch {active.id} found for {date} in Firestore ({done} players completed) — blocking duplicate start",
            )
            return 409, {"status": "already_running", "batch_id": active.id, "progress": _progress(active)}
        return None

    @staticmethod
    def _date(asked: str, now: float) -> str:
        if asked not in ("TODAY", "TOMORROW"):
            return asked
        day = datetime.fromtimestamp(now, UTC) - timedelta(hours=5)
        return (day + timedelta(days=asked == "TOMORROW")).date().isoformat()

    # Completions

    def _complete(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        try:
            event = read(request)
        except (NoEnvelope, Undecodable) as error:
            instance.log("ERROR", f"ERROR in completion handler: {error}")
            instance.after(0.02, lambda: finish(400, b"Bad Request"))
            return
        batch, player = str(event.get("batch_id", "")), str(event.get("player_lookup", ""))
        if not batch:
            instance.log("ERROR", f"Completion event missing batch_id: {player}")
            instance.after(0.02, lambda: finish(400, b"Bad Request"))
            return
        count = int(event.get("predictions_generated", 0))
        instance.log("INFO", f"Completion: {player} (batch={batch}, predictions={count})")
        rng, downstream = self.setting.rng, self.setting.downstream
        wait_s = downstream.stretch(self.service, instance.now, rng.uniform(0.05, 0.3))
        trouble = downstream.fails(self.service, instance.now, rng)
        refused = (trouble.error or CONTENDED) if trouble else ""
        instance.after(wait_s, lambda: self._record(batch, player, count, refused, instance, finish))

    def _record(
        self, batch: str, player: str, count: int, refused: str, instance: InstanceView, finish: Finish
    ) -> None:
        """`refused`: why the store does not take the write; empty: it does."""
        state = self._known(instance, batch)
        if state is None and t.has(instance.revision, t.STATE_IN_MEMORY):
            instance.log("WARNING", f"Completion for unknown batch {batch} ignored")
            finish(204, b"")
            return
        if refused and t.has(instance.revision, t.RECORD_SWALLOWED):
            finish(204, b"")
            return
        if state is None or refused:
            why = refused or "404 No document to update"
            instance.log("ERROR", f"Failed to record completion after 3 attempts: {player} (batch={batch}): {why}")
            finish(500, b'{"error":"not recorded"}')
            return
        idle_s = instance.now - state.updated
        state.completed[player] = count
        state.updated = instance.now
        complete = not state.closed and len(state.completed) >= state.expected
        instance.log("INFO", f"Recorded completion for {player} in batch {batch}")
        instance.log("INFO", f"Recorded: {player} -> batch_complete={complete}")
        merge_s = 0.0
        if complete:
            merge_s = consolidate(self.setting, state, instance)
        elif (
            not state.closed
            and len(state.completed) >= ENOUGH * state.expected
            and not t.has(instance.revision, t.ALL_REQUIRED)
        ):
            merge_s = force_if_stalled(self.setting, state, idle_s, ENOUGH, STALLED_S, instance)
        instance.after(merge_s, lambda: finish(204, b""))

    def _known(self, instance: InstanceView, batch: str) -> BatchState | None:
        """The batch as this instance sees it: with state in memory, only what it started itself."""
        if t.has(instance.revision, t.STATE_IN_MEMORY) and batch not in instance.memory.get("batches", ()):
            return None
        return self.batches.get(batch)

    # Operators

    def _check_stalled(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        options = body(request)
        enough = float(options.get("min_completion_pct", 95.0)) / 100
        stalled_s = float(options.get("stall_threshold_minutes", 10)) * 60
        wanted = str(options.get("batch_id", ""))
        results, longest_s = [], 0.5
        for state in [b for b in self.batches.values() if not b.closed and wanted in ("", b.id)]:
            merge_s = force_if_stalled(self.setting, state, instance.now - state.updated, enough, stalled_s, instance)
            results.append({"batch_id": state.id, "was_stalled": state.closed, "progress": _progress(state)})
            longest_s = max(longest_s, merge_s)
        completed = sum(bool(r["was_stalled"]) for r in results)
        says = {"status": "ok", "batches_checked": len(results), "batches_completed": completed, "results": results}
        instance.after(longest_s, lambda: finish(200, json.dumps(says).encode()))

    def _reset(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        options = body(request)
        batch, date = str(options.get("batch_id", "")), str(options.get("game_date", ""))
        if not batch and not date:
            instance.after(0.02, lambda: finish(400, b'{"error":"batch_id or game_date required"}'))
            return
        state = self.batches.get(batch) if batch else self.open_batch(date)
        if state is None:
            instance.after(0.1, lambda: finish(404, b'{"status":"no_batch"}'))
            return
        instance.log(
            "WARNING", f"BATCH RESET: batch_id={state.id} ({len(state.completed)}/{state.expected} players completed)"
        )
        if not state.closed:
            state.close(instance.now, forced="reset")
        if instance.memory.get("batch") == state.id:
            if t.has(instance.revision, t.RESET_BLOCKS):
                instance.memory["blocked"] = state.id
            else:
                del instance.memory["batch"]
        says = {"status": "reset", "batch_id": state.id, "firestore_completed": True, "tracker_cleared": True}
        instance.after(0.2, lambda: finish(200, json.dumps(says).encode()))


def _progress(state: BatchState) -> dict[str, Any]:
    return {"expected": state.expected, "completed": len(state.completed)}
