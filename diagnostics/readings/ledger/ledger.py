"""The ledger: one batch, its items, and a count for each stage with its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from diagnostics.evidence.model import Leg, Mark, Means, Stage
from diagnostics.readings.ledger.attempts import Attempt

GOT_TO: dict[Means, Stage] = {
    Means.PUBLISHED_ITEM: Stage.PUBLISHED,
    Means.STARTED_ITEM: Stage.DELIVERED,
    Means.FAILED_ITEM: Stage.DELIVERED,
    Means.WRITE_FAILED: Stage.DELIVERED,
    Means.COMPLETION_ERROR: Stage.PROCESSED,
    Means.DONE_ITEM: Stage.PROCESSED,
    Means.SKIPPED_ITEM: Stage.PROCESSED,
    Means.RETURNED_ITEM: Stage.RETURNED,
    Means.RECORD_ERROR: Stage.RETURNED,
    Means.RECORDED_ITEM: Stage.RECORDED,
}
"""Stage that an item has passed once such a line names it."""

TROUBLES = (Means.COMPLETION_ERROR, Means.RECORD_ERROR)
"""Lines that tell of a stage only when it goes wrong: their silence says nothing."""

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
    many: int = 1
    """So many items have this very life: where a batch has too many to read each, one of them stands for all."""
    starts: int = 0
    failures: int = 0
    done: bool = False
    skipped: bool = False
    """The worker gave it up and acked it."""
    brought: int | None = None
    """How much its work brought, where a line of its end counts that."""
    first: datetime | None = None
    last: datetime | None = None
    """Its newest line that tells of a try or a stage."""
    got_further: datetime | None = None
    """When it passed the furthest stage that it did pass."""
    ended: datetime | None = None
    """When the worker last said that it had done it, or given it up."""
    reason: str = ""
    again: bool = False
    """It was taken up once more after it was done or given up: its push was not acked."""
    unwritten: bool = False
    """Its result could not be stored, and no later line of the worker tells that it was, or that the item was refused."""
    completion_failed: bool = False
    unrecorded: int = 0
    """How often the coordinator failed to record its completion."""
    refused: bool = False
    """It failed at the newest try that lines tell of."""
    refused_after: bool = False
    """And a line told before of that very try that the completion had come back: a later one that went well would show."""
    dead_lettered: bool = False
    """It lies in a dead-letter topic and does not come back by itself."""

    @property
    def attempts(self) -> int:
        return max(self.starts, self.failures)

    @property
    def tried_before(self) -> bool:
        """Whether a try of it has ended without an ack: a line says so, or it was taken up again. A container that dies says nothing."""
        return bool(self.failures) or self.starts > 1

    @property
    def moved(self) -> datetime | None:
        """When it last got further and stayed there: reaching a receiver that then fails on it is no progress."""
        if self.stage is Stage.RETURNED and self.unrecorded:
            return self.ended
        return None if self.stage is Stage.DELIVERED else self.got_further

    @property
    def unreported(self) -> bool:
        """Its completion could not be published, and has not been since."""
        return self.completion_failed and self.stage is Stage.PROCESSED

    @property
    def nacked_completion(self) -> bool:
        """Its completion could not be published, and the worker did not ack it: it was pushed again."""
        return self.unreported and self.starts > 1

    @property
    def fruitless(self) -> bool:
        """It counts as finished, and nothing came of it."""
        return (self.skipped and not self.done) or self.brought == 0


@dataclass(frozen=True)
class Repeat:
    """An item that fails again and again, of this batch or not."""

    name: str
    ours: bool
    failures: int
    first: datetime
    last: datetime
    reason: str
    dead_lettered: bool = False


@dataclass(frozen=True)
class DeadLetters:
    """What went to a leg's dead-letter topic since the batch began, and what the leg's subscription tells beside it."""

    messages: int = 0
    """Of the whole subscription."""
    ours: int = 0
    """Items of the batch, at least."""
    most: int = 0
    """Items of the batch, at most."""
    first: datetime | None = None
    last: datetime | None = None
    counted: bool = False
    """Whether Pub/Sub's counter was seen."""
    could_wait: int | None = None
    """So many messages of the batch can still wait in the subscription; None: not seen."""
    uncounted: tuple[str, ...] = ()
    """Items that failed as often as the dead-letter policy lets them, later than its counter tells: they are put aside, or soon will be."""
    unseen: bool = False
    """Neither the subscription nor anything that waits in it was seen: whether messages wait there is not known."""
    waited: int | None = None
    """So many messages waited there when the batch began; None: not seen."""
    pause: timedelta = timedelta(minutes=25)
    """The longest time between two tries of a message that is still pushed."""
    attempts: int | None = None
    """After so many tries a message goes there; None: not seen, or never."""
    anew: datetime | None = None
    """When the leg's subscription was made, where that was after all of the batch that was to come to it had been published: none of it
    can be there. None: it was there before, or nothing tells."""


@dataclass(frozen=True)
class Ledger:
    """One batch as far as marks, batch state and counters tell. Counters of a whole topic or subscription only bound a count."""

    attempt: Attempt | None = None
    attempts: tuple[Attempt, ...] = ()
    last_good: Attempt | None = None
    expected: int | None = None
    expected_at_start: int | None = None
    expected_from: str = ""
    size_doubted: str = ""
    """Why the number of items that is told for it cannot be right, so that none is known."""
    counts: dict[Stage, Count] = field(default_factory=dict)
    closed: bool | None = None
    closed_from: str = ""
    closed_at: datetime | None = None
    """When it was closed, as a line or the batch state tells; None: it is not, or neither does."""
    by_silence: bool = False
    """It is taken for open because no line closes it, as lines close others: the state itself was not read."""
    forced: str = ""
    """Why it was closed by hand or by age, in the words of a line or of the batch state."""
    lives: tuple[Life, ...] = ()
    """One for each item that anything names. Items that one stands for are there as often as they are many."""
    unread_until: datetime | None = None
    """Lines about items that are older than this may have been left out, but for the oldest; None: none were."""
    repeats: tuple[Repeat, ...] = ()
    bad_messages: int = 0
    asked: str = ""
    """The batch id that was asked for; empty: the latest attempt."""
    known_batch: bool | None = None
    """False: asked for a batch that neither logs nor batch state know; None: could not be told."""
    others_through: dict[Leg, tuple[datetime, ...]] = field(default_factory=dict)
    """When each item of other batches first got through a leg since this one began, by their lines: acks that are none of this batch."""
    activity: dict[str, datetime] = field(default_factory=dict)
    """When an item of each batch that lines name last got further. A failing retry is no progress."""
    dead_letters: dict[Leg, DeadLetters] = field(default_factory=dict)
    empty_by_design: bool = False
    """The coordinator says that there is nothing to do, and the reasons that the profile lists as right cover all of it."""
    unlisted: int = 0
    """Items that a gate kept back for a reason that the profile does not list as right."""
    given_up: int = 0
    """Items that the batch state counts as failed, beside those that are done: nobody waits for them."""
    missing_state: bool = False
    """The batch state was asked for this batch and knows none."""
    told: bool = False
    """Whether anything tells of the batch's items, or of what became of its start. If not, the batch cannot be seen, and what is
    found belongs to the subscription."""
    as_asked: bool = False
    """Its start and its number are the caller's word: what the counters count since then is taken for it."""
    one_way: bool = False
    """Nothing comes back, and nobody keeps count of it: what the worker has done is done."""
    untold: str = ""
    """Why lines of the coordinator about the batch may not have been seen; empty: all were, or the profile names none."""
    matched: frozenset[tuple[Means, str]] = frozenset()
    """(marker, batch) pairs that matched in the look-back; batch is empty where the line names none."""

    @property
    def named(self) -> tuple[Life, ...]:
        """The lives of items that are known by name, each once."""
        return tuple({x.name: x for x in self.lives}.values())

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
    def owes(self) -> bool:
        """Whether more may be owed for all that is known. A batch of unknown size, all of which that was seen is done, may be done."""
        return self.expected is not None or not self.done or self.counts[Stage.PUBLISHED].least > self.done

    @property
    def made_none(self) -> bool:
        """The coordinator said that there is nothing to do and made no batch, whatever id it had in mind."""
        attempt = self.attempt
        return attempt is not None and attempt.empty is not None and attempt.created is None and not self.closed

    @property
    def made(self) -> bool | None:
        """Whether the start attempt made a batch; None: could not be told."""
        attempt = self.attempt
        if attempt is None or self.as_asked:
            return None
        if (
            attempt.created
            or self.closed is not None
            or self.done
            or any(x.stage is not Stage.CREATED for x in self.lives)
        ):
            return True
        if attempt.published or attempt.failed_to_publish:
            return True
        return False if (self.proven(Means.CREATED) and not self.untold) or self.missing_state else None

    @property
    def wanted(self) -> int:
        """Items that there were to do: what the batch expects, or what it was lowered from."""
        gate = self.attempt.gate if self.attempt else None
        return max(self.expected or 0, self.expected_at_start or 0, gate.numbers.get("of", 0) if gate else 0)

    @property
    def hollow(self) -> bool:
        """Closed with nothing done, though there was work: nobody published it, nothing came back, or nobody waited for it."""
        if not self.closed or self.empty_by_design or not self.wanted or not self._none_done:
            return False
        gated_rightly = self.attempt is not None and self.attempt.empty is not None and 2 * self.unlisted <= self.wanted
        return not (gated_rightly and self.unlisted)

    @property
    def _none_done(self) -> bool:
        """Whether it was seen that nothing is done; what no line and no state tells may have been."""
        ended = self.attempt and (self.attempt.forced or self.attempt.closed)
        if self.done or not self.counts:
            return False
        seen = any(self.counts[s].most == 0 for s in (Stage.PUBLISHED, Stage.RETURNED, Stage.RECORDED))
        return seen or bool(ended and ended.numbers.get("count") == 0)

    @property
    def short(self) -> int:
        """Items that a closed batch still expected when it was closed, as far as what is done was seen."""
        most = self.counts[Stage.RECORDED].most if self.counts else None
        if not self.closed or self.expected is None or most is None:
            return 0
        return max(self.expected - self.given_up - max(most, self.done), 0)

    @property
    def closed_with(self) -> int | None:
        """Items that were done when it was closed by hand or by age, as the line tells that did it; None: none counts them."""
        forced = self.attempt.forced if self.attempt else None
        count = forced.numbers.get("count") if forced else None
        return None if count is None else min(count, self.done)

    @property
    def fruitless(self) -> int:
        """Items that count as finished and brought nothing, as far as lines name them."""
        return sum(1 for x in self.lives if x.fruitless)

    @property
    def done(self) -> int:
        """Items that are done, at least: what is recorded, or where neither batch state nor lines count that, what came back and was
        neither refused since nor dead-lettered; where nothing comes back, what the worker has done."""
        if not self.counts:
            return 0
        if self.one_way:
            return self.counts[Stage.PROCESSED].least
        recorded = self.counts[Stage.RECORDED]
        if recorded.source == "batch state" or recorded.exact is not None:
            return recorded.least
        refused = sum(1 for x in self.lives if x.refused and x.stage is Stage.RETURNED)
        back = self.counts[Stage.RETURNED].least - refused
        return max(recorded.least, back if recorded.most is None else min(back, recorded.most))

    @property
    def done_most(self) -> int | None:
        """Items that can be done, at most; None: nothing bounds them."""
        passed = (Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED)
        bounds = [most for s in passed if s in self.counts and (most := self.counts[s].most) is not None]
        return max(min(bounds), self.done) if bounds else None

    @property
    def last_progress(self) -> datetime | None:
        """The newest moment at which an item of this batch was finished or got further on its way back, or the publishing ended. Where
        the worker does not ack what it cannot report, that is done again, and is no progress."""
        times = [at for x in self.lives if not self.comes_again(x) and (at := x.moved)]
        if self.attempt:  # it is made once, however often that is told
            made = self.attempt.created
            times += [m.at for m in self.attempt.marks if moves(m) and (m.means is not Means.CREATED or m is made)]
        return max(times, default=None)

    @cached_property
    def _nacks(self) -> bool:
        return any(x.nacked_completion for x in self.lives)

    def comes_again(self, life: Life) -> bool:
        """Whether it is done and will be pushed again, for its completion could not be published: a worker that does not ack one such
        item acks none of them."""
        return life.unreported and self._nacks

    def dead(self, leg: Leg) -> DeadLetters:
        return self.dead_letters.get(leg, DeadLetters())

    def dead_at(self, stage: Stage) -> int:
        """Items that passed the stage before this one and are dead-lettered before they passed this one."""
        leg = Leg.REQUEST if stage in (Stage.DELIVERED, Stage.PROCESSED) else Leg.COMPLETION
        first, later = (Stage.DELIVERED, Stage.PROCESSED) if leg is Leg.REQUEST else (Stage.RETURNED, Stage.RECORDED)
        at = Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED
        named = sum(1 for x in self.lives if x.dead_lettered and x.stage is at)
        ours = self.dead(leg).ours - sum(1 for x in self.lives if x.dead_lettered and x.nacked_completion)
        in_code = min(named, self.gap(later)[0], max(ours, 0))
        before = min(max(ours - in_code, 0), self.gap(first)[0])
        if stage is first:
            return before
        return min(max(ours - before, 0), self.gap(later)[0])

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


_NO_STEP = (Means.FORCED, Means.REFUSED, Means.PUBLISH_ERROR, Means.EXPECTED)


def moves(mark: Mark) -> bool:
    """Whether a line about a whole batch tells that it got further."""
    return mark.means not in _NO_STEP
