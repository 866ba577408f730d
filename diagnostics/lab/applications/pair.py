"""The coordinator and the worker of one pipeline, by dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from diagnostics.lab.applications.base import Application, Setting
from diagnostics.lab.applications.plan import Attempt, BatchPlan, BatchState

DIALECTS = ("predictions", "orders")


class Coordinator(Application, Protocol):
    """The program that starts batches and hears of their items."""

    batches: dict[str, BatchState]
    """Batch id to state; a store outside the containers."""
    attempts: dict[str, Attempt]
    """Plan id to what became of it."""

    def plan(self, plan_id: str, plan: BatchPlan) -> None:
        """Tell what a coming start will find; the start call names it in the header `x-lab-plan`."""
        ...

    def clear(self, batch_id: str, at: float) -> None:
        """Close a batch by hand in the store, as an operator would."""
        ...


class Worker(Application, Protocol):
    """The program that does the items."""

    def craft(self, payload: str, *, date: str = "", batch: str = "") -> tuple[bytes, dict[str, str]]:
        """Data and attributes of a hand-made request message of a payload class."""
        ...

    def craft_completion(self, fault: str, *, date: str = "", batch: str = "") -> tuple[bytes, dict[str, str]]:
        """Data and attributes of a hand-made completion: fault is no_batch_id, unknown_batch, undecodable or ""."""
        ...


@dataclass
class Pair:
    coordinator: Coordinator
    worker: Worker


def build(dialect: str, setting: Setting) -> Pair:
    """The two programs of a dialect, sharing one casebook."""
    raise NotImplementedError
