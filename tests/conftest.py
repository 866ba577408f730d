"""The night of 2026-02-08 as a diagnosis made by hand: what the reports have to say well, and scoring to judge."""

from __future__ import annotations

import functools
import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import (
    Batch,
    Call,
    Diagnosis,
    Exit,
    Forecast,
    Header,
    Item,
    Missing,
    Named,
    Recovery,
    RuledOut,
    State,
    Window,
)
from diagnostics.evidence.model import Leg, Stage
from diagnostics.scoring.world import seldom_collect
from diagnostics.steps.finding import Bears, Finding, Row, Status

seldom_collect()

settings.register_profile("any pace", parent=settings.default, deadline=None)
settings.load_profile("any pace")
"""No property fails because the machine is busy."""


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of a file that makes something for all of them run in one process: no two make it twice. Those that start Google's tools,
    too, whichever their file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        text = _text(file)
        if GOOGLE in text:
            return GOOGLE
        return file if 'scope="module"' in text else nodeid


GOOGLE = "google_tools"
"""The mark of tests that start one of Google's own tools, each of which takes longer to start than a test."""


@functools.cache
def _text(file: str) -> str:
    return (Path(__file__).parents[1] / file).read_text()


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a fifth of the time tests wait for a server, a shell or a tool of Google's."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where time is short, what is tried whole elsewhere is left out; a test that is named is run."""
    if "CI" in os.environ or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("whole")]
    items[:] = [item for item in items if not item.get_closest_marker("whole")]
    config.hook.pytest_deselected(items=left_out)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
BATCH = "batch_2026-02-08_1770550000"
GATE = "coordinator log 14:02:40Z: 15/181 viable, 161 already predicted, 5 low quality"


def row(stage: Stage, count: int | None = None, leg: Leg | None = Leg.REQUEST, **more: object) -> Row:
    fields: dict[str, object] = {"expected": 15, "seen_min": count, "seen_max": count, "status": Status.OK, **more}
    return Row(stage=stage, leg=leg, **fields)  # type: ignore[arg-type]


_ONE_MORE = itertools.count()


@pytest.fixture(scope="session")
def all_homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def nothing_is_left_at_home(all_homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, notes and names that a test keeps are its own, and nobody's configuration is read."""
    home = all_homes / str(
        next(_ONE_MORE)
    )  # not made by mktemp, which looks through all those of before for a free number
    for of in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{of}_HOME", str(home / of.lower()))


@pytest.fixture(autouse=True)
def no_answer_is_cut_short_by_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command finds in time is not what most tests are about: those that are say --timeout."""
    monkeypatch.setenv("PUBSUB_DIAG_TIMEOUT", "120")


@pytest.fixture
def night() -> Diagnosis:
    started = NOW - timedelta(minutes=19)
    return Diagnosis(
        status=Status.FAULT,
        exit_code=Exit.FAULT,
        headline=f"{BATCH} stuck at 15/181 for 13 min: nothing is on its way; the gate let 15 through, "
        "the batch still expects 181 (confirmed)",
        pipeline=Header(
            pipeline="nba-predictions",
            project="nba-props-platform",
            region="us-west2",
            principal="user:oncall@example.com",
            lab=True,
            logs_as_of=NOW - timedelta(seconds=6),
            metrics_as_of=NOW - timedelta(minutes=3, seconds=7),
            seconds=4.2,
        ),
        batch=Batch(
            id=BATCH,
            started=started,
            expected=181,
            done=15,
            closed=False,
            last_progress=NOW - timedelta(minutes=13),
            last_good="batch_2026-02-08_1770543000",
            last_good_at=NOW - timedelta(hours=1, minutes=50),
        ),
        state=State.STALLED,
        finishes_alone=False,
        forecast=Forecast(),
        window=Window(since=NOW - timedelta(hours=1), until=NOW),
        as_of=NOW,
        ladder=(
            row(Stage.CREATED, 181, leg=None, expected=181, source="batch state 14:02:11Z"),
            row(Stage.PUBLISHED, 15, expected=181, where={"gated": 166}, status=Status.FAULT, source=GATE),
            row(Stage.ROUTED, reached=True, source="prediction-request-prod → prediction-worker /predict"),
            row(Stage.DELIVERED, 15, source="request log"),
            row(Stage.PROCESSED, 15, source="worker log"),
            row(Stage.RETURNED, 15, leg=Leg.COMPLETION, source="coordinator log"),
            row(Stage.RECORDED, 15, leg=None, source="batch state"),
            row(
                Stage.CLOSED,
                leg=None,
                reached=False,
                status=Status.FAULT,
                source="batch state: expects 181, closes at 95 %",
            ),
        ),
        here=Stage.PUBLISHED,
        here_leg=Leg.REQUEST,
        causes=(
            Named(
                code="gated-batch-never-closes",
                title="A gated batch never closes",
                leg=Leg.REQUEST,
                stage=Stage.PUBLISHED,
                role=Role.BLOCKS,
                confidence=Confidence.CONFIRMED,
                since=started,
                says="expected count written before the gate and not lowered",
                because=("the gate let 15 of 181 through", "batch state still expects 181"),
                against=("no line says that the count was corrected",),
                runbook="causes/state/gated-batch-never-closes.md",
                next=("pubsub-diag runbook show gated-batch-never-closes",),
            ),
            Named(
                code="poison-retry-storm",
                title="Poison messages are retried for ever",
                leg=Leg.REQUEST,
                stage=Stage.PROCESSED,
                role=Role.LATENT,
                confidence=Confidence.CONFIRMED,
                since=NOW - timedelta(days=3, hours=2, minutes=41),
                says="the same 23 items answered 400 or 500 again and again, 2.4 a minute; too few to hold this batch",
                because=("3384 pushes a day, 69 % refused",),
                runbook="causes/worker/poison-retry-storm.md",
            ),
        ),
        ruled_out=(
            RuledOut(code="delivery", leg=Leg.REQUEST, because="15 of 15 acked"),
            RuledOut(code="push_auth", leg=Leg.REQUEST, because="12 × 403 are uptime checks on /health/deep"),
        ),
        unknown=(
            Missing(
                what="SubscriptionPolicy",
                leg=Leg.REQUEST,
                why="permission_denied",
                says="permission denied",
                permission="pubsub.subscriptions.getIamPolicy",
                would_say="why 2 is never dead-lettered",
            ),
            Missing(what="PushAccountPolicy", leg=Leg.REQUEST, why="permission_denied", says="denied", matters=False),
        ),
        findings=(
            Finding(
                code="published.gated",
                stage=Stage.PUBLISHED,
                title="items were gated",
                leg=Leg.REQUEST,
                status=Status.FAULT,
                says="15 of 181 items passed the gate",
                bears=Bears.HOLDS,
                held=166,
                rests_on=("BatchMarks",),
            ),
            Finding(
                code="delivered.acked",
                stage=Stage.DELIVERED,
                title="pushes are acked",
                leg=Leg.REQUEST,
                status=Status.OK,
                says="15 of 15 pushes of this batch were acked",
                rests_on=("RequestLog",),
            ),
        ),
        items=(
            Item(name="lebron_james", stage=Stage.RECORDED, attempts=1, last=NOW - timedelta(minutes=14)),
            Item(name="1e5", stage=Stage.CREATED, where="gated", reason="existing_prediction"),
        ),
        unnamed=165,
        recovery=Recovery(resubmit=("1e5",), resubmit_count=166),
        next=(
            "pubsub-diag runbook show gated-batch-never-closes   close it, or start again with what you meant to replace",
        ),
        calls=(Call(name="Subscriber.GetSubscription", seconds=0.1, ok=True),),
        sources={"BatchMarks": "gcloud logging read 'resource.labels.service_name=\"prediction-coordinator\"'"},
    )
