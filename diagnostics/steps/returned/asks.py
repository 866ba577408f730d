"""What the completion topic asks of a message: the schema or the region for which it refused completions, or would refuse them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from diagnostics.evidence.model import Leg, Mark, Stage, TopicConfig, TopicSettings, Unseen
from diagnostics.readings.reasons import of_region, of_schema
from diagnostics.readings.topics import restricts
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, names, short


class Asks(Tells, frozen=True, kw_only=True):
    """What it asks for."""

    reason: str
    """In the words of what was refused, or of what would be."""


class AsksNoMore(Tells, frozen=True, kw_only=True):
    last: str
    """When a completion was last refused, in words."""


ASKS = Telling(
    "returned.topic_asks",
    Stage.RETURNED,
    "the completion topic does not take what the worker reports",
    Kind.MECHANISM,
    tells=Asks,
)
ASKS_NO_MORE = Telling(
    "returned.asks_no_more",
    Stage.RETURNED,
    "the completion topic no longer has the setting for which it refused completions",
    Kind.NOTE,
    tells=AsksNoMore,
)


def what_refused(refused: Sequence[Mark], held: int, topic: TopicConfig | Unseen, now: datetime) -> Iterator[Finding]:
    """What the topic asks for, where completions were refused for that; or, where none failed for any other reason, that it asks for that
    no more."""
    settings = None if isinstance(topic, Unseen) else topic.settings
    reasons = [m.words.get("reason", "") for m in refused]
    said = " ".join(sorted(set(reasons)))
    if settings is None or not (of_schema(said) or of_region(said)):
        return
    now_asked = []
    if settings.schema and of_schema(said):
        now_asked.append(f"that match the schema {short(settings.schema)}")
    if (
        of_region(said)
        and restricts(settings)
        and not any(re.search(rf"\b{re.escape(r)}\b", said) for r in settings.regions)
    ):
        now_asked.append(_from(settings))
    until = None if held else refused[-1].at
    for each in now_asked:
        yield ASKS.says(
            Status.OK if until else Status.FAULT,
            f"topic {short(settings.name)} takes only messages {each}",
            leg=Leg.COMPLETION,
            bears=Bears.APART if until else Bears.HOLDS,
            held=held,
            since=refused[0].at,
            until=until,
            subject=subjects.topic(settings.name),
            rests_on=("TopicConfig", "ItemMarks"),
            tells=Asks(reason=reasons[-1]),
        )
    if not now_asked and all(of_schema(reason) or of_region(reason) for reason in reasons):
        last = clock(refused[-1].at, now)
        yield ASKS_NO_MORE.says(
            Status.OK,
            f"topic {short(settings.name)} no longer has the setting for which it refused completions until {last}",
            leg=Leg.COMPLETION,
            subject=subjects.topic(settings.name),
            rests_on=("TopicConfig", "ItemMarks"),
            tells=AsksNoMore(last=last),
        )


def what_would_refuse(topic: TopicConfig, region: str, set_at: datetime, now: datetime) -> Iterator[Finding]:
    """Regions that are enforced in transit, and do not have the worker's among them, wait for the first completion. A schema says nothing
    by itself: there are messages that match."""
    settings = topic.settings
    if settings is None or not restricts(settings) or region in settings.regions:
        return
    yield ASKS.says(
        Status.WARNING,
        f"topic {short(settings.name)} takes only messages {_from(settings)}, as set at {clock(set_at, now)}, and the worker runs in "
        f"{region}; no completion was published since",
        leg=Leg.COMPLETION,
        subject=subjects.topic(settings.name),
        since=set_at,
        rests_on=("TopicConfig", "ServiceConfig", "ChangeLog", "PublishCounts"),
        tells=Asks(reason=f"its topic takes only messages {_from(settings)}"),
    )


def _from(settings: TopicSettings) -> str:
    return f"that are published in {names(settings.regions)}"
