"""Services that are there too late, or not in sufficient number."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, Over, all_of, any_of, ok
from diagnostics.evidence.model import Stage
from diagnostics.steps import changes, cold_start, delivered

CAUSES = (
    Cause(
        code="cold-start-exceeds-ack-deadline",
        family="deadline",
        title="A cold start takes longer than the ack deadline",
        says="instances start more slowly than the ack deadline allows, so pushes that meet a cold service expire",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Over(cold_start.TOO_SLOW, "expired", 0),
        decisive=ALWAYS,
        explains=(delivered.DEADLINE, delivered.FAILING, delivered.HELD_BACK, delivered.OLD_BACKLOG),
        settled_by=("pubsub-diag cold-start --leg {leg}",),
        next=("pubsub-diag runbook show cold-start-exceeds-ack-deadline",),
    ),
    Cause(
        code="max-instances-saturated",
        family="capacity",
        title="All instances are busy",
        says="the service runs at its maximum of instances and turns pushes away faster than work drains",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(cold_start.SATURATED),
        decisive=ALWAYS,
        explains=(delivered.FAILING, delivered.HELD_BACK, delivered.OLD_BACKLOG, cold_start.CANNOT_SCALE),
        next=("pubsub-diag runbook show max-instances-saturated",),
    ),
    Cause(
        code="capacity-blip-drained",
        family="capacity",
        title="A capacity blip that drained by itself",
        says="pushes were turned away for want of instances and went through on redelivery",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=all_of(ok(cold_start.DRAINED), any_of(ok(delivered.ACKED), ok(delivered.RECOVERED))),
        decisive=ALWAYS,
        benign=True,
    ),
    Cause(
        code="min-instances-lost-in-deploy",
        family="drift",
        title="A deploy lost the minimum of instances",
        says="the serving revision keeps no instance warm; the one before it did",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(changes.MIN_INSTANCES),
        decisive=ALWAYS,
        explains=(cold_start.TOO_SLOW, cold_start.CANNOT_SCALE),
        never_blocks=True,
        next=("pubsub-diag runbook show min-instances-lost-in-deploy",),
    ),
)
