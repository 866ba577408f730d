"""Quotas of Google Cloud that are used up."""

from diagnostics.causes.catalogue.publish import EFFECTS
from diagnostics.causes.model import BOTH, Cause, Has, Over, any_of
from diagnostics.evidence.model import Stage
from diagnostics.steps import published
from diagnostics.steps.processed import error_answers
from diagnostics.steps.published import topic
from diagnostics.steps.returned import never_sent, refused

CAUSES = (
    Cause(
        code="publish-quota-exceeded",
        family="quota",
        title="A publish quota was exceeded",
        says="publish requests were refused because a Pub/Sub quota was used up",
        stage=Stage.PUBLISHED,
        legs=BOTH,
        requires=any_of(Has(topic.QUOTA), Over(refused.ERRORS, lambda told: told.limited, 0)),
        # A worker's line alone is the program's word; that it was refused, the topic's own counter tells.
        decisive=any_of(Has(topic.QUOTA), Over(refused.ERRORS, lambda told: told.put_off, 0)),
        effects=(published.GAVE_UP, topic.DEFERRED, *EFFECTS, never_sent.NONE_PUBLISHED, never_sent.MISSING),
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show publish-quota-exceeded",),
    ),
)
