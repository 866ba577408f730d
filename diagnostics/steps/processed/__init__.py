"""What does the receiving code answer: who fails again and again, does it start at all, what does it give up?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    ItemMarks,
    Leg,
    PlatformLines,
    PublishCounts,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    Revisions,
    ServiceConfig,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import answers
from diagnostics.readings.failing import Failing, at_first_tries, failing
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.unrecorded import again
from diagnostics.steps.finding import Code, Finding, Row, Status, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.processed.acked import fruitless, skipped_ones, unwritten
from diagnostics.steps.processed.after_answer import answered_first
from diagnostics.steps.processed.containers import crashes
from diagnostics.steps.processed.duration import at_work_s, timed_out, too_long, took_s
from diagnostics.steps.processed.error_answers import own_answers
from diagnostics.steps.processed.failing_items import of_items
from diagnostics.steps.processed.seen import Seen, within
from diagnostics.steps.progress import patience_s

UNSEEN = Code("processed.unseen", Stage.PROCESSED, "what the receiver answers could not be seen")


def processed(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    log: RequestLog | Unseen,
    lines: PlatformLines | Unseen,
    marks: ItemMarks | Unseen,
    pushes: PushCounts | Unseen,
    capacity: ReceiverCapacity | Unseen,
    subscription: SubscriptionConfig | Unseen,
    service: ServiceConfig | Unseen,
    published: PublishCounts | Unseen,
    revisions: Revisions | Unseen,
) -> Iterator[Finding | Row]:
    """Reads who answered in the request log, the marker lines of items, Cloud Run's own lines about containers, and what the serving
    revision lacks of what such lines name."""
    pause = ledger.dead(leg).pause
    told = answers(log, ledger.started or now - timedelta(hours=1))
    settings = None if isinstance(subscription, Unseen) else subscription.settings
    deadline_s = settings.ack_deadline_s if settings else None
    found = failing(ledger, marks, pushes) if leg is Leg.REQUEST else Failing()
    if leg is Leg.REQUEST:
        early = at_first_tries(found, ledger, now - timedelta(seconds=patience_s(subscription, capacity)))
    else:
        early = again(ledger, now).early
    seen = Seen(leg, ledger, profile, now, told, pushes, pause, published, deadline_s, early)
    if leg is Leg.REQUEST:
        yield _row(ledger, now)
        yield from of_items(seen, found, service)
        yield from skipped_ones(ledger, profile, marks)
        yield from fruitless(ledger, profile, marks)
        yield from unwritten(ledger, profile, marks)
    if isinstance(log, Unseen) and isinstance(lines, Unseen):
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"request log and container log could not be seen: {log.says}",
            leg=leg,
            subject=seen.service,
        )
        return
    yield from crashes(seen, log, lines, service, revisions)
    yield from answered_first(seen, marks, service)
    if not isinstance(log, Unseen):
        yield from own_answers(seen, marks)
        yield from timed_out(seen, service)
        yield from too_long(seen, capacity, subscription, at_work_s(seen, marks, lines), took_s(seen, marks))


def _row(ledger: Ledger, now: datetime) -> Row:
    here = ledger.counts.get(Stage.PROCESSED)
    before = ledger.before(Stage.PROCESSED) if ledger.counts else None
    if here is None or before is None or before.most == 0:
        return Row(stage=Stage.PROCESSED, leg=Leg.REQUEST, not_reached=True)
    least, _ = ledger.gap(Stage.PROCESSED)
    return Row(
        stage=Stage.PROCESSED,
        leg=Leg.REQUEST,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=_where(ledger, now, least),
        basis=here.basis,
        status=Status.WARNING if least else (Status.OK if here.most is not None else Status.UNKNOWN),
        source=here.source,
    )


def _where(ledger: Ledger, now: datetime, lacks: int) -> dict[str, int]:
    """Where items are that reached the worker and were not acked: by their own lines, bounded by what can still wait."""
    dead = ledger.dead_at(Stage.PROCESSED)
    pause = ledger.dead(Leg.REQUEST).pause
    spent = ledger.dead(Leg.REQUEST).uncounted
    open_ones = [x for x in ledger.lives if x.stage is Stage.DELIVERED and not x.dead_lettered and x.name not in spent]
    fresh = [x for x in open_ones if within(x, now, pause)]
    again = sum(1 for x in fresh if x.tried_before)
    silent = len(open_ones) - len(fresh)
    rest = lacks - dead - len(fresh)
    return places(
        lacks,
        {Where.DEAD_LETTERED: dead, Where.RETRYING: again, Where.IN_FLIGHT: len(fresh) - again},
        {Where.WAITING: max(min(silent, may_wait(ledger, Leg.REQUEST, now, lacks) - len(fresh), rest), 0)},
    )
