"""The ledger: one batch, its items, and a count for each stage with its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from diagnostics.evidence.model import Means, Stage
from diagnostics.readings.ledger.attempts import Attempt

GOT_TO: dict[Means, Stage] = {
    Means.PUBLISHED_ITEM: Stage.PUBLISHED,
    Means.STARTED_ITEM: Stage.DELIVERED,
    Means.FAILED_ITEM: Stage.DELIVERED,
    Means.COMPLETION_ERROR: Stage.PROCESSED,
    Means.DONE_ITEM: Stage.PROCESSED,
    Means.SKIPPED_ITEM: Stage.PROCESSED,
    Means.RETURNED_ITEM: Stage.RETURNED,
    Means.RECORDED_ITEM: Stage.RECORDED,
}
"""Stage that an item has passed once such a line names it."""

ORDER = {stage: number for number, stage in enumerate(Stage)}

COUNTED = (Stage.PUBLISHED, Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED)
"""Stages that items pass one by one."""


@dataclass(frozen=True)
class Count:
    """How many items of the batch passed a stage. `most` None: no upper bound is known."""

    least: int = 0
    most: int | None = None
    source: str = ""
    basis: str = "items"

    @property
    def exact(self) -> int | None:
        return self.least if self.least == self.most else None

    @property
    def known(self) -> bool:
        return self.most is not None


@dataclass
class Life:
    """What the logs tell of one item."""

    name: str
    stage: Stage = Stage.CREATED
    starts: int = 0
    failures: int = 0
    done: bool = False
    skipped: bool = False
    first: datetime | None = None
    last: datetime | None = None
    reason: str = ""
    completion_failed: bool = False


@dataclass(frozen=True)
class Repeat:
    """An item that fails again and again, of this batch or not."""

    name: str
    ours: bool
    failures: int
    first: datetime
    last: datetime
    reason: str


@dataclass(frozen=True)
class Ledger:
    """One batch as far as marks, batch state and counters tell. Counters of a whole topic or subscription only bound a count."""

    attempt: Attempt | None = None
    attempts: tuple[Attempt, ...] = ()
    last_good: Attempt | None = None
    expected: int | None = None
    expected_at_start: int | None = None
    expected_from: str = ""
    counts: dict[Stage, Count] = field(default_factory=dict)
    closed: bool | None = None
    closed_from: str = ""
    lives: tuple[Life, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    bad_messages: int = 0
    asked: str = ""
    """The batch id that was asked for; empty: the latest attempt."""
    known_batch: bool | None = None
    """False: asked for a batch that neither logs nor batch state know; None: could not be told."""
    activity: dict[str, datetime] = field(default_factory=dict)
    """Newest item line of each batch that lines name."""
    matched: frozenset[tuple[Means, str]] = frozenset()
    """(marker, batch) pairs that matched in the look-back; batch is empty where the line names none."""

    @property
    def batch(self) -> str:
        return self.attempt.batch if self.attempt else self.asked

    @property
    def started(self) -> datetime | None:
        return self.attempt.started if self.attempt and self.attempt.seen else None

    @property
    def gated(self) -> int | None:
        """Items that a gate kept back, if it told."""
        gate = self.attempt.gate if self.attempt else None
        if gate is None or "count" not in gate.numbers or "of" not in gate.numbers:
            return None
        return max(gate.numbers["of"] - gate.numbers["count"], 0)

    @property
    def made_none(self) -> bool:
        """The coordinator said that there is nothing to do and made no batch, whatever id it had in mind."""
        attempt = self.attempt
        return attempt is not None and attempt.empty is not None and attempt.created is None and not self.closed

    @property
    def hollow(self) -> bool:
        """Closed with nothing done, though there was work: none of it could be published."""
        failed = self.attempt.failed_to_publish if self.attempt else 0
        return bool(self.closed and failed and self.counts[Stage.PUBLISHED].exact == 0)

    @property
    def done(self) -> int:
        """Items that the batch state or the returned completions count as done, at least."""
        return max(self.counts[s].least for s in (Stage.RETURNED, Stage.RECORDED)) if self.counts else 0

    @property
    def last_progress(self) -> datetime | None:
        """The newest moment at which an item of this batch got further, or the publishing ended."""
        times = [life.last for life in self.lives if life.last and life.stage is not Stage.DELIVERED]
        if self.attempt:
            times += [m.at for m in self.attempt.marks if m.means is not Means.FORCED]
        return max((t for t in times if t), default=None)

    def gap(self, stage: Stage) -> tuple[int, int | None]:
        """Items that passed the stage before but not this one: at least, at most (None: not known)."""
        before = self.before(stage)
        here = self.counts.get(stage, Count())
        least = max(before.least - here.most, 0) if here.most is not None else 0
        most = max(before.most - here.least, 0) if before.most is not None else None
        return least, most

    def before(self, stage: Stage) -> Count:
        """The count that this stage's input has."""
        if stage is Stage.PUBLISHED:
            return Count(self.expected or 0, self.expected, self.expected_from)
        return self.counts.get(COUNTED[COUNTED.index(stage) - 1], Count())

    def proven(self, means: Means) -> bool:
        """Whether this marker matched for any other batch in the look-back: only then does its absence say something."""
        return any(m is means and (not b or b != self.batch) for m, b in self.matched)
