"""Items that the coordinator never got onto the topic."""

from diagnostics.causes.model import ALWAYS, Cause, Has, Over, all_of, any_of, none_of, ok
from diagnostics.evidence.model import (
    BatchMarks,
    ChangeLog,
    DenyPolicies,
    Leg,
    PlatformLines,
    QuotaExceeded,
    ServiceConfig,
    Stage,
    StartCalls,
    TopicConfig,
)
from diagnostics.steps import created, published, requested
from diagnostics.steps.finding import Status
from diagnostics.steps.limits import addressing
from diagnostics.steps.processed import containers
from diagnostics.steps.published import NotPublished, topic, why

EFFECTS = (
    requested.TIMED_OUT,
    published.FEWER,
    published.CUT_SHORT,
)
"""What follows when items do not get onto the topic."""

_NOW = (Status.WARNING, Status.FAULT)
_NAMED = ("permission_denied", "not_found", *why.REJECTED)
"""Codes for whose reason something else is asked."""


def _told(*codes: str) -> Over[NotPublished]:
    """The coordinator's own lines say that items were refused with one of these."""
    return Over(published.ERRORS, lambda told: float(told.code in codes), 0, _NOW)


def _counted(*codes: str) -> Over[topic.Refused]:
    """The topic's counter has requests refused with one of these."""
    return Over(topic.REFUSED, lambda told: float(told.code in codes), 0, _NOW)


_DENIED = any_of(_told("permission_denied"), _counted("permission_denied"))
_NOT_FOUND = any_of(_told("not_found"), _counted("not_found"))
_REJECTED = any_of(_told(*why.REJECTED), _counted(*why.REJECTED))
_ANOTHER = all_of(
    _told("permission_denied"), Has(addressing.TOPIC_IN_FORCE, (Status.FAULT,)), none_of(Has(topic.REFUSED))
)
"""Refused by another topic, for want of a right: the pipeline's own has refused nothing."""

CAUSES = (
    Cause(
        code="start-call-not-let-in",
        family="publish",
        title="The start call is not let in",
        says="Google's front end refused the start call: its caller was not allowed to call the coordinator, or its token was not "
        "accepted",
        stage=Stage.REQUESTED,
        requires=Over(requested.SIGN_IN, lambda told: told.at_the_door, 0),
        decisive=ALWAYS,
        overturned_by=(StartCalls,),
        next=("pubsub-diag runbook show start-call-not-let-in", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="upstream-data-incomplete",
        family="publish",
        title="The coordinator refuses to start on incomplete data",
        says="the coordinator itself refused to start, because of a gate of its own",
        stage=Stage.REQUESTED,
        requires=Has(requested.NOT_READY),
        # Without its reason, what answers 503 may be anything that the program does.
        decisive=Over(requested.NOT_READY, lambda told: float(bool(told.reason)), 0),
        overturned_by=(StartCalls, BatchMarks),
        next=("pubsub-diag runbook show upstream-data-incomplete",),
    ),
    Cause(
        code="start-killed",
        family="publish",
        title="The coordinator's container died over the start call",
        says="the container that had taken the start call died before it had answered",
        stage=Stage.REQUESTED,
        legs=(Leg.COMPLETION,),
        # Containers that crash are a cause of their own, and this follows from it.
        requires=all_of(Over(requested.FAILED, lambda told: told.killed, 0), none_of(Has(containers.CRASHING))),
        decisive=ALWAYS,
        overturned_by=(StartCalls, BatchMarks, PlatformLines),
        next=("pubsub-diag runbook show start-killed", "pubsub-diag worker --leg completion"),
    ),
    Cause(
        code="start-cut-off-while-loading",
        family="publish",
        title="The start call is cut off before a batch exists",
        says="the start call ran into the coordinator's request timeout before it had made a batch",
        stage=Stage.CREATED,
        # Where no line would tell of a batch, and nothing came onto the topic, the call was cut off before there was one or after that.
        requires=all_of(
            Has(requested.TIMED_OUT),
            any_of(
                Has(created.MISSING), all_of(Has(created.UNSEEN, (Status.UNKNOWN,)), Has(published.CUT_SHORT, _NOW))
            ),
        ),
        decisive=Has(created.MISSING),
        overturned_by=(BatchMarks, StartCalls),
        next=("pubsub-diag runbook show start-cut-off-while-loading", "pubsub-diag batches"),
    ),
    Cause(
        code="gate-refuses-everything",
        family="publish",
        title="The gate keeps every item back",
        says="the gate let nothing through, and kept {unlisted} items back for a reason that the profile does not list",
        stage=Stage.PUBLISHED,
        requires=any_of(
            all_of(Has(published.EMPTY), Over(published.EMPTY, published.mostly_unlisted, 0)),
            Over(published.GATED, published.keeps_all_back, 0, _NOW),
        ),
        decisive=ALWAYS,
        overturned_by=(BatchMarks,),
        next=("pubsub-diag runbook show gate-refuses-everything", "pubsub-diag changes --leg completion"),
    ),
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
        says="Pub/Sub refused what the coordinator published",
        stage=Stage.PUBLISHED,
        requires=any_of(
            Over(published.ERRORS, lambda told: float(told.code not in _NAMED), 0, _NOW),
            Over(topic.REFUSED, lambda told: float(told.code not in _NAMED), 0, _NOW),
            all_of(_DENIED, ok(topic.HELD), none_of(_ANOTHER)),
            all_of(_NOT_FOUND, none_of(Has(topic.MISSING), Has(why.OTHER_NAME), ok(why.REMADE))),
            all_of(_REJECTED, none_of(Has(why.REGION), Has(why.SCHEMA), Has(why.SIZE))),
            all_of(any_of(Has(published.GAVE_UP), Has(topic.DEFERRED)), none_of(Has(topic.QUOTA))),
        ),
        decisive=any_of(Over(published.ERRORS, lambda told: told.answered, 0), Has(topic.REFUSED)),
        # These tell why, where anything does; then the cause has a name of its own.
        overturned_by=(BatchMarks, QuotaExceeded, TopicConfig, (ServiceConfig, Leg.COMPLETION)),
        effects=EFFECTS,
        settled_by=("pubsub-diag published",),
        next=("pubsub-diag runbook show publish-failing", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="publisher-role-missing",
        refines="publish-failing",
        family="publish",
        title="The coordinator may not publish to the topic",
        says="the coordinator's account lacks the right to publish to the topic: Pub/Sub refuses what it publishes",
        over=ok(topic.BACK),
        said="Pub/Sub refused what the coordinator published, until its right to publish came back at {back}; what was refused does not "
        "come by itself",
        stage=Stage.PUBLISHED,
        # What a deny policy or another topic refuses tells nothing of the role; that it was taken is found all the same.
        requires=any_of(all_of(_DENIED, none_of(Has(topic.DENIED), _ANOTHER)), Has(topic.TAKEN), Has(topic.LACKING)),
        decisive=all_of(_DENIED, none_of(Has(topic.DENIED), _ANOTHER)),
        # Nothing but a deny policy is answered in the same words.
        refutes=ok(topic.HELD),
        overturned_by=(DenyPolicies, TopicConfig, (ServiceConfig, Leg.COMPLETION)),
        effects=EFFECTS,
        settled_by=("pubsub-diag published",),
        next=("pubsub-diag runbook show publisher-role-missing", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="publish-denied-by-policy",
        refines="publish-failing",
        family="publish",
        title="A deny policy keeps the coordinator from publishing",
        says="a deny policy takes the coordinator's right to publish, whatever is granted: Pub/Sub refuses what it publishes",
        stage=Stage.PUBLISHED,
        requires=Has(topic.DENIED),
        decisive=_DENIED,
        effects=EFFECTS,
        settled_by=("pubsub-diag published",),
        next=("pubsub-diag runbook show publish-denied-by-policy",),
    ),
    Cause(
        code="request-topic-missing",
        refines="publish-failing",
        family="publish",
        title="The request topic does not exist",
        says="the topic that requests are published to does not exist",
        over=ok(why.REMADE),
        said="the topic that requests are published to did not exist until it was made again at {remade}; what was refused does not come "
        "by itself",
        stage=Stage.PUBLISHED,
        requires=any_of(Has(topic.MISSING), all_of(_NOT_FOUND, Has(topic.MISSING)), all_of(_NOT_FOUND, ok(why.REMADE))),
        decisive=ALWAYS,
        overturned_by=(TopicConfig,),
        effects=EFFECTS,
        next=("pubsub-diag runbook show request-topic-missing", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="request-topic-name-wrong",
        refines="publish-failing",
        family="publish",
        title="The coordinator publishes to a topic of another name",
        says="the coordinator publishes to another topic than the pipeline's, and is refused there",
        over=ok(addressing.TOPIC_NAME_BACK),
        said="the coordinator published to another topic than the pipeline's, until it had the right name again at {back}; what was "
        "refused does not come by itself",
        stage=Stage.PUBLISHED,
        requires=any_of(all_of(_NOT_FOUND, Has(why.OTHER_NAME)), _ANOTHER),
        decisive=ALWAYS,
        # Where the topic was made again since, its name was right.
        overturned_by=(TopicConfig, ChangeLog),
        effects=(*EFFECTS, addressing.TOPIC_IN_FORCE),
        next=("pubsub-diag runbook show request-topic-name-wrong", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="region-not-allowed",
        refines="publish-failing",
        family="publish",
        title="The topic takes nothing that is published in this region",
        says="the topic's message storage policy does not allow the coordinator's region: Pub/Sub refuses what is published from there",
        stage=Stage.PUBLISHED,
        # Without a refusal the region is only what the program would publish from by default.
        requires=any_of(all_of(_REJECTED, Has(why.REGION)), Has(why.REGION, (Status.WARNING,))),
        decisive=Has(why.REGION, (Status.FAULT,)),
        overturned_by=(TopicConfig,),
        effects=EFFECTS,
        next=("pubsub-diag runbook show region-not-allowed", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="schema-refuses-messages",
        refines="publish-failing",
        family="publish",
        title="The topic's schema does not allow the messages",
        says="Pub/Sub refused what the coordinator published: it does not match the topic's schema",
        stage=Stage.PUBLISHED,
        requires=all_of(_REJECTED, Has(why.SCHEMA)),
        decisive=Over(why.SCHEMA, lambda told: told.named, 0),
        overturned_by=(TopicConfig,),
        effects=EFFECTS,
        settled_by=("pubsub-diag published",),
        next=("pubsub-diag runbook show schema-refuses-messages", "pubsub-diag changes --leg completion"),
    ),
    Cause(
        code="message-too-large",
        refines="publish-failing",
        family="publish",
        title="Messages are larger than Pub/Sub takes",
        says="Pub/Sub refuses what is too large: a publish request may have 10 MB, with all that is in it",
        stage=Stage.PUBLISHED,
        requires=all_of(_REJECTED, Has(why.SIZE)),
        decisive=ALWAYS,
        overturned_by=(BatchMarks,),
        effects=EFFECTS,
        next=("pubsub-diag runbook show message-too-large",),
    ),
    Cause(
        code="published-elsewhere",
        family="publish",
        title="Published to another topic",
        says="what the coordinator publishes does not arrive on the pipeline's topic",
        over=ok(addressing.TOPIC_NAME_BACK),
        said="what the coordinator published did not arrive on the pipeline's topic, until it had the right name again at {back}; what "
        "went elsewhere does not come by itself",
        stage=Stage.PUBLISHED,
        requires=any_of(Has(topic.ELSEWHERE), Has(addressing.TOPIC_IN_FORCE)),
        effects=(topic.ELSEWHERE, addressing.TOPIC_IN_FORCE),
        settled_by=("pubsub-diag changes --leg completion",),
        next=("pubsub-diag changes --leg completion", "pubsub-diag runbook show published-elsewhere"),
    ),
)
