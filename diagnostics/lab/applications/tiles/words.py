"""Names and messages of a run, and the shape of the renderer's lines."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from diagnostics.lab.applications.messages import OVERSIZED, dump

RUN_FIELD, TILE_FIELD = "run", "tile"
FIELDS = {"batch": "run", "order": "tile", "lines": "layers", "acknowledged": "acked"}
"""Names of what a line is about; others stay as they are."""
LEVELS = {"WARNING": "warn"}


def line(severity: str, says: str, about: Mapping[str, Any]) -> str:
    """One line as the renderer prints it."""
    pairs = {"level": LEVELS.get(severity, severity.lower()), "msg": says}
    pairs |= {FIELDS.get(name, name): value for name, value in about.items()}
    return " ".join(f"{name}={_value(value)}" for name, value in pairs.items())


def _value(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return json.dumps(text) if not text or any(x in text for x in ' "=') else text


def run(date: str, number: int) -> str:
    """Name of the number-th run of a day."""
    return f"rnd-{date.replace('-', '')}-{number}"


def tile(rng: random.Random) -> str:
    """Zoom, column and row."""
    return f"12/{rng.randint(2100, 2299)}/{rng.randint(1100, 1299)}"


def request_data(payload: str, item: str, batch: str, of: int, rng: random.Random) -> tuple[bytes, dict[str, str]]:
    """Data and attributes of a tile's message; a malformed one lacks the tile, an undecodable one is no JSON."""
    attributes = {"style": rng.choice(("topo", "nautical"))}
    if payload == "undecodable":
        return f"{batch},{item}".encode(), attributes
    content: dict[str, Any] = {RUN_FIELD: batch, "of": of}
    content |= {"tiles": [item]} if payload == "malformed" else {TILE_FIELD: item}
    return dump(content) + (OVERSIZED if payload == "oversized" else b""), attributes
