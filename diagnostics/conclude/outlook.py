"""What becomes of a batch that nobody touches: whether it finishes alone, what leaves that open, and when it may be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from diagnostics.causes.verdict import Verdict
from diagnostics.conclude.diagnosis import Forecast, State
from diagnostics.conclude.drain import Forecast as Drains
from diagnostics.conclude.drain import drain
from diagnostics.conclude.standing import doubts, first_tries, has
from diagnostics.evidence.model import Leg, Stage
from diagnostics.pipeline.profile import Closing
from diagnostics.readings.arrived import Came
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.overdue import overdue
from diagnostics.steps import created, progress
from diagnostics.steps.delivered import given_up
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.words import clock, count, span


class Terms(NamedTuple):
    """On which terms a batch may finish, and what was seen of it."""

    forgiven: int = 0
    """Items that may stay behind, and it closes all the same."""
    closing: Closing | None = None
    """The coordinator's rule."""
    lines: bool = True
    """Whether the lines of items were seen, which would tell that some fail."""
    came: Came | None = None
    """What came onto the request topic since the batch began; None: not seen, or others published there, too."""


class Unsure(NamedTuple):
    """One reason for promising nothing of a batch that moves."""

    says: str
    status: Status = Status.OK
    """What an answer that has nothing worse to say then is."""


class Outlook(Struct, frozen=True, kw_only=True):
    """What becomes of it."""

    alone: bool | None
    """Whether it finishes alone. None: could not tell."""
    unsure: tuple[Unsure, ...] = ()
    """Why that could not be told of a batch that moves, the gravest first."""
    forecast: Forecast = Forecast()


def outlook(
    state: State, verdict: Verdict, ledger: Ledger, findings: Sequence[Finding], now: datetime, terms: Terms
) -> Outlook:
    """The outlook of a batch in that state."""
    rate, ends = _pace(ledger, now) if state is State.RUNNING else (None, None)
    unsure = tuple(_unsure(ledger, findings, now, terms, rate)) if state is State.RUNNING else ()
    unsure = tuple(sorted(unsure, key=lambda one: _GRAVEST.index(one.status)))
    alone = _alone(state, verdict, findings, unsure)
    expected = _forecast(findings, ledger, rate, ends if alone else None) if state is State.RUNNING else Forecast()
    return Outlook(alone=alone, unsure=unsure if alone is None else (), forecast=expected)


def agreed(status: Status, state: State, ahead: Outlook) -> Status:
    """The same, where it agrees with whether a running batch finishes alone: what does is in no need of anybody, and all is not well
    where something speaks against it. What one that is done left behind is another matter."""
    if status is Status.OK and ahead.unsure:
        return ahead.unsure[0].status
    return Status.WARNING if status is Status.FAULT and state is State.RUNNING and ahead.alone else status


_GRAVEST = (Status.UNKNOWN, Status.WARNING, Status.OK)


def _alone(state: State, verdict: Verdict, findings: Sequence[Finding], unsure: Sequence[Unsure]) -> bool | None:
    if not verdict.held and state is not State.FAILED and doubts(findings):
        return None
    if state is State.DONE:
        return True
    if verdict.held or state is State.FAILED:
        return False
    return True if state is State.RUNNING and not unsure else None


def _unsure(
    ledger: Ledger, findings: Sequence[Finding], now: datetime, terms: Terms, rate: float | None
) -> Iterator[Unsure]:
    """What leaves it open whether a batch that moves, and that nothing holds, gets done."""
    if ledger.expected is None:
        yield Unsure("nothing tells how many items it has")
    if unsent := _perhaps_unpublished(ledger, now, terms):
        yield unsent
    if not terms.lines:
        yield Unsure("not all lines about its items were read, and others may tell of failures", Status.UNKNOWN)
    if has(findings, given_up.DEAD_LETTERED, statuses=(Status.WARNING,)):
        yield Unsure("what was given up may be of this batch")
    if first_tries(findings):
        yield Unsure("what fails is at its first tries")
    late = len(overdue(ledger, now)) + len(ledger.dead(Leg.REQUEST).uncounted)
    if late > terms.forgiven:
        yield Unsure(f"{count(late, 'item')} should have come by now", Status.WARNING)
    if rests := _rests(ledger, now):
        yield Unsure(rests, Status.WARNING)
    if has(findings, progress.TOO_EARLY, statuses=(Status.OK,)):
        yield Unsure("nothing can have come back yet")
    if slow := _too_slow(ledger, now, terms, rate):
        yield slow


_A_PAUSE = timedelta(minutes=2)
"""A topic that took nothing for longer, as its counter tells, is sent nothing more."""


def _perhaps_unpublished(ledger: Ledger, now: datetime, terms: Terms) -> Unsure | None:
    """Whether fewer are known to have been published than it needs: no coordinator tells of them, and the topic's counter has fewer."""
    published, came = ledger.counts.get(Stage.PUBLISHED), terms.came
    needs = (ledger.expected or 0) - terms.forgiven
    if published is None or published.least >= needs or (came is not None and came.messages >= needs):
        return None
    if came is not None and came.last is not None and came.until - came.last > _A_PAUSE:
        says = (
            f"only {count(came.messages, 'message')} came onto the topic, the last of them by {clock(came.last, now)}"
        )
        return Unsure(says, Status.WARNING)
    return Unsure("nothing tells that all of it was published")


def _too_slow(ledger: Ledger, now: datetime, terms: Terms, rate: float | None) -> Unsure | None:
    """Whether, at the pace that it has, the coordinator's rule closes the batch before enough of it can be done."""
    if terms.closing is None or terms.closing.after_s is None:
        return None
    if not ledger.started:
        return Unsure("when it began is not known, and the coordinator closes what is too old")
    left = max((ledger.expected or 0) - terms.forgiven - ledger.done, 0)
    closes = ledger.started + timedelta(seconds=terms.closing.after_s)
    if not rate or not now < closes < (takes := now + timedelta(minutes=left / rate)):
        return None
    says = (
        f"the coordinator closes it at {clock(closes, now)}, and at this pace the rest takes until {clock(takes, now)}"
    )
    return Unsure(says, Status.WARNING)


def _pace(ledger: Ledger, now: datetime) -> tuple[float | None, Drains | None]:
    """How many items a minute come back, and when all that is left may be done."""
    back = [x for x in ledger.lives if x.last and x.stage in (Stage.RETURNED, Stage.RECORDED)]
    came_back = sorted(x.last for x in back if x.last)
    left = max((ledger.expected or 0) - ledger.done, 0)
    slowest = max((x.last - x.first for x in back if x.last and x.first), default=timedelta(0))
    return drain(came_back, now, left, slowest)


_A_REST = timedelta(minutes=3)
"""Shorter silences than this come by chance, and by lines that can be read seconds after they are written."""


def _rests(ledger: Ledger, now: datetime) -> str:
    """Whether nothing has got further for twice as long as any item took so far, and more is left than what is at work at its first try:
    that it moved before is no promise. Empty: it does not rest."""
    at_work = sum(1 for x in ledger.lives if x.stage is Stage.DELIVERED and not x.tried_before)
    if (ledger.expected or 0) - ledger.done <= at_work:
        return ""
    back = (x for x in ledger.lives if x.stage in (Stage.RETURNED, Stage.RECORDED) or (ledger.one_way and x.ended))
    took = [end - x.first for x in back if x.first and (end := x.ended or x.got_further)]
    newest = ledger.last_progress
    if not took or newest is None or now - newest <= max(_A_REST, 2 * max(took)):
        return ""
    since, longest = span((now - newest).total_seconds()), span(max(took).total_seconds())
    return f"nothing got further for {since}, where no item took longer than {longest}"


def _forecast(findings: Sequence[Finding], ledger: Ledger, rate: float | None, ends: Drains | None) -> Forecast:
    """When to ask again, how fast the batch drains, and, only of what finishes alone, by when it is done at the latest as long as that pace
    holds."""
    due = next((at for f in findings if (at := _due(f)) is not None), None)
    ask_again = datetime.fromtimestamp(due, UTC) if due else None
    if ledger.expected is None or rate is None:
        return Forecast(ask_again_at=ask_again)
    latest = ends.latest if ends else None
    return Forecast(
        done_by=_full_minute(latest) if latest else None, ask_again_at=ask_again, rate_per_min=round(rate, 2)
    )


_MINUTE = timedelta(minutes=1)
"""By when a batch is done is told in full minutes, never as one that has begun."""


def _full_minute(at: datetime) -> datetime:
    """The first full minute that is no earlier."""
    begun = at.replace(second=0, microsecond=0)
    return at if at == begun else begun + _MINUTE


def _due(finding: Finding) -> float | None:
    """By when something must have moved, in seconds since 1970, where the finding tells it."""
    told = progress.TOO_EARLY.of(finding) or progress.PROGRESSING.of(finding) or created.LOADING.of(finding)
    return told.due if told else None
