"""What a step says: findings with their numbers, and its row of the ladder."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from diagnostics.evidence.model import Leg, Stage


class Status(StrEnum):
    """How a finding stands. Only `warning`, `fault` and `unknown` move an exit code."""

    OK = "ok"
    ADVICE = "advice"
    IDLE = "idle"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAULT = "fault"


class Bears(StrEnum):
    """What a finding means for the batch that was asked about."""

    HOLDS = "holds"
    """Items of this batch are stopped by it now."""
    SLOWS = "slows"
    """Items of this batch meet it, or met it, and get past."""
    APART = "apart"
    """No item of this batch is touched by it."""


class Kind(StrEnum):
    """What a finding says, and so what has to account for it once it is a warning or a fault."""

    MECHANISM = "mechanism"
    """How something is set up or what somebody did: by itself a reason for messages to stop."""
    EFFECT = "effect"
    """What happened to messages or calls: refused, expired, crashed, skipped, never published."""
    CONSEQUENCE = "consequence"
    """What follows by itself once something stops messages: back-off, an old backlog, silence, a stall."""
    NOTE = "note"
    """Context, clearances and gaps. It is never a warning or a fault of this batch, and nothing has to account for it."""


class Code(Struct, frozen=True):
    """A kind of finding. Constants of this type stand at the head of the step that emits them."""

    name: str
    """step.what, stable and never reused."""
    stage: Stage
    title: str
    kind: Kind = Kind.NOTE

    def says(
        self,
        status: Status,
        sentence: str,
        *,
        leg: Leg | None = None,
        bears: Bears = Bears.APART,
        held: int = 0,
        since: datetime | None = None,
        until: datetime | None = None,
        rests_on: tuple[str, ...] = (),
        numbers: dict[str, float] | None = None,
        words: dict[str, str] | None = None,
    ) -> Finding:
        return Finding(
            code=self.name,
            stage=self.stage,
            title=self.title,
            kind=self.kind,
            leg=leg,
            status=status,
            says=sentence,
            bears=bears,
            held=held,
            since=since,
            until=until,
            rests_on=rests_on,
            numbers=numbers or {},
            words=words or {},
        )


class Finding(Struct, frozen=True, kw_only=True):
    """One statement about the pipeline, with what it rests on."""

    code: str
    stage: Stage
    title: str
    leg: Leg | None
    """None: it is not about one leg."""
    status: Status
    says: str
    bears: Bears = Bears.APART
    held: int = 0
    """How many items of this batch it holds, as far as that is known."""
    since: datetime | None = None
    until: datetime | None = None
    """Set when it is over."""
    rests_on: tuple[str, ...] = ()
    """Kinds of evidence."""
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    kind: Kind = Kind.NOTE

    @property
    def abnormal(self) -> bool:
        return self.status in (Status.WARNING, Status.FAULT)


class Where(StrEnum):
    """Where the rest of a stage is. Only `dropped` is lost for good; what is dead-lettered, gated or skipped does not come by itself."""

    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    RETRYING = "retrying"
    DEAD_LETTERED = "dead_lettered"
    DROPPED = "dropped"
    GATED = "gated"
    SKIPPED = "skipped"
    """The worker gave them up and acked them, and nobody was told."""
    SURPLUS = "surplus"
    UNATTRIBUTED = "unattributed"
    UNKNOWN = "unknown"


class Row(Struct, frozen=True, kw_only=True):
    """One row of the ladder: a stage of this batch."""

    stage: Stage
    leg: Leg | None = None
    expected: int | None = None
    """What should have come this far: the batch's items, or what the stage before let through."""
    seen_min: int | None = None
    seen_max: int | None = None
    """None: not known. Equal to seen_min: exact."""
    reached: bool | None = None
    """For stages that are a yes or no (routed, closed); None otherwise or when unknown."""
    where: dict[str, int] = {}
    """Where the rest is, by `Where`."""
    basis: str = "items"
    """What was counted: items, subscription, topic, or config."""
    status: Status = Status.UNKNOWN
    source: str = ""
    note: str = ""
    """What has to be read with the counts, say what a gate kept back; never folded away."""
    not_reached: bool = False
    """True: nothing came this far, so the stage clears nothing and accuses nobody."""
