"""What it is not. A clearance is a claim, too: it needs positive evidence of this batch, now, and nothing found that speaks against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from diagnostics.causes.verdict import Verdict
from diagnostics.conclude.diagnosis import RuledOut
from diagnostics.conclude.standing import doubts
from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BatchMarks,
    DeadLetterCounts,
    DeliveryHealth,
    Evidence,
    ItemMarks,
    Leg,
    ProjectSubscriptions,
    PublishCounts,
    PushAccount,
    PushCounts,
    QuotaExceeded,
    ReceiverCapacity,
    RequestLog,
    Stage,
    StartCalls,
    SubscriptionConfig,
    TopicConfig,
    TopicSubscriptions,
)
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.wholeness import Wholeness
from diagnostics.steps import delivered, published, push_auth, routed
from diagnostics.steps.cold_start import startup
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Finding, Kind, Status
from diagnostics.steps.processed import failing_items
from diagnostics.steps.push_auth import invoker


class _Clearance(NamedTuple):
    of: str
    """What to call the part of the pipeline that is cleared."""
    whole: tuple[type[Evidence], ...]
    """Where something would be seen that speaks against it: unless all of it was seen whole, nothing is cleared."""
    if_there: tuple[type[Evidence], ...] = ()
    """What not every pipeline has, where it is hidden."""


_SET_UP = (SubscriptionConfig, TopicConfig, TopicSubscriptions, ProjectSubscriptions)
_BALANCE = (PublishCounts, PushCounts, AckCounts, Backlog, DeadLetterCounts)
"""Without one of these nothing tells whether what came onto the topic is gone."""
_DELIVERY = _Clearance("delivery", (PushCounts, Backlog, ItemMarks, DeadLetterCounts, DeliveryHealth))
_SIGN_IN = _Clearance("sign-in", (RequestLog, PushCounts, SubscriptionConfig))
_CLEARS = {
    published.ALL.name: _Clearance("publishing", (BatchMarks, PublishCounts, QuotaExceeded)),
    routed.ROUTED.name: _Clearance("routing", (*_SET_UP, *_BALANCE, BatchMarks, ItemMarks)),
    delivered.OURS.name: _DELIVERY,
    push_answers.ACKED.name: _DELIVERY,
    push_auth.PROVEN.name: _SIGN_IN,
    invoker.GRANTED.name: _SIGN_IN._replace(if_there=(PushAccount,)),
    startup.FINE.name: _Clearance(
        "cold start", (ReceiverCapacity, RequestLog, PushCounts, Backlog, DeadLetterCounts, BatchMarks, ItemMarks)
    ),
    failing_items.STORM_SMALL.name: _Clearance("the failing messages", (ItemMarks, RequestLog, PushCounts)),
}
"""Findings that, when ok, clear a part of the pipeline."""

_BY_ITSELF = frozenset({delivered.OURS.name, push_auth.PROVEN.name, failing_items.STORM_SMALL.name})
"""They speak of what the batch met, or would. The others speak of how things are set up, or of whatever messages: they clear only where
something of the batch passed."""


_TELLS_OF_BATCHES = frozenset({BatchMarks.__name__, StartCalls.__name__})
"""Where a start attempt shows: hidden, none that is seen is known to be the one that is asked about."""


def ruled_out(ledger: Ledger, findings: Sequence[Finding], verdict: Verdict, whole: Wholeness) -> tuple[RuledOut, ...]:
    """Parts of the pipeline that are cleared, and causes that fit and are refuted, each with the reason."""
    against = [f for f in findings if f.abnormal and f.kind is not Kind.NOTE]
    known = bool(ledger.asked or ledger.attempt) or not whole.hidden & _TELLS_OF_BATCHES
    seen = known and not doubts(findings)
    cleared = (
        RuledOut(code=_CLEARS[f.code].of, leg=f.leg, because=f.says)
        for f in findings
        if seen
        and f.code in _CLEARS
        and f.status is Status.OK
        and not _accused(f, against)
        and _proven(f, ledger)
        and not whole.missing(_CLEARS[f.code].whole, f.leg or Leg.REQUEST)
        and not whole.hidden & {kind.__name__ for kind in _CLEARS[f.code].if_there}
    )
    refuted = (
        RuledOut(code=r.cause.code, leg=r.leg, because=r.against[0].says)
        for r in verdict.refuted
        if not any(_in_part(f, r.leg, whole) for f in r.against)
    )
    return tuple(_first((*cleared, *refuted)))


def _in_part(finding: Finding, leg: Leg, whole: Wholeness) -> bool:
    """Whether it rests on something that was seen in part: what came after that part may say the opposite."""
    return any({(kind, finding.leg or leg), (kind, None)} & whole.cut for kind in finding.rests_on)


def _accused(finding: Finding, against: Iterable[Finding]) -> bool:
    """Whether anything abnormal was found in the same part of the pipeline, on this leg."""
    part = finding.code.partition(".")[0]
    return any(f.code.partition(".")[0] == part and f.leg in (finding.leg, None) and f.until is None for f in against)


def _proven(finding: Finding, ledger: Ledger) -> bool:
    """Whether something of the batch got past what is cleared. Without a batch the finding speaks for itself; of one that cannot be
    seen nothing is cleared."""
    if not ledger.counts:
        return True
    if not ledger.told:
        return False
    if finding.code in _BY_ITSELF:
        return True
    if ledger.expected is None:
        return False  # nothing tells whether all of it got past
    return ledger.counts[Stage.RETURNED if finding.leg is Leg.COMPLETION else Stage.DELIVERED].least > 0


def _first(listed: Iterable[RuledOut]) -> Iterator[RuledOut]:
    kept: dict[tuple[str, Leg | None], RuledOut] = {}
    for one in listed:
        kept.setdefault((one.code, one.leg), one)
    yield from kept.values()
