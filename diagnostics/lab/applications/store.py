"""What both coordinators share: plans of coming starts, and batches in a store outside the containers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from diagnostics.lab.applications.base import Setting
from diagnostics.lab.applications.plan import Attempt, BatchPlan, BatchState, Casebook, Scripted
from diagnostics.lab.http import Request
from diagnostics.lab.model import Document

PLAN_HEADER = "x-lab-plan"
NO_PLAN = BatchPlan(items=0, refusal="no_work")


class BatchStore:
    """Batches by id. Base of the coordinators; the casebook is shared with the worker."""

    collection = ""
    """Firestore collection of the batches."""

    def __init__(self, setting: Setting, casebook: Casebook) -> None:
        self.setting = setting
        self.casebook = casebook
        self.batches: dict[str, BatchState] = {}
        self.attempts: dict[str, Attempt] = {}

    def plan(self, plan_id: str, plan: BatchPlan) -> None:
        """Tell what a coming start will find; the start call names it in the header `x-lab-plan`."""
        self.attempts[plan_id] = Attempt(plan)

    def clear(self, batch_id: str, at: float) -> None:
        """Close a batch by hand in the store, as an operator would."""
        self.batches[batch_id].close(at, forced="cleared by hand")

    def documents(self) -> dict[str, Document]:
        """The batches as Firestore has them, by path."""
        return {
            f"{self.collection}/{state.id}": Document(
                self.document(state), state.started, max(state.started, state.updated, state.corrected)
            )
            for state in self.batches.values()
            if state.stored
        }

    def document(self, state: BatchState) -> dict[str, Any]:
        """The fields of a batch's document."""
        raise NotImplementedError

    def attempt(self, request: Request) -> Attempt:
        """The planned start that a call is; a call that nobody planned finds nothing to do."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        return self.attempts.get(headers.get(PLAN_HEADER, "")) or Attempt(NO_PLAN)

    def open_batch(self, date: str) -> BatchState | None:
        """The newest open batch of a date."""
        return next((b for b in reversed(self.batches.values()) if b.date == date and not b.closed), None)

    def select(self, attempt: Attempt, batch_id: str, names: list[str]) -> list[str]:
        """The items that pass the gate, in order of publishing, their payload classes noted under this batch."""
        plan, rng = attempt.plan, self.setting.rng
        passed = attempt.selected = sorted(rng.sample(names, plan.items - sum(plan.gated.values())))
        special: list[str | Scripted] = [payload for payload, count in plan.payloads.items() for _ in range(count)]
        special += [script for count, script in plan.scripted for _ in range(count)]
        for item, what in zip(rng.sample(passed, len(special)), special, strict=True):
            if isinstance(what, Scripted):
                self.casebook.scripts[batch_id, item] = what
            if isinstance(what, str) or what.hopeless:
                self.casebook.classes[batch_id, item] = what if isinstance(what, str) else "scripted"
        return passed

    def to_send(self, attempt: Attempt, passed: list[str]) -> list[str]:
        """Those of them that are published at all. What is special is never left out."""
        left_out = [item for item in passed if (attempt.batch_id, item) not in self.casebook.classes]
        unsent = set(left_out[: attempt.plan.unsent])
        return [item for item in passed if item not in unsent]


def moment(at: float) -> datetime:
    """A time as documents hold it."""
    return datetime.fromtimestamp(at, UTC)
