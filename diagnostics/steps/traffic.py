"""Does anything flow, or is there nothing to do? Idle is shown by publishing being nil, never by pushes being absent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import Backlog, Leg, PublishCounts, PushCounts, Stage, TopicConfig, Unseen, total
from diagnostics.question.ask import Ask
from diagnostics.readings.answers import by_class, last_of
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Status, Subject, Telling
from diagnostics.steps.tells import Hidden
from diagnostics.steps.words import clock, count, short

FLOWS = Code("traffic.flows", Stage.DELIVERED, "messages are published and acknowledged")
IDLE = Code("traffic.idle", Stage.DELIVERED, "nothing was published")
UNSURE = Telling("traffic.unsure", Stage.DELIVERED, "whether messages get through cannot be told", tells=Hidden)
ONE_WAY = Code("traffic.one_way", Stage.RETURNED, "work is done and nothing comes back")

LONGEST_DEADLINE = timedelta(seconds=600)
"""The longest ack deadline that Pub/Sub takes: what was acked before that has long been worked on."""


def traffic(
    leg: Leg,
    now: datetime,
    ask: Ask,
    published: PublishCounts | Unseen,
    topic: TopicConfig | Unseen,
    pushes: PushCounts | Unseen,
    backlog: Backlog | Unseen,
    request: Annotated[PushCounts | Unseen, Leg.REQUEST],
) -> Iterator[Finding]:
    """Compares what was published to the leg's topic with what was acked. How pushes fail is for the other steps to say."""
    about = None if isinstance(topic, Unseen) else subjects.topic(topic.name)
    acks = 0.0 if isinstance(pushes, Unseen) else by_class(pushes.series).get("ack", 0)
    if isinstance(published, Unseen):
        if acks:
            yield _flows(leg, about, f"{count(acks, 'push')} acked; what was published could not be seen", "PushCounts")
        else:
            yield _unsure(leg, about, f"what was published could not be seen: {published.says}", published)
        return
    sent = total(published.messages)
    if sent and acks:
        says = f"{count(sent, 'message')} published, {count(acks, 'push')} acked"
        yield _flows(leg, about, says, "PublishCounts", "PushCounts")
    elif sent:
        yield from _unanswered(leg, about, now, published, pushes)
    elif acks:
        says = f"nothing new was published, {count(acks, 'push')} of older messages acked"
        yield _flows(leg, about, says, "PushCounts")
    else:
        yield from _nil(leg, now, ask, published, topic, backlog, request)


def _unanswered(
    leg: Leg, about: Subject | None, now: datetime, published: PublishCounts, pushes: PushCounts | Unseen
) -> Iterator[Finding]:
    """Something was published and nothing acked. What was answered otherwise is for the other steps to say."""
    if isinstance(pushes, Unseen):
        yield _unsure(leg, about, f"how pushes are answered could not be seen: {pushes.says}", pushes)
    elif not by_class(pushes.series):
        newest, sent = last_of(published.messages), total(published.messages)
        at = f", the last by {clock(newest, now)}" if newest else ""
        yield _unsure(leg, about, f"{count(sent, 'message')} published{at}, and no push was counted yet", None)


def _nil(
    leg: Leg,
    now: datetime,
    ask: Ask,
    published: PublishCounts,
    topic: TopicConfig | Unseen,
    backlog: Backlog | Unseen,
    request: PushCounts | Unseen,
) -> Iterator[Finding]:
    """Nothing was counted as published. That is idle only if it would have been seen, and nothing waits."""
    since, until = (ask.deploy.at if ask.deploy else None) or ask.since, published.source.as_of
    if isinstance(topic, Unseen):
        says = f"nothing was counted on the topic, and whether it exists could not be seen: {topic.says}"
        yield _unsure(leg, None, says, topic)
        return
    name, about = short(topic.name), subjects.topic(topic.name)
    if topic.settings is None:
        yield _unsure(leg, about, f"topic {name} does not exist: nothing can be published to it", None)
    elif since is None or until <= since or not published.source.complete:
        yield _unsure(leg, about, f"what is published to {name} can be seen until {clock(until, now)} only", None)
    elif isinstance(backlog, Unseen):
        says = f"nothing was published, and whether messages wait could not be seen: {backlog.says}"
        yield _unsure(leg, about, says, backlog)
    elif waits := max((s.last.value for s in backlog.undelivered if s.last), default=0.0):
        yield _unsure(leg, about, f"nothing was published, {count(waits, 'message')} wait and nothing is pushed", None)
    elif leg is Leg.COMPLETION and (done := _done(request, until)):
        yield ONE_WAY.says(
            Status.WARNING,
            f"{count(done, 'push')} acked by the worker more than 10 min ago and nothing was published to {name}",
            leg=leg,
            subject=about,
            rests_on=("PublishCounts", "PushCounts"),
        )
    else:
        yield IDLE.says(
            Status.IDLE,
            f"nothing was published to {name} from {clock(since, now)} to {clock(until, now)}, and nothing waits",
            leg=leg,
            since=since,
            subject=about,
            rests_on=("PublishCounts", "TopicConfig", "Backlog"),
        )


def _done(request: PushCounts | Unseen, until: datetime) -> float:
    """Pushes to the worker that were acked so long ago that something should have come of them."""
    if isinstance(request, Unseen):
        return 0.0
    return by_class(request.series, until=until - LONGEST_DEADLINE).get("ack", 0)


def _flows(leg: Leg, about: Subject | None, sentence: str, *rests: str) -> Finding:
    return FLOWS.says(Status.OK, sentence, leg=leg, subject=about, rests_on=rests)


def _unsure(leg: Leg, about: Subject | None, sentence: str, unseen: Unseen | None) -> Finding:
    tells = Hidden.of(unseen) if unseen else Hidden()
    rests = (unseen.what,) if unseen else ("PublishCounts",)
    return UNSURE.says(Status.UNKNOWN, sentence, leg=leg, subject=about, rests_on=rests, tells=tells)
