"""Batches that the coordinator's own state holds, or that only look held."""

from diagnostics.causes.model import ALWAYS, Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import BatchMarks, BatchStatus, Stage
from diagnostics.steps import closed, created, published, requested
from diagnostics.steps.finding import Status
from diagnostics.steps.published import topic

_ABNORMAL = (Status.WARNING, Status.FAULT)

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
        says="the start call was refused because batch {blocker} counted as active, though it had got no further for {idle}",
        stage=Stage.CREATED,
        requires=any_of(
            Over(created.STALE_OPEN, lambda told: float(not told.closed and not told.owed), 0, _ABNORMAL),
            all_of(Has(created.STALE_OPEN, (Status.UNKNOWN,)), Over(created.STALE_OPEN, lambda told: told.age_s, 3600)),
        ),
        decisive=Has(created.STALE_OPEN),
        effects=(requested.REFUSED,),
        settled_by=("pubsub-diag batches",),
        next=("pubsub-diag batch {blocker}", "pubsub-diag runbook show stale-active-batch-blocks-start"),
    ),
    Cause(
        code="closed-batch-blocks-start",
        refines="stale-active-batch-blocks-start",
        family="state",
        title="A batch that is closed still blocks new starts",
        says="the start call was refused because batch {blocker} counted as active, though it was closed {idle} ago",
        stage=Stage.CREATED,
        requires=Over(created.STALE_OPEN, lambda told: told.closed, 0, _ABNORMAL),
        decisive=ALWAYS,
        overturned_by=(BatchMarks,),
        effects=(requested.REFUSED,),
        next=("pubsub-diag runbook show closed-batch-blocks-start", "pubsub-diag batches"),
    ),
    Cause(
        code="stuck-batch-blocks-start",
        refines="stale-active-batch-blocks-start",
        family="state",
        title="A batch that is stuck itself blocks new starts",
        says="the start call was refused because batch {blocker} counted as active, though it had got no further for {idle}; {owed} of "
        "its items are published and not done",
        stage=Stage.CREATED,
        requires=Over(created.STALE_OPEN, lambda told: told.owed, 0, _ABNORMAL),
        decisive=ALWAYS,
        effects=(requested.REFUSED,),
        settled_by=("pubsub-diag batches",),
        next=("pubsub-diag batch {blocker}", "pubsub-diag runbook show stuck-batch-blocks-start"),
    ),
    Cause(
        code="expects-what-nobody-sends",
        family="state",
        title="The batch expects items that nobody sends",
        says="the coordinator expects {unsent} items that it neither published nor failed to publish, by its own count: nobody sends these",
        stage=Stage.CLOSED,
        requires=all_of(
            any_of(Has(closed.WAITS_FOR_UNPUBLISHED), Has(closed.WILL_WAIT), Has(closed.HOLLOW), Has(closed.FORCED)),
            Over(published.FEWER, lambda told: told.unsent, 0, _ABNORMAL),
        ),
        # What the topic refused may be these, unless the coordinator counts what was refused as failed.
        decisive=none_of(
            all_of(
                any_of(Has(topic.REFUSED), Has(topic.DEFERRED)),
                none_of(Has(published.ERRORS), Has(published.GAVE_UP)),
            )
        ),
        overturned_by=(BatchStatus, BatchMarks),
        next=("pubsub-diag runbook show expects-what-nobody-sends", "pubsub-diag batch {batch} --items"),
    ),
    Cause(
        code="closing-rule-needs-an-event",
        family="state",
        title="Enough is done, and nothing comes that would close the batch",
        says="{done} are done, {enough} are enough, and the batch is open: its closing rule runs only when another completion comes",
        stage=Stage.CLOSED,
        requires=Has(closed.ENOUGH),
        decisive=ALWAYS,
        overturned_by=(BatchStatus,),
        next=("pubsub-diag runbook show closing-rule-needs-an-event", "pubsub-diag batch {batch} --items --missing"),
    ),
    Cause(
        code="closed-short",
        family="state",
        title="The batch was closed with work missing",
        says="the batch was closed with {done} done and {missing} missing: what is downstream may take it for complete",
        stage=Stage.CLOSED,
        requires=Has(closed.FORCED),
        decisive=ALWAYS,
        overturned_by=(BatchStatus,),
        never_blocks=True,
        next=("pubsub-diag runbook show closed-short", "pubsub-diag batch {batch} --items --missing"),
    ),
    Cause(
        code="other-batch-running",
        family="state",
        title="Another batch is still running",
        says="the start call was refused because batch {blocker} {stands}",
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
