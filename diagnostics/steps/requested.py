"""Did the call that should start the batch arrive, and what did the coordinator answer?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import BatchMarks, Leg, Means, Stage, StartCall, StartCalls, Unseen, Why
from diagnostics.evidence.model.answered import Ended, ended
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.wholeness import to_the_end, why_not_whole
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Subject, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clip, clock, span


class Blocked(Tells, frozen=True, kw_only=True):
    blocker: str | None = None
    """Id of the batch that is in the way, as the coordinator names it."""


class TimedOut(Tells, frozen=True, kw_only=True):
    latency_s: float
    """How long the start call took, in seconds."""


class SignIn(Tells, frozen=True, kw_only=True):
    status: int
    at_the_door: int
    """1: Google's front end refused it; 0: the coordinator itself did."""


class NotReady(Tells, frozen=True, kw_only=True):
    reason: str = ""
    """In the coordinator's words; empty: no line tells it."""


class Failed(Tells, frozen=True, kw_only=True):
    killed: int
    """1: the coordinator had taken the call, and its container went away over it."""


ACCEPTED = Code("requested.accepted", Stage.REQUESTED, "the start call was accepted")
REFUSED = Telling(
    "requested.refused",
    Stage.CREATED,
    "the coordinator refused to start: another batch is active",
    Kind.EFFECT,
    tells=Blocked,
)
NOT_READY = Telling(
    "requested.not_ready",
    Stage.REQUESTED,
    "the coordinator refused to start: its own gate",
    Kind.MECHANISM,
    tells=NotReady,
)
SIGN_IN = Telling(
    "requested.sign_in", Stage.REQUESTED, "the start call was refused for its sign-in", Kind.MECHANISM, tells=SignIn
)
FAILED = Telling("requested.failed", Stage.REQUESTED, "the start call failed", Kind.EFFECT, tells=Failed)
TIMED_OUT = Telling(
    "requested.timed_out",
    Stage.REQUESTED,
    "the start call ran into the request timeout",
    Kind.EFFECT,
    tells=TimedOut,
)
NONE = Code("requested.none", Stage.REQUESTED, "no start call is known")
LATER = Code("requested.later", Stage.REQUESTED, "whether there was a later start attempt could not be seen")
UNKNOWN_BATCH = Code("requested.unknown_batch", Stage.REQUESTED, "no such batch")


def requested(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    calls: StartCalls | Unseen,
    marks: BatchMarks | Unseen,
) -> Iterator[Finding | Row]:
    """Reads the start call's status and latency, and the coordinator's word on a refusal."""
    attempt, about = ledger.attempt, subjects.receiving(profile, Leg.COMPLETION)
    if not ledger.asked and attempt is not None and (why := _hidden_lately(calls, marks, now)):
        yield LATER.says(
            Status.UNKNOWN,
            f"this is the latest start attempt that could be seen; whether there was a later one could not: {why}",
            subject=about,
            rests_on=("StartCalls", "BatchMarks"),
        )
    if ledger.known_batch is False:
        log = "" if isinstance(marks, Unseen) else "no line of the coordinator's log names this batch, and "
        says = f"{log}the batch state does not know it"
        yield UNKNOWN_BATCH.says(Status.UNKNOWN, says, subject=subjects.batch(ledger.asked))
        yield Row(stage=Stage.REQUESTED, basis="items")
    elif attempt is None:
        yield NONE.says(Status.UNKNOWN, _none(ledger, calls, marks), subject=about)
        yield Row(stage=Stage.REQUESTED, basis="items")
    else:
        when = clock(attempt.started, now) if attempt.seen else ""
        if attempt.unasked:
            return
        yield from _taken(ledger, attempt, about, when)
        arrived = bool(attempt.marks) or (attempt.call is not None and attempt.call.reached_app)
        yield Row(
            stage=Stage.REQUESTED,
            reached=arrived if attempt.call or attempt.marks else None,
            status=Status.OK if arrived else Status.FAULT if attempt.call else Status.UNKNOWN,
            source=f"as asked: {when}" if ledger.as_asked else f"start call {when}" if arrived or attempt.call else "",
        )


def _none(ledger: Ledger, calls: StartCalls | Unseen, marks: BatchMarks | Unseen) -> str:
    """Why no start call is known, in words."""
    if isinstance(marks, Unseen):
        if isinstance(calls, Unseen):
            return f"start calls could not be seen: {calls.says}"
        return f"no start call in the look-back; lines of batches could not be seen: {marks.says}"
    if ledger.asked:
        return "no line names this batch, and no start call is known to be its"
    return "no start call and no batch in the look-back"


def _taken(ledger: Ledger, attempt: Attempt, about: Subject | None, when: str) -> Iterator[Finding]:
    """What became of the start call, by its own entry in the log; failing that, by the coordinator's lines."""
    if attempt.call is not None:
        yield _answered(ledger, about, attempt.call, when)
    elif attempt.refused is not None:
        yield _conflict(ledger, f"the coordinator refused the start call of {when}")
    elif attempt.first(Means.RECEIVED, Means.CREATED) is not None:
        says = f"the coordinator took the start call at {when}"
        yield ACCEPTED.says(Status.OK, says, subject=about, rests_on=("BatchMarks",))


def _hidden_lately(calls: StartCalls | Unseen, marks: BatchMarks | Unseen, now: datetime) -> str:
    """Why a start attempt of late would not have been seen, whichever log tells of the latest one that was; empty where it would."""
    for found in (calls, marks):
        late = isinstance(found, Unseen) or not to_the_end(found, now)
        if late and (why := why_not_whole(found, but=(Why.NOT_CONFIGURED, Why.NOT_ASKED, Why.DEPENDS))):
            return why
    return ""


def _answered(ledger: Ledger, about: Subject | None, call: StartCall, when: str) -> Finding:
    """What the answer to the start call says. It is about the service that takes start calls."""
    status, latency_s, reached_app = call.status, call.latency_s, call.reached_app
    took = f"after {span(latency_s)}"
    rests = ("StartCalls",)
    if status < 300:
        says = f"start call at {when} answered {status} {took}"
        return ACCEPTED.says(Status.OK, says, subject=about, rests_on=rests)
    if status == 504:
        went_on = ledger.attempt is not None and ledger.attempt.published is not None
        none_met_it = went_on or ledger.made is False  # nothing was to be published yet
        return TIMED_OUT.says(
            Status.OK if went_on else Status.WARNING,
            f"start call at {when} ended in 504 {took}: Cloud Run's request timeout"
            + ("; the program went on behind it and published" if went_on else ""),
            bears=Bears.APART if none_met_it else Bears.SLOWS,
            since=ledger.started,
            rests_on=rests,
            subject=about,
            tells=TimedOut(latency_s=latency_s),
        )
    if status == 409:
        return _conflict(ledger, f"start call at {when} was answered 409")
    if status in (401, 403):
        who = "the coordinator itself" if reached_app else "Google's front end"
        says = f"start call at {when} was refused with {status} by {who}"
        at_the_door = SignIn(status=status, at_the_door=int(not reached_app))
        return SIGN_IN.says(Status.FAULT, says, bears=Bears.HOLDS, subject=about, rests_on=rests, tells=at_the_door)
    if status == 503 and reached_app and not call.text:
        refused = ledger.attempt.refused if ledger.attempt else None
        reason = refused.words.get("reason", "") if refused else ""
        return NOT_READY.says(
            Status.FAULT,
            f"start call at {when} was answered 503 by the coordinator itself"
            + (f": {clip(reason.replace('_', ' '))}" if reason else ""),
            bears=Bears.HOLDS,
            subject=about,
            rests_on=(*rests, "BatchMarks") if reason else rests,
            tells=NotReady(reason=reason),
        )
    return _failed(ledger, about, f"start call at {when} was answered {status} {took}", call)


def _failed(ledger: Ledger, about: Subject | None, what: str, call: StartCall) -> Finding:
    """It failed otherwise: what Cloud Run answers carries its own sentence, what the program answers none."""
    attempt = ledger.attempt
    empty = attempt.empty if attempt else None
    reason = empty.words.get("reason", "") if empty else ""
    taken = attempt is not None and bool(attempt.marks)
    killed = taken and ended(call.status, "", call.text) in (Ended.BROKEN, Ended.MEMORY)
    published = attempt is not None and attempt.published is not None
    by = " by the coordinator itself"
    if killed:
        by = " by Cloud Run: the coordinator had taken it, and its container died before it answered"
    elif not call.reached_app:
        by = " and never reached a container"
    elif call.text:
        by = " by Cloud Run"
    return FAILED.says(
        Status.FAULT,
        what + by + (f": {reason}" if reason else ""),
        leg=Leg.COMPLETION,  # the service that takes start calls is the one that takes completions
        bears=Bears.SLOWS if ledger.batch and (published or not killed) else Bears.HOLDS,
        since=ledger.started,
        subject=about,
        rests_on=("StartCalls",),
        tells=Failed(killed=int(killed)),
    )


def _conflict(ledger: Ledger, what: str) -> Finding:
    refused = ledger.attempt.refused if ledger.attempt else None
    blocker = refused.words.get("blocker", "") if refused else ""
    return REFUSED.says(
        Status.FAULT,
        what + (f": batch {blocker} is still active" if blocker else ": a batch is still active"),
        bears=Bears.HOLDS,
        since=ledger.started,
        rests_on=("StartCalls", "BatchMarks"),
        subject=subjects.batch(blocker),
        tells=Blocked(blocker=blocker or None),
    )
