"""Items that the coordinator never got onto the topic."""

from diagnostics.causes.model import Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import BatchMarks, Stage, StartCalls
from diagnostics.steps import published, requested
from diagnostics.steps.limits import addressing
from diagnostics.steps.published import topic

EFFECTS = (
    requested.TIMED_OUT,
    published.FEWER,
    published.CUT_SHORT,
)
"""What follows when items do not get onto the topic."""

CAUSES = (
    Cause(
        code="start-timed-out-before-publish",
        family="publish",
        title="The start call timed out before it published",
        says="the start call was cut off after it had created the batch and before it had published",
        stage=Stage.PUBLISHED,
        requires=all_of(
            Has(published.CUT_SHORT),
            none_of(Has(published.ERRORS), Has(published.GAVE_UP), Has(topic.REFUSED), Has(topic.DEFERRED)),
        ),
        decisive=Over(published.CUT_SHORT, lambda told: told.certain, 0),
        overturned_by=(
            BatchMarks,
            StartCalls,
        ),
        effects=EFFECTS,
        next=("pubsub-diag runbook show start-timed-out-before-publish",),
    ),
    Cause(
        code="publish-failing",
        family="publish",
        title="Publishing fails",
        says="Pub/Sub refuses what the coordinator publishes",
        over=ok(topic.BACK),
        said="Pub/Sub refused what the coordinator published, until its right to publish came back at {back}; what was refused does not "
        "come by itself",
        stage=Stage.PUBLISHED,
        requires=any_of(
            Has(published.ERRORS),
            Has(topic.REFUSED),
            Has(topic.MISSING),
            all_of(any_of(Has(published.GAVE_UP), Has(topic.DEFERRED)), none_of(Has(topic.QUOTA))),
            Has(topic.TAKEN),
            Has(topic.DENIED),
        ),
        decisive=any_of(Over(published.ERRORS, lambda told: told.answered, 0), Has(topic.REFUSED), Has(topic.MISSING)),
        effects=EFFECTS,
        settled_by=("pubsub-diag published",),
        next=("pubsub-diag runbook show publish-failing", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="published-elsewhere",
        family="publish",
        title="Published to another topic",
        says="what the coordinator publishes does not arrive on the pipeline's topic",
        stage=Stage.PUBLISHED,
        requires=any_of(Has(topic.ELSEWHERE), Has(addressing.TOPIC_IN_FORCE)),
        effects=(topic.ELSEWHERE, addressing.TOPIC_IN_FORCE),
        settled_by=("pubsub-diag changes --leg completion",),
        next=("pubsub-diag changes --leg completion", "pubsub-diag runbook show published-elsewhere"),
    ),
)
