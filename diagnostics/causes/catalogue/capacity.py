"""Services that are there too late, or not in sufficient number."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import DeadLetterCounts, PushCounts, ReceiverCapacity, RequestLog, ServiceConfig, Stage
from diagnostics.steps import cold_start
from diagnostics.steps.cold_start import instances
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Bears

CAUSES = (
    Cause(
        code="max-instances-saturated",
        family="capacity",
        title="All instances are busy",
        says="the service runs at its maximum of instances and turns away the pushes that it has no room for",
        over=Over(instances.SATURATED, lambda told: not told.recent, 0),
        said="the service ran at its maximum of instances and turned pushes away until {last}; what went to the dead-letter topic because "
        "of it does not come back by itself",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(instances.SATURATED),
        # That work drains more slowly than it comes, items show that met it: of what is not the batch's nobody knows what is owed.
        # Of refusals that are past it also has to be known that instances ran: where none is counted, it may have been none at all.
        decisive=all_of(
            Has(instances.SATURATED, bears=(Bears.HOLDS, Bears.SLOWS)),
            Over(instances.SATURATED, instances.at_the_maximum, 0),
        ),
        effects=(instances.CANNOT_SCALE,),
        overturned_by=(ReceiverCapacity,),
        next=("pubsub-diag runbook show max-instances-saturated",),
    ),
    Cause(
        code="capacity-blip-drained",
        family="capacity",
        title="A capacity blip that drained by itself",
        says="pushes were turned away for lack of instances and went through on redelivery",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=all_of(ok(instances.DRAINED), any_of(ok(push_answers.ACKED), ok(push_answers.RECOVERED))),
        decisive=ALWAYS,
        overturned_by=(
            DeadLetterCounts,
            PushCounts,
            RequestLog,
        ),
        benign=True,
    ),
    Cause(
        code="cannot-scale-fast-enough",
        family="capacity",
        title="Cloud Run cannot start instances fast enough",
        says="Cloud Run turns pushes away below the maximum of instances, since new ones start more slowly than pushes come",
        stage=Stage.DELIVERED,
        legs=BOTH,
        # At the maximum more would not be started, however fast.
        requires=all_of(Has(instances.CANNOT_SCALE), none_of(Has(instances.SATURATED))),
        decisive=Has(instances.CANNOT_SCALE, bears=(Bears.HOLDS, Bears.SLOWS)),
        overturned_by=(RequestLog,),
        next=("pubsub-diag runbook show cannot-scale-fast-enough", "pubsub-diag cold-start --leg {leg}"),
    ),
    Cause(
        code="scaled-to-zero-by-hand",
        family="capacity",
        title="The service is scaled to zero by hand",
        says="the service is in manual scaling with no instance, so nobody is there to take the pushes",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(cold_start.SWITCHED_OFF),
        decisive=ALWAYS,
        overturned_by=(ServiceConfig,),
        next=("pubsub-diag runbook show scaled-to-zero-by-hand", "pubsub-diag changes --leg {leg}"),
    ),
)
