"""Scenarios that ask what came of batches (`outcome`, `model drift`), as the matrices of batches have theirs: around one start call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from diagnostics.causes.catalogue import find
from diagnostics.lab.durations import moment
from diagnostics.lab.scenario import Scenario, load
from diagnostics.scoring.expect import Asked, wanted
from tests.matrices.played import asks_after_results
from tests.matrices.singles import Fault, Single, Unfit, around, at, said

FAMILY = "outcome"
LOST = "writes-fail-behind-acks"
"""A cause of the worker's, told by what is not in the table."""


class Story(NamedTuple):
    """What came of a batch, and what is wrong with it."""

    one: Single
    ask: Asked
    faults: tuple[str, ...]

    def asks(self, as_asked: Asked) -> Asked:
        """The same question in a scenario made by machine, where the start call has another name."""
        return structs.replace(self.ask, batch=as_asked.batch)


def story(path: Path, seed: int) -> Story:
    """The scenario, if it asks after results, all may be seen, and something is wrong with them. Raises Unfit."""
    scenario = load(path, seed)
    want = wanted(scenario, path)
    if not asks_after_results(want.ask):
        raise Unfit("it asks another command")
    if scenario.caller.lacks or scenario.caller.holds or scenario.faults or want.ask.max_bytes is not None:
        raise Unfit("not all may be seen")
    faults = (*want.expect.worsens, *want.expect.latent)
    if not faults or not all(of_results(code) for code in faults):
        raise Unfit("nothing is wrong with its results")
    one = around(scenario, want, Fault(code=faults[0]), _before_now(scenario), f"{path.parent.name}/{path.stem}")
    return Story(one, want.ask, faults)


def of_results(code: str) -> bool:
    """Whether it is a cause of which the tables and the places tell."""
    cause = find(code)
    return code == LOST or (cause is not None and cause.family == FAMILY)


def _before_now(scenario: Scenario) -> list[dict[str, Any]]:
    """Its timeline, with moments of the calendar as so long before its now."""
    entries = [said(entry) for entry in scenario.timeline]
    for entry in entries:
        for key in ("at", "until"):
            if key in entry and not entry[key].startswith("-"):
                now = moment(scenario.now, 0)
                entry[key] = at(moment(entry[key], now) - now)
    return entries
