"""`watch` on a lab whose time goes on: done, stalled, time over, cannot tell; in a pipe, and in a real terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.cli import main
from diagnostics.cli.frame.bar import counted, told
from diagnostics.conclude.diagnosis import Diagnosis, State
from diagnostics.conclude.drain import Forecast
from diagnostics.run.investigate import Case, investigate
from diagnostics.run.watch import Glance
from diagnostics.scoring.world import World, find, opened
from tests.interruptible import interruptible

ROOT = Path(__file__).parents[2]
SAMPLING_PERIOD = timedelta(seconds=60)
STALLS = """
name: stalls-later
story: A batch that has just begun. Its gate holds two thirds back, and it goes on expecting them.
pipeline: {coordinator: {revision: {code: expected-kept no-age-rule}}, worker: {revision: {min_instances: 10}}}
timeline:
  - {at: -1d, jitter: 20m, start_batch: {name: last-night, items: 60}}
  - {at: -40s, start_batch: {name: tonight, items: 60, loading: 50s, gated: {existing: 40}}}
"""
ENDS = STALLS.replace("expected-kept no-age-rule", "head")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Open a scenario, by name or by its text, as the endpoint of the commands that follow.

    With a pace its time goes on by itself; else it goes on while the command of this process waits, and no further.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    @contextmanager
    def open_at(scenario: str, pace: float = 0.0) -> Iterator[World]:
        path = find(scenario) if "\n" not in scenario else tmp_path / "scenario.yaml"
        if "\n" in scenario:
            path.write_text(scenario)
        with opened(path, seed=1, pace=pace, log_reads_per_minute=10_000) as world:
            monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
            monkeypatch.setattr("diagnostics.cli.do.watch.sleep", world.lab.advance)
            yield world

    return open_at


def watched(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    code = main.run(["watch", "-q", *words])
    said = capsys.readouterr()
    assert said.err == ""
    return code, [json.loads(line) for line in said.out.splitlines()]


def test_a_batch_that_gets_done_ends_with_0(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at(ENDS):
        code, lines = watched(capsys)
    assert (code, lines[-1]["state"]) == (0, "done")
    assert lines[-1]["done"] == lines[-1]["expected"]
    told = [(line["batch"], line["state"], line["done"], line["expected"]) for line in lines]
    assert all(before != after for before, after in pairwise(told))


def test_a_stall_is_named_in_time_and_diagnosed(
    at: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with at(STALLS) as world:
        waits = log_reads_and_waits(world, monkeypatch)
        code, lines = watched(capsys)
    *glances, diagnosis = lines
    assert code == 2
    assert [line["state"] for line in glances][-2:] == ["running", "stalled"]
    named, earliest = (datetime.fromisoformat(when) for when in (glances[-1]["at"], glances[-2]["judge_at"]))
    assert earliest < named <= earliest + 2 * SAMPLING_PERIOD
    blocking = [c["code"] for c in diagnosis["diagnosis"]["causes"] if c["role"] == "blocks"]
    assert blocking == ["gated-batch-never-closes"]
    assert len(waits) > 5
    assert all(reads and seconds >= 10 * reads for reads, seconds in waits), "more than six log reads a minute"


def log_reads_and_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Filled while the command runs: how many log reads each look took, and how long it then waited."""
    waits: list[tuple[int, float]] = []

    def wait(seconds: float) -> None:
        reads = sum(r.name.endswith("ListLogEntries") for r in world.running.rpcs)
        waits.append((reads - sum(n for n, _ in waits), seconds))
        world.lab.advance(seconds)

    monkeypatch.setattr("diagnostics.cli.do.watch.sleep", wait)
    return waits


def test_time_over_while_it_moves_is_1(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with at("still-running"):
        code, lines = watched(capsys, "--for", "20s")
    assert (code, lines[-1]["state"]) == (1, "running")
    assert lines[-1]["done_by"]["earliest"] > lines[-1]["at"]


def test_what_cannot_be_told_is_3_at_once(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    blind = STALLS.replace("pipeline:", "caller: {lacks: [logging.logEntries.list]}\npipeline:")
    with at(blind):
        code, lines = watched(capsys)
    assert code == 3
    assert lines[0]["state"] == "unknown"
    assert lines[-1]["diagnosis"]["status"] == "unknown"


def test_a_start_that_made_no_batch_has_the_exit_code_of_its_diagnosis(
    at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with at("start-call-refused"):
        code, lines = watched(capsys)
    assert (code, lines[0]["state"]) == (2, "failed")
    assert lines[-1]["diagnosis"]["exit_code"] == 2


@pytest.mark.parametrize(("thinks", "code"), [("running", 1), ("done", 0)])
def test_the_thorough_look_is_believed_over_the_cheap_one(
    thinks: str, code: int, at: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with at(STALLS):

        def judged(case: Case, **options: Any) -> Diagnosis:
            found = investigate(case, **options)
            return msgspec.structs.replace(found, state=State(thinks)) if case.command == "batch" else found

        monkeypatch.setattr("diagnostics.cli.do.watch.investigate", judged)
        assert watched(capsys, "--for", "15m")[0] == code


def test_a_batch_that_nothing_knows_is_refused_with_the_nearest(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """For `watch`, `batch` and `postmortem`: by what the log names, and what is kept."""
    with at(STALLS) as world:
        tonight = world.lab.batches["last-night"].id
        mistyped = tonight[:-1] + ("1" if tonight[-1] != "1" else "2")
        assert main.run(["watch", "-q", mistyped]) == 3
        told = capsys.readouterr()
        assert f"{mistyped}: no line of the coordinator's log names this batch" in told.err
        assert f"pubsub-diag watch {tonight}" in told.err
        assert main.run(["batch", "-q", "-o", "json", mistyped]) == 3
        said = json.loads(capsys.readouterr().out)
        assert said["headline"].endswith(f"did you mean {tonight}?")
        assert said["next"] == [f"pubsub-diag batch {tonight}", "pubsub-diag batches"]
        assert main.run(["batch", "-q", "-o", "short", tonight]) == 0
        capsys.readouterr()
        assert main.run(["postmortem", mistyped[:-1]]) == 3
        assert "pubsub-diag postmortem batch_" in capsys.readouterr().err


def test_a_subscription_that_is_not_there_is_said_with_the_name_most_like_it(
    at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with at(STALLS):
        assert main.run(["lint", "-q", "-o", "json", "--subscription", "prediction-request-prd"]) == 2
    told = capsys.readouterr().out
    assert (
        "prediction-request-prd does not exist (the name most like it in the project: prediction-request-prod)" in told
    )


def test_what_matters_most_stands_first_and_the_line_fits_80_columns() -> None:
    now = datetime.fromisoformat("2026-02-08T22:21:07+00:00")
    until = Forecast(earliest=now + timedelta(minutes=4), latest=now + timedelta(minutes=6, seconds=1))
    seen = Glance(
        at=now, batch="B", state=State.RUNNING, done=15, expected=181, stage="delivered", per_minute=12.4, done_by=until
    )
    assert counted(seen) == "15/181 done, most delivered"
    assert told(seen) == "12.4/min, done 22:25–22:28Z"
    near = msgspec.structs.replace(seen, done_by=Forecast(earliest=now + timedelta(seconds=20), latest=None))
    assert told(near) == "12.4/min, done now–?", "no minute that is past"
    assert len(f"{counted(seen)} {'━' * 12} {told(seen)} 0:00:40") <= 80


def test_bad_usage_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["watch", "--for", "a while"]) == 3
    assert "a while" in capsys.readouterr().err


def line_of(*words: str) -> list[str]:
    return [sys.executable, "-m", "diagnostics.cli.main", "watch", *words]


def test_ctrl_c_ends_it_with_130(at: Any) -> None:
    with at("still-running", pace=1):
        with interruptible():
            process = subprocess.Popen(line_of(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process as run:
            assert run.stdout
            assert run.stdout.readline().startswith(b"{")
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)
    assert run.returncode == 130


def test_a_terminal_gets_a_bar_and_the_diagnosis_as_text(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    with at(STALLS, pace=60):
        ours, theirs = pty.openpty()
        run = subprocess.Popen(line_of(), stdout=theirs, stderr=theirs, stdin=theirs)
        os.close(theirs)
        said = b"".join(_read(ours))
        assert run.wait(timeout=60) == 2
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())
    assert re.search(r"watching batch_\S+", shown)
    assert re.search(r"20/60 done(?:, most \w+)? ━+", shown)
    assert re.search(r"/min, done \d\d:\d\d–", shown)
    assert "FAULT" in shown and "gated-batch-never-closes" in shown
    assert said.rfind(b"\x1b[?25h") > said.rfind(b"\x1b[?25l")  # the cursor is back


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            return
        if not chunk:
            return
        yield chunk


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_tmux_the_bar_moves_and_the_answer_stays_on_the_screen(at: Any, tmp_path: Path) -> None:
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    with at(STALLS, pace=60):
        command = f"{shlex.join(line_of())}; echo ended with $?; sleep 600"
        subprocess.run([*tmux, "new-session", "-d", "-x", "120", "-y", "50", command], check=True)
        try:
            screens = _screens(tmux)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
    assert any(re.search(r"\d+/60 done.* ━+", screen) for screen in screens)
    last = screens[-1]
    assert "ended with 2" in last
    assert last.index("stalled") < last.index("FAULT") < last.index("1 BLOCKS  gated-batch-never-closes")


def _screens(tmux: list[str]) -> list[str]:
    """What the screen shows from time to time, until the command has ended."""
    screens: list[str] = []
    end = time.monotonic() + 120
    while time.monotonic() < end and not (screens and "ended with" in screens[-1]):
        screens.append(subprocess.run([*tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True).stdout)
        time.sleep(0.2)
    return screens
