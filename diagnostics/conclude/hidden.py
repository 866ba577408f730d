"""A batch that cannot be seen: why, what is known of its subscriptions all the same, and what makes it seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.evidence.model import BatchMarks, BatchStatus, EvidenceSet, Leg, Means, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.shell.commands import command
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Finding, Kind, Status
from diagnostics.steps.words import span

OF_A_BATCH = (Means.CREATED, Means.PUBLISHED, Means.CLOSED)
OF_ITEMS = (Means.STARTED_ITEM, Means.DONE_ITEM)
"""Markers with which a batch and its items can be followed at all."""

_MET = (Kind.EFFECT, Kind.CONSEQUENCE)
_FLOWS = (push_answers.ACKED.name, push_answers.IDLE.name, push_answers.RECOVERED.name)
"""What tells how a subscription is when nothing is wrong with it."""


def why(profile: PipelineProfile, evidence: EvidenceSet, ledger: Ledger) -> str:
    """Why nothing tells of the batch that was asked about."""
    marks, status = evidence.get(BatchMarks), evidence.get(BatchStatus)
    if not profile.markers and not profile.batch_states:
        return "the profile has neither log markers nor batch state"
    if isinstance(marks, Unseen):
        return marks.says.removeprefix("not asked because ")
    if isinstance(status, Unseen) and status.why not in (Why.DEPENDS, Why.NOT_CONFIGURED, Why.NOT_ASKED):
        return f"no line names it, and {status.says}"
    if not marks.source.complete:
        which = "it" if ledger.asked else "a batch"
        return f"no line of the log that was read names {which}, and {marks.source.note or 'it was read in part'}"
    far = f"the last {span(evidence.lookback.total_seconds())}"
    return f"no line of {far} names it" if ledger.asked else f"no start call and no line of a batch in {far}"


def active(live: Live, ledger: Ledger) -> bool:
    """Whether messages of the subscription meet the cause now, while the batch cannot be seen."""
    return not ledger.told and live.role is Role.LATENT and live.met


def trouble(verdict: Verdict, findings: Sequence[Finding]) -> Finding | Live | None:
    """What says most of the subscriptions: what messages meet now and why, what else is wrong, else how pushes are answered."""
    now = [f for f in findings if f.status is Status.FAULT and f.until is None]
    causes = [x for x in verdict.live if any(f in now for f in (*x.share.own, *x.share.follows))]
    met = [f for f in now if f.kind in _MET]
    warned = [f for f in findings if f.status is Status.WARNING and f.until is None and f.kind in _MET]
    flows = [f for f in findings if f.code in _FLOWS and f.leg in (Leg.REQUEST, None)]
    told: tuple[Finding | Live, ...] = (*(x for x in causes if x.met), *met, *causes, *now, *warned, *flows)
    return next(iter(told), None)


def ways_on(profile: PipelineProfile, evidence: EvidenceSet) -> Iterator[str]:
    """What makes the batch seen, the surest first."""
    marks, status = evidence.get(BatchMarks), evidence.get(BatchStatus)
    if profile.markers:
        gaps = [x.mend for x in (marks, status) if isinstance(x, Unseen) and x.mend and x.why is not Why.NOT_CONFIGURED]
        yield from gaps[:1]
        if not isinstance(marks, Unseen):
            if not marks.source.complete:
                yield "ask again with --timeout 120"
            yield "pubsub-diag batches" if marks.marks else "pubsub-diag profile test"
        return
    if not profile.request.topic:
        back = profile.completion.subscription if profile.completion else ""
        yield command(
            "pubsub-diag init --subscription {there}" + (" --completion-subscription {back}" if back else ""),
            there=profile.request.subscription,
            back=back,
        )
    wanted = ", ".join(f'"{m.value}"' for m in OF_A_BATCH), ", ".join(f'"{m.value}"' for m in OF_ITEMS)
    yield f"add [[markers]] to the profile: of the batch {wanted[0]}, of its items {wanted[1]}; then pubsub-diag profile test"
    yield "or say what you know of the batch, its start and its number: pubsub-diag batch --since TIME --expect NUMBER"
