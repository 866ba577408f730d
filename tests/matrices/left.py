"""What batches left in the tables, and which model serves: told from the running lab, never from a diagnosis."""

from __future__ import annotations

import json

from msgspec import Struct

from diagnostics.lab.applications.plan import BatchState
from diagnostics.lab.applications.predictions import models, results
from diagnostics.lab.applications.predictions.staged import SYSTEMS
from diagnostics.lab.lab import Lab
from tests.matrices.truth import serves

VERSION = 1
"""Of what is told here: plays are kept with it."""


class Row(Struct, frozen=True, array_like=True):
    """A row of the model's own system; the other systems that predict stand in the same table, and are nobody's question."""

    player: str
    date: str
    confidence: float
    active: bool
    superseded: bool
    written: float
    """In seconds since the epoch, as all moments here."""
    version: str
    file: str


class Batch(Struct, frozen=True, kw_only=True):
    """A batch that was created."""

    asked: bool
    date: str
    started: float
    closed: float | None
    """When; None: it is open."""
    brought: tuple[str, ...]
    """Items of which the worker reported results."""


class Left(Struct, frozen=True, kw_only=True):
    """All of it, as it is at now."""

    now: float
    rows: tuple[Row, ...]
    picked: tuple[str, ...]
    """Dates that something was made of."""
    batches: tuple[Batch, ...]
    """The earliest first."""
    production: str
    """File of the model that the manifest calls the one in production; empty: it does not call one."""
    told: str
    """File that the variable of the serving revision names."""
    loaded: str
    """File that the serving revision works with."""


def left_of(lab: Lab, asked: str) -> Left | None:
    """None where the pipeline is another one than that of predictions. `asked`: name of the start call that is asked about."""
    world = lab.world
    table, picks = world.tables.get(results.TABLE), world.tables.get(results.PICKS)
    if table is None or picks is None:
        return None
    mine = lab.batches[asked].id
    states: list[BatchState] = sorted(lab.coordinator.batches.values(), key=lambda state: state.started)
    worker = serves(lab, world.services[lab.cast.worker]) if lab.cast.worker in world.services else None
    return Left(
        now=lab.now(),
        rows=tuple(
            Row(
                row["player_lookup"],
                row["game_date"],
                row["confidence_score"],
                row["is_active"],
                row["superseded"],
                row["created_at"],
                row["model_version"] or "",
                row["model_file_name"] or "",
            )
            for row in table.rows
            if row["system_id"] == SYSTEMS[0]
        ),
        picked=tuple(sorted({row["game_date"] for row in picks.rows})),
        batches=tuple(
            Batch(
                asked=bool(mine) and state.id == mine,
                date=state.date,
                started=state.started,
                closed=state.closed_at if state.closed else None,
                brought=tuple(sorted(item for item, number in state.completed.items() if number)),
            )
            for state in states
        ),
        production=_production(lab),
        told=_file(worker.env.get(models.VARIABLE, "")) if worker else "",
        loaded=models.loaded(worker).file if worker else "",
    )


def _production(lab: Lab) -> str:
    stored = lab.world.objects.get(models.MANIFEST)
    if stored is None:
        return ""
    manifest = json.loads(stored.content)
    name = manifest["production_model"]
    called = [one for one, told in manifest["models"].items() if told["status"] == "production" or one == name]
    return _file(manifest["models"][name]["gcs_path"]) if called == [name] else ""


def _file(path: str) -> str:
    return path.rpartition("/")[2]
