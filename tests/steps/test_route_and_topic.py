"""What is routed wrong holds no more than came to the topic and was kept; and who publishes without right or name, before it is tried."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import decide
from diagnostics.evidence.model import (
    AckCounts,
    AncestorPolicies,
    Binding,
    Change,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    DenyRule,
    Evidence,
    Leg,
    Means,
    ProjectInfo,
    ProjectPolicy,
    PublishCounts,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    ServiceSettings,
    SubscriptionConfig,
    TopicConfig,
    TopicPolicy,
    TopicSettings,
    Traffic,
)
from diagnostics.evidence.redact import hashed
from diagnostics.pipeline.profile import LegProfile
from diagnostics.steps import published, routed
from diagnostics.steps.finding import Bears, Code, Finding, Status
from diagnostics.steps.limits import addressing
from diagnostics.steps.published import topic
from diagnostics.steps.routed import attachment, filters, push_endpoint
from tests.steps.built import (
    BEGAN,
    BROKEN,
    CUT,
    PROFILE,
    SOURCE,
    Legged,
    ago,
    backlog,
    batch,
    done,
    findings,
    lines,
    log,
    mark,
    of,
    one,
    pushes,
    row,
    series,
    service,
    subscription,
)

TOPIC = "projects/p/topics/t"


def took(messages: dict[float, float], leg: Leg = Leg.REQUEST) -> Legged:
    return ("PublishCounts", leg), PublishCounts(source=SOURCE, messages=(series(messages),), requests=())


def changed(**settings: Any) -> Legged:
    key, config = subscription()
    assert isinstance(config, SubscriptionConfig) and config.settings is not None
    return key, SubscriptionConfig(source=SOURCE, settings=msgspec.structs.replace(config.settings, **settings))


def said(*found: Evidence | Legged) -> list[Finding]:
    return findings(routed.routed, batch(10), service(), pushes(), backlog(0, 0), *found)


def test_a_detached_subscription_lost_no_more_than_the_topic_took() -> None:
    all_, none, some = (
        one(attachment.DETACHED, said(changed(detached=True), took({at: n})))
        for at, n in ((39.0, 10.0), (50, 9), (39, 4))
    )
    assert (all_.bears, all_.held, some.held) == (Bears.HOLDS, 10, 4)
    assert (none.status, none.bears, none.held) == (Status.FAULT, Bears.APART, 0)


def test_a_counter_that_was_not_seen_takes_nothing_off() -> None:
    assert one(attachment.DETACHED, said(changed(detached=True))).held == 10


def test_what_a_filter_dropped_waits_for_no_puller() -> None:
    dropped = ("AckCounts", Leg.REQUEST), AckCounts(source=SOURCE, series=(series({39: 10}, delivery_type="filter"),))
    told = said(changed(push_endpoint="", filter="attributes.a"), took({39: 10}), dropped)
    assert (one(filters.FILTERED, told).held, one(attachment.NOT_PUSH, told).held) == (10, 0)


def pulled(*made: Change, whole: bool = True, began: float = 60) -> Finding:
    """A subscription in pull mode and what is known of its changes, where no counter tells what was pushed."""
    history = ChangeLog(source=SOURCE if whole else CUT, since=ago(began), changes=made)
    return one(attachment.NOT_PUSH, findings(routed.routed, batch(10), service(), changed(push_endpoint=""), history))


def test_nothing_was_pushed_by_a_subscription_that_was_in_pull_mode_all_the_while() -> None:
    """No counter has to tell; but it has to be known that nobody changed it since the batch began."""

    def change(minutes: float, resource: str = "subscriptions/s") -> Change:
        return Change(at=ago(minutes), api="a", method="ModifyPushConfig", resource=resource, by="p", says="")

    assert [(f.bears, f.held) for f in (pulled(), pulled(change(50)), pulled(change(5, "subscriptions/other")))] == [
        (Bears.HOLDS, 10)
    ] * 3
    for unsure in (pulled(change(5)), pulled(whole=False), pulled(began=3)):
        assert (unsure.status, unsure.bears, unsure.held) == (Status.FAULT, Bears.APART, 0)


def astray(*statuses: int) -> Finding:
    rows = [
        msgspec.structs.replace(
            row(m, status, BROKEN if status == 503 else "", "i1" if status > 403 else ""), path="/else"
        )
        for m, status in enumerate(statuses, 1)
    ]
    profile = msgspec.structs.replace(PROFILE, request=LegProfile(subscription="s", push_path="/push"))
    found = (batch(10), service(), pushes(), backlog(10, 39), took({39: 10}), log(*rows))
    moved = changed(push_endpoint="https://w.run.app/else")
    return one(push_endpoint.ENDPOINT, findings(routed.routed, *found, moved, profile=profile))


def test_a_wrong_path_holds_nothing_that_comes_to_no_program() -> None:
    assert (astray(401, 401).bears, astray(401, 401).held) == (Bears.APART, 0)
    assert (astray(503, 503).bears, astray(503, 503).held) == (Bears.APART, 0)
    assert (astray(404, 404).bears, astray(404, 404).held) == (Bears.HOLDS, 10)


# --- what publishes next --------------------------------------------------------------------------------------------------


def runs(leg: Leg, *revisions: tuple[str, float, dict[str, str]]) -> list[Legged]:
    """Revisions, newest first, by name, age in minutes and environment."""
    made = tuple(RevisionSettings(name=n, created=ago(m), env=env, account="c@p") for n, m, env in revisions)
    settings = ServiceSettings(
        name="c", region="r", uri="https://c.run.app", urls=(), template=made[0], latest_ready=made[0].name
    )
    return [
        (("ServiceConfig", leg), ServiceConfig(source=SOURCE, name="c", settings=settings)),
        (("Revisions", leg), Revisions(source=SOURCE, revisions=made)),
    ]


TO = ("TopicConfig", Leg.REQUEST), TopicConfig(source=SOURCE, name=TOPIC, settings=TopicSettings(name=TOPIC))


def named(*found: Legged, lost: float = 30) -> list[Finding]:
    profile = msgspec.structs.replace(PROFILE, request=LegProfile(subscription="s", topic="t", topic_env="T"))
    deployed = runs(Leg.COMPLETION, ("c-3", 10, {}), ("c-2", lost, {}), ("c-1", 900, {"T": "x"}))
    return of(
        addressing.TOPIC_IN_FORCE,
        findings(addressing.topic_in_force, batch(10), TO, *deployed, *found, profile=profile),
    )


def test_a_name_that_a_deploy_lost_is_told_until_the_topic_takes_something() -> None:
    (lost,) = named(took({39: 10}))
    assert (lost.status, lost.bears, lost.since) == (Status.WARNING, Bears.APART, ago(30))
    assert named(took({39: 10, 24: 1})) == []
    assert len(named(took({39: 10, 26: 1}))) == 1, "that the older revision may have had at work"


def untried(deployed: float, *came: float, sent: dict[float, float]) -> list[tuple[str, Status, Bears]]:
    """The worker's revisions: the newest names another topic. Items came back so many minutes ago, and were finished a minute before."""
    profile = msgspec.structs.replace(PROFILE, completion=LegProfile(subscription="c", topic="t", topic_env="T"))
    own = ("TopicConfig", Leg.COMPLETION), TopicConfig(source=SOURCE, name=TOPIC, settings=TopicSettings(name=TOPIC))
    worker = runs(Leg.REQUEST, ("w-2", deployed, {"T": "another hash"}), ("w-1", 900, {"T": "a hash"}))
    items = [(f"i{n}", at) for n, at in enumerate(came)]
    marks = [m for name, at in items for m in (*done(name, minutes=at + 1), mark(Means.RETURNED_ITEM, at, name))]
    took_up = ("PublishCounts", Leg.COMPLETION), PublishCounts(source=SOURCE, messages=(series(sent),), requests=())
    told = findings(
        addressing.topic_in_force, batch(10), lines(*marks), own, *worker, took_up, leg=Leg.COMPLETION, profile=profile
    )
    return [(f.code.rpartition("_")[2], f.status, f.bears) for f in told]


def test_a_deploy_that_names_another_topic_waits_for_the_next_batch_where_nothing_was_published_since() -> None:
    assert untried(20, 35, 34, sent={34: 2}) == [("untried", Status.WARNING, Bears.APART)]
    assert untried(20, 35, 10, sent={34: 1, 9: 1}) == [], "it came out of the right topic after all"
    assert untried(20, 35, sent={34: 1, 9: 1}) == [], "the topic took something since"
    assert untried(4, 35, 34, sent={34: 2}) == [], "it is too young to tell"
    assert untried(900, 35, 34, sent={34: 2}) == [], "what came back was published by it"


WRONG, RIGHT = {"T": "another hash"}, {"T": hashed("t", "services/c")}


def put_right(
    *revisions: tuple[str, float, dict[str, str]], serves: str = "", refused: float = 35, moved: float = 0
) -> list[Finding]:
    """What is told of a coordinator with these revisions whose messages were refused so many minutes ago, and whose traffic was moved."""
    profile = msgspec.structs.replace(PROFILE, request=LegProfile(subscription="s", topic="t", topic_env="T"))
    (place, config), rest = runs(Leg.COMPLETION, *revisions)
    assert isinstance(config, ServiceConfig) and config.settings is not None
    settings = msgspec.structs.replace(
        config.settings, traffic=(Traffic(revision=serves or revisions[0][0], percent=100),)
    )
    source = msgspec.structs.replace(SOURCE, query="services/c")
    config = msgspec.structs.replace(config, settings=settings, source=source)
    gone = (mark(Means.PUBLISH_ERROR, refused, f"i{n}", reason="404 not found") for n in range(10))
    moves = (
        [Change(at=ago(moved), api="run", method="ReplaceService", resource="services/c", by="x", says="traffic")]
        if moved
        else []
    )
    audit = ChangeLog(source=SOURCE, since=ago(9999), changes=tuple(moves))
    told = findings(
        addressing.topic_in_force, batch(10, 0, *gone), TO, (place, config), rest, lines(), audit, profile=profile
    )
    return of(addressing.TOPIC_NAME_BACK, told)


def test_a_name_that_is_right_again_since_the_batch_began_is_told() -> None:
    (back,) = put_right(("c-2", 20, RIGHT), ("c-1", 900, WRONG))
    assert (back.status, back.since) == (Status.OK, ago(20))
    assert len(put_right(("c-2", 20, RIGHT), ("c-1", 900, {}))) == 1
    (moved,) = put_right(("c-2", 50, WRONG), ("c-1", 900, RIGHT), serves="c-1", moved=15)
    assert moved.since == ago(15), "the traffic was sent back to a revision that has it"
    assert put_right(("c-2", 50, WRONG), ("c-1", 900, RIGHT), serves="c-1") == [], "nothing tells since when"
    assert put_right(("c-2", 20, RIGHT), ("c-1", 900, RIGHT)) == [], "it was right all along"
    assert put_right(("c-2", 800, RIGHT), ("c-1", 900, WRONG)) == [], "it was right before the batch began"
    assert put_right(("c-2", 20, WRONG), ("c-1", 900, {})) == []
    assert put_right(("c-2", 20, RIGHT), ("c-1", 900, WRONG), refused=10) == [], "it is refused all the same"


def taken(says: str, *more: Change, counted: dict[float, float] | None = None, refused: bool = False) -> list[Finding]:
    changes = (
        Change(at=ago(30), api="pubsub.googleapis.com", method="SetIamPolicy", resource="topics/t", by="x", says=says),
        *more,
    )
    audit = ChangeLog(source=SOURCE, since=ago(9999), changes=changes)
    policy = ProjectPolicy(source=SOURCE, resource="projects/p", bindings=())
    coordinator = runs(Leg.COMPLETION, ("c-1", 900, {}))
    made, counts = batch(10), took(counted or {39: 10})
    if refused:
        made = batch(10, 0, *(mark(Means.PUBLISH_ERROR, BEGAN - 0.1, f"i{n}", reason="403") for n in range(10)))
        answers = (series({38: 10}, response_class="invalid", response_code="permission_denied"),)
        counts = counts[0], PublishCounts(source=SOURCE, messages=(), requests=answers)
    return of(topic.TAKEN, findings(topic.may_publish, made, TO, audit, policy, counts, *coordinator))


def test_a_right_to_publish_that_was_taken_is_told_until_something_is_published() -> None:
    gone = "remove roles/pubsub.publisher for serviceAccount:c@p"
    back = Change(
        at=ago(20), api="", method="SetIamPolicy", resource="topics/t", by="x", says=gone.replace("remove", "add")
    )
    (found,) = taken(gone)
    assert (found.status, found.bears, found.since) == (Status.WARNING, Bears.APART, ago(30))
    (met,) = taken(gone, refused=True)
    assert (met.bears, met.held) == (Bears.HOLDS, 10), "this topic refused the batch's items"
    assert taken(gone, counted={20: 1}) == taken(gone, back) == taken(gone.replace("c@p", "d@p")) == []


def held(
    *members: str,
    given: float | None = None,
    refused: bool = True,
    accounts: tuple[str, ...] = ("c@p",),
    condition: str = "",
    policies_seen: bool = True,
) -> list[Finding]:
    """What is told of a coordinator whose messages were refused with 403 while these may publish; a role was given so many minutes ago."""
    audit = ChangeLog(
        source=SOURCE,
        since=ago(9999),
        changes=()
        if given is None
        else (
            Change(
                at=ago(given), api="", method="SetIamPolicy", resource="topics/t", by="x",
                says="add roles/pubsub.publisher for serviceAccount:c@p",
            ),
        ),
    )  # fmt: skip
    bindings = (
        Binding(
            role="roles/pubsub.publisher", members=tuple(f"serviceAccount:{m}" for m in members), condition=condition
        ),
    )
    on_topic = ("TopicPolicy", Leg.REQUEST), TopicPolicy(source=SOURCE, resource=TOPIC, bindings=bindings)
    lines_of = (mark(Means.PUBLISH_ERROR, BEGAN - 0.1, f"i{n}", reason="403") for n in range(10)) if refused else ()
    (place, config), _ = runs(Leg.COMPLETION, ("c-1", 900, {}))
    made = tuple(
        RevisionSettings(name=f"c-{n}", created=ago(900), account=account) for n, account in enumerate(accounts)
    )
    ran = ("Revisions", Leg.COMPLETION), Revisions(source=SOURCE, revisions=made)
    deny: tuple[Evidence, ...] = ()
    if policies_seen:
        deny = (DenyPolicies(source=SOURCE, project="projects/p", within=("projects/7",), rules=()),)
    told = findings(topic.may_publish, batch(10, 0, *lines_of), TO, on_topic, audit, (place, config), ran, *deny)
    return of(topic.HELD, told)


def test_who_held_the_role_all_along_was_refused_by_something_else() -> None:
    assert [f.status for f in held("c@p")] == [Status.OK]
    assert held("d@p") == [], "it does not hold it"
    assert held("c@p", policies_seen=False) == [], "a deny policy may take it, which is told under the same cause"
    assert held("c@p", given=20) == held("c@p", given=BEGAN + 3) == [], "it got it since, or too short before"
    assert len(held("c@p", given=BEGAN + 30)) == 1
    assert held("c@p", refused=False) == []
    assert held("c@p", accounts=("c@p", "d@p")) == [], "a revision of before ran as another"
    later = f'request.time >= timestamp("{ago(BEGAN - 5):%Y-%m-%dT%H:%M:%SZ}")'
    assert held("c@p", condition=later) == [], "it was not in force when it was refused"


def denied(made: float | None, counted: dict[float, float], member: str = "c@p") -> list[Finding]:
    """What is said of a deny policy that was made so many minutes ago, while nothing of the batch was refused."""
    rule = DenyRule(
        policy="guardrail",
        on="projects/p",
        principals=(f"principal://iam.googleapis.com/projects/-/serviceAccounts/{member}",),
        permissions=("pubsub.googleapis.com/topics.publish",),
        made=ago(made) if made else None,
    )
    deny = DenyPolicies(source=SOURCE, project="projects/p", within=("projects/7",), rules=(rule,))
    coordinator = runs(Leg.COMPLETION, ("c-1", 900, {}))
    policy = ProjectPolicy(source=SOURCE, resource="projects/p", bindings=())
    return of(topic.DENIED, findings(topic.may_publish, batch(10), TO, deny, policy, took(counted), *coordinator))


def test_a_policy_that_takes_the_right_is_told_before_anything_is_refused() -> None:
    (found,) = denied(30, {39: 10})
    assert (found.status, found.bears, found.since) == (Status.WARNING, Bears.APART, ago(30))
    assert denied(30, {39: 10}, "d@p") == [], "it takes another's"
    assert denied(30, {39: 10, 20: 1}) == [], "the topic took something since"
    assert denied(60, {}) == [], "the batch's lines say that it was published since, and the counter is minutes late"
    assert denied(None, {39: 10}) == [], "of one without a time nothing tells whether it was published under it"


def lacking(counted: dict[float, float], *members: str, above: str = "", sent: int = 0) -> list[Finding]:
    """What is said of a topic whose policy lets these publish, and of which so much is counted, before anything was refused. `sent`: how
    many the batch's own lines say were published."""
    bindings = (Binding(role="roles/pubsub.publisher", members=tuple(f"serviceAccount:{m}" for m in members)),)
    on_topic = ("TopicPolicy", Leg.REQUEST), TopicPolicy(source=SOURCE, resource=TOPIC, bindings=bindings)
    on_project = ProjectPolicy(
        source=SOURCE,
        resource="projects/p",
        bindings=(Binding(role=above, members=("serviceAccount:c@p",)),) if above else (),
    )
    rest = AncestorPolicies(source=SOURCE, project="projects/p", places=()), CustomRoles(source=SOURCE, roles=())
    coordinator = runs(Leg.COMPLETION, ("c-1", 900, {}))
    told = findings(topic.may_publish, batch(10, sent), TO, on_topic, on_project, *rest, took(counted), *coordinator)
    return of(topic.LACKING, told)


def test_a_right_that_nobody_gave_is_told_before_anything_is_published() -> None:
    (found,) = lacking({}, "d@p")
    assert (found.status, found.bears) == (Status.WARNING, Bears.APART)
    assert lacking({}, "c@p") == lacking({}, above="roles/editor") == [], "it is given, there or above"
    assert lacking({39: 1}) == [], "something was published"
    assert lacking({}, sent=10) == [], "its lines say so, and the counter is minutes late"


def two_locks(*known: tuple[Code, Bears, Status]) -> dict[str, tuple[Role, Confidence]]:
    """The verdict on 10 items that were refused for want of a right, with what else was found."""
    told = published.NotPublished(failed=10, answered=10, reason="403", code="permission_denied")
    lost = published.ERRORS.says(
        Status.FAULT, "publishing failed", leg=Leg.REQUEST, bears=Bears.HOLDS, held=10, tells=told
    )
    more = [
        code.says(status, "", leg=Leg.REQUEST, bears=bears, held=10 if bears is Bears.HOLDS else 0)
        for code, bears, status in known
    ]
    live = decide(CATALOGUE, [lost, *more], tuple(Leg)).live
    return {x.match.cause.code: (x.role, x.confidence) for x in live}


def test_a_role_that_was_taken_is_named_beside_what_else_refuses() -> None:
    """Of each it takes more to publish again than to mend the other."""
    denied, elsewhere = (
        (topic.DENIED, Bears.APART, Status.WARNING),
        (addressing.TOPIC_IN_FORCE, Bears.APART, Status.FAULT),
    )
    assert two_locks(denied, (topic.TAKEN, Bears.HOLDS, Status.WARNING)) == {
        "publish-denied-by-policy": (Role.BLOCKS, Confidence.CONFIRMED),
        "publisher-role-missing": (Role.BLOCKS, Confidence.PROBABLE),
    }
    assert two_locks(elsewhere, (topic.TAKEN, Bears.APART, Status.WARNING)) == {
        "request-topic-name-wrong": (Role.BLOCKS, Confidence.CONFIRMED),
        "publisher-role-missing": (Role.LATENT, Confidence.PROBABLE),
    }
    assert "publisher-role-missing" not in two_locks(denied) | two_locks(elsewhere)


def given_back(minutes: float, *more: tuple[float, str], reason: str = "403 User not authorized") -> list[Finding]:
    """What is said of a right that came back so many minutes ago, of a batch whose items were all refused as it began."""
    role = "roles/pubsub.publisher for serviceAccount:c@p"
    made = tuple(
        Change(at=ago(at), api="", method="SetIamPolicy", resource="topics/t", by="x", says=f"{what} {role}")
        for at, what in sorted(((200, "remove"), (minutes, "add"), *more), reverse=True)
    )
    audit = ChangeLog(source=SOURCE, since=ago(9999), changes=made)
    policy = ProjectPolicy(source=SOURCE, resource="projects/p", bindings=())
    lost = [mark(Means.PUBLISH_ERROR, BEGAN - 0.1, f"i{n}", reason=reason) for n in range(10)]
    coordinator = runs(Leg.COMPLETION, ("c-1", 900, {}))
    return of(topic.BACK, findings(topic.may_publish, batch(10, 0, *lost), TO, audit, policy, took({}), *coordinator))


def test_a_right_to_publish_that_came_back_is_told_of_a_batch_that_was_refused_for_want_of_it() -> None:
    (back,) = given_back(10)
    assert (back.status, back.since, back.words["back"]) == (Status.OK, ago(10), f"{ago(10):%H:%M}Z")
    assert given_back(BEGAN + 30) == [], "it was refused since"
    assert given_back(10, (5, "remove")) == [], "it was taken again"
    assert given_back(10, reason="404 Topic not found") == [], "it was refused for another reason"


RUN = "projects/p/locations/us-west2/services/w"


def at(endpoint: str, found: str = "https://w-aaaaaaaaaa-wl.a.run.app", *more: Evidence | Legged) -> list[Finding]:
    """What is said of a subscription that pushes there, where the service `w` of the pipeline's project (number 1) lists the address
    `found`; empty: there is no such service."""
    key, config = service()
    assert isinstance(config, ServiceConfig) and config.settings is not None
    settings = msgspec.structs.replace(config.settings, region="us-west2", uri=found, urls=(found,)) if found else None
    source = msgspec.structs.replace(SOURCE, query=RUN)
    seen = msgspec.structs.replace(config, settings=settings, source=source)
    info = ProjectInfo(source=SOURCE, project="p", number="1")
    return findings(
        routed.routed, batch(10), pushes(), backlog(0, 0), info, (key, seen), changed(push_endpoint=endpoint), *more
    )


ABROAD = (
    "https://w-22.us-west2.run.app/push",
    "https://w-1.us-east1.run.app/push",
    "https://w-bbbbbbbbbb-ue.a.run.app/push",
)
"""Services of the same name: of another project, of another region, and of a region by its code."""


@pytest.mark.parametrize("endpoint", ABROAD)
@pytest.mark.parametrize("here", ["", "https://w-aaaaaaaaaa-wl.a.run.app"])
def test_a_service_of_the_name_in_another_place_is_not_missing_and_the_endpoint_not_wrong(
    endpoint: str, here: str
) -> None:
    told = at(endpoint, here)
    assert of(push_endpoint.ENDPOINT, told) == []
    found = one(push_endpoint.ELSEWHERE, told)
    assert found.status is Status.UNKNOWN
    assert "worker.project" in found.says


def test_an_endpoint_that_was_set_to_another_place_lately_is_wrong_until_something_comes_through() -> None:
    moved = Change(at=ago(60), api="a", method="ModifyPushConfig", resource="subscriptions/s", by="p", says="")
    history = ChangeLog(source=SOURCE, since=ago(9999), changes=(moved,))
    lost = (took({39: 10}), history)
    assert one(push_endpoint.ENDPOINT, at(ABROAD[0], "https://w-aaaaaaaaaa-wl.a.run.app", *lost)).held == 10


@pytest.mark.parametrize("endpoint", ["https://w-1.us-west2.run.app/push", "https://w-aaaaaaaaaa-wl.a.run.app/push"])
def test_a_service_that_is_not_where_its_address_says_is_missing(endpoint: str) -> None:
    assert "w does not exist" in one(push_endpoint.SERVICE_GONE, at(endpoint, "")).says


def test_a_topic_of_another_project_is_told_by_its_full_name() -> None:
    theirs = changed(topic="projects/q/topics/t")
    ours = ("TopicConfig", Leg.REQUEST), TopicConfig(source=SOURCE, name=TOPIC, settings=TopicSettings(name=TOPIC))
    says = one(attachment.OTHER_TOPIC, said(theirs, ours)).says
    assert says == "subscription s belongs to topic projects/q/topics/t, not projects/p/topics/t"
