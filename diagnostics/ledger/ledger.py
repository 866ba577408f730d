"""The ledger: one batch, its items, and a count for each stage with its bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    AckCounts,
    BatchMarks,
    BatchStatus,
    EvidenceSet,
    ItemMarks,
    Leg,
    Mark,
    Means,
    PublishCounts,
    PushCounts,
    RequestLog,
    Stage,
    StartCalls,
    seen,
    total,
)
from diagnostics.ledger.attempts import Attempt, attempts
from diagnostics.pipeline.profile import PipelineProfile

_GOT_TO: dict[Means, Stage] = {
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

_ORDER = {stage: number for number, stage in enumerate(Stage)}

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


def build(evidence: EvidenceSet, profile: PipelineProfile, batch: str = "", expect: int | None = None) -> Ledger:
    """The ledger of a batch; of the latest start attempt when none is named."""
    batch_marks = seen(evidence.get(BatchMarks))
    item_marks = seen(evidence.get(ItemMarks))
    calls = seen(evidence.get(StartCalls))
    status = seen(evidence.get(BatchStatus))
    all_attempts = attempts(batch_marks.marks if batch_marks else (), calls.calls if calls else ())
    attempt = _select(all_attempts, batch)
    if status and not batch and attempt and status.batch != attempt.batch:
        status = None  # the latest start attempt made no batch: what an older one counts is not about it
    known = None
    if batch:
        known = bool(attempt and attempt.marks) or (status.exists if status else None)
        if attempt is None and (known is not False):
            attempt = Attempt(batch=batch)
    mine, others = _attribute(item_marks.marks if item_marks else (), attempt)
    lives = _lives(mine, status)
    expected, at_start, expected_from = _expected(attempt, status, expect)
    if attempt and attempt.failed_to_publish and not expected:
        expected = at_start  # the coordinator lowered its count by what it failed to publish
    ledger = Ledger(
        attempt=attempt,
        attempts=tuple(all_attempts),
        last_good=_last_good(all_attempts, attempt),
        expected=expected,
        expected_at_start=at_start,
        expected_from=expected_from,
        lives=tuple(lives.values()),
        repeats=tuple(_repeats(mine, True)) + tuple(_repeats(others, False)),
        bad_messages=sum(1 for m in others if m.means is Means.BAD_MESSAGE),
        asked=batch,
        known_batch=known,
        matched=frozenset(
            (m.means, m.batch)
            for m in (*(batch_marks.marks if batch_marks else ()), *(item_marks.marks if item_marks else ()))
        ),
        activity={m.batch: m.at for m in (item_marks.marks if item_marks else ()) if m.batch},
        closed=_closed(attempt, status),
        closed_from="batch state" if status and status.closed is not None else "coordinator log",
    )
    counts = _counts(ledger, evidence, profile, item_marks, status)
    return Ledger(**{**ledger.__dict__, "counts": counts})


def _select(all_attempts: Sequence[Attempt], batch: str) -> Attempt | None:
    if batch:
        return next((a for a in reversed(all_attempts) if a.batch == batch), None)
    return all_attempts[-1] if all_attempts else None


def _last_good(all_attempts: Sequence[Attempt], attempt: Attempt | None) -> Attempt | None:
    """The newest attempt that had finished before this one began."""
    before = [a for a in all_attempts if a is not attempt and a.finished and a.batch]
    if attempt and attempt.seen:
        before = [a for a in before if a.started < attempt.started]
    return before[-1] if before else None


def _expected(
    attempt: Attempt | None, status: BatchStatus | None, expect: int | None
) -> tuple[int | None, int | None, str]:
    """(items expected now, items expected when the batch was created, who says so)."""
    created = attempt.created if attempt else None
    at_start = created.numbers.get("expected") if created else None
    if status and status.exists and status.expected is not None:
        return status.expected, at_start, "batch state"
    if at_start is not None:
        return at_start, at_start, "coordinator log"
    published = attempt.published if attempt else None
    if published and "of" in published.numbers:
        return published.numbers["of"], None, "coordinator log"
    return expect, None, "as asked" if expect is not None else ""


def _closed(attempt: Attempt | None, status: BatchStatus | None) -> bool | None:
    if status and status.exists and status.closed is not None:
        return status.closed
    if attempt and (attempt.closed or attempt.forced):
        return True
    return None


def _attribute(marks: Iterable[Mark], attempt: Attempt | None) -> tuple[list[Mark], list[Mark]]:
    """Item lines of this batch, and all others.

    A line names its batch, or is joined by correlation id or trace. One that names only its item belongs where the last line of
    that item from the same instance belongs: what an instance says of an item is about the push that it took last.
    """
    mine: list[Mark] = []
    others: list[Mark] = []
    if attempt is None:
        return mine, list(marks)
    begin = attempt.started - timedelta(seconds=5) if attempt.seen else None
    taken: dict[tuple[str, str], bool] = {}
    for mark in marks:
        ours = _belongs(mark, attempt, begin)
        if mark.item and mark.instance:
            said_last = taken.get((mark.item, mark.instance), False)
            ours = ours or (said_last and not mark.batch and not mark.correlation)
            taken[mark.item, mark.instance] = ours
        (mine if ours else others).append(mark)
    return mine, others


def _belongs(mark: Mark, attempt: Attempt, begin: datetime | None) -> bool:
    if mark.batch:
        return mark.batch == attempt.batch
    if begin and mark.at < begin:
        return False
    if mark.correlation and attempt.correlation:
        return mark.correlation == attempt.correlation
    return bool(mark.trace) and mark.trace == attempt.trace


def _lives(mine: Iterable[Mark], status: BatchStatus | None) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    for mark in mine:
        if not mark.item or mark.means not in _GOT_TO:
            continue
        life = lives.setdefault(mark.item, Life(mark.item, first=mark.at))
        stage = _GOT_TO[mark.means]
        if _ORDER[stage] > _ORDER[life.stage]:
            life.stage = stage
            life.last = mark.at
        life.starts += mark.means is Means.STARTED_ITEM
        life.done = life.done or mark.means is Means.DONE_ITEM
        life.skipped = life.skipped or mark.means is Means.SKIPPED_ITEM
        life.completion_failed = life.completion_failed or mark.means is Means.COMPLETION_ERROR
        if mark.means is Means.FAILED_ITEM:
            life.failures += 1
            life.last = mark.at
        life.reason = mark.words.get("reason", life.reason)
    for name in status.items or () if status else ():
        life = lives.setdefault(name, Life(name))
        life.stage = Stage.RECORDED
    return lives


def _repeats(marks: Iterable[Mark], ours: bool) -> list[Repeat]:
    """Items with two failures or more and no success after the last one."""
    failed: dict[str, list[Mark]] = {}
    for mark in marks:
        if not mark.item:
            continue
        if mark.means is Means.FAILED_ITEM:
            failed.setdefault(mark.item, []).append(mark)
        elif mark.means in (Means.DONE_ITEM, Means.SKIPPED_ITEM):
            failed.pop(mark.item, None)
    return [
        Repeat(name, ours, len(all_), all_[0].at, all_[-1].at, all_[-1].words.get("reason", ""))
        for name, all_ in failed.items()
        if len(all_) > 1
    ]


def _counts(
    ledger: Ledger,
    evidence: EvidenceSet,
    profile: PipelineProfile,
    item_marks: ItemMarks | None,
    status: BatchStatus | None,
) -> dict[Stage, Count]:
    """Bounds for each stage: what logs and state name, no more than the stage before, no less than the stage after."""
    counts = {stage: Count() for stage in COUNTED}
    counts[Stage.PUBLISHED] = _published(ledger, evidence)
    for stage in (Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED):
        named = sum(1 for life in ledger.lives if _ORDER[life.stage] >= _ORDER[stage])
        markers = [means for means, got in _GOT_TO.items() if got is stage and means is not Means.COMPLETION_ERROR]
        looked = item_marks is not None and item_marks.source.complete and profile.has(*markers[:1])
        proven = any(ledger.proven(m) or any(m is x for x, _ in ledger.matched) for m in markers)
        counts[stage] = Count(named, named if looked and proven else None, "application log" if named or proven else "")
    if status and status.exists and status.completed is not None:
        counts[Stage.RECORDED] = Count(status.completed, status.completed, "batch state")
    _bound_by_counters(counts, ledger, evidence)
    for later, earlier in zip(reversed(COUNTED), list(reversed(COUNTED))[1:], strict=False):
        if counts[earlier].least < counts[later].least:
            here = counts[earlier]
            most = None if here.most is None else max(here.most, counts[later].least)
            counts[earlier] = Count(counts[later].least, most, here.source or counts[later].source, here.basis)
    ceiling = ledger.expected
    for stage in COUNTED:
        here = counts[stage]
        if ceiling is not None and (here.most is None or here.most > ceiling) and here.least <= ceiling:
            here = Count(here.least, ceiling, here.source, here.basis)
        counts[stage] = here
        ceiling = here.most
    return counts


def _published(ledger: Ledger, evidence: EvidenceSet) -> Count:
    attempt = ledger.attempt
    published = attempt.published if attempt else None
    if published and "count" in published.numbers:
        return Count(published.numbers["count"], published.numbers["count"], f"{_log(published)}")
    if attempt and attempt.empty:
        return Count(0, 0, f"{_log(attempt.empty)}")
    if attempt and attempt.turned_away:
        return Count(0, 0, "start call")
    named = sum(1 for life in ledger.lives if _ORDER[life.stage] >= _ORDER[Stage.PUBLISHED])
    topic = seen(evidence.get(PublishCounts, Leg.REQUEST))
    if attempt and topic and ledger.started and attempt.call:
        ended = attempt.call.at + timedelta(seconds=attempt.call.latency_s)
        if topic.source.as_of >= ended:
            sent = int(total(topic.messages, ledger.started - timedelta(minutes=1)))
            return Count(named, max(sent, named), "topic counter", "topic")
    return Count(named, None, "application log" if named else "")


def _bound_by_counters(counts: dict[Stage, Count], ledger: Ledger, evidence: EvidenceSet) -> None:
    """Where no line tells, the subscription's own counters bound how many of our items can have passed."""
    if ledger.started is None:
        return
    since = ledger.started - timedelta(minutes=1)
    for leg, delivered, acked in (
        (Leg.REQUEST, Stage.DELIVERED, Stage.PROCESSED),
        (Leg.COMPLETION, Stage.RETURNED, Stage.RETURNED),
    ):
        if counts[delivered].most is None and (reached := _reached(evidence, leg, since)) is not None:
            least = counts[delivered].least
            passed = reached if leg is Leg.REQUEST else 0  # a completion is back only once it is acked, and none was
            counts[delivered] = Count(least, max(passed, least), "request log", "subscription")
        pushes = seen(evidence.get(PushCounts, leg))
        if pushes is None:
            continue
        acks = int(total(pushes.series, since, response_class="ack"))
        if counts[acked].most is None:
            counts[acked] = Count(min(counts[acked].least, acks), acks, "push counter", "subscription")
        if counts[delivered].most is None:
            all_pushes = int(total(pushes.series, since))
            counts[delivered] = Count(counts[delivered].least, all_pushes, "push counter", "subscription")
    sent = seen(evidence.get(AckCounts, Leg.REQUEST))
    if sent and counts[Stage.PROCESSED].most is None:
        acks = int(total(sent.series, since, delivery_type="push"))
        counts[Stage.PROCESSED] = Count(counts[Stage.PROCESSED].least, acks, "ack counter", "subscription")


def _reached(evidence: EvidenceSet, leg: Leg, since: datetime) -> int | None:
    """Pushes since then that reached a container, by the request log; None where it cannot tell (silent, cut, not seen)."""
    log = seen(evidence.get(RequestLog, leg))
    if log is None or not log.source.complete:
        return None
    rows = [r for r in (*log.refused, *log.fine) if r.path.split("?")[0] == log.push_path and r.at >= since]
    fine = [r for r in rows if r.status < 300]
    return None if not rows or fine else sum(1 for r in rows if r.instance)


def _log(mark: Mark) -> str:
    return f"{mark.service} log {mark.at:%H:%M:%S}Z"
