"""A pipeline whose parts are in several projects: each is looked for in its own, and what may not be seen there is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec import structs

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import (
    ChangeLog,
    EvidenceSet,
    ItemMarks,
    Leg,
    PublishCounts,
    ReceiverTraffic,
    RequestLog,
    ServiceConfig,
    Unseen,
    total,
)
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.run.access import access
from diagnostics.run.discover import discover
from diagnostics.run.investigate import investigate
from diagnostics.run.look import see
from diagnostics.steps.finding import Status
from diagnostics.transport.session import LAB, Options, Session

T = TypeVar("T")

TOPIC = "projects/player-data-prod/topics/prediction-request-prod"
RUNS = "model-serving-prod"
APART = """
name: apart
story: The players' team owns the topic of requests, the models' team the worker. Yesterday's batch and tonight's are fine.
pipeline:
  neighbours:
    - {{project: player-data-prod, number: "118203344551", has: ["topic:request"]}}
    - {{project: model-serving-prod, number: "640771203398", has: ["service:worker"], lacks: [{lacks}]}}
  request: {{subscription: {{endpoint: "https://prediction-worker-640771203398.us-west2.run.app/predict"}}}}
timeline:
  - {{at: -1d, start_batch: {{items: 60}}}}
  - {{at: -2h, deploy: {{service: worker}}}}
  - {{at: -40m, start_batch: {{items: 40}}}}
"""


def opened(folder: Path, lacks: str = "") -> Iterator[Session]:
    file = folder / "apart.yaml"
    file.write_text(APART.format(lacks=lacks))
    with start(Lab(load(file, 3), 3, Telemetry()), log_reads_per_minute=10_000) as running:
        yield Session.open(Options(timeout_s=120), {LAB: running.endpoint})


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    yield from opened(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def shut_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A caller who may nothing in the worker's project."""
    yield from opened(tmp_path_factory.mktemp("lab"), "all")


def profile() -> PipelineProfile:
    example = load_profile("nba-predictions")
    return structs.replace(
        example,
        request=structs.replace(example.request, topic=TOPIC),
        worker=structs.replace(example.worker, project=RUNS),
    )


def seen(session: Session, command: str = "batch") -> tuple[EvidenceSet, Diagnosis]:
    case = see(session, profile(), command, Ask(), kinds=(ChangeLog, ReceiverTraffic))
    return case.evidence, investigate(case)


def read(found: T | Unseen) -> T:
    assert not isinstance(found, Unseen), found.says
    return found


def test_init_names_what_is_in_another_project_in_full(session: Session) -> None:
    found = discover(session, "prediction-request-prod").profile
    assert found.project == "nba-props-platform"
    assert found.request.topic == TOPIC
    assert (found.worker.service, found.worker.project) == ("prediction-worker", RUNS)


@pytest.mark.parametrize("command", ["batch", "lint"])
def test_nothing_is_wrong_with_a_pipeline_across_projects(session: Session, command: str) -> None:
    _, found = seen(session, command)
    assert found.status is Status.OK
    assert [f for f in found.findings if f.abnormal] == []


def test_configuration_metrics_logs_and_changes_are_read_where_the_part_is(session: Session) -> None:
    evidence, _ = seen(session)
    service = read(evidence.get(ServiceConfig, Leg.REQUEST))
    log, traffic = read(evidence.get(RequestLog, Leg.REQUEST)), read(evidence.get(ReceiverTraffic, Leg.REQUEST))
    published, changes = read(evidence.get(PublishCounts, Leg.REQUEST)), read(evidence.get(ChangeLog))
    assert service.source.query.startswith(f"projects/{RUNS}/locations/us-west2/services/")
    assert len(log.fine) >= 40
    assert total(traffic.requests) >= 40
    assert total(published.messages) == 40
    assert any(c.resource == "services/prediction-worker" for c in changes.changes)


def test_permissions_are_tested_there(session: Session) -> None:
    rights = access(session, profile(), {"batch": {ServiceConfig, PublishCounts}})
    on = {p.on for p in rights.permissions if p.held}
    assert any(name.startswith(f"projects/{RUNS}/locations/") for name in on)


def test_who_may_see_nothing_there_is_told_no_fault_and_loses_nothing_else(shut_out: Session) -> None:
    evidence, found = seen(shut_out)
    assert isinstance(evidence.get(ServiceConfig, Leg.REQUEST), Unseen)
    marks = evidence.get(ItemMarks)
    assert not isinstance(marks, Unseen)
    assert marks.marks
    assert not marks.source.complete
    assert f"the logs of projects/{RUNS} were not seen" in marks.source.note
    assert {c.role for c in found.causes} <= {Role.BENIGN}
    assert not [f for f in found.findings if f.status is Status.FAULT]
