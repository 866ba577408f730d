"""Does batch state exist, and is an older batch in its way?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    ItemMarks,
    Leg,
    Mark,
    Means,
    PushCounts,
    ServiceConfig,
    Stage,
    Unseen,
    items_of,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import ACK, last_of
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.ledger.ledger import moves
from diagnostics.readings.pace import LONGEST_BACKOFF_S, LONGEST_DEADLINE_S
from diagnostics.steps import subjects
from diagnostics.steps.closed import enough
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling
from diagnostics.steps.published import start_limit_s
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, count, span

GETS_ON = "is at work, and that one gets further"


class InTheWay(Tells, frozen=True, kw_only=True):
    """The batch for whose sake a start was refused, and how it is getting on."""

    blocker: str | None = None
    """Its id."""
    idle: str | None = None
    """For how long it has done nothing, in words."""
    idle_s: float | None = None
    age_s: float | None = None
    closed: int = 0
    """1: it was closed before the start was refused, and counts as active all the same."""
    owed: int = 0
    """Items of it that were published and are not done, at least, where it is open, will not get further, and would be closed by them."""
    stands: str = GETS_ON
    """How it is with it, where the refusal is right."""


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
NONE = Code("created.none", Stage.CREATED, "there was no batch to make", Kind.MECHANISM)
UNSEEN = Code("created.unseen", Stage.CREATED, "batch state could not be seen")


def created(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    marks: BatchMarks | Unseen,
    status: BatchStatus | Unseen,
    items: ItemMarks | Unseen,
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    work: Annotated[PushCounts | Unseen, Leg.REQUEST],
    back: Annotated[PushCounts | Unseen, Leg.COMPLETION],
) -> Iterator[Finding | Row]:
    """Reads the coordinator's log and its batch state; for a refused start, the batch that is in the way, and whether pushes of either
    leg were acked since: without an ack no item gets further."""
    attempt = ledger.attempt
    if attempt is None:
        yield Row(stage=Stage.CREATED, not_reached=True, status=Status.UNKNOWN)
    elif attempt.created is not None or (not isinstance(status, Unseen) and status.exists and bool(attempt.batch)):
        yield from _exists(ledger, attempt, profile, now)
    elif (attempt.refused or (attempt.call and attempt.call.status == 409)) and not _not_ready(attempt):
        yield from _in_the_way(ledger, attempt, profile, now, items, status, (work, back))
        yield Row(stage=Stage.CREATED, expected=None, seen_min=0, seen_max=0, status=Status.FAULT, source="refused")
    elif ledger.made_none:
        yield from _made_none(ledger, profile)
    elif attempt.batch and ledger.done:
        shown, by = ("are done", "application log") if ledger.one_way else ("came back", "completions")
        says = f"batch {attempt.batch} exists: items of it {shown}"
        yield CREATED.says(Status.OK, says, subject=subjects.batch(attempt.batch))
        yield Row(stage=Stage.CREATED, expected=ledger.expected, status=Status.OK, source=by)
    elif why := _unseen(ledger, marks):
        about = subjects.receiving(profile, Leg.COMPLETION)
        yield UNSEEN.says(Status.UNKNOWN, f"whether a batch was created could not be seen: {why}", subject=about)
        yield Row(stage=Stage.CREATED, expected=ledger.expected)
    else:
        yield from _none_yet(ledger, attempt, profile, now, start_limit_s(coordinator))


def _not_ready(attempt: Attempt) -> bool:
    """Whether the coordinator refused to start for another reason than a batch in its way: 503, and no batch is named."""
    named = attempt.refused.words.get("blocker", "") if attempt.refused else ""
    return attempt.call is not None and attempt.call.status == 503 and not named


def _told_by(ledger: Ledger, created: Mark) -> str:
    return f"{created.service} log" if ledger.expected_from == "coordinator log" else "batch state"


def _exists(ledger: Ledger, attempt: Attempt, profile: PipelineProfile, now: datetime) -> Iterator[Finding | Row]:
    many = f"{ledger.expected} {profile.item}s" if ledger.expected is not None else "an unknown number of items"
    many += f": {ledger.size_doubted}" if ledger.size_doubted else ""
    yield CREATED.says(
        Status.UNKNOWN if ledger.size_doubted else Status.OK,
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
        source=f"{_told_by(ledger, attempt.created)} {clock(attempt.created.at, now)}"
        if attempt.created
        else "batch state",
    )


def _made_none(ledger: Ledger, profile: PipelineProfile) -> Iterator[Finding | Row]:
    """There was nothing to do, by the coordinator's own word: right where the profile lists its reason."""
    right = ledger.empty_by_design
    status = Status.OK if right else Status.FAULT
    yield NONE.says(
        Status.UNKNOWN if right and ledger.untold else status,
        "the coordinator made no batch, for there was nothing to do",
        bears=Bears.APART if right else Bears.HOLDS,
        subject=subjects.receiving(profile, Leg.COMPLETION),
        rests_on=("BatchMarks",),
    )
    yield Row(stage=Stage.CREATED, not_reached=right, seen_min=0, seen_max=0, status=status)


def _unseen(ledger: Ledger, marks: BatchMarks | Unseen) -> str:
    """Why nothing would tell of a batch if there were one; empty where something would."""
    if ledger.untold:
        return ledger.untold
    if isinstance(marks, Unseen):
        return marks.says
    if ledger.as_asked or not ledger.proven(Means.CREATED):
        return "no line that tells of a created batch matched in the look-back"
    return ""


def _none_yet(
    ledger: Ledger, attempt: Attempt, profile: PipelineProfile, now: datetime, limit_s: float
) -> Iterator[Finding | Row]:
    """No batch is there: the start call is still at work, or left none."""
    due = attempt.started + timedelta(seconds=limit_s)
    if attempt.call is None and now < due:
        yield LOADING.says(
            Status.OK,
            f"the start call has been at work for {span((now - attempt.started).total_seconds())} and has made no batch yet; "
            f"Cloud Run ends it at {clock(due, now)}",
            bears=Bears.SLOWS,
            subject=subjects.receiving(profile, Leg.COMPLETION),
            rests_on=("BatchMarks", "ServiceConfig"),
            tells=Loading(due=due.timestamp()),
        )
        yield Row(stage=Stage.CREATED, expected=ledger.expected)
        return
    yield MISSING.says(
        Status.FAULT,
        "the start attempt left no batch state" + _how_it_ended(ledger, attempt, now),
        bears=Bears.HOLDS,
        since=attempt.started,
        subject=subjects.receiving(profile, Leg.COMPLETION),
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
    told = f"; the last phase that it told: {phase.words['phase']}" if phase and phase.words.get("phase") else ""
    return f": the call ended in {status} after {span(attempt.call.latency_s)}{earlier if status >= 400 else ''}{told}"


def _in_the_way(
    ledger: Ledger,
    attempt: Attempt,
    profile: PipelineProfile,
    now: datetime,
    items: ItemMarks | Unseen,
    status: BatchStatus | Unseen,
    pushes: tuple[PushCounts | Unseen, PushCounts | Unseen],
) -> Iterator[Finding]:
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
    steps = [m.at for m in blocker.marks if moves(m)]
    newest = max([blocker.started, *steps, *filter(None, (ledger.activity.get(blocker.batch),))])
    other = _Other(blocker, newest, now, _owed(blocker, items, status), _short(blocker, profile, status))
    ended = blocker.forced or blocker.closed
    if blocker.forced and blocker.forced.at >= attempt.started:
        yield _given_up(other, blocker.forced.at, attempt.started, _watched(ledger, items))
    elif ended:
        yield _ended(other, ended.at, attempt.started)
    elif _none_done(status, blocker):
        yield _open(other, "nothing of it is done, by the batch state")
    elif (moved := _last_ack(other, pushes)) and (now - moved).total_seconds() > _IDLE_S:
        yield _open(replace(other, newest=moved))
    elif other.idle_s <= _IDLE_S and (why := _no_end(other, profile, items, status, pushes[1])):
        yield STALE_OPEN.says(
            Status.UNKNOWN,
            f"batch {blocker.batch}, open since {clock(blocker.started, now)}, is in the way: {why}",
            bears=Bears.HOLDS,
            subject=subjects.batch(blocker.batch),
            rests_on=("BatchStatus", "ItemMarks"),
            tells=other.tells(),
        )
    elif isinstance(items, Unseen) or (other.idle_s > _IDLE_S and not _shows_progress(ledger)):
        yield STALE_OPEN.says(
            Status.UNKNOWN,
            f"batch {blocker.batch}, open since {clock(blocker.started, now)}, is in the way; its progress could not be seen",
            bears=Bears.HOLDS,
            subject=subjects.batch(blocker.batch),
            tells=other.tells(),
        )
    else:
        yield _open(other)


@dataclass(frozen=True)
class _Other:
    """The batch that is in the way, if its start is known."""

    attempt: Attempt
    newest: datetime
    """When it last got further."""
    now: datetime
    owed: int = 0
    """Items of it that were published and are not done, as far as that is told."""
    short: str = ""
    """Why it stays open when all that was published is done; empty: nothing says so."""

    @property
    def idle_s(self) -> float:
        return (self.now - self.newest).total_seconds()

    def tells(self, idle_s: float | None = None, closed: int = 0, owed: int = 0, stands: str = GETS_ON) -> InTheWay:
        """`idle_s`: seconds for which it can be said to do nothing."""
        return InTheWay(
            blocker=self.attempt.batch,
            idle=None if idle_s is None else span(idle_s),
            idle_s=self.idle_s,
            age_s=(self.now - self.attempt.started).total_seconds(),
            closed=closed,
            owed=owed,
            stands=stands,
        )


def _last_ack(other: _Other, pushes: tuple[PushCounts | Unseen, PushCounts | Unseen]) -> datetime | None:
    """The last moment at which an item of that batch can have got further, by the acks on both legs; None where they were not seen."""
    seen = [p for p in pushes if not isinstance(p, Unseen) and p.source.complete]
    if len(seen) < len(pushes):
        return None
    acks = [at for p in seen if (at := last_of(p.series, other.newest, response_class=ACK))]
    return max([other.newest, *acks])


def _ended(other: _Other, at: datetime, refused: datetime) -> Finding:
    """It is closed: since the start was refused, so nothing is in the way any more; or before, and it was in the way all the same."""
    name, since, closed = other.attempt.batch, clock(other.attempt.started, other.now), clock(at, other.now)
    if at >= refused:
        return ACTIVE_OTHER.says(
            Status.OK,
            f"batch {name} was open then and was closed at {closed}: nothing is in the way any more",
            until=at,
            subject=subjects.batch(name),
            tells=other.tells(stands=f"was at work; it was closed at {closed}, and the next start is free"),
        )
    return STALE_OPEN.says(
        Status.FAULT,
        f"batch {name}, started {since}, blocks every new start; it was closed at {closed}, "
        "and the coordinator still counts it as active",
        bears=Bears.HOLDS,
        since=at,
        subject=subjects.batch(name),
        rests_on=("BatchMarks",),
        tells=other.tells((other.now - at).total_seconds(), closed=1),
    )


def _given_up(other: _Other, at: datetime, refused: datetime, watched: datetime | None) -> Finding:
    """It was closed by hand or by age after the start was refused, with work missing: nothing is in the way any more, and neither
    batch did the work. `watched`: since when its progress would have been seen; None: never."""
    name, about = other.attempt.batch, subjects.batch(other.attempt.batch)
    over = f"it was closed at {clock(at, other.now)} with work missing, so nothing is in the way any more"
    if (refused - other.newest).total_seconds() <= _IDLE_S:
        says = f"batch {name} still got further at {clock(other.newest, other.now)}; {over}"
        return ACTIVE_OTHER.says(Status.WARNING, says, until=at, subject=about, tells=other.tells())
    since = max(other.newest, watched or refused)
    idle_s = (refused - since).total_seconds()
    if idle_s <= _IDLE_S:
        says = f"batch {name} was in the way; whether it still got further then could not be seen; {over}"
        return STALE_OPEN.says(Status.UNKNOWN, says, bears=Bears.HOLDS, subject=about, tells=other.tells())
    return STALE_OPEN.says(
        Status.FAULT,
        f"batch {name} had got no further for {span(idle_s)} when the start was refused because of it; {over}",
        bears=Bears.HOLDS,
        since=since,
        until=at,
        subject=about,
        rests_on=("BatchMarks", "ItemMarks"),
        tells=other.tells(idle_s),
    )


def _no_end(
    other: _Other,
    profile: PipelineProfile,
    items: ItemMarks | Unseen,
    status: BatchStatus | Unseen,
    back: PushCounts | Unseen,
) -> str:
    """Why a batch that is at work need not come to its end all the same; empty: nothing says so."""
    if not isinstance(status, Unseen) and status.batch == other.attempt.batch and status.closed:
        return f"the batch state has it closed with work missing ({status.forced})" if status.forced else ""
    name = other.attempt.batch
    if other.short:
        return f"it is at work, but {other.short}"
    if profile.completion is None or isinstance(items, Unseen):
        return ""
    of_it = [m for m in items.marks if m.batch == name]
    came = max(
        (m.at for m in of_it if m.means in (Means.RETURNED_ITEM, Means.RECORDED_ITEM)), default=other.attempt.started
    )
    worked = min((m.at for m in of_it if m.means is Means.DONE_ITEM and m.at > came), default=None)
    if worked is None or (other.now - worked).total_seconds() <= _BACK_S:
        return ""
    if not isinstance(back, Unseen) and last_of(back.series, worked, response_class=ACK):
        return ""
    return f"it is at work, but nothing that was finished since {clock(worked, other.now)} was seen to come back"


def _short(attempt: Attempt, profile: PipelineProfile, status: BatchStatus | Unseen) -> str:
    """That it expects more than was published, and cannot be closed by all of that; empty: nothing says so."""
    expected, sent = _expects(attempt, status), attempt.published
    published = sent.numbers.get("count") if sent else None
    if expected is None or published is None or published >= enough(expected, profile):
        return ""
    return f"expects {expected} and {published} were published"


def _expects(attempt: Attempt, status: BatchStatus | Unseen) -> int | None:
    """How many items it expects: by the batch state, else by the line that told of its making."""
    if not isinstance(status, Unseen) and status.batch == attempt.batch and status.expected is not None:
        return status.expected
    return attempt.created.numbers.get("expected") if attempt.created else None


def _none_done(status: BatchStatus | Unseen, blocker: Attempt) -> bool:
    """Whether the batch state counts nothing as done of a batch that it holds open: whatever lines tell, it got no further."""
    if isinstance(status, Unseen) or status.batch != blocker.batch:
        return False
    return status.exists and not status.closed and status.completed == 0


def _open(other: _Other, counted: str = "") -> Finding:
    """It is open, and its progress is seen. `counted`: what the batch state says of it."""
    name = other.attempt.batch
    if other.idle_s <= _IDLE_S:
        return ACTIVE_OTHER.says(
            Status.OK,
            f"batch {name} is open and got further {span(other.idle_s)} ago: the refusal is right",
            subject=subjects.batch(name),
            tells=other.tells(),
        )
    return STALE_OPEN.says(
        Status.FAULT,
        f"batch {name}, open since {clock(other.attempt.started, other.now)}, has got no further for {span(other.idle_s)} "
        "and blocks every new start"
        + (f": {counted}" if counted else "")
        + (f"; {count(other.owed, 'item')} of it were published and are not done" if other.owed else "")
        + (f"; with these done it would still be open: it {other.short}" if other.owed and other.short else ""),
        bears=Bears.HOLDS,
        since=other.newest,
        subject=subjects.batch(name),
        rests_on=("BatchMarks", "BatchStatus" if counted else "ItemMarks"),
        tells=other.tells(other.idle_s, owed=0 if other.short else other.owed),
    )


def _owed(blocker: Attempt, items: ItemMarks | Unseen, status: BatchStatus | Unseen) -> int:
    """Items that were published and are not done, by the batch state, else by lines that reach back to its start; 0 where nothing tells."""
    sent = blocker.published.numbers.get("count") if blocker.published else None
    done: int | None = None
    if not isinstance(status, Unseen) and status.batch == blocker.batch and status.exists:
        done = status.completed
    elif not isinstance(items, Unseen) and items.source.complete and items.since <= blocker.started:
        back = (Means.RETURNED_ITEM, Means.RECORDED_ITEM)
        done = items_of(m for m in items.marks if m.batch == blocker.batch and m.means in back)
    return max(sent - done, 0) if sent is not None and done is not None else 0


def _shows_progress(ledger: Ledger) -> bool:
    """Whether lines that tell of progress name their batch at all: only then does their silence say that there was none."""
    steps = (Means.DONE_ITEM, Means.SKIPPED_ITEM, Means.RETURNED_ITEM, Means.RECORDED_ITEM)
    return any(means in steps and named for means, named in ledger.matched)


def _watched(ledger: Ledger, items: ItemMarks | Unseen) -> datetime | None:
    """Since when progress of a batch is seen wherever there is any; None where it is not."""
    if isinstance(items, Unseen) or not items.source.complete or not _shows_progress(ledger):
        return None
    return items.since


_IDLE_S = 600.0
"""The longest ack deadline Pub/Sub allows: work of a batch that is alive shows within it."""


_BACK_S = LONGEST_BACKOFF_S + LONGEST_DEADLINE_S
"""The longest time that a completion may take until it is tried again: what was only finished is no progress beyond it."""


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
