"""Does the batch still move, and by when must it have moved?

No threshold of our own: an item may take as long as a start of an instance, one ack deadline and one retry delay together
allow, and our sources may lag by what they say they lag. Before that it is too early; after that, silence is a stall.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    BatchStatus,
    ItemMarks,
    Leg,
    Means,
    PushCounts,
    ReceiverCapacity,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import last_of
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.published import start_limit_s
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import clock, count, span


class Moved(Tells, frozen=True, kw_only=True):
    """How long it is since an item got further, and how long one may take, in seconds."""

    idle_s: float
    patience_s: float
    due: float | None = None
    """By when one must have got further, in seconds since 1970."""
    every_s: float | None = None
    """Seconds since the batch began for each item that is done; None: none is."""

    @property
    def creeps(self) -> bool:
        """Whether items get done so rarely that it is chance whether one did within the time that one may take."""
        return self.every_s is not None and self.every_s > self.patience_s


PROGRESSING = Telling("progress.moving", Stage.PROCESSED, "items get further", tells=Moved)
TOO_EARLY = Telling("progress.too_early", Stage.PROCESSED, "too early to judge", tells=Moved)
STALLED = Telling(
    "progress.stalled", Stage.PROCESSED, "items are not done and none gets further", Kind.CONSEQUENCE, tells=Moved
)
COUNTED = Code("progress.counted", Stage.PROCESSED, "how many pushes were acked since the batch began")
UNSEEN = Telling("progress.unseen", Stage.PROCESSED, "progress could not be seen", tells=Hidden)

_STARTUP_S = 10.0
"""Start-up taken for a service of which none was seen: Cloud Run queues a request for at least this long (container contract)."""
_LOG_LAG_S = 15.0
"""Log entries can be read seconds after they are written."""


def progress(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    status: BatchStatus | Unseen,
    marks: ItemMarks | Unseen,
    request: Annotated[SubscriptionConfig | Unseen, Leg.REQUEST],
    pushes: Annotated[PushCounts | Unseen, Leg.REQUEST],
    capacity: Annotated[ReceiverCapacity | Unseen, Leg.REQUEST],
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
) -> Iterator[Finding]:
    """Compares the newest progress of the batch with the time that one item may take."""
    if ledger.as_asked:
        yield from _as_asked(ledger, profile, now, pushes, coordinator, patience_s(request, capacity))
        return
    if ledger.attempt is None or not ledger.batch or ledger.closed or ledger.made_none or ledger.known_batch is False:
        return
    if isinstance(marks, Unseen) and isinstance(status, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"whether items get further could not be seen: {marks.says}",
            subject=subjects.batch(ledger.batch),
            tells=Hidden.of(marks),
        )
        return
    if ledger.last_progress is None:
        yield UNSEEN.says(
            Status.UNKNOWN,
            "no line and no batch state tells when an item last got further",
            subject=subjects.batch(ledger.batch),
            tells=Hidden(),
        )
        return
    at_work, patience = _start_at_work(ledger, coordinator), patience_s(request, capacity)
    found = _moved(ledger, profile, now, ledger.last_progress, patience, at_work)
    if found.code == STALLED.name and not ledger.owes:
        return  # that nothing tells of more is said where it would be closed
    unread = None if isinstance(marks, Unseen) else marks.unread_until
    if found.code == STALLED.name and not isinstance(marks, Unseen) and _may_be_done(ledger, marks):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"whether all is done could not be seen: {marks.source.note or 'only part of the lines about items was read'}",
            subject=subjects.batch(ledger.batch),
            rests_on=("ItemMarks",),
            tells=Hidden(),
        )
        return
    if found.code == STALLED.name and unread and now - unread <= timedelta(seconds=patience):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"the newest progress that was read is of {clock(ledger.last_progress, now)}; lines up to {clock(unread, now)} were not read",
            subject=subjects.batch(ledger.batch),
            rests_on=("ItemMarks",),
            tells=Hidden(),
        )
        return
    yield found


def _may_be_done(ledger: Ledger, marks: ItemMarks) -> bool:
    """Whether all of a batch of which only the worker's lines tell may be done, since not all of these were read."""
    if not ledger.one_way or marks.source.complete:
        return False
    done, sent = ledger.counts[Stage.PROCESSED].most, ledger.expected or ledger.counts[Stage.PUBLISHED].least
    return done is None or done >= sent


def _moved(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    newest: datetime,
    patience: float,
    at_work: datetime | None,
) -> Finding:
    """Whether the newest progress is longer ago than one item may take, in seconds; `at_work`: until when the start call may publish."""
    idle = (now - newest).total_seconds()
    due = newest + timedelta(seconds=patience)
    if at_work is not None:
        due = max(due, at_work)
    every = (now - ledger.started).total_seconds() / ledger.done if ledger.started and ledger.done else None
    tells = Moved(idle_s=idle, patience_s=patience, due=due.timestamp(), every_s=every)
    about = subjects.batch(ledger.batch)
    last = f"the newest progress is of {clock(newest, now)}, {span(idle)} ago"
    if now > due:
        return STALLED.says(
            Status.FAULT,
            f"{last}; one item may take {span(patience)} (start-up, ack deadline and a retry)",
            bears=Bears.HOLDS,
            since=newest,
            rests_on=("BatchMarks", "ItemMarks"),
            subject=about,
            tells=tells,
        )
    if ledger.done:
        return PROGRESSING.says(
            Status.OK,
            f"{ledger.done} of {ledger.expected or '?'} {profile.item}s done; {last}",
            subject=about,
            tells=tells,
        )
    if late := [
        x for x in ledger.lives if x.stage is Stage.PROCESSED and x.ended and (now - x.ended).total_seconds() > patience
    ]:
        first = min(x.ended for x in late if x.ended)
        return UNSEEN.says(
            Status.UNKNOWN,
            f"{count(len(late), profile.item)} done by the worker longer ago than one may take to come back, the first at "
            f"{clock(first, now)}, and nothing tells that any did",
            subject=about,
            rests_on=("BatchStatus", "ItemMarks"),
            tells=Hidden(),
        )
    why = "the start call is still at work" if at_work and now < at_work else f"one item may take {span(patience)}"
    return TOO_EARLY.says(Status.OK, f"nothing is done yet; {last}, and {why}", subject=about, tells=tells)


def _as_asked(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    pushes: PushCounts | Unseen,
    coordinator: ServiceConfig | Unseen,
    patience: float,
) -> Iterator[Finding]:
    """Of a batch that only the caller tells of: whether less was acked since then than it has items, and when something last was.

    Until something is published its start call may be at work.
    """
    begun, most = ledger.started, ledger.counts[Stage.PROCESSED].most
    if isinstance(pushes, Unseen) or begun is None or most is None or ledger.expected is None:
        yield UNSEEN.says(Status.UNKNOWN, "how many pushes were acked since then could not be seen", tells=Hidden())
        return
    acked = [s for s in pushes.series if s.labels.get("response_class") == "ack"]
    newest = last_of(acked, begun)
    idle = (pushes.source.as_of - (newest or begun)).total_seconds()
    last = f"the last one by {clock(newest, now)}, {span(idle)} ago" if newest else f"none since {clock(begun, now)}"
    starting = ledger.counts[Stage.PUBLISHED].most == 0 and idle < start_limit_s(coordinator)
    if most < ledger.expected and idle > patience and not starting:
        yield STALLED.says(
            Status.FAULT,
            f"at most {most} of {ledger.expected} {profile.item}s can have been acked: {last}; "
            f"one may take {span(patience)} (start-up, ack deadline and a retry)",
            bears=Bears.HOLDS,
            since=newest or begun,
            rests_on=("PushCounts",),
            subject=subjects.pushing(profile, Leg.REQUEST),
            tells=Moved(idle_s=idle, patience_s=patience),
        )
    else:
        yield COUNTED.says(
            Status.OK, f"at most {most} of {ledger.expected} {profile.item}s can have been acked; {last}"
        )


def _start_at_work(ledger: Ledger, coordinator: ServiceConfig | Unseen) -> datetime | None:
    """Until when the start call may go on publishing; None once it has answered or told its count, or never tells one."""
    attempt = ledger.attempt
    if attempt is None or attempt.call or attempt.published or not attempt.seen or not ledger.proven(Means.PUBLISHED):
        return None
    return attempt.started + timedelta(seconds=start_limit_s(coordinator))


def patience_s(request: SubscriptionConfig | Unseen, capacity: ReceiverCapacity | Unseen) -> float:
    """How long one item may take without anything being wrong, in seconds."""
    deadline, delay = 600.0, 10.0
    if not isinstance(request, Unseen) and request.settings is not None:
        deadline = request.settings.ack_deadline_s
        delay = request.settings.retry.min_s if request.settings.retry else 0.0
    startup = _STARTUP_S
    if not isinstance(capacity, Unseen):
        startup = max((p for s in capacity.startup_p99 if (p := s.peak()) is not None), default=_STARTUP_S)
    return startup + deadline + delay + _LOG_LAG_S
