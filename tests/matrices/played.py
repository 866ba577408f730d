"""Scenarios made by machine, played once: what the command sees, and the truth. Kept, so that only the verdict is run anew.

A play is good for as long as what it plays and everything that plays or fetches it stay as they are. Whoever only wants to try another
verdict may take plays that an earlier lab made (`kept`).
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from diagnostics.keep.bundle import dump, parse
from diagnostics.lab.scenario import Scenario, ScenarioError
from diagnostics.run.investigate import Case
from diagnostics.scoring.expect import Asked
from diagnostics.scoring.score import observe
from diagnostics.scoring.world import served
from tests.matrices import left
from tests.matrices.captured import fetching, kinds_read
from tests.matrices.left import Left, left_of
from tests.matrices.singles import ASKED, said
from tests.matrices.tables import HOME
from tests.matrices.truth import VERSION, Truth, truth_of


class Play(Struct, frozen=True, kw_only=True):
    """A scenario to play, and what is asked."""

    name: str
    scenario: Scenario
    ask: Asked
    seed: int


class Played(Struct, frozen=True, kw_only=True):
    """How it went."""

    truth: Truth | None = None
    bundle: bytes = b""
    """What the command saw."""
    left: Left | None = None
    """What batches left and what the places say, where a command asks after that."""
    error: str = ""
    """Set instead: it cannot be played."""

    @property
    def case(self) -> Case:
        return parse(self.bundle, ours=True).case


def asks_after_results(ask: Asked) -> bool:
    return ask.command in ("outcome", "model drift")


def play_all(plays: Sequence[Play], jobs: int, kept: bool = False) -> Iterator[Path]:
    """The file of each, in this order, as they come; those that were played before at once, with `kept` by whatever lab."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, file in enumerate(pool.map(partial(play, kept=kept), plays), 1):
            if number % 50 == 0:
                print(f"{number} of {len(plays)} played", file=sys.stderr)
            yield file


def play(one: Play, kept: bool = False) -> Path:
    """Play it, unless that has been done, and keep what came of it."""
    file = HOME / "played" / f"{_plan(one)}-{_makers(one)}.json"
    before = sorted(file.parent.glob(f"{_plan(one)}-*.json"), key=lambda path: path.stat().st_mtime)
    if file not in before and before and kept:
        return before[-1]
    if file not in before:
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_suffix(f".{os.getpid()}")
        made.write_bytes(msgspec.json.encode(_played(one)))
        made.replace(file)
        for old in before:
            old.unlink(missing_ok=True)
    return file


def read(file: Path) -> Played:
    return msgspec.json.decode(file.read_bytes(), type=Played)


def _played(one: Play) -> Played:
    try:
        with served(one.scenario, one.seed) as world:
            found = left_of(world.lab, ASKED) if asks_after_results(one.ask) else None
            return Played(truth=truth_of(world.lab, ASKED), bundle=dump(observe(world, one.ask), None), left=found)
    except ScenarioError as error:
        return Played(error=str(error))
    except Exception as error:  # one pair that the lab cannot play must not take the others along
        return Played(error=f"{one.name}: {type(error).__name__}: {error}")


def _plan(one: Play) -> str:
    """A sum over what is played: what the scenario says, whatever else scenarios may say by now."""
    text = msgspec.json.encode([said(one.scenario), said(one.ask), one.seed], order="deterministic")
    return hashlib.sha256(text).hexdigest()[:16]


def _makers(one: Play) -> str:
    """A sum over what plays and fetches, and what is told of it."""
    told = bytes([VERSION, left.VERSION] if asks_after_results(one.ask) else [VERSION])
    return hashlib.sha256(kinds_read(one.ask.command) + fetching() + told).hexdigest()[:12]
