"""The sources against the real client libraries and the lab: everything is seen, and every trouble is told."""

from __future__ import annotations

import json
import socket
import time
import typing
import urllib.request
from typing import Any

import pytest
from msgspec import structs

from diagnostics.evidence.model import (
    Backlog,
    BalancerLog,
    BatchMarks,
    BatchStatus,
    ChangeLog,
    DeadLetterTopic,
    DenyPolicies,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    LiveHealth,
    LiveStart,
    Means,
    ModelDocument,
    OpenBatches,
    ProjectInfo,
    PublishCounts,
    PushAccount,
    PushCounts,
    PushHistory,
    ReceiverTraffic,
    RequestLog,
    Revisions,
    ServiceConfig,
    StartCalls,
    SubscriptionConfig,
    SubscriptionPolicy,
    TopicConfig,
    Unseen,
    Why,
    total,
)
from diagnostics.lab.applications.thumbnails import conductor, scaler
from diagnostics.pipeline.load import load_profile, override, profile_of
from diagnostics.pipeline.profile import Marker, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import HANDED_IN
from diagnostics.sources import PROVIDERS
from diagnostics.sources.collect import collect
from diagnostics.transport import web
from diagnostics.transport.session import Options, Session
from diagnostics.transport.web import Answer

EXAMPLE = load_profile("nba-predictions")
ALL: frozenset[type[Evidence]] = frozenset(
    kind for p in PROVIDERS if issubclass(kind := typing.get_type_hints(p)["return"], Evidence)
)
ORDERS = """
name: orders
story: The other pipeline.
pipeline: {dialect: orders}
timeline:
  - {at: -40m, start_batch: {items: 20}}
"""


IMAGES = """
name: images
story: The pipeline that a task queue starts.
pipeline: {dialect: thumbnails}
timeline:
  - at: -50m
    start_batch:
      items: 24
      gated: {existing: 4}
      payloads: {permanent_skip: 2}
      refusal: incomplete_data
      queue: {refused: 1, min_backoff: 30s}
"""


def look(
    *kinds: type[Evidence], profile: PipelineProfile = EXAMPLE, timeout_s: float = 30, ask: Ask | None = None
) -> EvidenceSet:
    return collect(Session.open(Options(timeout_s=timeout_s)), profile, kinds or ALL, ask or Ask(live=True))


def missed(seen: EvidenceSet) -> list[Unseen]:
    """What could not be seen, without what there was no reason to ask for."""
    return [gap for gap in seen.unseen() if gap.why is not Why.NOT_ASKED]


def found(seen: EvidenceSet, kind: type[Any], leg: Leg | None = None) -> Any:
    evidence = seen.get(kind, leg)
    assert not isinstance(evidence, Unseen), evidence
    return evidence


def test_every_kind_of_evidence_has_a_provider_but_what_needs_consent() -> None:
    kinds = {k for k in _leaves(Evidence) if k.__module__.startswith("diagnostics.evidence.model")}
    assert kinds - ALL == HANDED_IN


def _leaves(kind: type) -> set[type]:
    below: list[type] = kind.__subclasses__()
    return {leaf for k in below for leaf in _leaves(k)} if below else {kind}


@pytest.mark.parametrize(("short", "reads"), [(False, 10), (True, 20)])
def test_everything_is_seen_of_a_healthy_night(lab: Any, short: bool, reads: int) -> None:
    """Also where every search has to be gone on with, its first page having come short."""
    with lab(fault("ListLogEntries", "short", pages=1) if short else NIGHT) as running:
        seen = look()
        assert not missed(seen)
        assert {kind for (kind, _), _ in seen.items()} == {k.__name__ for k in ALL}
        log_reads = [r for r in running.rpcs if r.name.endswith("ListLogEntries")]
        assert len(log_reads) <= reads
    for (kind, _), evidence in seen.items():
        if kind in (BalancerLog.__name__, DenyPolicies.__name__, OpenBatches.__name__, ModelDocument.__name__):
            continue  # no load balancer takes the pushes, none is refused, Firestore keeps no batch, and no document is named
        assert isinstance(evidence, Evidence)
        assert evidence.source.complete, (kind, evidence.source.note)
        assert evidence.source.query or kind == "DeadLetterTopic"
        assert evidence.source.by_hand
        assert evidence.source.as_of <= seen.now


def test_what_is_seen_is_what_happened(lab: Any) -> None:
    with lab():
        seen = look()
    status = found(seen, BatchStatus)
    assert (status.exists, status.expected, status.completed, status.closed) == (True, 20, 20, True)
    marks = found(seen, BatchMarks).marks
    created = [m for m in marks if m.means is Means.CREATED]
    assert [m.numbers["expected"] for m in created] == [30, 24]
    gates = [m.numbers for m in marks if m.means is Means.GATE]
    assert gates[-1] == {"count": 20, "of": 24, "skipped_existing": 4, "skipped_low_quality": 0, "hard_blocked": 0}
    assert [c.status for c in found(seen, StartCalls).calls] == [202, 202]
    items = found(seen, ItemMarks).marks
    for means in (Means.STARTED_ITEM, Means.DONE_ITEM, Means.RETURNED_ITEM, Means.RECORDED_ITEM):
        assert len({m.item for m in items if m.means is means}) == 20, means
    for leg in Leg:
        assert total(found(seen, PublishCounts, leg).messages) == 20
        assert total(found(seen, PushCounts, leg).series, response_class="ack") == 20
        assert total(found(seen, PushHistory, leg).series, response_class="ack") == 50
        assert found(seen, Backlog, leg).undelivered[0].last.value == 0
        assert total(found(seen, ReceiverTraffic, leg).requests, response_code_class="2xx") >= 20
        assert found(seen, PushAccount, leg).exists
        assert {r.path for r in found(seen, RequestLog, leg).fine} >= {found(seen, RequestLog, leg).push_path}
    latency = found(seen, ReceiverTraffic, Leg.REQUEST).p50[0].points[0].value
    assert 1 < latency < 60  # seconds, where Google counts milliseconds
    assert found(seen, ProjectInfo).number == "756957797294"


def test_configuration_is_read_field_by_field(lab: Any) -> None:
    with lab():
        seen = look(SubscriptionConfig, ServiceConfig, Revisions, DeadLetterTopic)
    settings = found(seen, SubscriptionConfig, Leg.REQUEST).settings
    assert settings.topic == "projects/nba-props-platform/topics/prediction-request-prod"
    assert settings.push_endpoint == "https://prediction-worker-f7p3g7f6ya-wl.a.run.app/predict"
    assert (settings.ack_deadline_s, settings.retry.min_s, settings.retry.max_s, settings.expiration_s) == (
        300,
        10,
        600,
        None,
    )
    assert (settings.dead_letter.max_attempts, settings.ordering, settings.detached) == (5, False, False)
    service = found(seen, ServiceConfig, Leg.REQUEST).settings
    assert (service.ingress, service.ready, service.template.max_instances, service.template.concurrency) == (
        "all",
        "ready",
        50,
        5,
    )
    revisions = found(seen, Revisions, Leg.REQUEST).revisions
    assert revisions[0].name == service.serving
    assert revisions[0].created > revisions[1].created
    assert set(revisions[0].env) >= {"PUBSUB_READY_TOPIC"}
    assert "prediction-ready-prod" not in revisions[0].env.values()
    assert found(seen, DeadLetterTopic, Leg.REQUEST).subscriptions


def test_the_other_pipeline_logs_json_and_lists_its_items(lab: Any) -> None:
    with lab(ORDERS):
        seen = look(profile=load_profile("orders-export"))
    models = {"ModelManifest", "ModelRegistry", "ModelDocument", "ModelLoads"}
    assert {gap.what for gap in missed(seen)} == {"DownstreamRows"} | models, "it names no such places"
    status = found(seen, BatchStatus)
    assert (status.expected, status.completed, status.closed, len(status.items)) == (20, 20, True, 20)
    items = found(seen, ItemMarks).marks
    assert {m.item for m in items if m.means is Means.DONE_ITEM} == set(status.items)
    assert {m.batch for m in items} == {status.batch}


def test_the_pipeline_that_a_queue_starts_groups_its_fields_and_counts_its_items(lab: Any) -> None:
    with lab(IMAGES):
        seen = look(profile=load_profile("image-drops"))
    places = {"ResultRows", "DownstreamRows", "ModelManifest", "ModelRegistry", "ModelDocument", "ModelLoads"}
    assert {gap.what for gap in missed(seen)} == places, "it names no such places"
    status = found(seen, BatchStatus)
    assert (status.exists, status.expected, status.completed, status.closed) == (True, 20, 20, True)
    calls = found(seen, StartCalls).calls
    assert [(c.status, c.user_agent) for c in calls] == [(503, "Google-Cloud-Tasks"), (202, "Google-Cloud-Tasks")]
    said = {m.means: m for m in found(seen, BatchMarks).marks}
    assert said[Means.REFUSED].words == {"reason": "upload_incomplete"}
    assert said[Means.CREATED].batch == status.batch and said[Means.CREATED].numbers == {"expected": 20}
    assert said[Means.GATE].numbers == {"count": 20, "of": 24, "scaled_before": 4, "in_review": 0}
    assert said[Means.PUBLISHED].numbers == {"count": 20, "failed": 0, "of": 20}
    assert said[Means.CLOSED].numbers == {"count": 20, "of": 20}
    items = found(seen, ItemMarks).marks
    assert {m.batch for m in items} == {status.batch}
    assert {m.words["reason"] for m in items if m.means is Means.SKIPPED_ITEM} == {"image_withdrawn"}
    many = {means: len({m.item for m in items if m.means is means}) for means in {m.means for m in items}}
    assert many == {
        Means.PUBLISHED_ITEM: 20,
        Means.STARTED_ITEM: 20,
        Means.DONE_ITEM: 18,
        Means.SKIPPED_ITEM: 2,
        Means.RETURNED_ITEM: 20,
        Means.RECORDED_ITEM: 20,
    }


def test_each_line_that_the_image_programs_print_has_its_marker() -> None:
    said = {
        "coordinator": set(conductor.SAYS.values()) - {"conductor up"},
        "worker": set(scaler.SAYS.values()) - {"scaler up"},
    }
    markers = load_profile("image-drops").markers
    assert {role: {m.contains for m in markers if m.service == role} for role in said} == said


def test_two_subscriptions_are_enough_to_find_the_rest(lab: Any) -> None:
    names = (EXAMPLE.request.subscription, "prediction-ready-prod-sub")
    smallest = profile_of(names[0], project=EXAMPLE.project, completion=names[1])
    with lab():
        seen = look(TopicConfig, ServiceConfig, PublishCounts, RequestLog, PushAccount, profile=smallest)
    assert not missed(seen)
    assert found(seen, ServiceConfig, Leg.COMPLETION).name == "prediction-coordinator"


def test_markers_without_a_profile_are_unseen_and_the_reason_names_what_is_missing(lab: Any) -> None:
    with lab():
        seen = look(
            BatchMarks, ItemMarks, BatchStatus, profile=profile_of("prediction-request-prod", project=EXAMPLE.project)
        )
    for kind in (BatchMarks, ItemMarks, BatchStatus):
        missing = seen.get(kind)
        assert isinstance(missing, Unseen)
        assert missing.why in (Why.NOT_CONFIGURED, Why.DEPENDS)


def test_a_subscription_that_does_not_exist_is_evidence(lab: Any) -> None:
    with lab():
        seen = look(SubscriptionConfig, ServiceConfig, profile=override(EXAMPLE, subscription="no-such"))
    assert found(seen, SubscriptionConfig, Leg.REQUEST).settings is None
    assert found(seen, ServiceConfig, Leg.REQUEST).settings


@pytest.mark.parametrize(
    ("permission", "blind"),
    [
        ("pubsub.subscriptions.get", SubscriptionConfig),
        ("pubsub.subscriptions.getIamPolicy", SubscriptionPolicy),
        ("monitoring.timeSeries.list", PushCounts),
        ("logging.logEntries.list", RequestLog),
        ("run.services.get", ServiceConfig),
        ("iam.serviceAccounts.get", PushAccount),
        ("resourcemanager.projects.get", ProjectInfo),
    ],
)
def test_a_missing_permission_is_named_and_hides_only_its_own(lab: Any, permission: str, blind: type[Evidence]) -> None:
    with lab(NIGHT + f"caller: {{lacks: [{permission}]}}\n"):
        seen = look()
    missing = seen.get(blind, Leg.REQUEST)
    assert isinstance(missing, Unseen)
    assert (missing.why, missing.permission) == (Why.PERMISSION_DENIED, permission)
    assert any(isinstance(e, Evidence) for _, e in seen.items())
    assert all(u.permission == permission for u in missed(seen)), seen.unseen()


NIGHT = """
draw: {short_log_pages: 0}
name: a-night
story: Tonight's batch.
timeline:
  - {at: -40m, start_batch: {items: 20}}
"""


def fault(rpc: str, kind: str, **more: int) -> str:
    extra = "".join(f", {name}: {value}" for name, value in more.items())
    return NIGHT + f"faults:\n  - {{rpc: {rpc}, kind: {kind}{extra}}}\n"


def test_a_service_that_is_down_is_unreachable(lab: Any) -> None:
    with lab(fault("ListTimeSeries", "unavailable")):
        seen = look(PushCounts, SubscriptionConfig)
    missing = seen.get(PushCounts, Leg.REQUEST)
    assert isinstance(missing, Unseen)
    assert missing.why is Why.UNREACHABLE
    assert found(seen, SubscriptionConfig, Leg.REQUEST)


def test_logs_that_hang_leave_time_for_the_metrics(lab: Any) -> None:
    with lab(fault("ListLogEntries", "hang")):
        began = time.monotonic()
        seen = look(BatchMarks, PushCounts, timeout_s=5)
        assert time.monotonic() - began < 15  # it returned; the run's own bound is 5 s
    missing = seen.get(BatchMarks)
    assert isinstance(missing, Unseen)
    assert "did not answer" in missing.says
    assert found(seen, PushCounts, Leg.REQUEST)


def test_a_login_that_is_refused_is_told_as_such(lab: Any) -> None:
    with lab(fault("GetSubscription", "unauthenticated")):
        missing = look(SubscriptionConfig).get(SubscriptionConfig, Leg.REQUEST)
    assert isinstance(missing, Unseen)
    assert missing.why is Why.SIGN_IN
    assert "gcloud auth" in missing.mend


def test_a_log_quota_that_is_used_up_is_told(lab: Any) -> None:
    with lab(log_reads_per_minute=2):
        seen = look(BatchMarks, ItemMarks, RequestLog, ChangeLog)
    assert any("quota" in u.says for u in seen.unseen())


VIEWS = tuple(
    f"projects/nba-props-platform/locations/global/buckets/{b}/views/_AllLogs" for b in ("_Default", "_Required")
)


def test_whoever_may_only_read_views_names_them(lab: Any) -> None:
    with lab(NIGHT + "caller: {lacks: [logging.logEntries.list], holds: [logging.views.access]}\n"):
        assert isinstance(look(BatchMarks).get(BatchMarks), Unseen)
        seen = look(BatchMarks, ItemMarks, ChangeLog, profile=structs.replace(EXAMPLE, log_views=VIEWS))
    marks = found(seen, BatchMarks)
    assert marks.marks and found(seen, ItemMarks).marks
    assert found(seen, ChangeLog).source.complete
    assert f"--resource-names={','.join(VIEWS)}" in marks.source.by_hand


def test_lines_that_a_program_writes_through_the_api_are_read_where_the_profile_says(lab: Any) -> None:
    """As winston does in Node: a log of its own, the line in the message of a structured entry, and no service where it finds none."""
    loud = Marker(
        means=Means.CREATED,
        contains="export created",
        pattern=r"batch (?P<batch>\S+), (?P<expected>\d+) items",
        log="winston_log",
    )
    with lab(NIGHT + "caller: {holds: [logging.logEntries.create]}\n") as running:
        logs = Session.open(Options()).clients.get("logs")
        for insert_id, labels in (("none", {}), ("other", {"service_name": "somebody-else"})):
            logs.write_log_entries(
                request={
                    "log_name": "projects/nba-props-platform/logs/winston_log",
                    "resource": {"type": "cloud_run_revision" if labels else "global", "labels": labels},
                    "entries": [
                        {
                            "insert_id": insert_id,
                            "json_payload": {"message": f"export created: batch B-{insert_id}, 7 items"},
                        }
                    ],
                }
            )
        later = json.dumps({"seconds": 10}).encode()
        urllib.request.urlopen(f"http://{running.endpoint}/lab/advance", later, timeout=10).close()
        profile = structs.replace(EXAMPLE, markers=(*EXAMPLE.markers, loud))
        marks = found(look(BatchMarks, profile=profile), BatchMarks).marks
        unread = found(
            look(
                BatchMarks, profile=structs.replace(EXAMPLE, markers=(*EXAMPLE.markers, structs.replace(loud, log="")))
            ),
            BatchMarks,
        )
    assert [(m.batch, m.numbers, m.service) for m in marks if m.batch.startswith("B-")] == [
        ("B-none", {"expected": 7}, "coordinator")
    ]
    assert not any(m.batch.startswith("B-") for m in unread.marks)


def test_a_listing_that_is_cut_is_incomplete_and_not_lost(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnostics.sources.search.PAGE_SIZE", 5)
    with lab(fault("ListLogEntries", "cut", after_pages=1)):
        marks = found(look(BatchMarks), BatchMarks)
    assert not marks.source.complete
    assert marks.marks


@pytest.mark.parametrize(
    ("answer", "why", "says"),
    [
        (Answer(200, "<!doctype html><html>login</html>", "text/html", 0.1), Why.UNREACHABLE, "with a web page"),
        (Answer(200, '["odd"]', "application/json", 0.1), Why.FAILED, "not what the profile describes"),
        (Answer(200, '{"status": "ok"}', "application/json", 0.1), Why.FAILED, "neither expected_players nor completed_players"),
        (Answer(403, "<html>Forbidden</html>", "text/html", 0.1), Why.PERMISSION_DENIED, "identity token of this login"),
        (Answer(401, "{}", "application/json", 0.1), Why.PERMISSION_DENIED, "answered 401"),
        (Answer(404, "<html>", "text/html", 0.1), Why.FAILED, "with a web page"),
        (Answer(404, '{"error": "Not Found"}', "application/json", 0.1), Why.FAILED, "404"),
        (Answer(500, '{"error":"Server misconfigured"}', "application/json", 0.1), Why.UNREACHABLE, "500"),
        (Answer(503, "The service is currently unavailable.", "", 0.1), Why.UNREACHABLE, "gave no status"),
        (Answer(0, "Connection refused", "", 0.0), Why.UNREACHABLE, "Connection refused"),
        (Answer(0, "no answer within 8 s", "", 0.0), Why.TIMED_OUT, "no answer within"),
    ],
)  # fmt: skip
def test_a_coordinator_that_answers_oddly_is_not_believed(
    lab: Any, monkeypatch: pytest.MonkeyPatch, answer: Answer, why: Why, says: str
) -> None:
    monkeypatch.setattr("diagnostics.sources.batch_state.status.get", lambda *_: answer)
    with lab():
        missing = look(BatchStatus).get(BatchStatus)
    assert isinstance(missing, Unseen)
    assert missing.why is why
    assert says in missing.says


def test_a_batch_that_the_coordinator_does_not_know_is_evidence(lab: Any) -> None:
    with lab():
        status = found(look(BatchStatus, ask=Ask(batch="batch_2020-01-01_1")), BatchStatus)
    assert not status.exists


def test_the_window_holds_the_batch_that_is_asked_about(lab: Any) -> None:
    old = NIGHT.replace("-40m", "-9h")
    with lab(old):
        seen = look(BatchMarks, PublishCounts)
    created = next(m for m in found(seen, BatchMarks).marks if m.means is Means.CREATED)
    assert seen.since < created.at
    assert total(found(seen, PublishCounts, Leg.REQUEST).messages) == 20


def test_a_passive_run_calls_no_service_but_for_the_status(lab: Any) -> None:
    with lab() as running:
        seen = look(*ALL, ask=Ask())
        called = [r.resource for r in running.rpcs if r.name == "HTTP"]
    assert called == ["GET prediction-coordinator-f7p3g7f6ya-wl.a.run.app/status"]
    for kind in (LiveHealth, LiveStart):
        missing = seen.get(kind, Leg.REQUEST)
        assert isinstance(missing, Unseen)
        assert missing.why is Why.NOT_ASKED


def test_no_socket_leaves_loopback_and_no_proxy_is_used(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[Any] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        reached.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    with lab():
        seen = look()
    assert not missed(seen)
    assert reached
    assert {address[0] for address in reached if isinstance(address, tuple)} == {"127.0.0.1"}


def test_a_host_outside_the_lab_is_not_called_from_it(lab: Any) -> None:
    with lab():
        session = Session.open(Options())
        assert web.get(session, "http://example.com/", {}, 5).status == 0
