"""An answer in short: what two diagnoses are compared by, and how a table of misses shows them.

All that the matrices read of a diagnosis is read here.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis

CERTAINTY = (Confidence.POSSIBLE, Confidence.PROBABLE, Confidence.CONFIRMED)


class Told(Struct, frozen=True, kw_only=True):
    """A cause as an answer names it."""

    code: str
    leg: str
    """Empty: of no leg."""
    stage: str
    role: str
    confidence: str
    one_of: tuple[str, ...] = ()
    """Causes that it may be instead."""

    @property
    def where(self) -> str:
        return f"{self.code}@{self.leg}" if self.leg else self.code

    @property
    def certainty(self) -> int:
        return CERTAINTY.index(Confidence(self.confidence))

    @property
    def confirmed(self) -> bool:
        return self.confidence == Confidence.CONFIRMED

    @property
    def blocks(self) -> bool:
        return self.role == Role.BLOCKS

    @property
    def benign(self) -> bool:
        return self.role == Role.BENIGN

    def __str__(self) -> str:
        return f"{self.where} {self.role} {self.confidence}"


class Answer(Struct, frozen=True, kw_only=True):
    """What a diagnosis comes down to."""

    status: str
    exit_code: int
    state: str
    here: str
    """leg.stage; empty: nowhere."""
    finishes_alone: bool | None
    causes: tuple[Told, ...]
    cleared: frozenset[str]
    """Causes and steps that it says it is not, with their leg."""

    @classmethod
    def of(cls, found: Diagnosis) -> Answer:
        leg = f"{found.here_leg.value}." if found.here_leg else ""
        return cls(
            status=found.status.value,
            exit_code=int(found.exit_code),
            state=found.state.value,
            here=f"{leg}{found.here.value}" if found.here else "",
            finishes_alone=found.finishes_alone,
            causes=tuple(
                Told(
                    code=c.code,
                    leg=c.leg.value if c.leg else "",
                    stage=c.stage.value,
                    role=c.role.value,
                    confidence=c.confidence.value,
                    one_of=c.one_of,
                )
                for c in found.causes
            ),
            cleared=frozenset(f"{r.code}@{r.leg.value}" if r.leg else r.code for r in found.ruled_out),
        )

    @property
    def blocking(self) -> frozenset[str]:
        return frozenset(c.where for c in self.causes if c.blocks)

    @property
    def all_clear(self) -> bool:
        return self.status in ("ok", "idle") or self.exit_code == 0

    def __str__(self) -> str:
        at = f" HERE {self.here}" if self.here else ""
        return f"{self.status} {self.state}{at}: {listed(self.causes)}"


def listed(causes: Iterable[Told]) -> str:
    return ", ".join(map(str, causes)) or "no cause"
