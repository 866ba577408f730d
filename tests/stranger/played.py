"""What the stranger types, and whether what comes back is right."""

from __future__ import annotations

from pathlib import Path

import msgspec

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.lab.scenario import load
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.expect import wanted

SCENARIOS = Path(__file__).parent / "scenarios"
INIT = ("init", "--subscription", "render-tasks-push", "--completion-subscription", "statements-rendered-push")
BATCH = ("batch", "-q", "-o", "json")


def scenarios() -> list[Path]:
    return sorted(SCENARIOS.glob("*.yaml"))


def wrong(path: Path, said: str) -> tuple[str, ...]:
    """What is wrong with an answer, given as JSON, to this scenario; empty: it is right."""
    try:
        found = msgspec.json.decode(said, type=Diagnosis)
    except msgspec.DecodeError as error:
        return (f"no answer: {error}",)
    scenario = load(path, 1)
    return disagreements(wanted(scenario, path).expect, found)
