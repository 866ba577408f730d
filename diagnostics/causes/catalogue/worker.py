"""Receivers that answer, but not with an ack."""

from diagnostics.causes.model import BOTH, Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import BatchMarks, ItemMarks, PushCounts, Stage
from diagnostics.steps import dead_letter, delivered, peeked, processed, requested

_RARE = 9
"""So many got through for each that fails: had the receiver broken at some moment, it would hardly be before the very last of ten."""

CAUSES = (
    Cause(
        code="poison-retry-storm",
        family="worker",
        title="Messages that never succeed come back for ever",
        says="the same messages fail again and again and are redelivered without end",
        stage=Stage.PROCESSED,
        requires=any_of(
            Has(processed.REPEATS),
            Over(processed.FAIL, processed.rare, _RARE),
            Has(delivered.REDELIVERED),
            all_of(Has(processed.UNREADABLE), Has(delivered.OLD_BACKLOG)),
            Has(peeked.UNREADABLE),
            all_of(Has(peeked.STUCK), ok(delivered.ACKED)),
        ),
        decisive=any_of(Has(processed.REPEATS), Over(peeked.UNREADABLE, lambda told: told.tried, 0)),
        overturned_by=(
            BatchMarks,
            ItemMarks,
            PushCounts,
        ),
        effects=(
            dead_letter.TOPIC_MISSING,
            peeked.UNREADABLE,
            processed.UNREADABLE,
            processed.ERRORS,
        ),
        refutes=Has(processed.ALL_FAIL),
        settled_by=("pubsub-diag worker", "pubsub-diag probe run --peek 30"),
        next=("pubsub-diag runbook show poison-retry-storm",),
    ),
    Cause(
        code="every-item-fails",
        family="worker",
        title="Every item fails in the receiver",
        says="all {failed} items that came round failed and nothing was acked: the worker or what it calls is broken, not the messages",
        stage=Stage.PROCESSED,
        requires=all_of(Has(processed.ALL_FAIL), none_of(Has(processed.CRASHING))),
        # Of the few that a gate let through, all may be such as no worker can do.
        decisive=none_of(Over(processed.ALL_FAIL, lambda told: told.picked_from, 0)),
        overturned_by=(PushCounts,),
        effects=(
            dead_letter.TOPIC_MISSING,
            processed.REPEATS,
            processed.ERRORS,
        ),
        next=("pubsub-diag runbook show every-item-fails", "pubsub-diag changes --leg {leg}"),
    ),
    Cause(
        code="worker-crashing",
        family="worker",
        title="The receiver's containers crash",
        says="containers {how}, and Cloud Run itself answers what they had taken with an error",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Has(processed.CRASHING),
        decisive=none_of(ok(delivered.ACKED)),
        overturned_by=(PushCounts,),
        effects=(
            dead_letter.TOPIC_MISSING,
            requested.FAILED,
            processed.ALL_FAIL,
            processed.REPEATS,
            delivered.DEADLINE,
        ),
        next=("pubsub-diag runbook show worker-crashing", "pubsub-diag changes --leg {leg}"),
    ),
)
