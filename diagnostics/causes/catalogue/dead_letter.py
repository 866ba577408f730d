"""Dead letters that do not go where they should."""

from diagnostics.causes.model import BOTH, Cause, Has, NothingHolds, all_of, any_of
from diagnostics.evidence.model import (
    Backlog,
    DeadLetterTopicPolicy,
    ItemMarks,
    PlatformLines,
    ProjectPolicy,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    ServiceConfig,
    ServicePolicy,
    Stage,
    SubscriptionConfig,
    SubscriptionPolicy,
)
from diagnostics.steps import dead_letter
from diagnostics.steps.delivered import given_up
from diagnostics.steps.finding import Bears, Status
from diagnostics.steps.processed import failing_items

CAUSES = (
    Cause(
        code="dead-letter-grants-missing",
        family="dead_letter",
        title="Dead-lettering is set up and cannot work",
        says="Google's Pub/Sub agent lacks a grant, so delivery attempts are not counted and bad messages never leave",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=any_of(
            Has(dead_letter.GRANTS), all_of(Has(dead_letter.UNBOUND), Has(dead_letter.UNSEEN, (Status.UNKNOWN,)))
        ),
        decisive=Has(dead_letter.GRANTS),
        effects=(failing_items.REPEATS,),
        overturned_by=(DeadLetterTopicPolicy, SubscriptionPolicy, ProjectPolicy),
        never_blocks=True,
        next=("pubsub-diag runbook show dead-letter-grants-missing",),
    ),
    Cause(
        code="attempts-used-up",
        family="dead_letter",
        title="Delivery attempts used up, the batch waits for dead letters",
        says="{dead_lettered} of {of} used up their delivery attempts and lie in the dead-letter topic; nothing brings them back by itself",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(given_up.DEAD_LETTERED, (Status.FAULT,), (Bears.HOLDS,)),
        decisive=NothingHolds(frozenset({Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED, Stage.RECORDED})),
        overturned_by=(
            Backlog,
            ItemMarks,
            PlatformLines,
            PushCounts,
            ReceiverCapacity,
            RequestLog,
            ServiceConfig,
            ServicePolicy,
            SubscriptionConfig,
        ),
        settled_by=("pubsub-diag delivery --leg {leg}",),
        next=("pubsub-diag runbook show attempts-used-up", "pubsub-diag batch {batch} --items --missing"),
    ),
)
