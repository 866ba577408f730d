"""Did the worker publish a completion for each item it finished, to a topic that leads back to the coordinator?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

from diagnostics.evidence.model import ItemMarks, Leg, Means, PublishCounts, PushCounts, Stage, TopicConfig, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import RECENT, by_class
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.readings.overdue import overdue
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.returned.never_sent import MISSING, SILENT, was_never_sent
from diagnostics.steps.returned.refused import ERRORS, could_not_be_published, lines
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, count, names


class Overdue(Tells, frozen=True, kw_only=True):
    items: int
    """Done minutes ago, and not back."""


RETURNED = Code("returned.all", Stage.RETURNED, "finished items came back to the coordinator")
OVERDUE = Telling(
    "returned.overdue",
    Stage.RETURNED,
    "items were done minutes ago and have not come back, while later ones have",
    Kind.CONSEQUENCE,
    tells=Overdue,
)
NOT_CONFIGURED = Code("returned.not_configured", Stage.RETURNED, "the profile names no completion leg")


def returned(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    marks: ItemMarks | Unseen,
    topic: Annotated[TopicConfig | Unseen, Leg.COMPLETION],
    sent: Annotated[PublishCounts | Unseen, Leg.COMPLETION],
    work: Annotated[PushCounts | Unseen, Leg.REQUEST],
    back: Annotated[PushCounts | Unseen, Leg.COMPLETION],
) -> Iterator[Finding | Row]:
    """Reads the worker's own errors, the completion topic and its counter; pushes to the coordinator are `delivered`'s."""
    least, most = ledger.gap(Stage.RETURNED) if ledger.counts else (0, None)
    if profile.completion is None and not ledger.one_way:
        yield NOT_CONFIGURED.says(
            Status.UNKNOWN if ledger.batch and not ledger.done else Status.OK,
            "the profile names no completion subscription, so the way back is not looked at",
            leg=Leg.COMPLETION,
        )
    ours = lines(ledger, marks)
    found = list(could_not_be_published(ledger, ours, marks, topic, sent, profile, now, (least, most)))
    if not isinstance(sent, Unseen) and not isinstance(work, Unseen):
        found += was_never_sent(ledger, profile, topic, sent, work, back, least, ours, marks)
    late = [] if found or _come_again(back) else overdue(ledger, now)
    if late:
        found.append(_late(ledger, profile, late, now))
    yield from found
    if ledger.one_way or (profile.completion is None and not profile.has(Means.RETURNED_ITEM)):
        return  # no such stage, as far as the profile tells
    here = ledger.counts.get(Stage.RETURNED)
    before = ledger.before(Stage.RETURNED) if ledger.counts else None
    if here is None or before is None or before.most == 0:
        yield Row(stage=Stage.RETURNED, leg=Leg.COMPLETION, not_reached=True)
        return
    if not found and here.least and not least:
        yield RETURNED.says(
            Status.OK,
            f"{count(here.least, 'completion')} came back",
            leg=Leg.COMPLETION,
            subject=subjects.batch(ledger.batch),
        )
    where = _where(ledger, found, least, back, now, len(late))
    held = any(f.status is Status.FAULT and f.held for f in found)
    yield Row(
        stage=Stage.RETURNED,
        leg=Leg.COMPLETION,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=where,
        basis=here.basis,
        status=Status.FAULT if held else Status.WARNING if least else Status.OK if here.known else Status.UNKNOWN,
        source=here.source,
    )


def _late(ledger: Ledger, profile: PipelineProfile, late: Sequence[Life], now: datetime) -> Finding:
    """Items whose completions should be back: whether they were never sent or went another way nothing tells yet."""
    first = min((x.ended for x in late if x.ended), default=now)
    return OVERDUE.says(
        Status.WARNING,
        f"{count(len(late), profile.item)} done since {clock(first, now)} did not come back, and others that were done later did: "
        f"{names(x.name for x in late)}",
        leg=Leg.COMPLETION,
        bears=Bears.SLOWS,
        since=first,
        rests_on=("ItemMarks",),
        subject=subjects.batch(ledger.batch),
        tells=Overdue(items=len(late)),
    )


def _come_again(back: PushCounts | Unseen) -> bool:
    """Whether completions were refused of late: then what has not come back comes again."""
    return not isinstance(back, Unseen) and any(k != "ack" for k in by_class(back.series, back.source.as_of - RECENT))


def _where(
    ledger: Ledger, found: list[Finding], lacks: int, back: PushCounts | Unseen, now: datetime, late: int
) -> dict[str, int]:
    """Where finished items are that have not come back: given up and never reported, never published, or on their way.
    Counters are the whole subscription's: they bound it."""
    open_ones = [x for x in ledger.lives if x.stage is Stage.PROCESSED]
    faults = [f for f in found if f.status is Status.FAULT]
    apart = sum(f.held for f in faults if f.code in _APART)
    never = max((apart, *(f.held for f in faults)))
    skipped = min(sum(1 for x in open_ones if x.skipped and not x.done), never)
    again = [x for x in open_ones if ledger.comes_again(x)]
    dead = ledger.dead_at(Stage.RETURNED) + sum(1 for x in again if x.dead_lettered)
    pause = ledger.dead(Leg.REQUEST).pause
    coming = sum(1 for x in again if not x.dead_lettered and x.last is not None and now - x.last <= pause)
    lost = max(never - skipped - len(again), 0)
    on_the_way = may_wait(ledger, Leg.COMPLETION, now, max(lacks - skipped - dead - coming - lost - late, 0))
    return places(
        lacks,
        {Where.SKIPPED: skipped, Where.DEAD_LETTERED: dead, Where.RETRYING: coming, Where.DROPPED: lost},
        {Where.RETRYING if _come_again(back) else Where.IN_FLIGHT: on_the_way},
    )


_APART = frozenset({ERRORS.name, MISSING.name, SILENT.name})
"""What is said of these is said of different items each."""
