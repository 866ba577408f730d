"""Receivers that answer, but not with an ack."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import BatchMarks, ItemMarks, PushCounts, Revisions, ServiceConfig, Stage
from diagnostics.steps import dead_letter, delivered, peeked, processed, requested

_RARE = 9
"""So many got through for each that fails: had the receiver broken at some moment, it would hardly be before the very last of ten."""

_OF_DEATHS = (
    dead_letter.TOPIC_MISSING,
    requested.FAILED,
    processed.ALL_FAIL,
    processed.REPEATS,
    delivered.DEADLINE,
)
"""What containers that go away do to messages and calls, whatever they die of."""

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
        requires=Over(processed.CRASHING, lambda told: told.other, 0),
        decisive=all_of(Over(processed.CRASHING, lambda told: told.explained, 0), none_of(ok(delivered.ACKED))),
        overturned_by=(PushCounts, Revisions, ServiceConfig),  # these tell whether a variable was lost
        effects=_OF_DEATHS,
        next=("pubsub-diag runbook show worker-crashing", "pubsub-diag changes --leg {leg}"),
    ),
    Cause(
        code="environment-lost-in-deploy",
        family="worker",
        title="A deploy lost a variable that the program needs",
        says="containers exit over {variable}, which {before} had and {revision} has not, or has otherwise",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Over(processed.CRASHING, lambda told: told.lacking, 0),
        decisive=none_of(ok(delivered.ACKED)),
        overturned_by=(PushCounts,),
        effects=_OF_DEATHS,
        next=("pubsub-diag runbook show environment-lost-in-deploy", "pubsub-diag changes --leg {leg}"),
    ),
    Cause(
        code="out-of-memory",
        family="worker",
        title="The receiver's containers run out of memory",
        says="Cloud Run kills containers that use more memory than they may, together with all that they had taken",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Over(processed.CRASHING, lambda told: told.memory, 0),
        decisive=ALWAYS,
        overturned_by=(PushCounts,),
        effects=_OF_DEATHS,
        next=("pubsub-diag runbook show out-of-memory",),
    ),
    Cause(
        code="server-timeout-kills-work",
        family="worker",
        title="The receiver's own server kills what takes too long",
        says="the server that runs the program kills whatever takes longer than its own time limit, and Cloud Run answers with an error",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Over(processed.CRASHING, lambda told: told.hung, 0),
        decisive=ALWAYS,
        overturned_by=(PushCounts,),
        effects=_OF_DEATHS,
        next=("pubsub-diag runbook show server-timeout-kills-work",),
    ),
    Cause(
        code="liveness-probe-kills",
        family="worker",
        title="A liveness probe shuts working containers down",
        says="Cloud Run shuts containers down because their liveness probe fails, together with all that they had taken",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Over(processed.CRASHING, lambda told: told.unhealthy, 0),
        decisive=ALWAYS,
        overturned_by=(PushCounts,),
        effects=_OF_DEATHS,
        next=("pubsub-diag runbook show liveness-probe-kills",),
    ),
)
