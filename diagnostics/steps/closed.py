"""Is the batch closed, with its work done, and if not, can it still close?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil

from diagnostics.evidence.model import Means, Stage, StartCalls, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.pace import LONGEST_BACKOFF_S, LONGEST_DEADLINE_S
from diagnostics.readings.stakes import cut_short
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling
from diagnostics.steps.published import end_hidden
from diagnostics.steps.recorded import is_one, settled
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, span


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


class Enough(Tells, frozen=True, kw_only=True):
    done: int
    enough: int
    idle_s: float


CLOSED = Code("closed.yes", Stage.CLOSED, "the batch is closed")
FORCED = Telling("closed.forced", Stage.CLOSED, "the batch was closed with work missing", Kind.MECHANISM, tells=Missing)
WAITS_FOR_UNPUBLISHED = Telling(
    "closed.waits_for_unpublished",
    Stage.CLOSED,
    "the batch waits for items that nobody published",
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
ENOUGH = Telling(
    "closed.enough",
    Stage.CLOSED,
    "enough is done for the batch to be closed, and nothing has closed it",
    Kind.MECHANISM,
    tells=Enough,
)
OPEN = Code("closed.open", Stage.CLOSED, "the batch is open and items are not done")
UNSEEN = Code("closed.unseen", Stage.CLOSED, "whether the batch is closed could not be seen")


def closed(
    ledger: Ledger, profile: PipelineProfile, now: datetime, calls: StartCalls | Unseen
) -> Iterator[Finding | Row]:
    """Compares what the batch expects with what was published at all, and what it was closed with."""
    attempt = ledger.attempt
    if attempt is None or not ledger.counts or not is_one(ledger):
        yield Row(stage=Stage.CLOSED, not_reached=True)
        return
    if ledger.one_way:
        yield from _one_way(ledger, profile)
        return
    if ledger.closed is None:
        yield UNSEEN.says(
            Status.UNKNOWN, "whether the batch is closed could not be seen: no batch state and no line tells it"
        )
        if few := _too_few(ledger, profile):
            yield _may_wait(ledger, few, "no batch state tells it")
        elif not ledger.owes:
            yield OPEN.says(
                Status.UNKNOWN,
                f"all {ledger.done} {profile.item}s that are known of are done; nothing tells how many the batch expects",
                subject=subjects.batch(ledger.batch),
                rests_on=("BatchStatus", "BatchMarks", "ItemMarks"),
            )
        yield Row(stage=Stage.CLOSED)
        return
    if ledger.hollow:
        yield _hollow(ledger, profile, attempt, now)
        yield Row(
            stage=Stage.CLOSED, reached=True, status=Status.FAULT, source=f"{ledger.closed_from}: without its work"
        )
        return
    if ledger.closed:
        if cut_short(ledger, profile):
            yield _forced(ledger, attempt, now)
        else:
            at = f" at {clock(ended.at, now)}" if (ended := attempt.forced or attempt.closed) else ""
            untold = ledger.untold if not ledger.done else ""
            how = _with(ledger) if ledger.forced else f" with {ledger.done}{_of(ledger)}"
            how += f"; {ledger.given_up} are counted as failed" if ledger.given_up else ""
            yield CLOSED.says(
                Status.UNKNOWN if untold else Status.OK,
                f"closed{at}{how}"
                + (f"; whether there was anything to do could not be seen: {untold}" if untold else ""),
                subject=subjects.batch(ledger.batch),
                rests_on=("BatchStatus", "BatchMarks"),
            )
        yield Row(stage=Stage.CLOSED, reached=True, status=Status.OK, source=ledger.closed_from)
        return
    yield from _open(ledger, profile, attempt, now, end_hidden(calls))
    rule = _rule(profile)
    expects = f"expects {ledger.expected}" if ledger.expected is not None else "open"
    told = "no line closes it, " if ledger.by_silence else ""
    yield Row(
        stage=Stage.CLOSED,
        reached=False,
        status=Status.FAULT,
        source=f"{ledger.closed_from}: {told}{expects}{rule}",
        basis="items",
    )


def _one_way(ledger: Ledger, profile: PipelineProfile) -> Iterator[Finding]:
    """Nobody closes it: it is over when all its items are done, as far as their number is known."""
    about, nouns = subjects.batch(ledger.batch), f"{profile.item}s"
    if ledger.closed:
        yield CLOSED.says(
            Status.OK,
            f"all {ledger.expected} {nouns} are done, by the worker's lines",
            subject=about,
            rests_on=("ItemMarks",),
        )
    elif ledger.expected is None and not ledger.owes:
        yield OPEN.says(
            Status.UNKNOWN,
            f"all {ledger.done} {nouns} that are known of are done; nothing tells how many the batch has",
            subject=about,
            rests_on=("BatchMarks", "ItemMarks"),
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
    done = ledger.done if ledger.closed_with is None else ledger.closed_with
    missing = max(ledger.short, (ledger.expected or 0) - ledger.given_up - done)
    return FORCED.says(
        Status.WARNING,
        f"the batch was closed{f' at {clock(closed.at, now)}' if closed else ''}{_with(ledger)}",
        bears=Bears.SLOWS,
        held=missing,
        since=closed.at if closed else None,
        rests_on=("BatchMarks", "BatchStatus"),
        subject=subjects.batch(ledger.batch),
        tells=Missing(done=done, missing=missing),
    )


def _with(ledger: Ledger) -> str:
    """How much was done when it was closed, as far as that is told, and why; what was done later was not there yet."""
    why = _by(ledger) or "; no line tells who closed it"
    of = _of(ledger)
    if ledger.closed_with is not None:
        later = ledger.done - ledger.closed_with
        return f" with {ledger.closed_with}{of} done{why}" + (f"; {later} came after that" if later else "")
    if ledger.attempt and ledger.attempt.forced:
        return f"{why}; {ledger.done}{of} are done by now"
    return f" with {ledger.done}{of} done{why}"


def _of(ledger: Ledger) -> str:
    """Of how many; empty: nothing tells."""
    return "" if ledger.expected is None else f" of {ledger.expected}"


def _by(ledger: Ledger) -> str:
    """Why it was closed, in the words of what tells it."""
    return f" ({ledger.forced})" if ledger.forced else ""


def _open(ledger: Ledger, profile: PipelineProfile, attempt: Attempt, now: datetime, hidden: str) -> Iterator[Finding]:
    over = _told(attempt, ledger, now)
    published = ledger.counts[Stage.PUBLISHED].exact if over else None
    expected = ledger.expected
    if expected is not None and published is not None:
        needed = enough(expected, profile)
        unpublished = expected - published
        if published < needed:
            done = ledger.done >= published
            if ledger.by_silence and (doubt := _may_be_lowered(ledger, done, now)):
                yield _may_wait(ledger, f"{published} of {expected} were published", doubt)
                return
            age_rule = profile.closing is not None and profile.closing.after_s is not None
            some = f"{'all ' if done else ''}{published} published {'are done' if done else 'items'}"
            yield (WAITS_FOR_UNPUBLISHED if done else WILL_WAIT).says(
                Status.FAULT,
                f"{some if published else 'nothing was published'}; the batch expects {expected}"
                + (f" and closes at {needed}" if needed != expected else "")
                + f", so it waits for {unpublished} that nobody published"
                + (_unread(ledger, attempt, profile, now) or (_AGE_RULE if age_rule else "")),
                bears=Bears.HOLDS,
                held=unpublished,
                since=ledger.last_progress,
                rests_on=("BatchStatus", "BatchMarks"),
                subject=subjects.batch(ledger.batch),
                tells=Waits(
                    published=published,
                    expected=expected,
                    enough=needed,
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
    if overdue := _enough(ledger, profile, now):
        yield overdue
        return
    yield OPEN.says(
        Status.OK,
        f"{ledger.done} of {expected if expected is not None else '?'} done; open",
        subject=subjects.batch(ledger.batch),
    )


def _enough(ledger: Ledger, profile: PipelineProfile, now: datetime) -> Finding | None:
    """More is done than the closing rule asks for, though not all, and nothing has come for longer than any message rests: whatever looks
    at the rule has not looked since."""
    expected, newest = ledger.expected, ledger.last_progress
    if expected is None or newest is None or ledger.by_silence:
        return None
    needed, idle_s = enough(expected, profile), (now - newest).total_seconds()
    noun = "completion" if profile.comes_back else profile.item
    if not needed <= ledger.done < expected or idle_s <= _LONGEST_REST_S:
        return None
    return ENOUGH.says(
        Status.FAULT,
        f"{ledger.done} of {expected} are done, {needed} are enough for the batch to be closed, and nothing has closed it: no {noun} "
        f"has come for {span(idle_s)}, and a rule that runs only when one comes waits for ever",
        bears=Bears.HOLDS,
        since=newest,
        rests_on=("BatchStatus", "BatchMarks", "ItemMarks"),
        subject=subjects.batch(ledger.batch),
        tells=Enough(done=ledger.done, enough=needed, idle_s=idle_s),
    )


_LONGEST_REST_S = LONGEST_BACKOFF_S + LONGEST_DEADLINE_S
"""A message that fails is tried again within it, so that whatever would still come has come once."""
_AGE_RULE = " (an age rule may close it later, with work missing)"
_QUIET_S = 300.0
"""A closing rule that runs on a timer has run by then."""


def _may_be_lowered(ledger: Ledger, done: bool, now: datetime) -> str:
    """Why a batch whose state was not read may wait for what was published alone, for all that lines tell; empty: it does not.

    The completion of the last published item closes a batch that waits for no more.
    """
    if ledger.proven(Means.EXPECTED):
        return ""  # lowering leaves a line, and there is none
    if not done:
        return "no batch state tells it, and no line would tell whether its number was lowered"
    newest = ledger.last_progress
    if newest is not None and (now - newest).total_seconds() < _QUIET_S:
        return "no batch state tells it, and what closes it may yet run"
    return ""


def _unread(ledger: Ledger, attempt: Attempt, profile: PipelineProfile, now: datetime) -> str:
    """What may have happened to a batch whose state was not read, without leaving a line."""
    if not ledger.by_silence:
        return ""
    after_s = profile.closing.after_s if profile.closing else None
    aged = after_s is not None and (now - attempt.started).total_seconds() > after_s
    hidden = ["closed by hand"]
    hidden += ["closed by its age"] if aged and not ledger.proven(Means.FORCED) else []
    hidden += ["lowered at its start"] if not ledger.proven(Means.EXPECTED) and not _came_later(ledger, attempt) else []
    how = " or ".join(hidden)
    return f" (by the log alone: no line lowers or closes it; if it was {how}, there may be none)"


def _came_later(ledger: Ledger, attempt: Attempt) -> bool:
    """Whether a completion came after the start call, and closed nothing: then more was expected than had come."""
    ends = [m.at for m in attempt.marks if m.means in (Means.CREATED, Means.GATE, Means.PUBLISHED)]
    ends += [attempt.call.at + timedelta(seconds=attempt.call.latency_s)] if attempt.call else []
    return any(x.stage is Stage.RECORDED and x.got_further and x.got_further > max(ends) for x in ledger.lives)


def enough(expected: int, profile: PipelineProfile) -> int:
    """How many items have to be done for a batch that expects so many to be closed, by the rule of the profile."""
    return ceil(expected * (profile.closing.share if profile.closing else 1.0))


def _too_few(ledger: Ledger, profile: PipelineProfile) -> str:
    """What was published, where it is not enough for what the batch was made for to close; empty where it is, or is not known."""
    published, expected = ledger.counts[Stage.PUBLISHED].exact, ledger.expected
    if published is None or expected is None or published >= enough(expected, profile):
        return ""
    return f"{published} of {expected} were published"


def _may_wait(ledger: Ledger, few: str, hidden: str) -> Finding:
    return OPEN.says(
        Status.UNKNOWN,
        f"{few}; whether the batch still waits for the rest could not be seen: {hidden}",
        subject=subjects.batch(ledger.batch),
        rests_on=("BatchStatus", "StartCalls"),
    )


def _told(attempt: Attempt, ledger: Ledger, now: datetime) -> bool:
    """Whether the start call is over: until then the coordinator may still lower what it expects."""
    return attempt.call is not None or settled(ledger, now)


def _rule(profile: PipelineProfile) -> str:
    if profile.closing is None:
        return ""
    return f", closes at {profile.closing.share:.0%}"
