"""What the metrics say of a subscription before it is probed: how many wait, how old, how often they can have been tried."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from diagnostics.evidence.model import SubscriptionSettings
from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe.reach import Reach
from diagnostics.sources.monitoring import OLDEST_AGE, PUSHES
from diagnostics.sources.series import PUBSUB, Resource, Span, fetch, gauge
from diagnostics.transport.session import Session

HISTORY_S = 7 * 86400.0
"""For so long failed pushes are counted."""
STALE = timedelta(minutes=10)
"""A count of what waits that is older says nothing of now: it is sampled each minute and visible two to four minutes later."""
METRIC_LAG_S = 300.0
"""The newest push that the counter shows may be so old: sampled each minute, visible after two to four (metrics list)."""


class Measured(Struct, frozen=True, kw_only=True):
    """What the metrics say beforehand; None: nothing."""

    waiting: int | None = None
    waiting_at: datetime | None = None
    """The moment of which `waiting` is."""
    oldest_s: float | None = None
    attempts: int | None = None
    """The most delivery attempts that any waiting message can have had: all failed pushes since the oldest was published."""


def measure(reach: Reach, settings: SubscriptionSettings) -> Measured:
    """Raises nothing: what cannot be seen is None."""
    _, project, _, name = settings.name.split("/")
    resource = Resource(project, "pubsub_subscription", (("subscription_id", name),))
    waiting = gauge(f"{PUBSUB}/subscription/num_undelivered_messages")
    try:
        session = reach.brief(now=reach.now())
        lately = Span(session.now - timedelta(minutes=15), session.now, 60)
        got = reach.around(
            "monitoring.list_time_series", lambda: fetch(session, resource, lately, waiting, OLDEST_AGE)
        ).series
    except NotSeen:
        return Measured()
    count, age = (series[0].last if series else None for series in got)
    oldest = age.value if age else None
    attempts = None if oldest is None else _attempts(session, resource, settings, oldest)
    if count is None or session.now - count.end > STALE:
        return Measured(oldest_s=oldest, attempts=attempts)
    return Measured(waiting=int(count.value), waiting_at=count.end, oldest_s=oldest, attempts=attempts)


def _attempts(session: Session, resource: Resource, settings: SubscriptionSettings, oldest_s: float) -> int | None:
    """The most attempts that any waiting message can have had: every failed push since the oldest came could have been of one and the
    same, and so could those that the metric does not show yet."""
    if settings.dead_letter is None or settings.retry is None or not settings.retry.min_s or oldest_s > HISTORY_S:
        return None
    since = session.now - timedelta(seconds=oldest_s + 2 * 3600)
    try:
        pushes = fetch(session, resource, Span(since, session.now, 3600), PUSHES).series[0]
    except NotSeen:
        return None
    unseen, waited, pause = 1, 0.0, settings.retry.min_s
    while (waited := waited + pause) < METRIC_LAG_S:
        unseen, pause = unseen + 1, min(2 * pause, settings.retry.max_s)
    return unseen + int(sum(s.total() for s in pushes if s.labels.get("response_class") != "ack"))


def span(seconds: float) -> str:
    """Two units, the finer one rounded down: an age is not overstated."""
    minutes = int(seconds // 60)
    if minutes >= 24 * 60:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
