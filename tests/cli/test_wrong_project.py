"""A project that is mistyped or out of sight: every command says so, and calls nothing broken. And one that goes by its number."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.scoring.world import World, find, opened

WRONG = ["--profile", "nba-predictions", "--project", "nba-porps-platform"]
TRUE = "the project nba-porps-platform is not there, or user:person-168e may not see it"
MEND = "say the right --project, its id and not its display name"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with opened(find("typical-batch"), seed=1, log_reads_per_minute=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def _at_the_lab(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
    monkeypatch.setenv("PUBSUB_DIAG_KEEP_RUNS", "0")
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "command",
    ["batch", "batches", "delivery", "published", "lint", "lint --all", "health", "profile test"],
)
def test_the_sentence_and_the_mend(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*command.split(), *WRONG]) == 3
    captured = capsys.readouterr()
    said = " ".join((captured.out + captured.err).split())
    assert TRUE in said
    assert MEND in said
    assert " does not exist" not in said
    assert ".list is missing" not in said


def test_no_cause_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "-o", "json", *WRONG]) == 3
    whole = json.loads(capsys.readouterr().out)
    assert whole["causes"] == []
    assert {f["status"] for f in whole["findings"]} <= {"unknown", "idle"}


def test_init_names_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--subscription", "prediction-request-prod", "--project", "nba-porps-platform", "--out", "-"]
    assert main.run(["init", *named]) == 3
    said = capsys.readouterr().err
    assert TRUE in said
    assert MEND in said


def test_no_permission_is_called_lacking(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["access", "-o", "json", *WRONG]) == 3
    permissions = json.loads(capsys.readouterr().out)["permissions"]
    inside = [p for p in permissions if p["on"].startswith("projects/nba-porps-platform")]
    assert inside
    assert all(p["held"] is None and TRUE in p["says"] for p in inside)


@pytest.mark.parametrize("command", ["batch", "lint", "lint --all"])
def test_a_project_by_its_number_is_the_project(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number is legal wherever Google takes a project; what Google answers names the id."""
    said = []
    for more in ([], ["--project", "756957797294"]):
        code = main.run([*command.split(), "-q", *more])
        answer = capsys.readouterr().out.replace("756957797294", "NUMBER")
        said.append((code, re.sub(r"[0-9.]+ s · lab", "SECONDS", answer)))
    assert said[0] == said[1]
