"""Does batch state exist, and is an older batch in its way?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import BatchMarks, BatchStatus, ItemMarks, Leg, Means, ServiceConfig, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status
from diagnostics.steps.published import empty_by_design, start_limit_s
from diagnostics.steps.words import clock, span

CREATED = Code("created.exists", Stage.CREATED, "batch state exists")
MISSING = Code("created.missing", Stage.CREATED, "the start attempt left no batch state", Kind.CONSEQUENCE)
STALE_OPEN = Code(
    "created.stale_open",
    Stage.CREATED,
    "an older batch is open, makes no progress and blocks new starts",
    Kind.MECHANISM,
)
ACTIVE_OTHER = Code("created.other_running", Stage.CREATED, "another batch is open and progressing")
LOADING = Code("created.loading", Stage.CREATED, "the start call is still at work and has made no batch yet")
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
        yield CREATED.says(Status.OK, f"batch {attempt.batch} expects {many}", rests_on=("BatchMarks", "BatchStatus"))
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
        right = empty_by_design(ledger, profile)
        yield NONE.says(
            Status.OK if right else Status.FAULT,
            "the coordinator made no batch, for there was nothing to do",
            bears=Bears.APART if right else Bears.HOLDS,
            rests_on=("BatchMarks",),
        )
        yield Row(
            stage=Stage.CREATED, not_reached=right, seen_min=0, seen_max=0, status=Status.OK if right else Status.FAULT
        )
        return
    if attempt.batch and ledger.done:
        yield CREATED.says(Status.OK, f"batch {attempt.batch} exists: items of it came back")
        yield Row(stage=Stage.CREATED, expected=ledger.expected, status=Status.OK, source="completions")
        return
    if isinstance(marks, Unseen) or not ledger.proven(Means.CREATED):
        why = (
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
            numbers={"due": due.timestamp()},
        )
        yield row
        return
    yield MISSING.says(
        Status.FAULT,
        "the start attempt left no batch state" + ("; its end is in no log" if attempt.call is None else ""),
        bears=Bears.HOLDS,
        since=attempt.started,
        rests_on=("BatchMarks", "StartCalls"),
    )
    yield Row(stage=Stage.CREATED, seen_min=0, seen_max=0, status=Status.FAULT, source="coordinator log")


def _in_the_way(ledger: Ledger, attempt: Attempt, now: datetime, items: ItemMarks | Unseen) -> Iterator[Finding]:
    named = attempt.refused.words.get("blocker", "") if attempt.refused else ""
    blocker = _blocker(ledger, attempt, named)
    if blocker is None:
        yield STALE_OPEN.says(
            Status.UNKNOWN,
            "which batch is in the way, and whether it progresses, could not be seen",
            bears=Bears.HOLDS,
            words={"blocker": named} if named else {},
        )
        return
    newest = max(filter(None, (blocker.marks[-1].at if blocker.marks else None, ledger.activity.get(blocker.batch))))
    idle = (now - newest).total_seconds()
    words = {"blocker": blocker.batch}
    numbers = {"idle_s": idle, "age_s": (now - blocker.started).total_seconds()}
    if isinstance(items, Unseen):
        yield STALE_OPEN.says(
            Status.UNKNOWN,
            f"batch {blocker.batch}, open since {clock(blocker.started, now)}, is in the way; its progress could not be seen",
            bears=Bears.HOLDS,
            words=words,
            numbers=numbers,
        )
    elif idle > _IDLE_S:
        ended = blocker.forced or blocker.closed
        yield STALE_OPEN.says(
            Status.FAULT,
            f"batch {blocker.batch}, {'open' if ended is None else 'started'} {clock(blocker.started, now)}, has done nothing "
            f"for {span(idle)} and blocks every new start"
            + (
                f"; it was closed at {clock(ended.at, now)}, and the coordinator still holds it for active"
                if ended
                else ""
            ),
            bears=Bears.HOLDS,
            since=blocker.started,
            rests_on=("BatchMarks", "ItemMarks"),
            words={**words, "idle": span(idle)},
            numbers=numbers,
        )
    else:
        yield ACTIVE_OTHER.says(
            Status.OK,
            f"batch {blocker.batch} is open and got further {span(idle)} ago: the refusal is right",
            words=words,
            numbers=numbers,
        )


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
