"""A past window: what stood then, told from what stands now and what the logs say happened since; and what cannot be told."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import (
    BatchStatus,
    CustomRoles,
    DeadLetterTopic,
    EvidenceSet,
    Leg,
    LiveHealth,
    ProjectSubscriptions,
    PushAccount,
    PushCounts,
    RequestLog,
    Revisions,
    ServiceConfig,
    ServicePolicy,
    SubscriptionConfig,
    SubscriptionPolicy,
    TopicSubscriptions,
    Unseen,
    Why,
)
from diagnostics.lab.audit import Target
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.question.ask import Ask
from diagnostics.report import text
from diagnostics.report.layout import Layout
from diagnostics.run.investigate import investigate
from diagnostics.run.look import everything, lab_profile, see
from diagnostics.scoring.world import World, find, opened
from diagnostics.transport.session import LAB, Options, Session

WORLD = """
name: since-then
story: Things were set, and set again.
timeline:
  - {at: -9d, set_subscription: {subscription: request, ack_deadline: 120s}}
  - {at: -8d, start_batch: {name: then, items: 12}}
"""
THEN = timedelta(days=7, hours=12)
"""Before now: after the batch, before what the tests add."""


@contextmanager
def seen(tmp_path: Path, since: str = "", before: timedelta = THEN, head: str = WORLD) -> Iterator[EvidenceSet]:
    """What a run of now sees of then, after `since` happened."""
    file = tmp_path / "world.yaml"
    file.write_text(head + "".join(f"  - {line}\n" for line in since.splitlines() if line))
    lab = Lab(load(file, 5), 5, Telemetry())
    with start(lab, log_reads_per_minute=10_000) as running:
        session = Session.open(Options(timeout_s=60), {LAB: running.endpoint})
        profile = lab_profile(session.project)
        assert profile is not None
        ask = Ask(until=session.now - before)
        yield see(session, profile, "batch", ask, kinds=everything()).evidence


def gone(found: object) -> str:
    """Why it was not seen, in words."""
    assert isinstance(found, Unseen), found
    assert found.why is Why.EXPIRED, found
    return found.says


def test_what_nobody_changed_since_is_as_it_is_today(tmp_path: Path) -> None:
    with seen(tmp_path) as then:
        found = then.get(SubscriptionConfig, Leg.REQUEST)
        assert isinstance(found, SubscriptionConfig)
        assert found.source.as_of == then.now < then.looked_at == found.source.fetched_at
        assert "no change since" in found.source.note
        unseen = {u.what for u in then.unseen() if u.why is not Why.NOT_ASKED}
        assert unseen == set()


def test_a_field_is_taken_back_to_what_it_was_last_set_to(tmp_path: Path) -> None:
    with seen(tmp_path, "{at: -3d, set_subscription: {subscription: request, ack_deadline: 10s}}") as then:
        found = then.get(SubscriptionConfig, Leg.REQUEST)
        assert isinstance(found, SubscriptionConfig)
        assert found.settings
        assert found.settings.ack_deadline_s == 120
        assert "taken back" in found.source.note


def test_a_field_that_no_entry_tells_of_is_not_guessed(tmp_path: Path) -> None:
    with seen(tmp_path, "{at: -3d, set_subscription: {subscription: request, retry: [20s, 300s]}}") as then:
        says = gone(then.get(SubscriptionConfig, Leg.REQUEST))
        assert "retryPolicy of projects/" in says
        assert "no audit entry tells what it was" in says
        assert isinstance(then.get(SubscriptionConfig, Leg.COMPLETION), SubscriptionConfig)
        assert "changed since" in gone(then.get(ProjectSubscriptions))


def test_what_was_made_since_was_not_there(tmp_path: Path) -> None:
    made = "{at: -3d, create_subscription: {name: late, topic: request}}"
    with seen(tmp_path, made) as then:
        found = then.get(TopicSubscriptions, Leg.REQUEST)
        assert isinstance(found, TopicSubscriptions)
        assert len(found.names) == 1
        assert not any(name.endswith("/late") for name in found.names)


def test_what_was_deleted_since_was_there_and_is_not_known(tmp_path: Path) -> None:
    with seen(tmp_path, "{at: -3d, delete_subscription: {subscription: request}}") as then:
        assert "was there then" in gone(then.get(SubscriptionConfig, Leg.REQUEST))
        assert "went since" in gone(then.get(TopicSubscriptions, Leg.REQUEST))


def test_a_subscription_that_was_missing_then_and_made_since_is_missing(tmp_path: Path) -> None:
    since = "{at: -8d, expire_subscription: {subscription: request}}\n{at: -3d, create_subscription: {name: NAME, topic: request}}"
    name = "prediction-request-prod"
    with seen(tmp_path, since.replace("NAME", name)) as then:
        found = then.get(SubscriptionConfig, Leg.REQUEST)
        assert isinstance(found, SubscriptionConfig)
        assert found.settings is None


def test_roles_given_since_are_taken_away_and_the_other_way_round(tmp_path: Path) -> None:
    since = (
        "{at: -3d, grant: {on: 'subscription:request', role: roles/pubsub.viewer, member: worker}}\n"
        "{at: -2d, revoke: {on: 'subscription:request', role: roles/pubsub.subscriber, member: agent}}"
    )
    with seen(tmp_path, since) as then:
        found = then.get(SubscriptionPolicy, Leg.REQUEST)
        assert isinstance(found, SubscriptionPolicy)
        assert found.members("roles/pubsub.viewer") == set()
        assert len(found.members("roles/pubsub.subscriber")) == 1


def test_an_account_disabled_since_was_not(tmp_path: Path) -> None:
    with seen(tmp_path, "{at: -3d, disable_account: {account: worker}}") as then:
        found = then.get(PushAccount, Leg.REQUEST)
        assert isinstance(found, PushAccount)
        assert found.exists
        assert not found.disabled


def test_a_service_is_as_its_last_deploy_before_asked_for(tmp_path: Path) -> None:
    since = (
        "{at: -8d2h, deploy: {service: worker, max_instances: 7}}\n"
        "{at: -3d, deploy: {service: worker, max_instances: 3, concurrency: 1}}\n"
        "{at: -2d, set_service: {service: worker, ingress: internal}}"
    )
    with seen(tmp_path, since) as then:
        found, revisions = then.get(ServiceConfig, Leg.REQUEST), then.get(Revisions, Leg.REQUEST)
        assert isinstance(found, ServiceConfig)
        assert isinstance(revisions, Revisions)
        assert found.settings
        assert (found.settings.template.max_instances, found.settings.ingress) == (7, "all")
        assert found.settings.template.concurrency != 1
        assert found.settings.serving == found.settings.template.name == revisions.revisions[0].name
        assert all(r.created <= then.now for r in revisions.revisions)


def test_a_service_is_as_terraform_deployed_it_before(tmp_path: Path) -> None:
    since = (
        "{at: -8d2h, deploy: {service: worker, max_instances: 7, concurrency: 2, through: terraform}}\n"
        "{at: -3d, deploy: {service: worker, max_instances: 3, through: gcloud}}"
    )
    with seen(tmp_path, since) as then:
        found = then.get(ServiceConfig, Leg.REQUEST)
        assert isinstance(found, ServiceConfig)
        assert found.settings
        assert (found.settings.template.max_instances, found.settings.template.concurrency) == (7, 2)
        assert found.settings.serving == found.settings.template.name
        assert found.settings.ready == "ready"


def test_what_the_last_deploy_of_a_function_asked_for_no_entry_tells(tmp_path: Path) -> None:
    """Not what an older deploy asked for."""
    since = (
        "{at: -8d2h, deploy: {service: worker, max_instances: 7, through: function}}\n"
        "{at: -3d, deploy: {service: worker, max_instances: 3}}"
    )
    with seen(tmp_path, since) as then:
        assert "no audit entry of before holds how it was" in gone(then.get(ServiceConfig, Leg.REQUEST))


@pytest.mark.parametrize("form", ["delta", "whole"])
def test_a_grant_taken_since_is_there_in_either_form_and_a_deploy_takes_none(form: str, tmp_path: Path) -> None:
    """A deploy since says who used the account, and sets the policy again: neither is a change of the account or of the policy."""
    head = WORLD.replace("timeline:", f"draw: {{policy_changes: {form}, deploy_sets_policy: true}}\ntimeline:")
    since = (
        "{at: -4d, deploy: {service: worker}}\n"
        "{at: -3d, revoke: {on: 'service:worker', role: roles/run.invoker, member: worker}}"
    )
    with seen(tmp_path, since, head=head) as then:
        policy, account = then.get(ServicePolicy, Leg.REQUEST), then.get(PushAccount, Leg.REQUEST)
        assert isinstance(policy, ServicePolicy)
        assert any("prediction-worker@" in m for m in policy.members("roles/run.invoker"))
        assert isinstance(account, PushAccount)
        assert not account.disabled


def test_batch_state_stands_where_nothing_was_counted_since(tmp_path: Path) -> None:
    with seen(tmp_path) as then:
        status = then.get(BatchStatus)
        assert isinstance(status, BatchStatus)
        assert (status.expected, status.completed, status.closed) == (12, 12, True)
        assert status.source.as_of == then.now


def test_what_was_closed_since_was_open_and_what_was_counted_since_is_not_known(tmp_path: Path) -> None:
    started = "{at: -20m, start_batch: {name: tonight, items: 160}}"
    with seen(tmp_path, started, before=timedelta(minutes=18, seconds=50)) as then:
        status = then.get(BatchStatus)
        assert isinstance(status, BatchStatus)
        assert status.closed is False
        assert (status.expected, status.completed, status.items) == (160, None, None)


def test_calls_of_now_are_not_made_for_then(tmp_path: Path) -> None:
    with seen(tmp_path) as then:
        live = then.get(LiveHealth, Leg.REQUEST)
        assert isinstance(live, Unseen)
        assert "says nothing of then" in live.says


def test_without_the_audit_logs_it_is_not_known_how_it_was(tmp_path: Path) -> None:
    hidden = WORLD.replace("timeline:", "caller: {lacks: [logging.logEntries.list]}\ntimeline:")
    with seen(tmp_path, head=hidden) as then:
        found = then.get(SubscriptionConfig, Leg.REQUEST)
        assert isinstance(found, Unseen)
        assert found.permission == "logging.logEntries.list"
        assert found.says.startswith("how it was then is not known")


def test_what_is_no_longer_kept_is_said_to_have_expired(tmp_path: Path) -> None:
    old = WORLD.replace("-9d", "-60d").replace("-8d", "-50d")
    with seen(tmp_path, before=timedelta(days=49), head=old) as then:
        assert "logs are kept 30 days" in gone(then.get(RequestLog, Leg.REQUEST))
        assert "metrics are kept 6 weeks" in gone(then.get(PushCounts, Leg.REQUEST))
        assert isinstance(then.get(SubscriptionConfig, Leg.REQUEST), SubscriptionConfig)
        assert isinstance(then.get(DeadLetterTopic, Leg.REQUEST), DeadLetterTopic)


def test_a_window_that_begins_before_what_is_kept_is_seen_in_part(tmp_path: Path) -> None:
    old = WORLD.replace("-9d", "-60d").replace("-8d", "-29d20h")
    with seen(tmp_path, before=timedelta(days=29, hours=18), head=old) as then:
        marks = dict(then.items())["BatchMarks", None]
        assert not isinstance(marks, Unseen)
        assert not marks.source.complete
        assert "no longer kept" in marks.source.note


# --- the night, four days later ------------------------------------------------------------------------------------------


def four_days_on(world: World) -> None:
    """The storm goes on; a role is given, and a deadline is set that no earlier entry tells of."""
    lab = world.lab
    with lab.lock:
        name = lab.cast.subscription("request")
        subscription = lab.world.subscriptions[name]
        agent = f"serviceAccount:service-{lab.world.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
        subscription.policy.add("roles/pubsub.subscriber", agent)
        lab.audit.policy_change(
            Target("subscription", name), "ops@example.com", "ADD", "roles/pubsub.subscriber", agent
        )
        completion = lab.cast.subscription("completion")
        lab.world.subscriptions[completion].ack_deadline_s = 10
        full = f"projects/{lab.world.project}/subscriptions/{completion}"
        request = {"subscription": {"name": full, "ackDeadlineSeconds": 10}, "updateMask": "ackDeadlineSeconds"}
        lab.audit.activity(Target("subscription", completion), "UpdateSubscription", "ops@example.com", request)
    post = urllib.request.Request(
        f"http://{world.running.endpoint}/lab/advance", data=json.dumps({"seconds": 4 * 86400}).encode(), method="POST"
    )
    with urllib.request.urlopen(post) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Diagnosis, Diagnosis]]:
    """The night as it was diagnosed, and as it is told four days later."""
    with opened(find("2026-02-08-backfill-stall"), seed=1, log_reads_per_minute=10_000) as world:
        yield told(world, None), later(world)


def later(world: World) -> Diagnosis:
    until = datetime.fromtimestamp(world.lab.now(), UTC)
    four_days_on(world)
    return told(world, until)


def told(world: World, until: datetime | None) -> Diagnosis:
    session = Session.open(Options(timeout_s=60), {LAB: world.running.endpoint})
    profile = lab_profile(session.project)
    assert profile is not None
    return investigate(see(session, profile, "batch", Ask(batch=world.lab.batches["backfill"].id, until=until)))


def test_four_days_later_the_night_is_told_as_it_was(both: tuple[Diagnosis, Diagnosis]) -> None:
    night, after = both
    assert after.pipeline.looked_at == after.as_of + timedelta(days=4)
    assert abs(after.as_of - night.as_of) < timedelta(seconds=2)  # the status call took its time
    assert (after.status, after.state, after.here) == (night.status, night.state, night.here)
    assert after.batch is not None
    assert night.batch is not None
    assert (after.batch.done, after.batch.expected, after.batch.closed) == (15, 181, False)

    def roles(said: Diagnosis) -> set[tuple[str, str]]:
        return {(c.code, c.role.value) for c in said.causes}

    assert roles(after) == roles(night)


def test_four_days_later_what_can_no_longer_be_seen_is_said(both: tuple[Diagnosis, Diagnosis]) -> None:
    night, after = both
    assert not [gap for gap in night.unknown if gap.why == "expired"]
    gaps = {(gap.what, gap.leg) for gap in after.unknown if gap.why == "expired"}
    assert ("SubscriptionConfig", Leg.COMPLETION) in gaps
    assert ("SubscriptionConfig", Leg.REQUEST) not in gaps
    said = text.render(after, Layout(120))
    assert "as of 2026-02-08 22:21:00Z" in said
    assert "seen 2026-02-12T22:21Z" in said
    assert "no audit entry tells what it was" in " ".join(said.split())


ROLE = """
name: role-then
story: A role of the project's own that was changed since, and one that was not.
pipeline:
  roles: [{role: caller, permissions: [run.routes.invoke]}, {role: same, permissions: [run.routes.invoke]}]
  grants: [{on: "service:worker", role: caller, member: worker}, {on: project, role: same, member: worker}]
timeline:
  - {at: -8d, start_batch: {name: then, items: 12}}
"""


def test_a_custom_role_that_was_changed_since_is_not_known_and_another_is(tmp_path: Path) -> None:
    with seen(tmp_path, "{at: -3d, set_role: {role: caller, permissions: [run.services.get]}}", head=ROLE) as then:
        found = then.get(CustomRoles)
        assert isinstance(found, CustomRoles)
        told = {r.name.rpartition("/")[2]: (r.permissions, r.unseen) for r in found.roles}
        assert told == {"caller": ((), "it was changed since"), "same": (("run.routes.invoke",), "")}
