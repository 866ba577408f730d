"""What was delivered and not acked is owed as much as what never arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.ledger import Count, DeadLetters, Ledger
from diagnostics.readings.owed import absent, alive, nowhere, owed, spent, through, undone, unreached


def ledger(published: int, delivered: int | None, processed: int | None, returned: int = 0) -> Ledger:
    def count(n: int | None) -> Count:
        return Count(n or 0, n)

    stages = (Stage.PUBLISHED, Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED)
    numbers = (published, delivered, processed, returned, returned)
    return Ledger(counts={s: count(n) for s, n in zip(stages, numbers, strict=True)})


def test_nothing_is_owed_by_a_subscription_that_was_made_when_all_had_been_published() -> None:
    here = ledger(30, 21, 21)
    anew = replace(here, dead_letters={Leg.REQUEST: DeadLetters(anew=datetime(2026, 2, 8, tzinfo=UTC))})
    assert (owed(here, Leg.REQUEST), alive(here, Leg.REQUEST)) == ((9, 9), 9)
    assert (owed(anew, Leg.REQUEST), alive(anew, Leg.REQUEST), undone(anew, Leg.REQUEST)) == ((0, 0), 0, 9)


@pytest.mark.parametrize(
    ("delivered", "processed", "is_owed", "not_reached"),
    [
        (30, 30, (0, 0), (0, 0)),
        (30, 21, (9, 9), (0, 0)),
        (20, 20, (10, 10), (10, 10)),
        (None, 12, (18, 18), (0, 30)),
        (12, None, (18, 30), (18, 18)),
        (None, None, (0, 30), (0, 30)),
    ],
)
def test_owed_is_what_was_published_and_not_acked(
    delivered: int | None, processed: int | None, is_owed: tuple[int, int], not_reached: tuple[int, int]
) -> None:
    here = ledger(30, delivered, processed)
    assert owed(here, Leg.REQUEST) == is_owed
    assert unreached(here, Leg.REQUEST) == not_reached


def test_a_completion_is_owed_until_it_is_back() -> None:
    assert owed(ledger(30, 30, 20, returned=15), Leg.COMPLETION) == (5, 5)


@pytest.mark.parametrize(
    ("delivered", "processed", "dead", "is_alive", "is_nowhere"),
    [
        (20, 20, 0, 10, 10),
        (20, 20, 4, 6, 6),
        (20, 12, 4, 14, 6),
        (20, 12, 12, 6, 0),
        (30, 30, 4, 0, 0),
    ],
)
def test_dead_letters_are_neither_lost_nor_on_their_way(
    delivered: int, processed: int, dead: int, is_alive: int, is_nowhere: int
) -> None:
    """No line names them: each may be one that no code took up, so what is lost is so many at least."""
    here = replace(ledger(30, delivered, processed), dead_letters={Leg.REQUEST: DeadLetters(messages=dead, ours=dead)})
    assert (alive(here, Leg.REQUEST), nowhere(here, Leg.REQUEST)) == (is_alive, is_nowhere)


NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("dead", "could_wait", "minutes", "is_spent"),
    [
        (10, None, 30, True),
        (9, None, 30, False),
        (9, 1, 30, False),
        (0, 0, 30, True),
        (0, None, 30, False),
        (10, 0, 20, False),
    ],
)
def test_what_pushes_met_is_over_once_nothing_of_the_batch_is_left_to_be_pushed(
    dead: int, could_wait: int | None, minutes: int, is_spent: bool
) -> None:
    """Ten of thirty are missing: all dead-lettered, or none waits, and a message would have been tried again since."""
    went = DeadLetters(messages=dead, ours=dead, could_wait=could_wait, pause=timedelta(minutes=25))
    here = replace(ledger(30, 20, 20, returned=20), dead_letters={Leg.REQUEST: went})
    assert spent(here, Leg.REQUEST, NOW, NOW - timedelta(minutes=minutes)) is is_spent


def test_what_is_not_known_to_be_owed_is_not_known_to_be_spent() -> None:
    went = DeadLetters(messages=4, ours=4)
    here = replace(ledger(30, None, None), dead_letters={Leg.REQUEST: went})
    assert not spent(here, Leg.REQUEST, NOW, NOW - timedelta(hours=2))
    assert not spent(Ledger(), Leg.REQUEST, NOW, NOW - timedelta(hours=2))


def test_without_counts_nothing_is_known_to_be_owed() -> None:
    assert owed(Ledger(), Leg.REQUEST) == (0, None)
    assert not through(Ledger(), Leg.REQUEST)


@pytest.mark.parametrize(
    ("processed", "waits", "dead", "counted", "is_absent"),
    [
        (0, 2, 0, True, 28),
        (4, 2, 3, True, 21),
        (0, None, 0, True, 0),
        (None, 2, 0, True, 0),
        (0, 2, 0, False, 0),
        (20, 25, 0, True, 0),
    ],
)
def test_what_is_neither_acked_nor_waits_nor_is_dead_lettered_never_came(
    processed: int | None, waits: int | None, dead: int, counted: bool, is_absent: int
) -> None:
    """Of 30, whatever was pushed: old messages that come round are pushed more often than the batch has items."""
    letters = DeadLetters(messages=dead, most=dead, could_wait=waits, counted=counted)
    assert absent(replace(ledger(30, None, processed), dead_letters={Leg.REQUEST: letters})) == is_absent
