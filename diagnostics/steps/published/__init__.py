"""How many of the batch's items did the coordinator publish, and what became of the rest?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from diagnostics.evidence.model import (
    Leg,
    Mark,
    Means,
    PublishCounts,
    ServiceConfig,
    Stage,
    StartCalls,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.arrived import astray
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.readings.ledger.empty import listed, reasons_of
from diagnostics.readings.refusals import Lost, given_up, lost, overtaken
from diagnostics.readings.stakes import forgiven
from diagnostics.readings.wholeness import why_not_whole
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Row, Status, Telling, Where
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clip, clock, count, span


class Gated(Tells, frozen=True, kw_only=True):
    """Items, by what the gate did with them."""

    gated: int
    """Kept back."""
    unlisted: int
    """Of those the ones whose reason the profile does not list as right."""
    named: int
    """Of these the ones whose reason the line tells."""
    passed: int
    of: int


def keeps_all_back(told: Gated) -> float:
    """Above 0 where it let nothing through, and kept at least half of it back for a reason that it tells and the profile does not list."""
    return float(told.passed == 0 and 2 * told.named >= told.gated > 0)


class Empty(Tells, frozen=True, kw_only=True):
    unlisted: int
    """Items without a reason that the profile lists as right."""
    gated: int
    reason: str
    """Empty: the line tells none."""


def mostly_unlisted(told: Empty) -> float:
    """Above 0 where a gate kept all back, and at least half of it for a reason that the profile does not list."""
    return float(2 * told.unlisted >= told.gated > 0)


class NotPublished(Tells, frozen=True, kw_only=True):
    """Items that could not be published for one reason."""

    failed: int
    answered: int
    """Of those the ones that Google answered, and with a final error; 0 where the line does not tell."""
    reason: str
    code: str
    """google.rpc.Code as counters name it; empty: the line does not tell."""


class Fewer(Tells, frozen=True, kw_only=True):
    unsent: int
    """Items that the coordinator expects and, by its own count at the end, neither published nor failed to; 0 where no line counts both."""


class StartAtWork(Tells, frozen=True, kw_only=True):
    """How long the start call has been at work, and may be; without any number: nothing tells."""

    age_s: float | None = None
    limit_s: float | None = None


class CutShort(Tells, frozen=True, kw_only=True):
    failed: int
    """Items whose publishing failed, by the coordinator's own lines."""
    limit_s: float
    """The coordinator's request timeout."""
    most: int | None = None
    """Items that were not published, at most."""
    certain: int = 0
    """1: the call was seen to run into its timeout, and a line would tell of what was published. Else either is concluded: that nothing
    was published from the topic's counter alone, which it would also show of what is published elsewhere."""


ALL = Code("published.all", Stage.PUBLISHED, "everything that should be published was")
GATED = Telling(
    "published.gated", Stage.PUBLISHED, "a gate of the coordinator kept items back", Kind.MECHANISM, tells=Gated
)
EMPTY = Telling(
    "published.empty", Stage.PUBLISHED, "the batch is empty, and the coordinator says why", Kind.MECHANISM, tells=Empty
)
ERRORS = Telling(
    "published.errors", Stage.PUBLISHED, "publishing failed for items of the batch", Kind.EFFECT, tells=NotPublished
)
GAVE_UP = Telling(
    "published.gave_up",
    Stage.PUBLISHED,
    "publishing was put off until the client gave up items",
    Kind.EFFECT,
    tells=NotPublished,
)
CUT_SHORT = Telling(
    "published.cut_short",
    Stage.PUBLISHED,
    "the start call ended before everything was published",
    Kind.EFFECT,
    tells=CutShort,
)
IN_PROGRESS = Telling("published.in_progress", Stage.PUBLISHED, "the start call is still at work", tells=StartAtWork)
FEWER = Telling(
    "published.fewer",
    Stage.PUBLISHED,
    "fewer items were published than expected, and no line says why",
    Kind.EFFECT,
    tells=Fewer,
)
UNSEEN = Code("published.unseen", Stage.PUBLISHED, "what was published could not be seen")


def published(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
    counts: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    calls: StartCalls | Unseen,
) -> Iterator[Finding | Row]:
    """Reads the coordinator's own count first; the topic's counter bounds it, for other batches publish there, too. Of what the topic
    never had `topic` tells; this row is where it stays behind."""
    attempt = ledger.attempt
    here = ledger.counts.get(Stage.PUBLISHED)
    if attempt is None or here is None or attempt.turned_away or (ledger.made is False and attempt.empty is None):
        yield Row(stage=Stage.PUBLISHED, leg=Leg.REQUEST, not_reached=True)
        return
    found = list(_why_fewer(ledger, profile, attempt, now, coordinator, end_hidden(calls)))
    yield from found
    lacks = ledger.gap(Stage.PUBLISHED)[0]
    failed = min(attempt.failed_to_publish, lacks)
    gated = min(ledger.gated or 0, lacks - failed)
    statuses = {f.status for f in found}
    status = next(
        s for s in (Status.FAULT, Status.WARNING, Status.UNKNOWN, Status.OK) if s in statuses or s is Status.OK
    )
    lost_way = astray(ledger, counts)
    yield Row(
        stage=Stage.PUBLISHED,
        leg=Leg.REQUEST,
        expected=ledger.expected,
        seen_min=here.least,
        seen_max=here.most,
        where={
            place: number
            for place, number in (
                (Where.GATED, gated),
                (Where.DROPPED, failed),
                (Where.UNATTRIBUTED if attempt.published else Where.UNKNOWN, lacks - gated - failed),
            )
            if number
        },
        basis=here.basis,
        status=Status.FAULT if lost_way else status,
        source=here.source,
        note="; ".join(x for x in (_gate_told(attempt), "none came onto the topic" if lost_way else "") if x),
    )


def _gate_told(attempt: Attempt) -> str:
    """What the gate kept back; empty where it let everything through, or where its line does not count."""
    gate = attempt.gate
    if gate is None or "count" not in gate.numbers or gate.numbers["count"] == gate.numbers.get("of"):
        return ""
    return f"the gate let {_through(gate)} through{_reasons(gate)}"


def _through(gate: Mark) -> str:
    return f"{gate.numbers['count']} of {gate.numbers['of']}" if "of" in gate.numbers else str(gate.numbers["count"])


def _reasons(gate: Mark) -> str:
    told = [f"{n} {name.replace('_', ' ')}" for name, n in reasons_of(gate).items()]
    return f" ({', '.join(told)})" if told else ""


def _why_fewer(
    ledger: Ledger,
    profile: PipelineProfile,
    attempt: Attempt,
    now: datetime,
    coordinator: ServiceConfig | Unseen,
    hidden: str,
) -> Iterator[Finding]:
    """`hidden`: why the end of the start call may not have been seen."""
    here = ledger.counts[Stage.PUBLISHED]
    least, _ = ledger.gap(Stage.PUBLISHED)
    noun = profile.item + "s"
    failed = attempt.failed_to_publish
    if attempt.empty and not failed:
        yield _empty(ledger, attempt.empty, attempt.gate, noun, now)
        return
    if failed:
        for each in lost(attempt):
            yield _errors(ledger, each, noun)
    if ledger.gated:
        yield _gated(ledger, profile, attempt, noun)
    if ledger.as_asked:
        yield from _as_asked(ledger, now, coordinator, noun)
    elif attempt.unasked and here.exact is None:
        yield UNSEEN.says(
            Status.UNKNOWN,
            f"at least {here.least} {noun} were published; nothing tells how many more",
            leg=Leg.REQUEST,
        )
    elif attempt.published is None and not attempt.unasked and (here.exact is None or here.basis == "topic"):
        yield from _no_count(ledger, attempt, now, coordinator, failed, hidden)
    elif least > (ledger.gated or 0) + failed:
        yield FEWER.says(
            Status.FAULT,
            f"{here.least} of {ledger.expected} {noun} were published; no line says what became of the rest",
            leg=Leg.REQUEST,
            bears=Bears.HOLDS,
            held=least - (ledger.gated or 0) - failed,
            since=attempt.published.at if attempt.published else ledger.started,
            subject=subjects.batch(ledger.batch),
            tells=Fewer(unsent=_unsent(attempt, least - (ledger.gated or 0) - failed)),
        )
    elif not failed and not ledger.gated and here.least:
        says = f"{here.least} of {ledger.expected or here.least} {noun} published"
        yield ALL.says(Status.OK, says, leg=Leg.REQUEST, subject=subjects.batch(ledger.batch))


def _unsent(attempt: Attempt, missing: int) -> int:
    """So many items are missing, and the line that counts what was published also counts what failed."""
    told = attempt.published
    return missing if told is not None and {"count", "failed"} <= told.numbers.keys() else 0


def _as_asked(ledger: Ledger, now: datetime, coordinator: ServiceConfig | Unseen, noun: str) -> Iterator[Finding]:
    """What the topic got since the batch began, as the caller says it, against the number that the caller says."""
    here = ledger.counts[Stage.PUBLISHED]
    if here.basis != "topic":
        yield UNSEEN.says(Status.UNKNOWN, "how many items were published could not be seen", leg=Leg.REQUEST)
    elif here.exact is None:
        yield IN_PROGRESS.says(
            Status.OK, f"{here.least} {noun} published so far", leg=Leg.REQUEST, bears=Bears.SLOWS, tells=StartAtWork()
        )
    elif (least := ledger.gap(Stage.PUBLISHED)[0]) and not here.least and _starting(ledger, now, coordinator):
        yield UNSEEN.says(
            Status.UNKNOWN, "nothing was published yet; nothing tells whether a start call is at work", leg=Leg.REQUEST
        )
    elif least:
        yield FEWER.says(
            Status.FAULT,
            f"the topic got {here.least} messages since the batch began, of {ledger.expected} {noun}",
            leg=Leg.REQUEST,
            bears=Bears.HOLDS,
            held=least,
            subject=subjects.batch(ledger.batch),
            rests_on=("PublishCounts",),
            tells=Fewer(unsent=0),
        )
    else:
        yield ALL.says(Status.OK, f"the topic got {here.least} or more messages since the batch began", leg=Leg.REQUEST)


def _starting(ledger: Ledger, now: datetime, coordinator: ServiceConfig | Unseen) -> bool:
    """Whether the start call can still be at work."""
    return ledger.started is not None and (now - ledger.started).total_seconds() < start_limit_s(coordinator)


def end_hidden(calls: StartCalls | Unseen) -> str:
    """Why the end of the start call may not have been seen; empty where it would have been, or where the profile names no call."""
    return why_not_whole(calls, but=(Why.NOT_CONFIGURED, Why.NOT_ASKED))


def start_limit_s(coordinator: ServiceConfig | Unseen) -> float:
    """The coordinator's request timeout; Cloud Run's longest (an hour) where it was not seen."""
    if isinstance(coordinator, Unseen) or coordinator.settings is None:
        return 3600.0
    return coordinator.settings.template.timeout_s


def _empty(ledger: Ledger, empty: Mark, gate: Mark | None, noun: str, now: datetime) -> Finding:
    """Nothing to do is right if the reasons that the profile lists account for all of it, a gate's by their counts."""
    reason = empty.words.get("reason", "")
    kept = f"; the gate let {_through(gate)} {noun} through{_reasons(gate)}" if gate and reasons_of(gate) else ""
    before = _empty_before(ledger)
    unlisted = f"the reason of {ledger.unlisted} of them" if kept else "that reason" if reason else "a reason"
    right = Status.UNKNOWN if ledger.untold else Status.OK
    return EMPTY.says(
        right if ledger.empty_by_design else Status.FAULT if ledger.hollow else Status.WARNING,
        "the coordinator found nothing to do"
        + (f": {reason}" if reason else "")
        + kept
        + (
            f"; the profile does not list {unlisted} as right"
            if not ledger.empty_by_design
            else f"; whether it kept any back for another reason could not be seen: {ledger.untold}"
            if ledger.untold
            else ""
        )
        + (
            f"; so it was with {count(len(before), 'batch')} before, the first at {clock(before[0], now)}"
            if before
            else ""
        ),
        leg=None,
        bears=Bears.APART if ledger.empty_by_design else Bears.HOLDS,
        held=0 if ledger.empty_by_design else ledger.unlisted,
        since=min([empty.at, *before]),
        rests_on=("BatchMarks",),
        subject=subjects.batch(ledger.batch),
        tells=Empty(unlisted=ledger.unlisted, gated=ledger.gated or 0, reason=reason),
    )


def _empty_before(ledger: Ledger) -> list[datetime]:
    """When the batches were found empty that came right before this one and of which a gate let nothing through, oldest first; none
    where this one is empty for another reason."""
    attempt = ledger.attempt
    if attempt is None or ledger.empty_by_design or not _gate_let_none(attempt):
        return []
    earlier = [a for a in ledger.attempts if a.marks and a.started < attempt.started]
    found: list[datetime] = []
    for one in reversed(earlier):
        if one.empty is None or not _gate_let_none(one):
            break
        found.append(one.empty.at)
    return found[::-1]


def _gate_let_none(attempt: Attempt) -> bool:
    gate = attempt.gate
    return gate is not None and gate.numbers.get("count") == 0 and bool(gate.numbers.get("of"))


def _errors(ledger: Ledger, each: Lost, noun: str) -> Finding:
    """The coordinator's own error lines of one kind, with what Google answered, if they tell."""
    of = ledger.expected_at_start or ledger.expected or "an unknown number of"
    reason = clip(each.reason)
    moot = each.put_off and overtaken(ledger)
    lowered = given_up(ledger)
    return (GAVE_UP if each.put_off else ERRORS).says(
        Status.FAULT,
        f"publishing failed for {each.items} of {of} {noun}"
        + (f": {reason}" if reason else "")
        + ("; all that came after these was refused for good" if moot else "")
        + (f"; the batch was lowered to {ledger.expected} and does not wait for them" if lowered else ""),
        leg=Leg.REQUEST,
        bears=Bears.SLOWS if moot or lowered else Bears.HOLDS,
        held=0 if moot or lowered else each.items,
        since=each.marks[0].at if each.marks else None,
        rests_on=("BatchMarks",),
        subject=subjects.batch(ledger.batch),
        tells=NotPublished(
            failed=each.items,
            answered=each.items if each.code and not each.put_off else 0,
            reason=reason,
            code=each.code,
        ),
    )


def _gated(ledger: Ledger, profile: PipelineProfile, attempt: Attempt, noun: str) -> Finding:
    """Reads what was kept back against what the batch expects now: lowered, it does not wait for it."""
    gate = attempt.gate
    assert gate is not None and ledger.gated is not None
    lowered = ledger.expected is not None and ledger.expected <= gate.numbers["count"]
    harmless = lowered or _forgiven(ledger, profile, ledger.gated)
    told = Gated(
        gated=ledger.gated,
        unlisted=ledger.unlisted,
        named=sum(n for name, n in reasons_of(gate).items() if not listed(name, profile)),
        passed=gate.numbers["count"],
        of=gate.numbers["of"],
    )
    return GATED.says(
        Status.OK if harmless else Status.WARNING,
        f"the gate let {gate.numbers['count']} of {gate.numbers['of']} {noun} through"
        + _reasons(gate)
        + (
            f"; the batch was lowered to {ledger.expected}"
            if lowered
            else f"; the batch was made for {ledger.expected}, and no line lowers that"
            if ledger.by_silence and not harmless
            else f"; the batch still expects {ledger.expected}" + (", and closes without those few" if harmless else "")
        ),
        leg=Leg.REQUEST,
        bears=Bears.APART if harmless else Bears.HOLDS if keeps_all_back(told) else Bears.SLOWS,
        held=0 if harmless else ledger.gated,
        since=gate.at,
        rests_on=("BatchMarks",),
        subject=subjects.batch(ledger.batch),
        tells=told,
    )


def _forgiven(ledger: Ledger, profile: PipelineProfile, gated: int) -> bool:
    """Whether what the gate kept back is not what the batch waits for: it closes without that, unless these tip the scale."""
    allowed = forgiven(ledger, profile)
    others = max(ledger.gap(Stage.PUBLISHED)[0] - gated, 0)
    tips = others <= allowed < others + gated
    return gated <= allowed and not tips


def _no_count(
    ledger: Ledger, attempt: Attempt, now: datetime, coordinator: ServiceConfig | Unseen, failed: int, hidden: str
) -> Iterator[Finding]:
    """The coordinator never told how many it published."""
    call = attempt.call
    least, most = ledger.gap(Stage.PUBLISHED)
    limit = start_limit_s(coordinator)
    age = (now - ledger.started).total_seconds() if ledger.started else limit
    if call is None and age < limit:
        since = f"it began {span(age)} ago and has not told yet how many it published"
        yield IN_PROGRESS.says(
            Status.UNKNOWN if hidden else Status.OK,
            f"whether the start call is still at work could not be seen: {hidden}; {since}"
            if hidden
            else f"the start call has been at work for {span(age)} and has not told yet how many it published",
            leg=Leg.REQUEST,
            bears=Bears.SLOWS,
            subject=subjects.batch(ledger.batch),
            rests_on=("StartCalls",),
            tells=StartAtWork(age_s=age, limit_s=limit),
        )
        return
    by_counter = not ledger.proven(Means.PUBLISHED)
    if by_counter and ledger.counts[Stage.PUBLISHED].most != 0:
        yield UNSEEN.says(
            Status.UNKNOWN,
            "how many items were published could not be seen: no line that tells it matched for any batch in the look-back",
            leg=Leg.REQUEST,
            subject=subjects.batch(ledger.batch),
        )
        return
    if ledger.done and least == 0:
        return
    last = attempt.last(Means.PHASE)
    ended = (
        "the start call was cut off"
        if call is None
        else f"the start call ended in {call.status} after {span(call.latency_s)}"
    )
    cut = call is None or call.status == 504 or call.status == 499 or call.latency_s >= limit - 1
    yield CUT_SHORT.says(
        Status.FAULT if cut else Status.UNKNOWN,
        f"{ended}; {'nothing was published, by the counter of the topic' if by_counter else _NO_LINE}"
        + (f" (last phase: {last.words.get('phase', '?')})" if last else ""),
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=least,
        since=ledger.started,
        rests_on=("StartCalls", "PublishCounts" if by_counter else "BatchMarks"),
        subject=subjects.batch(ledger.batch),
        tells=CutShort(
            failed=failed,
            limit_s=limit,
            most=most,
            certain=int(not by_counter and call is not None and call.status == 504),
        ),
    )


_NO_LINE = "the line that counts what was published never came"
