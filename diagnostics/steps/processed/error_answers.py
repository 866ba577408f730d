"""What errors does the program itself answer with?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from diagnostics.evidence.model import By, ItemMarks, Leg, LogRow, Mark, Means, Stage, Unseen
from diagnostics.readings.answers import Answer, lately, tally
from diagnostics.readings.owed import spent, through
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.processed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, clock, count, so_many


class Unreadable(Tells, frozen=True, kw_only=True):
    """Pushes that the program itself answered with a client error that is about the message."""

    answers: int
    recent: int
    """Of those in the last five minutes."""


class Errors(Tells, frozen=True, kw_only=True):
    """Pushes that the program itself answered with this status."""

    answers: int
    recent: int
    """Of those in the last five minutes."""
    share: float
    """Of those among what was answered in the last five minutes, 0 to 1."""
    status: int
    reads: int = 0
    """Messages of which its lines tell that it took them up, at other times: then the silence of its lines says something."""
    left: int = 1
    """0: pushes were answered so until nothing of the batch was left to be pushed."""


UNREADABLE = Telling(
    "processed.unreadable",
    Stage.PROCESSED,
    "messages that the receiver cannot read come back again and again",
    Kind.EFFECT,
    tells=Unreadable,
)
ERRORS = Telling("processed.errors", Stage.PROCESSED, "the receiver answers with errors", Kind.EFFECT, tells=Errors)
NO_ACK = Telling(
    "processed.no_ack",
    Stage.PROCESSED,
    "the receiver answers with a code that is no ack to Pub/Sub",
    Kind.EFFECT,
    tells=Errors,
)
TURNED_AWAY = Telling(
    "processed.turned_away",
    Stage.PROCESSED,
    "the receiver's program itself turns pushes away before it takes them up",
    Kind.EFFECT,
    tells=Errors,
)
UNREPORTED = Telling(
    "processed.unreported",
    Stage.PROCESSED,
    "the worker answers with an error where it could not report what it had done",
    Kind.EFFECT,
    tells=Errors,
)
FINE = Code("processed.fine", Stage.PROCESSED, "the receiver answers without errors")
_ABOUT_CALLS = (401, 403, 404, 405, 429)
"""Client errors that say something of the call or of the moment, and nothing of the message."""


def own_answers(seen: Seen, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """The program's own answers, by what they say of the message."""
    own = seen.told.of(By.APPLICATION)
    if not own:
        yield _fine(seen)
    unreadable = [r for r in own if 400 <= r.status < 500 and r.status not in _ABOUT_CALLS]
    if len(unreadable) > 1:
        yield _unreadable(seen, unreadable)
    for answer in seen.told.apart():
        if answer.by is By.APPLICATION and not (400 <= answer.status < 500 and answer.status not in _ABOUT_CALLS):
            yield _errors(seen, answer, _kind(seen, answer, marks), sum(m.many for m in _taken_up(seen, marks)))


def _unreadable(seen: Seen, rows: Sequence[LogRow]) -> Finding:
    fails = seen.fails(rows)
    fresh = lately(rows, seen.now)
    readable = through(seen.ledger, seen.leg)  # of what a program took up, each message was read
    holds = fails and seen.least > 0 and not readable
    holds = holds and len(fresh) > seen.recent.acks and 2 * len(fresh) >= seen.recent.nacks
    return UNREADABLE.says(
        Status.FAULT if holds else Status.WARNING if fails else Status.OK,
        f"{at_least(seen.told.whole, count(len(rows), 'push'))} answered {_codes(rows)} by the application itself"
        + _lately(seen, rows, fresh, fails),
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.APART,
        held=seen.least if holds else 0,
        since=seen.told.begin(rows),
        until=None if fails else rows[-1].at,
        rests_on=("RequestLog",),
        subject=subjects.answer("4xx", By.APPLICATION),
        tells=Unreadable(answers=len(rows), recent=len(fresh)),
    )


def _kind(seen: Seen, answer: Answer, marks: ItemMarks | Unseen) -> Telling[Errors]:
    """What the answer is, by its status and by what the program's lines tell beside it."""
    if answer.status < 400:
        return NO_ACK
    if answer.status in _WHO_CALLS and _never_taken_up(seen, answer, marks):
        return TURNED_AWAY
    return UNREPORTED if _unreported(seen, answer, marks) else ERRORS


_WHO_CALLS = (401, 403)
"""Answers that say something of who calls."""
_TAKEN_UP = {
    Leg.REQUEST: (Means.STARTED_ITEM, Means.FAILED_ITEM, Means.BAD_MESSAGE),
    Leg.COMPLETION: (Means.RETURNED_ITEM, Means.RETURN_REJECTED, Means.RECORD_ERROR),
}
"""What a program says that has read a message."""


def _never_taken_up(seen: Seen, answer: Answer, marks: ItemMarks | Unseen) -> bool:
    """Whether no line tells that the program read what it answered so: then it looked at who calls, and no further."""
    if isinstance(marks, Unseen) or not any(m.means in _TAKEN_UP[seen.leg] for m in seen.profile.markers):
        return False
    first, last = answer.rows[0].at - _MARGIN, answer.rows[-1].at + _MARGIN
    own = (r for r in seen.told.of(By.APPLICATION) if r.status != answer.status)
    lines = [m.at for m in _taken_up(seen, marks) if first <= m.at <= last]
    return _each_of_another(lines, [r.at for r in (*own, *seen.told.of_others)])


def _each_of_another(lines: Sequence[datetime], calls: Sequence[datetime]) -> bool:
    """Whether each line is of a call of its own that was answered otherwise, by their times."""
    left = list(calls)
    for at in lines:
        near = next((one for one in left if abs(one - at) <= _BESIDE), None)
        if near is None:
            return False
        left.remove(near)
    return True


def _taken_up(seen: Seen, marks: ItemMarks | Unseen) -> list[Mark]:
    return [] if isinstance(marks, Unseen) else [m for m in marks.marks if m.means in _TAKEN_UP[seen.leg]]


_NEARLY_ALL = 0.9


def _unreported(seen: Seen, answer: Answer, marks: ItemMarks | Unseen) -> bool:
    """Whether the worker's lines tell of a completion that could not be published, or not be recorded by itself, for nearly each of these
    answers: then these are of work that was done, and comes again for want of a way to say so."""
    if seen.leg is not Leg.REQUEST or isinstance(marks, Unseen) or answer.status < 500:
        return False
    unsaid = {Means.COMPLETION_ERROR} | ({Means.RECORD_ERROR} if seen.profile.completion is None else set())
    failed = [m for m in marks.marks if m.means in unsaid and m.at >= answer.rows[0].at - _MARGIN]
    return len(failed) >= _NEARLY_ALL * len(answer.rows)


_BESIDE = timedelta(seconds=5)
"""So far apart a line of a call and the call's own entry may be: it takes no longer to refuse one."""
_MARGIN = timedelta(minutes=1)
"""A request's time in the log may be its begin or its end."""


def _errors(seen: Seen, answer: Answer, code: Telling[Errors], reads: int) -> Finding:
    rows = answer.rows
    fails, fresh = seen.fails(rows), lately(rows, seen.now)
    early = seen.early and code is ERRORS
    holds = fails and not early and seen.holds(seen.told.of(By.APPLICATION))
    acked = seen.acked_beside(rows)
    share = len(fresh) / max(len(fresh) + acked, 1)
    to_the_last = code is TURNED_AWAY and not fails and _to_the_last(seen, rows)
    holds = holds or to_the_last
    broken = (fails and not early and not acked and not through(seen.ledger, seen.leg)) or to_the_last
    return code.says(
        Status.FAULT if broken else Status.WARNING if fails else Status.OK,
        f"{at_least(seen.told.whole, count(len(rows), 'push'))} answered {answer.status} by the application itself"
        + _AFTER.get(code.name, "")
        + _lately(seen, rows, fresh, fails)
        + ("; nothing of this batch was left to be pushed after that" if to_the_last else ""),
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=seen.least if holds else 0,
        since=seen.told.begin(rows),
        until=None if fails or to_the_last else rows[-1].at,
        rests_on=("RequestLog",),
        subject=subjects.answer(answer.status, By.APPLICATION),
        tells=Errors(
            answers=len(rows),
            recent=len(fresh),
            share=share,
            status=answer.status,
            reads=reads,
            left=int(not to_the_last),
        ),
    )


def _to_the_last(seen: Seen, rows: Sequence[LogRow]) -> bool:
    """Whether nearly all pushes were answered so and none was acked, until all that the leg owed was dead-lettered: that it has changed
    since nothing shows, and that no push meets it any more only that none is left."""
    first, last = rows[0].at, rows[-1].at
    acked = isinstance(seen.pushes, Unseen) or tally(seen.pushes, first).acks
    nearly_all = len(rows) >= _NEARLY_ALL * len(seen.told.rows)
    return seen.least > 0 and not acked and nearly_all and spent(seen.ledger, seen.leg, seen.now, last)


_AFTER = {
    UNREPORTED.name: ", having failed to report what it had done",
    NO_ACK.name: ", which is no ack to Pub/Sub",
    TURNED_AWAY.name: ", which had not taken them up",
}


def _fine(seen: Seen) -> Finding:
    """No error of the application is in the log. That is well if pushes are in it, and tells nothing if it leaves them out."""
    begin = clock(seen.told.since, seen.now)
    answered = [r for r in seen.told.fine if r.by is By.APPLICATION]
    if answered:
        fine = so_many(len(answered), seen.told.fine_whole)
        says = f"of the pushes since {begin} the log has {fine} that went well and none that the application refused"
        return FINE.says(Status.OK, says, leg=seen.leg, subject=seen.service, rests_on=("RequestLog",))
    if seen.recent.acks:
        says = f"pushes are acked, and none since {begin} is in the request log: it does not hold them all"
        return FINE.says(Status.UNKNOWN, says, leg=seen.leg, subject=seen.service, rests_on=("RequestLog",))
    return FINE.says(
        Status.IDLE,
        f"no push since {begin} is in the request log",
        leg=seen.leg,
        subject=seen.service,
        rests_on=("RequestLog",),
    )


def _codes(rows: Sequence[LogRow]) -> str:
    """404, or 404 (3), 400 (1)."""
    counts = Counter(r.status for r in rows).most_common(3)
    return ", ".join(f"{status} ({n})" if len(counts) > 1 else str(status) for status, n in counts)


def _lately(seen: Seen, rows: Sequence[LogRow], fresh: Sequence[LogRow], fails: bool) -> str:
    """How many of the rows are of the last five minutes; of which none is, whether more are to be expected."""
    if fails and fresh:
        return f", {'all' if len(fresh) == len(rows) else len(fresh)} of them in the last 5 min"
    return f", {'the last at' if fails else 'none since'} {clock(rows[-1].at, seen.now)}"
