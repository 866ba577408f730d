"""What a route lost is what is nowhere else: neither acked, nor dead-lettered, nor waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    Backlog,
    BatchMarks,
    Change,
    ChangeLog,
    DeadLetterCounts,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    Mark,
    Means,
    ProjectSubscriptions,
    PushCounts,
    ServiceConfig,
    SubscriptionConfig,
    TopicConfig,
    TopicSubscriptions,
    Unseen,
)
from diagnostics.pipeline.profile import LegProfile
from diagnostics.readings.ledger import build
from diagnostics.steps.finding import Bears, Status, Where
from diagnostics.steps.routed import attachment, missing, push_endpoint
from diagnostics.steps.routed import routed as step
from diagnostics.steps.run import run
from tests.steps.built import (
    BEGAN,
    NOW,
    PROFILE,
    SOURCE,
    ago,
    batch,
    done,
    findings,
    lines,
    log,
    mark,
    of,
    pushes,
    row,
    series,
    service,
    subscription,
)


def test_a_subscription_that_is_gone_lost_what_is_neither_acked_nor_dead_lettered() -> None:
    """Ten published, three done, four refused until they were dead letters; then the subscription was deleted."""
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(*done("a", "b", "c")),
        ("SubscriptionConfig", Leg.REQUEST): SubscriptionConfig(source=SOURCE, settings=None),
        ("TopicSubscriptions", Leg.REQUEST): TopicSubscriptions(source=SOURCE, names=()),
        ("Backlog", Leg.REQUEST): Backlog(source=SOURCE, undelivered=(), oldest_age_s=(), outstanding=()),
        ("PushCounts", Leg.REQUEST): PushCounts(
            source=SOURCE, series=(series({35: 3}, response_class="ack"), series({35: 20}, response_class="invalid"))
        ),
        ("DeadLetterCounts", Leg.REQUEST): DeadLetterCounts(source=SOURCE, series=(series({30: 4}),)),
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    told = run([step], evidence, build(evidence, PROFILE), PROFILE, [Leg.REQUEST])
    (row,) = told.rows
    assert row.where == {Where.DROPPED: 3}
    gone = next(f for f in told.findings if f.code == missing.NO_SUBSCRIPTION.name)
    assert (gone.bears, gone.held) == (Bears.HOLDS, 3)


ELSEWHERE = "projects/other/subscriptions/s"


@pytest.mark.parametrize(
    ("attached", "listed", "came", "missing_is", "another_is", "reached"),
    [
        ((), True, True, Status.FAULT, None, False),
        ((ELSEWHERE,), True, True, Status.WARNING, Status.WARNING, True),
        ((ELSEWHERE,), True, False, Status.FAULT, Status.UNKNOWN, None),
        (("projects/p/subscriptions/new",), False, True, Status.WARNING, Status.WARNING, True),
        (("projects/p/subscriptions/other",), True, True, Status.FAULT, None, False),
    ],
    ids=["none", "of another project", "and nothing comes", "list not seen", "it pushes elsewhere"],
)
def test_nothing_is_lost_on_a_topic_whose_other_subscriptions_could_not_be_read(
    attached: tuple[str, ...],
    listed: bool,
    came: bool,
    missing_is: Status,
    another_is: Status | None,
    reached: bool | None,
) -> None:
    _, config = subscription()
    assert isinstance(config, SubscriptionConfig) and config.settings
    aside = replace(config.settings, name="projects/p/subscriptions/other", push_endpoint="https://else.where/push")
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(*done("a", "b", "c")) if came else lines(),
        ("SubscriptionConfig", Leg.REQUEST): SubscriptionConfig(source=SOURCE, settings=None),
        ("TopicSubscriptions", Leg.REQUEST): TopicSubscriptions(source=SOURCE, names=attached),
        ("ServiceConfig", Leg.REQUEST): service()[1],
    }
    if listed:
        seen["ProjectSubscriptions", None] = ProjectSubscriptions(source=SOURCE, subscriptions=(aside,))
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    told = run([step], evidence, build(evidence, PROFILE), PROFILE, [Leg.REQUEST])
    gone = [f.status for f in told.findings if f.code == missing.SUBSCRIPTION_MISSING.name]
    another = [f.status for f in told.findings if f.code == missing.BY_ANOTHER.name]
    lost = [f for f in told.findings if f.code == missing.NO_SUBSCRIPTION.name]
    assert (gone, another) == ([missing_is], [another_is] if another_is else [])
    assert bool(lost) is (another_is is None)
    assert told.rows[0].reached is reached


AT_PUSH = replace(PROFILE, request=LegProfile(subscription="s", push_path="/push"))
GOOD = (
    mark(Means.CREATED, 600, batch="A", expected=3),
    mark(Means.PUBLISHED, 599, batch="A", count=3, of=3),
    mark(Means.CLOSED, 590, batch="A"),
)


def moved(minutes: float, method: str = "ModifyPushConfig") -> ChangeLog:
    change = Change(at=ago(minutes), api="pubsub", method=method, resource="subscriptions/s", by="p")
    return ChangeLog(source=SOURCE, since=ago(9999), changes=(change,))


@pytest.mark.parametrize(
    ("changes", "before", "acks", "said"),
    [
        (moved(100), GOOD, {}, Status.WARNING),
        (moved(9000), GOOD, {}, None),  # the last good batch went there: the profile is wrong
        (moved(100, "SetIamPolicy"), GOOD, {}, None),
        (moved(100), (), {50: 3}, None),
        (moved(45), (), {50: 3}, Status.WARNING),
        (moved(9000), (), {}, Status.WARNING),
    ],
    ids=["set since", "set before", "only a grant", "acked since", "acked before", "never used"],
)
def test_a_path_that_the_profile_contradicts_is_latent_until_a_push_is_acked_there(
    changes: ChangeLog, before: tuple[Mark, ...], acks: dict[float, float], said: Status | None
) -> None:
    key, config = subscription()
    assert isinstance(config, SubscriptionConfig) and config.settings
    wrong = replace(config, settings=replace(config.settings, push_endpoint="https://w.run.app/other"))
    waits = batch(4, 0)
    assert isinstance(waits, BatchMarks)
    told_of = replace(waits, marks=(*before, *waits.marks))
    found = findings(step, (key, wrong), told_of, lines(), pushes(ack=acks), log(), service(), changes, profile=AT_PUSH)
    told = of(push_endpoint.ENDPOINT, found)
    assert [f.status for f in told] == ([said] if said else [])
    assert all(f.bears is Bears.APART for f in told)


def at(path: str) -> SubscriptionConfig:
    """The subscription, pushing to that path."""
    _, config = subscription()
    assert isinstance(config, SubscriptionConfig) and config.settings
    return replace(config, settings=replace(config.settings, push_endpoint=f"https://w.run.app{path}"))


@pytest.mark.parametrize(
    ("came", "refused", "said"),
    [("/push", "/other", True), ("/other", "/other", False), ("/push", "/push", False)],
    ids=["by another subscription", "by this one, too", "none by this one"],
)
def test_a_wrong_path_is_said_where_all_items_came_by_another_subscriptions_right_one(
    came: str, refused: str, said: bool
) -> None:
    rows = (replace(row(30, 204), path=came), replace(row(20, 404), path=refused))
    found = findings(
        step,
        (("SubscriptionConfig", Leg.REQUEST), at("/other")),
        batch(4),
        lines(*done("a", "b", "c", "d")),
        pushes(invalid={20: 3}),
        log(*rows),
        service(),
        moved(100),
        profile=AT_PUSH,
    )
    assert [f.status for f in of(push_endpoint.ENDPOINT, found)] == ([Status.WARNING] if said else [])


def test_what_a_subscription_of_another_topic_pushes_is_none_of_the_batch() -> None:
    """Its endpoint is wrong, too, and that holds nothing yet."""
    topic = TopicConfig(source=SOURCE, name="projects/p/topics/ours", settings=None)
    found = findings(
        step,
        (("SubscriptionConfig", Leg.REQUEST), replace_host(at("/push"), "other-f7p3g7f6ya-wl.a.run.app")),
        (("TopicConfig", Leg.REQUEST), topic),
        batch(4),
        lines(),
        pushes(invalid={20: 3}),
        service(),
    )
    (other,), (endpoint,) = of(attachment.OTHER_TOPIC, found), of(push_endpoint.ENDPOINT, found)
    assert (other.bears, endpoint.bears) == (Bears.HOLDS, Bears.APART)


def replace_host(config: SubscriptionConfig, host: str) -> SubscriptionConfig:
    assert config.settings
    return replace(config, settings=replace(config.settings, push_endpoint=f"https://{host}/push"))


@pytest.mark.parametrize(
    ("host", "named"),
    [("other-f7p3g7f6ya-wl.a.run.app", ["other"]), ("w-f7p3g7f6ya-wl.a.run.app", []), ("pushes.example.com", [])],
)
def test_an_endpoint_that_leads_to_another_service_is_said_beside_one_that_is_gone(host: str, named: list[str]) -> None:
    gone = ServiceConfig(source=SOURCE, name="w", settings=None)
    found = findings(
        step,
        (("SubscriptionConfig", Leg.REQUEST), replace_host(at("/push"), host)),
        (("ServiceConfig", Leg.REQUEST), gone),
        batch(4),
        lines(),
        pushes(invalid={20: 3}),
    )
    assert [f.says.rsplit(" ", 1)[-1] for f in of(push_endpoint.ENDPOINT, found)] == named
    assert of(push_endpoint.SERVICE_GONE, found)


def gone(*more: Change) -> ChangeLog:
    deleted = Change(at=ago(100), api="pubsub", method="DeleteSubscription", resource="subscriptions/s", by="p")
    return ChangeLog(source=SOURCE, since=ago(9999), changes=(deleted, *more))


MADE = Change(at=ago(90), api="pubsub", method="CreateSubscription", resource="subscriptions/s", by="p")


@pytest.mark.parametrize(
    ("changes", "came", "acks", "said"),
    [
        (gone(), (), {}, True),
        (gone(MADE), (), {}, False),
        (gone(replace(MADE, ok=False)), (), {}, True),
        (gone(), done("a"), {}, False),
        (gone(), (), {30: 2}, False),
        (gone(), (), {95: 2}, True),
        (moved(100), (), {}, False),
    ],
    ids=[
        "deleted",
        "made again",
        "could not be made again",
        "an item came since",
        "pushed since",
        "pushed last as it went",
        "changed only",
    ],
)
def test_a_subscription_that_may_not_be_looked_at_is_gone_if_the_audit_log_says_so(
    changes: ChangeLog, came: tuple[Mark, ...], acks: dict[float, float], said: bool
) -> None:
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(*came),
        ("ChangeLog", Leg.REQUEST): changes,
        ("ChangeLog", None): changes,
        ("PushCounts", Leg.REQUEST): PushCounts(source=SOURCE, series=(series(acks, response_class="ack"),)),
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    told = run([step], evidence, build(evidence, PROFILE), PROFILE, [Leg.REQUEST])
    found = [f for f in told.findings if f.code == missing.DELETED.name]
    assert [(f.bears, f.rests_on) for f in found] == ([(Bears.HOLDS, ("ChangeLog",))] if said else [])
    assert any(f.code == "routed.not_checked" and f.status is Status.UNKNOWN for f in told.findings)


@pytest.mark.parametrize(
    ("methods", "came", "said"),
    [
        ({100: "DeleteSubscription", 5: "CreateSubscription"}, (), True),
        ({100: "DeleteSubscription", 60: "CreateSubscription"}, (), False),
        ({100: "DeleteSubscription", 60: "CreateSubscription", 5: "CreateSubscription"}, (), False),
        ({100: "DeleteSubscription", 5: "CreateSubscription"}, done("a"), False),
        ({5: "CreateSubscription"}, (), False),
    ],
    ids=["away meanwhile", "back before", "back before, and made once more", "an item came", "never deleted"],
)
def test_what_was_published_while_the_subscription_was_away_never_came_to_it(
    methods: dict[float, str], came: tuple[Mark, ...], said: bool
) -> None:
    made = tuple(
        Change(at=ago(m), api="pubsub", method=method, resource="subscriptions/s", by="p")
        for m, method in sorted(methods.items(), reverse=True)
    )
    changes = ChangeLog(source=SOURCE, since=ago(9999), changes=made)
    key, config = subscription()
    seen: dict[Key, Evidence | Unseen] = {
        ("BatchMarks", None): batch(10),
        ("ItemMarks", None): lines(mark(Means.STARTED_ITEM, 300, "x", batch="A"), *came),
        ("ChangeLog", Leg.REQUEST): changes,
        ("ChangeLog", None): changes,
        key: config,
    }
    evidence = EvidenceSet(seen, NOW, timedelta(days=7), ago(BEGAN + 20))
    told = run([step], evidence, build(evidence, PROFILE), PROFILE, [Leg.REQUEST])
    assert [f.held for f in told.findings if f.code == missing.AWAY.name] == ([10] if said else [])
