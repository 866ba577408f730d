"""`pubsub-diag access`: what is lacking, how fresh the sources are, whether the clock is right, which APIs are on; within 3 s."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.cli import main
from diagnostics.cli.do import access
from diagnostics.cli.do.access import PROBE, SNAPSHOT, SWITCH, reading
from diagnostics.cli.frame import opening
from diagnostics.cli.frame.options import Access
from diagnostics.evidence.model import SubscriptionSettings
from diagnostics.pipeline.load import load_profile
from diagnostics.probe.journal import Mode
from diagnostics.probe.permissions import _needs
from diagnostics.scoring.world import opened
from diagnostics.transport.session import LAB, CallRecord, Session

SCENARIO = """
name: access
story: A quiet evening after a batch.
timeline:
  - {at: -30m, start_batch: {items: 15}}
expect: {status: ok}
"""
OFF = (
    "Cloud Monitoring API has not been used in project 756957797294 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/monitoring.googleapis.com/overview?project=756957797294 then retry."
)
Lab = Callable[[str], None]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Open a lab with some more YAML in its scenario, and ask that one."""
    with ExitStack() as open_labs:

        def start(more: str) -> None:
            path = tmp_path / "scenario.yaml"
            path.write_text(SCENARIO + more)
            world = open_labs.enter_context(opened(path, 1))
            monkeypatch.setenv(LAB, world.running.endpoint)

        monkeypatch.chdir(tmp_path)
        yield start


def test_all_is_held_and_fresh(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab("")
    assert main.run(["access"]) == 0
    said = capsys.readouterr().out
    assert "metrics  newest point" in said and "min old" in said
    assert "clock    agrees with Google's" in said
    assert "on: cloudresourcemanager, iam, logging, monitoring, pubsub, run" in said
    assert "probe run would change something: 0 of " in said


def test_what_is_lacking_says_what_is_not_seen_without_it(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab("caller: {lacks: [pubsub.subscriptions.getIamPolicy]}\n")
    assert main.run(["access"]) == 1
    lines = " ".join(capsys.readouterr().out.split())
    assert "lacking pubsub.subscriptions.getIamPolicy for batch, capture, delivery, health, lint" in lines
    assert (
        "not seen without it: whether Google's agent may forward dead letters; roles/iam.securityReviewer has it"
        in lines
    )
    subscription = lines.partition("/subscriptions/")[2].partition("/topics/")[0]
    assert subscription.index("lacking ") < subscription.index("held "), "what lacks stands first"


def test_only_the_commands_that_are_named_count(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab("caller: {lacks: [pubsub.subscriptions.getIamPolicy]}\n")
    assert main.run(["access", "worker"]) == 0
    assert "getIamPolicy" not in capsys.readouterr().out
    assert main.run(["access", "lint"]) == 1
    assert main.run(["access", "probe"]) == 1
    assert "pubsub.snapshots.create" in capsys.readouterr().out
    assert main.run(["access", "nonsense"]) == 3


def test_an_api_that_is_off_is_named_with_what_enables_it(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab(f"faults: [{{rpc: ListTimeSeries, kind: permission_denied, message: '{OFF}'}}]\n")
    main.run(["access", "-o", "json"])
    said = json.loads(capsys.readouterr().out)
    assert said["apis"]["off"] == {
        "monitoring.googleapis.com": "gcloud services enable monitoring.googleapis.com --project=nba-props-platform"
    }
    assert "monitoring.googleapis.com" not in said["apis"]["on"]
    assert said["metrics_newest"] is None


@pytest.mark.parametrize(("minutes", "says"), [(7, "7 min ahead of Google's"), (-7, "7 min behind Google's")])
def test_a_clock_that_is_wrong_is_told(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, minutes: int, says: str
) -> None:
    lab("")
    honest = opening.session_of

    def wrong(asked: Access, payer: str = "") -> Session:
        session = honest(asked, payer)
        session.now += timedelta(minutes=minutes)
        return session

    monkeypatch.setattr(opening, "session_of", wrong)
    main.run(["access"])
    assert says in capsys.readouterr().out


def test_what_hangs_is_unknown_after_three_seconds(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab("faults: [{rpc: ListLogEntries, kind: hang}, {rpc: Subscriber/GetSubscription, kind: hang}]\n")
    began = time.monotonic()
    main.run(["access"])
    assert time.monotonic() - began < 30, "it would hang for the whole run otherwise"
    assert "newest entry unknown: logging.googleapis.com did not answer within 1.2 s" in capsys.readouterr().out


def test_the_role_is_yaml_of_sorted_permissions_and_asks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["access", "worker", "--role", "-q"]) == 0
    role = _yaml(capsys.readouterr().out)
    assert role["stage"] == "GA"
    assert "logging.logEntries.list" in role["includedPermissions"]
    assert "pubsub.subscriptions.getIamPolicy" not in role["includedPermissions"]
    assert role["includedPermissions"] == sorted(set(role["includedPermissions"]))


def test_the_role_lets_every_command_see_all_and_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["access", "--role", "-q"]) == 0
    names = _yaml(capsys.readouterr().out)["includedPermissions"]
    verbs = {name.rpartition(".")[2] for name in names}
    assert verbs == {"get", "list", "getIamPolicy", "getOpenIdToken", "invoke"}
    assert main.run(["access", "probe", "--role", "-q"]) == 0
    assert "pubsub.snapshots.create" in capsys.readouterr().out


def test_every_command_of_an_investigation_is_among_those_that_read() -> None:
    assert {"batch", "lint", "lint --all", "changes", "batches", "capture", "init", "profile test"} <= set(reading())


@pytest.mark.parametrize(("mode", "command"), [(Mode.SNAPSHOT, SNAPSHOT), (Mode.SWITCH, SWITCH)])
def test_the_probe_needs_what_it_asks_for_itself(mode: Mode, command: str) -> None:
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s", topic="projects/p/topics/t", push_account="a@p.iam"
    )
    asked = {name for need in _needs(load_profile("nba-predictions"), mode, settings) for name in need.names}
    listed = {want.name for want in PROBE if want.command == command}
    assert asked - {"pubsub.subscriptions.get"} <= listed


def _yaml(text: str) -> Any:
    return msgspec.yaml.decode(text)


def test_a_slow_machine_is_no_want_of_permissions(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing answers in the three seconds, be it for the load of this machine, it is asked again in the time of the command."""
    monkeypatch.setattr(access, "ANSWER_S", 0.001)
    monkeypatch.setattr(access, "QUICK_S", 0.0)  # whatever came in time all the same
    lab("")
    assert main.run(["access", "--timeout", "300"]) == 0
    assert "holds" in capsys.readouterr().out


def test_one_that_hangs_beside_others_that_answer_does_not_take_the_time_of_the_command() -> None:
    def made(seconds: float, ok: bool = True) -> CallRecord:
        return CallRecord(name="x", seconds=seconds, ok=ok)

    late, quick = made(1.2, ok=False), made(0.02)
    assert not access._slow([late, quick, quick, made(1.0)])
    assert access._slow([late, made(0.9), quick])
    assert access._slow([late])
