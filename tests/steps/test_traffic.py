"""Idle is shown by the topic; everything that only looks like it is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diagnostics.evidence.model import (
    Backlog,
    Leg,
    Point,
    Provenance,
    PublishCounts,
    PushCounts,
    Series,
    TopicConfig,
    TopicSettings,
    Unseen,
    Why,
)
from diagnostics.question.ask import Ask
from diagnostics.steps.traffic import traffic

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW - timedelta(minutes=3))
TOPIC = TopicConfig(source=SOURCE, name="projects/p/topics/t", settings=TopicSettings(name="projects/p/topics/t"))


def unseen(kind: str) -> Unseen:
    return Unseen(what=kind, why=Why.PERMISSION_DENIED, says="monitoring.timeSeries.list is missing")


def series(value: float, minutes_ago: int = 20, **labels: str) -> tuple[Series, ...]:
    end = NOW - timedelta(minutes=minutes_ago)
    return (Series(labels=labels, points=(Point(start=end - timedelta(minutes=1), end=end, value=value),)),)


def published(count: float | None, as_of: datetime = SOURCE.as_of) -> PublishCounts:
    found = series(count) if count is not None else ()
    source = Provenance(source="test", fetched_at=NOW, as_of=as_of)
    return PublishCounts(source=source, messages=found, requests=())


def pushed(**classes: float) -> PushCounts:
    found = tuple(s for name, n in classes.items() for s in series(n, response_class=name))
    return PushCounts(source=SOURCE, series=found)


def waiting(count: float | None) -> Backlog:
    found = series(count, 3) if count is not None else ()
    return Backlog(source=SOURCE, undelivered=found, oldest_age_s=(), outstanding=())


def says(leg: Leg = Leg.REQUEST, **changes: Any) -> tuple[str, str]:
    seen: dict[str, Any] = {
        "ask": Ask(since=NOW - timedelta(hours=1)),
        "published": published(None),
        "topic": TOPIC,
        "pushes": pushed(),
        "backlog": waiting(0),
        "request": pushed(),
    }
    (finding,) = traffic(leg, NOW, **(seen | changes))
    return finding.code, finding.status.value


@pytest.mark.parametrize("count", [None, 0])
def test_nothing_published_and_nothing_waiting_is_idle(count: float | None) -> None:
    assert says(published=published(count)) == ("traffic.idle", "idle")


@pytest.mark.parametrize(
    "changes",
    [
        {"published": unseen("PublishCounts")},
        {"topic": unseen("TopicConfig")},
        {"topic": TopicConfig(source=SOURCE, name="projects/p/topics/t", settings=None)},
        {"backlog": unseen("Backlog")},
        {"backlog": waiting(3)},
        {"published": published(None, as_of=NOW - timedelta(hours=2))},
        {"published": published(7)},
        {"published": published(7), "pushes": unseen("PushCounts")},
    ],
    ids=["hidden", "topic-hidden", "no-topic", "backlog-hidden", "waits", "too-old", "not-yet-pushed", "pushes-hidden"],
)
def test_what_only_looks_idle_is_unknown(changes: dict[str, Any]) -> None:
    assert says(**changes) == ("traffic.unsure", "unknown")


@pytest.mark.parametrize(
    "changes",
    [{"published": published(7)}, {"published": unseen("PublishCounts")}, {"published": published(None)}],
    ids=["both", "publishing-hidden", "older-messages"],
)
def test_acks_prove_that_traffic_flows(changes: dict[str, Any]) -> None:
    assert says(pushes=pushed(ack=7), **changes) == ("traffic.flows", "ok")


def test_work_of_which_nothing_comes_back_is_a_warning() -> None:
    assert says(Leg.COMPLETION, request=pushed(ack=9)) == ("traffic.one_way", "warning")
    assert says(Leg.REQUEST, request=pushed(ack=9)) == ("traffic.idle", "idle")
