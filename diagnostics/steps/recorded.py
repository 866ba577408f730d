"""Does the batch state count what came back?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BatchStatus,
    ItemMarks,
    Leg,
    Mark,
    Means,
    PublishCounts,
    PushCounts,
    Stage,
    Unseen,
    items_of,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.balance import residue
from diagnostics.readings.ledger import Count, Ledger
from diagnostics.readings.owed import nowhere
from diagnostics.readings.reasons import absent, contended, denied
from diagnostics.readings.unrecorded import Again, again
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
    early: int = 0
    """1: those that wait are at their first tries."""


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
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    status: BatchStatus | Unseen,
    marks: ItemMarks | Unseen,
    published: Annotated[PublishCounts | Unseen, Leg.COMPLETION],
    pushes: Annotated[PushCounts | Unseen, Leg.COMPLETION],
    acks: Annotated[AckCounts | Unseen, Leg.COMPLETION],
    backlog: Annotated[Backlog | Unseen, Leg.COMPLETION],
) -> Iterator[Finding | Row]:
    """Compares completions that came back with what the batch state counts. What was refused and then taken out of the subscription does
    not come again: that is said of the route."""
    if ledger.one_way:
        return  # nobody keeps count
    here = ledger.counts.get(Stage.RECORDED)
    before = ledger.before(Stage.RECORDED) if ledger.counts else None
    if here is None or before is None or ledger.attempt is None or not is_one(ledger):
        yield Row(stage=Stage.RECORDED, not_reached=True)
        return
    least, _ = ledger.gap(Stage.RECORDED)
    left = residue(ledger, Leg.COMPLETION, now, published, pushes, acks, backlog)
    gone = min(max(left - nowhere(ledger, Leg.COMPLETION), 0), least)
    errors = [] if isinstance(marks, Unseen) else list(_errors(ledger, profile, marks, now, least, gone))
    yield from errors
    put_aside = ledger.dead_at(Stage.RECORDED) + gone
    refused = sum(f.held for f in errors) or (_refused(ledger) if any(f.abnormal for f in errors) else 0)
    silent = least - max(refused, put_aside) - _just_came(ledger, now)
    told = not isinstance(status, Unseen) or here.exact is not None
    lost = max(silent, 0) if told else 0
    if lost:
        yield from _behind(ledger, lost, marks, status)
    elif here.known:
        yield RECORDED.says(
            Status.OK, f"{here.least} recorded", subject=subjects.batch(ledger.batch), rests_on=("BatchStatus",)
        )
    yield Row(
        stage=Stage.RECORDED,
        expected=None if before.most is None else max(before.most - ledger.given_up, here.least),
        seen_min=here.least,
        seen_max=here.most,
        where=_where(ledger, least, lost + gone, now) | _under_way(profile, here, before, least, ledger.given_up),
        basis=here.basis,
        status=Status.WARNING if least else Status.OK if here.known else Status.UNKNOWN,
        source=here.source,
        not_reached=before.most == 0,
    )


def _behind(ledger: Ledger, lost: int, marks: ItemMarks | Unseen, status: BatchStatus | Unseen) -> Iterator[Finding]:
    """What came and is not counted: at another container than the one that made the batch, and at that one itself."""
    away, at_home = _elsewhere(ledger, marks)
    rest = min(lost - min(away, lost), at_home) if away else lost
    by = (
        "no line tells that they were recorded" if isinstance(status, Unseen) else "the batch state does not count them"
    )
    build = _of_one_build(ledger, marks, lost)
    for number, elsewhere in ((lost - rest, away), (rest, 0)):
        if number:
            yield BEHIND.says(
                Status.FAULT,
                f"{count(number, 'completion')} reached the coordinator and {by}" + (build if number == lost else ""),
                bears=Bears.HOLDS,
                held=number,
                subject=subjects.batch(ledger.batch),
                rests_on=("ItemMarks",) if isinstance(status, Unseen) else ("ItemMarks", "BatchStatus"),
                tells=Uncounted(uncounted=number, elsewhere=elsewhere),
            )


_READ_APART = timedelta(minutes=1)
"""Completions and batch state are read at slightly different moments; so long settles the difference."""
_AT_WORK = timedelta(minutes=5)
"""While the batch moves, what came so lately may still be at work."""


def _refused(ledger: Ledger) -> int:
    """Completions that failed to be recorded and, as far as lines tell, have not been since; one may be at its next try."""
    return sum(1 for x in ledger.lives if x.stage is Stage.RETURNED and x.unrecorded and not x.dead_lettered)


def _just_came(ledger: Ledger, now: datetime) -> int:
    """Completions that came too lately to be missed."""
    since = now - (_READ_APART if settled(ledger, now) else _AT_WORK)
    return sum(1 for x in ledger.lives if x.stage is Stage.RETURNED and x.got_further and x.got_further > since)


def _errors(
    ledger: Ledger, profile: PipelineProfile, marks: ItemMarks, now: datetime, least: int, gone: int
) -> Iterator[Finding]:
    """The word of the coordinator, or of a worker that keeps count itself, on why completions could not be recorded: current while items
    of this batch wait for it. What used up its attempts waits for that no more: it lies in the dead-letter topic, and is not pushed
    again. Nor is what is `gone` from the subscription."""
    ours = {x.name for x in ledger.lives}
    errors = [m for m in marks.marks if m.means is Means.RECORD_ERROR and _of_this(m, ledger, ours)]
    if not errors:
        return
    named = {m.item for m in errors if m.item}
    many = len(named) or len(errors)
    reasons = Counter(m.words["reason"] for m in errors if m.words.get("reason"))
    told = f": {', '.join(clip(reason) for reason, _ in reasons.most_common(2))}" if reasons else ""
    noun = "completion" if profile.comes_back else profile.item
    first, last = errors[0].at, errors[-1].at
    dead = ledger.dead(Leg.COMPLETION)
    put_aside = 0 < least <= ledger.dead_at(Stage.RECORDED) + gone and now - last > dead.pause
    owed = 0 if least else _meets_it(ledger, marks, first, last, now)
    over = put_aside or not (least or owed)
    ended = _ended(ledger, put_aside, gone)
    comes = again(ledger, now) if least and not over and not _for_good(reasons) else Again()
    passing = comes.early or comes.share is not None
    yield RECORD_ERRORS.says(
        Status.OK if over else Status.WARNING if passing else Status.FAULT,
        f"{at_least(marks.source.complete, count(many, noun))} could not be recorded {between(first, last, now)}{told}"
        + (f"; {ended}" if over else _come_again(comes)),
        bears=Bears.SLOWS if over or passing else Bears.HOLDS,
        held=0 if over or passing else owed or min(least, many),
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
            early=int(comes.early),
        ),
    )


def _for_good(reasons: Counter[str]) -> bool:
    """Whether most are told to fail of what no later try changes: the record is not there, or a right is lacking."""
    return 2 * sum(n for reason, n in reasons.items() if absent(reason) or denied(reason)) > reasons.total()


def _come_again(comes: Again) -> str:
    if comes.share is not None:
        return f"; of the tries of those that were recorded {comes.share:.0%} failed as well"
    return "; these are their first tries" if comes.early else ""


def _meets_it(ledger: Ledger, marks: ItemMarks, first: datetime, last: datetime, now: datetime) -> int:
    """Items that are still to come back, where completions of the batch fail to be recorded until now and none was recorded since the first
    that failed: that those were recorded once before tells nothing of the others."""
    kept = any(m.means is Means.RECORDED_ITEM and m.at > first for m in marks.marks)
    fails = now - last <= ledger.dead(Leg.COMPLETION).pause
    return ledger.gap(Stage.RETURNED)[0] if fails and not kept and marks.source.complete else 0


def _ended(ledger: Ledger, put_aside: bool, gone: int) -> str:
    if put_aside:
        here = {"dead-lettered": ledger.dead_at(Stage.RECORDED), "gone from its subscription": gone}
        where = " or ".join(place for place, many in here.items() if many)
        return f"none since, and what was not recorded is {where}"
    return "all that came back is recorded by now" if ledger.gap(Stage.RECORDED)[1] == 0 else "none since"


def mostly_contended(told: Unrecorded) -> float:
    """Above 0 where most lines tell of too many writes at once."""
    return 2 * told.contended - told.errors


def mostly_absent(told: Unrecorded) -> float:
    """Above 0 where most lines tell of a batch whose record is not there."""
    return 2 * told.absent - told.errors


_CHANCE = 0.01
"""Less than one batch in a hundred: that is not put down to chance."""


def _elsewhere(ledger: Ledger, marks: ItemMarks | Unseen) -> tuple[int, int]:
    """Completions that are not counted by where they came to at last: other containers than the one that made the batch, and that one. None
    elsewhere unless whether they are counted hangs on the container: each ran the same revision, no other one counts any, and so many of
    those that came to the first are counted that chance would not leave out all that came elsewhere."""
    made = ledger.attempt.created if ledger.attempt else None
    if made is None or not made.instance or isinstance(marks, Unseen):
        return 0, 0
    lost = {x.name for x in ledger.lives if x.stage is Stage.RETURNED and not x.unrecorded and not x.dead_lettered}
    mine = [m for m in marks.marks if m.batch == ledger.batch]
    took = {m.item: m for m in mine if m.means is Means.RETURNED_ITEM and m.item in lost}
    kept = {m.item: m for m in mine if m.means is Means.RECORDED_ITEM}
    home = sum(m.many for m in took.values() if m.instance == made.instance)
    away = sum(m.many for m in took.values()) - home
    others_count = any(m.instance != made.instance for m in kept.values())
    if others_count or any(m.revision != made.revision or not m.instance for m in took.values()):
        return 0, home
    by_chance = (home / (home + sum(m.many for m in kept.values()))) ** away if home else 0
    return (away if by_chance < _CHANCE else 0), home


def _of_one_build(ledger: Ledger, marks: ItemMarks | Unseen, lost: int) -> str:
    """That one revision took all that are not counted and counted none, where what others took is counted. Empty: it was not so."""
    if isinstance(marks, Unseen) or not marks.source.complete:
        return ""
    mine = [m for m in marks.marks if m.batch == ledger.batch and m.revision]
    kept = {m.item: m.revision for m in mine if m.means is Means.RECORDED_ITEM}
    came = {m.item: m for m in mine if m.means is Means.RETURNED_ITEM}
    gone = [m for item, m in came.items() if item not in kept]
    builds = {m.revision for m in gone}
    if len(builds) != 1 or not kept or builds & set(kept.values()) or items_of(gone) != lost:
        return ""
    return f"; revision {builds.pop()} took all of them and counted none, and what others took is counted"


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


def _under_way(profile: PipelineProfile, here: Count, before: Count, lacks: int, given_up: int) -> dict[str, int]:
    """Where nothing comes back and the worker itself records: what it has done, as lines tell, and may be recording."""
    if profile.completion is not None or profile.has(Means.RETURNED_ITEM) or here.most is None or before.most is None:
        return {}
    rest = before.most - here.most - lacks - given_up
    return {Where.IN_FLIGHT: rest} if rest > 0 else {}


def is_one(ledger: Ledger) -> bool:
    """Whether there is a batch: named, or the caller's word for it."""
    return (bool(ledger.batch) or ledger.as_asked) and not ledger.made_none


def settled(ledger: Ledger, now: datetime) -> bool:
    """Completions and batch state are read at slightly different moments; a minute without news settles the difference."""
    newest = ledger.last_progress
    return newest is None or now - newest > _READ_APART
