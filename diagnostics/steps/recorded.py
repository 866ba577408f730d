"""Does the batch state count what came back?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import BatchStatus, ItemMarks, Leg, Mark, Means, Stage, Unseen
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.reasons import absent, contended
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, between, clip, count


class Unrecorded(Tells, frozen=True, kw_only=True):
    """Completions that could not be recorded."""

    items: int
    errors: int
    """Lines that tell of them."""
    reason: str | None = None
    """The most frequent one."""
    contended: int = 0
    """Lines that tell of too many writes at once."""
    absent: int = 0
    """Lines that tell of a batch whose record is not there."""


class Uncounted(Tells, frozen=True, kw_only=True):
    """Completions that the coordinator took and its batch state does not count."""

    uncounted: int
    elsewhere: int
    """Of those the ones that another container took than the one that made the batch, where that one's own are counted; and all of them
    ran the same revision."""


RECORDED = Code("recorded.all", Stage.RECORDED, "the batch state counts what came back")
BEHIND = Telling(
    "recorded.behind",
    Stage.RECORDED,
    "completions came back and the batch state does not count them",
    Kind.EFFECT,
    tells=Uncounted,
)
RECORD_ERRORS = Telling(
    "recorded.errors", Stage.RECORDED, "the coordinator fails to record completions", Kind.EFFECT, tells=Unrecorded
)


def recorded(
    ledger: Ledger, now: datetime, status: BatchStatus | Unseen, marks: ItemMarks | Unseen
) -> Iterator[Finding | Row]:
    """Compares completions that came back with what the batch state counts."""
    here = ledger.counts.get(Stage.RECORDED)
    before = ledger.before(Stage.RECORDED) if ledger.counts else None
    if here is None or before is None or ledger.attempt is None or not is_one(ledger):
        yield Row(stage=Stage.RECORDED, not_reached=True)
        return
    least, _ = ledger.gap(Stage.RECORDED)
    errors = [] if isinstance(marks, Unseen) else list(_errors(ledger, marks, now, least))
    yield from errors
    silent = least - max(sum(f.held for f in errors), ledger.dead_at(Stage.RECORDED))
    lost = max(silent, 0) if not isinstance(status, Unseen) and settled(ledger, now) else 0
    if lost:
        yield BEHIND.says(
            Status.FAULT,
            f"{count(lost, 'completion')} reached the coordinator and the batch state does not count them",
            bears=Bears.HOLDS,
            held=lost,
            subject=subjects.batch(ledger.batch),
            rests_on=("ItemMarks", "BatchStatus"),
            tells=Uncounted(uncounted=lost, elsewhere=_elsewhere(ledger, marks)),
        )
    elif here.known:
        yield RECORDED.says(
            Status.OK, f"{here.least} recorded", subject=subjects.batch(ledger.batch), rests_on=("BatchStatus",)
        )
    yield Row(
        stage=Stage.RECORDED,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=_where(ledger, least, lost, now),
        basis=here.basis,
        status=Status.WARNING if least else Status.OK if here.known else Status.UNKNOWN,
        source=here.source,
        not_reached=before.most == 0,
    )


def _errors(ledger: Ledger, marks: ItemMarks, now: datetime, least: int) -> Iterator[Finding]:
    """The coordinator's own word on why completions could not be recorded: current while items of this batch wait for it. What used up
    its attempts waits for that no more: it lies in the dead-letter topic, and is not pushed again."""
    ours = {x.name for x in ledger.lives}
    errors = [m for m in marks.marks if m.means is Means.RECORD_ERROR and _of_this(m, ledger, ours)]
    if not errors:
        return
    named = {m.item for m in errors if m.item}
    many = len(named) or len(errors)
    reasons = Counter(m.words["reason"] for m in errors if m.words.get("reason"))
    told = f": {', '.join(clip(reason) for reason, _ in reasons.most_common(2))}" if reasons else ""
    first, last = errors[0].at, errors[-1].at
    dead = ledger.dead(Leg.COMPLETION)
    put_aside = 0 < least <= ledger.dead_at(Stage.RECORDED) and now - last > dead.pause
    over = put_aside or not least
    ended = (
        "none since, and what was not recorded is dead-lettered"
        if put_aside
        else "all that came back are recorded by now"
    )
    yield RECORD_ERRORS.says(
        Status.OK if over else Status.FAULT,
        f"{at_least(marks.source.complete, count(many, 'completion'))} could not be recorded {between(first, last, now)}{told}"
        + (f"; {ended}" if over else ""),
        bears=Bears.SLOWS if over else Bears.HOLDS,
        held=0 if over else min(least, many),
        since=first if marks.source.complete else None,
        until=last if over else None,
        rests_on=("ItemMarks",),
        subject=subjects.batch(ledger.batch),
        tells=Unrecorded(
            items=many,
            errors=len(errors),
            reason=clip(reasons.most_common(1)[0][0]) if reasons else None,
            contended=sum(n for reason, n in reasons.items() if contended(reason)),
            absent=sum(n for reason, n in reasons.items() if absent(reason)),
        ),
    )


def mostly_contended(told: Unrecorded) -> float:
    """Above 0 where most lines tell of too many writes at once."""
    return 2 * told.contended - told.errors


def mostly_absent(told: Unrecorded) -> float:
    """Above 0 where most lines tell of a batch whose record is not there."""
    return 2 * told.absent - told.errors


def _elsewhere(ledger: Ledger, marks: ItemMarks | Unseen) -> int:
    """Completions that came to other containers than the one that made the batch, if none that came to it is lost and each ran the same
    revision: whether they are counted then hangs on the container alone."""
    made = ledger.attempt.created if ledger.attempt else None
    if made is None or not made.instance or isinstance(marks, Unseen):
        return 0
    lost = {x.name for x in ledger.lives if x.stage is Stage.RETURNED and not x.unrecorded and not x.dead_lettered}
    took = [m for m in marks.marks if m.means is Means.RETURNED_ITEM and m.item in lost and m.batch == ledger.batch]
    kept = [m for m in marks.marks if m.means is Means.RECORDED_ITEM and m.batch == ledger.batch]
    at_home = any(m.instance == made.instance for m in took) or any(m.instance != made.instance for m in kept)
    if at_home or any(m.revision != made.revision or not m.instance for m in took):
        return 0
    return len({m.item for m in took})


def _of_this(mark: Mark, ledger: Ledger, ours: set[str]) -> bool:
    """A line that names no batch is of this one if it names one of its items, or none at all since it began."""
    if mark.batch:
        return mark.batch == ledger.batch
    begun = ledger.started is None or mark.at >= ledger.started
    return begun and (not mark.item or mark.item in ours)


def _where(ledger: Ledger, lacks: int, lost: int, now: datetime) -> dict[str, int]:
    """Where completions are that came back and are not counted: refused again and again, dead-lettered, or acked and `lost`; else nobody
    can say."""
    dead = ledger.dead_at(Stage.RECORDED)
    pause = ledger.dead(Leg.COMPLETION).pause
    refused = [x for x in ledger.lives if x.stage is Stage.RETURNED and x.unrecorded and not x.dead_lettered]
    retrying = sum(1 for x in refused if x.last is not None and now - x.last <= pause)
    waits = may_wait(ledger, Leg.COMPLETION, now, lacks)
    return places(lacks, {Where.DEAD_LETTERED: dead, Where.RETRYING: min(retrying, waits), Where.DROPPED: lost}, {})


def is_one(ledger: Ledger) -> bool:
    """Whether there is a batch: named, or the caller's word for it."""
    return (bool(ledger.batch) or ledger.as_asked) and not ledger.made_none


def settled(ledger: Ledger, now: datetime) -> bool:
    """Completions and batch state are read at slightly different moments; a minute without news settles the difference."""
    newest = ledger.last_progress
    return newest is None or (now - newest).total_seconds() > 60
