"""Work that does not fit into the ack deadline, or into what Cloud Run gives a request."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, Over
from diagnostics.evidence.model import PushCounts, ReceiverCapacity, RequestLog, Stage
from diagnostics.readings.pace import LONGEST_DEADLINE_S
from diagnostics.steps.cold_start import startup
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.processed import duration

# What has ended took so long; what is still at work may as well hang.
_ENDED = Over(duration.TOO_LONG, lambda told: told.over, 0)

CAUSES = (
    Cause(
        code="cold-start-exceeds-ack-deadline",
        family="deadline",
        title="A cold start takes longer than the ack deadline",
        says="instances start more slowly than the ack deadline allows, so pushes that meet a cold service expire",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Over(startup.TOO_SLOW, lambda told: told.expired, 0),
        decisive=ALWAYS,
        effects=(push_answers.DEADLINE,),
        overturned_by=(PushCounts, ReceiverCapacity, RequestLog),
        settled_by=("pubsub-diag cold-start --leg {leg}",),
        next=("pubsub-diag runbook show cold-start-exceeds-ack-deadline",),
    ),
    Cause(
        code="work-longer-than-ack-deadline",
        family="deadline",
        title="Work takes longer than the ack deadline",
        says="the receiver works for {work_s} s on a message and the subscription waits {deadline_s} s, so pushes expire while it works",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Over(duration.TOO_LONG, lambda told: LONGEST_DEADLINE_S - told.work_s, 0),
        decisive=_ENDED,
        effects=(push_answers.DEADLINE,),
        overturned_by=(PushCounts, ReceiverCapacity, RequestLog),
        settled_by=("pubsub-diag worker",),
        next=("pubsub-diag runbook show work-longer-than-ack-deadline",),
    ),
    Cause(
        code="work-longer-than-any-deadline",
        family="deadline",
        title="Work takes longer than any ack deadline",
        says="the receiver works for {work_s} s on a message, and no subscription waits longer than 600 s for a push",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Over(duration.TOO_LONG, lambda told: told.work_s, LONGEST_DEADLINE_S),
        decisive=_ENDED,
        effects=(push_answers.DEADLINE,),
        overturned_by=(PushCounts, ReceiverCapacity, RequestLog),
        settled_by=("pubsub-diag worker",),
        next=("pubsub-diag runbook show work-longer-than-any-deadline",),
    ),
    Cause(
        code="request-timeout-cuts-work",
        family="deadline",
        title="Cloud Run cuts requests off at the request timeout",
        says="work takes longer than a request may last, and Cloud Run ends it with 504 after {timeout_s} s",
        stage=Stage.PROCESSED,
        legs=BOTH,
        requires=Has(duration.TIMED_OUT),
        decisive=ALWAYS,
        effects=(push_answers.DEADLINE,),
        overturned_by=(PushCounts, RequestLog),
        next=("pubsub-diag runbook show request-timeout-cuts-work",),
    ),
)
