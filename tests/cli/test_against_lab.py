"""Real command lines against the lab, through the real client libraries: formats, exit codes, trouble."""

from __future__ import annotations

import json as std
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from diagnostics.cli import main
from diagnostics.pipeline import places
from diagnostics.report import json
from diagnostics.scoring.world import World, find, opened
from tests.interruptible import interruptible

ROOT = Path(__file__).parents[2]
NIGHT = "2026-02-08-backfill-stall"


@pytest.fixture(scope="module")
def night() -> Iterator[World]:
    """The night, with log reads for more commands than a person runs in a minute."""
    with opened(find(NIGHT), seed=1, log_reads_per_minute=10_000) as world:
        yield world


@pytest.fixture
def lab(night: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """The lab as the endpoint of every command of the test."""
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", night.running.endpoint)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return night


@pytest.mark.usefixtures("lab")
def test_the_three_formats_agree(capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for form in ("text", "short", "json"):
        assert main.run(["batch", "-q", "-o", form]) == 2
        captured = capsys.readouterr()
        assert captured.err == ""
        said[form] = captured.out
    assert said["text"].startswith("FAULT  batch_2026-02-07_")
    assert said["text"].splitlines()[:2] == said["short"].splitlines()[:2]
    whole = std.loads(said["json"])
    jsonschema.validate(whole, json.schema())
    assert (whole["status"], whole["exit_code"], whole["pipeline"]["lab"]) == ("fault", 2, True)
    assert " ".join(said["text"].split()).startswith(f"FAULT {whole['headline']}")


@pytest.mark.usefixtures("lab")
def test_the_answer_goes_to_stdout_and_the_rest_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    main.run(["batch", "--timeout", "34"])
    said = capsys.readouterr()
    assert "reading nba-props-platform, at most 34 s" in said.err
    assert "reading" not in said.out


@pytest.mark.usefixtures("lab")
def test_the_answer_can_go_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "--out", "answer.txt"]) == 2
    assert (tmp_path / "answer.txt").read_text().startswith("FAULT  ")
    assert main.run(["batch", "-q", "--out", "no/such/folder.txt"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "cannot write no/such/folder.txt" in said.err


@pytest.mark.usefixtures("lab")
def test_items_to_send_again_are_a_plain_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "--items", "--missing", "-o", "json"]) == 2
    said = capsys.readouterr()
    names = std.loads(said.out)
    assert isinstance(names, list)
    assert "166 more have to be sent again, known by count only" in said.err
    assert main.run(["batch", "-q", "--items"]) == 2
    assert "166 more of the batch, known by count only" in capsys.readouterr().out


def test_batches_lists_attempts_newest_first(lab: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batches", "-q", "-o", "json"]) == 0
    listed = std.loads(capsys.readouterr().out)["batches"]
    assert listed[0]["id"] == lab.lab.batches["backfill"].id
    assert (listed[0]["expected"], listed[0]["done"], listed[0]["state"]) == (181, 15, "open")
    assert [b["started"] for b in listed] == sorted((b["started"] for b in listed), reverse=True)
    assert main.run(["batches", "-q"]) == 0
    assert "15/181" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("part", ["published", "delivery", "push-auth", "cold-start", "worker", "changes"])
def test_each_part_says_its_findings(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main.run([part, "-o", "json"])
    said = capsys.readouterr()
    whole = std.loads(said.out)
    assert code == whole["exit_code"] < 3
    assert whole["pipeline"]["command"] == part
    assert whole["findings"]
    live = part in ("push-auth", "cold-start")
    assert ("calling the services' health paths" in said.err) is live


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("leg", ["request", "completion"])
def test_a_leg_can_be_asked_for_alone(leg: str, capsys: pytest.CaptureFixture[str]) -> None:
    main.run(["delivery", "-q", "-o", "json", "--leg", leg])
    findings = std.loads(capsys.readouterr().out)["findings"]
    assert {f["leg"] for f in findings} <= {leg, None}
    assert leg in {f["leg"] for f in findings}


@pytest.mark.usefixtures("lab")
def test_an_unknown_batch_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-q", "No-Such-Batch"]) == 3
    said = capsys.readouterr()
    assert said.out.startswith("UNKNOWN  ")
    assert "No-Such-Batch" in said.out.splitlines()[0]


@pytest.mark.usefixtures("lab")
def test_an_unknown_subscription_and_project_never_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["delivery", "-q", "--subscription", "gone"]) in (2, 3)
    assert "gone" in capsys.readouterr().out
    assert main.run(["delivery", "-q", "--subscription", "gone", "--project", "another"]) in (2, 3)


@pytest.mark.usefixtures("lab")
def test_access_lists_what_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["access"]) == 0
    said = capsys.readouterr().out
    assert "pubsub.subscriptions.get " in said
    assert "subscriptions/prediction-request-prod\n" in said
    assert "lacking" not in said


@pytest.mark.usefixtures("lab")
def test_init_writes_a_profile_that_works_and_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["init", "--subscription", "prediction-request-prod"]
    assert main.run(line) == 0
    assert "completion" in capsys.readouterr().err
    written = tmp_path / "pubsub-diag.toml"
    assert 'topic = "prediction-request-prod"' in written.read_text()
    assert main.run(["delivery", "-q", "--profile", "pubsub-diag.toml", "-o", "json"]) == 2
    assert std.loads(capsys.readouterr().out)["pipeline"]["pipeline"] == "prediction-request-prod"
    assert main.run(line) == 3
    assert "is there already" in capsys.readouterr().err
    assert main.run(["init"]) == 3
    assert main.run(["init", "--subscription", "gone", "--force"]) == 3
    assert "gone: expected a push subscription, it does not exist" in capsys.readouterr().err


@pytest.mark.usefixtures("lab")
def test_what_init_proposes_is_enough_for_the_right_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without batch state the log alone tells, so the cause is probable; the profile was taken as it was written."""
    there, back = "prediction-request-prod", "prediction-ready-prod-sub"
    assert main.run(["init", "--subscription", there, "--completion-subscription", back]) == 0
    told = capsys.readouterr().err
    assert "failed_item" in told and "batch_state:" in told and "markers:" not in told
    assert 'start_path = "/start"' in (tmp_path / "pubsub-diag.toml").read_text()
    assert main.run(["batch", "-q", "-o", "json", "--profile", "pubsub-diag.toml"]) == 2
    said = std.loads(capsys.readouterr().out)
    blocking = [(c["code"], c["confidence"]) for c in said["causes"] if c["role"] == "blocks"]
    assert blocking == [("gated-batch-never-closes", "probable")]
    assert " 15/181 " in said["headline"]


@pytest.mark.usefixtures("lab")
def test_init_without_markers_reads_no_log(tmp_path: Path) -> None:
    assert main.run(["init", "--subscription", "prediction-request-prod", "--no-markers", "-q"]) == 0
    assert "Proposed from" not in (tmp_path / "pubsub-diag.toml").read_text()


@pytest.mark.usefixtures("lab")
def test_profile_test_shows_what_markers_capture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["profile", "test", "--days", "1"]) == 0
    said = capsys.readouterr().out
    assert "batch=batch_2026-02-07_" in said
    assert "expected=181" in said
    assert "coordinator status  expects 181, 15 done, open" in said


def test_no_lab_behind_the_seam_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:9")
    assert main.run(["batch"]) == 3
    first, hint = capsys.readouterr().err.splitlines()
    assert "no lab answers there" in first
    assert "pubsub-diag lab up" in hint
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "example.com:80")
    assert main.run(["batch"]) == 3
    assert "127.0.0.1:PORT" in capsys.readouterr().err


def test_the_demo_diagnoses_the_night_and_answers_its_guesses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PUBSUB_DIAG_ENDPOINT", raising=False)
    assert main.run(["demo"]) == 0
    said = capsys.readouterr()
    assert "1 BLOCKS  gated-batch-never-closes" in said.out
    for guess in ("calling publish?", "delivery metrics", "exist in the subscription?", "min-instances=0"):
        assert guess in said.out
    assert "not looked at" not in said.out
    assert "15 of 181 published; the gate let 15 of 181" in said.out
    assert "pubsub-diag demo 2026-02-08-storm-that-holds" in said.out
    assert "this machine alone" in said.err


def test_the_demo_says_when_the_diagnosis_is_not_as_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    healthy = next(places.scenarios().rglob("typical-batch.yaml")).read_text()
    wrong.write_text(healthy.replace("status: ok", "status: fault"))
    assert main.run(["demo", str(wrong)]) == 2
    assert "status: expected fault, found ok" in capsys.readouterr().err
    assert main.run(["lab", "score", str(wrong), "--jobs", "1"]) == 2
    assert "0 passed, 1 failed" in capsys.readouterr().out
    assert main.run(["lab", "score", str(wrong), "--jobs", "1", "-o", "json"]) == 2
    scored = std.loads(capsys.readouterr().out)
    assert (scored["passed"], scored["failed"]) == (0, 1)
    assert scored["scores"][0]["disagreements"] == ["status: expected fault, found ok"]


def test_the_schema_of_scenario_files_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lab", "schema"]) == 0
    assert "not_confirmed" in std.loads(capsys.readouterr().out)["$defs"]["Expected"]["properties"]


@pytest.mark.parametrize("line", [["demo", "no-such"], ["lab", "up", "no-such"], ["lab", "score", "no/such/folder"]])
def test_an_unknown_scenario_is_one_clear_line(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(line) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "no" in said.err
    assert "pubsub-diag lab list" in said.err


def test_there_is_no_other_size_of_a_scenario_without_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lab", "up", "lint-second-push", "--items", "1000000"]) == 3
    said = capsys.readouterr()
    assert (said.out, "lint-second-push starts no batch" in said.err) == ("", True)


def test_lab_up_plays_as_many_items_as_one_wants() -> None:
    line = [sys.executable, "-m", "diagnostics.cli.main", "lab", "up", "typical-batch", "--items", "77"]
    with interruptible():
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process as lab:
        assert lab.stdout
        endpoint = lab.stdout.readline().partition("=")[2].strip()
        with urllib.request.urlopen(f"http://{endpoint}/lab/truth", timeout=60) as answer:
            truth = std.loads(answer.read())
        lab.send_signal(signal.SIGINT)
        lab.communicate(timeout=60)
    assert max(told["published"] for told in truth["subscriptions"].values()) == 2 * 77, (
        "last night's batch and tonight's"
    )


def test_lab_list_names_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lab", "list"]) == 0
    assert NIGHT in capsys.readouterr().out


def test_lab_up_says_how_to_reach_it_and_ends_quietly_on_ctrl_c() -> None:
    line = [sys.executable, "-m", "diagnostics.cli.main", "lab", "up", "typical-batch"]
    with interruptible():
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process as lab:
        assert lab.stdout and lab.stderr
        exported = lab.stdout.readline()
        ready = lab.stderr.readline()
        lab.send_signal(signal.SIGINT)
        rest = lab.communicate(timeout=60)
    assert exported.startswith("export PUBSUB_DIAG_ENDPOINT=127.0.0.1:")
    assert "typical-batch, seed 1" in ready
    assert rest == ("", "")
    assert lab.returncode == 130


def test_the_verdict_survives_a_reader_that_leaves(lab: World) -> None:
    line = f"{sys.executable} -m diagnostics.cli.main batch -q | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PUBSUB_DIAG_ENDPOINT": lab.running.endpoint, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (2, "")
