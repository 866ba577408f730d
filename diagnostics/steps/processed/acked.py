"""What did the worker ack without a result: items that it gave up, that brought nothing, or whose results could not be stored?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from diagnostics.evidence.model import ItemMarks, Leg, Stage, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger, Life
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.processed.failing_items import reasons_told
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import at_least, count, so_many


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


class Unwritten(Tells, frozen=True, kw_only=True):
    unwritten: int
    """Items that came back as done though the worker says that what it made of them could not be stored."""
    back: int
    """All that came back."""


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
UNWRITTEN = Telling(
    "processed.unwritten",
    Stage.PROCESSED,
    "results could not be stored, and their items came back as done",
    Kind.EFFECT,
    tells=Unwritten,
)


def skipped_ones(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
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
        + reasons_told(x.reason for x in skipped)
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


def fruitless(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
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


def unwritten(ledger: Ledger, profile: PipelineProfile, marks: ItemMarks | Unseen) -> Iterator[Finding]:
    """Items that count as done and whose results are lost: the worker could not store them, and acked and reported all the same."""
    back, lost = [x for x in ledger.lives if _is_back(x)], unstored(ledger)
    if not lost or isinstance(marks, Unseen):
        return
    yield UNWRITTEN.says(
        Status.WARNING,
        f"{_of(len(lost), len(back), profile.item, marks.source.complete)} came back as done though the worker could not store the "
        f"result{reasons_told(x.reason for x in lost)}",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS,
        since=min((x.first for x in lost if x.first), default=None) if marks.source.complete else None,
        rests_on=("ItemMarks",),
        subject=subjects.receiving(profile, Leg.REQUEST),
        tells=Unwritten(unwritten=len(lost), back=len(back)),
    )


def unstored(ledger: Ledger) -> list[Life]:
    """Items that came back as done though the worker says that it could not store what it made of them."""
    return [x for x in ledger.lives if _is_back(x) and x.unwritten]


def _is_back(life: Life) -> bool:
    return life.stage in (Stage.RETURNED, Stage.RECORDED)


def _of(number: int, of: int, item: str, whole: bool) -> str:
    """all 12 orders, 3 of 12 orders; of lines that were not read whole 12 or more orders, 3 or more of 12 orders."""
    if number == of and of > 1:
        return f"all {count(of, item)}" if whole else at_least(whole, count(of, item))
    return f"{so_many(number, whole)} of {count(of, item)}"
