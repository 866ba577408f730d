"""The frozen exit codes, as a table: what a pipeline is like, and what each command then ends with.

0 healthy, idle, done, advice at most · 1 warning · 2 fault · 3 unknown, bad usage · 130 interrupted.
Fault outranks unknown, unknown outranks warning.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics.cli import main
from diagnostics.scoring.world import World, find, opened
from diagnostics.transport.session import Session
from tests.interruptible import interruptible
from tests.sampling import a_share

FAULT_AND_UNKNOWN = """
name: fault-and-unknown
story: The push account lost its invoker grant; the caller may read neither that policy nor logs.
caller: {lacks: [run.services.getIamPolicy, logging.logEntries.list]}
timeline:
  - {at: -2d, start_batch: {name: good, items: 60}}
  - {at: -50m, revoke: {on: "service:worker", role: roles/run.invoker, member: worker, by: person}}
  - {at: -20m, start_batch: {name: tonight, items: 60}}
"""
WARNING_AND_UNKNOWN = """
name: warning-and-unknown
story: A deploy lost the minimum of instances, and the caller may not read who may invoke the worker.
caller: {lacks: [run.services.getIamPolicy]}
timeline:
  - {at: -2d, start_batch: {name: good, items: 60}}
  - {at: -40m, deploy: {service: worker, resets_min: true}}
"""
WELL = {
    "batch": 0, "batches": 0, "published": 0, "delivery": 0, "push-auth": 0, "cold-start": 0, "worker": 0, "changes": 0, "lint": 0,
    "health": 0, "watch": 0, "access": 0, "selftest": 0,
}  # fmt: skip
TABLE: dict[str, dict[str, int]] = {
    "typical-batch": WELL,
    "idle-pipeline": WELL,
    "lint-no-dead-letter-topic": {"lint": 0, "health": 0, "delivery": 0},
    "min-instances-lost-latent": {
        "batch": 1,
        "changes": 1,
        "health": 1,
        "health --fail-on fault": 0,
        "batch --fail-on fault": 0,
    },
    "push-invoker-missing": {
        "batch": 2,
        "delivery": 2,
        "push-auth": 2,
        "lint": 2,
        "health": 2,
        "watch": 2,
        "batch --fail-on fault": 2,
    },
    "monitoring-forbidden-delivery": {"delivery": 3, "cold-start": 3, "lint": 3, "delivery --fail-on fault": 3},
    FAULT_AND_UNKNOWN: {
        "batch": 2,
        "delivery": 2,
        "push-auth": 2,
        "health": 2,
        "published": 3,
        "batches": 3,
        "changes": 3,
    },
    WARNING_AND_UNKNOWN: {"changes": 1, "health": 3, "health --require config": 1, "health --require traffic": 3},
}
STATUS = {0: ("ok", "idle"), 1: ("warning",), 2: ("fault",), 3: ("unknown",)}
ENOUGH = 6
"""Of longer tables a share, where time is short."""
NO_STATUS = ("batches", "watch", "access", "selftest")
"""Commands whose answer is no diagnosis."""


@pytest.fixture(scope="module", params=TABLE, ids=lambda p: p.split()[1] if "\n" in p else p)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, World]]:
    path = find(request.param) if "\n" not in request.param else tmp_path_factory.mktemp("lab") / "scenario.yaml"
    if "\n" in request.param:
        path.write_text(request.param)
    with opened(path, seed=1, log_reads_per_minute=10_000) as opened_world:
        yield request.param, opened_world


def test_each_command_ends_with_its_code(
    world: tuple[str, World], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario, lab = world
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", lab.running.endpoint)
    monkeypatch.setattr("diagnostics.cli.do.watch.sleep", lab.lab.advance)
    found, headlines = {}, {}
    for line in a_share(TABLE[scenario]) if len(TABLE[scenario]) > ENOUGH else TABLE[scenario]:
        command, *options = line.split()
        found[line] = main.run([command, "-q", *options, *([] if command in ("watch", "access") else ["-o", "json"])])
        said = capsys.readouterr().out
        if command not in NO_STATUS:
            answer = json.loads(said)
            headlines[line] = answer["headline"]
            assert answer["exit_code"] == found[line]
            assert answer["status"] in STATUS[found[line]] or (options and answer["status"] == "warning")
    assert found == {line: TABLE[scenario][line] for line in found}, headlines


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command there is, as its words."""
    if not hasattr(command, "commands"):
        yield path
        return
    for name, sub in sorted(command.commands.items()):
        yield from leaves(sub, (*path, name))


COMMANDS = list(leaves(main.command()))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_bad_usage_is_3_for_every_command(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*command, "--no-such-option"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "--no-such-option" in said.err


@pytest.mark.parametrize("command", [*WELL, "capture x", "alerts", "init --subscription s"])
def test_interrupted_is_130_for_every_command_that_looks(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupt(*_: object, **__: object) -> Session:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:9")
    monkeypatch.setattr(Session, "open", interrupt)
    assert main.run(command.split()) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_signal_while_google_does_not_answer_is_130(tmp_path: Path) -> None:
    scenario = tmp_path / "hangs.yaml"
    fault = "{rpc: google.pubsub.v1.Subscriber/GetSubscription, kind: hang}"
    scenario.write_text(f"name: hangs\nstory: Pub/Sub does not answer.\nfaults: [{fault}]\ntimeline: []\n")
    with opened(scenario, seed=1) as lab:
        line = [sys.executable, "-m", "diagnostics.cli.main", "health", "--timeout", "60"]
        environment = {
            **os.environ,
            "PUBSUB_DIAG_ENDPOINT": lab.running.endpoint,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        with interruptible():
            process = subprocess.Popen(line, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        with process as run:
            assert run.stderr
            assert "reading" in run.stderr.readline()
            run.send_signal(signal.SIGINT)
            _, rest = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in rest
