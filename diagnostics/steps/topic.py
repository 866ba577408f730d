"""What the request topic itself shows: does it exist, does Pub/Sub take what is published, does anything arrive on it?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import Leg, PublishCounts, QuotaExceeded, Stage, TopicConfig, Unseen, total
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import unreached
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status
from diagnostics.steps.words import RECENT, clock, count, short

REFUSED = Code("published.refused", Stage.PUBLISHED, "Pub/Sub refuses publish requests", Kind.EFFECT)
QUOTA = Code("published.quota", Stage.PUBLISHED, "a Pub/Sub quota was exceeded", Kind.MECHANISM)
MISSING = Code("published.topic_missing", Stage.PUBLISHED, "the request topic does not exist", Kind.MECHANISM)
ELSEWHERE = Code(
    "published.elsewhere", Stage.PUBLISHED, "what the coordinator published did not arrive on the topic", Kind.EFFECT
)
QUIET = Code("published.quiet", Stage.PUBLISHED, "nothing was published lately")

_HOUR = timedelta(hours=1)
"""What the command that looks at publishing alone calls lately."""


def topic(
    ledger: Ledger,
    now: datetime,
    config: Annotated[TopicConfig | Unseen, Leg.REQUEST],
    counts: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    quota: QuotaExceeded | Unseen,
) -> Iterator[Finding]:
    """Reads the topic, its publish counters and the quota metric. Counters are the whole topic's: others publish there, too."""
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    failed = ledger.attempt.failed_to_publish if ledger.attempt else 0
    held = max(ledger.gap(Stage.PUBLISHED)[0], failed) if ledger.counts else 0
    if not isinstance(config, Unseen) and config.settings is None:
        yield MISSING.says(
            Status.FAULT,
            f"topic {short(config.name)} does not exist",
            leg=Leg.REQUEST,
            bears=_bears(held),
            held=held,
            rests_on=("TopicConfig",),
        )
    if not isinstance(counts, Unseen):
        yield from _refused(counts, since, now, held)
        yield from _elsewhere(ledger, counts)
        yield from _quiet(ledger, counts, now)
    if not isinstance(quota, Unseen):
        yield from _quota(quota, since or now - _HOUR, held)


def _refused(counts: PublishCounts, since: datetime | None, now: datetime, held: int) -> Iterator[Finding]:
    recently = counts.source.as_of - RECENT
    for one in counts.requests:
        refused = one.total(since or recently)
        if one.labels.get("response_class") in ("", "success") or not refused:
            continue
        code = one.labels.get("response_code", "?")
        live = one.total(recently) > 0 or bool(held)
        yield REFUSED.says(
            Status.FAULT if live else Status.WARNING,
            f"{count(refused, 'publish request')} refused with {code}"
            + ("" if live else f", none since {clock(recently, now)}"),
            leg=Leg.REQUEST,
            bears=_bears(held),
            held=held,
            since=next((p.start for p in one.within(since) if p.value), None),
            rests_on=("PublishCounts",),
            numbers={"refused": refused},
            words={"code": code},
        )


def _quota(quota: QuotaExceeded, since: datetime, held: int) -> Iterator[Finding]:
    for one in quota.series:
        if one.peak(since):
            metric = one.labels.get("quota_metric", "?")
            yield QUOTA.says(
                Status.FAULT,
                f"quota {metric} was exceeded",
                leg=Leg.REQUEST,
                bears=_bears(held),
                held=held,
                since=next((p.start for p in one.within(since) if p.value), None),
                rests_on=("QuotaExceeded",),
                words={"metric": metric},
            )


def _elsewhere(ledger: Ledger, counts: PublishCounts) -> Iterator[Finding]:
    """The coordinator counted its publishes, its topic counted none, and none came out of it: they went to another topic.

    An absent series is not zero, so this alone can never be more than probable.
    """
    told = ledger.attempt.published if ledger.attempt else None
    sent = ledger.counts[Stage.PUBLISHED].exact if ledger.counts else None
    if told is None or not sent or ledger.started is None or counts.source.as_of < told.at + timedelta(minutes=2):
        return
    missing, _ = unreached(ledger, Leg.REQUEST)
    if missing < sent or total(counts.messages, ledger.started - timedelta(minutes=1)):
        return
    yield ELSEWHERE.says(
        Status.FAULT,
        f"the coordinator says that it published {sent}; the topic's own counter shows none of them",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=missing,
        since=told.at,
        rests_on=("BatchMarks", "PublishCounts"),
        numbers={"sent": sent},
    )


def _quiet(ledger: Ledger, counts: PublishCounts, now: datetime) -> Iterator[Finding]:
    """Not an all-clear: whether something should have been published, the topic cannot tell."""
    if total(counts.messages, counts.source.as_of - _HOUR):
        return
    latest = ledger.attempts[-1] if ledger.attempts else None
    yield QUIET.says(
        Status.IDLE,
        f"nothing was published in the hour before {clock(counts.source.as_of, now)}"
        + (f"; the latest start call is of {clock(latest.started, now)}" if latest else "; no start call is known"),
        leg=Leg.REQUEST,
        rests_on=("PublishCounts",),
    )


def _bears(held: int) -> Bears:
    return Bears.HOLDS if held else Bears.APART
