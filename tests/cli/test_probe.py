"""`pubsub-diag probe` as it is typed: plan first, consent, redaction, formats, exit codes; and the night's messages by name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.cli import main
from diagnostics.cli.do import probe as probing
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline import places
from diagnostics.pipeline.places import STATE
from diagnostics.probe.reach import Waits
from diagnostics.transport.session import LAB
from tests.homeless import without_a_home
from tests.probe.killing import leftovers

PROBED = Path(__file__).parent.parent / "probe" / "probed.yaml"
NIGHT = places.scenarios() / "incidents" / "2026-02-08-backfill-stall.yaml"
BRINGS = {"snapshot_brings_older": True, "seek_settles_s": 0, "short_pulls": 0.0}
BRINGS_NOTHING = BRINGS | {"snapshot_brings_older": False}


def _hurry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(STATE, str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(
        probing,
        "Waits",
        lambda peek_s: Waits(
            peek_s=min(peek_s, 12), between_pulls_s=0.05, settle_s=0.1, watch_s=1, between_looks_s=0.2
        ),
    )


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    _hurry(monkeypatch, tmp_path)
    path, draw = request.param if isinstance(param := getattr(request, "param", PROBED), tuple) else (param, BRINGS)
    scenario = load(path, 2)
    scenario = msgspec.structs.replace(scenario, draw={**scenario.draw, **draw})
    with start(Lab(scenario, 2, Telemetry()), pace=20) as running:
        monkeypatch.setenv(LAB, running.endpoint)
        yield running


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main.run(["probe", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def writes(lab: RunningLab) -> list[str]:
    verbs = ("Create", "Delete", "Update", "Modify", "Seek", "Pull", "Write")
    return [r.name for r in lab.rpcs if r.name.rpartition("/")[2].startswith(verbs)]


@pytest.mark.parametrize("mode", ["snapshot", "switch"])
def test_a_dry_run_says_everything_and_writes_nothing(
    lab: RunningLab, capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: str
) -> None:
    code, out, _ = run(capsys, "run", "--mode", mode, "--dry-run")
    assert code == 0
    for part in ("will", "cost", "undo  gcloud pubsub", "5 messages wait"):
        assert part in out
    assert writes(lab) == []
    assert not list(tmp_path.rglob("*.json"))


def test_without_consent_nothing_is_done(lab: RunningLab, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "run")
    assert (code, out) == (3, "")
    assert "undo  gcloud" in err and "--yes" in err
    assert writes(lab) == []


def test_it_is_the_word_yes_that_counts(
    lab: RunningLab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Typed("y\n"))
    assert run(capsys, "run")[0] == 3
    assert writes(lab) == []
    monkeypatch.setattr("sys.stdin", _Typed("yes\n"))
    assert run(capsys, "run")[0] == 1


@pytest.mark.usefixtures("lab")
def test_data_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "run", "--yes")
    assert "opponent_team_abbr" not in out
    _, out, _ = run(capsys, "run", "--yes", "--show-data")
    assert "opponent_team_abbr" in out


@pytest.mark.usefixtures("lab")
def test_status_and_restore_have_nothing_to_say_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "run", "--yes", "--mode", "switch")[0] == 1
    assert run(capsys, "status")[:2] == (0, "no probe is active, and none has left anything\n")
    assert run(capsys, "restore")[:2] == (0, "nothing to restore\n")


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("lab", [NIGHT], indirect=True)
def test_the_messages_of_the_night_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "run", "--yes", "--peek", "30", "-o", "json")
    said: dict[str, Any] = json.loads(out)
    assert code == said["exit_code"] == 1
    reasons = [c["why"] for c in said["candidates"]]
    assert len(reasons) == 17
    assert sum("lacks player_lookup, game_id" in why for why in reasons) == 2
    assert all(c["item"] for c in said["candidates"] if "lacks" not in c["why"])


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("lab", "refused", "then"),
    [
        ((NIGHT, BRINGS_NOTHING), True, "pubsub-diag worker --leg request"),
        ((PROBED, BRINGS_NOTHING), False, "pubsub-diag probe run --mode switch --leg request"),
    ],
    indirect=["lab"],
)
def test_a_copy_that_brings_nothing_tells_how_it_gets_on_and_sends_nobody_to_where_he_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refused: bool, then: str
) -> None:
    """The switch would send him back to the copy."""
    monkeypatch.setattr("diagnostics.probe.run.TELL_S", 1.0)
    code, out, err = run(capsys, "run", "--yes", "--max-seconds", "4")
    assert code == 3 and "unknown, not empty" in out
    assert out.splitlines()[-1] == f"next    {then}"
    assert f"0 of {17 if refused else 5} came so far" in err
    assert ("would not be asked either" in err) == refused
    assert (run(capsys, "run", "--mode", "switch", "--dry-run")[0] == 3) == refused


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("lab", [NIGHT], indirect=True)
def test_batch_with_a_probe_confirms_the_storm_by_its_messages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "--probe", "--yes", "-o", "json"]) == 2
    said = json.loads(capsys.readouterr().out)
    storm = next(c for c in said["causes"] if c["code"] == "poison-retry-storm")
    assert storm["confidence"] == "confirmed"
    assert any("cannot be read by the receiver" in why for why in storm["because"])
    assert {"peeked.unreadable", "peeked.stuck", "peeked.none_waits"} & {f["code"] for f in said["findings"]}


@pytest.mark.parametrize(
    ("number", "listened_to"), [(signal.SIGTERM, True), (signal.SIGINT, True), (signal.SIGHUP, False)]
)
def test_a_real_process_puts_back_and_says_130_also_when_nobody_listens_any_more(
    lab: RunningLab, number: signal.Signals, listened_to: bool
) -> None:
    before = _truth(lab)
    words = ["probe", "run", "--mode", "switch", "--yes", "--max-seconds", "60", "--peek", "500"]
    with subprocess.Popen(
        [sys.executable, "-m", "diagnostics.cli.main", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout and process.stderr
        while "switched to pull" not in (line := process.stderr.readline()):
            assert line, "it ended before it switched"
        assert leftovers(_truth(lab), before)
        if not listened_to:
            process.stdout.close()
            process.stderr.close()
        process.send_signal(number)
        code = process.wait(60)
    assert leftovers(_truth(lab), before) == []
    assert code == 130 or not listened_to


def _truth(lab: RunningLab) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{lab.endpoint}/lab/truth", timeout=10) as answer:
        return dict(json.load(answer))


class _Typed:
    """A terminal at which somebody types this."""

    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._line


NOWHERE = "this user has no home directory"


def test_without_a_home_that_can_be_written_to_one_true_line_says_so_and_nothing_is_changed(
    lab: RunningLab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv(STATE, "/dev/null/state")  # no right of root's makes a folder there
        assert run(capsys, "status")[0] == 0
        refused = run(capsys, "run", "--yes")
    _told_of(refused, "the journal of probes cannot be kept in /dev/null/state/probes: Not a directory")
    without_a_home(monkeypatch)
    for line in ("status", "restore", "run --dry-run"):
        code, out, err = run(capsys, *line.split())
        assert code == 3 and NOWHERE in out and err.count("\n") <= 1, line
    _told_of(run(capsys, "run", "--yes", "--force"), NOWHERE)
    assert writes(lab) == []


def _told_of(ended: tuple[int, str, str], reason: str) -> None:
    code, out, err = ended
    assert (code, out) == (3, "")
    said, mend = err.splitlines()[-2:]
    assert said.startswith(f"pubsub-diag: {reason}") and said.endswith("; nothing was done"), said
    assert mend == "  pubsub-diag probe status"
    assert "Errno" not in err and "internal" not in err
