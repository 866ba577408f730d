"""Why Pub/Sub refuses what the coordinator publishes for good, where the topic itself tells: its name, its regions, its schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from diagnostics.evidence.model import (
    ChangeLog,
    Leg,
    PublishCounts,
    ServiceConfig,
    Stage,
    TopicConfig,
    TopicSettings,
    Unseen,
    total,
)
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.reasons import of_schema
from diagnostics.readings.refusals import Lost, given_up, lost
from diagnostics.readings.topics import restricts, topic_set_at
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.published.topic import refused_since
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clip, clock, names, short


class Remade(Tells, frozen=True, kw_only=True):
    remade: str
    """When the topic was made again, in words."""


class Schema(Tells, frozen=True, kw_only=True):
    named: int
    """1: what refused the messages names the schema; 0: it only fits."""


OTHER_NAME = Code(
    "published.other_name", Stage.PUBLISHED, "the coordinator publishes to a topic that does not exist", Kind.MECHANISM
)
REMADE = Telling("published.topic_back", Stage.PUBLISHED, "the request topic was made again", tells=Remade)
REGION = Code(
    "published.region", Stage.PUBLISHED, "the topic takes nothing that is published in this region", Kind.MECHANISM
)
SCHEMA = Telling(
    "published.schema", Stage.PUBLISHED, "the topic's schema does not allow the messages", Kind.MECHANISM, tells=Schema
)
SIZE = Code("published.too_large", Stage.PUBLISHED, "messages are larger than a publish request may be", Kind.MECHANISM)

REJECTED = ("invalid_argument", "failed_precondition")
"""Codes with one HTTP status, 400: an error of a client library does not tell them apart."""
_OF_SIZE = re.compile(r"too large|request payload size exceeds", re.I)
_OF_FORM = re.compile(r"is empty|attribute|ordering key", re.I)
"""Other reasons for which a message is refused: what Pub/Sub and its clients say of a request beyond its limits, and of a message
without data, with too many attributes or with a key that is too long."""


def why(
    ledger: Ledger,
    now: datetime,
    config: Annotated[TopicConfig | Unseen, Leg.REQUEST],
    counts: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    changes: ChangeLog | Unseen,
) -> Iterator[Finding]:
    """Reads what the coordinator's lines and the topic's counter say of refusals beside the topic as it is set up now. A topic that is
    there, and was not missing when it was looked for, is not the one that does not exist."""
    if isinstance(config, Unseen) or config.settings is None:
        return
    told = {each.code: each for each in lost(ledger.attempt)}
    missed = told.get("not_found")
    if missed and missed.marks:
        yield _not_found(ledger, missed, config.name, changes, now)
    counted = set() if isinstance(counts, Unseen) else refused_since(counts, ledger.started)
    rejected = [each for code, each in told.items() if code in REJECTED]
    if not rejected and not counted & set(REJECTED):
        if not told and not counted and not _passed(ledger, config.name, counts, changes):
            yield from _region(config.settings, coordinator, None, None)
        return
    codes = counted & set(REJECTED) or {each.code for each in rejected}
    held = 0 if given_up(ledger) else sum(each.items for each in rejected)
    said = " ".join(each.reason for each in rejected)
    since = min((m.at for each in rejected for m in each.marks), default=ledger.started)
    if "failed_precondition" in codes or not counted:
        yield from _region(config.settings, coordinator, held, since)
    if "invalid_argument" in codes and _OF_SIZE.search(said):
        yield SIZE.says(
            Status.FAULT,
            f"messages are larger than a publish request may be: {clip(said)}",
            leg=Leg.REQUEST,
            bears=Bears.HOLDS if held else Bears.SLOWS,
            held=held,
            since=since,
            subject=subjects.batch(ledger.batch),
            rests_on=("BatchMarks",),
        )
    elif "invalid_argument" in codes:
        yield from _schema(config.settings, said, held, since)


def _not_found(ledger: Ledger, missed: Lost, name: str, changes: ChangeLog | Unseen, now: datetime) -> Finding:
    """That a topic was not found which is there: it was made since, or the coordinator looks for another one."""
    last = max(mark.at for mark in missed.marks)
    made = [] if isinstance(changes, Unseen) else changes.changes
    topic = f"topics/{short(name)}"
    remade = [c.at for c in made if c.ok and c.resource == topic and c.method == "CreateTopic" and c.at >= last]
    if remade:
        when = clock(min(remade), now)
        return REMADE.says(
            Status.OK,
            f"topic {short(name)} did not exist when the batch was published; it was made again at {when}",
            leg=Leg.REQUEST,
            subject=subjects.topic(name),
            since=min(remade),
            rests_on=("ChangeLog", "BatchMarks"),
            tells=Remade(remade=when),
        )
    lowered = given_up(ledger)
    return OTHER_NAME.says(
        Status.FAULT,
        f"the coordinator was told that its topic does not exist, and topic {short(name)} does: it publishes to another name",
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if lowered else Bears.HOLDS,
        held=0 if lowered else missed.items,
        since=missed.marks[0].at,
        subject=subjects.topic(name),
        rests_on=("BatchMarks", "TopicConfig"),
    )


def _passed(ledger: Ledger, topic: str, counts: PublishCounts | Unseen, changes: ChangeLog | Unseen) -> bool:
    """Whether the topic is known to have taken what was published to it as it is set up now, or that cannot be told."""
    if isinstance(counts, Unseen) or isinstance(changes, Unseen):
        return True
    set_at = topic_set_at(topic, changes)
    good = ledger.last_good.started if ledger.last_good else None
    published = ledger.counts.get(Stage.PUBLISHED)
    if (published and published.least) or (good and not (set_at and set_at > good)):
        return True
    return bool(total(counts.messages, set_at))


def _region(
    topic: TopicSettings, coordinator: ServiceConfig | Unseen, held: int | None, since: datetime | None
) -> Iterator[Finding]:
    """A message storage policy that is enforced in transit refuses what is published from elsewhere. `held` None: nothing was published
    yet, and a program may publish through another region than its own."""
    if isinstance(coordinator, Unseen) or coordinator.settings is None:
        return
    region = coordinator.settings.region
    if restricts(topic) and region not in topic.regions:
        met = Bears.HOLDS if held else Bears.SLOWS
        yield REGION.says(
            Status.WARNING if held is None else Status.FAULT,
            f"topic {short(topic.name)} takes only what is published in {names(topic.regions)}, and {coordinator.name} runs in {region}"
            + ("; nothing has been published to it yet" if held is None else ""),
            leg=Leg.REQUEST,
            bears=Bears.APART if held is None else met,
            held=held or 0,
            since=since,
            subject=subjects.topic(topic.name),
            rests_on=("TopicConfig", "ServiceConfig"),
        )


def _schema(topic: TopicSettings, said: str, held: int, since: datetime | None) -> Iterator[Finding]:
    """A topic with a schema refuses each message that does not match it."""
    named = of_schema(said)
    if topic.schema and (named or not _OF_FORM.search(said)):
        yield SCHEMA.says(
            Status.FAULT,
            f"topic {short(topic.name)} takes only messages that match the schema {short(topic.schema)}"
            + ("" if named else "; what refused the messages does not name it"),
            leg=Leg.REQUEST,
            bears=Bears.HOLDS if held else Bears.SLOWS,
            held=held,
            since=since,
            subject=subjects.topic(topic.name),
            rests_on=("TopicConfig", "BatchMarks"),
            tells=Schema(named=int(named)),
        )
