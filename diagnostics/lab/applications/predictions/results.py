"""What the worker writes and the coordinator merges: staging, then the predictions table; and what is made of it afterwards.

A row is in force until a later one of the same player, date and system takes its place. What a worker wrote and nobody merges stays
in staging, where nobody looks.
"""

from __future__ import annotations

import hashlib
from typing import Any

from diagnostics.lab.applications import traits as t
from diagnostics.lab.applications.predictions import models
from diagnostics.lab.model import Revision, Table, World

TABLE = "nba_predictions.player_prop_predictions"
PICKS = "nba_predictions.current_subset_picks"
SYSTEMS = ("catboost_v9", "catboost_v8", "ensemble_v1_1", "similarity_balanced_v1", "zone_matchup_v1", "moving_average")
"""Which systems predict, those first that always do."""
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
PICKED = {"subset_id": "STRING", "player_lookup": "STRING", "game_date": "DATE", "created_at": "TIMESTAMP"}


def tables() -> dict[str, Table]:
    """Both tables as they are before the first batch."""
    return {
        TABLE: Table(TABLE, COLUMNS, partition="game_date", filter_required=True),
        PICKS: Table(PICKS, PICKED, partition="game_date"),
    }


def stage(world: World, revision: Revision, player: str, date: str, batch: str, count: int, now: float) -> None:
    """The worker's write of one player's predictions; a second one in the same batch takes the place of the first."""
    file, version = models.loaded(revision).file, models.stated_version(revision)
    into = world.staged.setdefault(batch, {})
    for system in SYSTEMS[:count]:
        chance = int(hashlib.sha256(f"{player}/{date}/{system}".encode()).hexdigest()[:8], 16) / 16**8
        into[player, system] = {
            "prediction_id": hashlib.sha256(f"{batch}/{player}/{system}".encode()).hexdigest()[:32],
            "system_id": system,
            "player_lookup": player,
            "game_date": date,
            "predicted_points": round(4 + 28 * chance, 1),
            "confidence_score": 50.0 if t.has(revision, t.FLAT_CONFIDENCE) else round(50 + 45 * chance, 1),
            "is_active": True,
            "superseded": False,
            "created_at": now,
            "model_version": version if system == SYSTEMS[0] else models.CONSTANT,
            "model_file_name": file if system == SYSTEMS[0] else None,
            "build_commit_sha": revision.env.get("BUILD_COMMIT"),
            "deployment_revision": revision.name,
        }


def merge(world: World, batch: str, keeps_both: bool = False, clears_last: bool = False) -> int:
    """Move a batch's rows from staging into the table; those that they replace are in force no more. Says how many came.

    `keeps_both`: they stay in force. `clears_last`: the new ones are taken out of force, too.
    """
    table = world.tables.get(TABLE)
    new = world.staged.pop(batch, {})
    if table is None:
        return 0
    taken = {(r["player_lookup"], r["game_date"], r["system_id"]) for r in new.values()}
    for row in table.rows:
        if row["is_active"] and (row["player_lookup"], row["game_date"], row["system_id"]) in taken:
            row["is_active"], row["superseded"] = keeps_both, True
    table.rows.extend({**row, "is_active": not clears_last} for row in new.values())
    return len(new)


def pick(world: World, date: str, now: float) -> None:
    """What the next phase makes of a date: a handful of the best, anew each time."""
    table, picks = world.tables.get(TABLE), world.tables.get(PICKS)
    if table is None or picks is None:
        return
    rows: list[dict[str, Any]] = [r for r in table.rows if r["game_date"] == date and r["is_active"]]
    best = sorted(rows, key=lambda r: (-r["confidence_score"], r["prediction_id"]))[:8]
    picks.rows = [r for r in picks.rows if r["game_date"] != date]
    picks.rows += [
        {"subset_id": "all_picks", "player_lookup": r["player_lookup"], "game_date": date, "created_at": now}
        for r in best
    ]
