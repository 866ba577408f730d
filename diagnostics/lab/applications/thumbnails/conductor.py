"""The coordinator: POST /v1/drops opens a drop, POST /v1/scaled takes what comes back."""

from __future__ import annotations

import json
from typing import Any

from diagnostics.lab.applications.base import InstanceView, Setting
from diagnostics.lab.applications.names import distinct
from diagnostics.lab.applications.orders.coordinator import OrderCoordinator
from diagnostics.lab.applications.plan import BatchState, Casebook
from diagnostics.lab.applications.store import moment
from diagnostics.lab.applications.thumbnails import words
from diagnostics.lab.http import Request
from diagnostics.lab.model import Revision

QUEUE, RETRIES = "x-cloudtasks-queuename", "x-cloudtasks-taskretrycount"
"""Headers that Cloud Tasks sets (cloud.google.com/tasks/docs/creating-http-target-tasks)."""
SAYS = {
    "coordinator_ready": "conductor up",
    "start_received": "drop announced",
    "start_refused": "drop turned down",
    "orders_loaded": "drop listed",
    "orders_selected": "images picked",
    "batch_empty": "no image to scale",
    "batch_created": "drop opened",
    "order_queued": "image handed out",
    "order_queue_failed": "image not handed out",
    "batch_queued": "drop handed out",
    "receipt_received": "image came back",
    "export_recorded": "image counted",
    "receipt_unknown": "image of no known drop",
    "receipt_rejected": "unreadable answer",
    "export_record_failed": "image not counted",
    "batch_closed": "drop complete",
    "batch_expired": "drop abandoned",
}


class Conductor(OrderCoordinator):
    """Where its environment names START_QUEUE, it takes start calls from that task queue alone, and answers others 403 without a line."""

    collection = "image_drops"
    start_route, receipt_route, state_route = "/v1/drops", "/v1/scaled", "/v1/drops/"
    batch_field, item_field = words.BATCH_FIELD, words.ITEM_FIELD
    date_field, mode_field = "day", "size"
    refusals = {"no_work": "drop_withdrawn", "no_items": "no_images", "incomplete_data": "upload_incomplete"}
    nothing = "no_images"

    def __init__(self, setting: Setting, casebook: Casebook, service: str) -> None:
        super().__init__(setting, casebook, service)
        self._numbered: dict[str, int] = {}

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else words.MISSING_PROJECT

    def turns_away(self, request: Request, instance: InstanceView) -> bool:
        wanted = instance.revision.env.get("START_QUEUE", "")
        return bool(wanted) and _header(request, QUEUE) != wanted

    def about_call(self, request: Request) -> dict[str, Any]:
        retry = _header(request, RETRIES)
        return {"retry": int(retry)} if retry else {}

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        words.tell(instance, severity, SAYS, event, more)

    def batch_name(self, date: str, number: int) -> str:
        """Drops are numbered as they are announced: two starts that are under way at once share no number."""
        number = self._numbered[date] = self._numbered.get(date, 0) + 1
        return words.drop(date, number)

    def item_names(self, count: int) -> list[str]:
        return distinct(lambda: words.image(self.setting.rng), count)

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        return words.request_data(payload, item, date, batch, self.setting.rng)

    def document(self, state: BatchState) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "status": _status(state),
            "images": {"total": state.expected, "scaled": len(state.completed)},
            "opened_at": moment(state.started),
        }
        return fields | ({"settled_at": moment(state.closed_at)} if state.closed_at is not None else {})

    def _status(self, batch: str, instance: InstanceView) -> tuple[int, bytes]:
        state = self._known(batch, instance)
        if state is None:
            return 404, b'{"code":"drop_unknown"}'
        says = {
            "drop": state.id,
            "status": _status(state),
            "images": {"total": state.expected, "scaled": len(state.completed)},
        }
        return 200, json.dumps(says).encode()


def _status(state: BatchState) -> str:
    return "in_work" if not state.closed else "abandoned" if state.forced else "complete"


def _header(request: Request, name: str) -> str:
    return next((value for key, value in request.headers.items() if key.lower() == name), "")
