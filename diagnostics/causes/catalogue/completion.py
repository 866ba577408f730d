"""Work that is done and of which the coordinator never hears."""

from diagnostics.causes.model import ALWAYS, Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import (
    AckCounts,
    Backlog,
    BatchMarks,
    DeadLetterCounts,
    ItemMarks,
    Leg,
    PublishCounts,
    PushCounts,
    Revisions,
    ServiceConfig,
    Stage,
)
from diagnostics.steps import recorded
from diagnostics.steps.finding import Status
from diagnostics.steps.limits import addressing
from diagnostics.steps.processed import acked, error_answers
from diagnostics.steps.returned import asks, never_sent, refused, right

_LOST = (refused.ERRORS, never_sent.NONE_PUBLISHED, never_sent.MISSING)
"""What becomes of completions that Pub/Sub does not take, or that go to where nobody looks for them."""
_NAME_LOST = all_of(Has(addressing.TOPIC_IN_FORCE), Over(refused.TOPIC_MISSING, refused.unnamed, 0))
"""The revision that serves has another topic set, or none, and Pub/Sub knows no topic of the name that it gets."""

_UNRECORDED = Has(recorded.RECORD_ERRORS)
_EARLY = Over(recorded.RECORD_ERRORS, lambda told: told.early, 0)
_CONTENDED = Over(recorded.RECORD_ERRORS, recorded.mostly_contended, 0)
_ABSENT = Over(recorded.RECORD_ERRORS, recorded.mostly_absent, 0)
_PUT_ASIDE = (
    BatchMarks,
    DeadLetterCounts,
    (PublishCounts, Leg.COMPLETION),
    (PushCounts, Leg.COMPLETION),
    (AckCounts, Leg.COMPLETION),
    (Backlog, Leg.COMPLETION),
)
"""Where what could not be recorded was dead-lettered or taken away, the refusals are past: nothing is pushed any more."""
_OF_THE_RECORD = (recorded.BEHIND, error_answers.ERRORS)
_A_FEW = 2
"""Completions of one container that are lost may be chance; three are not."""

CAUSES = (
    Cause(
        code="completion-topic-missing",
        family="completion",
        title="Completions go to a topic that does not exist",
        says="the worker publishes completions to a topic that does not exist, so none comes back; no line tells which topic that is",
        over=ok(addressing.TOPIC_NAME_BACK),
        said="the worker published completions to a topic that did not exist, until it had the right name again at {back}; what was lost "
        "does not come by itself",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=all_of(Over(refused.TOPIC_MISSING, refused.unnamed, 0), none_of(Has(addressing.TOPIC_IN_FORCE))),
        decisive=ALWAYS,
        # Which topic it is, the worker's environment tells.
        overturned_by=((Revisions, Leg.REQUEST), (ServiceConfig, Leg.REQUEST)),
        effects=_LOST,
        elsewhere=(error_answers.UNREPORTED,),
        settled_by=("pubsub-diag changes --leg request",),
        next=("pubsub-diag runbook show completion-topic-missing", "pubsub-diag changes --leg request"),
    ),
    Cause(
        code="completion-topic-deleted",
        refines="completion-topic-missing",
        family="completion",
        title="The completion topic is gone",
        says="the completion topic does not exist, so what the worker publishes to it is lost and none comes back",
        over=ok(refused.TOPIC_BACK),
        said="the completion topic did not exist until {gone}; it exists now, and what was lost meanwhile does not come by itself",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=Over(refused.TOPIC_MISSING, lambda told: told.own, 0),
        decisive=ALWAYS,
        effects=_LOST,
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show completion-topic-deleted",),
    ),
    Cause(
        code="completion-topic-misnamed",
        refines="completion-topic-missing",
        family="completion",
        title="The worker publishes completions to another topic",
        says="the worker publishes completions to a topic that is not the pipeline's, so none comes back",
        over=ok(addressing.TOPIC_NAME_BACK),
        said="the worker published completions to a topic that is not the pipeline's, until it had the right name again at {back}; what "
        "was lost does not come by itself",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=any_of(
            Over(refused.TOPIC_MISSING, lambda told: told.other, 0),
            Has(addressing.TOPIC_IN_FORCE),
            Has(addressing.TOPIC_UNTRIED),
            _NAME_LOST,
        ),
        decisive=any_of(Over(refused.TOPIC_MISSING, lambda told: told.other, 0), _NAME_LOST),
        effects=(*_LOST, addressing.TOPIC_IN_FORCE),
        elsewhere=(error_answers.UNREPORTED,),
        settled_by=("pubsub-diag changes --leg request",),
        next=("pubsub-diag runbook show completion-topic-misnamed", "pubsub-diag changes --leg request"),
    ),
    Cause(
        code="completion-publisher-role-missing",
        family="completion",
        title="The worker may not publish completions",
        says="the worker's account has no right to publish to the completion topic: Pub/Sub refuses what it reports",
        over=ok(right.BACK),
        said="Pub/Sub refused what the worker reported, until its right to publish came back at {back}; what was refused does not come by "
        "itself",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=any_of(
            Over(refused.ERRORS, lambda told: told.denied, 0), Has(right.DENIED), Has(right.TAKEN), Has(right.LACKING)
        ),
        decisive=Over(refused.ERRORS, lambda told: told.counted, 0),
        # To a topic that is another one's it may not publish, either, and need not.
        refutes=any_of(
            all_of(Has(addressing.TOPIC_IN_FORCE), none_of(Over(refused.ERRORS, lambda told: told.counted, 0))),
            ok(right.HELD),
        ),
        settled_by=("pubsub-diag changes --leg request",),
        # Of the worker's lines those that say so are its doing, and no others.
        effects=(never_sent.NONE_PUBLISHED, never_sent.MISSING),
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show completion-publisher-role-missing", "pubsub-diag changes --leg request"),
    ),
    Cause(
        code="completion-publish-failing",
        family="completion",
        title="Pub/Sub does not take what the worker reports",
        says="the worker cannot publish what it reports: {reason}",
        over=ok(asks.ASKS_NO_MORE),
        said="the worker could not publish what it reported until {last}, because of a setting that its topic no longer has; what was lost "
        "does not come by itself: {reason}",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=any_of(Over(refused.ERRORS, lambda told: told.otherwise, 0), Has(asks.ASKS)),
        # A line alone is the program's word; that it was refused, the topic's counter tells, or the topic itself.
        decisive=any_of(Over(refused.ERRORS, lambda told: told.rejected, 0), Has(asks.ASKS, (Status.FAULT,))),
        overturned_by=(PublishCounts,),
        effects=(never_sent.NONE_PUBLISHED, never_sent.MISSING),
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show completion-publish-failing", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="completions-not-awaited",
        family="completion",
        title="Completions are published and not waited for",
        says="{unskipped} finished and acked, no completion of it was ever published, and no line tells of an error: the worker probably "
        "answers before its publish has left",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        # To a topic that is not there they may be published without a word; where others have a line that says so, these would, too.
        requires=any_of(
            all_of(
                Over(never_sent.MISSING, lambda told: told.unskipped, 0),
                none_of(Has(refused.TOPIC_MISSING), Has(addressing.TOPIC_IN_FORCE)),
            ),
            Has(never_sent.SILENT),
        ),
        settled_by=("pubsub-diag runbook show completions-not-awaited",),
        next=("pubsub-diag runbook show completions-not-awaited",),
    ),
    Cause(
        code="skip-acked-without-completion",
        family="completion",
        title="Skipped items are acked and never reported",
        says="the worker gave up {skipped} items, acked them and published no completion, so the batch waits for them for ever",
        stage=Stage.RETURNED,
        legs=(Leg.COMPLETION,),
        requires=Over(never_sent.MISSING, lambda told: told.skipped, 0),
        decisive=none_of(Over(never_sent.MISSING, lambda told: told.unskipped, 0)),
        elsewhere=(acked.SKIPPED,),
        next=("pubsub-diag runbook show skip-acked-without-completion", "pubsub-diag batch {batch} --items"),
    ),
    Cause(
        code="completions-not-recorded",
        family="completion",
        title="Completions come back and cannot be recorded",
        says="the coordinator fails to record completions and has them pushed again: {reason}",
        stage=Stage.RECORDED,
        legs=(Leg.COMPLETION,),
        requires=all_of(_UNRECORDED, none_of(_CONTENDED, _ABSENT)),
        decisive=none_of(_EARLY),
        overturned_by=_PUT_ASIDE,
        effects=_OF_THE_RECORD,
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show completions-not-recorded", "pubsub-diag worker --leg completion"),
    ),
    Cause(
        code="completion-contention",
        refines="completions-not-recorded",
        family="completion",
        title="Too many completions write one record at once",
        says="the coordinator fails to record completions, since others write the same record at that moment: {reason}",
        stage=Stage.RECORDED,
        legs=(Leg.COMPLETION,),
        requires=all_of(_UNRECORDED, _CONTENDED),
        decisive=none_of(_EARLY),
        overturned_by=_PUT_ASIDE,
        effects=_OF_THE_RECORD,
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show completion-contention",),
    ),
    Cause(
        code="batch-record-gone",
        refines="completions-not-recorded",
        family="completion",
        title="The batch's record is not there",
        says="the coordinator fails to record completions of a batch that its store does not have: {reason}",
        stage=Stage.RECORDED,
        legs=(Leg.COMPLETION,),
        requires=all_of(_UNRECORDED, _ABSENT),
        decisive=ALWAYS,
        overturned_by=_PUT_ASIDE,
        effects=_OF_THE_RECORD,
        elsewhere=(error_answers.UNREPORTED,),
        next=("pubsub-diag runbook show batch-record-gone",),
    ),
    Cause(
        code="batch-forgotten-at-restart",
        family="completion",
        title="The batch is known to one container alone",
        says="the coordinator holds the batch in a container's memory: {elsewhere} completions came to another one, which does not know "
        "the batch and acked them",
        stage=Stage.RECORDED,
        legs=(Leg.COMPLETION,),
        requires=Over(recorded.BEHIND, lambda told: told.elsewhere, 0),
        decisive=Over(recorded.BEHIND, lambda told: told.elsewhere, _A_FEW),
        overturned_by=(ItemMarks, BatchMarks),
        next=("pubsub-diag runbook show batch-forgotten-at-restart", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="completions-acked-uncounted",
        family="completion",
        title="Completions are acked and not counted",
        says="the coordinator took {uncounted} completions and acked them without a line of an error, and its batch state does not count "
        "them: it probably swallows a write that fails",
        stage=Stage.RECORDED,
        legs=(Leg.COMPLETION,),
        requires=all_of(
            Over(recorded.BEHIND, lambda told: told.uncounted if not told.elsewhere else 0, 0),
            none_of(Has(recorded.RECORD_ERRORS)),
        ),
        settled_by=("pubsub-diag changes --leg completion",),
        next=("pubsub-diag runbook show completions-acked-uncounted",),
    ),
)
