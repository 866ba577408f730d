"""The coordinator: POST /cycles opens a cycle of statements, POST /confirm takes the confirmations."""

from __future__ import annotations

import json
from typing import Any

from diagnostics.lab.applications.base import InstanceView
from diagnostics.lab.applications.names import distinct
from diagnostics.lab.applications.orders.coordinator import OrderCoordinator
from diagnostics.lab.applications.plan import BatchState
from diagnostics.lab.applications.statements import words
from diagnostics.lab.applications.store import moment
from diagnostics.lab.model import Revision

SAYS = {
    "coordinator_ready": "planner is listening",
    "start_received": "cycle requested",
    "start_refused": "cycle not opened",
    "orders_loaded": "loaded the accounts that are due",
    "orders_selected": "accounts chosen for the cycle",
    "batch_empty": "nothing to render",
    "batch_created": "cycle opened",
    "order_queue_failed": "could not send a render task",
    "batch_queued": "render tasks sent",
    "export_recorded": "statement counted",
    "receipt_unknown": "confirmation for an unknown cycle",
    "receipt_rejected": "confirmation could not be parsed",
    "export_record_failed": "could not update the tally",
    "batch_closed": "cycle complete",
    "batch_expired": "cycle given up, it is too old",
}
"""Neither a task that was sent nor a confirmation that came has a line of its own."""


class Planner(OrderCoordinator):
    """Its documents have a counter and a status of their own."""

    collection = "statement_cycles"
    start_route, receipt_route = "/cycles", "/confirm"
    batch_field, item_field = words.BATCH_FIELD, words.ITEM_FIELD

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else "Error: config: GCP_PROJECT_ID is required"

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        words.tell(instance, severity, SAYS, event, more)

    def batch_name(self, date: str, number: int) -> str:
        return words.cycle(date, number)

    def item_names(self, count: int) -> list[str]:
        return distinct(lambda: words.account(self.setting.rng), count)

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        return words.request_data(payload, item, date, batch, self.setting.rng)

    def document(self, state: BatchState) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "phase": _phase(state),
            "accounts": state.expected,
            "rendered": len(state.completed),
            "opened": moment(state.started),
        }
        return fields | ({"ended": moment(state.closed_at)} if state.closed_at is not None else {})

    def _status(self, batch: str, instance: InstanceView) -> tuple[int, bytes]:
        state = self._known(batch, instance)
        if state is None:
            return 404, b"unknown cycle"
        says = {"cycle": state.id, "phase": _phase(state), "accounts": state.expected, "rendered": len(state.completed)}
        return 200, json.dumps(says).encode()


def _phase(state: BatchState) -> str:
    return "rendering" if not state.closed else "abandoned" if state.forced else "finished"
