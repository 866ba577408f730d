"""Work that is done and of which the coordinator never hears."""

from diagnostics.causes.model import Cause, Has, all_of, any_of
from diagnostics.evidence.model import Leg, Stage
from diagnostics.steps import returned

CAUSES = (
    Cause(
        code="completion-topic-missing",
        family="completion",
        title="Completions go to a topic that does not exist",
        says="the worker publishes completions to a topic that does not exist, acks the work and loses the completion",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=Has(returned.TOPIC_MISSING),
        decisive=all_of(Has(returned.TOPIC_MISSING), any_of(Has(returned.ERRORS), Has(returned.NONE_PUBLISHED))),
        explains=(returned.ERRORS, returned.NONE_PUBLISHED, returned.MISSING),
        next=("pubsub-diag runbook show completion-topic-missing", "pubsub-diag changes --leg request"),
    ),
)
