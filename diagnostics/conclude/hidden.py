"""A batch that cannot be seen: why, what is known of its subscriptions all the same, and what makes it seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diagnostics.causes.consequences import CLASSES, classes_of
from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.evidence.model import BatchMarks, BatchStatus, EvidenceSet, Leg, Means, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import delivered
from diagnostics.steps.finding import Finding, Kind, Status
from diagnostics.steps.words import span

OF_A_BATCH = (Means.CREATED, Means.PUBLISHED, Means.CLOSED)
OF_ITEMS = (Means.STARTED_ITEM, Means.DONE_ITEM)
"""Markers with which a batch and its items can be followed at all."""

_MET = (Kind.EFFECT, Kind.CONSEQUENCE)
_FLOWS = (delivered.ACKED.name, delivered.IDLE.name, delivered.RECOVERED.name)
"""What tells how a subscription is when nothing is wrong with it."""


def why(profile: PipelineProfile, evidence: EvidenceSet, ledger: Ledger) -> str:
    """Why nothing tells of the batch that was asked about."""
    marks, status = evidence.get(BatchMarks), evidence.get(BatchStatus)
    if not profile.markers and profile.batch_state is None:
        return "the profile has neither log markers nor batch state"
    if isinstance(marks, Unseen):
        return marks.says
    if isinstance(status, Unseen) and status.why not in (Why.DEPENDS, Why.NOT_CONFIGURED, Why.NOT_ASKED):
        return f"no line names it, and {status.says}"
    far = f"the last {span(evidence.lookback.total_seconds())}" + ("" if marks.source.complete else " that was read")
    return f"no line of {far} names it" if ledger.asked else f"no start call and no line of a batch in {far}"


def active(live: Live, ledger: Ledger) -> bool:
    """Whether messages of the subscription meet the cause now, while the batch cannot be seen."""
    return not ledger.told and live.role is Role.LATENT and _met(live)


def _met(live: Live) -> bool:
    """By its own effects, or by what is seen of pushes now and only such a mechanism brings about."""
    own, after = (tuple(f for f in of if f.abnormal and f.until is None) for of in (live.share.own, live.share.follows))
    classes = frozenset[str]().union(*(CLASSES.get(f.code, frozenset()) for f in own))
    failing = any(f.code == delivered.FAILING.name and classes & classes_of(f) for f in after)
    silent = any(f.code == delivered.NO_PUSHES.name for f in after) and any(f.status is Status.FAULT for f in own)
    return any(f.kind is Kind.EFFECT and f.status is Status.FAULT for f in own) or failing or silent


def trouble(verdict: Verdict, findings: Sequence[Finding]) -> Finding | Live | None:
    """What says most of the subscriptions: what messages meet now and why, what else is wrong, else how pushes are answered."""
    now = [f for f in findings if f.status is Status.FAULT and f.until is None]
    causes = [x for x in verdict.live if any(f in now for f in (*x.share.own, *x.share.follows))]
    met = [f for f in now if f.kind in _MET]
    warned = [f for f in findings if f.status is Status.WARNING and f.until is None and f.kind in _MET]
    flows = [f for f in findings if f.code in _FLOWS and f.leg in (Leg.REQUEST, None)]
    told: tuple[Finding | Live, ...] = (*filter(_met, causes), *met, *causes, *now, *warned, *flows)
    return next(iter(told), None)


def ways_on(profile: PipelineProfile, evidence: EvidenceSet) -> Iterator[str]:
    """What makes the batch seen, the surest first."""
    marks, status = evidence.get(BatchMarks), evidence.get(BatchStatus)
    if profile.markers:
        gaps = [x.mend for x in (marks, status) if isinstance(x, Unseen) and x.mend and x.why is not Why.NOT_CONFIGURED]
        yield from gaps[:1]
        if not isinstance(marks, Unseen):
            yield "pubsub-diag batches" if marks.marks else "pubsub-diag profile test"
        return
    if not profile.request.topic:
        back = f" --completion-subscription {profile.completion.subscription}" if profile.completion else ""
        yield f"pubsub-diag init --subscription {profile.request.subscription}{back}"
    wanted = ", ".join(f'"{m.value}"' for m in OF_A_BATCH), ", ".join(f'"{m.value}"' for m in OF_ITEMS)
    yield f"add [[markers]] to the profile: of the batch {wanted[0]}, of its items {wanted[1]}; then pubsub-diag profile test"
    yield "or say what you know of the batch, its start and its number: pubsub-diag batch --since TIME --expect NUMBER"
