"""Messages that reach no subscription."""

from diagnostics.causes.model import BOTH, Cause, Has, all_of
from diagnostics.evidence.model import Stage
from diagnostics.steps import routed

CAUSES = (
    Cause(
        code="no-subscription-on-topic",
        family="routing",
        title="No subscription takes the topic's messages to the service",
        says="the topic has no subscription that pushes to the service, so what is published is lost",
        stage=Stage.ROUTED,
        legs=BOTH,
        requires=all_of(Has(routed.NO_SUBSCRIPTION), Has(routed.SUBSCRIPTION_MISSING)),
        decisive=all_of(Has(routed.NO_SUBSCRIPTION), Has(routed.SUBSCRIPTION_MISSING)),
        explains=(routed.EXPIRED,),
        next=(
            "pubsub-diag runbook show no-subscription-on-topic",
            "pubsub-diag batch {batch} --items --missing -o json",
        ),
    ),
)
