"""Work that does not fit into the ack deadline."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Over
from diagnostics.evidence.model import PushCounts, ReceiverCapacity, RequestLog, Stage
from diagnostics.steps import cold_start, delivered

CAUSES = (
    Cause(
        code="cold-start-exceeds-ack-deadline",
        family="deadline",
        title="A cold start takes longer than the ack deadline",
        says="instances start more slowly than the ack deadline allows, so pushes that meet a cold service expire",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Over(cold_start.TOO_SLOW, lambda told: told.expired, 0),
        decisive=ALWAYS,
        effects=(delivered.DEADLINE,),
        overturned_by=(PushCounts, ReceiverCapacity, RequestLog),
        settled_by=("pubsub-diag cold-start --leg {leg}",),
        next=("pubsub-diag runbook show cold-start-exceeds-ack-deadline",),
    ),
)
