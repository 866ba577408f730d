"""The worker: POST /tasks/render renders one account's statement and sends a confirmation."""

from __future__ import annotations

from typing import Any

from diagnostics.lab.applications.base import InstanceView
from diagnostics.lab.applications.orders.worker import Item, OrderWorker
from diagnostics.lab.applications.statements import words
from diagnostics.lab.model import Revision

SAYS = {
    "worker_ready": "renderer is listening",
    "message_rejected": "dropped a task that could not be parsed",
    "export_started": "rendering statement",
    "export_done": "statement rendered",
    "export_skipped": "statement left out",
    "export_failed": "rendering failed",
    "receipt_failed": "could not send the confirmation",
}


class Renderer(OrderWorker):
    """Has no table of results."""

    route = "/tasks/render"
    batch_field, item_field = words.BATCH_FIELD, words.ITEM_FIELD
    reasons = words.REASONS
    panic = "RangeError: Maximum call stack size exceeded"
    bug = "TypeError: Cannot read properties of undefined (reading 'lines')"
    not_written = "upload_failed"

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else "Error: config: GCP_PROJECT_ID is required"

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        words.tell(instance, severity, SAYS, event, more)

    def item_name(self) -> str:
        return words.account(self._setting.rng)

    def batch_name(self, date: str, number: int) -> str:
        return words.cycle(date, number)

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        return words.request_data(payload, item, date, batch, self._setting.rng)

    def receipt(self, item: str, batch: str, state: str, lines: int) -> tuple[bytes, dict[str, str]]:  # noqa: ARG002
        return words.receipt_data(item, batch, lines)

    def _write(self, item: Item, lines: int, instance: InstanceView) -> None:
        """To a bucket that nobody asks about."""
