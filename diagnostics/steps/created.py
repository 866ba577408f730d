"""Does batch state exist, and is an older batch in its way?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import BatchMarks, BatchStatus, ItemMarks, Leg, Means, ServiceConfig, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.ledger.ledger import moves
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling
from diagnostics.steps.published import start_limit_s
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, count, span


class InTheWay(Tells, frozen=True, kw_only=True):
    """The batch for whose sake a start was refused, and how it is getting on."""

    blocker: str | None = None
    """Its id."""
    idle: str | None = None
    """For how long it has done nothing, in words."""
    idle_s: float | None = None
    age_s: float | None = None


class Loading(Tells, frozen=True, kw_only=True):
    due: float
    """When the start call is ended at the latest, in seconds since 1970."""


CREATED = Code("created.exists", Stage.CREATED, "batch state exists")
MISSING = Code("created.missing", Stage.CREATED, "the start attempt left no batch state", Kind.CONSEQUENCE)
STALE_OPEN = Telling(
    "created.stale_open",
    Stage.CREATED,
    "an older batch is open, makes no progress and blocks new starts",
    Kind.MECHANISM,
    tells=InTheWay,
)
ACTIVE_OTHER = Telling("created.other_running", Stage.CREATED, "another batch is open and progressing", tells=InTheWay)
LOADING = Telling(
    "created.loading", Stage.CREATED, "the start call is still at work and has made no batch yet", tells=Loading
)
NONE = Code("created.none", Stage.CREATED, "the start attempt was to make no batch", Kind.MECHANISM)
UNSEEN = Code("created.unseen", Stage.CREATED, "batch state could not be seen")


def created(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    marks: BatchMarks | Unseen,
    status: BatchStatus | Unseen,
    items: ItemMarks | Unseen,
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
) -> Iterator[Finding | Row]:
    """Reads the coordinator's log and its batch state; for a refused start, the batch that is in the way."""
    attempt = ledger.attempt
    row = Row(stage=Stage.CREATED, expected=ledger.expected)
    if attempt is None:
        yield Row(stage=Stage.CREATED, not_reached=True, status=Status.UNKNOWN)
        return
    exists = attempt.created is not None or (not isinstance(status, Unseen) and status.exists and bool(attempt.batch))
    if exists:
        source = f"batch state {clock(attempt.created.at, now)}" if attempt.created else "batch state"
        many = f"{ledger.expected} {profile.item}s" if ledger.expected is not None else "an unknown number of items"
        yield CREATED.says(
            Status.OK,
            f"batch {attempt.batch} expects {many}",
            subject=subjects.batch(attempt.batch),
            rests_on=("BatchMarks", "BatchStatus"),
        )
        yield Row(
            stage=Stage.CREATED,
            expected=ledger.expected,
            seen_min=ledger.expected,
            seen_max=ledger.expected,
            status=Status.OK,
            source=source,
        )
        return
    if attempt.refused or (attempt.call and attempt.call.status == 409):
        yield from _in_the_way(ledger, attempt, now, items)
        yield Row(stage=Stage.CREATED, expected=None, seen_min=0, seen_max=0, status=Status.FAULT, source="refused")
        return
    if ledger.made_none:
        right = ledger.empty_by_design
        yield NONE.says(
            Status.UNKNOWN if right and ledger.untold else Status.OK if right else Status.FAULT,
            "the coordinator made no batch, for there was nothing to do",
            bears=Bears.APART if right else Bears.HOLDS,
            rests_on=("BatchMarks",),
        )
        yield Row(
            stage=Stage.CREATED, not_reached=right, seen_min=0, seen_max=0, status=Status.OK if right else Status.FAULT
        )
        return
    if attempt.batch and ledger.done:
        yield CREATED.says(
            Status.OK, f"batch {attempt.batch} exists: items of it came back", subject=subjects.batch(attempt.batch)
        )
        yield Row(stage=Stage.CREATED, expected=ledger.expected, status=Status.OK, source="completions")
        return
    if ledger.untold or ledger.as_asked or isinstance(marks, Unseen) or not ledger.proven(Means.CREATED):
        why = ledger.untold or (
            marks.says
            if isinstance(marks, Unseen)
            else "no line that tells of a created batch matched in the look-back"
        )
        yield UNSEEN.says(Status.UNKNOWN, f"whether a batch was created could not be seen: {why}")
        yield row
        return
    due = attempt.started + timedelta(seconds=start_limit_s(coordinator))
    if attempt.call is None and now < due:
        yield LOADING.says(
            Status.OK,
            f"the start call has been at work for {span((now - attempt.started).total_seconds())} and has made no batch yet; "
            f"Cloud Run ends it at {clock(due, now)}",
            bears=Bears.SLOWS,
            rests_on=("BatchMarks", "ServiceConfig"),
            tells=Loading(due=due.timestamp()),
        )
        yield row
        return
    yield MISSING.says(
        Status.FAULT,
        "the start attempt left no batch state" + _how_it_ended(ledger, attempt, now),
        bears=Bears.HOLDS,
        since=attempt.started,
        rests_on=("BatchMarks", "StartCalls"),
    )
    yield Row(stage=Stage.CREATED, seen_min=0, seen_max=0, status=Status.FAULT, source="coordinator log")


def _how_it_ended(ledger: Ledger, attempt: Attempt, now: datetime) -> str:
    """How the start call ended, how far it got, and which calls before it ended the same way and left no batch either."""
    if attempt.call is None:
        return "; its end is in no log"
    status = attempt.call.status
    phase = attempt.last(Means.PHASE)
    same = [
        a
        for a in ledger.attempts
        if a.call and a.call.status == status and not a.batch and not a.refused and a.started < attempt.started
    ]
    earlier = (
        f"; so did {count(len(same), 'call')} before it, the first at {clock(same[0].started, now)}" if same else ""
    )
    told = f", the last that it told: {phase.words['phase']}" if phase and phase.words.get("phase") else ""
    return f": the call ended in {status} after {span(attempt.call.latency_s)}{told}{earlier if status >= 400 else ''}"


def _in_the_way(ledger: Ledger, attempt: Attempt, now: datetime, items: ItemMarks | Unseen) -> Iterator[Finding]:
    named = attempt.refused.words.get("blocker", "") if attempt.refused else ""
    blocker = _blocker(ledger, attempt, named)
    if blocker is None:
        yield STALE_OPEN.says(
            Status.UNKNOWN,
            "which batch is in the way, and whether it progresses, could not be seen",
            bears=Bears.HOLDS,
            subject=subjects.batch(named),
            tells=InTheWay(blocker=named or None),
        )
        return
    ended = blocker.forced or blocker.closed
    steps = [m.at for m in blocker.marks if moves(m)]
    newest = max([blocker.started, *steps, *filter(None, (ledger.activity.get(blocker.batch),))])
    idle = (now - newest).total_seconds()
    since = clock(blocker.started, now)
    about = subjects.batch(blocker.batch)
    age = (now - blocker.started).total_seconds()
    if ended and ended.at >= attempt.started:
        yield ACTIVE_OTHER.says(
            Status.OK,
            f"batch {blocker.batch} was open then and was closed at {clock(ended.at, now)}: nothing is in the way any more",
            until=ended.at,
            subject=about,
            tells=InTheWay(blocker=blocker.batch, idle_s=idle, age_s=age),
        )
    elif ended:
        yield STALE_OPEN.says(
            Status.FAULT,
            f"batch {blocker.batch}, started {since}, blocks every new start; it was closed at {clock(ended.at, now)}, "
            "and the coordinator still holds it for active",
            bears=Bears.HOLDS,
            since=ended.at,
            rests_on=("BatchMarks",),
            subject=about,
            tells=InTheWay(blocker=blocker.batch, idle=span((now - ended.at).total_seconds()), idle_s=idle, age_s=age),
        )
    elif isinstance(items, Unseen) or (idle > _IDLE_S and not _shows_progress(ledger)):
        yield STALE_OPEN.says(
            Status.UNKNOWN,
            f"batch {blocker.batch}, open since {since}, is in the way; its progress could not be seen",
            bears=Bears.HOLDS,
            subject=about,
            tells=InTheWay(blocker=blocker.batch, idle_s=idle, age_s=age),
        )
    elif idle > _IDLE_S:
        yield STALE_OPEN.says(
            Status.FAULT,
            f"batch {blocker.batch}, open {since}, has got no further for {span(idle)} and blocks every new start",
            bears=Bears.HOLDS,
            since=newest,
            rests_on=("BatchMarks", "ItemMarks"),
            subject=about,
            tells=InTheWay(blocker=blocker.batch, idle=span(idle), idle_s=idle, age_s=age),
        )
    else:
        yield ACTIVE_OTHER.says(
            Status.OK,
            f"batch {blocker.batch} is open and got further {span(idle)} ago: the refusal is right",
            subject=about,
            tells=InTheWay(blocker=blocker.batch, idle_s=idle, age_s=age),
        )


def _shows_progress(ledger: Ledger) -> bool:
    """Whether lines that tell of progress name their batch at all: only then does their silence say that there was none."""
    steps = (Means.DONE_ITEM, Means.SKIPPED_ITEM, Means.RETURNED_ITEM, Means.RECORDED_ITEM)
    return any(means in steps and named for means, named in ledger.matched)


_IDLE_S = 600.0
"""The longest ack deadline Pub/Sub allows: work of a batch that is alive shows within it."""


def _blocker(ledger: Ledger, attempt: Attempt, named: str) -> Attempt | None:
    if named:
        return next((a for a in ledger.attempts if a.batch == named), None)
    open_ones = [
        a
        for a in ledger.attempts
        if a.created and not a.closed and not a.forced and not a.empty and a.started < attempt.started
    ]
    same_date = [a for a in open_ones if a.date and a.date == attempt.date]
    candidates = same_date or open_ones
    return candidates[-1] if len(candidates) == 1 else None
