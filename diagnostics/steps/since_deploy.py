"""What came of a deploy: is its traffic visible yet, is it worse than before, what did it lose?

No threshold of our own: worse is what chance would bring about less than once in a hundred deploys that change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median

from diagnostics.evidence.model import (
    ChangeLog,
    Leg,
    MetricDelays,
    Point,
    PushCounts,
    PushHistory,
    ReceiverCapacity,
    ReceiverTraffic,
    Revisions,
    RevisionSettings,
    Series,
    ServiceConfig,
    Stage,
    Unseen,
)
from diagnostics.question.ask import Ask
from diagnostics.readings.answers import by_class
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Status, Subject, Telling
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import clock, count, latency, short, span


class Settles(Tells, frozen=True, kw_only=True):
    """From when on metrics show what came after the deploy."""

    settles: float
    """In seconds since 1970."""
    settle_s: float
    """Seconds after the deploy."""


class Settling(Hidden, frozen=True, kw_only=True):
    """Likewise, or why that could not be seen."""

    settles: float | None = None
    settle_s: float | None = None


class Lost(Tells, frozen=True, kw_only=True):
    lost: int
    """Environment names."""


class Shares(Tells, frozen=True, kw_only=True):
    """Of pushes that fail, 0 to 1."""

    after: float
    before: float


SETTLED = Telling("since_deploy.settled", Stage.PROCESSED, "what happened after the deploy is visible", tells=Settles)
SETTLING = Telling("since_deploy.settling", Stage.PROCESSED, "too early to judge traffic", tells=Settling)
DEPLOYED = Code("since_deploy.deployed", Stage.PROCESSED, "what the deploy changed")
ENV_LOST = Telling("since_deploy.env_lost", Stage.PROCESSED, "environment names were lost", tells=Lost)
GRANTS = Code("since_deploy.grants", Stage.PROCESSED, "grants were changed since the deploy")
ERRORS = Telling("since_deploy.errors", Stage.PROCESSED, "a larger share of pushes fails than before", tells=Shares)
SLOWER = Code("since_deploy.slower", Stage.PROCESSED, "requests or starts take longer than before")
UNSEEN = Telling("since_deploy.unseen", Stage.PROCESSED, "before and after cannot be compared", tells=Hidden)

CHANCE = 0.01


def settled(now: datetime, ask: Ask, delays: MetricDelays | Unseen) -> Iterator[Finding]:
    """Reads from the metric descriptors how long what happened after the deploy stays invisible."""
    if ask.deploy is None or ask.deploy.at is None:
        return
    made = f"{ask.deploy.revision} was made {clock(ask.deploy.at, now)}"
    about = subjects.revision(ask.deploy.revision)
    if isinstance(delays, Unseen):
        yield SETTLING.says(
            Status.UNKNOWN,
            f"{made}; from when on its traffic is visible could not be seen: {delays.says}",
            rests_on=("MetricDelays",),
            subject=about,
            tells=Settling.of(delays),
        )
        return
    at = ask.deploy.at + timedelta(seconds=delays.settle_s)
    if now < at:
        says = f"{made}; metrics show all of its traffic from {at:%H:%M:%S}Z on ({span(delays.settle_s)} after)"
        yield SETTLING.says(
            Status.UNKNOWN,
            says,
            since=ask.deploy.at,
            subject=about,
            rests_on=("MetricDelays",),
            tells=Settling(settles=at.timestamp(), settle_s=delays.settle_s),
        )
        return
    yield SETTLED.says(
        Status.OK,
        f"{made}, {span((now - ask.deploy.at).total_seconds())} ago; metrics lag by {span(delays.settle_s)} at most",
        since=ask.deploy.at,
        subject=about,
        rests_on=("MetricDelays",),
        tells=Settles(settles=at.timestamp(), settle_s=delays.settle_s),
    )


def since_deploy(
    leg: Leg,
    now: datetime,
    ask: Ask,
    service: ServiceConfig,
    revisions: Revisions | Unseen,
    changes: ChangeLog | Unseen,
    pushes: PushCounts | Unseen,
    history: PushHistory | Unseen,
    requests: ReceiverTraffic | Unseen,
    capacity: ReceiverCapacity | Unseen,
) -> Iterator[Finding]:
    """Compares settings, error share, latency and start-up before the deploy and after it."""
    if ask.deploy is None or ask.deploy.at is None or service.settings is None:
        return
    at, about = ask.deploy.at, subjects.service(service.name)
    if not isinstance(revisions, Unseen):
        yield from _lost(leg, at, now, service.settings.name, revisions.revisions)
    yield from _grants(leg, at, now, service.name, changes)
    yield from _errors(leg, about, at, now, pushes, history)
    if not isinstance(requests, Unseen):
        yield from _slower(leg, about, at, now, "the median request", requests.p50, "ReceiverTraffic")
    if not isinstance(capacity, Unseen):
        yield from _slower(leg, about, at, now, "the median start-up", capacity.startup_p50, "ReceiverCapacity")


def _lost(leg: Leg, at: datetime, now: datetime, name: str, listed: Sequence[RevisionSettings]) -> Iterator[Finding]:
    """What the newest revision since then has no longer. Lost minimum instances have a finding of their own."""
    made = [r for r in listed if r.created >= at]
    older = [r for r in listed if r.created < at and r.ready == "ready"]
    if not made or not older:
        return
    after, before = made[0], older[0]
    gone = sorted(before.env.keys() - after.env.keys())
    if gone:
        yield ENV_LOST.says(
            Status.WARNING,
            f"{after.name} lost {count(len(gone), 'environment name')} that {before.name} had: {', '.join(gone)}",
            leg=leg,
            since=after.created,
            rests_on=("Revisions",),
            subject=subjects.service(name),
            tells=Lost(lost=len(gone)),
        )
    said = [
        f"{word} {getattr(before, field)} → {getattr(after, field)}"
        for field, word in _SETTINGS
        if _differ(before, after, field)
    ]
    said += ["image"] if before.image != after.image else []
    changed = sorted(k for k in before.env.keys() & after.env.keys() if before.env[k] != after.env[k])
    said += [f"value of {', '.join(changed)}"] if changed else []
    yield DEPLOYED.says(
        Status.OK,
        f"{name}: {after.name}, made {clock(after.created, now)}, differs from {before.name} in {', '.join(said) or 'nothing'}",
        leg=leg,
        since=after.created,
        subject=subjects.service(name),
        rests_on=("Revisions",),
    )


_SETTINGS = (
    ("min_instances", "min-instances"),
    ("max_instances", "max-instances"),
    ("concurrency", "concurrency"),
    ("timeout_s", "timeout"),
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("account", "account"),
)


def _differ(before: RevisionSettings, after: RevisionSettings, field: str) -> bool:
    return bool(getattr(before, field) != getattr(after, field))


def _grants(leg: Leg, at: datetime, now: datetime, service: str, changes: ChangeLog | Unseen) -> Iterator[Finding]:
    """Told, not judged: whether what is granted now suffices is for the sign-in step to say."""
    if isinstance(changes, Unseen):
        return
    made = [c for c in changes.changes if c.ok and c.at >= at and c.method == "SetIamPolicy"]
    ours = [c for c in made if short(c.resource) == service]
    if ours:
        told = "; ".join(f"{clock(c.at, now)} by {c.by}{f' ({c.says})' if c.says else ''}" for c in ours[-3:])
        says = f"grants on {service} were changed since: {told}"
        about = subjects.service(service)
        yield GRANTS.says(Status.OK, says, leg=leg, since=ours[0].at, subject=about, rests_on=("ChangeLog",))


def _errors(
    leg: Leg,
    about: Subject | None,
    at: datetime,
    now: datetime,
    pushes: PushCounts | Unseen,
    history: PushHistory | Unseen,
) -> Iterator[Finding]:
    for hidden in (pushes, history):
        if isinstance(hidden, Unseen):
            yield UNSEEN.says(
                Status.UNKNOWN,
                f"whether more pushes fail than before could not be seen: {hidden.says}",
                leg=leg,
                rests_on=(hidden.what,),
                subject=about,
                tells=Hidden.of(hidden),
            )
            return
    assert not isinstance(pushes, Unseen) and not isinstance(history, Unseen)
    after, before = by_class(_since(pushes.series, at)), by_class(history.series, until=at)
    pushed, past = sum(after.values()), sum(before.values())
    if not pushed or not past:
        return
    failed, failed_before = pushed - after.get("ack", 0), past - before.get("ack", 0)
    worse = at_least(round(failed), round(pushed), (failed_before + 1) / (past + 2)) < CHANCE
    bad = ", ".join(f"{round(n)} {name}" for name, n in sorted(after.items()) if name != "ack")
    yield ERRORS.says(
        Status.WARNING if worse else Status.OK,
        f"{failed / pushed:.1%} of {count(pushed, 'push')} failed since {clock(at, now)}{f' ({bad})' if bad else ''}, "
        f"{failed_before / past:.1%} of {count(past, 'push')} in the days before",
        leg=leg,
        since=at,
        rests_on=("PushCounts", "PushHistory"),
        subject=about,
        tells=Shares(after=failed / pushed, before=failed_before / past),
    )


def _slower(
    leg: Leg, about: Subject | None, at: datetime, now: datetime, what: str, series: Sequence[Series], rests: str
) -> Iterator[Finding]:
    """Slower is: each minute since is above every minute before, and there are too many of them for chance."""
    before = [p.value for s in series for p in s.within(until=at)]
    after = [p.value for s in _since(series, at) for p in s.points]
    if not before or not after:
        return
    apart = min(after) > max(before) and 1 / math.comb(len(before) + len(after), len(after)) < CHANCE
    told = f"{what} takes {latency(median(after))} since {clock(at, now)}, {latency(median(before))} before"
    status = Status.ADVICE if apart else Status.OK
    yield SLOWER.says(status, told, leg=leg, since=at, subject=about, rests_on=(rests,))


def _since(series: Sequence[Series], at: datetime) -> list[Series]:
    """What began after that moment: the minute of the deploy belongs to neither side."""
    return [Series(labels=s.labels, points=tuple(p for p in s.points if _begins(p, at))) for s in series]


def _begins(point: Point, at: datetime) -> bool:
    return point.start >= at


def at_least(hits: int, tries: int, share: float) -> float:
    """The chance of so many hits or more, if each try is one with this probability (binomial tail)."""
    if hits <= 0:
        return 1.0
    misses = (
        math.exp(
            math.lgamma(tries + 1)
            - math.lgamma(k + 1)
            - math.lgamma(tries - k + 1)
            + k * math.log(share)
            + (tries - k) * math.log1p(-share)
        )
        for k in range(hits)
    )
    return max(0.0, 1.0 - sum(misses))
