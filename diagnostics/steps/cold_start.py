"""Is the service there in time: start-up and queueing against the ack deadline, instances against their limit?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    DeadLetterCounts,
    Leg,
    LiveStart,
    LogRow,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    Series,
    ServiceConfig,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    Unseen,
    total,
)
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status
from diagnostics.steps.progress import patience_s
from diagnostics.steps.words import RECENT, by_class, clock, count, latency, owed

FINE = Code("cold_start.fine", Stage.DELIVERED, "start-up fits into the ack deadline")
TOO_SLOW = Code("cold_start.too_slow", Stage.DELIVERED, "start-up takes longer than the ack deadline", Kind.EFFECT)
SATURATED = Code(
    "cold_start.saturated", Stage.DELIVERED, "all instances are busy and Cloud Run turns pushes away", Kind.EFFECT
)
DRAINED = Code("cold_start.drained", Stage.DELIVERED, "Cloud Run turned pushes away earlier and takes them now")
CANNOT_SCALE = Code(
    "cold_start.cannot_scale", Stage.DELIVERED, "Cloud Run could not start instances fast enough", Kind.EFFECT
)
SWITCHED_OFF = Code("cold_start.switched_off", Stage.DELIVERED, "the service is scaled to zero by hand", Kind.MECHANISM)
COLD = Code("cold_start.cold", Stage.DELIVERED, "requests met cold instances")
UNSEEN = Code("cold_start.unseen", Stage.DELIVERED, "start-up could not be seen")
LIVE = Code("cold_start.live", Stage.DELIVERED, "a live first call")

NO_INSTANCE = "no available instance"
"""Part of the sentence that Cloud Run logs with its own 429 and 500 (Cloud Run troubleshooting page)."""


def cold_start(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    service: ServiceConfig,
    subscription: SubscriptionConfig | Unseen,
    capacity: ReceiverCapacity | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    dead: DeadLetterCounts | Unseen,
    live: LiveStart | Unseen,
) -> Iterator[Finding]:
    """Reads start-up, pending latency, instances and limits; the log says whom Cloud Run itself turned away, and when."""
    settings = service.settings
    if settings is None:
        return
    least, _ = owed(ledger, leg)
    if settings.manual_instances == 0:
        yield SWITCHED_OFF.says(
            Status.FAULT,
            f"{settings.name} is in manual scaling with 0 instances",
            leg=leg,
            bears=Bears.HOLDS if least else Bears.APART,
            held=least,
            rests_on=("ServiceConfig",),
        )
    yield from _turned_away(leg, ledger, settings, subscription, log, pushes, dead, capacity, now, least)
    if isinstance(capacity, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"start-up and instances could not be seen: {capacity.says}",
            leg=leg,
            words={"permission": capacity.permission, "mend": capacity.mend, "why": capacity.why.value},
        )
    elif not isinstance(subscription, Unseen) and subscription.settings is not None:
        yield from _startup(leg, ledger, settings, subscription.settings.ack_deadline_s, capacity, pushes, least)
    if not isinstance(live, Unseen) and live.calls:
        first, *rest = live.calls
        warm = f", then {latency(rest[-1].latency_s)}" if rest else ""
        yield LIVE.says(
            Status.OK,
            f"live first call {latency(first.latency_s)} ({first.status}){warm}",
            leg=leg,
            rests_on=("LiveStart",),
        )


def _startup(
    leg: Leg,
    ledger: Ledger,
    settings: ServiceSettings,
    deadline_s: float,
    capacity: ReceiverCapacity,
    pushes: PushCounts | Unseen,
    least: int,
) -> Iterator[Finding]:
    since = ledger.started - timedelta(minutes=1) if ledger.started else capacity.source.as_of - timedelta(hours=1)
    startup = _peak(capacity.startup_p99, since)
    typical = _median(capacity.startup_p50, since)
    pending = _peak(capacity.pending_p99, since)
    starts = sum(s.total(since) for s in capacity.startups)
    if startup is None:
        yield FINE.says(
            Status.OK,
            f"no instance of {settings.name} had to start in the window",
            leg=leg,
            rests_on=("ReceiverCapacity",),
        )
        return
    figures = f"{count(starts, 'start')}, start-up p99 {startup:.1f} s" + (
        f", queueing p99 {pending:.1f} s" if pending is not None else ""
    )
    late = {} if isinstance(pushes, Unseen) else by_class(pushes.series, since)
    expired = late.get("deadline_exceeded", 0)
    numbers = {"startup_s": startup, "deadline_s": deadline_s, "starts": starts, "expired": expired}
    if (typical or startup) > deadline_s:
        recent = {} if isinstance(pushes, Unseen) else by_class(pushes.series, pushes.source.as_of - RECENT)
        live = bool(least) or bool(recent.get("deadline_exceeded"))
        yield TOO_SLOW.says(
            Status.FAULT if expired and live else Status.WARNING,
            f"{figures} against an ack deadline of {deadline_s:.0f} s; {count(expired, 'push')} ran into it",
            leg=leg,
            bears=(Bears.HOLDS if least else Bears.SLOWS) if expired else Bears.APART,
            held=least if expired else 0,
            since=since,
            rests_on=("ReceiverCapacity", "SubscriptionConfig", "PushCounts"),
            numbers=numbers,
        )
        return
    yield FINE.says(
        Status.OK,
        f"{figures}, of an ack deadline of {deadline_s:.0f} s",
        leg=leg,
        rests_on=("ReceiverCapacity", "SubscriptionConfig"),
        numbers=numbers,
    )
    if starts:
        yield COLD.says(
            Status.OK,
            f"{count(starts, 'cold start')} since the batch began",
            leg=leg,
            bears=Bears.SLOWS,
            numbers=numbers,
        )


def _turned_away(
    leg: Leg,
    ledger: Ledger,
    settings: ServiceSettings,
    subscription: SubscriptionConfig | Unseen,
    log: RequestLog | Unseen,
    pushes: PushCounts | Unseen,
    dead: DeadLetterCounts | Unseen,
    capacity: ReceiverCapacity | Unseen,
    now: datetime,
    least: int,
) -> Iterator[Finding]:
    """Turned away now: it holds the batch if nothing gets through, and slows it if something does. Turned away earlier: over,
    unless those very refusals used up the attempts of messages that are now dead letters.
    """
    if isinstance(log, Unseen):
        return
    since = ledger.started or now - timedelta(hours=1)
    away = [r for r in log.refused if _away(r, log.push_path) and r.at >= since]
    if not away:
        return
    recent = [r for r in away if r.at > now - RECENT]
    full = [r for r in away if r.status == 429]
    limit = _limit(settings)
    busy = None if isinstance(capacity, Unseen) else _instances(capacity, since)
    numbers = {"turned_away": len(away), "recent": len(recent), "limit": limit} | ({"instances": busy} if busy else {})
    acked = not isinstance(pushes, Unseen) and bool(by_class(pushes.series, pushes.source.as_of - RECENT).get("ack"))
    flowing = acked or _moves(ledger, now, subscription, capacity)
    lettered = 0 if isinstance(dead, Unseen) or not ledger.started else round(total(dead.series, since))
    burnt = min(lettered, least) if len(away) > _other_refusals(log, since) else 0
    owes_nothing = owed(ledger, leg) == (0, 0)
    running = f"{busy:.0f} of at most {limit} instances ran" if busy else f"at most {limit} instances may run"
    if full and burnt:
        yield SATURATED.says(
            Status.FAULT,
            f"{count(len(away), 'push')} turned away with 429 “{NO_INSTANCE}”, the last at {clock(away[-1].at, now)}; {running}; "
            f"each refusal is an attempt, and {count(burnt, 'message')} went to the dead-letter topic",
            leg=leg,
            bears=Bears.HOLDS,
            held=burnt,
            since=full[0].at,
            rests_on=("RequestLog", "DeadLetterCounts", "ReceiverCapacity", "ServiceConfig"),
            numbers=numbers | {"dead_lettered": burnt},
        )
    elif not recent or owes_nothing:
        yield DRAINED.says(
            Status.OK,
            f"{count(len(away), 'push')} turned away with “{NO_INSTANCE}” until {clock(away[-1].at, now)}; "
            + ("acked since" if flowing or owes_nothing else "none since"),
            leg=leg,
            bears=Bears.SLOWS,
            since=away[0].at,
            until=away[-1].at,
            rests_on=("RequestLog",),
            numbers=numbers,
        )
    elif full:
        yield SATURATED.says(
            Status.WARNING if flowing else Status.FAULT,
            f"{count(len(recent), 'push')} turned away with 429 “{NO_INSTANCE}” in the last 5 min; {running}"
            + ("; others get through" if flowing else ""),
            leg=leg,
            bears=Bears.SLOWS if flowing or not least else Bears.HOLDS,
            held=0 if flowing else least,
            since=full[0].at,
            rests_on=("RequestLog", "ReceiverCapacity", "ServiceConfig"),
            numbers=numbers,
        )
    else:
        yield CANNOT_SCALE.says(
            Status.WARNING,
            f"{count(len(recent), 'push')} turned away with 500 “{NO_INSTANCE}” in the last 5 min although below {limit} instances",
            leg=leg,
            bears=Bears.SLOWS,
            since=away[0].at,
            rests_on=("RequestLog",),
            numbers=numbers,
        )


def _moves(
    ledger: Ledger, now: datetime, subscription: SubscriptionConfig | Unseen, capacity: ReceiverCapacity | Unseen
) -> bool:
    """Whether an item of the batch came back within the time that one may take."""
    newest = ledger.last_progress if ledger.done else None
    return newest is not None and (now - newest).total_seconds() <= patience_s(subscription, capacity)


def _away(row: LogRow, push_path: str) -> bool:
    return (
        not row.instance
        and row.status in (429, 500)
        and row.path.split("?")[0] == push_path
        and (NO_INSTANCE in row.text or row.status == 429)
    )


def _other_refusals(log: RequestLog, since: datetime) -> int:
    """Pushes that failed in any other way: then it is not sure what used up the attempts."""
    pushes = [r for r in log.refused if r.path.split("?")[0] == log.push_path and r.at >= since]
    return sum(1 for r in pushes if not _away(r, log.push_path))


def _limit(settings: ServiceSettings) -> int:
    limits = [settings.template.max_instances] + ([settings.max_instances] if settings.max_instances else [])
    return min(limits)


def _instances(capacity: ReceiverCapacity, since: datetime) -> float | None:
    """Most instances at once, active and idle together, as far as per-state peaks tell."""
    peaks = [p for s in capacity.instances if (p := s.peak(since)) is not None]
    return max(peaks, default=None)


def _peak(series: tuple[Series, ...], since: datetime) -> float | None:
    return max((p for s in series if (p := s.peak(since)) is not None), default=None)


def _median(series: tuple[Series, ...], since: datetime) -> float | None:
    values = sorted(p.value for s in series for p in s.within(since))
    return values[len(values) // 2] if values else None
