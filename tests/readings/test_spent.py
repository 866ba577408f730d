"""Dead letters look the same; what others did meanwhile tells whether the messages were bad or what they met."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    DeadLetterCounts,
    DeadLetterPolicy,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Key,
    Leg,
    Mark,
    Means,
    RequestLog,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.readings.ledger import build
from diagnostics.readings.spent import Spent, spent
from tests.steps.built import BEGAN, NOW, PROFILE, SOURCE, ago, batch, done, failed, lines, log, mark, row, series

BAD = ("x", "y", "z")
TRIES = 5


def failing(*items: str, since: float = 30, apart: float = 2) -> list[Mark]:
    means = (Means.STARTED_ITEM, Means.FAILED_ITEM)
    return [mark(m, since - n * apart, item) for item in items for n in range(TRIES) for m in means]


def taken_first(*items: str) -> list[Mark]:
    """The same, taken up a minute before the first failure."""
    return [replace(m, at=ago(31)) if m.means is Means.STARTED_ITEM and m.at == ago(30) else m for m in failing(*items)]


def at_work(*items: str, since: float, until: float) -> list[Mark]:
    both = ((Means.STARTED_ITEM, since), (Means.DONE_ITEM, until))
    return [mark(means, minutes, item) for item in items for means, minutes in both]


def told(*marks: Mark, dead: int = 3) -> Spent | None:
    limits = SubscriptionSettings(name="s", topic="t", dead_letter=DeadLetterPolicy(topic="d", max_attempts=TRIES))
    every = lines(*sorted(marks, key=lambda m: m.at))
    _, rows = log(row(25, 500), row(24, 500))
    found: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): every,
        ("SubscriptionConfig", Leg.REQUEST): SubscriptionConfig(source=SOURCE, settings=limits),
        ("DeadLetterCounts", Leg.REQUEST): DeadLetterCounts(source=SOURCE, series=(series({20: dead}),)),
    }
    ledger = build(EvidenceSet(found, NOW, timedelta(days=7), ago(BEGAN + 20)), PROFILE)
    assert isinstance(every, ItemMarks) and isinstance(rows, RequestLog)
    return spent(ledger, Leg.REQUEST, every, rows)


@pytest.mark.parametrize(
    ("marks", "theirs", "outage"),
    [
        ([*failing(*BAD), *done("a", "b", "c", minutes=25)], 3, 0),
        ([*failing(*BAD), *done("a", "b", "c", minutes=35)], 0, 3),
        ([*failing(*BAD), *done("a", "b", "c", minutes=10)], 0, 3),
        ([*failing(*BAD), *done("a", minutes=25), *failing("b", "c", since=26, apart=0.2), *done("b", "c", minutes=15)], 0, 0),
        ([*failing("x"), *done("a", "b", "c", minutes=35)], 0, 0),
        ([*failing("x"), *done("a", "b", "c", minutes=25)], 1, 0),
        ([*failing("x"), *failed("a", 27), *failed("b", 26), *done("a", "b", minutes=10)], 0, 1),
        ([*failing("x"), *failed("a", 27), *done("a", minutes=10)], 0, 0),
        ([*failing(*BAD), *at_work("a", "b", "c", since=31, until=29.5)], 0, 3),
        ([*failing(*BAD), *at_work("a", "b", "c", since=29.5, until=29)], 3, 0),
        ([*taken_first(*BAD), *at_work("a", "b", "c", since=30.9, until=29.5)], 3, 0),
        ([*taken_first(*BAD), *at_work("a", "b", since=30.9, until=29.5)], 0, 3),
        ([*taken_first(*BAD), *at_work("a", "b", "c", since=31.5, until=29.5)], 0, 3),
        ([*taken_first(*BAD), *at_work("a", "b", "c", since=30.9, until=30.2)], 0, 3),
    ],
)  # fmt: skip
def test_what_others_did_meanwhile_tells_the_bad_from_the_unlucky(marks: list[Mark], theirs: int, outage: int) -> None:
    found = told(*marks, dead=len({m.item for m in marks} & {*BAD}))
    assert found is not None
    assert (found.theirs, found.outage) == (theirs, outage)


def test_what_the_program_did_all_the_same_is_not_bad_itself() -> None:
    """Done too late for an ack, or without a way to report it: nothing is wrong with the message."""
    tries = failed("x", 30, 28, 26, 24, 22)
    tries.append(mark(Means.COMPLETION_ERROR, 22, "x"))
    others = done("a", "b", "c", minutes=25)
    never, did = (told(*tries, *more, *others, dead=1) for more in ((), (mark(Means.DONE_ITEM, 22, "x"),)))
    assert never is not None and did is not None
    assert (never.theirs, did.theirs) == (1, 0)


def test_what_was_taken_up_again_and_again_without_a_line_of_a_failure_is_not_bad_itself() -> None:
    """A container that dies takes along whatever it had, and says nothing."""
    tries = [mark(Means.STARTED_ITEM, minutes, "x") for minutes in (30, 28, 26, 24, 22)]
    tries.append(mark(Means.COMPLETION_ERROR, 22, "x"))  # so that it counts as tried and not done
    found = told(*tries, *done("a", "b", "c", minutes=25), dead=1)
    assert found is not None and found.theirs == 0


def because(reason: str, marks: list[Mark]) -> list[Mark]:
    return [replace(m, words={"reason": reason}) if m.means is Means.FAILED_ITEM else m for m in marks]


@pytest.mark.parametrize(
    ("reasons", "theirs", "outage"),
    [
        (("injured", "timeout"), 3, 3),  # two kinds
        (("injured", "injured"), 6, 0),  # bad ones that came last
        (("", ""), 6, 0),  # nothing tells them apart
    ],
)
def test_bad_ones_and_those_that_met_an_outage_later_are_told_apart_by_their_reasons(
    reasons: tuple[str, str], theirs: int, outage: int
) -> None:
    first, later = (
        because(why, marks)
        for why, marks in zip(reasons, (failing(*BAD), failing("u", "v", "w", since=12, apart=1)), strict=True)
    )
    found = told(*first, *done("a", "b", "c", minutes=25), *later, dead=6)
    assert found is not None
    assert (found.theirs, found.outage) == (theirs, outage)


def test_where_nothing_was_dead_lettered_nothing_is_told() -> None:
    assert told(*failing(*BAD), dead=0) is None


@pytest.mark.parametrize(("reason", "theirs"), [("ledger down", 3), ("no such player", 0)], ids=["another", "the same"])
def test_a_reason_that_as_many_others_overcame_is_no_reason_of_an_items_own(reason: str, theirs: int) -> None:
    """Three were dead-lettered while others got through. Three of those had failed, too, before."""
    bad = because("no such player", failing(*BAD))
    before = because(reason, [line for item in "abc" for line in failed(item, 35)])
    found = told(*bad, *before, *done(*"abcdef", minutes=25))
    assert found is not None and found.theirs == theirs
