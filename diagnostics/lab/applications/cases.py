"""What a message does to a worker: payload class, try and downstream decide; the programs only turn it into codes and lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from diagnostics.lab.applications.base import Setting
from diagnostics.lab.applications.plan import Casebook, Scripted


class Outcome(Enum):
    DONE = auto()
    SILENT = auto()
    """Done and acknowledged; its completion is to leave after the answer, and never does where a container then has no CPU."""
    LOST_ID = auto()
    """Done, and the completion names no batch."""
    SKIPPED = auto()
    """The item can never be done."""
    FAILED = auto()
    """It may be done another time."""
    LIMITED = auto()
    """The program itself says 429."""
    NOT_WRITTEN = auto()
    """The result could not be stored."""
    SCRIPTED = auto()
    """What the scenario says, word for word."""
    CRASHED = auto()
    OUT_OF_MEMORY = auto()


@dataclass(frozen=True)
class Case:
    outcome: Outcome
    work: float = 1.0
    """Work in shares of what is usual."""
    reason: str = ""
    """skip, injury, transient, limited or downstream; each dialect has its own word for it."""
    script: Scripted | None = None


GOOD = Case(Outcome.DONE)
SLOW_S = (330.0, 480.0)
"""Work of a slow item: beyond an ack deadline and request timeout of 300 s."""
BIG_MIB = 3072
"""Memory that a container needs for an item that is too big for those of the default pipelines; with less it is killed."""
FLAKY_FAILS = 3
"""How often a flaky item fails before it is done."""

CASES: dict[str, Case] = {
    "good": GOOD,
    "slow": GOOD,
    "transient": Case(Outcome.FAILED, 2.0, "transient"),
    "flaky": Case(Outcome.FAILED, 1.0, "transient"),
    "injured_out": Case(Outcome.SKIPPED, 0.3, "injury"),
    "permanent_skip": Case(Outcome.SKIPPED, 0.3, "skip"),
    "rate_limited": Case(Outcome.LIMITED, 0.1, "limited"),
    "write_fails": Case(Outcome.NOT_WRITTEN),
    "crash": Case(Outcome.CRASHED, 0.5),
    "out_of_memory": Case(Outcome.OUT_OF_MEMORY, 0.7),
    "silent": Case(Outcome.SILENT),
    "lost_id": Case(Outcome.LOST_ID),
}
"""malformed and undecodable are not here: such a message shows itself when it is read. An oversized one never gets that far."""


def decide(
    setting: Setting, casebook: Casebook, service: str, batch: str, item: str, usual_s: float
) -> tuple[Case, float]:
    """What will become of this try of an item, and the seconds of work until then."""
    payload = casebook.of(batch, item)
    case = CASES.get(payload, GOOD)
    if payload == "flaky" and casebook.tried(batch, item) > FLAKY_FAILS:
        case = GOOD
    if script := casebook.script(batch, item):
        case = Case(Outcome.SCRIPTED, script=script)
    rng = setting.rng
    work_s = rng.uniform(*SLOW_S) if payload == "slow" else rng.lognormvariate(0, 0.35) * usual_s * case.work
    if (first_s := casebook.first_takes_s(batch, item)) is not None:
        case, work_s = GOOD, first_s
    now = float(setting.env.now)
    work_s = setting.downstream.stretch(service, now, work_s)
    if trouble := setting.downstream.fails(service, now, rng):
        limited = trouble.error == "rate_limited"
        case = (
            Case(Outcome.LIMITED, 1.0, "limited")
            if limited
            else Case(Outcome.FAILED, 1.0, trouble.error or "downstream")
        )
    return case, work_s
