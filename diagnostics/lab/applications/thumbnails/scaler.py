"""The worker: POST /v1/scale scales one image and reports it."""

from __future__ import annotations

from typing import Any

from diagnostics.lab.applications.base import InstanceView
from diagnostics.lab.applications.orders.worker import Item, OrderWorker
from diagnostics.lab.applications.thumbnails import words
from diagnostics.lab.model import Revision

SAYS = {
    "worker_ready": "scaler up",
    "message_rejected": "unreadable request",
    "export_started": "scaling image",
    "export_done": "image scaled",
    "export_skipped": "image left out",
    "export_failed": "image not scaled",
    "receipt_failed": "image not reported",
}


class Scaler(OrderWorker):
    """Has no table of results."""

    route = "/v1/scale"
    batch_field, item_field = words.BATCH_FIELD, words.ITEM_FIELD
    reasons = words.REASONS
    panic = "panic: runtime error: index out of range [3] with length 3"
    bug = "image: unknown format"
    not_written = "rendition_upload_failed"

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else words.MISSING_PROJECT

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        words.tell(instance, severity, SAYS, event, more)

    def item_name(self) -> str:
        return words.image(self._setting.rng)

    def batch_name(self, date: str, number: int) -> str:
        return words.drop(date, number)

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        return words.request_data(payload, item, date, batch, self._setting.rng)

    def receipt(self, item: str, batch: str, state: str, lines: int) -> tuple[bytes, dict[str, str]]:  # noqa: ARG002
        return words.receipt_data(item, batch, lines)

    def _write(self, item: Item, lines: int, instance: InstanceView) -> None:
        """To a bucket that nobody asks about."""
