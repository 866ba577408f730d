"""Dead letters that do not go where they should."""

from diagnostics.causes.model import ALWAYS, BOTH, Cause, Has, NothingHolds, Over, all_of, any_of, none_of
from diagnostics.evidence.model import (
    Backlog,
    BatchMarks,
    DeadLetterTopicPolicy,
    ItemMarks,
    PlatformLines,
    ProjectPolicy,
    PublishCounts,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    ServiceConfig,
    ServicePolicy,
    Stage,
    SubscriptionConfig,
    SubscriptionPolicy,
)
from diagnostics.steps import dead_letter, recorded
from diagnostics.steps.delivered import given_up, push_answers, what_waits
from diagnostics.steps.finding import Bears, Status
from diagnostics.steps.processed import failing_items

_HELD = Has(given_up.DEAD_LETTERED, (Status.FAULT,), (Bears.HOLDS,))
"""Dead letters that the batch waits for."""
_THEIRS = Over(dead_letter.SPENT, lambda told: told.theirs, 0)
_OUTAGE = Over(dead_letter.SPENT, lambda told: told.outage, 0)
_DOOR = Over(dead_letter.SPENT, lambda told: told.door, 0)
_PUSHES_FAIL = all_of(Has(push_answers.FAILING, bears=(Bears.HOLDS,)), Has(what_waits.HELD_BACK))
"""Of what waits. Why need not be seen: some commands look at less than all."""
_NOTHING_FAILS = all_of(
    NothingHolds(frozenset({Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED, Stage.RECORDED}), but=(recorded.BEHIND,)),
    none_of(_PUSHES_FAIL),
)
_FAILING = (
    Backlog,
    BatchMarks,
    ItemMarks,
    PlatformLines,
    PublishCounts,
    PushCounts,
    ReceiverCapacity,
    RequestLog,
    ServiceConfig,
    ServicePolicy,
    SubscriptionConfig,
)
"""What would show that something still fails."""
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
        code="dead-letter-topic-missing",
        family="dead_letter",
        title="The dead-letter topic is gone",
        says="the dead-letter topic that the subscription names does not exist, so messages that keep failing never leave",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(dead_letter.TOPIC_MISSING),
        decisive=ALWAYS,
        never_blocks=True,
        next=("pubsub-diag runbook show dead-letter-topic-missing",),
    ),
    Cause(
        code="dead-letters-unread",
        family="dead_letter",
        title="Nothing keeps the dead letters",
        says="the dead-letter topic has no subscription, so what is dead-lettered is lost at once",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=Has(dead_letter.NO_READER),
        decisive=ALWAYS,
        never_blocks=True,
        next=("pubsub-diag runbook show dead-letters-unread",),
    ),
    Cause(
        code="attempts-used-up",
        family="dead_letter",
        title="Delivery attempts used up, the batch waits for dead letters",
        says="{dead_lettered} of {of} used up their delivery attempts and lie in the dead-letter topic; nothing brings them back by itself",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=all_of(_HELD, none_of(_THEIRS, _OUTAGE, _DOOR)),
        decisive=_NOTHING_FAILS,
        overturned_by=_FAILING,
        settled_by=("pubsub-diag delivery --leg {leg}",),
        next=("pubsub-diag runbook show attempts-used-up", "pubsub-diag batch {batch} --items --missing"),
    ),
    Cause(
        code="failed-items-awaited",
        refines="attempts-used-up",
        family="dead_letter",
        title="The batch waits for items that fail for reasons of their own",
        says="{theirs} of {of} used up their delivery attempts while {through} others got through; sent again as they are, they "
        "fail again",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=all_of(_HELD, _THEIRS),
        decisive=_NOTHING_FAILS,
        overturned_by=_FAILING,
        settled_by=("pubsub-diag delivery --leg {leg}",),
        next=("pubsub-diag runbook show failed-items-awaited", "pubsub-diag batch {batch} --items --missing"),
    ),
    Cause(
        code="attempts-spent-in-an-outage",
        refines="attempts-used-up",
        family="dead_letter",
        title="Delivery attempts were used up in an outage",
        says="{unlucky} of {of} used up their delivery attempts in an outage in which nothing got through; nothing fails there now, "
        "and nothing brings them back by itself",
        stage=Stage.DELIVERED,
        legs=BOTH,
        requires=all_of(_HELD, any_of(_OUTAGE, _DOOR), none_of(_PUSHES_FAIL)),
        decisive=_NOTHING_FAILS,
        overturned_by=_FAILING,
        settled_by=("pubsub-diag delivery --leg {leg}",),
        next=("pubsub-diag runbook show attempts-spent-in-an-outage", "pubsub-diag batch {batch} --items --missing"),
    ),
)
