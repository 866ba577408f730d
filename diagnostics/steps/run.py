"""Run steps on evidence. A step is its signature: what its parameters are annotated with is what it reads.

A parameter may be a kind of evidence (the step is skipped, and says so, when that was not seen), `Kind | Unseen` (the step
deals with it itself), or one of the given things: leg, now, ledger, profile, ask. A step with a `leg` parameter runs once a leg;
one that needs evidence of a certain leg says `Annotated[Kind, Leg.REQUEST]`.
"""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

import msgspec

from diagnostics.evidence.model import Evidence, EvidenceSet, Leg, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import AnyCode, Bears, Code, Finding, Row, Status, Telling
from diagnostics.steps.tells import Hidden

Step = Callable[..., Iterable[Finding | Row]]


class Outcome(typing.NamedTuple):
    """What all steps said."""

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]


def not_checked(step: Step) -> Telling[Hidden]:
    """The code under which a step says that it could not look."""
    return Telling(f"{step.__name__}.not_checked", _stage(step), "could not be checked", tells=Hidden)


def could_not(step: Step, missing: Sequence[Unseen], leg: Leg | None) -> Finding:
    """That it could not look, for want of these."""
    first = missing[0]
    return not_checked(step).says(
        Status.UNKNOWN,
        f"not checked because {first.says}",
        leg=leg,
        rests_on=tuple(m.what for m in missing),
        tells=Hidden.of(first),
    )


def failed(step: Step) -> Code:
    """The code under which a step says that it broke."""
    return Code(f"{step.__name__}.failed", _stage(step), "failed")


def kinds(steps: Sequence[Step]) -> set[type[Evidence]]:
    """The union of the evidence that these steps read."""
    return {read.kind for step in steps for read in _reads(step)}


def run(
    steps: Sequence[Step],
    evidence: EvidenceSet,
    ledger: Ledger,
    profile: PipelineProfile,
    legs: Sequence[Leg],
    ask: Ask | None = None,
) -> Outcome:
    """What the steps say, in their order."""
    findings: list[Finding] = []
    rows: list[Row] = []
    unseen = not ledger.told and ledger.known_batch is not False
    for step in steps:
        for said in _one(step, evidence, ledger, profile, legs, ask or Ask()):
            if isinstance(said, Row):
                rows.append(_uncounted(said) if unseen else said)
            else:
                findings.append(_apart(said) if unseen else said)
    return Outcome(tuple(findings), tuple(rows))


def _apart(finding: Finding) -> Finding:
    """Of a batch that cannot be seen no item is known to have met anything: what is found is the subscription's."""
    return msgspec.structs.replace(finding, bears=Bears.APART, held=0)


def _uncounted(row: Row) -> Row:
    """The same of a row: what was not seen is neither zero nor "not reached". What configuration says stands."""
    if row.basis == "config":
        return msgspec.structs.replace(row, where={})
    return Row(stage=row.stage, leg=row.leg, basis=row.basis)


def _one(
    step: Step, evidence: EvidenceSet, ledger: Ledger, profile: PipelineProfile, legs: Sequence[Leg], ask: Ask
) -> Iterator[Finding | Row]:
    given: dict[type, Any] = {Ledger: ledger, PipelineProfile: profile, datetime: evidence.now, Ask: ask}
    hints = typing.get_type_hints(step)
    parameters = inspect.signature(step).parameters
    for leg in legs if "leg" in parameters else (None,):
        arguments: dict[str, Any] = {n: given[hints[n]] for n in parameters if hints[n] in given}
        if leg is not None:
            arguments["leg"] = leg
        missing: list[Unseen] = []
        for read in _reads(step):
            found = evidence.get(read.kind, read.leg or leg)
            if isinstance(found, Unseen) and not read.tolerant:
                missing.append(found)
            arguments[read.parameter] = found
        if missing:
            yield could_not(step, missing, leg)
        else:
            yield from _caught(step, arguments, leg)


def _caught(step: Step, arguments: dict[str, Any], leg: Leg | None) -> Iterator[Finding | Row]:
    """What a step says. One that raises costs its own answer, never the others': what it said until then stands, and it says so."""
    try:
        yield from step(**arguments)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        yield failed(step).says(
            Status.UNKNOWN,
            f"the step {step.__name__} failed: {type(error).__name__} at {PurePath(at.filename).name}:{at.lineno}; "
            "this is a fault of pubsub-diag, please report it",
            leg=leg,
        )


class _Read(typing.NamedTuple):
    parameter: str
    kind: type[Evidence]
    leg: Leg | None
    """Set when the step asks for one leg's evidence whatever leg it runs for."""
    tolerant: bool
    """Whether the step itself deals with the evidence being unseen."""


@functools.cache
def _reads(step: Step) -> tuple[_Read, ...]:
    reads = []
    for name, hint in typing.get_type_hints(step, include_extras=True).items():
        leg = None
        if typing.get_origin(hint) is typing.Annotated:
            hint, leg = typing.get_args(hint)
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        found = [o for o in options if isinstance(o, type) and issubclass(o, Evidence)]
        if name != "return" and found:
            reads.append(_Read(name, found[0], leg, Unseen in options))
    return tuple(reads)


def _stage(step: Step) -> Stage:
    """The stage of a step is that of the first code in its module, or in the package around it."""
    module = sys.modules[step.__module__]
    rooms = (module, sys.modules[module.__package__ or ""])
    return next(v.stage for room in rooms for v in vars(room).values() if isinstance(v, AnyCode))
