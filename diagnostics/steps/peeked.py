"""What do the messages themselves say, those that wait right now? Reads what a probe was handed; without one it says nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg, Peeked, Probed, Stage, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import count, names, span


class Unreadable(Tells, frozen=True, kw_only=True):
    """Messages that the receiver cannot read."""

    messages: int
    tried: int
    """Of those the ones that have waited long enough for two pushes."""
    item: str
    """What the pipeline calls an item."""


class Stuck(Tells, frozen=True, kw_only=True):
    messages: int
    attempts: int
    """Most delivery attempts of one; 0: Google does not count them."""
    item: str
    """What the pipeline calls an item."""


class Waiting(Tells, frozen=True, kw_only=True):
    messages: int


UNREADABLE = Telling(
    "peeked.unreadable",
    Stage.DELIVERED,
    "waiting messages lack what the receiver needs",
    Kind.EFFECT,
    tells=Unreadable,
)
STUCK = Telling(
    "peeked.stuck", Stage.DELIVERED, "waiting messages have been tried again and again", Kind.EFFECT, tells=Stuck
)
WAITING = Telling("peeked.waiting", Stage.DELIVERED, "messages of this batch wait", tells=Waiting)
NONE_WAITS = Code("peeked.none_waits", Stage.DELIVERED, "no message of this batch waits")
FRESH = Code("peeked.fresh", Stage.DELIVERED, "messages wait, none of them for long")
EMPTY = Code("peeked.empty", Stage.DELIVERED, "the probe got no message")
UNSEEN = Code("peeked.unseen", Stage.DELIVERED, "the probe could not look")

MANY_ATTEMPTS = 5
"""Google's smallest and default max_delivery_attempts: a message beyond it would be given up by default."""


def peeked(
    leg: Leg, ledger: Ledger, profile: PipelineProfile, now: datetime, probed: Probed | Unseen
) -> Iterator[Finding]:
    """Names the messages that cannot succeed, and says whether any of this batch wait."""
    if isinstance(probed, Unseen):
        if probed.why is not Why.NOT_ASKED:
            yield UNSEEN.says(Status.UNKNOWN, f"the probe could not look: {probed.says}", leg=leg, rests_on=("Probed",))
        return
    if not probed.messages:
        yield EMPTY.says(Status.UNKNOWN, nothing_came(probed), leg=leg, rests_on=("Probed",))
        return
    unreadable, stuck = bad(probed), tried(probed, now)
    if unreadable:
        yield _unreadable(leg, profile, ledger, unreadable, probed, now)
    if stuck:
        yield _stuck(leg, profile, ledger, stuck, probed, now)
    if not unreadable and not stuck:
        oldest = span((now - probed.messages[0].published).total_seconds())
        says = f"{count(len(probed.messages), 'message')} came, all readable, the oldest {oldest} old"
        yield FRESH.says(Status.OK, says, leg=leg, rests_on=("Probed",))
    yield from _of_batch(leg, ledger, probed)


def bad(probed: Probed) -> list[Peeked]:
    """Messages that the receiver cannot read: no JSON object, or without a required field."""
    return [m for m in probed.messages if m.unreadable or m.missing]


def tried(probed: Probed, now: datetime) -> list[Peeked]:
    """Readable messages that must have failed more than once: by Google's count, or old enough for two pushes."""
    old = now - timedelta(seconds=probed.tried_s)
    return [
        m
        for m in probed.messages
        if not (m.unreadable or m.missing) and (m.attempts > MANY_ATTEMPTS or m.published < old)
    ]


def repeated(messages: Sequence[Peeked]) -> dict[tuple[str, str], int]:
    """(batch, item) of which more than one message waits, and how many: published twice, not delivered twice."""
    counted = Counter((m.batch, m.item) for m in messages if m.item)
    return {key: n for key, n in counted.items() if n > 1}


def nothing_came(probed: Probed) -> str:
    """Why an empty answer says nothing."""
    pulls = f"{count(probed.pulls, 'pull')} brought no message"
    if probed.unanswered_pulls:
        pulls += f", {probed.unanswered_pulls} of them unanswered"
    counted = probed.snapshot if probed.snapshot is not None else probed.backlog
    if counted:
        where = "the snapshot holds" if probed.snapshot is not None else "the backlog metric counts"
        older = " (messages older than a temporary subscription may not come)" if probed.mode == "snapshot" else ""
        return f"{pulls}, although {where} {counted}: unknown, not empty{older}"
    metric = "no metric tells how many wait" if counted is None else "the metric, minutes old, counts 0"
    return f"{pulls}, and {metric}: an empty pull does not prove an empty backlog"


def why_bad(message: Peeked) -> str:
    return message.unreadable or f"lacks {', '.join(message.missing)}"


def name(message: Peeked) -> str:
    """What the message is about, else its id."""
    return message.item or f"message {message.id}"


def _unreadable(
    leg: Leg, profile: PipelineProfile, ledger: Ledger, found: list[Peeked], probed: Probed, now: datetime
) -> Finding:
    ours = sum(bool(m.batch) and m.batch == ledger.batch for m in found)
    old = sum(m.published < now - timedelta(seconds=probed.tried_s) for m in found)
    reasons = Counter(why_bad(m) for m in found).most_common(2)
    why = "; ".join(f"{n} × {reason}" for reason, n in reasons)
    return UNREADABLE.says(
        Status.FAULT if ours else Status.WARNING,
        f"{count(len(found), 'message')} of {len(probed.messages)} cannot be read by the receiver ({why}): "
        f"{names(name(m) for m in found)}; the oldest is {_age(found, now)} old",
        leg=leg,
        bears=Bears.HOLDS if ours else Bears.APART,
        held=ours,
        since=min(m.published for m in found),
        rests_on=("Probed",),
        subject=subjects.pushing(profile, leg),
        tells=Unreadable(messages=len(found), tried=old, item=profile.item),
    )


def _stuck(
    leg: Leg, profile: PipelineProfile, ledger: Ledger, found: list[Peeked], probed: Probed, now: datetime
) -> Finding:
    ours = sum(bool(m.batch) and m.batch == ledger.batch for m in found)
    most = max(m.attempts for m in found)
    attempts = f", up to {most} delivery attempts" if most else ""
    return STUCK.says(
        Status.FAULT if ours else Status.WARNING,
        f"{count(len(found), 'message')} of {len(probed.messages)} have waited more than {span(probed.tried_s)}, time for two pushes"
        f"{attempts}: {names(name(m) for m in found)}; the oldest is {_age(found, now)} old",
        leg=leg,
        bears=Bears.HOLDS if ours else Bears.APART,
        held=ours,
        since=min(m.published for m in found),
        rests_on=("Probed",),
        subject=subjects.pushing(profile, leg),
        tells=Stuck(messages=len(found), attempts=most, item=profile.item),
    )


def _of_batch(leg: Leg, ledger: Ledger, probed: Probed) -> Iterator[Finding]:
    if not ledger.batch or not any(m.batch for m in probed.messages):
        return
    ours = {m.item or m.id for m in probed.messages if m.batch == ledger.batch}
    if ours:
        yield WAITING.says(
            Status.OK,
            f"{count(len(ours), 'message')} of this batch wait: {names(ours)}",
            leg=leg,
            rests_on=("Probed",),
            subject=subjects.batch(ledger.batch),
            tells=Waiting(messages=len(ours)),
        )
    elif probed.whole:
        says = f"all {len(probed.messages)} waiting messages came, and none is of this batch"
        yield NONE_WAITS.says(Status.OK, says, leg=leg, rests_on=("Probed",))


def _age(found: list[Peeked], now: datetime) -> str:
    return span((now - min(m.published for m in found)).total_seconds())
