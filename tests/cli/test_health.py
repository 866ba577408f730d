"""`health` against the lab: levels, idle, what is expected to serve, waiting for what cannot be seen yet."""

from __future__ import annotations

import json as std
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from diagnostics.cli import main
from diagnostics.report import json
from diagnostics.scoring.world import World, find, opened
from diagnostics.sources.descriptors import TRAFFIC

QUIET = """
name: quiet
story: Nothing for hours.
{more}
timeline:
  - {{at: -1d, start_batch: {{name: last-night, items: 30}}}}
"""


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Open a scenario, by name or by its text, as the endpoint of the commands that follow. While they wait, its time goes on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)

    @contextmanager
    def open_at(scenario: str) -> Iterator[World]:
        path = find(scenario) if "\n" not in scenario else tmp_path / "scenario.yaml"
        if "\n" in scenario:
            path.write_text(scenario)
        with opened(path, seed=1, log_reads_per_minute=10_000) as world:
            monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
            monkeypatch.setattr("diagnostics.cli.do.health.sleep", world.lab.advance)
            yield world

    return open_at


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main.run(["health", "-q", "-o", "json", *words])
    said = std.loads(capsys.readouterr().out)
    assert said["exit_code"] == code
    return code, said


def levels(said: dict[str, Any]) -> dict[str, str]:
    return {level["name"]: level["status"] for level in said["levels"]}


def test_the_answer_is_text_for_people_and_valid_json_for_scripts(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("typical-batch"):
        code, said = asked(capsys)
        jsonschema.validate(said, json.schema())
        assert (code, levels(said)) == (0, {"config": "ok", "path": "ok", "traffic": "ok"})
        assert main.run(["health", "-q"]) == 0
        text = capsys.readouterr().out
    assert text.startswith("OK  config, path and traffic ok\n")
    assert "by configuration alone" in " ".join(text.split())
    assert "not required" not in text


def test_idle_is_said_where_the_topic_shows_that_nothing_was_published(
    at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with at(QUIET.format(more="")):
        code, said = asked(capsys)
        assert (code, said["status"], levels(said)["traffic"]) == (0, "idle", "idle")
        assert asked(capsys, "--require", "traffic")[0] == 3  # nothing flowed, so nothing is shown about traffic


def test_what_is_published_and_cannot_be_seen_is_not_idle(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at(QUIET.format(more="caller: {lacks: [monitoring.timeSeries.list]}")):
        code, said = asked(capsys)
        assert (code, said["status"], levels(said)["traffic"]) == (3, "unknown", "unknown")
        assert said["headline"].startswith("traffic: what was published could not be seen")
        assert asked(capsys, "--require", "config,path")[0] == 0


def test_an_unknown_counts_only_where_its_level_is_required(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at(QUIET.format(more="caller: {lacks: [run.services.getIamPolicy]}")):
        assert asked(capsys, "--require", "config")[0] == 0
        code, said = asked(capsys)
        assert (code, levels(said)["path"]) == (3, "unknown")
        assert asked(capsys, "--fail-on", "fault")[0] == 3


def test_fail_on_moves_a_warning_and_nothing_else(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("loses-min-instances"):
        assert asked(capsys, "--since-deploy")[0] == 1
        assert asked(capsys, "--since-deploy", "--fail-on", "fault")[0] == 0
    with at("drops-invoker"):
        assert asked(capsys, "--since-deploy", "--fail-on", "fault")[0] == 2


def test_the_canary_proves_the_path_and_publishes_nothing(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("idle-since-deploy") as world:
        asked(capsys)
        assert not [r for r in world.running.rpcs if r.name == "http" and "/health" in r.resource]
        code, said = asked(capsys, "--canary")
        called = [r for r in world.running.rpcs if "/health" in r.resource]
        assert code == 0 and called
        assert not [r for r in world.running.rpcs if r.name.endswith("/Publish")]
    assert "live call" in next(level["says"] for level in said["levels"] if level["name"] == "path")


def test_label_and_image_of_what_serves_are_held_against_what_is_expected(
    at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with at("idle-since-deploy") as world:
        worker, coordinator = (
            world.lab.world.services[name].revisions[-1] for name in (world.lab.cast.worker, world.lab.cast.coordinator)
        )
        right = ["--expect-commit", f"worker={worker.labels['commit-sha']}"]
        right += ["--expect-image", f"coordinator={coordinator.image}"]
        assert asked(capsys, *right)[0] == 0
        assert asked(capsys, "--expect-commit", "worker=0123456789abcdef")[0] == 2
        assert asked(capsys, "--expect-image", "sha256:" + "0" * 64)[0] == 2
        worker.labels.clear()
        code, said = asked(capsys, *right)
        assert code == 3
        assert "no label tells which commit" in said["headline"]


def test_a_deploy_is_found_by_its_revision(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("loses-min-instances") as world:
        newest = world.lab.world.services[world.lab.cast.worker].revisions[-1].name
        assert asked(capsys, f"--since-deploy={newest}")[0] == 1
        assert main.run(["health", "-q", "--since-deploy=no-such-revision"]) == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert "no revision no-such-revision" in said.err
        assert newest in said.err
    with at(QUIET.format(more="caller: {lacks: [run.revisions.list]}")):
        assert main.run(["health", "-q", "--since-deploy"]) == 3
        assert "run.revisions.list" in capsys.readouterr().err


@pytest.mark.whole
def test_traffic_that_has_not_settled_is_unknown_then_waited_for(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    required = ["--since-deploy", "--require", "config,path,traffic"]
    with at("not-settled"):
        code, said = asked(capsys, *required)
        assert (code, levels(said)["traffic"]) == (3, "unknown")
        settle = next(f["numbers"] for f in said["findings"] if f["code"] == "since_deploy.settling")
        assert settle["settle_s"] == 360 + 2 * 60  # the largest delay of the descriptors and two samples
    with at("not-settled"):
        assert main.run(["health", "-o", "json", *required, "--wait", "10m"]) == 0
        answer = capsys.readouterr()
    assert levels(std.loads(answer.out))["traffic"] == "ok"
    assert "asking again" in answer.err


def test_nothing_is_waited_for_that_waiting_does_not_show(
    at: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: float) -> None:
        raise AssertionError("waits")

    with at(QUIET.format(more="caller: {lacks: [run.services.getIamPolicy]}")):
        monkeypatch.setattr("diagnostics.cli.do.health.sleep", never)
        assert asked(capsys, "--wait", "10m")[0] == 3
    with at("drops-invoker"):
        monkeypatch.setattr("diagnostics.cli.do.health.sleep", never)
        assert asked(capsys, "--since-deploy", "--wait", "10m")[0] == 2


def test_time_over_leaves_it_unknown(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("not-settled"):
        code, said = asked(capsys, "--since-deploy", "--require", "traffic", "--wait", "60s")
    assert (code, levels(said)["traffic"]) == (3, "unknown")


def test_the_delays_are_those_of_the_metrics_that_traffic_is_judged_by(
    at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with at("changes-nothing") as world:
        asked(capsys, "--since-deploy")
        filters = [r.resource for r in world.running.rpcs if r.name.endswith("ListTimeSeries")]
    read = {f.split('metric.type="')[1].split('"')[0] for f in filters}
    assert read - {"serviceruntime.googleapis.com/quota/exceeded"} <= TRAFFIC


def test_all_profiles_are_checked_and_the_worst_is_the_exit_code(
    at: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with at("drops-invoker"):
        assert main.run(["health", "-q", "--all-profiles"]) == 3
        assert "pubsub-diag.d" in capsys.readouterr().err
        (tmp_path / "pubsub-diag.d").mkdir()
        for name, leg in (("there", "request-prod"), ("gone", "request-gone")):
            text = f'name = "{name}"\nproject = "nba-props-platform"\nregion = "us-west2"\n[request]\nsubscription = "prediction-{leg}"\n'
            (tmp_path / "pubsub-diag.d" / f"{name}.toml").write_text(text)
        assert main.run(["health", "-q", "-o", "json", "--all-profiles"]) == 2
        said = std.loads(capsys.readouterr().out)
    assert [one["pipeline"]["pipeline"] for one in said] == ["gone", "there"]


def test_a_kept_run_gives_the_same_answer(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("changes-nothing"):
        _, live = asked(capsys, "--since-deploy", "--canary")
        assert main.run(["bundle", "list"]) == 0
        run = capsys.readouterr().out.splitlines()[1].split()[0]
    assert asked(capsys, "--from", run)[1] == live


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--require", "config,luck"], "luck"),
        (["--wait", "soon"], "soon"),
        (["--wait", "2026-02-08T14:00:00Z"], "length of time"),
        (["--expect-commit", "somebody=abcdef0"], "somebody"),
        (["--expect-image", "short"], "short"),
    ],
)
def test_bad_usage_is_one_line_and_exit_3(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", *words]) == 3
    assert says in capsys.readouterr().err.splitlines()[0]
