"""The script: writes a job's document and publishes its pages. And what the function's transactions make of that document."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from diagnostics.lab.applications.base import Setting
from diagnostics.lab.applications.messages import OVERSIZED, dump
from diagnostics.lab.applications.names import distinct
from diagnostics.lab.applications.plan import BatchState, Casebook
from diagnostics.lab.applications.script import Script
from diagnostics.lab.applications.store import moment

JOB_FIELD, PAGE_FIELD = "job", "page"


def job(date: str, number: int) -> str:
    """Name of the number-th job of a day."""
    return f"scan-{datetime.fromisoformat(date):%y%j}-{number:02d}"


def page(rng: random.Random) -> str:
    return f"box{rng.randint(10, 99)}-p{rng.randint(0, 9999):04d}"


def page_data(payload: str, item: str, batch: str) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a page's message; a malformed one lacks the page, an undecodable one is no JSON."""
    if payload == "undecodable":
        return f"{batch}/{item}".encode(), {"job": batch}
    content: dict[str, Any] = {JOB_FIELD: batch}
    content |= {"uri": item} if payload == "malformed" else {PAGE_FIELD: item}
    return dump(content) + (OVERSIZED if payload == "oversized" else b""), {"job": batch}


class ScanJobs(Script):
    """The documents; each page is counted once, as done or as failed, however often it was read."""

    topic = "scans-to-read"
    collection = "scan_jobs"
    stores = True

    def __init__(self, setting: Setting, casebook: Casebook) -> None:
        super().__init__(setting, casebook)
        self._failed: dict[str, set[str]] = {}
        """By job, the pages that were given up."""

    def batch_name(self, date: str, number: int) -> str:
        return job(date, number)

    def item_names(self, count: int) -> list[str]:
        return distinct(lambda: page(self.setting.rng), count)

    def request_data(self, payload: str, item: str, date: str, batch: str, of: int) -> tuple[bytes, dict[str, str]]:
        del date, of
        return page_data(payload, item, batch)

    def count(self, batch: str, item: str, brought: int, failed: bool) -> BatchState | None:
        """The transaction of a run of the function; the document after it, None: there is none."""
        state, now = self.batches.get(batch), float(self.setting.env.now)
        if state is None:
            return None
        given_up = self._failed.setdefault(batch, set())
        if failed:
            given_up.add(item)
        else:
            given_up.discard(item)
            state.completed[item] = brought
        state.updated = now
        if not state.closed and len(state.completed) + len(given_up) >= state.expected:
            state.close(now)
        return state

    def document(self, state: BatchState) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "expected": state.expected,
            "done": len(state.completed),
            "failed": len(self._failed.get(state.id, ())),
            "state": "complete" if state.closed else "open",
            "created": moment(state.started),
        }
        return fields | ({"finished": moment(state.closed_at)} if state.closed_at is not None else {})
