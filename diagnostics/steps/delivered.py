"""Do pushes of this leg reach code that acks them, and how are they answered right now?

Counters belong to the whole subscription. They bound what can have happened to the batch; the ledger says what did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    BacklogHistory,
    DeadLetterCounts,
    DeliveryHealth,
    Leg,
    PushCounts,
    PushHistory,
    RequestLog,
    Series,
    Stage,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import DeadLetters, Ledger
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Where
from diagnostics.steps.places import may_wait, places
from diagnostics.steps.words import RECENT, between, by_class, clock, count, last_of, owed, span, through

ACKED = Code("delivered.acked", Stage.DELIVERED, "pushes are acknowledged")
OURS = Code("delivered.ours", Stage.DELIVERED, "every published item of this batch reached the worker")
FAILING = Code("delivered.failing", Stage.DELIVERED, "pushes are not acknowledged", Kind.CONSEQUENCE)
RECOVERED = Code("delivered.recovered", Stage.DELIVERED, "pushes failed earlier and are acknowledged now")
PAUSED = Code(
    "delivered.paused", Stage.DELIVERED, "pushes failed, and what failed waits for its next try", Kind.CONSEQUENCE
)
NO_PUSHES = Code("delivered.no_pushes", Stage.DELIVERED, "messages wait and nothing is pushed", Kind.CONSEQUENCE)
HELD_BACK = Code(
    "delivered.held_back",
    Stage.DELIVERED,
    "failing messages slow the subscription and others wait behind them",
    Kind.CONSEQUENCE,
)
DEADLINE = Code("delivered.deadline", Stage.DELIVERED, "pushes run into the ack deadline", Kind.EFFECT)
UNREACHABLE = Code("delivered.unreachable", Stage.DELIVERED, "the push endpoint cannot be reached", Kind.EFFECT)
REDELIVERED = Code(
    "delivered.redelivered",
    Stage.DELIVERED,
    "the waiting messages have each failed more than once on average",
    Kind.CONSEQUENCE,
)
DEAD_LETTERED = Code(
    "delivered.dead_lettered", Stage.DELIVERED, "messages went to the dead-letter topic", Kind.CONSEQUENCE
)
OLD_BACKLOG = Code(
    "delivered.old_backlog", Stage.DELIVERED, "the oldest unacked message is older than the batch", Kind.CONSEQUENCE
)
HEALTH = Code("delivered.health", Stage.DELIVERED, "Google's delivery latency health is bad", Kind.CONSEQUENCE)
IDLE = Code("delivered.idle", Stage.DELIVERED, "nothing waits and nothing is pushed")
UNSEEN = Code("delivered.unseen", Stage.DELIVERED, "push results could not be seen")

_LONGEST_DEADLINE_S = 600
"""The longest ack deadline that Pub/Sub takes: where no batch tells, what is older than that is more than being worked on."""
_NACK = ("deadline_exceeded", "internal", "invalid", "remote_server_4xx", "remote_server_5xx", "unreachable")


def delivered(
    leg: Leg,
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    pushes: PushCounts | Unseen,
    backlog: Backlog | Unseen,
    history: BacklogHistory | Unseen,
    pushed: PushHistory | Unseen,
    dead: DeadLetterCounts | Unseen,
    health: DeliveryHealth | Unseen,
    log: RequestLog | Unseen,
) -> Iterator[Finding | Row]:
    """Reads push results by class, backlog and age; compares what is owed with what moves."""
    if leg is Leg.REQUEST:
        yield _row(ledger, log, now)
        yield from _ours(ledger)
    if isinstance(pushes, Unseen):
        yield _blind(leg, ledger, pushes, now)
    else:
        yield from _answers(leg, ledger, pushes, backlog, now, log)
    if not isinstance(backlog, Unseen):
        yield from _waiting(leg, ledger, pushes, backlog, history, pushed, now)
    if not isinstance(dead, Unseen):
        yield from _dead(leg, ledger, profile, dead, now)
    if not isinstance(health, Unseen):
        yield from _health(leg, health, backlog)


def _ours(ledger: Ledger) -> Iterator[Finding]:
    """What the ledger proves of this batch, whatever else the subscription carries."""
    here = ledger.counts.get(Stage.DELIVERED)
    if here and here.exact and ledger.gap(Stage.DELIVERED) == (0, 0):
        yield OURS.says(
            Status.OK,
            f"{here.exact} of {here.exact} published items reached the worker",
            leg=Leg.REQUEST,
            rests_on=("ItemMarks", "BatchMarks"),
        )


def _blind(leg: Leg, ledger: Ledger, unseen: Unseen, now: datetime) -> Finding:
    """Without counters, only what got through just now proves that pushes are taken now."""
    newest = ledger.last_progress
    proven = owed(ledger, leg) == (0, 0) and ledger.done > 0 and newest is not None and now - newest <= RECENT
    return UNSEEN.says(
        Status.OK if proven else Status.UNKNOWN,
        "every published item reached its worker; push counters were not seen"
        if proven
        else f"push results could not be seen: {unseen.says}",
        leg=leg,
        words={"permission": unseen.permission, "mend": unseen.mend, "why": unseen.why.value},
    )


def _answers(
    leg: Leg, ledger: Ledger, pushes: PushCounts, backlog: Backlog | Unseen, now: datetime, log: RequestLog | Unseen
) -> Iterator[Finding]:
    recently = pushes.source.as_of - RECENT
    since = _begin(ledger, pushes)
    recent, window = by_class(pushes.series, recently), by_class(pushes.series, since)
    bad_now = {k: v for k, v in recent.items() if k != "ack"}
    all_now = sum(recent.values())
    least, most = owed(ledger, leg)
    waits = _last(backlog)
    if not window:
        if waits == 0 or (waits is None and isinstance(backlog, Unseen) is False and least == 0 and not ledger.batch):
            yield IDLE.says(
                Status.IDLE, "nothing waits and nothing was pushed", leg=leg, rests_on=("PushCounts", "Backlog")
            )
        return
    if not bad_now or _over(pushes, since):
        yield from _past(leg, pushes, since, waits, now, _texts(log, since))
        return
    share = sum(bad_now.values()) / all_now
    minutes = RECENT.total_seconds() / 60
    stuck = least > 0 or (most is None and bool(waits))
    begin = _onset(pushes, since)
    numbers = {"share": share, "per_min": sum(bad_now.values()) / minutes, "acks": recent.get("ack", 0)} | {
        f"class_{k}": v for k, v in bad_now.items()
    }
    yield FAILING.says(
        Status.FAULT if (stuck and share > 0.5) or not (recent.get("ack") or through(ledger, leg)) else Status.WARNING,
        f"{_mix(bad_now, all_now)} of pushes in the last {round(minutes)} min "
        f"({sum(bad_now.values()) / minutes:.1f} a minute) beside {count(recent.get('ack', 0), 'ack')}"
        + (f"; the request log has {seen['statuses']}" if (seen := _texts(log, recently)) else ""),
        leg=leg,
        bears=(Bears.HOLDS if not recent.get("ack") else Bears.SLOWS) if stuck else Bears.APART,
        held=least if not recent.get("ack") else 0,
        since=begin,
        rests_on=("PushCounts",),
        numbers=numbers,
        words=seen,
    )
    if "deadline_exceeded" in bad_now:
        yield DEADLINE.says(
            Status.FAULT if not recent.get("ack") else Status.WARNING,
            f"{count(bad_now['deadline_exceeded'], 'push')} ran into the ack deadline in the last {round(minutes)} min",
            leg=leg,
            bears=Bears.HOLDS if least else Bears.APART,
            held=min(least, round(bad_now["deadline_exceeded"])),
            since=begin,
            rests_on=("PushCounts",),
        )
    if "unreachable" in bad_now:
        yield UNREACHABLE.says(
            Status.FAULT,
            "the push endpoint cannot be reached: host name or certificate",
            leg=leg,
            bears=Bears.HOLDS,
            held=least,
        )


def _past(
    leg: Leg, pushes: PushCounts, since: datetime, waits: float | None, now: datetime, words: dict[str, str]
) -> Iterator[Finding]:
    """Nothing fails now: what is acked, and what failed earlier."""
    window = by_class(pushes.series, since)
    acks = window.pop("ack", 0)
    ended = last_of(_refusals(pushes), since) if window else None
    later = by_class(pushes.series, ended).get("ack", 0) if ended else acks
    if later:
        yield ACKED.says(
            Status.OK,
            f"{count(acks, 'push')} acked"
            + (f", none refused since {clock(ended, now)}" if ended else ", none refused"),
            leg=leg,
            rests_on=("PushCounts",),
            numbers={"acks": acks},
        )
    if ended is None:
        return
    pushed = acks + sum(window.values())
    told = f"{_mix(window, pushed)} of {count(pushed, 'push')} failed earlier, the last by {clock(ended, now)}"
    still = bool(waits) and not later
    yield (PAUSED if still else RECOVERED).says(
        Status.WARNING if still else Status.OK,
        f"{told}; "
        + (
            f"{count(waits or 0, 'message')} wait for their next try"
            if still
            else f"{count(later, 'push')} acked since, nothing is wrong now"
            if later
            else "nothing waits now"
        ),
        leg=leg,
        until=ended,
        bears=Bears.SLOWS,
        rests_on=("PushCounts", "Backlog"),
        numbers={"failed": sum(window.values())},
        words=words,
    )


def _over(pushes: PushCounts, since: datetime) -> bool:
    """Whether so many acks came in a row since the last failure that chance would have failed one: at the share of failures
    until then, such a row has less than one chance in a hundred."""
    ended = last_of(_refusals(pushes), since)
    if ended is None:
        return True
    until_then = by_class(pushes.series, since, ended)
    failed = sum(v for k, v in until_then.items() if k != "ack")
    share = failed / max(sum(until_then.values()), 1)
    later = by_class(pushes.series, ended).get("ack", 0)
    return bool((1 - share) ** later < 0.01)


def _refusals(pushes: PushCounts) -> list[Series]:
    return [s for s in pushes.series if s.labels.get("response_class") != "ack"]


def _waiting(
    leg: Leg,
    ledger: Ledger,
    pushes: PushCounts | Unseen,
    backlog: Backlog,
    history: BacklogHistory | Unseen,
    pushed: PushHistory | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    waits = _last(backlog)
    refused = ledger.attempt is not None and ledger.attempt.turned_away
    if not waits or refused:  # what waits while a start was refused belongs to the batch that is in its way
        return
    age = max((s.last.value for s in backlog.oldest_age_s if s.last), default=0.0)
    born = backlog.source.as_of - timedelta(seconds=age)
    least, most = owed(ledger, leg)
    begin = ledger.started
    if born < begin - timedelta(minutes=2) if begin else age > _LONGEST_DEADLINE_S:
        yield OLD_BACKLOG.says(
            Status.WARNING,
            f"{count(waits, 'message')} unacked, the oldest since {clock(born, now)} ({span(age)})"
            + (", before this batch began" if begin else ""),
            leg=leg,
            since=_grew(history, born),
            rests_on=("Backlog",),
            numbers={"unacked": waits, "age_s": age},
        )
    if isinstance(pushes, Unseen):
        return
    yield from _redelivered(leg, ledger, pushed, waits, born, now)
    since = max(begin, born) if begin else born
    settled = pushes.source.as_of - since > timedelta(minutes=3)
    if settled and not by_class(pushes.series, since):
        yield NO_PUSHES.says(
            Status.FAULT,
            f"{count(waits, 'message')} wait and nothing was pushed since {clock(since, now)}",
            leg=leg,
            bears=Bears.HOLDS if least or most is None or most else Bears.APART,
            held=least,
            since=since,
            rests_on=("PushCounts", "Backlog"),
        )
        return
    recent = by_class(pushes.series, pushes.source.as_of - RECENT)
    nacks = sum(v for k, v in recent.items() if k in _NACK)
    acks = recent.get("ack", 0)
    if nacks > acks and (least or (most is None and begin)) and settled:
        minutes = RECENT.total_seconds() / 60
        yield HELD_BACK.says(
            Status.FAULT,
            f"{count(waits, 'message')} wait; {nacks / minutes:.1f} pushes a minute fail and {acks / minutes:.1f} succeed: "
            "push backoff holds back the whole subscription",
            leg=leg,
            bears=Bears.HOLDS,
            held=least,
            since=begin,
            rests_on=("PushCounts", "Backlog"),
            numbers={"nacks_per_min": nacks / minutes, "acks_per_min": acks / minutes, "unacked": waits},
        )


def _redelivered(
    leg: Leg, ledger: Ledger, pushed: PushHistory | Unseen, waits: float, born: datetime, now: datetime
) -> Iterator[Finding]:
    """More failed pushes since the oldest message came than there are messages: they fail again and again, by arithmetic."""
    if isinstance(pushed, Unseen):
        return
    since = born - timedelta(hours=1)
    classes = by_class(pushed.series, since)
    nacks = sum(v for k, v in classes.items() if k in _NACK)
    least, _ = owed(ledger, leg)
    older = max(waits - least, 0)
    if older < 1 or nacks < 2 * waits or now - born < timedelta(hours=1):
        return
    yield REDELIVERED.says(
        Status.WARNING,
        f"{count(nacks, 'push')} failed since {clock(born, now)} and {count(waits, 'message')} wait: "
        f"each has failed {nacks / waits:.0f} times on average",
        leg=leg,
        since=born,
        rests_on=("PushHistory", "Backlog"),
        numbers={"failed": nacks, "unacked": waits, "times": nacks / waits},
    )


def _dead(
    leg: Leg, ledger: Ledger, profile: PipelineProfile, dead: DeadLetterCounts, now: datetime
) -> Iterator[Finding]:
    """What lies in the dead-letter topic, and how much of it this batch waits for. It does not come back by itself."""
    if ledger.started is None:
        yield from _dead_of_nobody(leg, dead, now)
        return
    went = ledger.dead(leg)
    if not went.messages or went.first is None or went.last is None:
        return
    when = between(went.first, went.last, now)
    item = profile.item if leg is Leg.REQUEST else "completion"
    numbers = {
        "dead_lettered": went.ours,
        "most": went.most,
        "messages": went.messages,
        "of": ledger.before(Stage.DELIVERED).least if leg is Leg.REQUEST else ledger.before(Stage.RETURNED).least,
        "last": went.last.timestamp(),
    }
    if went.ours:
        yield _dead_of_ours(leg, ledger, went, f"{count(went.ours, item)} of this batch went", when, numbers)
        return
    unsure = went.most > 0
    yield DEAD_LETTERED.says(
        Status.WARNING if unsure else Status.OK,
        f"{count(went.messages, 'message')} went to the dead-letter topic {when}, "
        + (f"up to {went.most} of them of this batch" if unsure else "none that this batch waits for"),
        leg=leg,
        since=went.first,
        until=None if unsure else went.last,
        rests_on=("DeadLetterCounts",),
        numbers=numbers,
    )


def _dead_of_ours(
    leg: Leg, ledger: Ledger, went: DeadLetters, who: str, when: str, numbers: dict[str, float]
) -> Finding:
    """Held for as long as the batch waits; once it is closed without them, what is left to do is to replay them."""
    reasons = Counter(x.reason for x in ledger.lives if x.dead_lettered and x.reason)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.most_common(3))})" if reasons else ""
    others = went.messages - went.ours
    return DEAD_LETTERED.says(
        Status.WARNING if ledger.closed else Status.FAULT,
        f"{who} to the dead-letter topic {when}{why}"
        + (f", and {count(others, 'message')} more" if others else "")
        + ("; the batch was closed without them" if ledger.closed else "; they do not come back by themselves"),
        leg=leg,
        bears=Bears.APART if ledger.closed else Bears.HOLDS,
        held=0 if ledger.closed else went.ours,
        since=went.first,
        until=went.last if ledger.closed else None,
        rests_on=("DeadLetterCounts", "ItemMarks", "Backlog"),
        numbers=numbers,
        words={"reason": reasons.most_common(1)[0][0]} if reasons else {},
    )


def _dead_of_nobody(leg: Leg, dead: DeadLetterCounts, now: datetime) -> Iterator[Finding]:
    """No batch is looked at: what went to the dead-letter topic in the window that was read."""
    points = [p for s in dead.series for p in s.points if p.value > 0]
    if not points:
        return
    gone, first, last = sum(p.value for p in points), min(p.start for p in points), max(p.end for p in points)
    yield DEAD_LETTERED.says(
        Status.WARNING,
        f"{count(gone, 'message')} went to the dead-letter topic {between(first, last, now)}; they do not come back by themselves",
        leg=leg,
        since=first,
        rests_on=("DeadLetterCounts",),
        numbers={"dead_lettered": gone, "messages": gone, "last": last.timestamp()},
    )


def _health(leg: Leg, health: DeliveryHealth, backlog: Backlog | Unseen) -> Iterator[Finding]:
    """Bad for most of the last ten minutes is a warning; a fault only while the oldest message gets older. The score looks back:
    where nothing waits any more it speaks of what is over."""
    since = health.source.as_of - timedelta(minutes=10)
    for one in health.series:
        points = list(one.within(since))
        bad = sum(1 for p in points if p.value < 0.5)
        criteria = one.labels.get("criteria", "?")
        if criteria in ("nack_requests", "seek_requests") or bad < 0.8 * len(points) or not bad:
            continue
        growing = _growing(backlog, since)
        gone = _last(backlog) == 0
        yield HEALTH.says(
            Status.FAULT if growing else Status.OK if gone else Status.WARNING,
            f"delivery latency health: {criteria} bad for {bad} of the last {len(points)} min"
            + (" and the oldest message gets older" if growing else "; nothing waits any more" if gone else ""),
            leg=leg,
            since=points[0].start,
            rests_on=("DeliveryHealth", "Backlog"),
            words={"criteria": criteria},
        )


def _row(ledger: Ledger, log: RequestLog | Unseen, now: datetime) -> Row:
    here = ledger.counts.get(Stage.DELIVERED)
    before = ledger.before(Stage.DELIVERED) if ledger.counts else None
    if here is None or before is None or (before.most == 0):
        return Row(stage=Stage.DELIVERED, leg=Leg.REQUEST, not_reached=True)
    least, _ = ledger.gap(Stage.DELIVERED)
    dead = ledger.dead_at(Stage.DELIVERED)
    waits = may_wait(ledger, Leg.REQUEST, now, least - dead)
    since = now - ledger.dead(Leg.REQUEST).pause
    turned_back = _turned_back(log, max(since, ledger.started - timedelta(minutes=1)) if ledger.started else since)
    kept = Where.RETRYING if waits and turned_back >= least - dead else Where.WAITING
    return Row(
        stage=Stage.DELIVERED,
        leg=Leg.REQUEST,
        expected=before.most,
        seen_min=here.least,
        seen_max=here.most,
        where=places(least, {Where.DEAD_LETTERED: dead}, {kept: waits}),
        basis=here.basis,
        status=Status.FAULT if least else (Status.OK if here.most is not None else Status.UNKNOWN),
        source=here.source,
    )


def _turned_back(log: RequestLog | Unseen, since: datetime) -> int:
    """Pushes that Google's front end answered itself: which message each carried no log tells, so any may have been ours."""
    if isinstance(log, Unseen):
        return 0
    rows = [r for r in log.refused if not r.instance and r.path.split("?")[0] == log.push_path]
    return sum(1 for r in rows if r.at >= since)


def _begin(ledger: Ledger, pushes: PushCounts) -> datetime:
    return ledger.started - timedelta(minutes=1) if ledger.started else pushes.source.as_of - timedelta(hours=1)


def _onset(pushes: PushCounts, since: datetime) -> datetime | None:
    starts = [
        p.start
        for s in pushes.series
        if s.labels.get("response_class") != "ack"
        for p in s.within(since)
        if p.value > 0
    ]
    return min(starts, default=None)


def _last(backlog: Backlog | Unseen) -> float | None:
    """Unacked messages now; None: not seen, or no series."""
    if isinstance(backlog, Unseen):
        return None
    points = [s.last for s in backlog.undelivered if s.last]
    return max((p.value for p in points), default=None)


def _growing(backlog: Backlog | Unseen, since: datetime) -> bool:
    if isinstance(backlog, Unseen):
        return False
    for one in backlog.oldest_age_s:
        points = list(one.within(since))
        if len(points) > 2:
            passed = (points[-1].end - points[0].end).total_seconds()
            if points[-1].value - points[0].value > passed / 2:  # the same message is the oldest for most of that time
                return True
    return False


def _grew(history: BacklogHistory | Unseen, born: datetime) -> datetime:
    """When the oldest message was published: the first hour whose age shows it, else by its age today."""
    if isinstance(history, Unseen):
        return born
    starts = [p.end - timedelta(seconds=p.value) for s in history.oldest_age_s for p in s.points if p.value > 3600]
    return min([*starts, born])


def _mix(bad: dict[str, float], all_: float) -> str:
    return ", ".join(f"{v / all_:.0%} {k}" for k, v in sorted(bad.items(), key=lambda kv: -kv[1]))


def _texts(log: RequestLog | Unseen, since: datetime) -> dict[str, str]:
    """Status codes that the request log shows on the push path, most frequent first."""
    if isinstance(log, Unseen):
        return {}
    codes = Counter(r.status for r in log.refused if r.path.split("?")[0] == log.push_path and r.at >= since)
    return {"statuses": ", ".join(f"{n} × {status}" for status, n in codes.most_common())} if codes else {}
