"""Does the work take longer than a request may, or than Pub/Sub waits for its ack?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from diagnostics.evidence.model import (
    By,
    Ended,
    ItemMarks,
    Leg,
    LogRow,
    PlatformLines,
    ReceiverCapacity,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.readings.answers import RECENT, lately, outlived, tally
from diagnostics.readings.expired import EXPIRED, at_work, by_lines, work
from diagnostics.readings.ledger.lives import attribute
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.processed.seen import Seen
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, clock, count, span


class TimedOut(Tells, frozen=True, kw_only=True):
    answers: int
    timeout_s: float
    """How long the longest took."""


class TooLong(Tells, frozen=True, kw_only=True):
    """Pushes over which programs took longer than the ack deadline, in seconds."""

    over: int
    """Those that have ended."""
    at_work: int = 0
    """Items of the batch that a container took up longer ago than the deadline and has not brought to an end."""
    work_s: float
    """The median of those that have ended; where none has, the longest that one has been at work."""
    deadline_s: float
    expired: float
    """Pushes that ran into the deadline for whatever reason."""


TIMED_OUT = Telling(
    "processed.timed_out",
    Stage.PROCESSED,
    "requests take longer than the request timeout",
    Kind.EFFECT,
    tells=TimedOut,
)
TOO_LONG = Telling(
    "processed.too_long", Stage.PROCESSED, "work takes longer than the ack deadline", Kind.MECHANISM, tells=TooLong
)


def timed_out(seen: Seen, service: ServiceConfig | Unseen) -> Iterator[Finding]:
    """Requests that Cloud Run ended because they took too long."""
    if rows := seen.told.of(By.CLOUD_RUN, ended=(Ended.TIMED_OUT,)):
        yield _timed_out(seen, rows, service)


def _timed_out(seen: Seen, rows: Sequence[LogRow], service: ServiceConfig | Unseen) -> Finding:
    """Cloud Run ended them itself, when they had taken as long as a request may; what they took longer they waited for an instance."""
    longest = max(r.latency_s for r in rows)
    fails = seen.fails(rows) or _may_have_ended_lately(seen, rows, _limit_s(service))
    cut = seen.unended(longest) if seen.leg is Leg.REQUEST else 0
    holds = fails and (seen.holds(rows) or (cut > 0 and seen.least > 0 and not seen.recent.acks))
    return TIMED_OUT.says(
        Status.OK if not fails else Status.FAULT if holds else Status.WARNING,
        f"Cloud Run ended {at_least(seen.told.whole, count(len(rows), 'push'))} with 504 after {span(longest)}, "
        + _limit_told(service, longest)
        + ("" if fails else f", none since {clock(rows[-1].at, seen.now)}"),
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=min(seen.least, max(len(lately(rows, seen.now)), cut, 1)) if holds else 0,
        since=seen.told.begin(rows),
        until=None if fails else rows[-1].at,
        rests_on=("RequestLog",),
        subject=subjects.answer(504, By.CLOUD_RUN),
        tells=TimedOut(answers=len(rows), timeout_s=longest),
    )


def _may_have_ended_lately(seen: Seen, rows: Sequence[LogRow], limit_s: float | None) -> bool:
    """Whether the last of these may have been cut off lately, though its entry is older: an entry may be stamped with the begin of its
    request, and a request that is cut off has taken as long as one may. Not where more have been acked since than chance allows, nor
    where requests may take longer by now."""
    last = rows[-1]
    if not seen.least or last.at + timedelta(seconds=last.latency_s) <= seen.now - RECENT:
        return False
    if limit_s is not None and limit_s > last.latency_s + _ROUNDED_S:
        return False
    later = seen.acks_since(last.at)
    return not outlived(len(rows), max(tally(seen.pushes, rows[0].at).acks - later, 0), later)


_ROUNDED_S = 1.0
"""What a latency in the log may fall short of the timeout that it ran into."""


def _limit_s(service: ServiceConfig | Unseen) -> float | None:
    return None if isinstance(service, Unseen) or service.settings is None else service.settings.template.timeout_s


def _limit_told(service: ServiceConfig | Unseen, longest_s: float) -> str:
    """The request timeout, by its own number where the longest request took another."""
    limit_s = _limit_s(service)
    if limit_s is None or span(limit_s) == span(longest_s) or limit_s > longest_s:
        return "the request timeout"
    return f"over the request timeout of {span(limit_s)}"


def at_work_s(seen: Seen, marks: ItemMarks | Unseen, lines: PlatformLines | Unseen) -> list[float]:
    """How long containers have been at items of the batch, in seconds; nothing where Cloud Run cut requests off, for then what was taken
    up may have been given up without a word."""
    cut_off = seen.told.of(By.CLOUD_RUN, ended=(Ended.TIMED_OUT,))
    if seen.leg is not Leg.REQUEST or isinstance(marks, Unseen) or isinstance(lines, Unseen) or cut_off:
        return []
    mine, _ = attribute(marks.marks, seen.ledger.attempt)
    gone = {x.instance for x in lines.lines if x.death is not None}
    return at_work(mine, min(seen.now, marks.source.as_of), gone)


def took_s(seen: Seen, marks: ItemMarks | Unseen) -> list[float]:
    """How long containers took over items of the batch that they brought to an end, in seconds."""
    if seen.leg is not Leg.REQUEST or isinstance(marks, Unseen):
        return []
    mine, _ = attribute(marks.marks, seen.ledger.attempt)
    return by_lines(mine)


def _failed_each_try(seen: Seen) -> int:
    """Items in the dead-letter topic that the program failed each time it took them up: more time would not have done them."""
    if seen.leg is not Leg.REQUEST:
        return 0
    return sum(1 for x in seen.ledger.lives if x.dead_lettered and x.failures and x.failures >= x.starts)


_MANY = 0.1
"""So large a share of pushes over which the work outlasts the deadline is no exception: the next batch meets it, too."""


def too_long(
    seen: Seen,
    capacity: ReceiverCapacity | Unseen,
    subscription: SubscriptionConfig | Unseen,
    running: list[float],
    ended: list[float],
) -> Iterator[Finding]:
    """Pushes expire while a program is at work on them, the wait for an instance left out. Where none of that work has ended, it may as
    well hang."""
    late = tally(seen.pushes, seen.told.since).classes.get(EXPIRED, 0)
    if not late or isinstance(subscription, Unseen) or subscription.settings is None:
        return
    deadline_s = subscription.settings.ack_deadline_s
    took = work(seen.told, capacity, deadline_s, ended)
    still = [s for s in running if s > deadline_s]
    if not took.over and not still:
        return
    expires = bool(seen.recent.classes.get(EXPIRED)) or not seen.recent.all
    owed = max(seen.least - _failed_each_try(seen), 0)
    holds = expires and owed > 0 and not seen.recent.acks
    often = took.over > _MANY * took.all
    if seen.told.whole and not often and not still and 2 * took.over < late:  # most of what expired was not at work yet
        return
    work_s = took.typical_s if took.over else still[0]
    whom = f"worked {span(work_s)} and longer on {at_least(seen.told.whole, count(took.over, 'push'))}"
    if not took.over:
        whom = f"has worked on {count(len(still), seen.profile.item)} for up to {span(work_s)} and finished none"
    yield TOO_LONG.says(
        Status.FAULT if holds else Status.WARNING if often or (expires and seen.least) else Status.OK,
        f"the receiver {whom}, against an ack deadline of {span(deadline_s)}: Pub/Sub hangs up and pushes them again",
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=min(owed, max(took.over, len(still))) if holds else 0,
        rests_on=("RequestLog", "ReceiverCapacity", "SubscriptionConfig", "PushCounts", "ItemMarks"),
        subject=seen.service,
        tells=TooLong(over=took.over, at_work=len(still), work_s=work_s, deadline_s=deadline_s, expired=late),
    )
