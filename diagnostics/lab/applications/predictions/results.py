"""What the worker writes and the coordinator merges: staging, then the predictions table; and what is made of it afterwards.

A row is in force until a later one of the same player, date and system takes its place. What a worker wrote and nobody merges stays
in staging, where nobody looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import Any

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.predictions import models
from diagnostics.lab.applications.predictions.staged import SYSTEMS, Build, Parts, Staged
from diagnostics.lab.model import Revision, Table, World

TABLE = "nba_predictions.player_prop_predictions"
PICKS = "nba_predictions.current_subset_picks"
COLUMNS = {
    "prediction_id": "STRING",
    "system_id": "STRING",
    "player_lookup": "STRING",
    "game_date": "DATE",
    "predicted_points": "FLOAT",
    "confidence_score": "FLOAT",
    "is_active": "BOOLEAN",
    "superseded": "BOOLEAN",
    "created_at": "TIMESTAMP",
    "model_version": "STRING",
    "model_file_name": "STRING",
    "build_commit_sha": "STRING",
    "deployment_revision": "STRING",
}
PICKS_A_DAY = 8
PICKED = {"subset_id": "STRING", "player_lookup": "STRING", "game_date": "DATE", "created_at": "TIMESTAMP"}


def tables() -> dict[str, Table]:
    """Both tables as they are before the first batch."""
    return {
        TABLE: Table(TABLE, COLUMNS, partition="game_date", filter_required=True),
        PICKS: Table(PICKS, PICKED, partition="game_date"),
    }


def stage(world: World, revision: Revision, player: str, date: str, batch: str, count: int, now: float) -> None:
    """The worker's write of one player's predictions; a second one in the same batch takes the place of the first."""
    build = Build(
        models.stated_version(revision),
        models.loaded(revision).file,
        revision.env.get("BUILD_COMMIT"),
        revision.name,
        t.has(revision, t.FLAT_CONFIDENCE),
    )
    into = world.staged.get(batch)
    if into is None:
        into = world.staged[batch] = Staged(batch)
    into.write(player, date, count, now, build)


def merge(world: World, batch: str, keeps_both: bool = False, clears_last: bool = False) -> int:
    """Move a batch's rows from staging into the table; those that they replace are in force no more. Says how many came.

    `keeps_both`: they stay in force. `clears_last`: the new ones are taken out of force, too.
    """
    table = world.tables.get(TABLE)
    new: Staged | None = world.staged.pop(batch, None)
    if table is None or new is None:
        return 0
    parts = table.rows.parts if isinstance(table.rows, Parts) else (table.rows,)
    for part in parts:
        if isinstance(part, Staged):
            part.supersede(new, keeps_both)
        else:
            _supersede(part, new, keeps_both)
    new.settle(active=not clears_last)
    table.rows = Parts((*parts, new))
    return len(new)


def _supersede(rows: Iterable[dict[str, Any]], by: Staged, keeps_both: bool) -> None:
    """The same of rows that somebody changed by hand."""
    for row in rows:
        system = SYSTEMS.index(row["system_id"]) if row["system_id"] in SYSTEMS else len(SYSTEMS)
        if row["is_active"] and by.has(row["player_lookup"], row["game_date"], system):
            row["is_active"], row["superseded"] = keeps_both, True


def pick(world: World, date: str, now: float) -> None:
    """What the next phase makes of a date: a handful of the best, anew each time."""
    table, picks = world.tables.get(TABLE), world.tables.get(PICKS)
    if table is None or picks is None:
        return
    rows = (r for r in table.rows if r["game_date"] == date and r["is_active"])
    best = nsmallest(PICKS_A_DAY, rows, key=lambda r: (-r["confidence_score"], r["prediction_id"]))
    kept = [r for r in picks.rows if r["game_date"] != date]
    made = [
        {"subset_id": "all_picks", "player_lookup": r["player_lookup"], "game_date": date, "created_at": now}
        for r in best
    ]
    picks.rows = [*kept, *made]
