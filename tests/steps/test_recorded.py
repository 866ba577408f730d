"""Completions that came and are not counted: one container's memory, or nobody knows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BatchMarks,
    BatchStatus,
    DeadLetterCounts,
    Evidence,
    Key,
    Leg,
    Mark,
    Means,
    PublishCounts,
    PushCounts,
    Unseen,
)
from diagnostics.pipeline.profile import LegProfile
from diagnostics.steps import recorded
from diagnostics.steps.finding import Finding, Status
from tests.steps.built import (
    PROFILE,
    SOURCE,
    Legged,
    ago,
    batch,
    done,
    findings,
    lines,
    mark,
    of,
    one,
    series,
    subscription,
)

BOTH = structs.replace(PROFILE, completion=LegProfile(subscription="c"))
ITEMS = ("a", "b", "c", "d", "e", "f")


def at(container: str, means: Means, *items: str, revision: str = "r1") -> list[Mark]:
    return [structs.replace(mark(means, 30, item), instance=container, revision=revision) for item in items]


def counted(*names: str) -> Legged:
    return ("BatchStatus", None), BatchStatus(
        source=SOURCE, batch="B", exists=True, expected=6, completed=len(names), items=names, closed=False
    )


def elsewhere(*marks: Mark) -> float:
    made = batch(6)
    assert isinstance(made, BatchMarks)
    home = tuple(structs.replace(m, instance="home", revision="r1") for m in made.marks)
    found = findings(
        recorded.recorded,
        BatchMarks(source=SOURCE, marks=home),
        lines(*done(*ITEMS), *marks),
        counted("a", "b"),
        profile=BOTH,
    )
    behind = one(recorded.BEHIND, found)
    assert behind.numbers["uncounted"] == 4
    return behind.numbers["elsewhere"]


KEPT = [*at("home", Means.RETURNED_ITEM, "a", "b"), *at("home", Means.RECORDED_ITEM, "a", "b")]
AWAY = at("other", Means.RETURNED_ITEM, "c", "d", "e", "f")


@pytest.mark.parametrize(
    ("lost", "number"),
    [
        (AWAY, 4),
        ([*AWAY[:3], *at("home", Means.RETURNED_ITEM, "f")], 0),
        (at("other", Means.RETURNED_ITEM, "c", "d", "e", "f", revision="r2"), 0),
        (at("", Means.RETURNED_ITEM, "c", "d", "e", "f"), 0),
    ],
)
def test_a_batch_in_memory_is_known_by_who_counts(lost: list[Mark], number: int) -> None:
    assert elsewhere(*KEPT, *lost) == number


def test_what_came_twice_is_where_it_came_to_at_last() -> None:
    """Its container went away over it, before it was counted: it was pushed again, to another one."""
    first = structs.replace(at("home", Means.RETURNED_ITEM, "c")[0], at=ago(31))
    assert elsewhere(*KEPT, first, *AWAY) == 4


def test_two_ways_to_lose_completions_are_told_apart_by_the_container() -> None:
    """Of ten that came to the container that made the batch two are counted; of six that came to another one none is: that is not chance
    where eight of ten are counted."""
    few = behind(counted_at_home=2, lost_at_home=8, lost_elsewhere=6)
    assert [(f.numbers["uncounted"], f.numbers["elsewhere"]) for f in few] == [(14, 0)]
    most = behind(counted_at_home=8, lost_at_home=2, lost_elsewhere=6)
    assert [(f.numbers["uncounted"], f.numbers["elsewhere"]) for f in most] == [(6, 6), (2, 0)]
    assert [f.held for f in most] == [6, 2]


def behind(counted_at_home: int, lost_at_home: int, lost_elsewhere: int) -> list[Finding]:
    kept, here, away = (
        [f"{name}{n}" for n in range(number)]
        for name, number in (("k", counted_at_home), ("h", lost_at_home), ("e", lost_elsewhere))
    )
    every = [*kept, *here, *away]
    made = batch(len(every))
    assert isinstance(made, BatchMarks)
    home = tuple(structs.replace(m, instance="home", revision="r1") for m in made.marks)
    took = [*at("home", Means.RETURNED_ITEM, *kept, *here), *at("other", Means.RETURNED_ITEM, *away)]
    marks = lines(*done(*every), *took, *at("home", Means.RECORDED_ITEM, *kept))
    state = BatchStatus(source=SOURCE, batch="B", exists=True, completed=len(kept), items=tuple(kept), closed=False)
    return of(
        recorded.BEHIND, findings(recorded.recorded, BatchMarks(source=SOURCE, marks=home), marks, state, profile=BOTH)
    )


@pytest.mark.parametrize(
    ("builds", "told"), [({"a": "r1", "b": "r2", "c": "r2"}, True), ({"a": "r2", "b": "r2", "c": "r2"}, False)]
)
def test_a_build_that_counts_none_of_all_that_it_took_is_named(builds: dict[str, str], told: bool) -> None:
    """Of three that came back the first is counted."""
    marks = [
        structs.replace(m, revision=build)
        for item, build in builds.items()
        for m in at(build, Means.RETURNED_ITEM, item)
    ]
    counts = structs.replace(at("x", Means.RECORDED_ITEM, "a")[0], revision=builds["a"])
    state = BatchStatus(source=SOURCE, batch="B", exists=True, completed=1, items=("a",), closed=False)
    items = lines(*done(*builds), *marks, counts)
    (found,) = of(recorded.BEHIND, findings(recorded.recorded, batch(3), items, state, profile=BOTH))
    assert (
        found.says.endswith("; revision r2 took all of them and counted none, and what others took is counted") is told
    )


def came(minutes: float, *items: str) -> list[Mark]:
    return [mark(Means.RETURNED_ITEM, minutes, item) for item in items]


def lost(*found: Mark | Legged) -> list[Finding]:
    marks = [m for m in found if isinstance(m, Mark)]
    others = [f for f in found if not isinstance(f, Mark)]
    return of(
        recorded.BEHIND, findings(recorded.recorded, batch(6), lines(*done(*ITEMS), *marks), *others, profile=BOTH)
    )


def test_while_the_batch_moves_what_came_long_ago_and_is_not_counted_is_told_all_the_same() -> None:
    moving = [*came(20, "a", "b", "c"), *came(4, "d"), *came(0, "e")]
    (told,) = lost(*moving, counted("a"))
    assert (told.held, told.numbers["uncounted"]) == (2, 2), "d may still be at work, and e has just come"
    (later,) = lost(*moving[:4], counted("a"))
    assert later.held == 3, "nothing came for a while: what is to be counted is counted by now"


def test_without_the_batch_state_lines_tell_what_is_recorded_where_they_do_for_others() -> None:
    back = came(20, "a", "b", "c", "d")
    (told,) = lost(*back, mark(Means.RECORDED_ITEM, 20, "a"))
    assert told.held == 3 and told.says.endswith("no line tells that they were recorded")
    assert lost(*back) == [], "it may say so of none"


def refusals(*marks: Mark) -> Finding:
    kept = {"a", *(m.item for m in marks if m.means is Means.RECORDED_ITEM)}
    seen = lines(*done(*ITEMS), *came(30, "a"), mark(Means.RECORDED_ITEM, 30, "a"), *marks)
    return one(recorded.RECORD_ERRORS, findings(recorded.recorded, batch(6), seen, counted(*kept), profile=BOTH))


def test_what_was_recorded_once_and_is_refused_when_it_comes_again_tells_of_those_that_are_still_to_come() -> None:
    again = [mark(Means.RECORD_ERROR, minutes, "a", reason="403 denied") for minutes in (25, 15, 5)]
    goes_on = refusals(*again)
    assert (goes_on.status, goes_on.held, goes_on.until) == (Status.FAULT, 5, None)
    flows = refusals(*again, *came(20, "b"), mark(Means.RECORDED_ITEM, 20, "b"))
    assert (flows.status, flows.held) == (Status.OK, 0)
    assert refusals(*(structs.replace(m, at=m.at - timedelta(minutes=30)) for m in again)).status is Status.OK


def taken_away(acked: float, waits: float = 0) -> list[Finding]:
    """Of six completions four came back, of which a is recorded and three were refused; so many were acked and wait."""
    refused = [mark(Means.RECORD_ERROR, 29, item, reason="403 denied") for item in "bcd"]
    back = Leg.COMPLETION
    counters: dict[Key, Evidence | Unseen] = {
        ("PublishCounts", back): PublishCounts(source=SOURCE, messages=(series({34: 6}),), requests=()),
        ("PushCounts", back): PushCounts(source=SOURCE, series=(series({29: acked}, response_class="ack"),)),
        ("AckCounts", back): AckCounts(source=SOURCE, series=(series({29: acked}, delivery_type="push"),)),
        ("Backlog", back): Backlog(
            source=SOURCE, undelivered=(series({0: waits}),), oldest_age_s=(), outstanding=(series({0: 0}),)
        ),
        ("DeadLetterCounts", back): DeadLetterCounts(source=SOURCE, series=(series({28: 0}),)),
    }
    seen = lines(*done(*ITEMS), *came(30, "a", "b", "c", "d"), mark(Means.RECORDED_ITEM, 30, "a"), *refused)
    return findings(
        recorded.recorded, batch(6), seen, counted("a"), *counters.items(), subscription(leg=back), profile=BOTH
    )


def test_what_was_refused_and_is_gone_from_the_subscription_waits_for_the_coordinator_no_more() -> None:
    gone = taken_away(acked=1)
    why = one(recorded.RECORD_ERRORS, gone)
    assert (why.status, why.held, why.until) == (Status.OK, 0, ago(29))
    assert why.says.endswith("what was not recorded is gone from its subscription")
    assert of(recorded.BEHIND, gone) == [], "the route tells of it"
    for others in (taken_away(acked=4), taken_away(acked=1, waits=5)):
        kept = one(recorded.RECORD_ERRORS, others)
        assert (kept.status, kept.held) == (Status.FAULT, 3), "acked for all that, or still there"


def test_another_container_that_counts_tells_that_it_is_not_its_memory() -> None:
    kept = [*at("third", Means.RETURNED_ITEM, "a", "b"), *at("third", Means.RECORDED_ITEM, "a", "b")]
    assert elsewhere(*kept, *AWAY) == 0


def test_where_nothing_comes_back_it_is_an_item_that_could_not_be_recorded() -> None:
    """A worker that counts for itself has no completions, and no coordinator has taken any."""
    markers = tuple(m for m in PROFILE.markers if m.means is not Means.RETURNED_ITEM)
    alone = structs.replace(PROFILE, item="page", markers=markers)
    refused = structs.replace(mark(Means.RECORD_ERROR, 30, "a"), words={"reason": "409 contention"})
    seen = (batch(6), lines(*done(*ITEMS), refused), counted("b", "c"))
    errors = one(recorded.RECORD_ERRORS, findings(recorded.recorded, *seen, profile=alone))
    assert errors.says.startswith("1 page could not be recorded")
    assert "completion" in one(recorded.RECORD_ERRORS, findings(recorded.recorded, *seen, profile=BOTH)).says
