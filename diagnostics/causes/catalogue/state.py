"""Batches that the coordinator's own state holds, or that only look held."""

from diagnostics.causes.model import ALWAYS, Cause, Has, Over, all_of, any_of, ok
from diagnostics.evidence.model import BatchStatus, Stage
from diagnostics.steps import closed, created, published, requested
from diagnostics.steps.finding import Status

CAUSES = (
    Cause(
        code="gated-batch-never-closes",
        family="state",
        title="A gated batch that never closes",
        says="{rest}: the gate let {passed} of {of} through, the batch still expects {expected}",
        stage=Stage.CLOSED,
        requires=all_of(any_of(Has(closed.WAITS_FOR_UNPUBLISHED), Has(closed.WILL_WAIT)), Has(published.GATED)),
        decisive=ALWAYS,
        overturned_by=(BatchStatus,),
        effects=(published.FEWER,),
        next=("pubsub-diag runbook show gated-batch-never-closes", "pubsub-diag batch {batch} --items"),
    ),
    Cause(
        code="stale-active-batch-blocks-start",
        family="state",
        title="A stale batch blocks every new start",
        says="the start call was refused because batch {blocker} counted as active, which had got no further for {idle}",
        stage=Stage.CREATED,
        requires=any_of(
            Has(created.STALE_OPEN),
            all_of(Has(created.STALE_OPEN, (Status.UNKNOWN,)), Over(created.STALE_OPEN, lambda told: told.age_s, 3600)),
        ),
        decisive=Has(created.STALE_OPEN),
        effects=(requested.REFUSED,),
        settled_by=("pubsub-diag batches",),
        next=("pubsub-diag batch {blocker}", "pubsub-diag runbook show stale-active-batch-blocks-start"),
    ),
    Cause(
        code="other-batch-running",
        family="state",
        title="Another batch is still running",
        says="the start call was refused because batch {blocker} is at work, and that one gets further",
        stage=Stage.CREATED,
        requires=all_of(ok(created.ACTIVE_OTHER), Has(requested.REFUSED)),
        decisive=ALWAYS,
        next=("pubsub-diag batch {blocker}",),
        benign=True,
    ),
    Cause(
        code="done",
        family="state",
        title="The batch is done",
        says="the batch is closed",
        stage=Stage.CLOSED,
        requires=ok(closed.CLOSED),
        decisive=ALWAYS,
        refutes=ok(published.EMPTY),
        benign=True,
    ),
    Cause(
        code="empty-by-design",
        family="state",
        title="The batch is empty by design",
        says="the coordinator found nothing to do, and the profile lists its reason as right",
        stage=Stage.PUBLISHED,
        requires=ok(published.EMPTY),
        decisive=ALWAYS,
        benign=True,
    ),
)
