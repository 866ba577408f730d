"""The rows that one batch's workers wrote, kept as what each wrote: a million items have more than four million rows, all of which follow
from a few words of each item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from diagnostics.lab.applications.predictions.models import CONSTANT
from diagnostics.lab.model import Rows

SYSTEMS = ("catboost_v9", "catboost_v8", "ensemble_v1_1", "similarity_balanced_v1", "zone_matchup_v1", "moving_average")
"""Which systems predict, those first that always do."""
ACTIVE, SUPERSEDED = 1, 2


class Build(NamedTuple):
    """What of a row is the same for all that a build writes."""

    version: str
    file: str
    commit: str | None
    revision: str
    flat: bool
    """Whether its rows all have the same confidence."""


class Write(NamedTuple):
    """One item's rows, of so many systems."""

    date: str
    systems: int
    at: float
    build: Build
    older: Write | None = None
    """What a write of fewer systems left standing."""

    def of(self, system: int) -> Write:
        """The latest that wrote this system's row."""
        found = self
        while found.systems <= system and found.older is not None:
            found = found.older
        return found

    @property
    def rows(self) -> int:
        return max(self.systems, self.older.rows) if self.older else self.systems


class Staged:
    """Each reading makes the rows anew."""

    def __init__(self, batch: str) -> None:
        self.batch = batch
        self.writes: dict[str, Write] = {}
        """By player."""
        self._builds: dict[Build, Build] = {}
        self._states: bytearray | None = None
        """ACTIVE and SUPERSEDED of each row, once they are in the table."""

    def write(self, player: str, date: str, systems: int, at: float, build: Build) -> None:
        """A second one of the same player takes the place of the first."""
        before = self.writes.get(player)
        older = before if before is not None and before.rows > systems else None
        self.writes[player] = Write(date, min(systems, len(SYSTEMS)), at, self._builds.setdefault(build, build), older)

    def settle(self, active: bool) -> None:
        """They are in the table now, in force or not."""
        self._states = bytearray([ACTIVE if active else 0]) * len(self)

    def supersede(self, by: Staged, keeps_both: bool) -> None:
        """Rows in force, of the same player, date and system as some of the later ones, are in force no more, or still."""
        place = 0
        states = self._states if self._states is not None else bytearray()
        for player, write in self.writes.items():
            later = by.writes.get(player)
            for system in range(write.rows):
                if later and states[place] & ACTIVE and by.has(player, write.of(system).date, system):
                    states[place] = SUPERSEDED | (ACTIVE if keeps_both else 0)
                place += 1

    def has(self, player: str, date: str, system: int) -> bool:
        write = self.writes.get(player)
        return write is not None and system < write.rows and write.of(system).date == date

    def __len__(self) -> int:
        return sum(write.rows for write in self.writes.values())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        place = 0
        for player, write in self.writes.items():
            for system in range(write.rows):
                state = ACTIVE if self._states is None else self._states[place]
                yield _row(self.batch, player, SYSTEMS[system], write.of(system), state)
                place += 1


class Parts:
    """The rows of a table, in parts."""

    def __init__(self, parts: tuple[Rows, ...]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(self.parts)


def _row(batch: str, player: str, system: str, write: Write, state: int) -> dict[str, Any]:
    chance = int(hashlib.sha256(f"{player}/{write.date}/{system}".encode()).hexdigest()[:8], 16) / 16**8
    build = write.build
    first = system == SYSTEMS[0]
    return {
        "prediction_id": hashlib.sha256(f"{batch}/{player}/{system}".encode()).hexdigest()[:32],
        "system_id": system,
        "player_lookup": player,
        "game_date": write.date,
        "predicted_points": round(4 + 28 * chance, 1),
        "confidence_score": 50.0 if build.flat else round(50 + 45 * chance, 1),
        "is_active": bool(state & ACTIVE),
        "superseded": bool(state & SUPERSEDED),
        "created_at": write.at,
        "model_version": build.version if first else CONSTANT,
        "model_file_name": build.file if first else None,
        "build_commit_sha": build.commit,
        "deployment_revision": build.revision,
    }
