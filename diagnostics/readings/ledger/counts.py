"""How many items of the batch passed each stage: what names say is exact, what counters say bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    AckCounts,
    BatchMarks,
    BatchStatus,
    EvidenceSet,
    ItemMarks,
    Leg,
    Mark,
    PublishCounts,
    PushCounts,
    ReceiverTraffic,
    RequestLog,
    Stage,
    seen,
    total,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.answers import answers, none_counted
from diagnostics.readings.expired import EXPIRED
from diagnostics.readings.ledger.ledger import COUNTED, GOT_TO, ORDER, TROUBLES, Count, Ledger

_SILENT = timedelta(minutes=5)
"""A topic that got nothing for so long gets no more of this batch, for all that counters tell."""

_LOOP = timedelta(hours=1)
"""A start that was called longer ago publishes no more: the longest that Cloud Run lets a request live (Cloud Run: request timeout)."""


def counts_of(
    ledger: Ledger,
    evidence: EvidenceSet,
    profile: PipelineProfile,
    item_marks: ItemMarks | None,
    status: BatchStatus | None,
) -> dict[Stage, Count]:
    """Bounds for each stage: what logs and state name, no more than the stage before, no less than the stage after."""
    counts = {stage: Count() for stage in COUNTED}
    counts[Stage.PUBLISHED] = _published(ledger, evidence)
    for stage in (Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED):
        named = sum(1 for life in ledger.lives if ORDER[life.stage] >= ORDER[stage])
        markers = [means for means, got in GOT_TO.items() if got is stage and means not in TROUBLES]
        looked = item_marks is not None and item_marks.source.complete and profile.has(*markers[:1])
        proven = any(ledger.proven(m) or any(m is x for x, _ in ledger.matched) for m in markers)
        counts[stage] = Count(named, named if looked and proven else None, "application log" if named or proven else "")
    if status and status.exists and status.completed is not None:
        counts[Stage.RECORDED] = Count(status.completed, status.completed, "batch state")
    _bound_by_counters(counts, ledger, evidence)
    for later, earlier in zip(reversed(COUNTED), list(reversed(COUNTED))[1:], strict=False):
        if counts[earlier].least < counts[later].least:
            here = counts[earlier]
            most = None if here.most is None else max(here.most, counts[later].least)
            counts[earlier] = Count(counts[later].least, most, here.source or counts[later].source, here.basis)
    ceiling = ledger.expected
    for stage in COUNTED:
        here = counts[stage]
        if ceiling is not None and (here.most is None or here.most > ceiling) and here.least <= ceiling:
            here = Count(here.least, ceiling, here.source, here.basis)
        counts[stage] = here
        ceiling = here.most
    if item_marks is not None and item_marks.source.complete:
        refused = sum(1 for x in ledger.lives if x.refused_after and x.stage is Stage.RETURNED)
        counts[Stage.RECORDED] = without(counts, refused)
    return counts


def without(counts: Mapping[Stage, Count], lost: int) -> Count:
    """What is recorded where so many of those that came back are not; what the batch state counts stays."""
    here, back = counts[Stage.RECORDED], counts[Stage.RETURNED].most
    if not lost or back is None or here.source == "batch state" or here.exact is not None:
        return here
    most = max(back - lost, here.least)
    return Count(
        here.least, most if here.most is None else min(most, here.most), here.source or "application log", here.basis
    )


def _published(ledger: Ledger, evidence: EvidenceSet) -> Count:
    attempt = ledger.attempt
    published = attempt.published if attempt else None
    if published and "count" in published.numbers:
        return Count(published.numbers["count"], published.numbers["count"], f"{_log(published)}")
    if attempt and attempt.empty:
        return Count(0, 0, f"{_log(attempt.empty)}")
    if attempt and attempt.turned_away:
        return Count(0, 0, "start call")
    named = sum(1 for life in ledger.lives if ORDER[life.stage] >= ORDER[Stage.PUBLISHED])
    topic = seen(evidence.get(PublishCounts, Leg.REQUEST))
    if ledger.as_asked and topic:
        return _as_asked(ledger, topic)
    if attempt and topic and topic.source.complete and ledger.started and attempt.call:
        ended = attempt.call.at + timedelta(seconds=attempt.call.latency_s)
        if topic.source.as_of >= ended:
            sent = int(total(topic.messages, ledger.started - timedelta(minutes=1)))
            ours = sent if _alone(ledger, evidence, topic, ended) else 0
            return Count(max(ours, named), max(sent, named), "topic counter", "topic")
    if attempt and topic and ledger.expected and _just_as_many(ledger, evidence, topic):
        return Count(ledger.expected, ledger.expected, "topic counter", "topic")
    if named and topic and _no_more(ledger, evidence, topic, named):
        return Count(named, named, "topic counter", "topic")
    failed = attempt.failed_to_publish if attempt else 0
    most = max(named, ledger.expected - failed) if failed and ledger.expected is not None else None
    return Count(named, most, "application log" if named or failed else "")


def _alone(ledger: Ledger, evidence: EvidenceSet, topic: PublishCounts, ended: datetime) -> bool:
    """Whether what the topic took can only be the batch's: it took nothing since the start call ended, no other start was under way, as the
    coordinator's lines tell that were read whole, and it took no more than the batch has items."""
    assert ledger.started is not None and ledger.attempt is not None
    marks = seen(evidence.get(BatchMarks))
    if marks is None or not marks.source.complete:
        return False
    begin, since = ledger.started - timedelta(minutes=1), ended + timedelta(minutes=1)
    others = [a for a in ledger.attempts if a is not ledger.attempt and a.seen and begin - _LOOP <= a.started <= since]
    over = topic.source.as_of >= since + _SILENT and not total(topic.messages, since)
    return over and not others and ledger.expected is not None and total(topic.messages, begin) <= ledger.expected


def _just_as_many(ledger: Ledger, evidence: EvidenceSet, topic: PublishCounts) -> bool:
    """Of a batch that nobody was called to begin: whether the topic took as many messages as it has items, from the minute before it is
    first told of, and none of late."""
    if ledger.started is None or not _by_itself(ledger, evidence, topic):
        return False
    return int(total(topic.messages, ledger.started - timedelta(minutes=1))) == ledger.expected


def _no_more(ledger: Ledger, evidence: EvidenceSet, topic: PublishCounts, named: int) -> bool:
    """Whether such a batch's items that lines name are all that the topic took within the hour before it is first told of, and since."""
    if ledger.started is None or not _by_itself(ledger, evidence, topic):
        return False
    return int(total(topic.messages, ledger.started - _LOOP)) == named


def _by_itself(ledger: Ledger, evidence: EvidenceSet, topic: PublishCounts) -> bool:
    """Whether nobody was called to begin the batch, no other was begun within an hour of it or since, as lines that were read whole tell,
    and the topic took nothing of late."""
    attempt, marks = ledger.attempt, seen(evidence.get(BatchMarks))
    if attempt is None or ledger.started is None or not (attempt.unasked or (attempt.begun and not attempt.call)):
        return False
    if not topic.source.complete or marks is None or not marks.source.complete:
        return False
    others = [a for a in ledger.attempts if a is not ledger.attempt and a.seen and a.started >= ledger.started - _LOOP]
    return not others and not total(topic.messages, topic.source.as_of - _SILENT)


def _as_asked(ledger: Ledger, topic: PublishCounts) -> Count:
    """What was published since the batch began, as the caller says it; more may come until the topic has been silent."""
    assert ledger.started is not None and ledger.expected is not None
    sent = min(int(total(topic.messages, ledger.started - timedelta(minutes=1))), ledger.expected)
    silent = topic.source.complete and not total(topic.messages, topic.source.as_of - _SILENT)
    return Count(sent, sent if silent else ledger.expected, "topic counter", "topic")


def _bound_by_counters(counts: dict[Stage, Count], ledger: Ledger, evidence: EvidenceSet) -> None:
    """Where no line tells, the subscription's own counters bound how many of our items can have passed, if they were seen whole."""
    if ledger.started is None:
        return
    since = ledger.started - timedelta(minutes=1)
    for leg, delivered, acked in (
        (Leg.REQUEST, Stage.DELIVERED, Stage.PROCESSED),
        (Leg.COMPLETION, Stage.RETURNED, Stage.RETURNED),
    ):
        if counts[delivered].most is None and (reached := _reached(evidence, leg, since)) is not None:
            passed = reached if leg is Leg.REQUEST else 0  # a completion is back only once it is acked, and none was
            counts[delivered] = _bounded(counts[delivered], passed, "request log")
        pushes = seen(evidence.get(PushCounts, leg))
        if pushes is None or not pushes.source.complete:
            continue
        acks = int(total(pushes.series, since, response_class="ack"))
        if leg is Leg.COMPLETION:  # who takes longer than Pub/Sub waits has recorded it all the same
            acks += int(total(pushes.series, since, response_class=EXPIRED))
        if counts[acked].most is None:
            counts[acked] = _bounded(counts[acked], acks, "push counter")
        if counts[delivered].most is None:
            counts[delivered] = _bounded(counts[delivered], int(total(pushes.series, since)), "push counter")
    sent = seen(evidence.get(AckCounts, Leg.REQUEST))
    if sent and sent.source.complete and counts[Stage.PROCESSED].most is None:
        acks = int(total(sent.series, since, delivery_type="push"))
        counts[Stage.PROCESSED] = _bounded(counts[Stage.PROCESSED], acks, "ack counter")


def _bounded(here: Count, counted: int, source: str) -> Count:
    """At most what a counter of the subscription counts. One that has not yet counted the items that lines name bounds nothing."""
    return here if counted < here.least else Count(here.least, counted, source, "subscription")


_UNANSWERED = frozenset({"internal", "unreachable"})
"""Classes of push results that no receiver answered: an error inside Pub/Sub, or no connection (metrics list, response_class)."""


def _reached(evidence: EvidenceSet, leg: Leg, since: datetime) -> int | None:
    """Pushes since then that reached a container, by the request log; None where it cannot tell (silent, cut, not seen)."""
    log = seen(evidence.get(RequestLog, leg))
    if log is None or not log.source.complete:
        return None
    told = answers(log, since)
    if not told.rows:
        return (
            0 if _never_sent(evidence, leg, since) or none_counted(evidence.get(ReceiverTraffic, leg), since) else None
        )
    return None if told.fine else sum(1 for r in told.rows if r.reached)


def _never_sent(evidence: EvidenceSet, leg: Leg, since: datetime) -> bool:
    """Whether each push since then failed before it could be answered. Beside a request log that has none of them, none got there."""
    pushes = seen(evidence.get(PushCounts, leg))
    if pushes is None or not pushes.source.complete:
        return False
    classes = {s.labels.get("response_class") for s in pushes.series if s.total(since)}
    return bool(classes) and classes <= _UNANSWERED


def _log(mark: Mark) -> str:
    return f"{mark.service} log {mark.at:%H:%M:%S}Z"
