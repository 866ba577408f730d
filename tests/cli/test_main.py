"""What every command line gets: help, version, exit codes, one clear line for trouble."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from diagnostics import __version__
from diagnostics.cli import main as entry
from diagnostics.cli import parts
from diagnostics.cli.bundle import NoteOf
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.keep.bundle import NoteKind


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["--version"]) == 0
    assert capsys.readouterr().out == f"pubsub-diag {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["runbook"], ["lab"], ["profile"]])
def test_a_missing_command_is_exit_3(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(arguments) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "pubsub-diag" in said.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bacth"], "'batch'"),
        (["runbook", "shwo"], "'show'"),
        (["runbook", "show"], "CODE"),
        (["delivery", "--leg", "sideways"], "sideways"),
        (["batch", "-o", "xml"], "xml"),
        (["batch", "--expect", "0"], "--expect"),
        (["batch", "--nonsense"], "--nonsense"),
        (["batch", "--missing"], "--items"),
        (["batch", "--probe"], "--probe"),
    ],
)
def test_bad_arguments_get_one_line_and_a_hint(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(arguments) == 3
    said = capsys.readouterr()
    assert said.out == ""
    first, hint = said.err.splitlines()
    assert expected in first
    assert "pubsub-diag" in hint


def test_the_package_runs_as_the_program_does() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "diagnostics", "--version"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, f"pubsub-diag {__version__}\n")


def test_kinds_of_notes_are_those_that_are_kept() -> None:
    assert [kind.value for kind in NoteOf] == [kind.value for kind in NoteKind]


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in (
        "batch",
        "batches",
        *parts.COMMANDS,
        "init",
        "access",
        "selftest",
        "profile",
        "runbook",
        "demo",
        "lab",
    ):
        assert f"  {name} " in listed
        assert entry.run([name, "--help"]) == 0


HEAVY = {"google", "grpc", "simpy", "altair", "cryptography", "rich", "yaml", "jinja2", "detect_secrets", "requests"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["batch", "--help"], ["lab", "score", "--help"], ["no"]]
)
def test_help_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    program = f"import sys, json; from diagnostics.cli import main; main.run({arguments!r}); print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert imported & HEAVY == set()


def test_trouble_and_crashes_are_exit_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: BaseException) -> None:
        def command(**_: object) -> None:
            raise error

        monkeypatch.setattr(entry, "command", lambda: command)

    fail(Trouble("no \x1b[31mcredentials\n", "gcloud auth login"))
    assert entry.run(["batch"]) == 3
    assert capsys.readouterr().err == "pubsub-diag: no \\x1b[31mcredentials\\n\n  gcloud auth login\n"

    fail(ZeroDivisionError("division by zero"))
    assert entry.run(["batch"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("pubsub-diag: internal error: ZeroDivisionError: division by zero\n")
    assert "Traceback" not in said

    assert entry.run(["batch", "-v"]) == 3
    assert "Traceback" in capsys.readouterr().err

    fail(KeyboardInterrupt())
    assert entry.run(["batch"]) == 130


def test_a_reader_that_leaves_is_no_trouble() -> None:
    command = f"{sys.executable} -m diagnostics.cli.main batch --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_colour_is_not_forced_by_the_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "diagnostics.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"GITHUB_ACTIONS": "true", "FORCE_COLOR": "1", "PATH": "/usr/bin:/bin"},
    )
    assert "\x1b" not in done.stdout


def test_a_thread_that_never_ends_does_not_keep_the_process_once_the_answer_is_out() -> None:
    script = (
        "import threading, time\n"
        "from diagnostics.cli import main\n"
        "def run(_):\n"
        "    threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "    print('the answer', end='')\n"
        "    return 3\n"
        "main.run = run\n"
        "main.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (3, "the answer")


def test_a_value_that_is_none_is_refused_with_the_nearest_and_without_words_of_libraries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert entry.run(["batch", "-o", "jsn"]) == 3
    said = capsys.readouterr().err.splitlines()[0]
    assert said.endswith("did you mean json?")
    assert "env var" not in said and "Value error" not in said
