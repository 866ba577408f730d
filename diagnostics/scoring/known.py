"""What an expectation may name: causes of the catalogue, findings of the steps, stages, legs. Anything else is a typo, not a pass."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.evidence.model import Leg, Stage
from diagnostics.lab.document import Path
from diagnostics.run.investigate import COMMANDS
from diagnostics.scoring.pattern import expression
from diagnostics.steps.finding import Where
from diagnostics.steps.rooms import codes
from diagnostics.steps.run import not_checked

if TYPE_CHECKING:
    from diagnostics.scoring.expect import Expected


class Typo(NamedTuple):
    """A name that nothing has: where it stands in the file, and what is wrong with it."""

    path: Path
    says: str


class Place(NamedTuple):
    """A row of the ladder as an expectation names it."""

    stage: Stage
    leg: Leg | None
    """None: no leg was named."""


BOTH = (Stage.PUBLISHED, Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED)
"""Stages that both legs have, so that a name without a leg means the request leg's."""


def place(name: str) -> Place | None:
    """`delivered` or `completion.delivered`; None: there is no such stage or leg."""
    leg, dot, stage = name.rpartition(".")
    if stage not in set(Stage) or (dot and leg not in set(Leg)):
        return None
    return Place(Stage(stage), Leg(leg) if leg else None)


@cache
def causes() -> dict[str, tuple[Leg, ...]]:
    """Code of each cause, and the legs on which it can be."""
    return {cause.code: cause.legs for cause in CATALOGUE}


@cache
def findings() -> frozenset[str]:
    """Code of each finding that any step can state."""
    return frozenset(codes().keys() | {not_checked(step).name for steps in COMMANDS.values() for step in steps})


def typos(expected: Expected) -> Iterator[Typo]:
    """Every name in it that nothing has, and every regular expression that is none."""
    for keys, check in _CHECKS.items():
        for key in keys:
            for step, name in _named(getattr(expected, key)):
                if says := check(name):
                    yield Typo(("expect", _WRITTEN.get(key, key), *step), says)
    for stage, places in expected.where.items():
        for where in places:
            if where not in set(Where):
                yield Typo(("expect", "where", stage, where), f'no place "{where}"; there are {", ".join(Where)}')


def _named(value: object) -> Iterator[tuple[Path, str]]:
    """Each name in a field, with its path in there."""
    if isinstance(value, str):
        yield (), value
    elif isinstance(value, Mapping):
        yield from (((name,), name) for name in value)
    elif isinstance(value, tuple):
        yield from (((at,), name) for at, name in enumerate(value))


def _no_cause(code: str) -> str:
    name, at, leg = code.partition("@")
    if name not in causes():
        told = "; it is a finding" if name in findings() else "; what has no name yet is expected by its findings"
        return f'no cause "{name}" in the catalogue{_nearest(name, causes()) or told}'
    if at and leg not in causes()[name]:
        return f'"{name}" is a cause of the {" and ".join(causes()[name])} leg, not of "{leg}"'
    return ""


def _no_finding(code: str) -> str:
    name, at, leg = code.partition("@")
    if name not in findings():
        told = "; it is a cause" if name in causes() else ""
        return f'no step has a finding "{name}"{_nearest(name, findings()) or told}'
    return f'no leg "{leg}"' if at and leg not in set(Leg) else ""


def _neither(code: str) -> str:
    """Not a finding where it looks like one, `step.what`, else not a cause."""
    return _no_finding(code) if "." in code else _no_cause(code)


def _no_place(name: str) -> str:
    if place(name):
        return ""
    return f'no stage "{name}"{_nearest(name, [*Stage, *(f"{Leg.COMPLETION}.{stage}" for stage in BOTH)])}'


def _no_expression(pattern: str) -> str:
    try:
        expression(pattern)
    except re.error as error:
        return f"no regular expression: {error}"
    return ""


_CHECKS: dict[tuple[str, ...], Callable[[str], str]] = {
    ("blocks", "worsens", "latent", "benign", "allow", "never", "one_of", "not_confirmed", "confidence"): _no_cause,
    ("findings", "not_findings", "told", "not_told", "unexplained"): _no_finding,
    ("over",): _neither,
    ("ladder", "where", "here"): _no_place,
    ("offers", "not_offers", "says", "not_says"): _no_expression,
}
_WRITTEN = {"never": "not"}
"""How a field is written in the file, where that is not its name."""


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [str(k) for k in known], 1, 0.75)
    return f'; did you mean "{near[0]}"?' if near else ""
