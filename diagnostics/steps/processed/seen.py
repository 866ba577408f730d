"""One leg with the answers of its receiver, as all parts of this step look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg, LogRow, PublishCounts, PushCounts, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import RECENT, Answers, Tally, goes_on, lately, recent, tally
from diagnostics.readings.arrived import owed_here
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.owed import through
from diagnostics.steps import subjects
from diagnostics.steps.finding import Subject

_VISIBLE = timedelta(minutes=5)
"""Backlogs are visible after at most this long (four minutes, and a sample)."""


@dataclass(frozen=True)
class Seen:
    """One leg with its answers, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    profile: PipelineProfile
    now: datetime
    told: Answers
    """Pushes in the request log since the batch began; without a batch, of the last hour."""
    pushes: PushCounts | Unseen
    pause: timedelta
    """How long a message may rest between two pushes."""
    published: PublishCounts | Unseen
    deadline_s: float | None = None
    """The ack deadline of the subscription; None: not known."""
    early: bool = False
    """Whether the items of the batch that fail are at their first tries: that they fail is seen, that they always will is not."""

    @property
    def service(self) -> Subject | None:
        return subjects.receiving(self.profile, self.leg)

    @property
    def recent(self) -> Tally:
        return recent(self.pushes)

    @property
    def least(self) -> int:
        """Items of the batch that this receiver has not acked and that can come to it: they wait in the subscription, or its refusals
        made them dead letters. Where nothing left the subscription since the batch began, what waited before is no item of it."""
        owes = owed_here(self.ledger, self.leg, self.published)
        dead, began, newest = self.ledger.dead(self.leg), self.ledger.started, self.ledger.last_progress
        if dead.could_wait is None or began is None or (newest is not None and self.now - newest <= _VISIBLE):
            return owes
        still = not isinstance(self.pushes, Unseen) and dead.counted and not dead.messages
        still = still and not tally(self.pushes, began - timedelta(minutes=1)).acks
        return min(owes, max(dead.could_wait - (dead.waited or 0 if still else 0), 0) + dead.ours)

    @property
    def kept_away(self) -> int:
        """Of those, the items that wait in the subscription, and that no line tells of having come round within the longest pause."""
        came = (x for x in self.ledger.lives if x.stage is Stage.DELIVERED and not x.dead_lettered)
        lately = sum(1 for x in came if within(x, self.now, self.pause))
        return max(self.least - self.ledger.dead(self.leg).ours - lately, 0)

    def acks_since(self, at: datetime) -> float:
        """Pushes that were acked after the minute that holds this moment, by the counters."""
        return tally(self.pushes, at + timedelta(minutes=1)).acks

    def fails(self, rows: Sequence[LogRow]) -> bool:
        """Whether pushes are still answered like these."""
        return goes_on(rows, self.told, self.pushes, self.now, self.pause) and (
            rows[-1].at > self._counted_now or self.least > 0
        )

    @property
    def _counted_now(self) -> datetime:
        """Since when pushes count as of now: counters that still call them failing are older than the log."""
        at = self.now if isinstance(self.pushes, Unseen) else min(self.now, self.pushes.source.as_of)
        return (at if self.recent.nacks else self.now) - RECENT

    def acked_beside(self, rows: Sequence[LogRow]) -> float:
        """Pushes that were acked beside these of late: by the counters, which lag by minutes, or by the log, where answers that came in
        time are newer than half of these. What was at work when these began is older."""
        own = lately(rows, self.now)
        if not own:
            return self.recent.acks
        middle = own[len(own) // 2].at
        in_time = (r for r in self.told.fine if self.deadline_s is None or r.latency_s < self.deadline_s)
        return max(self.recent.acks, sum(1 for r in in_time if r.at > middle))

    def holds(self, rows: Sequence[LogRow]) -> bool:
        """Whether these answers stop the batch: it is owed, nothing is acked, and no other hand refuses more."""
        lately_all, own = lately(self.told.rows, self.now), lately(rows, self.now)
        foremost = 2 * len(own) >= len(lately_all)
        return self.least > 0 and not self.acked_beside(rows) and foremost and not through(self.ledger, self.leg)

    def unended(self, for_s: float) -> int:
        """Items of the batch that the worker took up longer ago than this, and of which no line tells a failure or an end."""
        begun = self.now - timedelta(seconds=for_s)
        open_ones = (x for x in self.ledger.lives if x.stage is Stage.DELIVERED and not (x.failures or x.dead_lettered))
        return sum(1 for x in open_ones if x.first is not None and x.first < begun)


def within(life: Life, now: datetime, pause: timedelta) -> bool:
    return life.last is not None and now - life.last <= pause
