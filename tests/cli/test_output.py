"""Where the answer goes: a file is replaced whole; machines hear of trouble in their own format."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.cli.frame import output
from diagnostics.cli.frame.options import Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.report import formats
from tests.report.consumers import plugin_output, workflow_command


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    for name in ("PUBSUB_DIAG_ENDPOINT", "PUBSUB_DIAG_PROFILE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_reader_sees_the_old_file_or_the_new_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "pubsub.prom"
    out.write_text("old")
    out.chmod(0o640)
    seen: list[tuple[str, list[str]]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((out.read_text(), [p.name for p in folder.iterdir() if p.suffix == ".prom"]))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    output.answer("new", out)
    assert seen == [("old", ["pubsub.prom"])], "and no collector of *.prom reads the half-written one"
    assert out.read_text() == "new"
    assert out.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in folder.iterdir()] == ["pubsub.prom"]


def test_a_failure_leaves_the_old_file_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "answer"
    out.write_text("old")

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Trouble, match="No space left on device"):
        output.answer("new", out)
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("answer", "old")]


def test_a_link_stays_a_link_and_a_device_is_written_to(folder: Path) -> None:
    (folder / "real").write_text("old")
    (folder / "link").symlink_to("real")
    output.answer("new", folder / "link")
    assert (folder / "link").is_symlink()
    assert (folder / "real").read_text() == "new"
    output.answer("gone", Path(os.devnull))
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("form", ["nagios", "github", "junit", "prometheus", "markdown"])
def test_a_machine_hears_of_trouble_in_its_own_format(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-o", form]) == 3
    said = capsys.readouterr()
    assert "which pipeline?" in said.err
    if form == "nagios":
        assert plugin_output(said.out).status == "UNKNOWN"
    elif form == "github":
        assert workflow_command(said.out.rstrip("\n")).name == "error"
    else:
        assert said.out == formats.render_trouble(
            form, *(line.strip().removeprefix("pubsub-diag: ") for line in said.err.splitlines())
        )


def test_an_old_answer_does_not_outlive_trouble(folder: Path) -> None:
    out = folder / "pubsub.prom"
    out.write_text("pubsub_diag_exit_code 0\n")
    assert main.run(["batch", "-o", "prometheus", "--out", str(out)]) == 3
    assert out.read_text().splitlines()[-1] == "pubsub_diag_up 0.0"


def test_the_command_line_offers_every_format_there_is() -> None:
    assert [form.value for form in Format] == list(formats.FORMATS)


@pytest.mark.parametrize("form", ["text", "short", "json"])
def test_people_hear_of_trouble_on_stderr_alone(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "-o", form]) == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("line", [["access"], ["batches"], ["profile", "test"], ["config", "show"]])
def test_formats_of_a_diagnosis_are_refused_where_there_is_none(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*line, "-o", "junit"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "-o junit is for a diagnosis; this command says text, short, json" in said.err


def test_a_missing_library_names_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _name: None)
    assert main.run(["batch", "-o", "junit"]) == 3
    first, mend = capsys.readouterr().err.splitlines()
    assert first == "pubsub-diag: -o junit needs junitparser, which is not installed"
    assert mend.strip() == "pip install 'pubsub-diag[ci]'"


def test_a_summary_is_added_and_costs_no_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output.summarise("unseen")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary"))
    output.summarise("one\n")
    output.summarise("two\n")
    assert (folder / "summary").read_text() == "one\ntwo\n"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder))
    output.summarise("three\n")
    assert "the job summary was not written" in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"a": "x → y × 2"}', '["𝄞", "é"]'])
def test_json_says_every_letter_in_any_locale(text: str) -> None:
    written = output._fitting(text, "ascii")
    assert written.isascii() and json.loads(written) == json.loads(text)
    assert output._fitting(text, "utf-8") == text


def test_text_that_a_terminal_cannot_show_is_left_to_it() -> None:
    assert output._fitting("◀ HERE", "ascii") == "◀ HERE"
