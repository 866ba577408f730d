"""Apply the Mitigation of one row to its running lab, let time go on, ask again, and judge the answer."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from diagnostics.causes.catalogue import is_kind_of
from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Named, State
from diagnostics.evidence.model import Leg
from diagnostics.lab.durations import seconds
from tests.contract.google_tools import Gcloud
from tests.remedies.incident import Incident, opened, yours
from tests.remedies.mitigation import Step, filled, steps
from tests.remedies.rows import AGAIN, Hand, Row, Take
from tests.remedies.shell import Refused, type_in

HOLDING = (Role.BLOCKS, Role.WORSENS)
PROMISES = re.compile(r"`((?:Created|Updated|Deleted|Enabled)[^`]*|100% [^`]*|\"[^`]*)`")
"""What a page says word for word that a command prints."""


@dataclass
class Proof:
    """What came of one row."""

    row: Row
    done: list[str] = field(default_factory=list)
    after: Diagnosis | None = None
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def says(self) -> str:
        if self.after is None:
            return "-"
        left = ", ".join(
            f"{c.role.value} {c.code}{'' if c.leg is not Leg.COMPLETION else '@completion'}"
            for c in self.after.causes
            if c.role is not Role.BENIGN
        )
        return f"{self.after.status.value.upper()} {self.after.state.value}: {self.after.headline}" + (
            f" [{left}]" if left else ""
        )


def prove(row: Row, gcloud: Gcloud, seed: int = 1) -> Proof:
    began = time.monotonic()
    proof = Proof(row)
    with opened(row.scenario, row.leg, gcloud, seed, row.goes_on) as incident:
        if not any(_is(cause, row) for cause in incident.before.causes):
            proof.misses.append(
                "the scenario does not show the cause: " + ", ".join(c.code for c in incident.before.causes)
            )
        try:
            _apply(incident, row)
        except (Refused, LookupError, AssertionError, OSError) as error:
            proof.misses.append(f"{type(error).__name__}: {error}")
        proof.done = incident.done
        if not proof.misses:
            incident.lab.advance(seconds(row.wait))
            proof.after = incident.ask()
            proof.misses += judged(row, incident.before, proof.after)
    proof.seconds = time.monotonic() - began
    return proof


def halfway(row: Row, gcloud: Gcloud, seed: int = 1) -> Proof | None:
    """What is said once the cause is mended and before anything is sent again: the answer must not read as if nobody had done anything,
    nor put it down to another cause. None: there is nothing to send again, or no half-way."""
    less = tuple(step for step in row.steps if step not in AGAIN)
    if not less or less == row.steps:
        return None
    began = time.monotonic()
    proof = Proof(row)
    with opened(row.scenario, row.leg, gcloud, seed, row.goes_on) as incident:
        before = {cause.code: cause.says for cause in incident.before.causes}
        try:
            _apply(incident, replace(row, steps=less))
        except Refused:  # what comes later needs what was left out: there is no half-way
            return None
        incident.lab.advance(seconds(row.wait))
        proof.done, proof.after = incident.done, incident.ask()
    for cause in proof.after.causes:
        if cause.role not in HOLDING or cause.until is not None:
            continue
        if _is(cause, row) and cause.says == before.get(cause.code) and not row.stays:
            proof.misses.append(f"reads as before: {cause.says}")
        known = _is(cause, row) or _left(cause.code, row) or cause.code in row.halfway
        if cause.confidence is Confidence.CONFIRMED and not known:
            proof.misses.append(f"now claims {cause.code} ({cause.role.value}): {cause.says}")
    proof.seconds = time.monotonic() - began
    return proof


def _apply(incident: Incident, row: Row) -> None:
    known = yours(incident, row.yours)
    pages: dict[str, dict[int, Step]] = {}
    for what in row.steps:
        if isinstance(what, Hand):
            what.does(incident)
        else:
            take = what if isinstance(what, Take) else Take(what)
            code = take.page or row.code
            if code not in pages:
                pages[code] = steps(incident, code)
            _step(incident, pages[code][take.step], take, known)


def _step(incident: Incident, step: Step, take: Take, known: dict[str, str]) -> None:
    lines = step.otherwise if take.otherwise else step.commands
    said = ""
    for at in take.only or range(1, len(lines) + 1):
        line = filled(lines[at - 1], known)
        try:
            said += type_in(incident, line) + "\n"
        except Refused as refused:
            if not (step.exists and "already exists" in str(refused)):
                raise
            said += f"Created {shlex.split(line)[2].removesuffix('s')}"
    if take.otherwise or take.only:
        return
    for promise in PROMISES.findall(step.prints):
        kept = filled(promise, known).rstrip(".").partition(" …")[0]
        if kept not in said:
            raise Refused(f"step {step.number} promises `{kept}` and printed: {said.strip()[:300]}")


def _is(cause: Named, row: Row) -> bool:
    return cause.code == row.code and cause.leg in (row.leg, None)


def judged(row: Row, before: Diagnosis, after: Diagnosis) -> Iterator[str]:
    """What an engineer would not believe of the answer after the remedy."""
    for cause in after.causes:
        named = f"{cause.code}{'@completion' if cause.leg is Leg.COMPLETION else ''}"
        if _is(cause, row) and cause.role is not Role.BENIGN and cause.until is None and row.code not in row.residue:
            yield f"still claims {named} ({cause.role.value})"
        elif cause.role in HOLDING and not _left(cause.code, row) and not _is(cause, row):
            yield f"now claims {named} ({cause.role.value}, {cause.confidence.value})"
    held = [c for c in after.causes if c.role is Role.BLOCKS]
    if after.state not in (State.DONE, State.RUNNING) and not row.residue and after.batch:
        yield f"the batch is {after.state.value}, and no residue is expected"
    for code in row.residue:
        known = {*(c.code for c in after.causes), *(f.code for f in after.findings), *_counts(after)}
        if not any(is_kind_of(one, code) for one in known):
            yield f"does not name the residue {code}"
    if row.residue and after.state is State.STALLED and not after.next:
        yield "does not say what to do about the residue"
    del before, held


def _left(code: str, row: Row) -> bool:
    """Whether it is a residue that the row expects, or a special case of one."""
    return any(is_kind_of(code, expected) for expected in row.residue)


def _counts(after: Diagnosis) -> Iterator[str]:
    if after.recovery.resubmit_count:
        yield "to send again"
    if after.recovery.replay_dead_letters:
        yield "dead letters to replay"
