"""The function: takes a CloudEvent with a Pub/Sub message, reads one page, and counts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView, Setting
from diagnostics.lab.applications.orders.worker import Item, OrderWorker
from diagnostics.lab.applications.plan import Casebook
from diagnostics.lab.applications.scans import job
from diagnostics.lab.http import Request
from diagnostics.lab.model import Revision

STORE = "firestore"
"""Under this name the store is in trouble."""
CONTENTION = "409 Too much contention on these documents. Please try again."
"""What Google's Python client raises where a document gets too many writes at once (ABORTED)."""
TRANSACTION_S = (0.03, 0.15)

SAYS = {
    "worker_ready": "reader loaded",
    "message_rejected": "event could not be read",
    "export_started": "reading page",
    "export_done": "page read",
    "export_skipped": "page given up",
    "export_failed": "page not read",
    "counted": "page counted",
    "counted_failed": "counted as failed",
    "count_failed": "page not counted",
    "complete": "job complete",
}
FIELDS = {"batch": "job", "order": "page", "reason": "error", "lines": "words", "ms": "duration_ms"}
"""Names of what a line is about; others stay as they are."""


class ScanReader(OrderWorker):
    """Answers whatever path is called, as the functions framework does; what is not raised is acknowledged."""

    batch_field, item_field = job.JOB_FIELD, job.PAGE_FIELD
    reasons: Mapping[str, str] = {
        "skip": "blank page",
        "injury": "page is under legal hold",
        "transient": "vision api: 503 backend error",
        "limited": "vision api: 429 quota exceeded",
        "downstream": "vision api: 503 unavailable",
    }
    panic = "Segmentation fault (core dumped)"
    bug = "AttributeError: 'NoneType' object has no attribute 'pages'"
    not_written = "storage: 503 We encountered an internal error. Please try again."

    def __init__(self, setting: Setting, casebook: Casebook, service: str, jobs: job.ScanJobs) -> None:
        super().__init__(setting, casebook, service)
        self._jobs = jobs

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else "KeyError: 'GCP_PROJECT_ID'"

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        if event in SAYS:
            about = {FIELDS.get(name, name): value for name, value in more.items()}
            instance.log(severity, json={"message": SAYS[event], **about})

    def handle(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        if request.method == "POST":
            self._export(request, instance, finish)
        else:
            instance.after(0.01, lambda: finish(405, b"Method Not Allowed"))

    def item_name(self) -> str:
        return job.page(self._setting.rng)

    def batch_name(self, date: str, number: int) -> str:
        return job.job(date, number)

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        del date
        return job.page_data(payload, item, batch)

    def _write(self, item: Item, lines: int, instance: InstanceView) -> None:
        """To a bucket that nobody asks about."""

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
        if silent:
            finish(200, b"OK")
            return
        rng = self._setting.rng
        instance.after(
            rng.uniform(*TRANSACTION_S), lambda: self._count(order, batch, state == "skipped", lines, instance, finish)
        )

    def _count(self, page: str, batch: str, failed: bool, words: int, instance: InstanceView, finish: Finish) -> None:
        """The transaction. What it raises fails the run, so that the event comes again, unless this build catches it."""
        about = {"batch": batch, "order": page}
        trouble = self._setting.downstream.fails(STORE, instance.now, self._setting.rng)
        if trouble:
            self.say(instance, "count_failed", {**about, "reason": trouble.error or CONTENTION}, "ERROR")
            lost = t.has(instance.revision, t.COUNT_LOST)
            finish(*((200, b"OK") if lost else (500, b"Internal Server Error")))
            return
        before = self._jobs.batches.get(batch)
        was_closed = before is None or before.closed
        after = self._jobs.count(batch, page, words, failed)
        if after is None:
            self.say(instance, "count_failed", {**about, "reason": "404 No document to update"}, "ERROR")
        else:
            how = "counted_failed" if failed else "counted"
            self.say(instance, how, {**about, "done": len(after.completed), "expected": after.expected})
            if after.closed and not was_closed:
                done = {"batch": batch, "done": len(after.completed), "expected": after.expected}
                self.say(instance, "complete", done)
        finish(200, b"OK")
