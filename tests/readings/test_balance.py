"""What came and is nowhere is lost on the route: only if every place where it might be was seen whole, and late enough."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BatchStatus,
    Change,
    ChangeLog,
    DeadLetterCounts,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    Means,
    Provenance,
    PublishCounts,
    PushCounts,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile
from diagnostics.readings.balance import gone_since, residue
from diagnostics.readings.ledger import build
from tests.steps.built import BEGAN, CUT, NOW, PROFILE, SOURCE, ago, batch, done, lines, mark, series, subscription

EARLY = Provenance(source="test", fetched_at=NOW, as_of=ago(BEGAN - 2))
HIDDEN = Unseen(what="x", why=Why.PERMISSION_DENIED, says="hidden")


def lost(
    came: float = 10,
    acked: float = 3,
    filtered: float = 0,
    pulled: float = 0,
    waits: float = 0,
    dead: float = 0,
    minutes: float = 35,
    source: Provenance = SOURCE,
    told: bool = True,
    others: int = 0,
    made: float | None = None,
    **hidden: Unseen,
) -> int:
    """Of ten that were published three are done, so many minutes ago. `told`: a line tells of the publishing; `made`: the subscription
    was made so many minutes ago; `others`: so many items of another batch were done meanwhile."""
    begun = batch(10)
    if not told:
        begun = structs.replace(begun, marks=[m for m in begun.marks if m.means is not Means.PUBLISHED])  # type: ignore[attr-defined]
    made_then = [] if made is None else [_made(made)]
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): begun,
        ("ChangeLog", None): ChangeLog(source=SOURCE, since=ago(9999), changes=tuple(made_then)),
        ("ItemMarks", None): lines(
            *done("a", "b", "c", minutes=minutes),
            *(mark(Means.DONE_ITEM, 34, f"x{n}", batch="A") for n in range(others)),
        ),
        ("PublishCounts", Leg.REQUEST): PublishCounts(source=SOURCE, messages=(series({39: came}),), requests=()),
        ("PushCounts", Leg.REQUEST): PushCounts(source=SOURCE, series=(series({35: acked}, response_class="ack"),)),
        ("AckCounts", Leg.REQUEST): AckCounts(
            source=source,
            series=(series({35: filtered}, delivery_type="filter"), series({35: pulled}, delivery_type="pull")),
        ),
        ("Backlog", Leg.REQUEST): Backlog(
            source=SOURCE, undelivered=(series({0: waits}),), oldest_age_s=(), outstanding=()
        ),
        ("DeadLetterCounts", Leg.REQUEST): DeadLetterCounts(source=SOURCE, series=(series({30: dead}),)),
        **dict([subscription()]),
        **{(name, Leg.REQUEST): unseen for name, unseen in hidden.items()},
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    read = (evidence.get(kind, Leg.REQUEST) for kind in (PublishCounts, PushCounts, AckCounts, Backlog))
    return residue(build(evidence, PROFILE), Leg.REQUEST, NOW, *read)  # type: ignore[arg-type]


def _made(minutes: float) -> Change:
    return Change(
        at=ago(minutes),
        api="pubsub.googleapis.com",
        method="CreateSubscription",
        resource="subscriptions/s",
        by="person-1",
    )


def test_what_is_in_no_place_is_lost() -> None:
    assert lost() == 7


def test_where_nobody_tells_what_was_published_the_topics_counter_does() -> None:
    """Ten are expected: as many as came onto the topic, and no more."""
    assert lost(told=False) == 7
    assert lost(told=False, came=6) == 3, "the others may never have been sent"
    assert lost(told=False, waits=2) == 5
    assert lost(told=False, PublishCounts=HIDDEN) == 0


def test_what_came_onto_a_topic_that_others_publish_to_may_be_theirs() -> None:
    """Five of another batch came and were done; of ours five came, and the counter has ten."""
    assert lost(told=False, acked=8, others=5) == 0
    assert lost(acked=8, others=5) == 7, "where a line tells how many of ours were published, it does"


@pytest.mark.parametrize(
    ("made", "gone"),
    [
        (None, 0),  # all seven may be among those that wait
        (BEGAN + 5, 0),  # it was there before
        (34, 7),  # after all was published, and what came through had come through by the old one
    ],
)
def test_nothing_of_the_batch_waits_in_a_subscription_that_was_made_after_all_of_it_was_published(
    made: float | None, gone: int
) -> None:
    assert lost(waits=20, made=made) == gone


def test_what_came_through_later_had_been_sent_later() -> None:
    """Three were done after it was made: others may be in it, too."""
    assert lost(waits=20, made=36) == 0


def gone_later(came: float = 8, acked: float = 0, waits: float = 0, dead: float = 0, as_of: Provenance = SOURCE) -> int:
    """Ten were done 35 minutes ago, and so many messages came onto the topic 25 minutes ago."""
    items = tuple(f"i{n}" for n in range(10))
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(*done(*items)),
        **dict([subscription()]),
    }
    counts = {
        ("PublishCounts", Leg.REQUEST): PublishCounts(
            source=SOURCE, messages=(series({39: 10, 25: came}),), requests=()
        ),
        ("PushCounts", Leg.REQUEST): PushCounts(
            source=as_of, series=(series({35: 10, 24: acked}, response_class="ack"),)
        ),
        ("AckCounts", Leg.REQUEST): AckCounts(source=SOURCE, series=(series({35: 10}, delivery_type="push"),)),
        ("Backlog", Leg.REQUEST): Backlog(
            source=SOURCE, undelivered=(series({0: waits}),), oldest_age_s=(), outstanding=()
        ),
        ("DeadLetterCounts", Leg.REQUEST): DeadLetterCounts(source=SOURCE, series=(series({20: dead}),)),
    }
    evidence = EvidenceSet(seen | counts, NOW, timedelta(days=7), ago(BEGAN + 20))
    kinds = (PublishCounts, PushCounts, AckCounts, Backlog, DeadLetterCounts)
    read = (evidence.get(kind, Leg.REQUEST) for kind in kinds)
    return gone_since(build(evidence, PROFILE), NOW, *read)[0]  # type: ignore[arg-type]


def test_what_came_after_the_batch_was_done_and_is_nowhere_is_told() -> None:
    assert gone_later() == 8
    assert [gone_later(acked=3), gone_later(waits=2), gone_later(dead=4), gone_later(came=0)] == [5, 6, 4, 0]
    assert gone_later(as_of=CUT) == 0, "a counter that was not seen whole tells of nothing that is missing"


@pytest.mark.parametrize(
    ("place", "rest"),
    [
        ({"waits": 2}, 5),
        ({"dead": 2}, 5),
        ({"filtered": 2}, 5),
        ({"pulled": 2}, 5),
        ({"acked": 5}, 5),  # acked, and no line tells of it: another's, or one that the worker did not name
        ({"came": 8}, 5),
        ({"waits": 20}, 0),
    ],
)
def test_each_place_takes_off_what_it_may_hold(place: dict[str, float], rest: int) -> None:
    assert lost(**place) == rest  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["PublishCounts", "PushCounts", "AckCounts", "Backlog", "DeadLetterCounts"])
def test_nothing_is_lost_where_a_place_was_not_seen(kind: str) -> None:
    assert lost(**{kind: HIDDEN}) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [CUT, EARLY])
def test_nothing_is_lost_where_a_counter_was_cut_or_lags(source: Provenance) -> None:
    assert lost(source=source) == 0


def test_nothing_is_lost_while_items_get_further() -> None:
    assert lost(minutes=1) == 0


def lost_back(recorded: int | None = 2, acked: float = 3, came: float = 6) -> int:
    """Of six items that are done so many completions came onto the topic, three came back, and so many of those are recorded."""
    back = Leg.COMPLETION
    counted = BatchStatus(
        source=SOURCE, batch="B", exists=True, expected=10, completed=recorded, items=(), closed=False
    )
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("BatchStatus", None): HIDDEN if recorded is None else counted,
        ("ItemMarks", None): lines(*done(*"abcdef"), *(mark(Means.RETURNED_ITEM, 34, item) for item in "abc")),
        ("PublishCounts", back): PublishCounts(source=SOURCE, messages=(series({34: came}),), requests=()),
        ("PushCounts", back): PushCounts(source=SOURCE, series=(series({33: acked}, response_class="ack"),)),
        ("AckCounts", back): AckCounts(source=SOURCE, series=(series({33: acked}, delivery_type="push"),)),
        ("Backlog", back): Backlog(source=SOURCE, undelivered=(series({0: 0}),), oldest_age_s=(), outstanding=()),
        ("DeadLetterCounts", back): DeadLetterCounts(source=SOURCE, series=(series({30: 0}),)),
        **dict([subscription(leg=back)]),
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    read = (evidence.get(kind, back) for kind in (PublishCounts, PushCounts, AckCounts, Backlog))
    both = structs.replace(PROFILE, completion=LegProfile(subscription="c"))
    return residue(build(evidence, both), back, NOW, *read)  # type: ignore[arg-type]


def test_on_the_way_back_what_was_done_and_sent_is_weighed_against_what_was_acked() -> None:
    assert lost_back() == 3
    assert lost_back(acked=2) == 4, "one came back and was refused before it was taken away"
    assert lost_back(recorded=None, acked=2) == 3, "what came back may have been recorded"
    assert lost_back(came=4) == 1, "the others were never sent"
