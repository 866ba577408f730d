"""One run of POST /start: received, loading, created, gate, publishing, answered. Everything happens inside the request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView
from diagnostics.lab.applications.messages import RETRIED, client_error
from diagnostics.lab.applications.plan import Attempt, BatchState
from diagnostics.lab.applications.predictions.names import players
from diagnostics.lab.applications.predictions.request import request_data
from diagnostics.lab.http import PublishError

if TYPE_CHECKING:
    from diagnostics.lab.applications.predictions.coordinator import PredictionCoordinator

PACE_S = 0.02
"""Pause after each published message."""
TRIES = 3
PUBLISH_TIMEOUT_S = 5.0
HEARTBEAT_S = 300.0
QUALITY = {"FIRST": 85, "RETRY": 85, "FINAL_RETRY": 80, "LAST_CALL": 70, "BACKFILL": 70}


class Start:
    """A start that was not refused. Reads top to bottom in time."""

    def __init__(
        self,
        coordinator: PredictionCoordinator,
        attempt: Attempt,
        options: dict[str, Any],
        date: str,
        correlation: str,
        instance: InstanceView,
        finish: Finish,
    ) -> None:
        self._coordinator = coordinator
        self._setting = coordinator.setting
        self._attempt = attempt
        self._plan = attempt.plan
        self._mode = str(options.get("prediction_run_mode") or "OVERNIGHT")
        self._date = date
        self._correlation = correlation
        self._instance = instance
        self._finish = finish
        self._log = instance.log
        self._after = instance.after
        self._total = attempt.plan.items
        self._failed = 0
        self._batch = attempt.plan.batch_id or f"batch_{date}_{int(instance.now)}"
        rng = self._setting.rng
        self._names = rng.sample(players(self._total), self._total) if self._total else []
        if self._plan.same_items:
            self._names = coordinator.again(date, self._names)
        self._loading_s = rng.uniform(25, 70) if attempt.plan.loading_s is None else attempt.plan.loading_s
        listed = coordinator.listed.setdefault(date, [])
        before = set(listed)
        listed.extend(n for n in self._names if n not in before)
        self._loading_s = self._setting.downstream.stretch(coordinator.service, instance.now, self._loading_s)

    def run(self) -> None:
        """Begin; every later step is scheduled by the one before it."""
        self._after(1.2, self._load)

    def _load(self) -> None:
        date, total = self._date, self._total
        if self._plan.refusal == "no_work":
            self._log("INFO", f"No games scheduled for {date}")
            self._answer(200, {"status": "no_games_scheduled", "game_date": date})
            return
        self._log("INFO", f"Game date summary: {{'game_date': '{date}', 'total_games': {max(1, total // 18)}}}")
        self._log("INFO", f"Creating prediction requests for {date}")
        if self._plan.refusal == "no_items" or not total:
            self._log("ERROR", f"No players found for {date}")
            self._answer(404, {"status": "error", "message": f"No players found for {date}"})
            return
        self._log("INFO", f"Queried {total} players for {date}")
        self._log("INFO", f"Found {total} players for {date}")
        lines = total * 9 // 10
        self._log("INFO", f"LINE_SOURCE_STATS: odds_api={lines}, bettingpros={total - lines}, none=0")
        if t.has(self._instance.revision, t.CREATED_FIRST):
            self._after(0.5, self._create)
            self._after(0.6, lambda: self._preload(self._gate))
        else:
            self._preload(self._create_and_go_on)

    def _preload(self, then: Callable[[], None]) -> None:
        """The long operation: historical games of all players."""
        name, began = f"Loading historical games for {self._total} players", self._instance.now
        self._log("INFO", f"HEARTBEAT START: {name}")
        for beat in range(1, int(self._loading_s // HEARTBEAT_S) + 1):
            elapsed = int(beat * HEARTBEAT_S)
            self._after(elapsed, lambda elapsed=elapsed: self._log("INFO", f"HEARTBEAT: {name} ({elapsed}s elapsed)"))  # type: ignore[misc]

        def loaded() -> None:
            took = self._instance.now - began
            games = self._total * 28
            self._log("INFO", f"HEARTBEAT END: {name} ({took:.1f}s)")
            self._log("INFO", f"Batch loaded {games} historical games for {self._total} players in {took:.2f} s")
            then()

        self._after(self._loading_s, loaded)

    def _create_and_go_on(self) -> None:
        self._create()
        self._after(self._setting.rng.uniform(1.0, 3.0), self._gate)

    def _create(self) -> None:
        now, batch = self._instance.now, self._batch
        in_memory = t.has(self._instance.revision, t.STATE_IN_MEMORY)
        self._coordinator.batches[batch] = BatchState(
            batch,
            self._date,
            now,
            self._total,
            self._correlation,
            updated=now,
            stored=not in_memory,
            mode=self._mode,
        )
        self._coordinator.remember(self._instance, batch)
        self._attempt.batch_id = batch
        self._log("INFO", f"Created batch state: {batch} (expected_players={self._total})")
        self._log("INFO", f"Batch state persisted to Firestore: {batch} (expected={self._total} players)")

    def _gate(self) -> None:
        plan, total = self._plan, self._total
        selected = self._coordinator.select(self._attempt, self._batch, self._names)
        self._players = self._coordinator.to_send(self._attempt, selected)
        passed = len(selected)
        self._log("INFO", f"QUALITY_GATE: Applying mode={self._mode} (threshold={QUALITY.get(self._mode, 85)})")
        self._log(
            "INFO",
            f"QUALITY_GATE [catboost_v9]: {passed}/{total} players viable (skipped_existing={plan.gated.get('existing', 0)}, "
            f"skipped_low_quality={plan.gated.get('low_quality', 0)}, hard_blocked={plan.gated.get('hard_blocked', 0)})",
        )
        self._log("INFO", f"QUALITY_GATE: {passed}/{total} players will get predictions")
        self._began = self._instance.now
        self._log("INFO", f"HEARTBEAT START: Publishing {passed} prediction requests")
        self._after(PACE_S, lambda: self._publish(0, 1))

    def _publish(self, number: int, attempt: int) -> None:
        """Publish the number-th player; after a failure again, then go on to the next."""
        if number == len(self._players):
            self._published()
            return
        player, instance = self._players[number], self._instance
        payload = self._coordinator.casebook.of(self._batch, player)
        rng = self._setting.rng
        data = request_data(payload, player, self._date, self._batch, self._correlation, self._mode, instance.now, rng)
        try:
            self._setting.publish_as(instance.revision, self._coordinator.topic(instance.revision), data, {})
        except PublishError as error:
            self._retry(number, attempt, player, error)
            return
        self._attempt.published += 1
        if self._attempt.published % 50 == 0:
            self._log("INFO", f"Published {self._attempt.published}/{len(self._players)} requests")
        self._after(PACE_S, lambda: self._publish(number + 1, 1))

    def _retry(self, number: int, attempt: int, player: str, error: PublishError) -> None:
        """The client itself goes on retrying some codes until the caller's time-out; others come back at once."""
        slow = error.code in RETRIED
        says = "504 Timeout" if slow else client_error(error)
        wait_s = PUBLISH_TIMEOUT_S if slow else 0.05

        def failed() -> None:
            self._log("WARNING", f"Pub/Sub publish attempt {attempt}/{TRIES} failed for {player}: {says}")
            if attempt < TRIES:
                self._after(float(attempt), lambda: self._publish(number, attempt + 1))
                return
            self._log("ERROR", f"Pub/Sub publish failed after {TRIES} attempts for {player}: {says}")
            self._failed += 1
            self._publish(number + 1, 1)

        self._after(wait_s, failed)

    def _published(self) -> None:
        published, batch = self._attempt.published, self._batch
        took = max(0.01, self._instance.now - self._began)
        self._log("INFO", f"HEARTBEAT END: Publishing {len(self._players)} prediction requests ({took:.1f}s)")
        if not t.has(self._instance.revision, t.NO_PUBLISH_METRICS):
            self._log(
                "INFO",
                f"PUBLISH_METRICS: Published {published} requests in {took:.1f} s ({published / took:.1f} req/s), "
                f"{self._failed} failed [batch={batch}, mode={self._mode}]",
            )
        self._log("INFO", f"Published {published}/{self._total} prediction requests")
        if not t.has(self._instance.revision, t.EXPECTED_KEPT):
            self._correct(published)
        says = {
            "status": "started",
            "batch_id": batch,
            "game_date": self._date,
            "total_requests": self._total,
            "published": published,
            "monitor_url": f"/status?batch_id={batch}",
        }
        self._answer(202, says)

    def _correct(self, published: int) -> None:
        """Lower the expected count to what was published. Nothing here looks whether the batch is thereby complete."""
        state = self._coordinator.batches[self._batch]
        if published == state.expected:
            return
        self._log("INFO", f"Corrected expected_players for {self._batch}: {state.expected} -> {published}")
        state.expected, state.corrected = published, self._instance.now
        if not published:
            self._log("INFO", f"Batch {self._batch} marked complete (0 publishable players after quality gate)")
            state.close(self._instance.now)

    def _answer(self, status: int, says: dict[str, Any]) -> None:
        self._attempt.status = status
        self._finish(status, json.dumps(says).encode())
