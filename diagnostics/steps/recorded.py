"""Does the batch state count what came back, and can the batch still close?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from math import ceil

from diagnostics.evidence.model import BatchStatus, ItemMarks, Leg, Mark, Means, Stage, StartCalls, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.stakes import stakes_of
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, between, clip, clock, count


class Missing(Tells, frozen=True, kw_only=True):
    """Items of a batch that is closed."""

    done: int
    missing: int


class Waits(Tells, frozen=True, kw_only=True):
    """Items of a batch that is open."""

    published: int
    expected: int
    enough: int
    """So many have to be done for it to close."""
    rest: str
    """Whether anything is on its way, in words."""


class Hollow(Tells, frozen=True, kw_only=True):
    wanted: int
    """Items that should have been done."""
    done: int


class Unrecorded(Tells, frozen=True, kw_only=True):
    """Completions that could not be recorded."""

    items: int
    errors: int
    """Lines that tell of them."""
    reason: str | None = None
    """The most frequent one."""


CLOSED = Code("closed.yes", Stage.CLOSED, "the batch is closed")
FORCED = Telling("closed.forced", Stage.CLOSED, "the batch was closed with work missing", Kind.MECHANISM, tells=Missing)
WAITS_FOR_UNPUBLISHED = Telling(
    "closed.waits_for_unpublished",
    Stage.CLOSED,
    "all that was published is done; the batch waits for items that nobody published",
    Kind.CONSEQUENCE,
    tells=Waits,
)
WILL_WAIT = Telling(
    "closed.will_wait",
    Stage.CLOSED,
    "the batch will wait for items that nobody published",
    Kind.CONSEQUENCE,
    tells=Waits,
)
HOLLOW = Telling(
    "closed.hollow",
    Stage.CLOSED,
    "the batch counts as closed and none of its work was done",
    Kind.CONSEQUENCE,
    tells=Hollow,
)
OPEN = Code("closed.open", Stage.CLOSED, "the batch is open and work is owed")
UNSEEN = Code("closed.unseen", Stage.CLOSED, "whether the batch is closed could not be seen")
RECORDED = Code("recorded.all", Stage.RECORDED, "the batch state counts what came back")
BEHIND = Code(
    "recorded.behind", Stage.RECORDED, "completions came back and the batch state does not count them", Kind.EFFECT
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
    calls: StartCalls | Unseen,
) -> Iterator[Finding | Row]:
    """Compares completions with batch state, and the state's expectation with what was published at all."""
    here = ledger.counts.get(Stage.RECORDED)
    before = ledger.before(Stage.RECORDED) if ledger.counts else None
    if here is None or before is None or ledger.attempt is None or not _is_one(ledger):
        yield Row(stage=Stage.RECORDED, not_reached=True)
        yield Row(stage=Stage.CLOSED, not_reached=True)
        return
    least, _ = ledger.gap(Stage.RECORDED)
    errors = [] if isinstance(marks, Unseen) else list(_errors(ledger, marks, now, least))
    yield from errors
    silent = least - sum(f.held for f in errors)
    if silent > 0 and not isinstance(status, Unseen) and _settled(ledger, now):
        yield BEHIND.says(
            Status.FAULT,
            f"{count(silent, 'completion')} reached the coordinator and the batch state does not count them",
            bears=Bears.HOLDS,
            held=silent,
            subject=subjects.batch(ledger.batch),
            rests_on=("ItemMarks", "BatchStatus"),
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
        where=_where(ledger, least, now),
        basis=here.basis,
        status=Status.WARNING if least else Status.OK if here.known else Status.UNKNOWN,
        source=here.source,
        not_reached=before.most == 0,
    )
    yield from _closing(ledger, profile, now, _hidden(calls))


def _errors(ledger: Ledger, marks: ItemMarks, now: datetime, least: int) -> Iterator[Finding]:
    """The coordinator's own word on why completions could not be recorded: current while items of this batch wait for it."""
    ours = {x.name for x in ledger.lives}
    errors = [m for m in marks.marks if m.means is Means.RECORD_ERROR and _of_this(m, ledger, ours)]
    if not errors:
        return
    named = {m.item for m in errors if m.item}
    many = len(named) or len(errors)
    reasons = Counter(m.words["reason"] for m in errors if m.words.get("reason"))
    told = f": {', '.join(clip(reason) for reason, _ in reasons.most_common(2))}" if reasons else ""
    first, last = errors[0].at, errors[-1].at
    yield RECORD_ERRORS.says(
        Status.FAULT if least else Status.OK,
        f"{at_least(marks.source.complete, count(many, 'completion'))} could not be recorded {between(first, last, now)}{told}"
        + ("" if least else "; all that came back are recorded by now"),
        bears=Bears.HOLDS if least else Bears.SLOWS,
        held=min(least, many),
        since=first if marks.source.complete else None,
        until=None if least else last,
        rests_on=("ItemMarks",),
        subject=subjects.batch(ledger.batch),
        tells=Unrecorded(
            items=many, errors=len(errors), reason=clip(reasons.most_common(1)[0][0]) if reasons else None
        ),
    )


def _of_this(mark: Mark, ledger: Ledger, ours: set[str]) -> bool:
    """A line that names no batch is of this one if it names one of its items, or none at all since it began."""
    if mark.batch:
        return mark.batch == ledger.batch
    begun = ledger.started is None or mark.at >= ledger.started
    return begun and (not mark.item or mark.item in ours)


def _where(ledger: Ledger, lacks: int, now: datetime) -> dict[str, int]:
    """Where completions are that came back and are not counted: refused again and again, or dead-lettered; else nobody can say."""
    dead = ledger.dead_at(Stage.RECORDED)
    pause = ledger.dead(Leg.COMPLETION).pause
    refused = [x for x in ledger.lives if x.stage is Stage.RETURNED and x.unrecorded and not x.dead_lettered]
    retrying = sum(1 for x in refused if x.last is not None and now - x.last <= pause)
    waits = may_wait(ledger, Leg.COMPLETION, now, lacks)
    return places(lacks, {Where.DEAD_LETTERED: dead, Where.RETRYING: min(retrying, waits)}, {})


def _is_one(ledger: Ledger) -> bool:
    """Whether there is a batch: named, or the caller's word for it."""
    return (bool(ledger.batch) or ledger.as_asked) and not ledger.made_none


def _closing(ledger: Ledger, profile: PipelineProfile, now: datetime, hidden: str) -> Iterator[Finding | Row]:
    attempt = ledger.attempt
    assert attempt is not None
    if ledger.closed is None:
        yield UNSEEN.says(
            Status.UNKNOWN, "whether the batch is closed could not be seen: no batch state and no line tells it"
        )
        if few := _too_few(ledger, profile):
            yield _may_wait(ledger, few, "no batch state tells it")
        yield Row(stage=Stage.CLOSED)
        return
    if ledger.hollow:
        yield _hollow(ledger, profile, attempt, now)
        yield Row(
            stage=Stage.CLOSED, reached=True, status=Status.FAULT, source=f"{ledger.closed_from}: without its work"
        )
        return
    if ledger.closed:
        if ledger.forced or ledger.short > stakes_of(ledger, profile).forgiven:
            yield _forced(ledger, attempt, now)
        else:
            at = f" at {clock(attempt.closed.at, now)}" if attempt.closed else ""
            untold = ledger.untold if not ledger.done else ""
            yield CLOSED.says(
                Status.UNKNOWN if untold else Status.OK,
                f"closed{at} with {ledger.done} of {ledger.expected}"
                + (f"; whether there was anything to do could not be seen: {untold}" if untold else ""),
                subject=subjects.batch(ledger.batch),
                rests_on=("BatchStatus", "BatchMarks"),
            )
        yield Row(stage=Stage.CLOSED, reached=True, status=Status.OK, source=ledger.closed_from)
        return
    yield from _open(ledger, profile, attempt, now, hidden)
    rule = _rule(profile)
    expects = f"expects {ledger.expected}" if ledger.expected is not None else "open"
    yield Row(
        stage=Stage.CLOSED,
        reached=False,
        status=Status.FAULT,
        source=f"{ledger.closed_from}: {expects}{rule}",
        basis="items",
    )


def _hollow(ledger: Ledger, profile: PipelineProfile, attempt: Attempt, now: datetime) -> Finding:
    """Closed, and nothing of it done: by whom, and what became of the work, as far as that was told."""
    noun = f"{profile.item}s"
    failed, gated = attempt.failed_to_publish, ledger.gated or 0
    if failed and failed >= ledger.wanted - gated:
        why = f"all {failed} of its {noun} failed to be published"
    elif attempt.empty and ledger.unlisted:
        why = f"none of its {ledger.wanted} {noun} was done: the coordinator kept them back"
    else:
        why = f"none of its {ledger.wanted} {noun} is recorded as done"
    closed = attempt.forced or attempt.closed
    return HOLLOW.says(
        Status.FAULT,
        f"the batch counts as closed{f' since {clock(closed.at, now)}' if closed else ''}{_by(ledger)}, and {why}",
        bears=Bears.HOLDS,
        held=ledger.wanted,
        since=closed.at if closed else None,
        rests_on=("BatchMarks", "BatchStatus"),
        subject=subjects.batch(ledger.batch),
        tells=Hollow(wanted=ledger.wanted, done=ledger.done),
    )


def _forced(ledger: Ledger, attempt: Attempt, now: datetime) -> Finding:
    """Closed with more missing than its closing rule forgives, or by a line that says so."""
    closed = attempt.forced or attempt.closed
    return FORCED.says(
        Status.WARNING,
        f"the batch was closed{f' at {clock(closed.at, now)}' if closed else ''} with {ledger.done} of {ledger.expected} done"
        + (_by(ledger) or "; no line tells who closed it"),
        bears=Bears.SLOWS,
        held=ledger.short,
        since=closed.at if closed else None,
        rests_on=("BatchMarks", "BatchStatus"),
        subject=subjects.batch(ledger.batch),
        tells=Missing(done=ledger.done, missing=ledger.short),
    )


def _by(ledger: Ledger) -> str:
    """Why it was closed, in the words of what tells it."""
    return f" ({ledger.forced})" if ledger.forced else ""


def _open(ledger: Ledger, profile: PipelineProfile, attempt: Attempt, now: datetime, hidden: str) -> Iterator[Finding]:
    over = _told(attempt, ledger, now)
    published = ledger.counts[Stage.PUBLISHED].exact if over else None
    expected = ledger.expected
    if expected is not None and published is not None:
        enough = _enough(expected, profile)
        unpublished = expected - published
        if published < enough:
            done = ledger.done >= published
            age_rule = profile.closing is not None and profile.closing.after_s is not None
            some = f"{'all ' if done else ''}{published} published {'are done' if done else 'items'}"
            yield (WAITS_FOR_UNPUBLISHED if done else WILL_WAIT).says(
                Status.FAULT,
                f"{some if published else 'nothing was published'}; the batch expects {expected}"
                + (f" and closes at {enough}" if enough != expected else "")
                + f", so it waits for {unpublished} that nobody published"
                + (" (an age rule may close it later, with work missing)" if age_rule else ""),
                bears=Bears.HOLDS,
                held=unpublished,
                since=ledger.last_progress,
                rests_on=("BatchStatus", "BatchMarks"),
                subject=subjects.batch(ledger.batch),
                tells=Waits(
                    published=published,
                    expected=expected,
                    enough=enough,
                    rest="nothing is on its way" if done else "what is on its way is not enough",
                ),
            )
            return
    if not over and hidden and (few := _too_few(ledger, profile)):
        yield _may_wait(ledger, few, hidden)
        return
    if published is None and ledger.untold:
        yield OPEN.says(
            Status.UNKNOWN,
            f"whether enough was published for the batch to close could not be seen: {ledger.untold}",
            subject=subjects.batch(ledger.batch),
            rests_on=("BatchMarks",),
        )
        return
    yield OPEN.says(
        Status.OK,
        f"{ledger.done} of {expected if expected is not None else '?'} done; open",
        subject=subjects.batch(ledger.batch),
    )


def _enough(expected: int, profile: PipelineProfile) -> int:
    return ceil(expected * (profile.closing.share if profile.closing else 1.0))


def _too_few(ledger: Ledger, profile: PipelineProfile) -> str:
    """What was published, where it is not enough for what the batch was made for to close; empty where it is, or is not known."""
    published, expected = ledger.counts[Stage.PUBLISHED].exact, ledger.expected
    if published is None or expected is None or published >= _enough(expected, profile):
        return ""
    return f"{published} of {expected} were published"


def _may_wait(ledger: Ledger, few: str, hidden: str) -> Finding:
    return OPEN.says(
        Status.UNKNOWN,
        f"{few}; whether the batch still waits for the rest could not be seen: {hidden}",
        subject=subjects.batch(ledger.batch),
        rests_on=("BatchStatus", "StartCalls"),
    )


def _hidden(calls: StartCalls | Unseen) -> str:
    """Why the end of the start call may not have been seen; empty where it would have been, or where the profile names no call."""
    if isinstance(calls, Unseen):
        return "" if calls.why in (Why.NOT_CONFIGURED, Why.NOT_ASKED) else calls.says
    return "" if calls.source.complete else calls.source.note


def _told(attempt: Attempt, ledger: Ledger, now: datetime) -> bool:
    """Whether the start call is over: until then the coordinator may still lower what it expects."""
    return attempt.call is not None or _settled(ledger, now)


def _rule(profile: PipelineProfile) -> str:
    if profile.closing is None:
        return ""
    return f", closes at {profile.closing.share:.0%}" if profile.closing.share < 1 else ", closes at all"


def _settled(ledger: Ledger, now: datetime) -> bool:
    """Completions and batch state are read at slightly different moments; a minute without news settles the difference."""
    newest = ledger.last_progress
    return newest is None or (now - newest).total_seconds() > 60
