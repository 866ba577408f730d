"""The coordinator and the worker of one pipeline, by dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from diagnostics.lab.applications.base import Application, Setting
from diagnostics.lab.applications.orders.coordinator import OrderCoordinator
from diagnostics.lab.applications.orders.worker import OrderWorker
from diagnostics.lab.applications.plan import Attempt, BatchPlan, BatchState, Casebook
from diagnostics.lab.applications.predictions.coordinator import PredictionCoordinator
from diagnostics.lab.applications.predictions.worker import PredictionWorker
from diagnostics.lab.applications.scans.job import ScanJobs
from diagnostics.lab.applications.scans.reader import ScanReader
from diagnostics.lab.applications.script import Script
from diagnostics.lab.applications.statements.planner import Planner
from diagnostics.lab.applications.statements.renderer import Renderer
from diagnostics.lab.applications.thumbnails.conductor import Conductor
from diagnostics.lab.applications.thumbnails.scaler import Scaler
from diagnostics.lab.applications.tiles.publisher import TilePublisher
from diagnostics.lab.applications.tiles.renderer import TileRenderer
from diagnostics.lab.model import Document

DIALECTS = ("predictions", "orders", "statements", "thumbnails", "tiles", "scans")


class Books(Protocol):
    """Whoever starts batches, and what is known of them: in a store, or by the lab alone."""

    batches: dict[str, BatchState]
    """Batch id to state; a store outside the containers."""
    attempts: dict[str, Attempt]
    """Plan id to what became of it."""
    casebook: Casebook
    """Which message is of which payload class."""

    def plan(self, plan_id: str, plan: BatchPlan) -> None:
        """Tell what a coming start will find; the start call names it in the header `x-lab-plan`."""
        ...

    def documents(self) -> dict[str, Document]:
        """The batches as Firestore has them, by path."""
        ...

    def clear(self, batch_id: str, at: float) -> None:
        """Close a batch by hand in the store, as an operator would."""
        ...


class Coordinator(Application, Books, Protocol):
    """The program that starts batches and hears of their items."""


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
    coordinator: Coordinator | Script
    """Whoever starts batches: a service, or a script outside, which nobody can call."""
    worker: Worker

    def programs(self, coordinator: str, worker: str) -> dict[str, Application]:
        """Those that run on Cloud Run, by the names of their services."""
        at_work: dict[str, Application] = {worker: self.worker}
        return at_work if isinstance(self.coordinator, Script) else {coordinator: self.coordinator, **at_work}


def build(dialect: str, setting: Setting, coordinator: str, worker: str) -> Pair:
    """The two programs of a dialect, sharing one casebook. The last two are the names of their Cloud Run services.

    Environment that they read: both GCP_PROJECT_ID (missing: they exit at start). predictions: PREDICTION_REQUEST_TOPIC,
    COORDINATOR_API_KEY (coordinator), PUBSUB_READY_TOPIC, BUILD_COMMIT (worker). orders and statements: QUEUE_TOPIC (coordinator),
    RECEIPT_TOPIC (worker). Routes: /start, /complete and /predict; /start, /exported and /export; /cycles, /confirm and /tasks/render.
    thumbnails: QUEUE_TOPIC, START_QUEUE (coordinator), RECEIPT_TOPIC (worker); /v1/drops, /v1/scaled and /v1/scale. tiles and scans have a
    worker alone, at /render and at any path.
    """
    casebook = Casebook()
    if dialect == "predictions":
        return Pair(PredictionCoordinator(setting, casebook, coordinator), PredictionWorker(setting, casebook, worker))
    if dialect == "orders":
        return Pair(OrderCoordinator(setting, casebook, coordinator), OrderWorker(setting, casebook, worker))
    if dialect == "statements":
        return Pair(Planner(setting, casebook, coordinator), Renderer(setting, casebook, worker))
    if dialect == "thumbnails":
        return Pair(Conductor(setting, casebook, coordinator), Scaler(setting, casebook, worker))
    if dialect == "tiles":
        publisher = TilePublisher(setting, casebook)
        return Pair(publisher, TileRenderer(setting, casebook, worker, publisher))
    if dialect == "scans":
        jobs = ScanJobs(setting, casebook)
        return Pair(jobs, ScanReader(setting, casebook, worker, jobs))
    raise ValueError(f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}")
