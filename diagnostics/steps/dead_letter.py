"""Does the dead-letter setup bind? Pub/Sub counts delivery attempts only while topic and both grants are right."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import (
    DeadLetterTopic,
    DeadLetterTopicPolicy,
    Leg,
    Policy,
    ProjectInfo,
    ProjectPolicy,
    Stage,
    SubscriptionConfig,
    SubscriptionPolicy,
    Unseen,
)
from diagnostics.readings.ledger import Ledger
from diagnostics.steps.finding import Bears, Code, Finding, Kind, Status
from diagnostics.steps.words import short

BINDS = Code("dead_letter.binds", Stage.DELIVERED, "the dead-letter setup binds")
NONE = Code("dead_letter.none", Stage.DELIVERED, "no dead-letter topic is set")
TOPIC_MISSING = Code(
    "dead_letter.topic_missing", Stage.DELIVERED, "the dead-letter topic does not exist", Kind.MECHANISM
)
NO_READER = Code("dead_letter.no_reader", Stage.DELIVERED, "the dead-letter topic has no subscription", Kind.MECHANISM)
GRANTS = Code(
    "dead_letter.grants",
    Stage.DELIVERED,
    "Google's Pub/Sub agent lacks a grant that dead-lettering needs",
    Kind.MECHANISM,
)
UNSEEN = Code("dead_letter.unseen", Stage.DELIVERED, "the dead-letter grants could not be seen")

PUBLISHERS = ("roles/pubsub.publisher", "roles/pubsub.editor", "roles/pubsub.admin")
SUBSCRIBERS = ("roles/pubsub.subscriber", "roles/pubsub.editor", "roles/pubsub.admin")


def dead_letter(
    leg: Leg,
    ledger: Ledger,
    subscription: SubscriptionConfig,
    topic: DeadLetterTopic | Unseen,
    topic_policy: DeadLetterTopicPolicy | Unseen,
    subscription_policy: SubscriptionPolicy | Unseen,
    project: ProjectInfo | Unseen,
    project_policy: ProjectPolicy | Unseen,
) -> Iterator[Finding]:
    """Reads policy, topic and the two grants (dead-letter topics page)."""
    settings = subscription.settings
    if settings is None:
        return
    policy = settings.dead_letter
    if policy is None:
        yield NONE.says(
            Status.ADVICE,
            f"subscription {short(settings.name)} has no dead-letter topic: bad messages come back for days",
            leg=leg,
        )
        return
    if not isinstance(topic, Unseen) and not topic.exists:
        yield TOPIC_MISSING.says(
            Status.WARNING,
            f"dead-letter topic {short(policy.topic)} does not exist: nothing is ever dead-lettered",
            leg=leg,
        )
        return
    if not isinstance(topic, Unseen) and not topic.subscriptions:
        yield NO_READER.says(
            Status.WARNING,
            f"dead-letter topic {short(policy.topic)} has no subscription: dead letters are lost",
            leg=leg,
        )
    if isinstance(project, Unseen):
        yield _unseen(leg, project)
        return
    agent = f"serviceAccount:{project.pubsub_agent}"
    lacking: list[str] = []
    for grants, roles, what in (
        (topic_policy, PUBLISHERS, f"roles/pubsub.publisher on {short(policy.topic)}"),
        (subscription_policy, SUBSCRIBERS, f"roles/pubsub.subscriber on {short(settings.name)}"),
    ):
        if isinstance(grants, Unseen):
            yield _unseen(leg, grants)
        elif not _granted(grants, project_policy, agent, roles):
            if isinstance(project_policy, Unseen):
                yield _unseen(leg, project_policy)
            else:
                lacking.append(what)
    if lacking:
        stuck = {r.name for r in ledger.repeats}
        yield GRANTS.says(
            Status.WARNING,
            f"{project.pubsub_agent} lacks {' and '.join(lacking)}: delivery attempts are not counted and nothing is dead-lettered",
            leg=leg,
            bears=Bears.SLOWS if any(r.ours for r in ledger.repeats) else Bears.APART,
            rests_on=("SubscriptionConfig", "DeadLetterTopicPolicy", "SubscriptionPolicy", "ProjectPolicy"),
            numbers={"retrying_items": len(stuck)},
            words={"lacking": "; ".join(lacking)},
        )
    elif not isinstance(topic_policy, Unseen) and not isinstance(subscription_policy, Unseen):
        yield BINDS.says(
            Status.OK, f"after {policy.max_attempts} attempts messages go to {short(policy.topic)}", leg=leg
        )


def _granted(policy: Policy, project: ProjectPolicy | Unseen, agent: str, roles: tuple[str, ...]) -> bool:
    if agent in policy.members(*roles):
        return True
    return not isinstance(project, Unseen) and agent in project.members(*roles)


def _unseen(leg: Leg, unseen: Unseen) -> Finding:
    return UNSEEN.says(
        Status.UNKNOWN,
        f"the dead-letter grants could not be seen: {unseen.says}",
        leg=leg,
        rests_on=(unseen.what,),
        words={"permission": unseen.permission, "mend": unseen.mend, "why": unseen.why.value},
    )
