"""What looks like a stall and is none."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, all_of, any_of, none_of, ok
from diagnostics.evidence.model import PushCounts, RequestLog, Stage, SubscriptionConfig
from diagnostics.steps import created, delivered, push_auth
from diagnostics.steps import progress as p
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Status

_OWN = (push_auth.REFUSED, push_auth.FORBIDDEN)
CAUSES = (
    Cause(
        code="foreign-refusals",
        family="artefact",
        title="Refusals in the log that are no pushes of this subscription",
        says="other callers were refused with 401 or 403; those entries are no pushes of this subscription",
        stage=Stage.DELIVERED,
        legs=BOTH,
        # Where pushes of this subscription were refused alike, whenever that was, those are what the reader of the log meets.
        requires=all_of(ok(push_auth.FOREIGN), none_of(*(Has(x, tuple(Status)) for x in _OWN))),
        decisive=any_of(ok(push_auth.PROVEN), ok(push_answers.ACKED), ok(delivered.OURS)),
        overturned_by=(
            PushCounts,
            RequestLog,
            SubscriptionConfig,
        ),
        benign=True,
    ),
    Cause(
        code="still-running",
        family="artefact",
        title="The batch is still running",
        says="items got further within the time that one item may take",
        stage=Stage.PROCESSED,
        requires=ok(p.PROGRESSING),
        decisive=ALWAYS,
        benign=True,
        hopeful=True,
    ),
    Cause(
        code="too-early",
        family="artefact",
        title="It is too early to judge",
        says="too little time has passed to judge",
        stage=Stage.PROCESSED,
        requires=any_of(ok(p.TOO_EARLY), ok(created.LOADING)),
        decisive=any_of(ok(p.TOO_EARLY), ok(created.LOADING)),
        benign=True,
        hopeful=True,
    ),
)
