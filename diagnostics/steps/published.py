"""How many of the batch's items did the coordinator publish, and what became of the rest?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated

from diagnostics.evidence.model import (
    Leg,
    Mark,
    Means,
    PublishCounts,
    QuotaExceeded,
    ServiceConfig,
    Stage,
    TopicConfig,
    Unseen,
)
from diagnostics.ledger import Attempt, Ledger
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.steps.finding import Bears, Code, Finding, Row, Status, Where
from diagnostics.steps.words import RECENT, clock, count, short, span

ALL = Code("published.all", Stage.PUBLISHED, "everything that should be published was", informational=True)
GATED = Code("published.gated", Stage.PUBLISHED, "a gate of the coordinator kept items back")
EMPTY = Code("published.empty", Stage.PUBLISHED, "the batch is empty, and the coordinator says why")
ERRORS = Code("published.errors", Stage.PUBLISHED, "publishing failed for items of the batch")
CUT_SHORT = Code("published.cut_short", Stage.PUBLISHED, "the start call ended before everything was published")
IN_PROGRESS = Code("published.in_progress", Stage.PUBLISHED, "the start call is still at work", informational=True)
FEWER = Code("published.fewer", Stage.PUBLISHED, "fewer items were published than expected, and no line says why")
UNSEEN = Code("published.unseen", Stage.PUBLISHED, "what was published could not be seen", informational=True)
REFUSED = Code("published.refused", Stage.PUBLISHED, "Pub/Sub refuses publish requests")
QUOTA = Code("published.quota", Stage.PUBLISHED, "a Pub/Sub quota was exceeded")
TOPIC_MISSING = Code("published.topic_missing", Stage.PUBLISHED, "the request topic does not exist")


def published(
    ledger: Ledger,
    profile: PipelineProfile,
    now: datetime,
    topic: Annotated[TopicConfig | Unseen, Leg.REQUEST],
    counts: Annotated[PublishCounts | Unseen, Leg.REQUEST],
    quota: QuotaExceeded | Unseen,
    coordinator: Annotated[ServiceConfig | Unseen, Leg.COMPLETION],
) -> Iterator[Finding | Row]:
    """Reads the coordinator's own count first; the topic's counter bounds it, for other batches publish there, too."""
    yield from _refusals(ledger, counts, quota, topic, now)
    attempt = ledger.attempt
    here = ledger.counts.get(Stage.PUBLISHED)
    if attempt is None or here is None or (attempt.refused and not attempt.batch):
        yield Row(stage=Stage.PUBLISHED, leg=Leg.REQUEST, not_reached=True)
        return
    found = list(_why_fewer(ledger, profile, attempt, now, coordinator))
    yield from found
    held = [f for f in found if f.held]
    where: dict[str, int] = {}
    if ledger.gated:
        where[Where.GATED] = ledger.gated
    failed = _failed(attempt)
    if failed:
        where[Where.DROPPED] = failed
    rest = ledger.gap(Stage.PUBLISHED)[0] - sum(where.values())
    if rest > 0:
        where[Where.UNKNOWN] = rest
    statuses = {f.status for f in found}
    status = next(
        s for s in (Status.FAULT, Status.WARNING, Status.UNKNOWN, Status.OK) if s in statuses or s is Status.OK
    )
    yield Row(
        stage=Stage.PUBLISHED,
        leg=Leg.REQUEST,
        expected=ledger.expected,
        seen_min=here.least,
        seen_max=here.most,
        where=where if held or ledger.gap(Stage.PUBLISHED)[0] else {},
        basis=here.basis,
        status=status,
        source=f"{here.source}{_gate_told(attempt)}",
    )


def _gate_told(attempt: Attempt) -> str:
    gate = attempt.gate
    if gate is None or "count" not in gate.numbers or "of" not in gate.numbers:
        return ""
    return f": the gate let {gate.numbers['count']} of {gate.numbers['of']} through{_reasons(gate)}"


def _reasons(gate: Mark) -> str:
    told = [f"{n} {name.replace('_', ' ')}" for name, n in gate.numbers.items() if name not in ("count", "of") and n]
    return f" ({', '.join(told)})" if told else ""


def _why_fewer(
    ledger: Ledger, profile: PipelineProfile, attempt: Attempt, now: datetime, coordinator: ServiceConfig | Unseen
) -> Iterator[Finding]:
    here = ledger.counts[Stage.PUBLISHED]
    least, _ = ledger.gap(Stage.PUBLISHED)
    noun = profile.item + "s"
    if attempt.empty:
        reason = attempt.empty.words.get("reason", "")
        by_design = any(r.lower() in reason.lower() for r in profile.empty_reasons) if reason else bool(ledger.closed)
        yield EMPTY.says(
            Status.OK if by_design else Status.WARNING,
            "the coordinator made an empty batch" + (f": {reason}" if reason else " and closed it"),
            rests_on=("BatchMarks",),
            words={"reason": reason},
        )
        return
    failed = _failed(attempt)
    if failed:
        yield ERRORS.says(
            Status.FAULT,
            f"publishing failed for {failed} of {ledger.expected or 'an unknown number of'} {noun}",
            leg=Leg.REQUEST,
            bears=Bears.HOLDS,
            held=failed,
            since=_first_error(attempt),
            rests_on=("BatchMarks",),
            numbers={"failed": failed},
        )
    if ledger.gated:
        yield _gated(ledger, attempt, noun)
    if (attempt.published is None and here.exact is None) or (attempt.published is None and here.basis == "topic"):
        yield from _no_count(ledger, attempt, now, coordinator, failed)
    elif least > (ledger.gated or 0) + failed:
        yield FEWER.says(
            Status.FAULT,
            f"{here.least} of {ledger.expected} {noun} were published; no line says what became of the rest",
            leg=Leg.REQUEST,
            bears=Bears.HOLDS,
            held=least - (ledger.gated or 0) - failed,
            since=ledger.started,
        )
    elif not failed and not ledger.gated and here.least:
        yield ALL.says(Status.OK, f"{here.least} of {ledger.expected or here.least} {noun} published", leg=Leg.REQUEST)


def _gated(ledger: Ledger, attempt: Attempt, noun: str) -> Finding:
    gate = attempt.gate
    assert gate is not None and ledger.gated is not None
    lowered = ledger.expected is not None and ledger.expected <= gate.numbers["count"]
    return GATED.says(
        Status.OK if lowered else Status.WARNING,
        f"the gate let {gate.numbers['count']} of {gate.numbers['of']} {noun} through"
        + _reasons(gate)
        + (
            f"; the batch was lowered to {ledger.expected}"
            if lowered
            else f"; the batch still expects {ledger.expected}"
        ),
        leg=Leg.REQUEST,
        bears=Bears.APART if lowered else Bears.SLOWS,
        held=0 if lowered else ledger.gated,
        since=gate.at,
        rests_on=("BatchMarks",),
        numbers={"gated": ledger.gated, "passed": gate.numbers["count"], "of": gate.numbers["of"]},
    )


def _no_count(
    ledger: Ledger, attempt: Attempt, now: datetime, coordinator: ServiceConfig | Unseen, failed: int
) -> Iterator[Finding]:
    """The coordinator never told how many it published."""
    call = attempt.call
    least, most = ledger.gap(Stage.PUBLISHED)
    limit = (
        coordinator.settings.template.timeout_s
        if not isinstance(coordinator, Unseen) and coordinator.settings
        else 3600.0
    )
    age = (now - ledger.started).total_seconds() if ledger.started else limit
    if call is None and age < limit:
        yield IN_PROGRESS.says(
            Status.OK,
            f"the start call has been at work for {span(age)} and has not told yet how many it published",
            leg=Leg.REQUEST,
            bears=Bears.SLOWS,
            numbers={"age_s": age, "limit_s": limit},
        )
        return
    if not ledger.proven(Means.PUBLISHED):
        yield UNSEEN.says(
            Status.UNKNOWN,
            "how many items were published could not be seen: no line that tells it matched for any batch in the look-back",
            leg=Leg.REQUEST,
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
        f"{ended}; the line that counts what was published never came"
        + (f" (last phase: {last.words.get('phase', '?')})" if last else ""),
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        held=least,
        since=ledger.started,
        rests_on=("StartCalls", "BatchMarks"),
        numbers={"failed": failed, "limit_s": limit} | ({"most": most} if most is not None else {}),
    )


def _refusals(
    ledger: Ledger,
    counts: PublishCounts | Unseen,
    quota: QuotaExceeded | Unseen,
    topic: TopicConfig | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    """What the topic itself shows: missing, refusing, over quota."""
    since = ledger.started - timedelta(minutes=1) if ledger.started else None
    held = ledger.gap(Stage.PUBLISHED)[0] if ledger.counts else 0
    bears = Bears.HOLDS if held else Bears.APART
    if not isinstance(topic, Unseen) and topic.settings is None:
        yield TOPIC_MISSING.says(
            Status.FAULT, f"topic {short(topic.name)} does not exist", leg=Leg.REQUEST, bears=bears, held=held
        )
    if not isinstance(counts, Unseen):
        recently = counts.source.as_of - RECENT
        for one in counts.requests:
            refused = one.total(since or recently)
            if one.labels.get("response_class") in ("", "success") or not refused:
                continue
            code = one.labels.get("response_code", "?")
            live = one.total(recently) > 0 or bool(held)
            yield REFUSED.says(
                Status.FAULT if live else Status.WARNING,
                f"{count(refused, 'publish request')} refused with {code}"
                + ("" if live else f", none since {clock(recently, now)}"),
                leg=Leg.REQUEST,
                bears=bears,
                held=held,
                since=next((p.start for p in one.within(since) if p.value), None),
                rests_on=("PublishCounts",),
                numbers={"refused": refused},
                words={"code": code},
            )
    if not isinstance(quota, Unseen):
        for one in quota.series:
            peak = one.peak(since or now - timedelta(hours=1))
            if peak:
                metric = one.labels.get("quota_metric", "?")
                yield QUOTA.says(
                    Status.FAULT,
                    f"quota {metric} was exceeded",
                    leg=Leg.REQUEST,
                    bears=bears,
                    held=held,
                    since=next((p.start for p in one.within(since) if p.value), None),
                    rests_on=("QuotaExceeded",),
                    words={"metric": metric},
                )


def _failed(attempt: Attempt) -> int:
    """Items whose publishing failed: the coordinator's count, else the named ones."""
    if attempt.published and "failed" in attempt.published.numbers:
        return attempt.published.numbers["failed"]
    errors = [m for m in attempt.marks if m.means is Means.PUBLISH_ERROR]
    return len({m.item for m in errors if m.item}) or len(errors)


def _first_error(attempt: Attempt) -> datetime | None:
    error = attempt.first(Means.PUBLISH_ERROR)
    return error.at if error else None
