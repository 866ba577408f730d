"""What a probe would do, what it costs, how to undo it, and what forbids it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from msgspec import Struct

from diagnostics.evidence.model import Leg, SubscriptionSettings
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe.against import Refusal, of_permissions, of_snapshot, of_state, of_switch, of_traces
from diagnostics.probe.journal import Entry, Journal, Mode, new_run, this_process
from diagnostics.probe.measured import Measured, measure, span
from diagnostics.probe.peek import BEYOND_S, LEASE_S, NOTHING_PULLS
from diagnostics.probe.push_config import may_hold_secret, save
from diagnostics.probe.reach import Reach
from diagnostics.probe.restore import undo
from diagnostics.probe.traces import NAME, traces
from diagnostics.sources.pubsub import settings_of
from diagnostics.sources.route import full_subscription
from diagnostics.transport.call import NotThere
from diagnostics.transport.rpcs import GET_SUBSCRIPTION

MARGIN_S = 180.0
"""Beyond the peek and the restoring, until a probe is over for others."""


class Order(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    mode: Mode = Mode.SNAPSHOT
    leg: Leg = Leg.REQUEST
    peek: int = 20
    """At most so many messages."""
    force: bool = False
    show_data: bool = False
    allow_secret_in_log: bool = False


class Plan(Struct, frozen=True, kw_only=True):
    """One probe, not begun."""

    order: Order
    entry: Entry
    settings: SubscriptionSettings
    measured: Measured
    does: tuple[str, ...]
    costs: tuple[str, ...]
    undo: tuple[str, ...]
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    logged: bool = False
    """Whether an entry in Cloud Logging is to be written."""

    @property
    def forbidden(self) -> tuple[Refusal, ...]:
        """What stands against it, --force considered."""
        return tuple(r for r in self.refusals if not (self.order.force and r.forcible))


class NoPlan(Exception):
    """There is nothing to plan for: says why."""

    def __init__(self, says: str, mend: str = "") -> None:
        super().__init__(says)
        self.says = says
        self.mend = mend


def plan(reach: Reach, profile: PipelineProfile, order: Order, journal: Journal) -> tuple[Plan, Any]:
    """The plan, and the subscription as Google describes it. Raises NoPlan."""
    if profile.leg(order.leg) is None:
        raise NoPlan(f"the profile has no {order.leg.value} leg")
    name = full_subscription(profile, order.leg)
    try:
        source = reach.read(GET_SUBSCRIPTION, {"subscription": name})
    except NotThere as error:
        raise NoPlan(f"subscription {name} does not exist", "pubsub-diag delivery") from error
    except NotSeen as failed:
        raise NoPlan(failed.says, failed.mend) from failed
    settings = settings_of(source)
    measured = measure(reach, settings)
    entry = _entry(reach, order, source)
    logged = order.mode is Mode.SWITCH and (order.allow_secret_in_log or not _secret(entry))
    left = traces(reach, journal, entry.project, entry.world)
    refusals = [
        *of_state(order.mode, settings, source),
        *of_traces(left),
        *of_permissions(reach, profile, order.mode, settings),
        *(of_snapshot(measured) if order.mode is Mode.SNAPSHOT else of_switch(settings, measured)),
    ]
    made = Plan(
        order=order,
        entry=entry,
        settings=settings,
        measured=measured,
        does=tuple(_does(reach, order, entry, settings, measured)),
        costs=tuple(_costs(reach, order, settings)),
        undo=undo(entry),
        notes=tuple(_notes(order, entry, settings, measured, logged, journal)),
        refusals=tuple(refusals),
        logged=logged,
    )
    return made, source


# --- what is known beforehand -----------------------------------------------------------------------------------------


def _entry(reach: Reach, order: Order, source: Any) -> Entry:
    run, now, lab = new_run(), reach.now(), reach.session.lab
    project = source.name.split("/")[1]
    snapshot = order.mode is Mode.SNAPSHOT
    spent = reach.waits.peek_s + reach.waits.restore_s + (0 if snapshot else reach.waits.readback_s) + MARGIN_S
    return Entry(
        run=run,
        mode=order.mode,
        leg=order.leg,
        subscription=source.name,
        temporary=f"projects/{project}/subscriptions/{NAME}{run}" if snapshot else "",
        snapshot=f"projects/{project}/snapshots/{NAME}{run}" if snapshot else "",
        push=None if snapshot else save(source.push_config),
        started=now,
        until=now + timedelta(seconds=spent),
        by=reach.session.principal,
        world=lab.http or lab.grpc if lab else "",
        **this_process(),  # type: ignore[arg-type]
    )


def _secret(entry: Entry) -> bool:
    return entry.push is not None and may_hold_secret(entry.push)


# --- the words --------------------------------------------------------------------------------------------------------


def _does(
    reach: Reach, order: Order, entry: Entry, settings: SubscriptionSettings, measured: Measured
) -> Iterator[str]:
    short, seconds = settings.name.rpartition("/")[2], reach.waits.peek_s
    if order.mode is Mode.SNAPSHOT:
        yield f"snapshot {short} as {entry.snapshot.rpartition('/')[2]}"
        topic = settings.topic.rpartition("/")[2]
        yield f"make the pull subscription {entry.temporary.rpartition('/')[2]} on {topic}, seek it to the snapshot"
        yield f"pull up to {order.peek} messages from it, for at most {seconds:.0f} s; acknowledge none"
        yield "delete both; should that fail, the subscription expires by itself and the snapshot within 7 days"
    else:
        yield f"save the push config of {short} in the journal, then empty it: the subscription no longer pushes"
        yield f"pull up to {order.peek} messages from it, for at most {seconds:.0f} s; acknowledge none"
        yield "put the push config back exactly, check it field by field, hand the messages back, wait for the first push"
    yield f"before: {_waits(measured)}" + (f", the oldest {span(measured.oldest_s)} old" if measured.oldest_s else "")


def _waits(measured: Measured) -> str:
    """What the metric says, and for how long that makes a probe wait for messages that do not come."""
    if measured.waiting is None or measured.waiting_at is None:
        return "not known how many wait"
    at = f"{measured.waiting_at:%H:%M:%SZ}"
    if measured.waiting == 0:
        return f"no message waited at {at}, says the metric: {NOTHING_PULLS} pulls that bring none are the answer"
    return f"{measured.waiting} messages waited at {at}, says the metric; as many are waited for, no longer than that"


def _costs(reach: Reach, order: Order, settings: SubscriptionSettings) -> Iterator[str]:
    if order.mode is Mode.SNAPSHOT:
        yield "the push subscription goes on as it is: no pause, no delivery attempts"
        yield "Google charges what the copy takes: the messages pulled, and storage while it exists"
        return
    pause = reach.waits.peek_s + reach.waits.rpc_s * 3
    yield f"deliveries pause for up to {pause:.0f} s, and as long as the change-over takes each way: Google says up to minutes"
    lease = max(settings.ack_deadline_s, min(reach.waits.peek_s + BEYOND_S, LEASE_S))
    yield f"should all hands die, the pulled messages come again when their lease is over, after {lease:.0f} s at the latest"
    if settings.dead_letter:
        most = settings.dead_letter.max_attempts
        yield f"each message that is pulled loses one of its {most} delivery attempts, however it is handed back"
    else:
        yield "no dead-letter policy: delivery attempts are not counted"


def _notes(
    order: Order, entry: Entry, settings: SubscriptionSettings, measured: Measured, logged: bool, journal: Journal
) -> Iterator[str]:
    if order.mode is Mode.SNAPSHOT and (against := next(of_switch(settings, measured), None)):
        yield f"should none come, the subscription itself would not be asked either: {against.says}"
    if order.mode is Mode.SNAPSHOT or entry.push is None:
        return
    if logged:
        yield "an entry in Cloud Logging is written and read back first: any machine can then restore (pubsub-diag probe restore)"
    else:
        yield (
            "the push config carries a query or user info, or what looks like a secret, so nothing goes to Cloud Logging: only this "
            f"machine can restore, from {journal.path(entry.run)}; --allow-secret-in-log lifts that"
        )
    odd = {k: v for k, v in entry.push.attributes.items() if k != "x-goog-version"}
    if odd:
        yield f"after the undo line the push attributes {', '.join(sorted(odd))} would be missing: gcloud cannot set them"
