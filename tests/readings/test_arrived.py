"""What did not arrive on a topic is on no route's account. A counter that lags, is cut short or hidden bounds nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diagnostics.evidence.model import (
    Backlog,
    DeadLetterCounts,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    Provenance,
    PublishCounts,
    SubscriptionConfig,
    Unseen,
    Why,
)
from diagnostics.readings.arrived import arrived, astray, owed_here
from diagnostics.readings.ledger import Ledger, build
from diagnostics.steps.published import published as step
from diagnostics.steps.run import run
from tests.steps.built import BEGAN, CUT, NOW, PROFILE, SOURCE, ago, batch, done, lines, series

HIDDEN = Unseen(what="PublishCounts", why=Why.PERMISSION_DENIED, says="hidden")


def counted(points: dict[float, float], source: Provenance = SOURCE) -> PublishCounts:
    return PublishCounts(source=source, messages=(series(points),), requests=())


def evidence(counts: PublishCounts | Unseen, *names: str) -> EvidenceSet:
    """Ten published; of these the named ones are done."""
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(*done(*names)),
        ("PublishCounts", Leg.REQUEST): counts,
        ("SubscriptionConfig", Leg.REQUEST): SubscriptionConfig(source=SOURCE, settings=None),
        ("Backlog", Leg.REQUEST): Backlog(source=SOURCE, undelivered=(), oldest_age_s=(), outstanding=()),
        ("DeadLetterCounts", Leg.REQUEST): DeadLetterCounts(source=SOURCE, series=()),
    }
    return EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))


def ledger(counts: PublishCounts | Unseen, *names: str) -> Ledger:
    return build(evidence(counts, *names), PROFILE)


LATE = Provenance(source="test", fetched_at=NOW, as_of=ago(BEGAN - 1))


@pytest.mark.parametrize(
    ("counts", "most", "owes"),
    [
        (counted({}), 0, 0),
        (counted({BEGAN - 1: 4.0}), 4, 3),  # the one that is done was among them
        (counted({BEGAN - 1: 25.0}), 25, 9),
        (counted({BEGAN + 30: 25.0}), 0, 0),
        (counted({}, CUT), None, 9),
        (counted({}, LATE), None, 9),
        (HIDDEN, None, 9),
    ],
)
def test_a_route_owes_no_more_than_came_onto_its_topic(
    counts: PublishCounts | Unseen, most: int | None, owes: int
) -> None:
    here = ledger(counts, "a")
    assert arrived(here, Leg.REQUEST, counts) == most
    assert owed_here(here, Leg.REQUEST, counts) == owes


@pytest.mark.parametrize(
    ("counts", "names", "missing"),
    [
        (counted({}), ("a",), 9),
        (counted({BEGAN - 1: 1.0}), ("a",), 0),
        (counted({}), tuple("abcdef"), 0),
        (counted({}, LATE), ("a",), 0),
        (HIDDEN, ("a",), 0),
    ],
)
def test_astray_is_what_the_topic_never_had_and_what_hardly_any_came_out_of(
    counts: PublishCounts | Unseen, names: tuple[str, ...], missing: int
) -> None:
    here = ledger(counts, *names)
    assert astray(here, counts) == missing
    (row,) = run([step], evidence(counts, *names), here, PROFILE, [Leg.REQUEST]).rows
    assert (row.seen_min, row.status.value) == (10, "fault" if missing else "ok")
    assert ("none came onto the topic" in row.note) is bool(missing)
