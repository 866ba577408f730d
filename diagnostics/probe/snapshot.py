"""Snapshot mode: look at a copy. The subscription itself is not touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe.journal import Entry
from diagnostics.probe.peek import LEASE_S, Peek, peek
from diagnostics.probe.push_config import LABEL, UNTIL
from diagnostics.probe.reach import Reach, Refused
from diagnostics.probe.rpcs import CREATE_SNAPSHOT, CREATE_SUBSCRIPTION, SEEK
from diagnostics.sources.series import PUBSUB, Resource, Span, fetch, gauge

TOO_OLD_S = 6 * 86400 + 23 * 3600
"""Google refuses a snapshot that would live less than an hour, of the seven days less the age of the oldest message (pubsub.proto)."""
MARGIN_S = 3600
SHORTEST_RETENTION_S, LONGEST_RETENTION_S = 600, 31 * 86400
SHORTEST_EXPIRATION_S = 86400


def look(
    found: Peek,
    reach: Reach,
    entry: Entry,
    source: Any,
    wanted: int,
    waiting: int | None,
    oldest_s: float | None,
    may: Callable[[], bool] = lambda: True,
) -> None:
    """Snapshot, temporary subscription, seek, peek. The caller cleans up, whatever happens. `may` is asked before each whether the time
    is not over. Raises Refused, Unclear or NotThere."""
    labels = marks(entry)
    steps: tuple[Callable[[], None], ...] = (
        lambda: _made(lambda: _create_snapshot(reach, entry, labels)),
        lambda: _made(lambda: _create_subscription(reach, entry, source, labels, oldest_s)),
        lambda: _sought(reach, entry),
    )
    for step in steps:
        if not may():
            raise Refused("the time for it was over before it was done")
        step()
    peek(found, reach, entry.temporary, wanted, waiting=waiting, goes_on=may)


def marks(entry: Entry) -> dict[str, str]:
    """The labels by which anybody sees whose this is."""
    return {LABEL: entry.run, UNTIL: str(int(entry.until.timestamp()))}


def counted(reach: Reach, entry: Entry) -> int | None:
    """num_messages of the snapshot; None while the metric has no point of it."""
    _, project, _, name = entry.snapshot.split("/")
    metric = gauge(f"{PUBSUB}/snapshot/num_messages")
    resource = Resource(project, "pubsub_snapshot", (("snapshot_id", name),))
    try:
        session = reach.brief(now=reach.now())
        span = Span(entry.started, session.now, 60)
        got = reach.around("monitoring.list_time_series", lambda: fetch(session, resource, span, metric))
    except NotSeen:
        return None
    last = got.series[0][0].last if got.series[0] else None
    return None if last is None else int(last.value)


def _made(create: Callable[[], None]) -> None:
    """Create what has a name of this run. It is there already when an earlier try took effect and the answer was lost."""
    try:
        create()
    except Refused as refused:
        if not refused.exists:
            raise


def _sought(reach: Reach, entry: Entry) -> None:
    reach.write(SEEK, {"subscription": entry.temporary, "snapshot": entry.snapshot}, again=True)


def _create_snapshot(reach: Reach, entry: Entry, labels: dict[str, str]) -> None:
    request = {"name": entry.snapshot, "subscription": entry.subscription, "labels": labels}
    reach.write(CREATE_SNAPSHOT, request, again=True)


def _create_subscription(
    reach: Reach, entry: Entry, source: Any, labels: dict[str, str], oldest_s: float | None
) -> None:
    """The same filter, no push, no ordering, no dead letters; it keeps what the source may hold and expires by itself soon after."""
    retention = retention_s(source, oldest_s)
    request = {
        "name": entry.temporary,
        "topic": source.topic,
        "filter": source.filter,
        "labels": labels,
        "ack_deadline_seconds": LEASE_S,
        "message_retention_duration": {"seconds": retention},
        "expiration_policy": {"ttl": {"seconds": expiration_s(retention)}},
    }
    reach.write(CREATE_SUBSCRIPTION, request, again=True)


def retention_s(source: Any, oldest_s: float | None) -> int:
    """At least the age of the oldest message, else it would be hidden; the source's own where that age is not known."""
    own = source.message_retention_duration.seconds or 7 * 86400
    if oldest_s is None:
        return int(own)
    return int(min(max(oldest_s + MARGIN_S, SHORTEST_RETENTION_S), own, LONGEST_RETENTION_S))


def expiration_s(retention: int) -> int:
    """A day, the shortest; it has to be longer than the retention (subscription-properties page)."""
    return SHORTEST_EXPIRATION_S if retention < SHORTEST_EXPIRATION_S else retention + MARGIN_S
