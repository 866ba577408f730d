"""The two grants that dead-lettering needs: granted, missing, or not to be told; and what dead letters prove."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    AncestorPolicies,
    Binding,
    Change,
    ChangeLog,
    CustomRoles,
    DeadLetterCounts,
    DeadLetterPolicy,
    DeadLetterTopic,
    DeadLetterTopicPolicy,
    Leg,
    Point,
    ProjectInfo,
    ProjectPolicy,
    Provenance,
    Series,
    SubscriptionConfig,
    SubscriptionPolicy,
    SubscriptionSettings,
    Unseen,
    Why,
)
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.ledger.ledger import Life
from diagnostics.steps.dead_letter import dead_letter
from diagnostics.steps.finding import Finding, Status

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
AGENT = "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com"
PUBLISHES = Binding(role="roles/pubsub.publisher", members=(AGENT,))
CONSUMES = Binding(role="roles/pubsub.subscriber", members=(AGENT,))
GROUP = Binding(role="roles/pubsub.editor", members=("group:person-1f0c",))


def unseen(kind: str) -> Unseen:
    return Unseen(what=kind, why=Why.PERMISSION_DENIED, says="x.getIamPolicy is missing", permission="x.getIamPolicy")


def on_topic(*bindings: Binding) -> DeadLetterTopicPolicy:
    return DeadLetterTopicPolicy(source=SOURCE, resource="projects/p/topics/dead", bindings=bindings)


def on_subscription(*bindings: Binding) -> SubscriptionPolicy:
    return SubscriptionPolicy(source=SOURCE, resource="projects/p/subscriptions/s", bindings=bindings)


def on_project(*bindings: Binding) -> ProjectPolicy:
    return ProjectPolicy(source=SOURCE, resource="projects/p", bindings=bindings)


def forwarded(minutes: int, code: str = "success") -> DeadLetterCounts:
    end = NOW - timedelta(minutes=minutes)
    point = Point(start=end - timedelta(minutes=1), end=end, value=3)
    return DeadLetterCounts(source=SOURCE, series=(Series(labels={"response_code": code}, points=(point,)),))


def revoked(minutes: int) -> ChangeLog:
    change = Change(
        at=NOW - timedelta(minutes=minutes),
        api="pubsub.googleapis.com",
        method="SetIamPolicy",
        resource="topics/dead",
        by="person-1",
        says=f"remove roles/pubsub.publisher for {AGENT}",
    )
    return ChangeLog(source=SOURCE, since=NOW - timedelta(days=1), changes=(change,))


def findings(ledger: Ledger | None = None, **given: Any) -> list[Finding]:
    """By default both grants are there, on topic and subscription, and nothing was dead-lettered or changed."""
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s",
        topic="projects/p/topics/t",
        dead_letter=DeadLetterPolicy(topic="projects/p/topics/dead", max_attempts=5),
    )
    seen: dict[str, Any] = {
        "subscription": SubscriptionConfig(source=SOURCE, settings=settings),
        "topic": DeadLetterTopic(source=SOURCE, name="projects/p/topics/dead", exists=True, subscriptions=("x",)),
        "topic_policy": on_topic(PUBLISHES),
        "subscription_policy": on_subscription(CONSUMES),
        "project": ProjectInfo(source=SOURCE, project="p", number="42"),
        "project_policy": on_project(),
        "above": AncestorPolicies(source=SOURCE, project="projects/p", places=()),
        "roles": CustomRoles(source=SOURCE, roles=()),
        "dead": DeadLetterCounts(source=SOURCE, series=()),
        "changes": ChangeLog(source=SOURCE, since=NOW - timedelta(days=1), changes=()),
    }
    return list(dead_letter(Leg.REQUEST, ledger or Ledger(), NOW, **(seen | given)))


def statuses(found: Iterable[Finding]) -> dict[str, Status]:
    return {f.code.removeprefix("dead_letter."): f.status for f in found}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"topic_policy": on_topic(), "project_policy": on_project(PUBLISHES)},
        {"project_policy": unseen("ProjectPolicy")},
        {
            "topic_policy": unseen("DeadLetterTopicPolicy"),
            "subscription_policy": on_subscription(),
            "project_policy": on_project(Binding(role="roles/editor", members=(AGENT,))),
        },
    ],
    ids=["on both", "on the project", "project hidden", "editor of the project"],
)
def test_granted_wherever_it_is_granted(given: dict[str, Any]) -> None:
    assert statuses(findings(**given)) == {"binds": Status.OK}


def test_missing_on_both_and_on_the_project_is_a_warning_since_it_was_taken() -> None:
    (found,) = findings(topic_policy=on_topic(), changes=revoked(90))
    assert (found.code, found.status, found.since) == (
        "dead_letter.grants",
        Status.WARNING,
        NOW - timedelta(minutes=90),
    )
    assert "roles/pubsub.publisher on dead" in found.says


@pytest.mark.parametrize(
    "given",
    [
        {"topic_policy": unseen("DeadLetterTopicPolicy")},
        {"topic_policy": on_topic(), "project_policy": unseen("ProjectPolicy")},
        {"topic_policy": on_topic(GROUP)},
        {"topic_policy": on_topic(), "project_policy": on_project(GROUP)},
        {"topic_policy": on_topic(Binding(role="projects/p/roles/forwarder", members=(AGENT,)))},
        {"topic_policy": on_topic(Binding(role="roles/pubsub.publisher", members=(AGENT,), condition="x"))},
        {"project": unseen("ProjectInfo")},
    ],
    ids=["hidden", "project hidden", "group", "group of the project", "custom role", "condition", "agent unknown"],
)
def test_what_may_grant_it_cannot_be_told(given: dict[str, Any]) -> None:
    assert statuses(findings(**given)) == {"unseen": Status.UNKNOWN}


def test_dead_letters_that_were_forwarded_prove_the_grants_whatever_iam_shows() -> None:
    for policy in (on_topic(), unseen("DeadLetterTopicPolicy")):
        assert statuses(findings(topic_policy=policy, dead=forwarded(20))) == {"binds": Status.OK}


def test_they_prove_nothing_of_a_grant_that_was_taken_since_nor_if_they_failed() -> None:
    assert statuses(findings(topic_policy=on_topic(), dead=forwarded(20), changes=revoked(10))) == {
        "grants": Status.WARNING
    }
    assert statuses(findings(topic_policy=on_topic(), dead=forwarded(20, "permission_denied"))) == {
        "grants": Status.WARNING
    }


def test_one_missing_and_one_hidden_says_both() -> None:
    found = findings(topic_policy=on_topic(), subscription_policy=unseen("SubscriptionPolicy"))
    assert statuses(found) == {"grants": Status.WARNING, "unseen": Status.UNKNOWN}


def test_a_topic_that_is_gone_needs_no_grants_and_one_that_nobody_reads_loses_letters() -> None:
    gone = DeadLetterTopic(source=SOURCE, name="projects/p/topics/dead", exists=False)
    assert statuses(findings(topic=gone, topic_policy=on_topic())) == {"topic_missing": Status.WARNING}
    unread = DeadLetterTopic(source=SOURCE, name="projects/p/topics/dead", exists=True)
    assert statuses(findings(topic=unread)) == {"no_reader": Status.WARNING, "binds": Status.OK}


def test_a_topic_that_could_not_be_seen_binds_only_if_dead_letters_went_there() -> None:
    hidden = unseen("DeadLetterTopic")
    assert statuses(findings(topic=hidden)) == {"unseen": Status.UNKNOWN}
    assert statuses(findings(topic=hidden, dead=forwarded(3))) == {"unseen": Status.UNKNOWN, "binds": Status.OK}


@pytest.mark.parametrize(
    ("failures", "lettered", "changed", "said"),
    [(16, False, False, True), (15, False, False, False), (16, True, False, False), (16, False, True, False)],
)
def test_items_that_fail_for_ever_show_that_it_does_not_bind_whatever_policy_is_hidden(
    failures: int, lettered: bool, changed: bool, said: bool
) -> None:
    """Five attempts are allowed. What failed before the subscription was changed may have been allowed more."""
    begun = NOW - timedelta(minutes=40)
    life = Life(name="a", failures=failures, first=begun, dead_lettered=lettered)
    change = structs.replace(
        revoked(35).changes[0], method="UpdateSubscription", resource="subscriptions/s", says="max attempts 100 → 5"
    )
    found = findings(
        Ledger(lives=(life,)),
        subscription_policy=unseen("SubscriptionPolicy"),
        changes=structs.replace(revoked(0), changes=(change,) if changed else ()),
    )
    wanted = {"unseen": Status.UNKNOWN} | ({"unbound": Status.WARNING} if said else {})
    assert statuses(found) == wanted
