"""Evidence that lasts, on the command line: runs keep themselves, capture, replay, note, show, verify."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.keep import store
from diagnostics.keep.bundle import NoteKind, load
from diagnostics.scoring.world import World, find, opened
from tests.homeless import without_a_home
from tests.sampling import a_share

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
PARTS = ["published", "delivery", "push-auth", "cold-start", "worker", "changes"]
READING = ["batch", *PARTS, "lint", "health"]


@pytest.fixture(scope="module")
def night() -> Iterator[World]:
    with opened(find("2026-02-08-backfill-stall"), seed=1, log_reads_per_minute=10_000) as world:
        yield world


@pytest.fixture
def lab(night: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", night.running.endpoint)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return night


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No lab behind the seam: whoever asks gets nothing."""
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:9")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("command", a_share(READING, of=2))
def test_every_reading_command_keeps_its_run_and_answers_the_same_from_it(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = main.run([command, "-q", "-o", "json"])
    said = capsys.readouterr().out
    (run,) = store.runs()
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:9")
    assert main.run([command, "-q", "-o", "json", "--from", run.stem]) == code
    assert capsys.readouterr().out == said
    assert len(store.runs()) == 1, "a replay is no run"


@pytest.mark.usefixtures("lab")
def test_batches_answers_the_same_from_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batches", "-q", "-o", "json"]) == 0
    said = capsys.readouterr().out
    (run,) = store.runs()
    assert main.run(["batches", "-q", "-o", "json", "--from", run.stem]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.usefixtures("lab")
def test_the_answer_names_its_kept_run_unless_none_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main.run(["batch", "-q"])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["saved", "run", store.runs()[0].stem]
    monkeypatch.setenv("PUBSUB_DIAG_KEEP_RUNS", "0")
    main.run(["batch", "-q"])
    assert "saved" not in capsys.readouterr().out
    assert len(store.runs()) == 1


@pytest.mark.usefixtures("lab")
def test_a_run_that_cannot_be_kept_still_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert main.run(["batch"]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("FAULT")
    assert "this run was not kept: " in said.err


@pytest.mark.usefixtures("lab")
def test_capture_takes_everything_once_and_for_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["note", "sought the subscription back", "--at", "5m ago", "--kind", "resolved"]) == 0
    assert main.run(["capture", "-q", "--out", "night.gz"]) == 0
    assert "night.gz" in capsys.readouterr().out
    file = tmp_path / "night.gz"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    bundle = load(file)
    assert [(note.says, note.kind) for note in bundle.notes] == [("sought the subscription back", NoteKind.RESOLVED)]
    kinds = {kind for (kind, _), _ in bundle.case.evidence.items()}
    assert {"ProjectSubscriptions", "BacklogHistory", "PlatformLines", "TopicPolicy", "BatchStatus"} <= kinds
    assert main.run(["capture", "-q", "--out", "night.gz"]) == 3
    assert "night.gz is there already" in capsys.readouterr().err
    assert main.run(["capture", "-q"]) == 0
    assert len(list(tmp_path.glob("batch_2026-02-07_*.pubsub-diag.gz"))) == 1


@pytest.mark.usefixtures("lab")
def test_a_capture_is_found_by_the_postmortem_of_its_batch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["capture", "-q", "--out", "night.gz"]) == 0
    capsys.readouterr()
    assert main.run(["postmortem", "batch_2026-02-07_1770588120"]) == 0
    assert "from 1 kept run" in capsys.readouterr().out
    assert main.run(["postmortem", "-q", "night.gz", "batch_2026-02-07_1770588120"]) == 0
    assert "from 1 kept run" in capsys.readouterr().out, "the file and the kept run are one look"


@pytest.mark.usefixtures("lab")
def test_a_note_has_a_time_that_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["note", "alice@example.com restarted it\x1b[31m", "--batch", "b1"]) == 0
    assert "alice" not in capsys.readouterr().out
    (note,) = store.notes()
    assert (note.batch, note.at) == ("b1", note.written)
    assert note.says.startswith("person-")
    for line in (["note", "x", "--at", "2099-01-01T00:00:00Z"], ["note", " "], ["note", "x", "--at", "soon"]):
        assert main.run(line) == 3
    assert len(store.notes()) == 1


@pytest.mark.usefixtures("offline")
def test_show_and_verify_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["bundle", "show", str(OLD)]) == 0
    shown = capsys.readouterr().out
    for part in (
        "FAULT  batch_2026-02-07_",
        "by pubsub-diag 0.1.0",
        "SubscriptionConfig (request)",
        "restarted the worker",
    ):
        assert part in shown
    assert main.run(["bundle", "verify", str(OLD)]) in (0, 1)
    assert "nothing in it looks like a secret" in capsys.readouterr().out
    assert main.run(["bundle", "list"]) == 0
    assert "no run is kept" in capsys.readouterr().err
    assert main.run(["bundle", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "pubsub-diag bundle"


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["batch", "--from", "none.gz"], "neither a file nor the name of a kept run"),
        (["batch", "--from", "../../etc"], "neither a file"),
        (["batch", "--from", __file__], "no bundle of pubsub-diag"),
        (["batch", "another", "--from", str(OLD)], "the bundle is about batch_2026-02-07_"),
        (["batch", "--since", "2h", "--from", str(OLD)], "--since cannot be asked of a bundle"),
        (["batch", "--live", "--from", str(OLD)], "--live calls the services as they are now"),
        (["access", "--from", str(OLD)], "cannot read a bundle"),
        (["capture", "--from", str(OLD)], "cannot read a bundle"),
        (["bundle", "verify", __file__], "no bundle of pubsub-diag"),
        (["bundle", "show", "/dev/null"], "it is a device, where a file was expected"),
    ],
)
def test_what_a_bundle_cannot_answer_is_refused_in_one_line(
    line: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(line) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err.splitlines()[0]
    assert len(said.err.splitlines()) <= 2


@pytest.mark.usefixtures("offline")
def test_parts_and_legs_can_be_asked_of_a_capture(capsys: pytest.CaptureFixture[str]) -> None:
    for command in PARTS:
        code = main.run([command, "-q", "-o", "json", "--from", str(OLD)])
        said = json.loads(capsys.readouterr().out)
        unknown = [finding["says"] for finding in said["findings"] if finding["status"] == "unknown"]
        assert code in ((2, 3) if unknown else (0, 1, 2))
        assert all("which made the bundle, did not look at it" in says for says in unknown), "nothing else is in doubt"
        assert said["pipeline"]["command"] == command
        assert said["findings"]
    main.run(["delivery", "-q", "-o", "json", "--leg", "completion", "--from", str(OLD)])
    assert {f["leg"] for f in json.loads(capsys.readouterr().out)["findings"]} <= {"completion", None}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (["bundle", "list"], 0, "no run is kept: this user has no home directory, and neither HOME nor"),
        (["bundle", "show", "2026"], 3, "pubsub-diag: 2026: neither a file nor the name of a kept run"),
        (["batch", "--from", "2026"], 3, "pubsub-diag: 2026: neither a file nor the name of a kept run"),
        (["postmortem", "b1"], 3, "pubsub-diag: "),
        (["note", "x"], 3, "pubsub-diag: cannot write the note: this user has no home directory"),
        (["bundle", "show", str(OLD)], 0, ""),
        (["batch", "-q", "-o", "short", "--from", str(OLD)], 2, ""),
        (["runbook", "show", "gated-batch-never-closes"], 0, ""),
        (["config", "show"], 0, ""),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_without_a_home_nothing_is_an_internal_error(
    line: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_home(monkeypatch)
    if line[0] == "note":
        monkeypatch.delenv("PUBSUB_DIAG_ENDPOINT")
    assert main.run(line) == code
    said = capsys.readouterr().err
    assert said.startswith(says) and len(said.splitlines()) == (0 if not says else 1 if not code else 2)
    assert "internal" not in said


@pytest.mark.parametrize("folder", ["/dev/null/state", "unreadable"])
def test_kept_runs_that_cannot_be_read_are_not_taken_for_none(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_STATE_DIR", folder)
    if folder == "unreadable":

        def refused(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("diagnostics.keep.store.os.scandir", refused)
    for line in (["bundle", "list"], ["bundle", "show", "2026"], ["postmortem"], ["postmortem", "b1"]):
        code = main.run(line)
        said = capsys.readouterr().err
        assert "internal" not in said and len(said.splitlines()) in (1, 2)
        assert folder != "unreadable" or (code == 3 and "cannot be read: Permission denied" in said), line
