"""A filter of which nobody counts what it drops clears nothing, and is suspected only where nothing speaks for it."""

from __future__ import annotations

import msgspec
import pytest

from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BatchMarks,
    Change,
    ChangeLog,
    Evidence,
    Leg,
    Means,
    SubscriptionConfig,
)
from diagnostics.steps import routed
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.routed import filters
from tests.steps.built import (
    SOURCE,
    Legged,
    ago,
    batch,
    done,
    findings,
    lines,
    log,
    mark,
    of,
    pushes,
    row,
    series,
    service,
    subscription,
    unseen,
)

FINISHED = (
    mark(Means.CREATED, 900, batch="A", expected=3),
    mark(Means.PUBLISHED, 899, batch="A", count=3),
    mark(Means.CLOSED, 890, batch="A"),
)
"""A batch of the night before."""


def filtered(text: str = 'attributes.kind = "x"') -> Legged:
    key, config = subscription()
    assert isinstance(config, SubscriptionConfig) and config.settings is not None
    return key, SubscriptionConfig(source=SOURCE, settings=msgspec.structs.replace(config.settings, filter=text))


def audit(*made_min: float) -> ChangeLog:
    made = (
        Change(at=ago(m), api="", method="CreateSubscription", resource="subscriptions/s", by="x") for m in made_min
    )
    return ChangeLog(source=SOURCE, since=ago(9999), changes=tuple(made))


def told(*found: Evidence | Legged, config: Legged | None = None, before: bool = False) -> list[Finding]:
    began = batch(10)
    assert isinstance(began, BatchMarks)
    marks = BatchMarks(source=SOURCE, marks=(*FINISHED, *began.marks) if before else began.marks)
    hidden = (unseen("AckCounts"), unseen("PushCounts"), unseen("Backlog"))
    return findings(routed.routed, marks, service(), config or filtered(), *hidden, *found)


@pytest.mark.parametrize(
    ("evidence", "before", "suspected"),
    [
        ((log(),), False, True),
        ((log(), audit()), False, True),
        ((log(), audit(100)), True, True),
        ((log(),), True, True),  # whether it was made anew nobody could see
        ((log(), audit()), True, False),
        ((log(row(30, 204)),), False, False),
        ((log(row(30, 403, instance="")),), False, False),
        ((log(whole=False),), False, False),
        ((unseen("RequestLog"),), False, False),
        ((log(), lines(*done("a"))), False, False),
    ],
)
def test_what_it_drops_is_unknown_and_it_is_suspected_where_nothing_passed_it(
    evidence: tuple[Evidence | Legged, ...], before: bool, suspected: bool
) -> None:
    all_ = told(*evidence, before=before)
    (found,) = of(filters.FILTERED, all_)
    assert (found.status is Status.WARNING, found.bears is Bears.HOLDS) == (suspected, suspected)
    assert suspected or found.status is Status.UNKNOWN
    assert "AckCounts may not be read" in found.says
    assert of(routed.ROUTED, all_) == []


def test_without_a_filter_the_route_is_well() -> None:
    assert [f.code for f in told(log(), config=filtered(""))] == [routed.ROUTED.name]


def test_a_batch_of_which_every_item_came_through_is_no_question_to_a_filter() -> None:
    names = tuple("abcdefghij")
    assert of(filters.FILTERED, told(log(), lines(*done(*names)))) == []
    assert Leg.REQUEST in {f.leg for f in told(log(), lines(*done(*names)))}


def test_what_a_filter_dropped_before_the_subscription_was_made_anew_without_it_is_still_counted() -> None:
    acks = AckCounts(source=SOURCE, series=(series({35: 10}, delivery_type="filter"),))
    empty = Backlog(source=SOURCE, undelivered=(), oldest_age_s=(), outstanding=())
    seen = ((("AckCounts", Leg.REQUEST), acks), (("Backlog", Leg.REQUEST), empty), pushes(), log())
    began = batch(10)
    (found,) = of(filters.FILTERED, findings(routed.routed, began, service(), filtered(""), *seen, lines()))
    assert (found.status, found.held) == (Status.FAULT, 10)
    assert found.says.startswith("a filter that s no longer has dropped 10 messages")


@pytest.mark.parametrize(
    ("filter", "made", "gone"),
    [("", None, 1), ("attributes.a", None, 0), ("attributes.a", 20, 1), ("attributes.a", 38, 0)],
)
def test_a_filter_that_dropped_is_gone_where_the_subscription_has_none_or_was_made_anew_since(
    filter: str, made: float | None, gone: int
) -> None:
    acks = AckCounts(source=SOURCE, series=(series({35: 10}, delivery_type="filter"),))
    empty = Backlog(source=SOURCE, undelivered=(), oldest_age_s=(), outstanding=())
    seen = ((("AckCounts", Leg.REQUEST), acks), (("Backlog", Leg.REQUEST), empty), pushes(), log())
    changes = audit(made) if made else audit()
    all_ = findings(routed.routed, batch(10), service(), filtered(filter), *seen, lines(), changes)
    found = filters.FILTERED.of(of(filters.FILTERED, all_)[0])
    assert found is not None and found.gone == gone
