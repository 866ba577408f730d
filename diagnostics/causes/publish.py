"""Items that the coordinator never got onto the topic."""

from diagnostics.causes.model import Cause, Has, all_of, any_of, none_of
from diagnostics.evidence.model import Stage
from diagnostics.steps import published, requested

CAUSES = (
    Cause(
        code="start-timed-out-before-publish",
        family="publish",
        title="The start call timed out before it published",
        says="the start call was cut off after it had created the batch and before it had published",
        stage=Stage.PUBLISHED,
        requires=all_of(Has(published.CUT_SHORT), none_of(Has(published.ERRORS), Has(published.REFUSED))),
        decisive=all_of(Has(published.CUT_SHORT), Has(requested.TIMED_OUT), none_of(Has(published.ERRORS))),
        explains=(requested.TIMED_OUT,),
        next=("pubsub-diag runbook show start-timed-out-before-publish",),
    ),
    Cause(
        code="publish-failing",
        family="publish",
        title="Publishing fails",
        says="Pub/Sub refuses what the coordinator publishes",
        stage=Stage.PUBLISHED,
        requires=all_of(
            any_of(Has(published.ERRORS), Has(published.REFUSED), Has(published.TOPIC_MISSING)),
            none_of(Has(published.QUOTA)),
        ),
        decisive=all_of(
            any_of(Has(published.REFUSED), Has(published.TOPIC_MISSING)),
            any_of(Has(published.ERRORS), Has(published.CUT_SHORT)),
            none_of(Has(published.QUOTA)),
        ),
        explains=(published.FEWER, published.CUT_SHORT, requested.TIMED_OUT),
        settled_by=("pubsub-diag published",),
        next=("pubsub-diag published", "pubsub-diag runbook show publish-failing"),
    ),
    Cause(
        code="publish-quota-exceeded",
        family="quota",
        title="A publish quota was exceeded",
        says="publish requests were refused because a Pub/Sub quota was used up",
        stage=Stage.PUBLISHED,
        requires=Has(published.QUOTA),
        decisive=Has(published.QUOTA),
        explains=(published.ERRORS, published.REFUSED, published.FEWER, published.CUT_SHORT, requested.TIMED_OUT),
        next=("pubsub-diag runbook show publish-quota-exceeded",),
    ),
)
