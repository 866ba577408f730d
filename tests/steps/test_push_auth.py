"""Sign-in: what the policies do not tell, what pushes that got in refute, and which refusal settles what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import decide
from diagnostics.evidence.model import (
    Above,
    AncestorPolicies,
    Binding,
    Change,
    ChangeLog,
    CustomRoles,
    DenyPolicies,
    DenyRule,
    Leg,
    LiveCall,
    LiveHealth,
    LogRow,
    Mark,
    Means,
    Point,
    ProjectInfo,
    ProjectPolicy,
    Provenance,
    PushAccount,
    PushAccountPolicy,
    PushCounts,
    RequestLog,
    RevisionSettings,
    Series,
    ServiceConfig,
    ServicePolicy,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
    Why,
)
from diagnostics.readings.ledger import Attempt, Count, DeadLetters, Ledger
from diagnostics.readings.stakes import Stakes
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.push_auth import push_auth
from diagnostics.steps.push_auth.may_call import may_call
from diagnostics.steps.push_auth.may_mint import may_mint

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
PUBSUB = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"
URL = "https://worker-abc-wl.a.run.app"
EMAIL = "push@p.iam.gserviceaccount.com"
ACCOUNT, AGENT = f"serviceAccount:{EMAIL}", "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com"
NO_PERMISSION = "Forbidden: Your client does not have permission to get URL from this server."
NO_SIGN_IN = "The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header."
LET_IN = Binding(role="roles/run.invoker", members=(ACCOUNT,))
NO_DENIALS = Unseen(what="DenyPolicies", why=Why.NOT_ASKED, says="nothing is refused")
MINTS = Binding(role="roles/pubsub.serviceAgent", members=(AGENT,))


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def batch(started: float = 30, published: int = 40, acked: int = 0) -> Ledger:
    """A batch that began so many minutes ago, with so many items published and acked."""
    begun = Mark(
        means=Means.CREATED, at=ago(started), service="coordinator", batch="b1", numbers={"expected": published}
    )
    stages = (Stage.PUBLISHED, Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED)
    counts = {s: Count(n, n) for s, n in zip(stages, (published, *[acked] * 4), strict=True)}
    return Ledger(attempt=Attempt(batch="b1", marks=[begun]), expected=published, counts=counts)


def unseen(kind: str, permission: str = "x.y.getIamPolicy") -> Unseen:
    return Unseen(what=kind, why=Why.PERMISSION_DENIED, says=f"{permission} is missing", permission=permission)


def subscription(**changes: Any) -> SubscriptionConfig:
    settings: dict[str, Any] = {
        "name": "projects/p/subscriptions/s",
        "topic": "projects/p/topics/t",
        "push_endpoint": f"{URL}/push",
        "push_account": EMAIL,
        "audience": URL,
        "ack_deadline_s": 300.0,
    }
    return SubscriptionConfig(source=SOURCE, settings=SubscriptionSettings(**(settings | changes)))


def service(**changes: Any) -> ServiceConfig:
    template = RevisionSettings(name="worker-1", created=ago(9999))
    settings: dict[str, Any] = {"name": "worker", "region": "r", "uri": URL, "urls": (URL,), "template": template}
    return ServiceConfig(source=SOURCE, name="worker", settings=ServiceSettings(**(settings | changes)))


def policy(*bindings: Binding) -> ServicePolicy:
    return ServicePolicy(source=SOURCE, resource="projects/p/locations/r/services/worker", bindings=bindings)


def project_policy(*bindings: Binding) -> ProjectPolicy:
    return ProjectPolicy(source=SOURCE, resource="projects/p", bindings=bindings)


def account_policy(*bindings: Binding) -> PushAccountPolicy:
    return PushAccountPolicy(source=SOURCE, resource=f"projects/p/serviceAccounts/{EMAIL}", bindings=bindings)


def row(minutes: float, status: int, text: str = "", instance: str = "", agent: str = PUBSUB) -> LogRow:
    return LogRow(
        at=ago(minutes),
        method="POST",
        path="/push",
        status=status,
        latency_s=0.1,
        user_agent=agent,
        instance=instance,
        text=text,
    )


def refused(status: int, text: str, first: float, last: float = 0) -> list[LogRow]:
    return [row(m, status, text) for m in range(int(first), int(last) - 1, -1)]


def answered(first: float, last: float = 0, status: int = 200) -> list[LogRow]:
    return [row(m, status, instance="i-1") for m in range(int(first), int(last) - 1, -1)]


def log(*rows: Iterable[LogRow], whole: bool = True) -> RequestLog:
    found = sorted((r for these in rows for r in these), key=lambda r: r.at)
    return RequestLog(
        source=Provenance(source="test", fetched_at=NOW, as_of=NOW, complete=whole),
        push_path="/push",
        refused=tuple(r for r in found if r.status >= 300),
        fine=tuple(r for r in found if r.status < 300),
    )


def pushes(minutes: Iterable[int] = (), **classes: float) -> PushCounts:
    series = tuple(
        Series(
            labels={"response_class": name},
            points=tuple(Point(start=ago(m + 1), end=ago(m), value=n) for m in sorted(minutes, reverse=True)),
        )
        for name, n in classes.items()
    )
    return PushCounts(source=Provenance(source="test", fetched_at=NOW, as_of=ago(2)), series=series)


def changes(*made: tuple[float, str, str, str]) -> ChangeLog:
    """Minutes ago, resource, method, what it says."""
    listed = tuple(
        Change(at=ago(m), api="x.googleapis.com", method=method, resource=resource, by="person-1", says=says)
        for m, resource, method, says in made
    )
    return ChangeLog(source=SOURCE, since=ago(9999), changes=listed)


def findings(leg: Leg = Leg.REQUEST, **given: Any) -> list[Finding]:
    """What the three steps say. By default all is granted, everything was read, and nothing was pushed or changed."""
    seen: dict[str, Any] = {
        "ledger": batch(),
        "subscription": subscription(),
        "service": service(),
        "policy": policy(LET_IN),
        "project_policy": project_policy(MINTS),
        "above": AncestorPolicies(source=SOURCE, project="projects/p", places=()),
        "roles": CustomRoles(source=SOURCE, roles=()),
        "project": ProjectInfo(source=SOURCE, project="p", number="42"),
        "account": PushAccount(source=SOURCE, email=EMAIL, exists=True),
        "account_policy": account_policy(),
        "pushes": pushes(),
        "log": log(),
        "live": unseen("LiveHealth"),
        "traffic": unseen("ReceiverTraffic"),
        "changes": changes(),
        "deny": NO_DENIALS,
    } | given
    of = {name: seen[name] for name in ("ledger", "subscription", "pushes", "log")}

    def more(*names: str) -> dict[str, Any]:
        return of | {name: seen[name] for name in names}

    return [
        *push_auth(leg, now=NOW, **more("service", "live", "traffic")),
        *may_call(leg, now=NOW, **more("service", "policy", "project_policy", "above", "roles", "deny", "changes")),
        *may_mint(
            leg,
            now=NOW,
            **more("project", "project_policy", "account", "account_policy", "above", "roles", "deny", "changes"),
        ),
    ]


def statuses(found: Iterable[Finding]) -> dict[str, Status]:
    return {f.code.removeprefix("push_auth."): f.status for f in found}


def one(found: Iterable[Finding], code: str) -> Finding:
    (finding,) = (f for f in found if f.code == f"push_auth.{code}")
    return finding


def named(found: Iterable[Finding]) -> dict[str, tuple[Role, Confidence]]:
    verdict = decide(CATALOGUE, list(found), (Leg.REQUEST, Leg.COMPLETION), Stakes())
    return {x.match.cause.code: (x.role, x.confidence) for x in verdict.live}


INVOKER, AUDIENCE = "push-invoker-missing", "push-audience-mismatch"
SURE, LIKELY = Confidence.CONFIRMED, Confidence.PROBABLE


# --- a grant is granted, missing, or cannot be told ---------------------------------------------------------------------


def test_nothing_pushed_and_all_granted_says_that_it_is_granted_and_no_more() -> None:
    assert statuses(findings()) == {"granted": Status.OK}


def test_a_missing_grant_and_403s_of_the_front_end_is_sure() -> None:
    found = findings(policy=policy(), log=log(answered(60, 31), refused(403, NO_SIGN_IN, 30)))
    assert statuses(found) == {"forbidden": Status.FAULT, "invoker": Status.FAULT}
    assert named(found) == {INVOKER: (Role.BLOCKS, SURE)}
    assert one(found, "invoker").held == one(found, "forbidden").held == 40


def test_a_missing_grant_is_since_it_was_taken_and_its_refusals_since_the_first_of_them() -> None:
    taken = (50.0, "services/worker", "SetIamPolicy", f"remove roles/run.invoker for {ACCOUNT}")
    found = findings(policy=policy(), log=log(answered(60, 51), refused(403, NO_SIGN_IN, 28)), changes=changes(taken))
    assert one(found, "invoker").since == ago(50)
    assert one(found, "forbidden").since == ago(28)


@pytest.mark.parametrize(
    "binding",
    [
        Binding(role="roles/run.invoker", members=("group:person-1f0c",)),
        Binding(role="roles/run.invoker", members=("domain:example.com",)),
        Binding(role="projects/p/roles/caller", members=(ACCOUNT,)),
        Binding(role="organizations/7/roles/caller", members=(ACCOUNT,)),
        Binding(
            role="roles/run.invoker", members=(ACCOUNT,), condition="resource.type == 'run.googleapis.com/Service'"
        ),
    ],
    ids=["group", "domain", "custom role", "custom role of the organisation", "condition"],
)
def test_what_may_grant_it_is_unknown_whatever_else_fails(binding: Binding) -> None:
    """No refusal, any 4xx, or a 403 that is said without a token, too: none of them makes a missing grant of it."""
    for fails in (
        {},
        {"pushes": pushes(range(3, 29), remote_server_4xx=2), "log": unseen("RequestLog")},
        {"log": log(refused(403, NO_SIGN_IN, 28))},
    ):
        found = findings(policy=policy(binding), **fails)
        assert statuses(found)["unseen"] is Status.UNKNOWN
        assert "invoker" not in statuses(found)
        assert INVOKER not in named(found)
        assert one(found, "unseen").mend.startswith("gcloud policy-intelligence troubleshoot-policy iam")


@pytest.mark.parametrize("hidden", ["policy", "project_policy"])
def test_a_hidden_policy_is_unknown_with_the_permission_that_shows_it(hidden: str) -> None:
    told: dict[str, Any] = {"policy": policy(), hidden: unseen("Hidden", "a.b.getIamPolicy")}
    if hidden == "project_policy":
        told["account_policy"] = account_policy(Binding(role="roles/iam.serviceAccountTokenCreator", members=(AGENT,)))
    found = findings(pushes=pushes(range(3, 29), remote_server_4xx=2), log=unseen("RequestLog"), **told)
    assert statuses(found) == {"unseen": Status.UNKNOWN}
    assert one(found, "unseen").words["permission"] == "a.b.getIamPolicy"


def test_google_says_that_the_right_lacks_and_a_hidden_policy_does_not_is_likely_at_most() -> None:
    hidden = unseen("ProjectPolicy")
    minting = account_policy(Binding(role="roles/iam.serviceAccountTokenCreator", members=(AGENT,)))
    found = findings(
        policy=policy(), project_policy=hidden, account_policy=minting, log=log(refused(403, NO_PERMISSION, 28))
    )
    assert statuses(found)["invoker"] is Status.WARNING
    assert named(found) == {INVOKER: (Role.BLOCKS, LIKELY)}


def test_a_group_that_is_let_in_and_403s_for_lack_of_the_right_is_likely_at_most() -> None:
    group = Binding(role="roles/run.invoker", members=("group:person-1f0c",))
    found = findings(policy=policy(group), log=log(refused(403, NO_PERMISSION, 28)))
    assert named(found) == {INVOKER: (Role.BLOCKS, LIKELY)}


GROUP = Binding(role="roles/run.invoker", members=("group:person-1f0c",))
TOOK = (50.0, "services/worker", "SetIamPolicy", f"remove roles/run.invoker for {ACCOUNT}")


def test_a_role_that_was_taken_and_403s_since_then_is_likely_whatever_google_says() -> None:
    found = findings(
        policy=policy(GROUP), log=log(answered(60, 51), refused(403, NO_SIGN_IN, 28)), changes=changes(TOOK)
    )
    assert named(found) == {INVOKER: (Role.BLOCKS, LIKELY)}
    assert one(found, "invoker").since == ago(50)


@pytest.mark.parametrize(
    ("made", "rows"),
    [
        ((), answered(60, 51)),
        ((TOOK,), answered(60, 31)),
        ((TOOK, (40.0, "services/worker", "SetIamPolicy", f"add roles/run.invoker for {ACCOUNT}")), answered(60, 51)),
        (((50.0, "services/other", "SetIamPolicy", f"remove roles/run.invoker for {ACCOUNT}"),), answered(60, 51)),
        (((20.0, "services/worker", "SetIamPolicy", f"remove roles/run.invoker for {ACCOUNT}"),), answered(60, 51)),
    ],
    ids=("none taken", "pushes got in since", "given back", "of another service", "taken after the first refusal"),
)
def test_a_sentence_that_may_mean_no_token_is_not_taken_for_a_missing_role_by_itself(
    made: tuple[tuple[float, str, str, str], ...], rows: list[LogRow]
) -> None:
    found = findings(policy=policy(GROUP), log=log(rows, refused(403, NO_SIGN_IN, 28)), changes=changes(*made))
    assert named(found) == {}


def test_refusals_that_ended_before_the_role_was_given_back_accuse_nobody() -> None:
    back = (8.0, "services/worker", "SetIamPolicy", f"add roles/run.invoker for {ACCOUNT}")
    spent = log(refused(403, NO_PERMISSION, 28, 10))
    assert named(findings(policy=policy(GROUP), log=spent)) == {INVOKER: (Role.BLOCKS, LIKELY)}
    assert named(findings(policy=policy(GROUP), log=spent, changes=changes(back))) == {}


def test_a_missing_grant_without_the_log_is_likely_at_most() -> None:
    found = findings(policy=policy(), pushes=pushes(range(3, 29), remote_server_4xx=2), log=unseen("RequestLog"))
    assert named(found) == {INVOKER: (Role.BLOCKS, LIKELY)}


def test_a_missing_grant_that_nothing_has_met_holds_nothing_and_is_likely_at_most() -> None:
    found = findings(policy=policy())
    assert one(found, "invoker").bears is Bears.APART
    assert named(found) == {INVOKER: (Role.LATENT, LIKELY)}


@pytest.mark.parametrize("status", [429, 500, 401, 403])
def test_pushes_that_containers_answer_prove_sign_in_whatever_iam_shows(status: int) -> None:
    """The application's own 401 and 403 among them."""
    fails = pushes(range(3, 29), **{f"remote_server_{status // 100}xx": 2})
    for told in ({"policy": policy()}, {"policy": unseen("ServicePolicy"), "project_policy": unseen("ProjectPolicy")}):
        found = findings(log=log(answered(28, 0, status)), pushes=fails, **told)
        assert statuses(found) == {"proven": Status.OK}


def test_acks_prove_sign_in_though_the_log_is_hidden() -> None:
    found = findings(policy=policy(), pushes=pushes(range(2, 29), ack=3), log=unseen("RequestLog"))
    assert statuses(found) == {"proven": Status.OK}


def test_some_4xx_of_an_unknown_hand_beside_acks_clear_nothing_and_accuse_nobody() -> None:
    mixed = pushes(range(2, 29), ack=3, remote_server_4xx=3)
    assert statuses(findings(policy=policy(), pushes=mixed, log=unseen("RequestLog"))) == {}


def test_pushes_that_got_in_before_the_batch_and_a_grant_that_is_nowhere_cannot_be_told() -> None:
    found = findings(policy=policy(), log=log(answered(60, 40)))
    assert statuses(found) == {"unseen": Status.UNKNOWN}
    assert "yet a push got in at 13:20Z" in one(found, "unseen").says


def test_a_grant_that_was_taken_after_the_last_push_will_bite_next() -> None:
    taken = (20.0, "services/worker", "SetIamPolicy", f"remove roles/run.invoker for {ACCOUNT}")
    found = findings(ledger=batch(60, 40, 40), policy=policy(), log=log(answered(60, 40)), changes=changes(taken))
    assert statuses(found)["invoker"] is Status.FAULT
    assert named(found)[INVOKER][0] is Role.LATENT


def test_a_grant_whose_time_was_over_after_the_last_push_will_bite_next() -> None:
    over = Binding(
        role="roles/run.invoker", members=(ACCOUNT,), condition=f'request.time < timestamp("{ago(20).isoformat()}")'
    )
    found = findings(ledger=batch(60, 40, 40), policy=policy(over), log=log(answered(60, 40)))
    assert (one(found, "invoker").status, one(found, "invoker").since) == (Status.FAULT, ago(20))
    assert named(found)[INVOKER][0] is Role.LATENT
    after = findings(ledger=batch(60, 40, 40), policy=policy(over), log=log(answered(60, 10)))
    assert INVOKER not in named(after), "another grant lets them in"


# --- each refusal apart, and when ----------------------------------------------------------------------------------------


def test_refusals_that_healed_are_told_in_the_past_and_are_no_warning() -> None:
    found = findings(ledger=batch(60, 40, 40), log=log(refused(403, NO_SIGN_IN, 60, 50), answered(49, 20)))
    forbidden = one(found, "forbidden")
    assert (forbidden.status, forbidden.since, forbidden.until) == (Status.OK, ago(60), ago(50))
    assert "11 pushes were refused" in forbidden.says
    assert not any(f.abnormal for f in found)


def test_refusals_of_hours_ago_are_not_now_though_nothing_was_pushed_since() -> None:
    found = findings(ledger=batch(20), log=log(refused(403, NO_SIGN_IN, 200, 180)))
    assert one(found, "forbidden").status is Status.OK
    assert one(found, "forbidden").until == ago(180)


def test_refusals_that_used_up_the_batch_still_hold_it() -> None:
    """All items were dead-lettered after ten minutes, and nothing is pushed any more."""
    found = findings(ledger=batch(120), policy=policy(), log=log(refused(403, NO_SIGN_IN, 118, 105)))
    assert one(found, "forbidden").bears is Bears.HOLDS
    assert named(found) == {INVOKER: (Role.BLOCKS, SURE)}


def put_aside(started: float = 120) -> Ledger:
    """A batch of forty, all in the dead-letter topic."""
    return replace(batch(started), dead_letters={Leg.REQUEST: DeadLetters(messages=40, ours=40, could_wait=0)})


def test_refusals_that_used_up_the_batch_are_over_and_what_is_set_up_wrong_is_not() -> None:
    spent: dict[str, Any] = {"ledger": put_aside(), "log": log(refused(403, NO_SIGN_IN, 118, 105))}
    healed, lasting = findings(**spent), findings(**spent, policy=policy())
    assert (one(healed, "forbidden").status, one(healed, "forbidden").until) == (Status.OK, ago(105))
    assert named(healed) == {}
    assert one(lasting, "invoker").bears is Bears.HOLDS
    assert named(lasting) == {INVOKER: (Role.BLOCKS, SURE)}


def test_refusals_of_just_now_are_not_over_though_the_batch_is_used_up() -> None:
    found = findings(ledger=put_aside(), log=log(refused(403, NO_SIGN_IN, 118, 4)))
    assert one(found, "forbidden").bears is Bears.HOLDS


def test_refusals_beside_pushes_that_get_in_slow_and_do_not_hold() -> None:
    turns = [row(m / 2, 403, NO_SIGN_IN) if m % 2 else row(m / 2, 200, instance="i-1") for m in range(40)]
    forbidden = one(findings(log=log(turns)), "forbidden")
    assert (forbidden.status, forbidden.bears, forbidden.held) == (Status.WARNING, Bears.SLOWS, 0)


def test_401_and_403_are_two_findings_each_with_its_own_time() -> None:
    """Somebody mended the audience and meets the grant that lacks as well."""
    rows = log(refused(401, "The access token could not be verified.", 28, 15), refused(403, NO_PERMISSION, 14))
    found = findings(policy=policy(), log=rows)
    assert (one(found, "refused").status, one(found, "refused").until) == (Status.OK, ago(15))
    assert (one(found, "forbidden").status, one(found, "forbidden").since) == (Status.FAULT, ago(14))
    assert named(found) == {INVOKER: (Role.BLOCKS, SURE)}


def test_a_log_that_was_cut_gives_no_count_but_a_least_one() -> None:
    found = findings(policy=policy(), log=log(refused(403, NO_SIGN_IN, 28), whole=False))
    assert "29 or more pushes refused" in one(found, "forbidden").says


def test_refusals_on_a_finished_batch_touch_no_item() -> None:
    found = findings(ledger=batch(60, 40, 40), policy=policy(), log=log(answered(58, 30), refused(403, NO_SIGN_IN, 5)))
    assert one(found, "forbidden").bears is Bears.APART
    assert one(found, "invoker").bears is Bears.APART


def test_nothing_is_cleared_beside_refusals() -> None:
    found = findings(log=log(refused(401, "", 28)))
    assert not {"proven", "granted"} & statuses(found).keys()


# --- which refusal settles what --------------------------------------------------------------------------------------------


def test_a_wrong_audience_and_401s_is_sure() -> None:
    wrong = subscription(audience="https://elsewhere-abc-wl.a.run.app")
    rows = log(answered(90, 61), refused(401, "The access token could not be verified.", 28))
    switched = (40.0, "subscriptions/s", "ModifyPushConfig", "audience=https://elsewhere-abc-wl.a.run.app")
    repaired = (5.0, "subscriptions/s", "UpdateSubscription", "audience=https://elsewhere-abc-wl.a.run.app")
    found = findings(subscription=wrong, log=rows, changes=changes(switched, repaired))
    assert named(found) == {AUDIENCE: (Role.BLOCKS, SURE)}
    assert one(found, "audience").since == ago(40)


def test_a_wrong_audience_is_not_what_403s_come_from() -> None:
    wrong = subscription(audience="https://elsewhere-abc-wl.a.run.app")
    found = findings(subscription=wrong, log=log(refused(403, NO_PERMISSION, 28)))
    assert one(found, "audience").bears is Bears.APART
    assert named(found)[AUDIENCE] == (Role.LATENT, LIKELY)


def test_a_missing_grant_is_not_what_401s_come_from_but_would_be_met_next() -> None:
    found = findings(policy=policy(), log=log(refused(401, "The access token could not be verified.", 28)))
    assert named(found)[INVOKER] == (Role.BLOCKS, LIKELY)
    assert one(found, "refused").bears is Bears.HOLDS


def test_older_tokens_still_get_in_for_an_hour_after_the_audience_was_changed() -> None:
    wrong = subscription(audience="https://elsewhere-abc-wl.a.run.app")
    switched = (20.0, "subscriptions/s", "ModifyPushConfig", "audience=https://elsewhere-abc-wl.a.run.app")
    found = findings(subscription=wrong, log=log(answered(28)), changes=changes(switched))
    assert statuses(found) == {"proven": Status.OK, "audience": Status.FAULT}
    assert one(found, "audience").bears is Bears.APART
    assert "audience" not in statuses(findings(subscription=wrong, log=log(answered(28))))


def test_the_endpoint_as_audience_gets_the_benefit_of_the_doubt_until_401() -> None:
    unset = subscription(audience="")
    assert "audience" not in statuses(findings(subscription=unset))
    assert "audience" not in statuses(findings(subscription=unset, log=log(refused(403, NO_PERMISSION, 28))))
    assert "audience" in statuses(findings(subscription=unset, log=log(refused(401, "", 28))))


def test_a_proxy_in_front_is_said_and_neither_audience_nor_grant_is_blamed() -> None:
    switched = (40.0, "services/worker", "UpdateService", "iapEnabled=True")
    found = findings(
        service=service(iap=True), policy=policy(), log=log(refused(401, "", 28)), changes=changes(switched)
    )
    assert statuses(found) == {"refused": Status.FAULT, "iap": Status.FAULT}
    assert (one(found, "iap").bears, one(found, "iap").since) == (Bears.HOLDS, ago(40))
    assert named(found) == {"iap-in-front": (Role.BLOCKS, SURE)}


@pytest.mark.parametrize("status", [401, 403])
def test_what_cloud_run_says_behind_a_proxy_it_says_to_the_proxys_own_account(status: int) -> None:
    """The proxy is asked first, and comes to Cloud Run as itself (IAP for Cloud Run page)."""
    found = findings(service=service(iap=True), policy=policy(), log=log(refused(status, NO_SIGN_IN, 28)))
    assert one(found, "unseen").status is Status.UNKNOWN and not [f for f in found if f.code == "push_auth.iap"]
    assert "iap-in-front" not in named(found)


def test_a_proxy_in_front_that_lets_pushes_in_is_no_fault_and_one_that_nothing_tried_is_unknown() -> None:
    own = subscription(audience="1234.apps.googleusercontent.com")
    assert statuses(findings(service=service(iap=True), subscription=own, log=log(answered(28)))) == {
        "proven": Status.OK
    }
    assert statuses(findings(service=service(iap=True), subscription=own)) == {"unseen": Status.UNKNOWN}
    since_then = changes((20.0, "services/worker", "UpdateService", "iapEnabled=True"))
    untried = findings(service=service(iap=True), subscription=own, log=log(answered(39, 28)), changes=since_then)
    assert statuses(untried)["unseen"] is Status.UNKNOWN
    long_ago = changes((39.0, "services/worker", "UpdateService", "iapEnabled=True"))
    tried = findings(service=service(iap=True), subscription=own, log=log(answered(28)), changes=long_ago)
    assert statuses(tried) == {"proven": Status.OK}


def test_no_token_where_one_is_wanted() -> None:
    found = findings(subscription=subscription(push_account=""), policy=policy(), log=log(refused(403, NO_SIGN_IN, 28)))
    assert statuses(found) == {"forbidden": Status.FAULT, "no_token": Status.FAULT}
    assert one(found, "no_token").bears is Bears.HOLDS
    assert named(found) == {"push-token-missing": (Role.BLOCKS, SURE)}


def test_no_token_and_a_hidden_policy_is_unknown_for_everybody_may_be_let_in() -> None:
    found = findings(subscription=subscription(push_account=""), policy=unseen("ServicePolicy"))
    assert statuses(found) == {"unseen": Status.UNKNOWN}


@pytest.mark.parametrize("open_to_all", [{"policy": policy(Binding(role="roles/run.invoker", members=("allUsers",)))}])
def test_no_token_where_none_is_wanted_is_fine(open_to_all: dict[str, Any]) -> None:
    assert statuses(findings(subscription=subscription(push_account=""), **open_to_all)) == {"granted": Status.OK}
    assert statuses(findings(service=service(invoker_iam_disabled=True), policy=policy())) == {"granted": Status.OK}


def test_a_closed_ingress_and_4xx_that_no_log_has() -> None:
    closed = (25.0, "services/worker", "UpdateService", "ingress=INGRESS_TRAFFIC_NONE")
    found = findings(
        service=service(ingress="none"),
        pushes=pushes(range(3, 24), remote_server_4xx=2),
        log=log(answered(60, 31, 400)),
        changes=changes(closed),
    )
    assert statuses(found) == {"silent": Status.FAULT, "ingress": Status.FAULT}
    assert (one(found, "ingress").bears, one(found, "ingress").since) == (Bears.HOLDS, ago(25))
    assert one(found, "silent").since == ago(24)


SHUT_DOORS: dict[str, dict[str, Any]] = {
    "ingress": {"ingress": "none"},
    "default_url": {"default_uri_disabled": True},
}
BEHIND: dict[str, dict[str, Any]] = {
    "audience": {"subscription": subscription(audience="https://worker.example.com")},
    "invoker": {"policy": policy()},
    "no_token": {"subscription": subscription(push_account=""), "policy": policy()},
}
UNLOGGED = pushes(range(3, 24), remote_server_4xx=2)


@pytest.mark.parametrize("door", SHUT_DOORS)
@pytest.mark.parametrize("behind", BEHIND)
def test_no_push_that_ingress_refuses_meets_what_is_wrong_behind_it(door: str, behind: str) -> None:
    found = findings(service=service(**SHUT_DOORS[door]), pushes=UNLOGGED, **BEHIND[behind])
    assert (one(found, door).bears, one(found, door).held) == (Bears.HOLDS, 40)
    assert (one(found, behind).status, one(found, behind).bears) == (Status.FAULT, Bears.APART)
    at_the_door = {"ingress": "ingress-closed", "default_url": "default-url-off"}[door]
    assert {code: role for code, (role, _) in named(found).items() if role is not Role.LATENT} == {
        at_the_door: Role.BLOCKS
    }


@pytest.mark.parametrize("behind", BEHIND)
def test_refusals_that_no_log_has_speak_for_what_is_wrong_where_ingress_is_open(behind: str) -> None:
    assert one(findings(pushes=UNLOGGED, **BEHIND[behind]), behind).bears is Bears.HOLDS


def test_a_logged_401_behind_a_closed_ingress_still_speaks_for_the_audience() -> None:
    rows = log(refused(401, "The access token could not be verified.", 28))
    found = findings(service=service(ingress="none"), log=rows, **BEHIND["audience"])
    assert named(found) == {AUDIENCE: (Role.BLOCKS, SURE), "ingress-closed": (Role.LATENT, LIKELY)}
    assert one(found, "ingress").bears is Bears.APART


@pytest.mark.parametrize(("closed", "bears"), [(25, Bears.APART), (10, Bears.HOLDS)])
def test_an_ingress_that_was_closed_while_pushes_were_refused_does_not_explain_the_first_of_them(
    closed: float, bears: Bears
) -> None:
    made = changes((closed, "services/worker", "UpdateService", "ingress=INGRESS_TRAFFIC_NONE"))
    found = findings(service=service(ingress="none"), pushes=UNLOGGED, changes=made, **BEHIND["audience"])
    assert one(found, "audience").bears is bears


def test_a_service_that_lists_no_url_is_told_without_one() -> None:
    pushing = subscription(
        push_endpoint="https://worker-42.europe-west1.run.app/push", audience="https://worker.example.com"
    )
    found = findings(service=service(default_uri_disabled=True, uri="", urls=()), subscription=pushing)
    assert "neither a URL of worker nor a custom audience" in one(found, "audience").says


def test_internal_ingress_admits_pubsub() -> None:
    assert statuses(findings(service=service(ingress="internal"))) == {"granted": Status.OK}


# --- who mints ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shown", [{}, {"pushes": pushes(range(3, 29), internal=2)}], ids=["nothing", "internal errors"]
)
def test_no_grant_to_mint_and_nothing_sent_since_the_batch_began_holds_it(shown: dict[str, Any]) -> None:
    minting = one(findings(project_policy=project_policy(), **shown), "minting")
    assert (minting.status, minting.bears, minting.held) == (Status.FAULT, Bears.HOLDS, 40)
    assert "add-iam-policy-binding" in minting.words["mend"]


def test_no_grant_to_mint_holds_no_batch_that_has_only_begun() -> None:
    found = findings(ledger=batch(3), project_policy=project_policy())
    assert one(found, "minting").bears is Bears.APART
    assert named(found) == {"push-token-not-minted": (Role.LATENT, LIKELY)}


def test_403s_of_a_caller_without_the_right_come_with_a_token_so_it_is_not_the_minting() -> None:
    """A token may be an hour old: what could be minted then is still used, and is refused for want of the grant."""
    lacks = log(refused(403, NO_PERMISSION, 28))
    found = findings(project_policy=project_policy(), policy=policy(), log=lacks)
    assert (one(found, "minting").bears, one(found, "invoker").bears) == (Bears.APART, Bears.HOLDS)
    unsigned = findings(project_policy=project_policy(), log=log(refused(403, NO_SIGN_IN, 28)))
    assert one(unsigned, "minting").bears is Bears.HOLDS


def test_401s_come_with_a_token_so_it_is_not_the_minting() -> None:
    found = findings(
        project_policy=project_policy(), log=log(refused(401, "The access token could not be verified.", 28))
    )
    assert one(found, "minting").bears is Bears.APART


def test_pushes_that_get_in_refute_a_grant_to_mint_that_is_nowhere() -> None:
    assert statuses(findings(project_policy=project_policy(), log=log(answered(28)))) == {"proven": Status.OK}


def test_minting_is_unknown_where_a_policy_is_hidden() -> None:
    found = findings(project_policy=project_policy(), account_policy=unseen("PushAccountPolicy"))
    assert statuses(found) == {"granted": Status.OK, "unseen": Status.UNKNOWN}


@pytest.mark.parametrize(("last_in", "found_wrong"), [(58, True), (4, False)])
def test_where_no_change_can_be_seen_a_push_that_got_in_long_ago_does_not_speak_for_the_account(
    last_in: float, found_wrong: bool
) -> None:
    """It may have been disabled since: nothing was pushed for longer than a message waits for its next try."""
    disabled = PushAccount(source=SOURCE, email=EMAIL, exists=True, disabled=True)
    found = findings(
        account=disabled, changes=unseen("ChangeLog"), log=log(answered(60, last_in)), pushes=pushes([60], ack=3)
    )
    assert ("account" in statuses(found)) is found_wrong


def test_a_disabled_account_is_said_and_not_what_may_mint_for_it() -> None:
    disabled = PushAccount(source=SOURCE, email=EMAIL, exists=True, disabled=True)
    switched = (50.0, f"serviceAccounts/{EMAIL}", "DisableServiceAccount", "")
    found = findings(account=disabled, project_policy=project_policy(), changes=changes(switched))
    assert statuses(found) == {"granted": Status.OK, "account": Status.FAULT}
    assert (one(found, "account").bears, one(found, "account").since) == (Bears.HOLDS, ago(50))
    assert named(found) == {"push-account-gone": (Role.BLOCKS, SURE)}


# --- a call of our own --------------------------------------------------------------------------------------------------------


FORBIDDEN_PAGE = (
    "<title>403 Forbidden</title><h2>Your client does not have permission to get URL /health from this server.</h2>"
)


def live(status: int, text: str = FORBIDDEN_PAGE, anonymous_status: int = 403) -> LiveHealth:
    anonymous, signed = (LiveCall(at=NOW, status=s, latency_s=0.1, text=text) for s in (anonymous_status, status))
    return LiveHealth(source=SOURCE, anonymous=anonymous, authenticated=signed)


def test_our_own_call_is_no_proof_against_pushes_that_get_in() -> None:
    assert one(findings(live=live(403)), "live").status is Status.FAULT
    assert one(findings(live=live(403), log=log(answered(28))), "live").status is Status.UNKNOWN
    assert one(findings(live=live(200)), "live").status is Status.OK


def test_a_refusal_of_our_own_call_is_the_services_only_in_its_words() -> None:
    for status in (401, 403):
        assert one(findings(live=live(status)), "live").status is Status.FAULT
        assert one(findings(live=live(status, "Please sign in to the network.")), "live").status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("status", "alone", "page", "said"),
    [
        (503, 403, FORBIDDEN_PAGE, Status.OK),
        (500, 401, FORBIDDEN_PAGE, Status.OK),
        (503, 503, "Service Unavailable", Status.UNKNOWN),
        (503, 403, "Please sign in to the network.", Status.UNKNOWN),
        (404, 403, FORBIDDEN_PAGE, Status.UNKNOWN),
    ],
)
def test_a_token_that_gets_past_the_front_end_is_let_in_whatever_answers_then(
    status: int, alone: int, page: str, said: Status
) -> None:
    """Sign-in is asked for before anything behind it is; where the anonymous call was refused by a proxy, the token never came there."""
    assert one(findings(live=live(status, page, anonymous_status=alone)), "live").status is said


def test_where_everybody_gets_in_our_own_call_proves_nothing_about_sign_in() -> None:
    assert "proves nothing" in one(findings(live=live(200, "ok", anonymous_status=200)), "live").says
    assert "proves invoker" in one(findings(live=live(200, "ok")), "live").says


def test_refusals_are_told_though_the_configuration_is_hidden() -> None:
    rows = log(refused(403, NO_SIGN_IN, 28))
    either: list[dict[str, Any]] = [
        {"service": unseen("ServiceConfig")},
        {"subscription": unseen("SubscriptionConfig")},
    ]
    for hidden in either:
        assert statuses(findings(log=rows, **hidden))["forbidden"] is Status.FAULT
        assert one(findings(log=rows, **hidden), "unseen").words["permission"] == "x.y.getIamPolicy"
        assert "unseen" not in statuses(findings(log=log(answered(28)), **hidden))


def test_nothing_is_said_of_pushes_to_another_service_or_of_a_subscription_that_does_not_push() -> None:
    rows = log(refused(403, NO_SIGN_IN, 28))
    elsewhere = subscription(push_endpoint="https://other-abc-wl.a.run.app/push", push_account="")
    assert findings(log=rows, subscription=elsewhere) == []
    assert findings(log=rows, subscription=subscription(push_endpoint="")) == []


def test_refused_where_nobody_may_look_above_the_project_is_likely_no_more() -> None:
    """Nothing that was read lets it in, and pushes are forbidden: likely. Without a refusal there is nothing to presume."""
    says = "resourcemanager.folders.getIamPolicy is missing"
    hidden = AncestorPolicies(source=SOURCE, project="projects/p", places=(Above(resource="folders/3", unseen=says),))
    found = findings(policy=policy(), above=hidden, log=log(refused(403, NO_SIGN_IN, 28)))
    assert one(found, "invoker").status is Status.WARNING
    assert "what stands above the project could not be read" in one(found, "invoker").says
    quiet = findings(policy=policy(), above=hidden)
    assert "invoker" not in statuses(quiet)
    assert statuses(quiet)["unseen"] is Status.UNKNOWN


def test_granted_and_yet_without_permission_something_that_is_not_read_takes_it_away() -> None:
    """Only where Google says that the permission lacks; a grant that was just given is not in force yet."""
    found = findings(log=log(refused(403, NO_PERMISSION, 28)), deny=unseen("DenyPolicies", "iam.denypolicies.list"))
    assert statuses(found)["unseen"] is Status.UNKNOWN
    assert "deny policies were not all read (iam.denypolicies.list is missing)" in one(found, "unseen").says
    assert one(found, "unseen").words["permission"] == "iam.denypolicies.list"
    assert "troubleshoot-policy" in one(found, "unseen").mend
    assert (
        "no deny policy takes it"
        in one(findings(log=log(refused(403, NO_PERMISSION, 28)), deny=denying()), "unseen").says
    )
    assert "unseen" not in statuses(findings(log=log(refused(403, NO_SIGN_IN, 28))))
    fresh = changes((5.0, "services/worker", "SetIamPolicy", f"add roles/run.invoker for {ACCOUNT}"))
    assert "unseen" not in statuses(findings(log=log(refused(403, NO_PERMISSION, 28)), changes=fresh))


# --- deny policies -----------------------------------------------------------------------------------------------------------


def denying(*principals: str, permission: str = "run.googleapis.com/routes.invoke", hours: float = 2) -> DenyPolicies:
    rule = DenyRule(
        policy="edge", on="organizations/77", permissions=(permission,), principals=principals, made=ago(60 * hours)
    )
    return DenyPolicies(
        source=SOURCE, project="projects/p", within=("projects/42",), rules=(rule,) if principals else ()
    )


THE_ACCOUNT = f"principal://iam.googleapis.com/projects/-/serviceAccounts/{EMAIL}"
SOME_GROUP = "principalSet://goog/group/contractors@example.com"


def test_a_deny_policy_beside_a_grant_and_403s_is_sure_and_no_grant_is_missed() -> None:
    found = findings(log=log(refused(403, NO_SIGN_IN, 28)), deny=denying(THE_ACCOUNT))
    assert statuses(found) == {"forbidden": Status.FAULT, "denied": Status.FAULT}
    assert named(found) == {"push-denied-by-policy": (Role.BLOCKS, SURE)}
    assert one(found, "denied").since == ago(120)


def test_what_is_neither_granted_nor_allowed_needs_both_mended() -> None:
    found = findings(policy=policy(), log=log(refused(403, NO_SIGN_IN, 28)), deny=denying(THE_ACCOUNT))
    assert statuses(found) == {"forbidden": Status.FAULT, "invoker": Status.FAULT, "denied": Status.FAULT}
    assert named(found) == {INVOKER: (Role.BLOCKS, SURE), "push-denied-by-policy": (Role.BLOCKS, SURE)}


def test_a_deny_policy_that_may_mean_the_account_is_likely_where_google_says_that_the_right_lacks() -> None:
    found = findings(log=log(refused(403, NO_PERMISSION, 28)), deny=denying(SOME_GROUP))
    assert (statuses(found)["denied"], statuses(found)["unseen"]) == (Status.WARNING, Status.UNKNOWN)
    assert "invoker" not in statuses(found)
    assert "denied" not in statuses(findings(log=log(refused(403, NO_SIGN_IN, 28)), deny=denying(SOME_GROUP)))


def test_pushes_that_get_in_refute_a_deny_policy() -> None:
    found = findings(log=log(refused(403, NO_PERMISSION, 28), answered(30, 4)), deny=denying(THE_ACCOUNT, hours=5))
    assert "denied" not in statuses(found)


def test_a_deny_policy_on_minting_is_not_mended_by_a_grant() -> None:
    agent = AGENT.partition(":")[2]
    denies = denying(
        f"principal://iam.googleapis.com/projects/-/serviceAccounts/{agent}",
        permission="iam.googleapis.com/serviceAccounts.getOpenIdToken",
    )
    found = one(findings(deny=denies), "minting")
    assert found.status is Status.FAULT
    assert "the deny policy edge" in found.says
    assert "mend" not in found.words


@pytest.mark.parametrize(("disabled", "last_in", "bears"), [(55, 50, Bears.HOLDS), (55, 6, Bears.APART)])
def test_an_account_disabled_in_mid_batch_holds_what_is_not_sent_since(
    disabled: int, last_in: int, bears: Bears
) -> None:
    """Tokens that were minted before are used up first; then nothing is sent, however much was before."""
    got_in = pushes(range(last_in, 60), ack=2)
    internal = pushes(range(3, last_in), internal=1)
    both = PushCounts(source=got_in.source, series=(*got_in.series, *internal.series))
    found = findings(
        ledger=batch(58, acked=10),
        account=PushAccount(source=SOURCE, email=EMAIL, exists=True, disabled=True),
        pushes=both,
        log=log(answered(60, last_in)),
        changes=changes((disabled, f"serviceAccounts/{EMAIL}", "DisableServiceAccount", "")),
    )
    assert one(found, "account").bears is bears
