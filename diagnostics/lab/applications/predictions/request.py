"""The two messages of this pipeline: prediction request and completion."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from diagnostics.lab.applications.messages import OVERSIZED, dump
from diagnostics.lab.applications.predictions.names import game_of


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def request_data(
    payload: str, player: str, date: str, batch: str, correlation: str, mode: str, at: float, rng: random.Random
) -> bytes:
    """Data of a request message. A malformed one lacks what the worker requires; an undecodable one is no JSON."""
    if payload == "undecodable":
        return f"{player},{date},{batch}".encode()
    game, team, opponent = game_of(player, date)
    content: dict[str, Any] = {
        "player_lookup": player,
        "game_date": date,
        "game_id": game,
        "team_abbr": team,
        "opponent_team_abbr": opponent,
        "line_values": [rng.randint(8, 60) / 2],
        "projected_minutes": rng.randint(16, 38),
        "batch_id": batch,
        "timestamp": stamp(at),
        "correlation_id": correlation,
        "prediction_run_mode": mode,
    }
    if payload == "malformed":
        content["player"] = content.pop("player_lookup")
        del content["game_id"]
    return dump(content) + (OVERSIZED if payload == "oversized" else b"")


def completion_data(
    player: str, date: str, predictions: int, batch: str, correlation: str, revision: str, at: float
) -> bytes:
    """Data of a completion; without a batch the field is left out."""
    content: dict[str, Any] = {
        "player_lookup": player,
        "game_date": date,
        "predictions_generated": predictions,
        "batch_id": batch,
        "correlation_id": correlation,
        "timestamp": stamp(at),
        "worker_instance": revision,
    }
    if not batch:
        del content["batch_id"]
    return dump(content)
