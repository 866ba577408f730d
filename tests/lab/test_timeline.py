"""A scenario's events change the lab's world and leave the traces that Google would leave, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from diagnostics.lab.applications.pair import DIALECTS
from diagnostics.lab.changes import Changes
from diagnostics.lab.events import TimelineEntry
from diagnostics.lab.http import Token
from diagnostics.lab.lab import Lab
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.scenario import ScenarioError, parse
from diagnostics.lab.timeline import PIPELINE_EVENTS

ACTIVITY = "cloudaudit.googleapis.com/activity"
SYSTEM_EVENT = "cloudaudit.googleapis.com/system_event"
WORKER = "prediction-worker"


class Recording:
    """A recorder that keeps everything as it came."""

    def __init__(self) -> None:
        self.logs: list[LogEntry] = []
        self.metrics: list[tuple[Any, ...]] = []

    def count(self, metric: str, resource: Any, labels: Any, at: float, n: float = 1) -> None:
        self.metrics.append((metric, tuple(resource.values()), tuple(labels.values()), at, n))

    def observe(self, metric: str, resource: Any, labels: Any, at: float, value: float) -> None:
        self.metrics.append((metric, tuple(resource.values()), tuple(labels.values()), at, value))

    def level(self, metric: str, resource: Any, labels: Any, at: float, value: float | None) -> None:
        self.metrics.append((metric, tuple(resource.values()), tuple(labels.values()), at, value))

    age_of_oldest = level

    def log(self, entry: LogEntry) -> None:
        self.logs.append(entry)

    def audited(self, log: str, since: float) -> list[dict[str, Any]]:
        return [e.proto for e in self.logs if e.log == log and e.timestamp >= since and e.proto is not None]


def run(timeline: str, pipeline: str = "{}", seed: int = 1, **more: str) -> tuple[Lab, Recording]:
    head = "".join(
        f"{key}: {value}\n" for key, value in {"name": "n", "story": "s", "pipeline": pipeline, **more}.items()
    )
    recording = Recording()
    return Lab(parse(f"{head}timeline: [{timeline}]"), seed, recording), recording


def test_each_event_of_the_format_has_something_that_makes_it_happen() -> None:
    names = set(TimelineEntry.__struct_fields__) - {"at", "jitter", "every", "until"}
    assert names == set(PIPELINE_EVENTS) | {n for n in vars(Changes) if not n.startswith("_")}


def test_a_tag_stays_where_it_was_put_whatever_becomes_of_the_traffic() -> None:
    """gcloud run services update-traffic --update-tags; a deploy and --to-revisions leave tags alone."""
    lab, _ = run(
        "{at: -3h, traffic: {service: worker, to: previous, tag: stable}}, {at: -2h, deploy: {service: worker}}, "
        "{at: -1h, traffic: {service: worker, to: previous}}, {at: -30m, traffic: {service: worker, to: latest, tag: next}}"
    )
    service = lab.world.services[WORKER]
    oldest, before, newest = (r.name for r in service.revisions)
    assert newest not in (oldest, before)
    assert service.traffic == [(before, 100, ""), (oldest, 0, "stable"), ("", 0, "next")]


@pytest.mark.parametrize(
    ("event", "method", "resource"),
    [
        ("deploy: {service: worker}", "google.cloud.run.v1.Services.ReplaceService", f"services/{WORKER}"),
        ("traffic: {service: worker}", "google.cloud.run.v1.Services.ReplaceService", f"services/{WORKER}"),
        ("set_service: {service: worker, ingress: internal}", "google.cloud.run.v1.Services.ReplaceService", WORKER),
        ("delete_service: {service: worker}", "google.cloud.run.v1.Services.DeleteService", f"services/{WORKER}"),
        (
            "set_subscription: {subscription: request, audience: ''}",
            "google.pubsub.v1.Subscriber.ModifyPushConfig",
            "subscriptions/prediction-request-prod",
        ),
        (
            "set_subscription: {subscription: completion, ack_deadline: 10s}",
            "google.pubsub.v1.Subscriber.UpdateSubscription",
            "subscriptions/prediction-ready-prod-sub",
        ),
        (
            "create_subscription: {name: new, topic: request}",
            "google.pubsub.v1.Subscriber.CreateSubscription",
            "subscriptions/new",
        ),
        ("delete_subscription: {subscription: request}", "google.pubsub.v1.Subscriber.DeleteSubscription", "prod"),
        ("detach: {subscription: request}", "google.pubsub.v1.Publisher.DetachSubscription", "prediction-request-prod"),
        ("create_topic: {name: new}", "google.pubsub.v1.Publisher.CreateTopic", "topics/new"),
        ("delete_topic: {topic: request}", "google.pubsub.v1.Publisher.DeleteTopic", "topics/prediction-request-prod"),
        ("set_topic: {topic: request, retention: 1d}", "google.pubsub.v1.Publisher.UpdateTopic", "request-prod"),
        ("disable_account: {account: worker}", "google.iam.admin.v1.DisableServiceAccount", "gserviceaccount.com"),
        ("enable_account: {account: worker}", "google.iam.admin.v1.EnableServiceAccount", "gserviceaccount.com"),
        ("delete_account: {account: worker}", "google.iam.admin.v1.DeleteServiceAccount", "gserviceaccount.com"),
    ],
)
def test_a_change_leaves_its_activity_entry(event: str, method: str, resource: str) -> None:
    lab, recording = run(f"{{at: -10m, {event}}}")
    entry, *rest = recording.audited(ACTIVITY, lab.now() - 601)
    assert {e["methodName"].rpartition(".")[2] for e in rest} <= {"actAs", "SetIamPolicy", "ReplaceService"}
    assert not rest or method.endswith("ReplaceService")
    assert entry["methodName"] == method
    assert entry["resourceName"].endswith(resource)
    assert entry["authenticationInfo"]["principalEmail"].startswith("deployer@")
    assert "status" not in entry


@pytest.mark.parametrize(
    ("on", "kind"),
    [("service:worker", "cloud_run_revision"), ("subscription:request", "pubsub_subscription"), ("project", "project")],
)
def test_a_grant_is_a_policy_delta(on: str, kind: str) -> None:
    grant = f"{{at: -10m, grant: {{on: '{on}', role: roles/viewer, member: worker, by: person}}}}"
    lab, recording = run(grant, draw="{policy_changes: delta}")
    (entry,) = [e for e in recording.logs if e.log == ACTIVITY and e.timestamp >= lab.now() - 601]
    assert entry.resource_type == kind
    assert entry.proto is not None
    assert entry.proto["methodName"].endswith("SetIamPolicy")
    assert entry.proto["authenticationInfo"]["principalEmail"].endswith("@example.com")
    (delta,) = entry.proto["serviceData"]["policyDelta"]["bindingDeltas"]
    assert (delta["action"], delta["role"]) == ("ADD", "roles/viewer")
    assert delta["member"] == "serviceAccount:prediction-worker@nba-props-platform.iam.gserviceaccount.com"


def test_a_grant_on_a_service_may_be_the_policy_that_was_set() -> None:
    grant = "{at: -10m, grant: {on: 'service:worker', role: roles/viewer, member: worker, by: person}}"
    lab, recording = run(grant, draw="{policy_changes: whole}")
    (entry,) = [e for e in recording.logs if e.log == ACTIVITY and e.timestamp >= lab.now() - 601]
    assert entry.resource_labels["service_name"] == ""
    assert entry.proto is not None
    assert entry.proto["resourceName"].endswith("/locations/us-west2/services/prediction-worker")
    assert "serviceData" not in entry.proto
    assert {b["role"] for b in entry.proto["response"]["bindings"]} == {"roles/run.invoker", "roles/viewer"}


@pytest.mark.parametrize(
    ("through", "boots", "acts", "events"),
    [
        ("gcloud", "true", ["ReplaceService", "actAs", "ReplaceService", "actAs"], ["True", "True", "True"]),
        ("gcloud", "false", ["ReplaceService", "actAs"], ["False", "False"]),
        ("terraform", "true", ["UpdateService", "actAs", "UpdateService"], ["True", "True", "True"]),
        ("function", "true", ["UpdateFunction", "ReplaceInternalService", "actAs", "UpdateFunction"], ["True"] * 3),
    ],
)
def test_a_deploy_leaves_what_was_done_and_what_became_of_it(
    through: str, boots: str, acts: list[str], events: list[str]
) -> None:
    deploy = f"{{at: -10m, deploy: {{service: worker, boots: {boots}, through: {through}}}}}"
    lab, recording = run(deploy, draw="{deploy_sets_policy: false}")
    since = lab.now() - 601
    done = recording.audited(ACTIVITY, since)
    assert [e["methodName"].rpartition(".")[2] for e in done] == acts
    own = recording.audited("cloudaudit.googleapis.com/system_event", since)
    assert [e["status"]["message"].split()[5] for e in own] == events
    assert all(e["methodName"].startswith("/") and "authenticationInfo" not in e for e in own)


@pytest.mark.parametrize("event", ["seek: {subscription: request}", "publish_messages: {payloads: {malformed: 2}}"])
def test_seek_and_publish_leave_no_entry(event: str) -> None:
    lab, recording = run(f"{{at: -10m, {event}}}")
    assert recording.audited(ACTIVITY, lab.now() - 601) == []


def test_a_refused_change_leaves_its_status_and_changes_nothing() -> None:
    event = "fail_change: {on: 'subscription:request', method: UpdateSubscription, by: person}"
    lab, recording = run(f"{{at: -10m, {event}}}")
    (entry,) = recording.audited(ACTIVITY, lab.now() - 601)
    assert entry["status"] == {"code": 7, "message": "The caller does not have permission"}
    assert lab.world.subscriptions["prediction-request-prod"].ack_deadline_s == 300


def test_a_deploy_forgets_what_its_command_did_not_name() -> None:
    deploy = "{at: -10m, deploy: {service: worker, resets_min: true, set_env: {GCP_PROJECT_ID: nba-props-platform}}}"
    lab, _ = run(deploy)
    before, after = lab.world.services[WORKER].revisions[-2:]
    assert (before.min_instances, after.min_instances) == (1, 0)
    assert set(after.env) == {"GCP_PROJECT_ID"}
    assert "PUBSUB_READY_TOPIC" in before.env
    assert after.image != before.image


def test_environment_updates_are_merged() -> None:
    lab, _ = run("{at: -10m, deploy: {service: worker, update_env: {NEW: '1'}, remove_env: [CATBOOST_VERSION]}}")
    before, after = lab.world.services[WORKER].revisions[-2:]
    assert set(after.env) == (set(before.env) | {"NEW"}) - {"CATBOOST_VERSION"}


def test_a_deploy_without_traffic_keeps_the_old_revision_serving_until_traffic_moves() -> None:
    keep = "{at: -2h, deploy: {service: worker, traffic: keep}}"
    lab, _ = run(keep)
    service = lab.world.services[WORKER]
    assert service.traffic == [(service.revisions[-2].name, 100, "")]
    lab, _ = run(keep + ", {at: -1h, traffic: {service: worker, to: latest}}, {at: -10m, traffic: {service: worker}}")
    service = lab.world.services[WORKER]
    assert service.traffic == [(service.revisions[-2].name, 100, "")], "rolled back to the revision before the latest"


def test_an_unused_subscription_expires_by_itself_and_says_so_in_the_system_events() -> None:
    pipeline = "{request: {subscription: {expiration: 31d}}}"
    lab, recording = run("{at: -40d, start_batch: {items: 3}}, {at: -10m, start_batch: {items: 3}}", pipeline)
    assert "prediction-request-prod" not in lab.world.subscriptions
    (entry,) = recording.audited(SYSTEM_EVENT, 0)
    assert entry["methodName"].endswith("InternalExpireInactiveSubscription")
    state = lab.coordinator.batches[lab.batches["batch-2"].id]
    assert len(state.completed) == 0, "what was published since then is lost"


def test_a_start_is_recorded_with_its_batch_or_without_one() -> None:
    lab, _ = run(
        "{at: -2h, start_batch: {items: 5, name: good}}, {at: -1h, start_batch: {items: 5, name: refused, no_token: true}}"
    )
    assert (lab.batches["good"].status, lab.batches["refused"].status) == (202, 403)
    assert lab.batches["good"].id.startswith("batch_")
    assert lab.batches["refused"].id == ""


def test_what_a_gated_batch_publishes() -> None:
    gated = "{at: -20m, start_batch: {items: 20, gated: {existing: 12, low_quality: 3}}}"
    lab, recording = run(gated)
    published = sum(n for name, *_, n in recording.metrics if name.endswith("topic/send_request_count"))
    assert published >= 5
    held_back, _ = run(gated, "{coordinator: {revision: {code: pre-fix}}, worker: {revision: {code: pre-fix}}}")
    states = [next(iter(one.coordinator.batches.values())) for one in (lab, held_back)]
    assert [(len(state.completed), state.expected, state.closed) for state in states] == [(5, 5, True), (5, 20, False)]


def test_an_exhausted_quota_refuses_publishing_and_shows_itself() -> None:
    lab, recording = run("{at: -30m, quota: {for: 1h}}, {at: -20m, start_batch: {items: 5}}")
    refused = [labels for name, _, labels, *_ in recording.metrics if name.endswith("send_request_count")]
    assert ("invalid", "resource_exhausted") in refused
    assert any(name.endswith("quota/exceeded") for name, *_ in recording.metrics)
    assert lab.batches["batch-1"].id


def test_a_deleted_account_stays_in_policies_as_deleted() -> None:
    lab, _ = run("{at: -10m, delete_account: {account: worker}}")
    members = {m for b in lab.world.services[WORKER].policy.bindings for m in b.members}
    assert any(m.startswith("deleted:serviceAccount:prediction-worker@") and "?uid=" in m for m in members)


def test_differences_hold_from_the_beginning() -> None:
    pipeline = (
        "{without: [{on: 'service:worker', role: roles/run.invoker, member: worker}],"
        " request: {subscription: {endpoint: '{worker}/elsewhere', retry: null}, filter: 'attributes:kind'},"
        " worker: {revision: {min_instances: 0}}, topics: [{name: extra}]}"
    )
    lab, recording = run("{at: -1h, restart: {service: worker}}", pipeline)
    subscription = lab.world.subscriptions["prediction-request-prod"]
    assert subscription.push.endpoint == "https://prediction-worker-f7p3g7f6ya-wl.a.run.app/elsewhere"
    assert (subscription.retry, subscription.filter) == (None, "attributes:kind")
    assert "extra" in lab.world.topics
    assert lab.world.services[WORKER].policy.bindings == []
    assert recording.audited(ACTIVITY, lab.now() - 86400) == [], "and nobody changed them lately"


@pytest.mark.parametrize(
    ("timeline", "says"),
    [
        ("{at: -10m, deploy: {service: nobody}}", 'timeline[0].deploy: no service "nobody"'),
        ("{at: -10m, set_subscription: {subscription: x, account: worker}}", 'no subscription "x"'),
        ("{at: -10m, revoke: {on: project, role: roles/none, member: worker}}", "does not hold roles/none"),
        ("{at: -10m, grant: {on: 'bucket:x', role: r, member: worker}}", "expected project, topic:NAME"),
        ("{at: -10m, create_subscription: {name: n, topic: request, filter: 'data:x'}}", "expected attributes"),
        ("{at: -10m, set_subscription: {subscription: request, ack_deadline: 5s}}", "between 10 s and 600 s"),
        ("{at: -10m, set_subscription: {subscription: request, endpoint: 'http://x.run.app'}}", "lower-case https://"),
        ("{at: -10m, deploy: {service: worker, code: pre-fixed}}", "pre-fixed"),
        ("{at: -10m, start_batch: {items: 2, payloads: {odd: 1}}}", "unknown payload class 'odd'"),
        ("{at: -10m, clear_batch: {batch: none}}", 'no batch "none"'),
        ("{at: -10m, delete_batch: {batch: none}}", 'no batch "none"'),
    ],
)
def test_what_is_not_there_is_an_error_that_names_the_event(timeline: str, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        run(timeline)
    assert "n: timeline[0]." in str(caught.value)
    assert says in str(caught.value)


def test_an_event_after_now_is_refused() -> None:
    with pytest.raises(ScenarioError, match="after now"):
        run("{at: 2026-05-01T12:00:00Z, start_batch: {items: 1}}", now="2026-05-01T11:00:00Z")


def test_pins_are_checked_like_everything_else() -> None:
    lab, _ = run("", draw="{minting: silent}")
    assert lab.unverified.minting == "silent"
    with pytest.raises(ScenarioError, match='no such fact "mintin"'):
        run("", draw="{mintin: silent}")


def test_repeated_events_keep_their_distance() -> None:
    lab, _ = run("{at: -3d, every: 1d, until: -1d, start_batch: {items: 2}}")
    starts = [record.started_at - lab.now() for record in lab.batches.values()]
    assert starts == pytest.approx([-3 * 86400, -2 * 86400, -86400])


def test_everything_follows_from_scenario_and_seed() -> None:
    timeline = "{at: -5h, jitter: 10m, start_batch: {items: 12, payloads: {transient: 2, flaky: 1}}}"
    (one, seen), (other, again), (_, different) = (run(timeline, seed=seed) for seed in (4, 4, 5))
    assert seen.logs == again.logs
    assert seen.metrics == again.metrics
    assert (one.now(), one.batches) == (other.now(), other.batches)
    assert seen.metrics != different.metrics


def test_the_frozen_lab_moves_only_when_asked() -> None:
    lab, _ = run("{at: -10m, publish_messages: {payloads: {transient: 3}}}")
    before = lab.now()
    assert lab.now() == before
    assert lab.advance(90) == before + 90
    with pytest.raises(ValueError, match="forward"):
        lab.advance(-1)


def test_a_live_call_is_checked_like_any_other_and_seen_with_its_user_agent() -> None:
    lab, recording = run("")
    service = lab.world.services[WORKER]
    url = lab.world.urls(service)[0]
    host, agent = url.removeprefix("https://"), {"User-Agent": "somebody/1.0"}
    token = Token(lab.cast.account("worker"), url, lab.now() + 60)
    assert lab.http(host, "GET", "/health", agent).status == 403
    assert lab.http(host, "GET", "/health", agent, token=token).status == 200
    agents = [e.http["userAgent"] for e in recording.logs if e.http and e.http["userAgent"] == "somebody/1.0"]
    assert len(agents) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_healthy_batch_is_done_in_minutes_under_every_seed(dialect: str) -> None:
    for seed in range(3):
        lab, _ = run("{at: -15m, start_batch: {items: 120}}", f"{{dialect: {dialect}}}", seed)
        (state,) = lab.coordinator.batches.values()
        assert (len(state.completed), state.closed) == (120, True)
        assert all(lab.broker.backlog(s.name) == [] for s in lab.world.subscriptions.values() if s.push.endpoint)


def start_calls(recording: Recording) -> list[dict[str, Any]]:
    """What the request log has of start calls of the pipeline that a task queue starts, in order of time."""
    entries = [e for e in recording.logs if e.http and e.http["requestUrl"].endswith("/v1/drops")]
    return [e.http for e in sorted(entries, key=lambda e: e.timestamp) if e.http is not None]


def by_queue(timeline: str, seed: int = 1, pipeline: str = "{dialect: thumbnails}") -> tuple[Lab, Recording]:
    return run(timeline, pipeline, seed, draw="{request_log_time: start}")


def test_a_task_queue_is_refused_at_the_door_until_its_attempts_are_used_up() -> None:
    lab, recording = by_queue(
        "{at: -1h, revoke: {on: 'service:coordinator', role: roles/run.invoker, member: scheduler}}, "
        "{at: -50m, start_batch: {items: 9, name: t, queue: {max_attempts: 3, min_backoff: 30s}}}"
    )
    calls = start_calls(recording)
    assert [(c["status"], c["userAgent"]) for c in calls] == [(403, "Google-Cloud-Tasks")] * 3
    assert [(name, r.status, r.id) for name, r in lab.batches.items()] == [("t", 403, ""), ("t.2", 403, ""), ("t.3", 403, "")]  # fmt: skip
    assert not lab.coordinator.batches


def test_a_refusal_that_is_over_lets_a_later_call_of_the_queue_through() -> None:
    refused = "refusal: incomplete_data, queue: {refused: 2, min_backoff: 10s}"
    lab, recording = by_queue(f"{{at: -30m, start_batch: {{items: 9, name: t, {refused}}}}}")
    assert [c["status"] for c in start_calls(recording)] == [503, 503, 202]
    (state,) = lab.coordinator.batches.values()
    assert lab.batches["t"].id == lab.batches["t.3"].id == state.id and not lab.batches["t.2"].id
    assert state.closed and len(state.completed) == 9
    announced = [e.json for e in recording.logs if e.json and e.json["msg"] == "drop announced"]
    assert [line["task"]["retry"] for line in announced] == [0, 1, 2]


def test_a_start_that_outlasts_the_deadline_is_made_again_and_does_the_same_work_twice() -> None:
    slow = "loading: 3m, queue: {dispatch_deadline: 2m, min_backoff: 15s, max_attempts: 2}"
    lab, recording = by_queue(f"{{at: -40m, start_batch: {{items: 9, name: t, {slow}}}}}")
    calls = start_calls(recording)
    assert [c["status"] for c in calls] == [202, 202], "the container is not told that its caller hung up"
    assert all(180 <= c["latency"] <= 190 for c in calls)
    first, second = lab.coordinator.batches.values()
    assert (lab.batches["t"].id, lab.batches["t.2"].id) == (first.id, second.id)
    assert first.completed.keys() == second.completed.keys() and first.closed and second.closed


def test_a_start_is_taken_from_the_queue_that_the_environment_names_alone() -> None:
    named = "{dialect: thumbnails, coordinator: {revision: {update_env: {START_QUEUE: drops}}}}"
    timeline = (
        "{{at: -40m, start_batch: {{items: 4, queue: {{name: {}, max_attempts: 1}}}}}}, "
        "{{at: -30m, start_batch: {{items: 4, caller: person}}}}"
    )
    _, recording = by_queue(timeline.format("drops"), pipeline=named)
    assert [c["status"] for c in start_calls(recording)] == [202, 403]
    _, recording = by_queue(timeline.format("drops-2"), pipeline=named)
    assert [c["status"] for c in start_calls(recording)] == [403, 403]
    assert not any(e.json and e.json["msg"] == "drop announced" for e in recording.logs), "and no line says so"


def test_a_dispatch_deadline_that_cloud_tasks_refuses_is_an_error_of_the_scenario() -> None:
    with pytest.raises(ScenarioError, match="dispatch deadline of 5 s: expected 15 to 1800 s"):
        by_queue("{at: -30m, start_batch: {items: 4, queue: {dispatch_deadline: 5s}}}")
