"""What left the subscription without an ack, and what took it away?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import Change, ChangeLog, DeliveryHealth, Leg, Stage, SubscriptionSettings, Unseen
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status
from diagnostics.steps.routed.seen import Seen
from diagnostics.steps.words import clock, short, span

RESIDUE = Code("routed.residue", Stage.ROUTED, "messages left the subscription and nobody acked them", Kind.EFFECT)
PURGED = Code("routed.purged", Stage.ROUTED, "a seek dropped messages that nobody had acked", Kind.EFFECT)
MADE_ANEW = Code(
    "routed.made_anew", Stage.ROUTED, "the subscription was made again, without what waited in the old one", Kind.EFFECT
)
OUTLIVED = Code(
    "routed.outlived", Stage.ROUTED, "messages waited longer than the subscription keeps them", Kind.CONSEQUENCE
)
LATER = Code(
    "routed.later_gone",
    Stage.ROUTED,
    "messages that came after this batch was done are gone, and no line names a batch of theirs",
    Kind.EFFECT,
)
VANISHED = (RESIDUE.name, PURGED.name, MADE_ANEW.name, OUTLIVED.name)
"""What became of messages on a route that is right."""
_TAKES_AWAY = frozenset(
    {"DeleteSubscription", "CreateSubscription", "Seek", "DetachSubscription", "ExpireInactiveSubscription"}
)
"""Methods by which what waits in a subscription is gone without a push."""


def left_unacked(
    seen: Seen,
    settings: SubscriptionSettings,
    gone: int,
    changes: ChangeLog | Unseen,
    health: DeliveryHealth | Unseen,
) -> Iterator[Finding]:
    """What the balance of the route lacks, and who took it away, where the audit log tells. Of a seek it has nothing unless reads of
    data are logged; Pub/Sub's own health score says that there was one."""
    if not gone:
        return
    begin = seen.ledger.started
    listed = () if isinstance(changes, Unseen) else changes.changes
    made = [
        c
        for c in listed
        if c.ok and c.method in _TAKES_AWAY and short(c.resource) == short(settings.name) and begin and c.at >= begin
    ]
    code, why, since = _taken_by(settings, made, _sought(health, begin), begin, seen.now)
    noun = seen.profile.item + "s" if seen.leg is Leg.REQUEST else "completions"
    yield code.says(
        Status.FAULT,
        f"at least {gone} {noun} came to the topic and are gone from {short(settings.name)}: neither acked nor filtered nor "
        f"dead-lettered, and they wait no more; {why}",
        leg=seen.leg,
        bears=Bears.HOLDS,
        held=gone,
        since=since,
        subject=subjects.subscription(settings.name),
        rests_on=("PublishCounts", "PushCounts", "AckCounts", "Backlog", "DeadLetterCounts", "ItemMarks"),
    )


def gone_later(seen: Seen, gone: int, since: datetime | None) -> Iterator[Finding]:
    """Where no coordinator tells of a start, messages that nobody took up are all that there is of a later one."""
    if not gone or not seen.ledger.one_way or seen.ledger.asked or seen.leg is not Leg.REQUEST:
        return
    when = f" at {clock(since, seen.now)} and later" if since else ""
    yield LATER.says(
        Status.WARNING,
        f"{gone} messages that came to the topic{when}, after this batch was done, are gone: neither acked nor dead-lettered, and they "
        "wait no more; no line names a batch of theirs",
        leg=seen.leg,
        since=since,
        rests_on=("PublishCounts", "PushCounts", "AckCounts", "Backlog", "DeadLetterCounts"),
    )


def _taken_by(
    settings: SubscriptionSettings, made: list[Change], sought: datetime | None, begin: datetime | None, now: datetime
) -> tuple[Code, str, datetime | None]:
    """What became of messages that are gone, why, and since when. `made`: what was done to the subscription since the batch began, as
    the audit log tells; `sought`: when it was sought, as its health tells."""
    if made:
        who = ", ".join(f"{clock(c.at, now)} {c.method} by {c.by}" for c in made)
        methods = {c.method for c in made}
        code = MADE_ANEW if "CreateSubscription" in methods else PURGED if methods == {"Seek"} else RESIDUE
        return code, f"since the batch began: {who}", made[0].at
    kept = timedelta(seconds=settings.retention_s)
    if begin and sought and sought - begin < kept:
        says = f"there was a seek at about {clock(sought, now)}, which the audit log does not show by default"
        return PURGED, says, sought
    if begin and now - begin > kept:
        says = (
            f"the subscription keeps a message for {span(settings.retention_s)}, and they were not acked in that time"
        )
        return OUTLIVED, says, None
    return RESIDUE, "a seek or purge leaves no trace, and takes away what waits", None


def _sought(health: DeliveryHealth | Unseen, begin: datetime | None) -> datetime | None:
    """When the subscription was sought for the first time since then, by its delivery health: a seek spoils ten minutes of it, so one
    before the batch may show in its first minutes, and begins earlier."""
    if isinstance(health, Unseen) or begin is None:
        return None
    points = sorted(
        (p for s in health.series if s.labels.get("criteria") == "seek_requests" for p in s.points), key=lambda p: p.end
    )
    before = [None, *points]
    spoilt = (
        p for last, p in zip(before, points, strict=False) if p.value < 1.0 and (last is None or last.value == 1.0)
    )
    return next((max(p.start, begin) for p in spoilt if p.end > begin), None)
