"""Messages that reach no subscription, or leave it for somewhere else."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, all_of, any_of
from diagnostics.evidence.model import AckCounts, Backlog, Stage
from diagnostics.steps import routed
from diagnostics.steps.finding import Status

CAUSES = (
    Cause(
        code="no-subscription-on-topic",
        family="routing",
        title="No subscription takes the topic's messages to the service",
        says="the topic has no subscription that pushes to the service, so what is published is lost",
        stage=Stage.ROUTED,
        legs=BOTH,
        requires=all_of(Has(routed.SUBSCRIPTION_MISSING), Has(routed.NO_SUBSCRIPTION)),
        decisive=ALWAYS,
        effects=(routed.EXPIRED,),
        next=(
            "pubsub-diag runbook show no-subscription-on-topic",
            "pubsub-diag batch {batch} --items --missing -o json",
        ),
    ),
    Cause(
        code="subscription-not-attached",
        family="routing",
        title="The subscription is no longer attached to the topic",
        says="the subscription is there but attached to no topic, so what is published is lost",
        stage=Stage.ROUTED,
        legs=BOTH,
        requires=any_of(Has(routed.DETACHED), Has(routed.ORPHAN)),
        decisive=ALWAYS,
        next=("pubsub-diag runbook show subscription-not-attached",),
    ),
    Cause(
        code="filter-drops-messages",
        family="routing",
        title="The subscription's filter drops messages",
        says="the subscription's filter acknowledges messages of the pipeline without pushing them",
        stage=Stage.ROUTED,
        legs=BOTH,
        requires=Has(routed.FILTERED),
        decisive=ALWAYS,
        overturned_by=(
            Backlog,
            AckCounts,
        ),
        next=("pubsub-diag runbook show filter-drops-messages",),
    ),
    Cause(
        code="push-endpoint-wrong",
        family="routing",
        title="The push endpoint is not the service's",
        says="the push endpoint is not where the service takes its messages",
        stage=Stage.ROUTED,
        legs=BOTH,
        requires=Has(routed.ENDPOINT),
        decisive=Has(routed.ENDPOINT, (Status.FAULT,)),
        next=("pubsub-diag runbook show push-endpoint-wrong", "pubsub-diag changes --leg {leg}"),
    ),
)
