"""A scenario as a running lab, and where scenarios are."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import Scenario, ScenarioError, load
from diagnostics.lab.servers.serve import LOG_READS_PER_MINUTE, RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline import places
from diagnostics.shell.files import is_dir, is_file


class World(NamedTuple):
    scenario: Scenario
    lab: Lab
    running: RunningLab


def seldom_collect() -> None:
    """Have this process seldom look for garbage: a lab holds a great many objects for as long as it runs, and up to a tenth of the time
    would go into that."""
    gc.set_threshold(100_000, 20, 100)


@contextmanager
def opened(
    path: Path, seed: int, http_port: int = 0, pace: float = 0.0, log_reads_per_minute: int = LOG_READS_PER_MINUTE
) -> Iterator[World]:
    """The scenario, simulated to its now and served on loopback; time stands still unless `pace`."""
    with served(load(path, seed), seed, http_port, pace, log_reads_per_minute) as world:
        yield world


@contextmanager
def served(
    scenario: Scenario,
    seed: int,
    http_port: int = 0,
    pace: float = 0.0,
    log_reads_per_minute: int = LOG_READS_PER_MINUTE,
    judged: bool = True,
) -> Iterator[World]:
    """A scenario that was read, or made by machine. `judged`: somebody will ask the lab what became of each message."""
    lab = Lab(scenario, seed, Telemetry(), judged)
    running = start(lab, http_port=http_port, pace=pace, log_reads_per_minute=log_reads_per_minute)
    try:
        yield World(scenario, lab, running)
    finally:
        running.close()


def find(name: str) -> Path:
    """A scenario by its file, or by its name among those that come with pubsub-diag. Raises ScenarioError."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or is_file(path):
        return path
    found = [p for p in files([places.scenarios()]) if p.stem == name]
    if not found:
        raise ScenarioError(f'no scenario "{name}"; `pubsub-diag lab list` names those there are')
    return found[0]


def files(places: Iterable[Path]) -> list[Path]:
    """All scenario files in these folders, and these files. Raises ScenarioError when a place is not there or holds none."""
    found: list[Path] = []
    for place in places:
        inside = sorted(p for p in place.rglob("*.y*ml")) if is_dir(place) else [place] if is_file(place) else []
        if not inside:
            raise ScenarioError(f"{place}: expected a scenario file or a folder with some")
        found += inside
    return list(dict.fromkeys(found))
