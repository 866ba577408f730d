"""The same diagnosis for scripts: real command lines against the lab, their output read by consumers of its format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from junitparser import JUnitXml
from prometheus_client.parser import text_string_to_metric_families

from diagnostics.cli import main
from diagnostics.cli.frame import names
from diagnostics.scoring.world import World, find, opened
from tests.report.consumers import plugin_output, workflow_command
from tests.sampling import a_share

ACCEPTED = """
[[accepted]]
code = "min-instances-lost-in-deploy"
until = {until}
reason = "ticket 77"
"""


@pytest.fixture(scope="module")
def warned() -> Iterator[World]:
    """A batch that is done, and a warning: the worker lost its warm instance."""
    with opened(find("min-instances-lost-latent"), seed=1, log_reads_per_minute=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def lab(warned: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", warned.running.endpoint)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(tmp_path)
    return warned


def profile(more: str = "") -> None:
    """The pipeline's own profile in the folder, with something more."""
    text = resources.files("diagnostics.pipeline").joinpath("profiles", "nba-predictions.toml").read_text("utf-8")
    Path("pubsub-diag.toml").write_text(text + more)


def test_each_format_is_read_by_its_consumer(capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for form in ("junit", "github", "nagios", "prometheus", "markdown"):
        assert main.run(["batch", "-q", "-o", form]) == 1
        said[form] = capsys.readouterr().out
    assert JUnitXml.fromstring(said["junit"].encode()).failures > 0
    assert workflow_command(said["github"].splitlines()[0]).name == "warning"
    assert plugin_output(said["nagios"]).status == "WARNING"
    codes = [f for f in text_string_to_metric_families(said["prometheus"]) if f.name == "pubsub_diag_exit_code"]
    assert codes[0].samples[0].value == 1
    assert said["markdown"].startswith("## WARNING ")


def test_fail_on_fault_makes_every_format_calm(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "-o", "junit", "--fail-on", "fault"]) == 0
    suites = JUnitXml.fromstring(capsys.readouterr().out.encode())
    assert (suites.failures, suites.errors) == (0, 0)
    assert main.run(["batch", "-q", "-o", "nagios", "--fail-on", "fault"]) == 0
    assert plugin_output(capsys.readouterr().out).status == "OK"


def test_github_gets_a_job_summary(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert main.run(["batch", "-q", "-o", "github"]) == 1
    assert Path("summary.md").read_text().startswith("## WARNING ")
    assert all(workflow_command(line) for line in capsys.readouterr().out.splitlines())


def test_a_textfile_is_written_for_the_collector(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "-o", "prometheus", "--out", "pubsub.prom"]) == 1
    assert capsys.readouterr().out == ""
    assert "pubsub_diag_exit_code" in Path("pubsub.prom").read_text()
    assert [p.name for p in Path().iterdir()] == ["pubsub.prom"]


def test_what_the_profile_accepts_does_not_count_and_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    profile(ACCEPTED.format(until="2999-12-31"))
    assert main.run(["batch", "-q", "-o", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["status"] == "ok"
    assert [(s["code"], s["reason"], s["until"], s["over"]) for s in said["suppressed"]] == [
        ("min-instances-lost-in-deploy", "ticket 77", "2999-12-31", False)
    ]
    assert "min-instances-lost-in-deploy" not in {c["code"] for c in said["causes"]}
    for form in a_share(("text", "short", "junit", "github", "nagios", "markdown")):
        assert main.run(["batch", "-q", "-o", form]) == 0
        assert "ticket 77" in capsys.readouterr().out


def test_an_acceptance_that_is_over_counts_again_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    profile(ACCEPTED.format(until="2020-01-01"))
    assert main.run(["batch", "-q"]) == 1
    assert "was until 2020-01-01, and counts again" in " ".join(capsys.readouterr().out.split())


def test_nothing_accepted_hides_what_cannot_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    profile(ACCEPTED.format(until="2999-12-31"))
    assert main.run(["batch", "-q", "No-Such-Batch"]) == 3
    assert capsys.readouterr().out.startswith("UNKNOWN")


def test_items_are_for_people_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "--items", "-o", "markdown"]) == 3
    assert "this command says text, short, json" in capsys.readouterr().err


def test_a_run_leaves_names_for_the_shell_to_complete(lab: World) -> None:
    batch = lab.lab.batches["tonight"].id
    assert main.run(["batch", "-q"]) == 1
    assert names.complete_batch(batch[:6])[0] == batch
    assert "prediction-request-prod" in names.complete_subscription("pred")


def test_settings_of_a_file_reach_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    profile("\n[settings]\noutput = 'short'\nfail_on = 'fault'\nquiet = true\n")
    assert main.run(["batch"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "Finishes alone?" in said.out
    assert "stage" not in said.out
