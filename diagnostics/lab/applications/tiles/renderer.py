"""The worker: POST /render renders one tile into a bucket, and that is all there is to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.base import Finish, InstanceView, Setting
from diagnostics.lab.applications.orders.worker import Item, OrderWorker
from diagnostics.lab.applications.plan import Casebook
from diagnostics.lab.applications.script import Script
from diagnostics.lab.applications.tiles import words
from diagnostics.lab.model import Revision

SAYS = {
    "worker_ready": "renderer up",
    "message_rejected": "message dropped",
    "export_started": "tile taken",
    "export_done": "tile rendered",
    "export_skipped": "tile left out",
    "export_failed": "tile failed",
}


class TileRenderer(OrderWorker):
    """Works as the exporter of invoices does, and sends nothing back."""

    route = "/render"
    batch_field, item_field = words.RUN_FIELD, words.TILE_FIELD
    reasons: Mapping[str, str] = {
        "skip": "nothing but sea",
        "injury": "outside of the licence",
        "transient": "elevation store timed out",
        "limited": "elevation store is throttled",
        "downstream": "elevation store is down",
    }
    panic = "fatal error: unexpected signal during runtime execution"
    bug = 'strconv.Atoi: parsing "": invalid syntax'
    not_written = "upload: connection reset by peer"

    def __init__(self, setting: Setting, casebook: Casebook, service: str, script: Script) -> None:
        super().__init__(setting, casebook, service)
        self._script = script

    def boot_error(self, revision: Revision) -> str:
        return "" if revision.env.get("GCP_PROJECT_ID") else 'level=fatal msg="GCP_PROJECT_ID is not set"'

    def say(self, instance: InstanceView, event: str, more: dict[str, Any], severity: str = "INFO") -> None:
        if event in SAYS:
            instance.log(severity, text=words.line(severity, SAYS[event], more))

    def started(self, content: Mapping[str, Any], batch: str, item: str, instance: InstanceView) -> dict[str, Any]:
        about = super().started(content, batch, item, instance)
        return about if t.has(instance.revision, t.UNSIZED) else about | {"of": content.get("of", 0)}

    def item_name(self) -> str:
        return words.tile(self._setting.rng)

    def batch_name(self, date: str, number: int) -> str:
        return words.run(date, number)

    def request_data(self, payload: str, item: str, date: str, batch: str) -> tuple[bytes, dict[str, str]]:
        del date
        return words.request_data(payload, item, batch, 1, self._setting.rng)

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
        del state, instance, silent
        self._script.finished(batch, order, lines)
        finish(204, b"")
