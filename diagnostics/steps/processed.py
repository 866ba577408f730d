"""What does the receiving code answer: who fails again and again, does it start at all, what does it give up?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    By,
    Death,
    Ended,
    ItemMarks,
    Leg,
    LogRow,
    Means,
    PlatformLines,
    PublishCounts,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    Revisions,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import (
    RECENT,
    Answer,
    Answers,
    Tally,
    answers,
    goes_on,
    lately,
    outlived,
    recent,
    tally,
)
from diagnostics.readings.arrived import owed_here
from diagnostics.readings.deaths import Deaths, deaths, last_said, lost_variable
from diagnostics.readings.expired import EXPIRED, at_work, work
from diagnostics.readings.failing import Broken, Failing, Item, failing
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.ledger.lives import attribute
from diagnostics.readings.owed import through
from diagnostics.readings.reasons import denied, limited
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Subject, Telling, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, between, clock, count, names, so_many, span


class Repeated(Tells, frozen=True, kw_only=True):
    """Items that failed more than once."""

    items: int
    failures: int
    """Of all of them together."""
    others: int | None = None
    """Other items that got through since each of them came round, at least."""
    through: int | None = None
    """Other items that got through on the revision on which these fail, at least."""
    beside: int | None = None
    """Items of the batch that have not got through either, and do not fail so."""
    recent: int | None = None
    """Failures in the last five minutes."""


def rare(told: Repeated) -> float | None:
    """How many items got through for each that fails, where these are all that is left; None where it is not."""
    return told.through / told.items if told.through is not None and told.beside == 0 else None


class AllFail(Tells, frozen=True, kw_only=True):
    """Items that came round since the receiver broke, and those that got through before."""

    failed: int
    tried: int
    before: int
    denied: int = 0
    """Of those that failed, items whose reason is that a right is lacking."""
    limited: int = 0
    """Items whose reason is a rate or a quota."""
    here: int = 0
    """Items of the batch that got through before on the very revision on which all fail now."""
    instances: int = 0
    """Containers in which they fail: in one alone, it may be that one."""
    reason: str = ""
    """The most frequent one; empty: their lines tell none."""
    picked_from: int = 0
    """Items of the batch of which a gate let only the lesser part through: what is left is no fair sample. 0: it did not."""


def lacks_a_right(told: AllFail) -> float:
    """Over 0: most fail for want of a right."""
    return 2 * told.denied - told.failed


def is_limited(told: AllFail) -> float:
    """Over 0: most fail over a rate or a quota."""
    return 2 * told.limited - told.failed


def worked_here(told: AllFail) -> float:
    """Over 0: nothing says that it is a right or a quota, and items of the batch got through on this very revision."""
    return told.here if max(lacks_a_right(told), is_limited(told)) <= 0 else 0


def unclear(told: AllFail) -> float:
    """Over 0: none of these."""
    return 1 if max(lacks_a_right(told), is_limited(told), worked_here(told)) <= 0 else 0


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


class Crashing(Tells, frozen=True, kw_only=True):
    exits: int
    """Containers that Cloud Run's lines tell of."""
    refused: int
    """Requests that they took along, or that met one that did not start."""
    why: str
    """What the program or Cloud Run said last; empty: nothing."""
    how: str
    """How they die, in words."""
    memory: int = 0
    """Of the containers, those killed for memory."""
    hung: int = 0
    """Those of which their own server killed what took too long."""
    unhealthy: int = 0
    """Those that Cloud Run shut down because their liveness probe failed."""
    lacking: int = 0
    """Those that exited over a variable that the revision before had."""
    other: int = 0
    """Those that exited or never started, for another reason or for none that was told."""
    explained: int = 0
    """Of those, where last words of one are known, the ones that a line of Cloud Run calls exited or not started."""
    variable: str | None = None
    """The variable that they lack."""
    revision: str | None = None
    """The revision that lacks it."""
    before: str | None = None
    """The one that had it."""


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


class Skipped(Tells, frozen=True, kw_only=True):
    """Items that the worker gave up and acked."""

    skipped: int
    open: int
    """Of those the ones that never came back."""
    finished: int
    """All that it finished or gave up."""
    reason: str
    """The most frequent one; empty: its lines tell none."""


def mostly_given_up(told: Skipped) -> float:
    """Over 0: it gave most up, and they all came back as done."""
    return 2 * told.skipped - told.finished if not told.open else 0


class Fruitless(Tells, frozen=True, kw_only=True):
    empty: int
    """Items of which nothing came, by their own lines."""
    finished: int


class TooFew(Tells, frozen=True, kw_only=True):
    per_min: float
    """Failures a minute in the last five minutes."""
    slots: int | None = None
    """Requests that the service can take at once."""


REPEATS = Telling(
    "processed.repeats", Stage.PROCESSED, "the same items fail again and again", Kind.EFFECT, tells=Repeated
)
FAIL = Telling(
    "processed.fail",
    Stage.PROCESSED,
    "items fail, and nothing tells whether others would",
    Kind.EFFECT,
    tells=Repeated,
)
ALL_FAIL = Telling(
    "processed.all_fail", Stage.PROCESSED, "everything that reaches the receiver fails", Kind.EFFECT, tells=AllFail
)
UNREADABLE = Telling(
    "processed.unreadable",
    Stage.PROCESSED,
    "messages that the receiver cannot read come back again and again",
    Kind.EFFECT,
    tells=Unreadable,
)
CRASHING = Telling(
    "processed.crashing", Stage.PROCESSED, "containers exit or cannot start", Kind.EFFECT, tells=Crashing
)
ERRORS = Telling("processed.errors", Stage.PROCESSED, "the receiver answers with errors", Kind.EFFECT, tells=Errors)
UNREPORTED = Telling(
    "processed.unreported",
    Stage.PROCESSED,
    "the worker answers with an error where it could not publish the completion",
    Kind.EFFECT,
    tells=Errors,
)
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
SKIPPED = Telling(
    "processed.skipped", Stage.PROCESSED, "the worker gave items up and acked them", Kind.EFFECT, tells=Skipped
)
FRUITLESS = Telling(
    "processed.fruitless",
    Stage.PROCESSED,
    "most of what the worker finished brought nothing",
    Kind.EFFECT,
    tells=Fruitless,
)
STORM_SMALL = Telling(
    "processed.storm_small", Stage.PROCESSED, "failing messages are too few to hold anything back", tells=TooFew
)
FINE = Code("processed.fine", Stage.PROCESSED, "the receiver answers without errors")
UNSEEN = Code("processed.unseen", Stage.PROCESSED, "what the receiver answers could not be seen")

_ABOUT_CALLS = (401, 403, 404, 405, 429)
"""Client errors that say something of the call or of the moment, and nothing of the message."""
_VISIBLE = timedelta(minutes=5)
"""Backlogs are visible after at most this long (four minutes, and a sample)."""
_AGAIN = 3
"""Fewer failures than this of all items together are a retry, and no coming back again and again."""


def processed(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    log: RequestLog | Unseen,
    lines: PlatformLines | Unseen,
    marks: ItemMarks | Unseen,
    pushes: PushCounts | Unseen,
    capacity: ReceiverCapacity | Unseen,
    subscription: SubscriptionConfig | Unseen,
    service: ServiceConfig | Unseen,
    published: PublishCounts | Unseen,
    revisions: Revisions | Unseen,
) -> Iterator[Finding | Row]:
    """Reads who answered in the request log, the marker lines of items, Cloud Run's own lines about containers, and what the serving
    revision lacks of what such lines name."""
    pause = ledger.dead(leg).pause
    told = answers(log, ledger.started or now - timedelta(hours=1))
    seen = _Seen(leg, ledger, profile, now, told, pushes, pause, published)
    if leg is Leg.REQUEST:
        yield _row(ledger, now)
        yield from _items(seen, failing(ledger, marks, pushes), service)
        yield from _skipped(ledger, profile, marks)
        yield from _fruitless(ledger, profile, marks)
    if isinstance(log, Unseen) and isinstance(lines, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"request log and container log could not be seen: {log.says}",
            leg=leg,
            subject=seen.service,
        )
        return
    yield from _crashes(seen, log, lines, service, revisions)
    if not isinstance(log, Unseen):
        yield from _answers(seen, service, marks)
        yield from _too_long(seen, capacity, subscription, _at_work(seen, marks, lines))


@dataclass(frozen=True)
class _Seen:
    """One leg with its answers, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    profile: PipelineProfile
    now: datetime
    told: Answers
    """Pushes in the request log since the batch began; without a batch, of the last hour."""
    pushes: PushCounts | Unseen
    pause: timedelta
    """How long a message may rest between two pushes."""
    published: PublishCounts | Unseen

    @property
    def service(self) -> Subject | None:
        return subjects.receiving(self.profile, self.leg)

    @property
    def recent(self) -> Tally:
        return recent(self.pushes)

    @property
    def least(self) -> int:
        """Items of the batch that this receiver has not acked and that can come to it: they wait in the subscription, or its refusals
        made them dead letters. Where nothing left the subscription since the batch began, what waited before is no item of it."""
        owes = owed_here(self.ledger, self.leg, self.published)
        dead, began, newest = self.ledger.dead(self.leg), self.ledger.started, self.ledger.last_progress
        if dead.could_wait is None or began is None or (newest is not None and self.now - newest <= _VISIBLE):
            return owes
        still = not isinstance(self.pushes, Unseen) and dead.counted and not dead.messages
        still = still and not tally(self.pushes, began - timedelta(minutes=1)).acks
        return min(owes, max(dead.could_wait - (dead.waited or 0 if still else 0), 0) + dead.ours)

    @property
    def kept_away(self) -> int:
        """Of those, the items that no line tells of having come round within the longest pause."""
        lately = sum(1 for x in self.ledger.lives if x.stage is Stage.DELIVERED and _within(x, self.now, self.pause))
        return max(self.least - lately, 0)

    def acks_since(self, at: datetime) -> float:
        """Pushes that were acked after the minute that holds this moment, by the counters."""
        return tally(self.pushes, at + timedelta(minutes=1)).acks

    def fails(self, rows: Sequence[LogRow]) -> bool:
        """Whether pushes are still answered like these."""
        return goes_on(rows, self.told, self.pushes, self.now, self.pause) and (
            rows[-1].at > self._counted_now or self.least > 0
        )

    @property
    def _counted_now(self) -> datetime:
        """Since when pushes count as of now: counters that still call them failing are older than the log."""
        at = self.now if isinstance(self.pushes, Unseen) else min(self.now, self.pushes.source.as_of)
        return (at if self.recent.nacks else self.now) - RECENT

    def holds(self, rows: Sequence[LogRow]) -> bool:
        """Whether these answers stop the batch: it is owed, nothing is acked, and no other hand refuses more."""
        lately_all, own = lately(self.told.rows, self.now), lately(rows, self.now)
        foremost = 2 * len(own) >= len(lately_all)
        return self.least > 0 and not self.recent.acks and foremost and not through(self.ledger, self.leg)

    def unended(self, for_s: float) -> int:
        """Items of the batch that the worker took up longer ago than this, and of which no line tells a failure or an end."""
        begun = self.now - timedelta(seconds=for_s)
        open_ones = (x for x in self.ledger.lives if x.stage is Stage.DELIVERED and not (x.failures or x.dead_lettered))
        return sum(1 for x in open_ones if x.first is not None and x.first < begun)


def _items(seen: _Seen, found: Failing, service: ServiceConfig | Unseen) -> Iterator[Finding]:
    """What the item lines tell: a few that fail whatever others do, everything since a moment, or what nothing tells apart."""
    dead = {x.name for x in seen.ledger.lives if x.dead_lettered}
    broken = {(i.name, i.ours) for i in found.broken.items} if found.broken else set()
    repeats = {(i.name, i.ours) for i in found.repeats}
    for ours in (True, False):
        again = [i for i in found.items if i.ours is ours and i.failures > 1]
        lettered = [i for i in again if ours and i.name in dead]
        rest = [i for i in again if not (ours and i.name in dead)]
        past = [i for i in rest if seen.now - i.last > seen.pause]
        still = [i for i in rest if seen.now - i.last <= seen.pause]
        yield from _past_items(seen, found, lettered, "they went to the dead-letter topic")
        yield from _past_items(seen, found, past, "nothing pushes them any more")
        yield from _repeating(seen, found, [i for i in still if (i.name, ours) in repeats], service)
        if ours:
            yield from _unsure(seen, found, [i for i in still if (i.name, ours) not in repeats | broken])
    if found.broken is not None:
        yield _all_fail(seen, found.broken)


def _repeating(
    seen: _Seen, found: Failing, items: Sequence[Item], service: ServiceConfig | Unseen
) -> Iterator[Finding]:
    """Items that come round and fail. Those of the batch are held; others keep away what does not come round
    while they fail more often than pushes get through."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    ours = items[0].ours
    fail_now = found.lately(ours, seen.now - RECENT)
    kept_away = seen.kept_away
    holds = ours or (kept_away > 0 and fail_now > seen.recent.acks and 2 * fail_now >= seen.recent.nacks)
    held = (len(items) if ours else kept_away) if holds else 0
    yield REPEATS.says(
        Status.FAULT if holds else Status.WARNING,
        f"{_repeats_told(seen, found, items)}; others get through",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS if holds else Bears.APART,
        held=held,
        since=min(i.first for i in items) if found.whole and ours else None,  # others may have failed before the window
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(
            items=len(items),
            failures=sum(i.failures for i in items),
            others=min(i.others for i in items),
            recent=fail_now,
        ),
    )
    if seen.ledger.told and not holds:
        yield _too_few(seen, fail_now, service)


def _repeats_told(seen: _Seen, found: Failing, items: Sequence[Item]) -> str:
    """How often, over the very span in which it was, and why; a bound where not all lines were read."""
    first, last = min(i.first for i in items), max(i.last for i in items)
    failed = sum(i.failures for i in items)
    return (
        f"the same {count(len(items), seen.profile.item)} failed {at_least(found.whole, count(failed, 'time'))} "
        f"{between(first, last, seen.now)}{_reasons(i.reason for i in items)}: {names(i.name for i in items)}; "
        + _whose(seen, items[0].ours)
    )


def _whose(seen: _Seen, ours: bool) -> str:
    if ours:
        return "of this batch"
    return "of no item of this batch" if seen.ledger.told else "of which batch, nothing tells"


def _reasons(reasons: Iterable[str]) -> str:
    """The reasons given, most frequent first; with a count where there are several."""
    told = Counter(r for r in reasons if r)
    return f" ({', '.join(f'{n} {reason}' for reason, n in told.most_common(3))})" if told else ""


def _past_items(seen: _Seen, found: Failing, items: Sequence[Item], ended: str) -> Iterator[Finding]:
    """They failed again and again, and come round no more."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    yield REPEATS.says(
        Status.OK,
        f"{_repeats_told(seen, found, items)}; {ended}",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if items[0].ours else Bears.APART,
        since=min(i.first for i in items) if found.whole and items[0].ours else None,
        until=max(i.last for i in items),
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(items=len(items), failures=sum(i.failures for i in items), recent=0),
    )


def _unsure(seen: _Seen, found: Failing, items: Sequence[Item]) -> Iterator[Finding]:
    """Items of the batch that come round and fail, and nothing that was tried since they were tells whether others would."""
    if sum(i.failures for i in items) < _AGAIN:
        return
    yield FAIL.says(
        Status.FAULT,
        f"{_repeats_told(seen, found, items)}; whether others would get through nothing tells",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=len(items),
        since=min(i.first for i in items) if found.whole else None,
        rests_on=("ItemMarks",),
        subject=seen.service,
        tells=Repeated(
            items=len(items),
            failures=sum(i.failures for i in items),
            through=min(i.through for i in items),
            beside=max(seen.least - len(items), 0),
        ),
    )


def _all_fail(seen: _Seen, broken: Broken) -> Finding:
    """Everything that came round since a moment failed: then the messages are not what is wrong."""
    item = seen.profile.item
    over = seen.now - broken.last > seen.pause
    tried = count(len(broken.items), item)
    before = f"; {broken.before} had got through before" if broken.before else ""
    return ALL_FAIL.says(
        Status.OK if over else Status.FAULT,
        f"since {clock(broken.since, seen.now)} all {tried} that came round failed, "
        f"and nothing was acked{_reasons(i.reason for i in broken.items)}{before}"
        + (f"; the last failed at {clock(broken.last, seen.now)} and none came since" if over else ""),
        leg=Leg.REQUEST,
        bears=Bears.APART if not seen.least else Bears.SLOWS if over else Bears.HOLDS,
        held=0 if over else seen.least,
        since=broken.since,
        until=broken.last if over else None,
        rests_on=("ItemMarks", "PushCounts"),
        subject=seen.service,
        tells=AllFail(
            failed=len(broken.items),
            tried=len(broken.items),
            before=broken.before,
            denied=sum(denied(i.reason) for i in broken.items),
            limited=sum(limited(i.reason) for i in broken.items),
            here=broken.here,
            instances=broken.instances,
            reason=next((r for r, _ in Counter(i.reason for i in broken.items if i.reason).most_common(1)), "")[:120],
            picked_from=_picked_from(seen.ledger),
        ),
    )


def _picked_from(ledger: Ledger) -> int:
    """How many items a gate had before it, if it kept most of them back."""
    gated, passed = ledger.gated or 0, ledger.counts[Stage.PUBLISHED].most
    return gated + passed if passed is not None and gated > passed else 0


def _too_few(seen: _Seen, fail_now: int, service: ServiceConfig | Unseen) -> Finding:
    per_min = fail_now / (RECENT.total_seconds() / 60)
    slots = None
    if not isinstance(service, Unseen) and service.settings:
        template = service.settings.template
        slots = template.max_instances * template.concurrency
    return STORM_SMALL.says(
        Status.OK,
        f"{per_min:.1f} failures of such messages a minute"
        + (f" against {slots} worker slots" if slots else "")
        + " hold nothing of this batch",
        leg=Leg.REQUEST,
        subject=seen.service,
        tells=TooFew(per_min=per_min, slots=slots or None),
    )


def _skipped(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """Items that the worker gave up: some are business, but they are no work done, and without a completion they never come back."""
    skipped = [x for x in ledger.lives if x.skipped and not x.done]
    if not skipped or isinstance(marks, Unseen):
        return
    open_ones = [x for x in skipped if x.stage is Stage.PROCESSED] if not ledger.closed else []
    finished = max(ledger.counts[Stage.PROCESSED].least, len(skipped))
    most = 2 * len(skipped) > finished
    reasons = Counter(x.reason for x in skipped if x.reason)
    whole = marks.source.complete
    yield SKIPPED.says(
        Status.WARNING if open_ones or most else Status.OK,
        f"the worker gave up {_of(len(skipped), finished, profile.item, whole)} and acked them"
        + _reasons(x.reason for x in skipped)
        + ("; no work was done at all" if whole and len(skipped) == finished else "")
        + (f"; {len(open_ones)} of them never came back" if open_ones and len(open_ones) < len(skipped) else ""),
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if open_ones or most else Bears.APART,
        held=len(open_ones),
        since=min((x.ended for x in skipped if x.ended), default=None) if whole else None,
        rests_on=("ItemMarks",),
        subject=subjects.receiving(profile, Leg.REQUEST),
        tells=Skipped(
            skipped=len(skipped),
            open=len(open_ones),
            finished=finished,
            reason=reasons.most_common(1)[0][0] if reasons else "",
        ),
    )


def _fruitless(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """Finished items whose own lines say that nothing came of them."""
    counted = [x for x in ledger.lives if x.done and x.brought is not None]
    empty = [x for x in counted if not x.brought]
    if 2 * len(empty) <= len(counted) or isinstance(marks, Unseen):
        return
    yield FRUITLESS.says(
        Status.WARNING,
        f"{_of(len(empty), len(counted), profile.item, marks.source.complete)} finished with no result",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS,
        since=min((x.ended for x in empty if x.ended), default=None) if marks.source.complete else None,
        rests_on=("ItemMarks",),
        subject=subjects.receiving(profile, Leg.REQUEST),
        tells=Fruitless(empty=len(empty), finished=len(counted)),
    )


def _of(number: int, of: int, item: str, whole: bool) -> str:
    """all 12 orders, 3 of 12 orders; of lines that were not read whole 12 or more orders, 3 or more of 12 orders."""
    if number == of and of > 1:
        return f"all {count(of, item)}" if whole else at_least(whole, count(of, item))
    return f"{so_many(number, whole)} of {count(of, item)}"


def _crashes(
    seen: _Seen,
    log: RequestLog | Unseen,
    lines: PlatformLines | Unseen,
    service: ServiceConfig | Unseen,
    revisions: Revisions | Unseen,
) -> Iterator[Finding]:
    dead = deaths(log, lines)
    if not dead.times:
        return
    first, newest = dead.times[0], dead.times[-1]
    acks = seen.acks_since(newest)
    untried = _untried(seen, dead, acks)
    past = seen.now - newest > seen.pause and not untried
    over = past or outlived(dead.number, tally(seen.pushes, first, newest).acks, acks)
    meets = _meets(seen, log)
    holds = not over and meets and not acks and not seen.recent.acks
    met = meets or any(r.at >= seen.told.since for r in dead.rows)
    why, how, now_how = _why_dead(dead, lines)
    good_at = seen.ledger.last_good.started if seen.ledger.last_good else None
    lost = lost_variable(why, service, revisions, good_at)
    whose = names({x.revision for x in dead.lines if x.revision})
    yield CRASHING.says(
        Status.OK if over else Status.FAULT if holds else Status.WARNING,
        f"containers{f' of {whose}' if whose else ''} {how} {at_least(dead.whole, count(dead.number, 'time'))}, the last at "
        f"{clock(newest, seen.now)}"
        + (f": {why[:120]}" if why else "")
        + (f"; {lost.before} had {lost.name}" if lost else "")
        + ("; no push has come as far since" if untried else ""),
        leg=seen.leg,
        bears=Bears.HOLDS if holds and seen.least else Bears.SLOWS if met and (seen.least or over) else Bears.APART,
        held=seen.least if holds else 0,
        since=first if dead.whole else None,
        until=newest if over else None,
        rests_on=("PlatformLines", "RequestLog") + (("ServiceConfig", "Revisions") if lost else ()),
        subject=seen.service,
        tells=Crashing(
            exits=dead.number if dead.lines else 0,
            refused=len(dead.rows),
            why=why,
            how=now_how,
            memory=dead.by_kind[Death.MEMORY],
            hung=dead.by_kind[Death.HUNG],
            unhealthy=dead.by_kind[Death.UNHEALTHY],
            other=0 if lost else dead.by_kind[Death.EXITED],
            explained=dead.exited if why and not lost else 0,
            lacking=dead.by_kind[Death.EXITED] if lost else 0,
            variable=lost.name if lost else None,
            revision=lost.revision if lost else None,
            before=lost.before if lost else None,
        ),
    )


def _meets(seen: _Seen, log: RequestLog | Unseen) -> bool:
    """Whether pushes now come as far as the containers, or may: what is turned away before them, or never sent, they do not hold."""
    if seen.told.rows:
        newest = [r for r in seen.told.rows if r.at > seen.told.rows[-1].at - RECENT]
        return 2 * sum(r.by is By.CLOUD_RUN for r in newest) >= len(newest)
    if isinstance(seen.pushes, Unseen):
        return True
    since = tally(seen.pushes, seen.ledger.started or seen.told.since).refused
    return bool(since.keys() & _BY_CONTAINERS) or (isinstance(log, Unseen) and bool(since))


_BY_CONTAINERS = frozenset({"remote_server_5xx", EXPIRED, "unreachable"})
"""How pushes are counted that a container which died left without an answer."""


def _untried(seen: _Seen, dead: Deaths, acks: float) -> bool:
    """Whether messages of the batch met the crash, and all pushes since were turned away before they came to a container."""
    if acks or not seen.least or not any(r.at >= seen.told.since for r in dead.rows):
        return False
    later = [r for r in seen.told.rows if r.at > dead.times[-1]]
    return bool(later) and all(r.by is By.FRONT_END for r in later)


def _why_dead(dead: Deaths, lines: PlatformLines | Unseen) -> tuple[str, str, str]:
    """(what the program or Cloud Run said last, how they died, how they die)."""
    most, _ = max(dead.by_kind.items(), key=lambda kind: kind[1])
    if most is Death.EXITED:
        return last_said(dead, lines), "exited or failed to start", "exit or never start"
    # what it printed last is of its work, not of its end
    why = next((x.text for x in reversed(dead.lines) if x.death is most), "")
    return why, *_ENDS_BY[most]


_ENDS_BY = {
    Death.MEMORY: ("were killed for memory", "are killed for memory"),
    Death.HUNG: (
        "had work killed by their own server for taking too long",
        "have work killed by their own server for taking too long",
    ),
    Death.UNHEALTHY: (
        "were shut down because their liveness probe failed",
        "are shut down because their liveness probe fails",
    ),
}


def _answers(seen: _Seen, service: ServiceConfig | Unseen, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """The program's own answers, by what they say of the message; and requests that Cloud Run ended because they took too long."""
    own = seen.told.of(By.APPLICATION)
    if not own:
        yield _fine(seen)
    unreadable = [r for r in own if 400 <= r.status < 500 and r.status not in _ABOUT_CALLS]
    if len(unreadable) > 1:
        yield _unreadable(seen, unreadable)
    for answer in seen.told.apart():
        if answer.by is By.APPLICATION and not (400 <= answer.status < 500 and answer.status not in _ABOUT_CALLS):
            yield _errors(seen, answer, UNREPORTED if _unreported(seen, answer, marks) else ERRORS)
    cut_off = seen.told.of(By.CLOUD_RUN, ended=(Ended.TIMED_OUT,))
    if cut_off:
        yield _timed_out(seen, cut_off, service)


def _unreadable(seen: _Seen, rows: Sequence[LogRow]) -> Finding:
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


_NEARLY_ALL = 0.9


def _unreported(seen: _Seen, answer: Answer, marks: ItemMarks | Unseen) -> bool:
    """Whether the worker's lines tell of a completion that could not be published for nearly each of these answers: then these are of
    work that was done, and comes again for want of a way to say so."""
    if seen.leg is not Leg.REQUEST or isinstance(marks, Unseen) or answer.status < 500:
        return False
    failed = [m for m in marks.marks if m.means is Means.COMPLETION_ERROR and m.at >= answer.rows[0].at - _MARGIN]
    return len(failed) >= _NEARLY_ALL * len(answer.rows)


_MARGIN = timedelta(minutes=1)
"""A request's time in the log may be its begin or its end."""


def _errors(seen: _Seen, answer: Answer, code: Telling[Errors]) -> Finding:
    rows = answer.rows
    fails, fresh = seen.fails(rows), lately(rows, seen.now)
    holds = fails and seen.holds(seen.told.of(By.APPLICATION))
    share = len(fresh) / max(len(fresh) + seen.recent.acks, 1)
    broken = fails and not seen.recent.acks and not through(seen.ledger, seen.leg)
    after = ", having failed to publish the completion" if code is UNREPORTED else ""
    return code.says(
        Status.FAULT if broken else Status.WARNING if fails else Status.OK,
        f"{at_least(seen.told.whole, count(len(rows), 'push'))} answered {answer.status} by the application itself{after}"
        + _lately(seen, rows, fresh, fails),
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=seen.least if holds else 0,
        since=seen.told.begin(rows),
        until=None if fails else rows[-1].at,
        rests_on=("RequestLog",),
        subject=subjects.answer(answer.status, By.APPLICATION),
        tells=Errors(answers=len(rows), recent=len(fresh), share=share, status=answer.status),
    )


def _timed_out(seen: _Seen, rows: Sequence[LogRow], service: ServiceConfig | Unseen) -> Finding:
    """Cloud Run ended them itself, when they had taken as long as a request may; what they took longer they waited for an instance."""
    fails = seen.fails(rows)
    longest = max(r.latency_s for r in rows)
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


def _limit_told(service: ServiceConfig | Unseen, longest_s: float) -> str:
    """The request timeout, by its own number where the longest request took another."""
    limit_s = None if isinstance(service, Unseen) or service.settings is None else service.settings.template.timeout_s
    if limit_s is None or span(limit_s) == span(longest_s) or limit_s > longest_s:
        return "the request timeout"
    return f"over the request timeout of {span(limit_s)}"


def _at_work(seen: _Seen, marks: ItemMarks | Unseen, lines: PlatformLines | Unseen) -> list[float]:
    """How long containers have been at items of the batch, in seconds; nothing where Cloud Run cut requests off, for then what was taken
    up may have been given up without a word."""
    cut_off = seen.told.of(By.CLOUD_RUN, ended=(Ended.TIMED_OUT,))
    if seen.leg is not Leg.REQUEST or isinstance(marks, Unseen) or isinstance(lines, Unseen) or cut_off:
        return []
    mine, _ = attribute(marks.marks, seen.ledger.attempt)
    gone = {x.instance for x in lines.lines if x.death is not None}
    return at_work(mine, min(seen.now, marks.source.as_of), gone)


def _too_long(
    seen: _Seen, capacity: ReceiverCapacity | Unseen, subscription: SubscriptionConfig | Unseen, running: list[float]
) -> Iterator[Finding]:
    """Pushes expire while a program is at work on them, the wait for an instance left out. Where none of that work has ended, it may as
    well hang."""
    late = tally(seen.pushes, seen.told.since).classes.get(EXPIRED, 0)
    if not late or isinstance(subscription, Unseen) or subscription.settings is None:
        return
    deadline_s = subscription.settings.ack_deadline_s
    took = work(seen.told, capacity, deadline_s)
    still = [s for s in running if s > deadline_s]
    if not took.over and not still:
        return
    expires = bool(seen.recent.classes.get(EXPIRED)) or not seen.recent.all
    holds = expires and seen.least > 0 and not seen.recent.acks
    work_s = took.typical_s if took.over else still[0]
    whom = f"worked {span(work_s)} and longer on {at_least(seen.told.whole, count(took.over, 'push'))}"
    if not took.over:
        whom = f"has been at {count(len(still), seen.profile.item)} for up to {span(work_s)} and has ended none"
    yield TOO_LONG.says(
        Status.FAULT if holds else Status.WARNING if expires and seen.least else Status.OK,
        f"the receiver {whom}, against an ack deadline of {span(deadline_s)}: Pub/Sub hangs up and pushes them again",
        leg=seen.leg,
        bears=Bears.HOLDS if holds else Bears.SLOWS if seen.least else Bears.APART,
        held=min(seen.least, max(took.over, len(still))) if holds else 0,
        rests_on=("RequestLog", "ReceiverCapacity", "SubscriptionConfig", "PushCounts", "ItemMarks"),
        subject=seen.service,
        tells=TooLong(over=took.over, at_work=len(still), work_s=work_s, deadline_s=deadline_s, expired=late),
    )


def _fine(seen: _Seen) -> Finding:
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


def _lately(seen: _Seen, rows: Sequence[LogRow], fresh: Sequence[LogRow], fails: bool) -> str:
    """How many of the rows are of the last five minutes; of which none is, whether more are to be expected."""
    if fails and fresh:
        return f", {'all' if len(fresh) == len(rows) else len(fresh)} of them in the last 5 min"
    return f", {'the last at' if fails else 'none since'} {clock(rows[-1].at, seen.now)}"


def _row(ledger: Ledger, now: datetime) -> Row:
    here = ledger.counts.get(Stage.PROCESSED)
    before = ledger.before(Stage.PROCESSED) if ledger.counts else None
    if here is None or before is None or before.most == 0:
        return Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, not_reached=True)
    least, _ = ledger.gap(Stage.PROCESSED)
    return Row(
        stage=Stage.PROCESSED,
        leg=Leg.REQUEST,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=_where(ledger, now, least),
        basis=here.basis,
        status=Status.WARNING if least else (Status.OK if here.most is not None else Status.UNKNOWN),
        source=here.source,
    )


def _within(life: Life, now: datetime, pause: timedelta) -> bool:
    return life.last is not None and now - life.last <= pause


def _where(ledger: Ledger, now: datetime, lacks: int) -> dict[str, int]:
    """Where items are that reached the worker and were not acked: by their own lines, bounded by what can still wait."""
    dead = ledger.dead_at(Stage.PROCESSED)
    pause = ledger.dead(Leg.REQUEST).pause
    open_ones = [x for x in ledger.lives if x.stage is Stage.DELIVERED and not x.dead_lettered]
    lately = [x for x in open_ones if _within(x, now, pause)]
    failing = sum(1 for x in lately if x.tried_before)
    silent = len(open_ones) - len(lately)
    rest = lacks - dead - len(lately)
    return places(
        lacks,
        {Where.DEAD_LETTERED: dead, Where.RETRYING: failing, Where.IN_FLIGHT: len(lately) - failing},
        {Where.WAITING: max(min(silent, may_wait(ledger, Leg.REQUEST, now, lacks) - len(lately), rest), 0)},
    )
