"""Which topic it is that the worker's completions do not get onto, and whether it may publish to it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    AncestorPolicies,
    Binding,
    Change,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    DenyRule,
    Evidence,
    Leg,
    Mark,
    Means,
    ProjectPolicy,
    PublishCounts,
    RevisionSettings,
    ServiceConfig,
    ServiceSettings,
    TopicConfig,
    TopicPolicy,
    TopicSettings,
)
from diagnostics.pipeline.profile import LegProfile
from diagnostics.steps import returned
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.returned import asks as refusing
from diagnostics.steps.returned import refused, right
from tests.steps.built import (
    PROFILE,
    SOURCE,
    Legged,
    ago,
    batch,
    done,
    findings,
    lines,
    mark,
    of,
    pushes,
    series,
    unseen,
)

OWN = "projects/p/topics/ready"
BOTH = structs.replace(PROFILE, completion=LegProfile(subscription="c", topic="ready"))


def failed(reason: str, topic: str = "", item: str = "a", minutes: float = 30) -> Mark:
    return mark(Means.COMPLETION_ERROR, minutes, item, reason=reason, **({"topic": topic} if topic else {}))


def gone(topic: str = "") -> Mark:
    return failed("404 Resource not found", topic)


def config(exists: bool) -> Legged:
    settings = TopicSettings(name=OWN) if exists else None
    return ("TopicConfig", Leg.COMPLETION), TopicConfig(source=SOURCE, name=OWN, settings=settings)


def said(error: Mark, *found: Legged) -> list[Finding]:
    return findings(returned.returned, batch(4), lines(*done("a", "b"), error), *found, profile=BOTH)


@pytest.mark.parametrize(
    ("named", "exists", "own", "other"),
    [
        ("ready", None, 1, 0),
        ("projects/p/topics/ready", False, 1, 0),
        ("projects/q/topics/ready", True, 0, 1),
        ("elsewhere", None, 0, 1),
        ("elsewhere", True, 0, 1),
        ("", None, 0, 0),
        ("", True, 0, 0),
        ("", False, 1, 0),
    ],
)
def test_a_topic_that_is_not_there_is_the_pipelines_own_or_another_or_nothing_tells(
    named: str, exists: bool | None, own: int, other: int
) -> None:
    found = said(gone(named), *([] if exists is None else [config(exists)]))
    (told,) = refused.TOPIC_MISSING.told(of(refused.TOPIC_MISSING, found))
    assert (told.own, told.other, refused.unnamed(told)) == (own, other, int(not own and not other))


def test_a_topic_that_is_there_again_was_missing() -> None:
    found = said(gone("ready"), config(True))
    (missing,), (back,) = of(refused.TOPIC_MISSING, found), of(refused.TOPIC_BACK, found)
    assert "did not exist" in missing.says and back.words["gone"] == "13:30Z"
    assert not of(refused.TOPIC_BACK, said(gone("elsewhere"), config(True)))


def test_of_two_topics_that_are_gone_the_one_that_the_worker_names_holds() -> None:
    both = of(refused.TOPIC_MISSING, said(gone("elsewhere"), config(False)))
    assert {f.numbers["own"]: bool(f.held) for f in both} == {1: False, 0: bool(both[0].held or both[1].held)}


NONE_BACK = pushes(Leg.COMPLETION)
DENIED_ONCE = "403 User not authorized to perform this action."


def test_each_kind_of_refusal_has_its_own_number_and_time() -> None:
    """The topic was gone until 13:40, and there again without a grant until 13:50: neither is said of the other's completions."""
    lost = [
        failed("404 Resource not found", "ready", item, minutes) for item, minutes in (("a", 30), ("b", 25), ("c", 20))
    ]
    denied = [failed(DENIED_ONCE, "ready", item, minutes) for item, minutes in (("c", 15), ("d", 10))]
    found = of(
        refused.ERRORS,
        findings(
            returned.returned,
            batch(4),
            lines(*done("a", "b", "c", "d"), *lost, *denied),
            config(True),
            NONE_BACK,
            profile=BOTH,
        ),
    )
    told = [(f.numbers["errors"], f.numbers["denied"], f.held, f.since, f.says[:60]) for f in found]
    assert told == [
        (3, 0, 2, ago(30), "3 completions could not be published between 13:30Z and 13:4"),
        (2, 2, 2, ago(15), "2 completions could not be published between 13:45Z and 13:5"),
    ], "the third item was refused for the second reason at last"


SCHEMA = "400 Invalid data in message: Message failed schema validation."
REGION = "400 The region us-west2 is not allowed by the topic's message storage policy."


@pytest.mark.parametrize(
    ("reason", "settings", "asks"),
    [
        (SCHEMA, {"schema": "projects/p/schemas/v2"}, "that match the schema v2"),
        (SCHEMA, {}, None),
        (REGION, {"regions": ("us-east1",), "enforce_in_transit": True}, "that are published in us-east1"),
        (REGION, {"regions": ("us-east1", "us-west2"), "enforce_in_transit": True}, None),
        (REGION, {"regions": ("us-east1",)}, None),
        ("503 unavailable", {"schema": "projects/p/schemas/v2"}, ""),
        (DENIED_ONCE, {"schema": "projects/p/schemas/v2"}, ""),
        ("429 You have exceeded your regional publisher throughput quota.", {}, ""),
    ],
    ids=["schema", "schema gone", "region", "region allowed", "not enforced", "another reason", "a right", "a quota"],
)
def test_what_the_topic_asks_is_told_where_it_is_why_a_completion_was_refused(
    reason: str, settings: dict[str, Any], asks: str | None
) -> None:
    topic = TopicConfig(source=SOURCE, name=OWN, settings=TopicSettings(name=OWN, **settings))
    found = said(failed(reason), (("TopicConfig", Leg.COMPLETION), topic), NONE_BACK)
    told = of(refusing.ASKS, found)
    assert [(f.status, f.held) for f in told] == ([(Status.FAULT, 1)] if asks else [])
    assert not asks or told[0].says.endswith(asks)
    assert bool(of(refusing.ASKS_NO_MORE, found)) is (asks is None)
    (errors,) = refused.ERRORS.told(of(refused.ERRORS, found))
    assert errors.otherwise == int(reason[:3] not in ("403", "429"))


def test_what_fails_for_another_reason_as_well_is_not_over_once_the_topic_asks_no_more() -> None:
    """The schema is gone, and since then publishing fails otherwise."""
    later = [failed(SCHEMA), failed("503 unavailable", item="b", minutes=2)]
    found = findings(returned.returned, batch(4), lines(*done("a", "b"), *later), config(True), NONE_BACK, profile=BOTH)
    assert of(refusing.ASKS_NO_MORE, found) == []
    alone = findings(
        returned.returned, batch(4), lines(*done("a", "b"), later[0]), config(True), NONE_BACK, profile=BOTH
    )
    assert len(of(refusing.ASKS_NO_MORE, alone)) == 1


def test_refused_requests_are_counted_by_the_kind_of_reason() -> None:
    codes = {"permission_denied": 3, "invalid_argument": 2, "not_found": 5, "ok": 50}
    counts = PublishCounts(
        source=SOURCE,
        messages=(),
        requests=tuple(
            series({29: n}, response_class="success" if code == "ok" else "invalid", response_code=code)
            for code, n in codes.items()
        ),
    )
    found = said(failed(SCHEMA), (("PublishCounts", Leg.COMPLETION), counts), NONE_BACK)
    (errors,) = refused.ERRORS.told(of(refused.ERRORS, found))
    assert (errors.counted, errors.rejected) == (3, 2)


def test_a_line_that_names_no_item_is_of_the_item_of_its_request() -> None:
    """Once for each item: not once for the item, and once more for the line."""
    nameless = [structs.replace(failed(DENIED_ONCE, item="", minutes=35), trace=item) for item in "ab"]
    work = [structs.replace(m, trace=m.item) for m in done("a", "b", "c", "d")]
    (found,) = of(
        refused.ERRORS, findings(returned.returned, batch(4), lines(*work, *nameless), NONE_BACK, profile=BOTH)
    )
    assert (found.numbers["errors"], found.held) == (2, 2)


WORKER = RevisionSettings(name="w-1", account="w@p.iam.gserviceaccount.com", created=ago(9000))
SERVICE: Legged = (
    ("ServiceConfig", Leg.REQUEST),
    ServiceConfig(
        source=SOURCE, name="w", settings=ServiceSettings(name="w", region="r", uri="", urls=(), template=WORKER)
    ),
)


def may(reason: str, *found: Legged) -> list[Finding]:
    marks = lines(*done("a"), failed(reason))
    return findings(right.may_report, batch(4), marks, config(True), SERVICE, *found, profile=BOTH)


def policy(member: str = WORKER.account, made: float | None = None) -> Legged:
    rule = DenyRule(
        made=ago(made) if made else None,
        policy="guardrail",
        on="projects/p",
        principals=(f"principal://iam.googleapis.com/projects/-/serviceAccounts/{member}",),
        permissions=("pubsub.googleapis.com/topics.publish",),
    )
    return ("DenyPolicies", None), DenyPolicies(
        source=SOURCE, project="projects/p", within=("projects/7",), rules=(rule,)
    )


def grant(minutes: float, *says: str) -> Legged:
    made = tuple(
        Change(at=ago(minutes - n), method="SetIamPolicy", resource="topics/ready", by="x", says=words, api="pubsub")
        for n, words in enumerate(says)
    )
    return ("ChangeLog", None), ChangeLog(source=SOURCE, since=ago(9000), changes=made)


def published(minutes: float) -> Legged:
    counts = PublishCounts(source=SOURCE, messages=(series({minutes: 2}),), requests=())
    return ("PublishCounts", Leg.COMPLETION), counts


def back_at(item: str, minutes: float) -> list[Mark]:
    return [mark(m, minutes, item) for m in (Means.STARTED_ITEM, Means.DONE_ITEM, Means.RETURNED_ITEM)]


REFUSED = "403 User not authorized to perform this action."
ADDED = f"add roles/pubsub.publisher for serviceAccount:{WORKER.account}"


def test_what_takes_the_workers_right_is_named_where_it_was_refused_for_want_of_it() -> None:
    assert [f.code for f in may(REFUSED, policy())] == [right.DENIED.name]
    assert may(REFUSED, policy("another@p.iam.gserviceaccount.com")) == []
    assert may("503 The service is unavailable", policy()) == []


def test_a_right_that_was_given_back_since_is_back() -> None:
    (back,) = may(REFUSED, grant(20, ADDED))
    assert (back.code, back.status, back.words["back"]) == (right.BACK.name, Status.OK, "13:40Z")
    assert may(REFUSED, grant(39, ADDED)) == [], "refusals went on for longer than a change takes"
    assert may(REFUSED, grant(20, ADDED, ADDED.replace("add", "remove"))) == [], "it was taken again"


NONE_PUBLISHED: Legged = (("PublishCounts", Leg.COMPLETION), PublishCounts(source=SOURCE, messages=(), requests=()))
REMOVED = ADDED.replace("add", "remove")


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ((grant(60, REMOVED),), True),
        ((grant(60, REMOVED, ADDED),), False),
        ((grant(60, ADDED),), False),
        ((grant(60, REMOVED), published(20)), False),
        ((grant(60, REMOVED), published(55)), True),  # a change takes minutes until it is in force
        ((grant(60, REMOVED), unseen("PublishCounts", Leg.COMPLETION), lines(*back_at("a", 20))), False),
        ((grant(60, REMOVED), batch(4, 4, mark(Means.CLOSED, 1))), False),
    ],
    ids=[
        "taken",
        "given back",
        "given",
        "others published since",
        "only before it was in force",
        "one came back",
        "closed",
    ],
)
def test_a_right_that_was_taken_waits_for_the_first_completion(
    evidence: tuple[Legged | Evidence, ...], told: bool
) -> None:
    rest = (batch(4), lines(), config(True), SERVICE, NONE_PUBLISHED, *evidence)
    found = of(right.TAKEN, findings(right.may_report, *rest, profile=BOTH))
    assert [(f.status, f.bears) for f in found] == ([(Status.WARNING, Bears.APART)] if told else [])


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ((policy(made=60),), True),
        ((policy(),), False),  # of one that was always there nothing tells whether batches were done under it
        ((policy("another@p.iam.gserviceaccount.com", made=60),), False),
        ((policy(made=60), published(20)), False),
        ((policy(made=60), unseen("PublishCounts", Leg.COMPLETION), lines(*back_at("a", 20))), False),
        ((policy(made=60), batch(4, 4, mark(Means.CLOSED, 1))), False),
    ],
    ids=["made", "no time", "another's", "others published since", "one came back", "closed"],
)
def test_a_policy_that_was_made_waits_for_the_first_completion(
    evidence: tuple[Legged | Evidence, ...], told: bool
) -> None:
    rest = (batch(4), lines(), config(True), SERVICE, NONE_PUBLISHED, *evidence)
    found = of(right.DENIED, findings(right.may_report, *rest, profile=BOTH))
    assert [(f.status, f.bears) for f in found] == ([(Status.WARNING, Bears.APART)] if told else [])


def topic_policy(*members: str, role: str = "roles/pubsub.publisher") -> Legged:
    bindings = (Binding(role=role, members=tuple(f"serviceAccount:{m}" for m in members)),) if members else ()
    policy = TopicPolicy(source=SOURCE, resource="projects/p/topics/ready", bindings=bindings)
    return ("TopicPolicy", Leg.COMPLETION), policy


NO_GRANT = (
    ProjectPolicy(source=SOURCE, resource="projects/p", bindings=()),
    AncestorPolicies(source=SOURCE, project="projects/p", places=()),
    CustomRoles(source=SOURCE, roles=()),
)


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ((topic_policy(),), [right.LACKING.name]),
        ((topic_policy(WORKER.account),), []),
        ((topic_policy(WORKER.account, role="roles/pubsub.viewer"),), [right.LACKING.name]),
        ((topic_policy("another@p.iam.gserviceaccount.com"),), [right.LACKING.name]),
        ((unseen("TopicPolicy", Leg.COMPLETION),), []),
        ((topic_policy(), unseen("ProjectPolicy", None)), []),
        ((topic_policy(), published(50)), []),
        ((topic_policy(), unseen("PublishCounts", Leg.COMPLETION)), []),
        ((topic_policy(), batch(4, 4, mark(Means.CLOSED, 1))), []),
        ((topic_policy(), lines(*back_at("a", 20))), []),
        ((topic_policy(), grant(60, REMOVED)), [right.TAKEN.name]),
        ((topic_policy(WORKER.account), grant(60, REMOVED)), []),
    ],
    ids=[
        "none",
        "granted",
        "another role",
        "another's",
        "hidden",
        "project hidden",
        "somebody publishes",
        "not counted",
        "closed",
        "one came back",
        "it was taken",
        "taken and granted otherwise",
    ],
)
def test_a_right_that_nobody_gave_waits_for_the_first_completion(
    evidence: tuple[Legged | Evidence, ...], told: list[str]
) -> None:
    rest = (batch(4), lines(), config(True), SERVICE, NONE_PUBLISHED, *NO_GRANT, *evidence)
    assert [f.code for f in findings(right.may_report, *rest, profile=BOTH)] == told


def limited_to(*regions: str, enforced: bool = True) -> Legged:
    settings = TopicSettings(name=OWN, regions=regions, enforce_in_transit=enforced)
    return ("TopicConfig", Leg.COMPLETION), TopicConfig(source=SOURCE, name=OWN, settings=settings)


def topic_set(minutes: float) -> Evidence:
    made = Change(
        at=ago(minutes), api="pubsub.googleapis.com", method="UpdateTopic", resource="topics/ready", by="person"
    )
    return ChangeLog(source=SOURCE, since=ago(9000), changes=(made,))


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ((limited_to("us-east1"), topic_set(60)), True),
        ((limited_to("us-east1", "r"), topic_set(60)), False),
        ((limited_to("us-east1", enforced=False), topic_set(60)), False),
        ((limited_to("us-east1"), topic_set(60), published(20)), False),
        ((limited_to("us-east1"), topic_set(60), lines(*back_at("a", 20))), False),
        ((limited_to("us-east1"), topic_set(60), lines(failed(REGION))), False),
        ((limited_to("us-east1"),), False),
    ],
    ids=["waits", "allowed", "not enforced", "others published since", "one came back", "one was refused", "no time"],
)
def test_regions_that_were_set_wait_for_the_first_completion(
    evidence: tuple[Legged | Evidence, ...], told: bool
) -> None:
    rest = (batch(4), lines(), SERVICE, NONE_PUBLISHED, *evidence)
    found = of(refusing.ASKS, findings(right.may_report, *rest, profile=BOTH))
    assert [(f.status, f.bears) for f in found] == ([(Status.WARNING, Bears.APART)] if told else [])


@pytest.mark.parametrize(("minutes", "status"), [(None, Status.UNKNOWN), (0.5, Status.OK)])
def test_where_no_item_is_known_to_lack_its_completion_it_is_open_whose_were_refused(
    minutes: float | None, status: Status
) -> None:
    """Never OK on missing data: the lines name no item, and the batch's own may be among them, unless some came back since."""
    error = failed("403 User not authorized to perform this action.", item="", minutes=1)
    since = [] if minutes is None else [*done("a"), mark(Means.RETURNED_ITEM, minutes, "a")]
    (told,) = of(refused.ERRORS, findings(returned.returned, batch(4), lines(*since, error), profile=BOTH))
    assert (told.status, told.until is None) == (status, status is Status.UNKNOWN)
    assert ("nothing tells" in told.says) is (status is Status.UNKNOWN)
