"""Is the service there in time: start-up and queueing against the ack deadline, instances against their limit?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    By,
    Ended,
    Leg,
    LiveStart,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    Unseen,
    Why,
)
from diagnostics.readings.answers import RECENT, Answers, answers, lately, recent
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import alive, owed
from diagnostics.steps.cold_start.instances import for_want_of_instances, out_of_quota
from diagnostics.steps.cold_start.seen import Seen
from diagnostics.steps.cold_start.startup import in_time
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Hidden
from diagnostics.steps.words import at_least, count, latency

SWITCHED_OFF = Code("cold_start.switched_off", Stage.DELIVERED, "the service is scaled to zero by hand", Kind.MECHANISM)
UNSEEN = Telling("cold_start.unseen", Stage.DELIVERED, "start-up could not be seen", tells=Hidden)
TURNED_AWAY = Telling(
    "cold_start.turned_away",
    Stage.DELIVERED,
    "Cloud Run turns pushes away for lack of an instance, and how many may run is not known",
    Kind.EFFECT,
    tells=Hidden,
)
LIVE = Code("cold_start.live", Stage.DELIVERED, "a live first call")


def cold_start(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    service: ServiceConfig | Unseen,
    subscription: SubscriptionConfig | Unseen,
    capacity: ReceiverCapacity | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    live: LiveStart | Unseen,
) -> Iterator[Finding]:
    """Reads start-up, pending latency, instances and limits; the log says whom Cloud Run itself turned away, and when."""
    told = answers(log, ledger.started or now - timedelta(hours=1))
    if isinstance(service, Unseen):
        yield from _whatever_its_settings(leg, ledger, now, service, pushes, told)
        return
    settings = service.settings
    if settings is None:
        return
    seen = Seen(leg, ledger, now, settings, pushes, capacity, told)
    if settings.manual_instances == 0:
        yield _switched_off(
            seen, log
        )  # what is turned away then is not too much for the instances: there are to be none
    else:
        yield from for_want_of_instances(seen, subscription)
    yield from out_of_quota(seen, subscription)
    if isinstance(capacity, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"start-up and instances could not be seen: {capacity.says}",
            leg=leg,
            subject=seen.service,
            tells=Hidden.of(capacity),
        )
    elif not isinstance(subscription, Unseen) and subscription.settings is not None:
        yield from in_time(seen, capacity, subscription.settings.ack_deadline_s)
    if not isinstance(live, Unseen):
        yield from (_live(seen, live) for _ in live.calls[:1])
    elif live.why not in (Why.NOT_ASKED, Why.NOT_CONFIGURED, Why.SET_APART):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"what a start takes from here could not be tried: {live.says}",
            leg=leg,
            subject=seen.service,
            tells=Hidden.of(live),
        )


def _whatever_its_settings(
    leg: Leg, ledger: Ledger, now: datetime, service: Unseen, pushes: PushCounts | Unseen, told: Answers
) -> Iterator[Finding]:
    """What the log says of pushes that Cloud Run turned away, where nobody knows how many instances may run."""
    yield UNSEEN.says(
        Status.UNKNOWN, f"start-up and instances could not be seen: {service.says}", leg=leg, tells=Hidden.of(service)
    )
    away = lately(told.of(By.CLOUD_RUN, ended=(Ended.NO_INSTANCE, Ended.QUOTA)), now)
    least, _ = owed(ledger, leg)
    if not away or not least:
        return
    newest = ledger.last_progress if ledger.done else None
    flowing = bool(recent(pushes).acks) or (newest is not None and now - newest <= RECENT)
    yield TURNED_AWAY.says(
        Status.WARNING if flowing else Status.FAULT,
        f"{at_least(told.whole, count(len(away), 'push'))} turned away by Cloud Run for lack of an instance in the last 5 min; how many "
        f"may run could not be seen: {service.says}",
        leg=leg,
        bears=Bears.SLOWS if flowing else Bears.HOLDS,
        held=0 if flowing else min(least, len(away)),
        since=told.begin(away),
        rests_on=("RequestLog", "ServiceConfig"),
        tells=Hidden.of(service),
    )


def _switched_off(seen: Seen, log: RequestLog | Unseen) -> Finding:
    """It holds what is to be pushed; dead letters only where it may have been Cloud Run that turned them away, for want of an instance."""
    elsewhere = bool(seen.told.rows) and not any(r.by is By.CLOUD_RUN for r in seen.told.rows)
    held = (
        alive(seen.ledger, seen.leg)
        if elsewhere and not isinstance(log, Unseen) and log.source.complete
        else seen.least
    )
    return SWITCHED_OFF.says(
        Status.FAULT,
        f"{seen.settings.name} is in manual scaling with 0 instances",
        leg=seen.leg,
        bears=Bears.HOLDS if held else Bears.APART,
        held=held,
        subject=seen.service,
        rests_on=("ServiceConfig",),
    )


def _live(seen: Seen, live: LiveStart) -> Finding:
    """What the calls from here tell. One that did not get in may have started nothing, and its time says nothing of a start."""
    first, *rest = live.calls
    got_in = 200 <= first.status < 400
    warm = f", then {latency(rest[-1].latency_s)}" if rest else ""
    without = f" without a token ({live.minting})" if live.minting else ""
    answer = f"answered {first.status}" if first.status else "was not answered"
    return LIVE.says(
        Status.OK if got_in else Status.UNKNOWN,
        f"live first call {latency(first.latency_s)} ({first.status}){warm}"
        if got_in
        else f"live first call{without} {answer}, so that what a start takes from here is not known",
        leg=seen.leg,
        subject=seen.service,
        rests_on=("LiveStart",),
    )
