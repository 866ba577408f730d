"""The worker: POST /export writes one order's invoice and sends a receipt."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView, Setting
from diagnostics.lab.applications.cases import BIG_MIB, Case, Outcome, decide
from diagnostics.lab.applications.messages import OVERSIZED, NoEnvelope, Undecodable, client_error, dump, read
from diagnostics.lab.applications.orders import results
from diagnostics.lab.applications.plan import Casebook, Scripted
from diagnostics.lab.http import PublishError, Request
from diagnostics.lab.model import Revision

USUAL_S = 4.0
"""Seconds of work for a usual order."""
ROUTE = "/export"
REASONS = {
    "skip": "order_cancelled",
    "injury": "customer_blocked",
    "transient": "ledger_locked",
    "limited": "ledger_rate_limited",
    "downstream": "ledger_unavailable",
}
MISSING_PROJECT = "fatal: environment variable GCP_PROJECT_ID is not set"


def order_data(payload: str, order: str, date: str, batch: str, rng: random.Random) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a request message; a malformed one lacks the order, an undecodable one is no JSON."""
    attributes = {"kind": "invoice", "batch": batch, "order": order}
    if payload == "undecodable":
        return f"<order id='{order}'/>".encode(), attributes
    content: dict[str, Any] = {"batch": batch, "date": date, "customer": f"C{rng.randint(10000, 99999)}"}
    content |= {"orderId": order} if payload == "malformed" else {"order": order}
    return dump(content) + (OVERSIZED if payload == "oversized" else b""), attributes


def receipt_data(order: str, batch: str, state: str, lines: int) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a receipt, the completion of this pipeline."""
    content: dict[str, Any] = {"batch": batch, "order": order, "state": state, "lines": lines}
    if not batch:
        del content["batch"]
    return dump(content), {"kind": "receipt", "batch": batch}


class Item(NamedTuple):
    """One request message, read."""

    batch: str
    order: str
    date: str


class OrderWorker:
    """Answers by outcome and by what its build does differently (traits)."""

    def __init__(self, setting: Setting, casebook: Casebook, service: str) -> None:
        self._setting = setting
        self._casebook = casebook
        self._service = service

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else MISSING_PROJECT

    def booted(self, instance: InstanceView) -> None:
        self.say(instance, "worker_ready", {"build": instance.revision.env.get("BUILD_COMMIT", "")})

    # Words: another pipeline of this shape says the same otherwise

    route = ROUTE
    batch_field, item_field = "batch", "order"
    """Names in its messages."""
    reasons: Mapping[str, str] = REASONS
    panic = "panic: runtime error: invalid memory address or nil pointer dereference"
    bug = "TypeError: unsupported operand type(s) for /: 'NoneType' and 'int'"
    not_written = "ledger_write_failed"

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        instance.log(severity, json={"event": event} | more)

    def started(self, content: Mapping[str, Any], batch: str, item: str, instance: InstanceView) -> dict[str, Any]:  # noqa: ARG002
        """What it says of a message that it took up."""
        return {"batch": batch, "order": item}

    def item_name(self) -> str:
        return f"ORD-{self._setting.rng.randint(0, 999999):06d}"

    def batch_name(self, date: str, number: int) -> str:
        return f"EXP-{date}-{number}"

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        return order_data(payload, item, date, batch, self._setting.rng)

    def receipt(self, item: str, batch: str, state: str, lines: int) -> tuple[bytes, dict[str, str]]:
        return receipt_data(item, batch, state, lines)

    def handle(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        path = request.path.partition("?")[0]
        if path == self.route and request.method == "POST":
            self._export(request, instance, finish)
        elif path == self.route + "/":
            instance.after(0.01, lambda: finish(307, b""))
        elif path in ("/healthz", "/health", "/health/deep", "/"):
            instance.after(0.02, lambda: finish(200, b'{"ok":true}'))
        else:
            instance.after(0.01, lambda: finish(404, b"not found"))

    def craft(self, payload: str, *, date: str = "", batch: str = "") -> tuple[bytes, dict[str, str]]:
        """Data and attributes of a hand-made request message of a payload class."""
        order = self.item_name()
        date = date or datetime.fromtimestamp(float(self._setting.env.now), UTC).date().isoformat()
        batch = batch or self.batch_name(date, 0)
        self._casebook.classes[batch, order] = payload
        return self.request_data(payload, order, date, batch)

    def craft_completion(self, fault: str, *, date: str = "", batch: str = "") -> tuple[bytes, dict[str, str]]:
        """Data and attributes of a hand-made receipt: fault is no_batch_id, unknown_batch, undecodable or ""."""
        order = self.item_name()
        if fault == "undecodable":
            return b"not json", {"kind": "receipt"}
        named = {"no_batch_id": "", "unknown_batch": self.batch_name(date, 999)}
        return self.receipt(order, named.get(fault, batch), "done", 3)

    # One message

    def _export(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        try:
            content = read(request)
            batch, order = str(content[self.batch_field]), str(content[self.item_field])
        except (NoEnvelope, Undecodable, KeyError) as error:
            refuses = t.has(instance.revision, t.POISON_REFUSED)
            reason = f"missing field {error}" if isinstance(error, KeyError) else "unreadable"
            self.say(instance, "message_rejected", {"reason": reason, "acknowledged": not refuses}, "ERROR")
            instance.after(0.02, lambda: finish(400 if refuses else 204, b""))
            return
        self.say(instance, "export_started", self.started(content, batch, order, instance))
        item = Item(batch, order, str(content.get("date", "")))
        case, work_s = decide(self._setting, self._casebook, self._service, batch, order, USUAL_S)
        if t.has(instance.revision, t.ACK_FIRST):
            instance.after(0.05, lambda: finish(204, b""))
        instance.after(work_s, lambda: self._conclude(item, case, work_s, instance, finish))

    def _conclude(self, item: Item, case: Case, work_s: float, instance: InstanceView, finish: Finish) -> None:
        """The table: outcome × build → code, entries, receipt."""
        batch, order = item.batch, item.order
        build, reason, outcome = (
            t.traits_of(instance.revision.code),
            self.reasons.get(case.reason, case.reason),
            case.outcome,
        )
        if outcome is Outcome.SKIPPED and case.reason == "injury" and t.INJURY_TRANSIENT in build:
            outcome = Outcome.FAILED

        def failed(status: int, why: str) -> None:
            self.say(instance, "export_failed", {"batch": batch, "order": order, "reason": why}, "ERROR")
            finish(status, b"")

        match outcome:
            case Outcome.CRASHED:
                instance.log("CRITICAL", text=self.panic)
                instance.exit(2)
            case Outcome.OUT_OF_MEMORY if instance.revision.memory_mib < BIG_MIB:
                instance.out_of_memory()
            case Outcome.SCRIPTED if case.script is not None:
                self._scripted(item, case.script, work_s, instance, finish)
            case _ if t.BROKEN in build:
                failed(500, self.bug)
            case Outcome.SKIPPED:
                self.say(instance, "export_skipped", {"batch": batch, "order": order, "reason": reason}, "WARNING")
                self._report(order, batch, "skipped", 0, instance, finish, silent=t.SKIP_WITHOUT_COMPLETION in build)
            case Outcome.FAILED:
                failed(500, reason)
            case Outcome.LIMITED:
                failed(429, reason)
            case Outcome.NOT_WRITTEN if t.COMPLETION_BEFORE_WRITE not in build:
                failed(500, self.not_written)
            case _:
                lines = self._setting.rng.randint(1, 12)
                done = {"batch": batch, "order": order, "lines": lines, "ms": round(work_s * 1000)}
                if outcome is not Outcome.NOT_WRITTEN:
                    self._write(item, lines, instance)
                    self.say(instance, "export_done", done)
                named = "" if outcome is Outcome.LOST_ID else batch
                self._report(
                    order,
                    named,
                    "done",
                    lines,
                    instance,
                    finish,
                    silent=outcome is Outcome.SILENT and instance.revision.cpu_idle,
                )

    def _write(self, item: Item, lines: int, instance: InstanceView) -> None:
        world = self._setting.world
        results.write(world, instance.revision, item.order, item.date, item.batch, lines, instance.now)

    def _scripted(self, item: Item, script: Scripted, work_s: float, instance: InstanceView, finish: Finish) -> None:
        """Word for word what the scenario says; an acknowledgement is given by its status."""
        if script.says:
            instance.log("ERROR", text=script.says)
        lines = self._setting.rng.randint(1, 12) if script.results is None else script.results
        batch, order = item.batch, item.order
        told = {"batch": batch, "order": order}
        if script.done:
            self._write(item, lines, instance)
            self.say(instance, "export_done", {**told, "lines": lines, "ms": round(work_s * 1000)})
        else:
            self.say(instance, "export_failed", {**told, "reason": script.reason}, "ERROR")

        def answer(status: int, body: bytes) -> None:
            finish(script.status if status == 204 else status, body)

        self._report(order, batch, "done", lines, instance, answer, silent=not script.publishes)

    def _report(
        self,
        order: str,
        batch: str,
        state: str,
        lines: int,
        instance: InstanceView,
        finish: Finish,
        silent: bool = False,
    ) -> None:
        """Send the receipt, then acknowledge; without the receipt the message must come again, and the work is done again."""
        revision = instance.revision
        topic = revision.env.get("RECEIPT_TOPIC", "")
        data, attributes = self.receipt(order, batch, state, lines)
        try:
            if not silent:
                self._setting.publish_as(revision, topic, data, attributes)
        except PublishError as error:
            entry = {"order": order, "topic": topic, "reason": client_error(error), "batch": batch}
            self.say(instance, "receipt_failed", entry, "ERROR")
            if not t.has(revision, t.COMPLETION_SWALLOWED):
                finish(500, b"")
                return
        finish(204, b"")
