"""Quotas of Google Cloud that are used up."""

from diagnostics.causes.catalogue.publish import EFFECTS
from diagnostics.causes.model import ALWAYS, Cause, Has
from diagnostics.evidence.model import Stage
from diagnostics.steps import published
from diagnostics.steps.published import topic

CAUSES = (
    Cause(
        code="publish-quota-exceeded",
        family="quota",
        title="A publish quota was exceeded",
        says="publish requests were refused because a Pub/Sub quota was used up",
        stage=Stage.PUBLISHED,
        requires=Has(topic.QUOTA),
        decisive=ALWAYS,
        effects=(published.GAVE_UP, topic.DEFERRED, *EFFECTS),
        next=("pubsub-diag runbook show publish-quota-exceeded",),
    ),
)
