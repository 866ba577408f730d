"""Why a topic refuses what is published: its name, its regions, its schema, or the size of a message."""

from __future__ import annotations

import pytest

from diagnostics.evidence.model import (
    BatchMarks,
    Change,
    ChangeLog,
    Evidence,
    Leg,
    Mark,
    Means,
    PublishCounts,
    RevisionSettings,
    ServiceConfig,
    ServiceSettings,
    TopicConfig,
    TopicSettings,
)
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.published import why
from diagnostics.steps.published.why import why as step
from tests.steps.built import BEGAN, SOURCE, Legged, ago, batch, findings, mark, of, one, series

NOT_FOUND = "404 Resource not found (resource=t)."
TOO_LARGE = "400 The value for 10159812 is too large. You passed request_size in the request, but the maximum value is 10000000."
UNMATCHED = "400 Invalid data in message: Message failed schema validation."


def topic(**settings: object) -> Legged:
    found = TopicSettings(name="projects/p/topics/t", **settings)  # type: ignore[arg-type]
    return ("TopicConfig", Leg.REQUEST), TopicConfig(source=SOURCE, name=found.name, settings=found)


def gone() -> Legged:
    return ("TopicConfig", Leg.REQUEST), TopicConfig(source=SOURCE, name="projects/p/topics/t", settings=None)


def coordinator(region: str = "us-west2") -> Legged:
    revision = RevisionSettings(name="c-1", created=ago(9999))
    settings = ServiceSettings(name="c", region=region, uri="https://c.run.app", urls=(), template=revision)
    return ("ServiceConfig", Leg.COMPLETION), ServiceConfig(source=SOURCE, name="c", settings=settings)


def changed(method: str, minutes: float) -> Evidence:
    change = Change(at=ago(minutes), api="pubsub.googleapis.com", method=method, resource="topics/t", by="somebody")
    return ChangeLog(source=SOURCE, changes=(change,), since=ago(9999))


def refused(reason: str, *found: Legged | Evidence) -> list[Finding]:
    lines: list[Mark] = [mark(Means.PUBLISH_ERROR, BEGAN - 0.1, f"i{n}", reason=reason) for n in range(6)]
    return findings(step, batch(10, 4, *lines), *found)


def test_a_topic_that_is_there_is_not_the_one_that_was_not_found() -> None:
    found = one(why.OTHER_NAME, refused(NOT_FOUND, topic()))
    assert (found.status, found.bears, found.held) == (Status.FAULT, Bears.HOLDS, 6)


def test_a_topic_that_was_made_again_had_the_right_name() -> None:
    found = refused(NOT_FOUND, topic(), changed("CreateTopic", 10))
    assert one(why.REMADE, found).since == ago(10) and not of(why.OTHER_NAME, found)
    assert of(why.OTHER_NAME, refused(NOT_FOUND, topic(), changed("CreateTopic", BEGAN + 60)))


@pytest.mark.parametrize("found", [[gone()], []], ids=["gone", "not seen"])
def test_of_a_topic_that_is_not_there_or_was_not_seen_nothing_is_said(found: list[Legged]) -> None:
    assert not refused(NOT_FOUND, *found)


@pytest.mark.parametrize(
    ("region", "enforced", "told"),
    [("us-west2", True, True), ("us-east1", True, False), ("us-west2", False, False)],
    ids=["enforced", "in one of them", "not enforced"],
)
def test_regions_refuse_only_what_is_published_elsewhere_and_only_where_that_is_enforced(
    region: str, enforced: bool, told: bool
) -> None:
    settings = topic(regions=("us-east1",), enforce_in_transit=enforced)
    said = refused("400 The region is not allowed by the topic's policy.", settings, coordinator(region))
    assert bool(of(why.REGION, said)) is told


@pytest.mark.parametrize(
    ("published", "counted", "set_at", "told"),
    [(0, {}, None, True), (4, {}, None, False), (0, {50: 3}, None, False), (0, {50: 3}, 45, True)],
    ids=["nothing yet", "of this batch", "before", "before it was set so"],
)
def test_a_region_that_would_be_refused_waits_for_the_first_message(
    published: int, counted: dict[float, float], set_at: float | None, told: bool
) -> None:
    settings = topic(regions=("us-east1",), enforce_in_transit=True)
    counts = PublishCounts(source=SOURCE, messages=(series(counted),) if counted else (), requests=())
    audit = changed("UpdateTopic", set_at) if set_at else ChangeLog(source=SOURCE, changes=(), since=ago(9999))
    rest = (settings, coordinator(), (("PublishCounts", Leg.REQUEST), counts), audit)
    begun = BatchMarks(
        source=SOURCE, marks=(mark(Means.RECEIVED, BEGAN, batch=""), mark(Means.CREATED, BEGAN, expected=10))
    )
    found = of(why.REGION, findings(step, batch(10, published) if published else begun, *rest))
    assert [(f.status, f.bears) for f in found] == ([(Status.WARNING, Bears.APART)] if told else [])
    refused_start = BatchMarks(source=SOURCE, marks=())
    assert published or found == of(why.REGION, findings(step, refused_start, *rest)), "likewise where no batch began"


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        (UNMATCHED, 1),
        ("400 Request contains an invalid argument.", 0),
        (TOO_LARGE, None),
        ("400 Message is empty.", None),
    ],
)
def test_a_schema_is_to_blame_for_what_does_not_say_that_it_is_something_else(reason: str, named: int | None) -> None:
    told = [t.named for t in why.SCHEMA.told(refused(reason, topic(schema="projects/p/schemas/s")))]
    assert told == ([] if named is None else [named])


def test_without_a_schema_none_is_to_blame() -> None:
    assert not refused(UNMATCHED, topic())


def test_what_is_too_large_is_told_as_that() -> None:
    found = one(why.SIZE, refused(TOO_LARGE, topic()))
    assert (found.held, found.bears) == (6, Bears.HOLDS)
