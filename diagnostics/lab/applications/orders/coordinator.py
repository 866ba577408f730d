"""The coordinator: POST /start exports a night's invoices, POST /exported takes the receipts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView, Setting
from diagnostics.lab.applications.messages import NoEnvelope, Undecodable, body, client_error, read
from diagnostics.lab.applications.orders.worker import MISSING_PROJECT, order_data
from diagnostics.lab.applications.plan import Attempt, BatchState, Casebook
from diagnostics.lab.applications.store import BatchStore, moment
from diagnostics.lab.http import PublishError, Request
from diagnostics.lab.model import Revision

PACE_S = 0.008
"""Pause after each queued order."""
DEADLINE_S = 6 * 3600.0
"""Age at which an open batch expires, at the next receipt or sweep."""


class OrderCoordinator(BatchStore):
    """Expects what it selected, closes when every order has a receipt, gives up at the deadline. Its state is in Firestore."""

    collection = "invoice_exports"

    def __init__(self, setting: Setting, casebook: Casebook, service: str) -> None:
        super().__init__(setting, casebook)
        self.service = service

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else MISSING_PROJECT

    def booted(self, instance: InstanceView) -> None:
        self.say(instance, "coordinator_ready", {})

    # Words: another pipeline of this shape says the same otherwise

    start_route, receipt_route, state_route = "/start", "/exported", "/batches/"
    batch_field, item_field = "batch", "order"
    """Names in its messages."""
    date_field, mode_field = "date", "mode"
    """Names in the start call's body."""
    refusals: Mapping[str, str] = {
        "no_work": "no_business_day",
        "no_items": "nothing_to_export",
        "incomplete_data": "ledger_incomplete",
    }
    """What it calls what ends a start before a batch exists."""
    nothing = "nothing_to_export"

    def turns_away(self, request: Request, instance: InstanceView) -> bool:  # noqa: ARG002
        """Whether a check of its own refuses a start call, without a word."""
        return False

    def about_call(self, request: Request) -> dict[str, Any]:  # noqa: ARG002
        """What its first line tells of a start call beside what is to be done."""
        return {}

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        instance.log(severity, json={"event": event} | more)

    def batch_name(self, date: str, number: int) -> str:
        return f"EXP-{date}-{number}"

    def item_names(self, count: int) -> list[str]:
        numbers = range(100000, max(1000000, 100000 + count))
        return [f"ORD-{n:06d}" for n in self.setting.rng.sample(numbers, count)]

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        return order_data(payload, item, date, batch, self.setting.rng)

    def handle(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        path = request.path.partition("?")[0]
        match request.method, path:
            case "POST", self.start_route if self.turns_away(request, instance):
                instance.after(0.01, lambda: finish(403, b""))
            case "POST", self.start_route:
                self._start(request, instance, finish)
            case "POST", self.receipt_route:
                self._exported(request, instance, finish)
            case "POST", "/sweep":
                self._sweep(instance)
                instance.after(0.1, lambda: finish(204, b""))
            case "GET", "/healthz" | "/health" | "/health/deep" | "/":
                instance.after(0.02, lambda: finish(200, b'{"ok":true}'))
            case "GET", _ if path.startswith(self.state_route):
                answer = self._status(path.removeprefix(self.state_route), instance)
                instance.after(0.05, lambda: finish(*answer))
            case _:
                instance.after(0.01, lambda: finish(404, b"not found"))

    # Start

    def _start(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        attempt, options = self.attempt(request), body(request)
        attempt.received = instance.now
        date = str(options.get(self.date_field) or datetime.fromtimestamp(instance.now, UTC).date().isoformat())
        mode = str(options.get(self.mode_field) or "nightly")
        self.say(instance, "start_received", {"date": date, "mode": mode} | self.about_call(request))

        def answer(status: int, says: dict[str, Any]) -> None:
            attempt.status = status
            finish(status, json.dumps(says).encode())

        def refuse(status: int, reason: str, **more: Any) -> None:
            self.say(instance, "start_refused", {"date": date, "reason": reason, **more}, "WARNING")
            answer(status, {"error": reason, **more})

        blocker = self.open_batch(date)
        if blocker and not t.has(instance.revision, t.STATE_IN_MEMORY) and not options.get("force"):
            instance.after(0.1, lambda: refuse(409, "batch_open", blocker=blocker.id))
        elif attempt.plan.refusal:
            status = 503 if attempt.plan.refusal == "incomplete_data" else 200
            instance.after(0.8, lambda: refuse(status, self.refusals[attempt.plan.refusal]))
        else:
            _Start(self, attempt, date, instance, answer).run()

    def document(self, state: BatchState) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "state": _state(state),
            "orders": {"expected": state.expected, "exported": sorted(state.completed)},
            "openedAt": moment(state.started),
        }
        return fields | ({"closedAt": moment(state.closed_at)} if state.closed_at is not None else {})

    # Receipts

    def _exported(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        try:
            receipt = read(request)
            batch, order = str(receipt[self.batch_field]), str(receipt[self.item_field])
        except (NoEnvelope, Undecodable, KeyError) as error:
            self.say(instance, "receipt_rejected", {"reason": f"{type(error).__name__}: {error}"}, "ERROR")
            instance.after(0.02, lambda: finish(400, b""))
            return
        lines = int(receipt.get("lines", 0))
        rng, downstream = self.setting.rng, self.setting.downstream
        wait_s = downstream.stretch(self.service, instance.now, rng.uniform(0.02, 0.1))
        trouble = downstream.fails(self.service, instance.now, rng)
        refused = (trouble.error or "store_contention") if trouble else ""
        self.say(instance, "receipt_received", {"batch": batch, "order": order})
        instance.after(wait_s, lambda: self._record(batch, order, lines, refused, instance, finish))

    def _record(self, batch: str, order: str, lines: int, refused: str, instance: InstanceView, finish: Finish) -> None:
        """`refused`: why the store does not take the write; empty: it does."""
        state = self._known(batch, instance)
        if refused and t.has(instance.revision, t.RECORD_SWALLOWED):
            finish(204, b"")
            return
        if refused:
            entry = {"batch": batch, "order": order, "reason": refused}
            self.say(instance, "export_record_failed", entry, "ERROR")
            finish(500, b"")
            return
        if state is None:
            self.say(instance, "receipt_unknown", {"batch": batch, "order": order}, "WARNING")
            finish(204, b"")
            return
        state.completed[order] = lines
        state.updated = instance.now
        self.say(instance, "export_recorded", {"batch": batch, "order": order, "lines": lines})
        if not state.closed and len(state.completed) >= state.expected:
            state.close(instance.now)
            done = {"batch": batch, "exported": len(state.completed), "of": state.expected}
            self.say(instance, "batch_closed", done, "NOTICE")
        self._sweep(instance)
        finish(204, b"")

    def _sweep(self, instance: InstanceView) -> None:
        for state in self.batches.values():
            if not state.closed and state.deadline is not None and instance.now > state.deadline:
                state.close(instance.now, forced="deadline")
                done = {"batch": state.id, "exported": len(state.completed), "of": state.expected}
                self.say(instance, "batch_expired", done, "ERROR")

    def _known(self, batch: str, instance: InstanceView) -> BatchState | None:
        if t.has(instance.revision, t.STATE_IN_MEMORY) and batch not in instance.memory:
            return None
        return self.batches.get(batch)

    def _status(self, batch: str, instance: InstanceView) -> tuple[int, bytes]:
        state = self._known(batch, instance)
        if state is None:
            return 404, b'{"error":"no such batch"}'
        says = {
            "batch": state.id,
            "state": _state(state),
            "orders": {"expected": state.expected, "exported": sorted(state.completed)},
            "openedAt": datetime.fromtimestamp(state.started, UTC).isoformat(),
        }
        return 200, json.dumps(says).encode()


def _state(state: BatchState) -> str:
    return "OPEN" if not state.closed else "EXPIRED" if state.forced else "CLOSED"


class _Start:
    """A start that was not refused. Reads top to bottom in time."""

    def __init__(
        self,
        coordinator: OrderCoordinator,
        attempt: Attempt,
        date: str,
        instance: InstanceView,
        answer: Callable[[int, dict[str, Any]], None],
    ) -> None:
        self._coordinator = coordinator
        self._setting = coordinator.setting
        self._attempt = attempt
        self._date = date
        self._instance = instance
        self._answer = answer
        self._failed = 0
        number = 1 + sum(b.date == date for b in coordinator.batches.values())
        self._batch = attempt.plan.batch_id or coordinator.batch_name(date, number)

    def run(self) -> None:
        """Begin; every later step is scheduled by the one before it."""
        usual_s = self._setting.rng.uniform(3, 9)
        loading_s = usual_s if self._attempt.plan.loading_s is None else self._attempt.plan.loading_s
        stretch = self._setting.downstream.stretch
        self._instance.after(stretch(self._coordinator.service, self._instance.now, loading_s), self._select)

    def _log(self, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        self._coordinator.say(self._instance, event, {"batch": self._batch} | more, severity)

    def _select(self) -> None:
        plan = self._attempt.plan
        if not plan.names:
            plan.names[:] = self._coordinator.item_names(plan.items)
        self._log("orders_loaded", {"count": plan.items, "date": self._date})
        self._orders = self._coordinator.select(self._attempt, self._batch, plan.names)
        gated = {"alreadyExported": plan.gated.get("existing", 0), "onHold": plan.gated.get("low_quality", 0)}
        self._log("orders_selected", {"selected": len(self._orders), "found": plan.items} | gated)
        kept = t.has(self._instance.revision, t.EXPECTED_KEPT)
        if not self._orders and not kept:
            self._log("batch_empty", {"reason": self._coordinator.nothing})
            self._answer(200, {"batch": "", "queued": 0, "reason": self._coordinator.nothing})
            return
        self._create(plan.items if kept else len(self._orders))

    def _create(self, expected: int) -> None:
        now, batch = self._instance.now, self._batch
        in_memory = t.has(self._instance.revision, t.STATE_IN_MEMORY)
        self._coordinator.batches[batch] = BatchState(
            batch, self._date, now, expected, updated=now, deadline=now + DEADLINE_S, stored=not in_memory
        )
        self._instance.memory[batch] = True
        self._attempt.batch_id = batch
        self._log("batch_created", {"expected": expected})
        self._orders = self._coordinator.to_send(self._attempt, self._orders)
        self._instance.after(PACE_S, lambda: self._queue(0))

    def _queue(self, number: int) -> None:
        if number == len(self._orders):
            self._queued()
            return
        order, setting = self._orders[number], self._setting
        payload = self._coordinator.casebook.of(self._batch, order)
        data, attributes = self._coordinator.request_data(payload, order, self._date, self._batch)
        revision = self._instance.revision
        try:
            message = setting.publish_as(revision, revision.env.get("QUEUE_TOPIC", ""), data, attributes)
        except PublishError as error:
            self._failed += 1
            self._log("order_queue_failed", {"order": order, "reason": client_error(error)}, "ERROR")
        else:
            self._attempt.published += 1
            self._log("order_queued", {"order": order, "messageId": message})
        self._instance.after(PACE_S, lambda: self._queue(number + 1))

    def _queued(self) -> None:
        counts = {"queued": self._attempt.published, "failed": self._failed, "of": len(self._orders)}
        self._log("batch_queued", counts)
        self._answer(202, {"batch": self._batch, **counts})
