"""What a step says: findings with what they tell, and its row of the ladder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypedDict, Unpack

from msgspec import Struct

from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps import tells as telling
from diagnostics.steps.tells import Hidden, Mended, T, Tells


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
    """Items of this batch meet it, or met it, and are not seen to be held by it."""
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


class ResourceKind(StrEnum):
    """What kind of thing a finding is about."""

    PROJECT = "project"
    TOPIC = "topic"
    SUBSCRIPTION = "subscription"
    SERVICE = "service"
    REVISION = "revision"
    ACCOUNT = "account"
    """A service account, by its address."""
    BATCH = "batch"
    ANSWERS = "answers"
    """Answers of one class to pushes: by response class, or by status and who gave it."""


class Subject(Struct, frozen=True):
    """Which resource a finding is about."""

    kind: ResourceKind
    name: str
    """Its short name: without project and collection."""


class Details(TypedDict, total=False):
    """What any finding may say beside status and sentence; what is left out is not known, or no item is touched."""

    leg: Leg | None
    subject: Subject | None
    bears: Bears
    held: int
    since: datetime | None
    until: datetime | None
    rests_on: tuple[str, ...]


class AnyCode(Struct, frozen=True):
    """A kind of finding. Constants of this type stand at the head of the step that emits them."""

    name: str
    """step.what, stable and never reused."""
    stage: Stage
    title: str
    kind: Kind = Kind.NOTE

    def _finding(self, status: Status, sentence: str, details: Details, tells: Tells | None = None) -> Finding:
        given: Details = {"leg": None, **details}
        return Finding(
            code=self.name,
            stage=self.stage,
            title=self.title,
            kind=self.kind,
            status=status,
            says=sentence,
            numbers=telling.numbers(tells) if tells else {},
            words=telling.words(tells) if tells else {},
            **given,
        )


class Code(AnyCode, frozen=True):
    """The code of findings that tell nothing beside their sentence."""

    def says(self, status: Status, sentence: str, **details: Unpack[Details]) -> Finding:
        return self._finding(status, sentence, details)


class Telling(AnyCode, Generic[T], frozen=True, kw_only=True):
    """The code of findings that tell numbers and words, each of its declared type."""

    tells: type[T]

    def says(self, status: Status, sentence: str, *, tells: T, **details: Unpack[Details]) -> Finding:
        return self._finding(status, sentence, details, tells)

    def of(self, finding: Finding) -> T | None:
        """What the finding tells, if it is of this code."""
        return telling.read(self.tells, finding.numbers, finding.words) if finding.code == self.name else None

    def told(self, findings: Iterable[Finding]) -> Iterator[T]:
        """What those of these findings tell that are of this code."""
        return (told for finding in findings if (told := self.of(finding)) is not None)


class Finding(Struct, frozen=True, kw_only=True):
    """One statement about the pipeline, with what it rests on."""

    code: str
    stage: Stage
    title: str
    leg: Leg | None
    """None: it is not about one leg."""
    subject: Subject | None = None
    """Which resource it is about; None: about none, or none that is known."""
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
    """What it tells, by the names that its code declares; likewise `words`."""
    words: dict[str, str] = {}
    kind: Kind = Kind.NOTE

    @property
    def abnormal(self) -> bool:
        return self.status in (Status.WARNING, Status.FAULT)

    @property
    def mend(self) -> str:
        """The command that mends it or would show it; empty where the step knows none."""
        return telling.read(Mended, self.numbers, self.words).mend or ""

    @property
    def hidden(self) -> Hidden:
        """Why what it is about could not be seen."""
        return telling.read(Hidden, self.numbers, self.words)


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
