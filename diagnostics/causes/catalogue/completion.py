"""Work that is done and of which the coordinator never hears."""

from diagnostics.causes.model import ALWAYS, Cause, Has, Over, any_of, none_of
from diagnostics.evidence.model import BatchMarks, DeadLetterCounts, Leg, Stage
from diagnostics.steps import recorded, returned
from diagnostics.steps.finding import Status
from diagnostics.steps.limits import addressing
from diagnostics.steps.processed import acked, error_answers

CAUSES = (
    Cause(
        code="completion-topic-missing",
        family="completion",
        title="Completions go to a topic that leads nowhere",
        says="the worker publishes completions to a topic that does not exist or is not the pipeline's, so none comes back",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=any_of(Has(returned.TOPIC_MISSING), Has(addressing.TOPIC_IN_FORCE)),
        decisive=Has(returned.TOPIC_MISSING),
        effects=(returned.ERRORS, returned.NONE_PUBLISHED, returned.MISSING),
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show completion-topic-missing", "pubsub-diag changes --leg request"),
    ),
    Cause(
        code="skip-acked-without-completion",
        family="completion",
        title="Skipped items are acked and never reported",
        says="the worker gave {skipped} items up, acked them and published no completion, so the batch waits for them for ever",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=Over(returned.MISSING, lambda told: told.skipped, 0),
        decisive=none_of(Over(returned.MISSING, lambda told: told.unskipped, 0)),
        elsewhere=(acked.SKIPPED,),
        next=("pubsub-diag runbook show skip-acked-without-completion", "pubsub-diag batch {batch} --items"),
    ),
    Cause(
        code="completions-not-recorded",
        family="completion",
        title="Completions come back and cannot be recorded",
        says="the coordinator takes completions, fails to record them and has them pushed again: {reason}",
        stage=Stage.RECORDED,
        legs=(Leg.COMPLETION,),
        requires=Has(recorded.RECORD_ERRORS, (Status.FAULT,)),
        decisive=ALWAYS,
        # Where what could not be recorded was dead-lettered, the refusals are past: attempts are used up, and nothing fails any more.
        overturned_by=(BatchMarks, DeadLetterCounts),
        effects=(recorded.BEHIND, error_answers.ERRORS),
        next=("pubsub-diag runbook show completions-not-recorded", "pubsub-diag worker --leg completion"),
    ),
)
