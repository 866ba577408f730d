"""What could overturn a cause or a clearance: each kind of evidence that is named for it is looked at by what finds it, and where a
cause rests on something not being found, whatever a step cannot do without to look for it is among what has to be seen whole."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable
from types import CodeType

import pytest

from diagnostics import steps
from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import AllOf, AnyOf, Cause, NoneOf, NothingHolds, Predicate
from diagnostics.conclude.cleared import _CLEARS
from diagnostics.evidence.model import Evidence, Unseen
from diagnostics.readings.wholeness import kind_of
from diagnostics.run.investigate import COMMANDS, LEDGER_READS
from diagnostics.steps.finding import AnyCode, Kind
from diagnostics.steps.run import Step

HOLD_NOTHING = set[str]().union(*(c.requires.codes() for c in CATALOGUE if c.never_blocks))
SURE = [c for c in CATALOGUE if c.decisive is not None]


def told_by(step: Step) -> set[AnyCode]:
    """Codes of the findings that it and what it calls in the steps can tell."""
    found, left, known = set(), [step], set()
    while left:
        function = left.pop()
        known.add(function)
        for name in _names(function.__code__):
            value = function.__globals__.get(name)
            if isinstance(value, AnyCode):
                found.add(value)
            elif inspect.isfunction(value) and value.__module__.startswith(steps.__name__) and value not in known:
                left.append(value)
    return found


def _names(code: CodeType) -> set[str]:
    """Names that it and the functions within it use."""
    within = (_names(c) for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*within)


TOLD = {step: told_by(step) for step in (*COMMANDS["batch"], *COMMANDS["outcome"], *COMMANDS["model drift"])}
EVERY = {code.name: code for told in TOLD.values() for code in told}


def kinds(step: Step, needed: bool) -> set[type[Evidence]]:
    """What the step reads; `needed`: without which it does not run."""
    found = set()
    for name, hint in typing.get_type_hints(step).items():
        options = typing.get_args(hint) or (hint,)
        if name != "return" and not (needed and Unseen in options):
            found |= {o for o in options if inspect.isclass(o) and issubclass(o, Evidence)}
    return found


def finding(names: Iterable[str], needed: bool) -> set[type[Evidence]]:
    """What the steps read, or need, that find these."""
    wanted = set(names)
    telling = (step for step, told in TOLD.items() if wanted & {code.name for code in told})
    return set[type[Evidence]]().union(*(kinds(step, needed) for step in telling))


def absent(predicate: Predicate | None) -> set[str]:
    """Codes of what must not have been found."""
    match predicate:
        case NoneOf():
            return set(predicate.codes())
        case NothingHolds(stages, but):
            makes = (Kind.MECHANISM, Kind.EFFECT)
            held = {name for name, code in EVERY.items() if code.stage in stages and code.kind in makes}
            return held - HOLD_NOTHING - {code.name for code in but}
        case AllOf(parts) | AnyOf(parts):
            return set[str]().union(*(absent(p) for p in parts))
    return set()


def looked_at(cause: Cause) -> set[str]:
    named = [p.codes() for p in (cause.requires, cause.decisive, cause.refutes) if p]
    return set[str]().union(*named) | absent(cause.decisive)


def overturning(cause: Cause) -> set[type[Evidence]]:
    return {kind_of(kind) for kind in cause.overturned_by}


@pytest.mark.parametrize("cause", [c for c in SURE if c.overturned_by], ids=lambda c: c.code)
def test_what_could_overturn_a_cause_is_read_by_what_finds_it(cause: Cause) -> None:
    assert overturning(cause) <= finding(looked_at(cause), needed=False) | LEDGER_READS


@pytest.mark.parametrize("cause", SURE, ids=lambda c: c.code)
def test_what_was_not_found_was_looked_for(cause: Cause) -> None:
    missing = absent(cause.requires) | absent(cause.decisive) | set(cause.refutes.codes() if cause.refutes else ())
    seen = finding(looked_at(cause) - missing, needed=True)
    assert finding(missing, needed=True) <= seen | overturning(cause)


@pytest.mark.parametrize("code", _CLEARS)
def test_what_a_clearance_has_to_see_is_read_by_what_looks_at_that_part(code: str) -> None:
    part = {name for name in EVERY if name.partition(".")[0] == code.partition(".")[0]}
    assert set(_CLEARS[code].whole) <= finding(part, needed=False) | LEDGER_READS
