"""Which items of the batch lie in a dead-letter topic: by Pub/Sub's own count, bounded by what can still wait, named by their tries.

The counter belongs to the whole subscription. Of what it counts since the batch began, as much is this batch's as cannot wait any
more, or as cannot have been waiting before it began; never more than the batch misses, or than messages of other batches leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    ChangeLog,
    DeadLetterCounts,
    EvidenceSet,
    ItemMarks,
    Leg,
    Means,
    PublishCounts,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
    seen,
)
from diagnostics.readings.ledger.arrived import arrived
from diagnostics.readings.ledger.ledger import DeadLetters, Ledger, Life
from diagnostics.readings.pace import between_tries

_LAG = timedelta(minutes=5)
"""Backlog and dead letters are visible after at most this long (four minutes, and a sample)."""


def dead_letters_of(ledger: Ledger, evidence: EvidenceSet, leg: Leg) -> DeadLetters:
    """What went to the leg's dead-letter topic since the batch began. Marks the items of which that is certain."""
    counter = seen(evidence.get(DeadLetterCounts, leg))
    subscription = evidence.get(SubscriptionConfig, leg)
    backlog = seen(evidence.get(Backlog, leg))
    limits = None if isinstance(subscription, Unseen) else subscription.settings
    still = between_tries(subscription) + _LAG
    if ledger.started is None or not ledger.counts:
        return DeadLetters(pause=still)
    begin = ledger.started - timedelta(minutes=1)
    could_wait = _could_wait(backlog)
    waited_before = _at(backlog, ledger.started)
    unseen = isinstance(subscription, Unseen) and could_wait is None
    anew = made_after(ledger, evidence, leg, limits)
    can_wait = could_wait if anew is None else 0
    counted_until = counter.source.as_of if counter else begin
    uncounted = _uncounted(ledger, limits, counted_until) if leg is Leg.REQUEST else ()
    beside = DeadLetters(
        pause=still,
        could_wait=can_wait,
        waited=waited_before,
        unseen=unseen,
        uncounted=uncounted,
        anew=anew,
        attempts=limits.dead_letter.max_attempts if limits and limits.dead_letter else None,
    )
    if counter is None:
        return beside
    points = [p for s in counter.series for p in s.within(begin) if p.value > 0]
    messages = round(sum(p.value for p in points))
    came = arrived(ledger, leg, evidence.get(PublishCounts, leg))
    owed = missed(ledger, leg)
    if leg is Leg.COMPLETION:
        owed = max(owed, _by_balance(ledger, messages, waited_before, came))
    spent = _spent(ledger, evidence.now, leg, limits, could_wait, still)
    again = sum(life.again for life in ledger.lives) if leg is Leg.REQUEST else 0  # done, and yet they may be what went
    theirs = _of_others(ledger, evidence, leg)
    certain = max(
        # Those of others that cannot wait any more either are among what is counted.
        min(owed - could_wait, messages - max(theirs - could_wait, 0)) if could_wait is not None else 0,
        messages - waited_before - again - theirs if waited_before is not None else 0,
        len(spent),
    )
    ours = max(min(certain, messages, owed - _given_up(ledger, leg), *([came] if came is not None else [])), 0)
    _mark(ledger, leg, spent, ours, owed)
    return replace(
        beside,
        messages=messages,
        ours=ours,
        most=min(messages, missed_most(ledger, leg)) if counter.source.complete else missed_most(ledger, leg),
        first=min((p.start for p in points), default=None),
        last=max((p.end for p in points), default=None),
        counted=True,
    )


def _uncounted(ledger: Ledger, settings: SubscriptionSettings | None, until: datetime) -> tuple[str, ...]:
    """Items that failed as often as the policy allows since its counter ends. Where any failed oftener, the policy does not bind."""
    if settings is None or settings.dead_letter is None:
        return ()
    most = settings.dead_letter.max_attempts
    if any(x.failures > most for x in ledger.lives):
        return ()
    open_ones = (x for x in ledger.lives if x.stage is Stage.DELIVERED and x.failures == most)
    return tuple(x.name for x in open_ones if x.last and x.last > until - _SAMPLE)


_SAMPLE = timedelta(minutes=1)
"""What is counted in the sample that ends with the counter may be older than the last of it."""


def _of_others(ledger: Ledger, evidence: EvidenceSet, leg: Leg) -> int:
    """Messages of other batches that failed since this one began and were not done, by their lines."""
    marks = seen(evidence.get(ItemMarks))
    if marks is None or leg is Leg.COMPLETION or ledger.started is None:
        return 0
    newest = {
        (m.batch, m.item): m for m in marks.marks if m.item and m.batch and m.means in _ENDS and m.at >= ledger.started
    }
    return sum(1 for (batch, _), m in newest.items() if batch != ledger.batch and m.means is Means.FAILED_ITEM)


_ENDS = (Means.FAILED_ITEM, Means.DONE_ITEM, Means.SKIPPED_ITEM)


def _given_up(ledger: Ledger, leg: Leg) -> int:
    """Items that the worker skipped and acked, and that never came back: whether it reports such a one at all is not known."""
    if leg is Leg.REQUEST:
        return 0
    return sum(1 for life in ledger.lives if life.skipped and not life.done and life.stage is Stage.PROCESSED)


def _by_balance(ledger: Ledger, messages: int, waited: int | None, came: int | None) -> int:
    """Completions of the batch that were dead-lettered, at least, where no line and no state tells which were recorded.

    Of what arrived on the topic since the batch began each item that came back has one. All else is other batches' or came twice; it, and
    what waited before, may be what was dead-lettered first.
    """
    recorded, back = ledger.counts[Stage.RECORDED], ledger.counts[Stage.RETURNED].least
    if recorded.source == "batch state" or recorded.exact is not None or waited is None or came is None:
        return 0
    return min(max(messages - waited - max(came - back, 0), 0), back - recorded.least)


def lost_on_the_way_back(ledger: Ledger, dead: DeadLetters) -> int:
    """Items that came back once, and whose completions lie in the dead-letter topic; at least."""
    unseen = ledger.gap(Stage.RETURNED)[1]
    return 0 if unseen is None else max(dead.ours - unseen, 0)


def missed(ledger: Ledger, leg: Leg) -> int:
    """Items that this leg has not brought to an end: not acked by the worker, or not recorded by the coordinator; at least."""
    stages = _STAGES[leg]
    nacked = sum(1 for life in ledger.lives if life.nacked_completion) if leg is Leg.REQUEST else 0
    return sum(ledger.gap(stage)[0] for stage in stages) + nacked


def missed_most(ledger: Ledger, leg: Leg) -> int:
    """The same at most; all that was expected, where no bound is known."""
    most = [ledger.gap(stage)[1] for stage in _STAGES[leg]]
    known = [m for m in most if m is not None]
    nacked = sum(1 for life in ledger.lives if life.nacked_completion) if leg is Leg.REQUEST else 0
    return sum(known) + nacked if len(known) == len(most) else max(ledger.expected or 0, missed(ledger, leg))


_STAGES = {
    Leg.REQUEST: (Stage.DELIVERED, Stage.PROCESSED),
    Leg.COMPLETION: (Stage.RETURNED, Stage.RECORDED),
}


def open_on(ledger: Ledger, leg: Leg) -> list[Life]:
    """Items that this leg is known to have taken up and not to have brought to an end."""
    if leg is Leg.REQUEST:
        return [x for x in ledger.lives if x.stage is Stage.DELIVERED or x.nacked_completion]
    on_the_way = [x for x in ledger.lives if x.stage is Stage.PROCESSED and x.done and not x.completion_failed]
    return [x for x in ledger.lives if x.stage is Stage.RETURNED] + on_the_way


def _spent(
    ledger: Ledger,
    now: datetime,
    leg: Leg,
    settings: SubscriptionSettings | None,
    could_wait: int | None,
    still: timedelta,
) -> list[Life]:
    """Items whose tries are used up, or that nothing pushes any more though nothing of them can wait; oldest first."""
    if settings is None or settings.dead_letter is None:
        return []
    most = settings.dead_letter.max_attempts
    tried = [(x, x.attempts if leg is Leg.REQUEST else x.unrecorded) for x in open_on(ledger, leg)]
    failed = [(x, tries) for x, tries in tried if x.failures or x.completion_failed or x.unrecorded]
    gone = [
        (tries < most, x.last or now, x)
        for x, tries in failed
        if tries >= most or (could_wait == 0 and x.last is not None and now - x.last > still)
    ]
    return [x for *_, x in sorted(gone, key=lambda g: g[:2])]


def _mark(ledger: Ledger, leg: Leg, spent: Sequence[Life], ours: int, owed: int) -> None:
    """Name the dead-lettered: those whose tries are used up; all that are open, if all that is owed is dead-lettered."""
    if not ours:
        return
    open_ones = open_on(ledger, leg)
    for life in open_ones if ours >= owed and ours >= len(open_ones) else spent[:ours]:
        life.dead_lettered = True


_CLOCKS = timedelta(seconds=5)
"""Two services may differ by so much in what time it is."""


def made_after(
    ledger: Ledger, evidence: EvidenceSet, leg: Leg, settings: SubscriptionSettings | None
) -> datetime | None:
    """When the leg's subscription was made, if all of the batch's messages had been published by then, and none came after it. That none
    came, lines tell that were seen whole."""
    changes, marks = seen(evidence.get(ChangeLog)), seen(evidence.get(ItemMarks))
    if changes is None or settings is None or marks is None or not marks.source.complete:
        return None
    made = [
        c.at
        for c in changes.changes
        if c.ok and c.method == "CreateSubscription" and c.resource.split("/")[-1] == settings.name.split("/")[-1]
    ]
    sent = _published(ledger, leg)
    if not made or not sent or max(sent) + _CLOCKS > max(made):
        return None
    passed = (Stage.RETURNED, Stage.RECORDED)
    came = (
        [x.first for x in ledger.lives if x.stage is not Stage.CREATED]
        if leg is Leg.REQUEST
        else [x.got_further for x in ledger.lives if x.stage in passed]
    )
    return None if any(at and at > max(made) for at in came) else max(made)


def _published(ledger: Ledger, leg: Leg) -> list[datetime]:
    """When messages of the batch were published on this leg, the last ones among them; empty: not told."""
    if leg is Leg.REQUEST:
        told = ledger.attempt.published if ledger.attempt else None
        return [told.at] if told else []
    ended = [x.ended for x in ledger.lives if x.done or x.skipped]
    return [at for at in ended if at] if all(ended) else []


def _could_wait(backlog: Backlog | None) -> int | None:
    """How many messages of the batch can still wait: no more than wait at all; None where the backlog was not seen whole."""
    if backlog is None or not backlog.source.complete:
        return None
    waits = max((s.last.value for s in backlog.undelivered if s.last), default=None)
    return None if waits is None else round(waits)


def _at(backlog: Backlog | None, moment: datetime) -> int | None:
    """How many messages waited when the batch began, none where no point is so old; None where the backlog was not seen whole."""
    if backlog is None or not backlog.source.complete:
        return None
    before = [p.value for s in backlog.undelivered for p in s.points if p.end <= moment]
    return round(before[-1]) if before else 0
