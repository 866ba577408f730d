"""Build the ledger of a batch from evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    EvidenceSet,
    ItemMarks,
    Leg,
    Means,
    Stage,
    StartCalls,
    Unseen,
    Why,
    seen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.believable import too_many
from diagnostics.readings.ledger.attempts import Attempt, attempts
from diagnostics.readings.ledger.counts import counts_of, without
from diagnostics.readings.ledger.dead_letters import dead_letters_of, lost_on_the_way_back
from diagnostics.readings.ledger.empty import by_design, uncovered
from diagnostics.readings.ledger.ledger import COUNTED, ORDER, Count, DeadLetters, Ledger, Life
from diagnostics.readings.ledger.lives import activity_of, attribute, lives_of, repeats_of, through_of


def build(
    evidence: EvidenceSet,
    profile: PipelineProfile,
    batch: str = "",
    expect: int | None = None,
    since: datetime | None = None,
) -> Ledger:
    """The ledger of a batch; of the latest start attempt when none is named. Where nothing tells of one, the caller's word does:
    so many items (`expect`), begun then (`since`)."""
    batch_marks = seen(evidence.get(BatchMarks))
    item_marks = seen(evidence.get(ItemMarks))
    calls = seen(evidence.get(StartCalls))
    status = seen(evidence.get(BatchStatus))
    all_attempts = attempts(batch_marks.marks if batch_marks else (), calls.calls if calls else ())
    attempt = _select(all_attempts, batch)
    if not batch and expect is not None and since is not None and _over_by(since, attempt, item_marks):
        attempt = None
    about = batch or (attempt.batch if attempt else "")
    if status and (batch or attempt) and status.batch != about:
        status = None  # another batch's: the latest start attempt made none, or another one is asked about
    known = None
    if batch:
        known = bool(attempt and attempt.marks) or (status.exists if status else None)
        if attempt is None and (known is not False):
            attempt = Attempt(batch=batch, begun=status.created if status else None)
    as_asked = not (attempt and attempt.seen) and known is None and expect is not None and since is not None
    if as_asked:
        attempt = Attempt(batch=batch, begun=since)
    mine, others = attribute(item_marks.marks if item_marks else (), attempt)
    by_name = lives_of(mine, status)
    lives = tuple(life for life in by_name.values() for _ in range(life.many))
    matched = frozenset(
        (m.means, m.batch)
        for m in (*(batch_marks.marks if batch_marks else ()), *(item_marks.marks if item_marks else ()))
    )
    told = _told(attempt, matched) or bool(lives) or bool(status and status.exists) or as_asked
    if attempt and not told and not attempt.seen:
        attempt = None  # nothing but its name
    expected, at_start, expected_from = _expected(attempt, status, expect)
    doubted = "" if as_asked else _too_many_back(expected, attempt, lives)
    if doubted:
        expected, expected_from = None, ""
    if attempt and attempt.failed_to_publish and not expected and not doubted:
        expected = at_start  # the coordinator lowered its count by what it failed to publish
    not_told = untold(evidence.get(BatchMarks), attempt, evidence.now)
    by_silence = status is None and not not_told and _left_open(attempt, batch_marks)
    ledger = Ledger(
        attempt=attempt,
        attempts=tuple(all_attempts),
        last_good=_last_good(all_attempts, attempt),
        expected=expected,
        expected_at_start=at_start,
        expected_from=expected_from,
        size_doubted=doubted,
        lives=lives,
        unread_until=item_marks.unread_until if item_marks else None,
        bad_messages=sum(1 for m in others if m.means is Means.BAD_MESSAGE),
        asked=batch,
        known_batch=known,
        told=told,
        as_asked=as_asked,
        one_way=profile.one_way,
        untold=not_told,
        matched=matched,
        others_through=through_of(others, attempt.started if attempt and attempt.seen else None),
        activity=activity_of(item_marks.marks if item_marks else ()),
        empty_by_design=by_design(attempt, bool(_closed(attempt, status, False)), profile),
        unlisted=uncovered(attempt.gate, profile) if attempt and attempt.gate else 0,
        given_up=_given_up(status, expected),
        missing_state=bool(status and not status.exists),
        closed=_closed(attempt, status, by_silence),
        by_silence=by_silence and not _closed(attempt, status, False),
        forced=_forced(attempt, status),
        closed_from=_closed_from(attempt, status),
        closed_at=_closed_at(attempt, status),
    )
    counts = counts_of(ledger, evidence, profile, item_marks, status) if told else dict.fromkeys(COUNTED, Count())
    ledger = replace(ledger, counts=counts)
    dead = {leg: dead_letters_of(ledger, evidence, leg) for leg in Leg}
    ledger = replace(ledger, counts=_less(ledger, dead[Leg.COMPLETION]) if told else counts)
    ledger = _over(ledger)
    repeats = (*repeats_of(mine, True, by_name), *repeats_of(others, False))
    return replace(ledger, dead_letters=dead, repeats=repeats)


def _given_up(status: BatchStatus | None, expected: int | None) -> int:
    """Items that the state counts as failed, where it counts the done ones apart from them."""
    if status is None or not status.failed or status.completed is None or expected is None:
        return 0
    return status.failed if status.completed + status.failed <= expected else 0


def _over(ledger: Ledger) -> Ledger:
    """Where nobody closes a batch, it is over with the last item that its number asks for."""
    if not ledger.one_way or ledger.as_asked or not ledger.expected or ledger.done < ledger.expected:
        return ledger
    ended = max((at for x in ledger.lives if (at := x.ended)), default=None)
    return replace(ledger, closed=True, closed_from="application log", closed_at=ended)


def _less(ledger: Ledger, dead: DeadLetters) -> dict[Stage, Count]:
    """The counts, where completions are known to be dead-lettered that by the log alone might have been recorded."""
    return {**ledger.counts, Stage.RECORDED: without(ledger.counts, lost_on_the_way_back(ledger, dead))}


_FRESH = timedelta(minutes=2)
"""Log entries can be read within seconds; what ends before that was cut short."""


def untold(marks: BatchMarks | Unseen, attempt: Attempt | None, now: datetime) -> str:
    """Why lines about this attempt may not have been seen. What was cut before it began hides none."""
    if isinstance(marks, Unseen):
        return "" if marks.why in (Why.NOT_CONFIGURED, Why.NOT_ASKED) else marks.says
    if marks.source.complete or (_from_its_start(marks, attempt) and marks.source.as_of >= now - _FRESH):
        return ""
    return marks.source.note or "only part of the coordinator's log was read"


def _from_its_start(marks: BatchMarks, attempt: Attempt | None) -> bool:
    """Whether lines were read back to its beginning: the one with which it begins, or one that is older than its start call."""
    if attempt is None or attempt.first(Means.RECEIVED) is not None:
        return attempt is not None
    return attempt.call is not None and any(m.at < attempt.call.at for m in marks.marks)


def _told(attempt: Attempt | None, matched: frozenset[tuple[Means, str]]) -> bool:
    """Whether a line or a failed call tells of it; of a call that left no line, if lines of other batches do match."""
    if attempt is None:
        return False
    return attempt.told or (attempt.call is not None and any(m is Means.CREATED for m, _ in matched))


def _select(all_attempts: Sequence[Attempt], batch: str) -> Attempt | None:
    if batch:
        return next((a for a in reversed(all_attempts) if a.batch == batch), None)
    return all_attempts[-1] if all_attempts else None


def _over_by(since: datetime, attempt: Attempt | None, items: ItemMarks | None) -> bool:
    """Whether no line tells anything of it since then: it is another batch than the one that the caller says began then."""
    if attempt is None or not attempt.seen or attempt.started >= since:
        return False
    newest = max((m.at for m in attempt.marks), default=attempt.started)
    later = (m for m in items.marks if m.at >= since) if items else ()
    return newest < since and not any(m.batch == attempt.batch for m in later)


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
    changed = attempt.last(Means.EXPECTED) if attempt else None
    if changed and "expected" in changed.numbers:
        return changed.numbers["expected"], at_start, "coordinator log"
    if at_start is not None:
        return at_start, at_start, "coordinator log"
    published = attempt.published if attempt else None
    if published and "of" in published.numbers:
        return published.numbers["of"], None, "coordinator log"
    return expect, None, "as asked" if expect is not None else ""


def _too_many_back(expected: int | None, attempt: Attempt | None, lives: Iterable[Life]) -> str:
    """Why the number that is expected cannot be right: more items came back. Empty: it can."""
    if expected is None:
        return ""
    back = sum(1 for life in lives if ORDER[life.stage] >= ORDER[Stage.RETURNED])
    if not too_many(back, expected, attempt.marks if attempt else ()):
        return ""
    return f"{expected} are said to be expected, and {back} came back"


def _closed(attempt: Attempt | None, status: BatchStatus | None, by_silence: bool) -> bool | None:
    if status and status.exists and status.closed is not None:
        return status.closed
    if attempt and (attempt.closed or attempt.forced):
        return True
    return False if by_silence else None


def _closed_from(attempt: Attempt | None, status: BatchStatus | None) -> str:
    if status is None or status.closed is None:
        line = (attempt.closed or attempt.forced) if attempt else None
        return f"{line.service if line else 'coordinator'} log"
    return f"batch state ({status.source.source})" if status.instead else "batch state"


def _closed_at(attempt: Attempt | None, status: BatchStatus | None) -> datetime | None:
    if attempt and (ended := attempt.closed or attempt.forced):
        return ended.at
    return status.closed_at if status and status.exists and status.closed else None


def _left_open(attempt: Attempt | None, log: BatchMarks | None) -> bool:
    """Whether the coordinator made the batch and no line ends it, where lines that end others are seen. One that names no batch may be
    of any."""
    if log is None or attempt is None or attempt.created is None:
        return False
    ends = [m for m in log.marks if m.means in (Means.EMPTY, Means.CLOSED, Means.FORCED)]
    ended = any(m.batch == attempt.batch or (not m.batch and m.at >= attempt.started) for m in ends)
    return not ended and any(m.means is Means.CLOSED and m.batch for m in ends)


def _forced(attempt: Attempt | None, status: BatchStatus | None) -> str:
    if attempt and attempt.forced:
        return attempt.forced.words.get("reason", "") or "closed with work missing"
    return status.forced if status and status.exists else ""
