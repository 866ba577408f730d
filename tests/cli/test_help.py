"""Help that somebody can begin with: commands in groups, examples that run, names that the shell completes."""

from __future__ import annotations

import re
import shlex
from enum import EnumMeta
from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.cli.examples import BEGIN, EXAMPLES, GROUPS
from diagnostics.cli.frame import names
from diagnostics.cli.frame.inside import parse

COMMAND = main.command()


def _leaves(command: object, before: str = "") -> list[str]:
    found = []
    for name, inner in command.commands.items():  # type: ignore[attr-defined]
        whole = f"{before}{name}"
        found += _leaves(inner, f"{whole} ") if hasattr(inner, "commands") else [whole]
    return found


def test_every_command_has_two_examples_and_each_is_one_that_runs() -> None:
    assert set(_leaves(COMMAND)) == set(EXAMPLES)
    for lines in (*EXAMPLES.values(), BEGIN):
        assert len(lines) == 2
        for line in lines:
            parse(shlex.split(line)[1:])


def test_every_command_stands_in_one_group() -> None:
    grouped = [name for of in GROUPS.values() for name in of]
    assert len(grouped) == len(set(grouped))
    assert set(COMMAND.commands) - {"help"} == set(grouped)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Why is it not done:"),
        (("batch",), "pubsub-diag batch BATCH_ID --items --missing"),
        (("runbook", "show"), "--dead-letter-topic"),
    ],
)
def test_help_is_a_command_too(words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["help", *words]) == 0
    first = capsys.readouterr().out
    assert says in first
    assert main.run([*words, "--help"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    "group",
    ["", *(name for name, inner in COMMAND.commands.items() if hasattr(inner, "commands"))],
)
def test_a_list_of_commands_cuts_no_sentence(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*group.split(), "--help"]) == 0
    assert "..." not in capsys.readouterr().out


def test_the_shell_completes_codes_scenarios_profiles_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBSUB_DIAG_STATE_DIR", str(tmp_path))
    (tmp_path / "runs").mkdir()
    (tmp_path / "mine.toml").touch()
    for name in ("20260208T222100Z-59e4abcd.gz", "20260209T222100Z-59e4abcd.gz", ".20260210T222100Z-59e4.gz"):
        (tmp_path / "runs" / name).touch()
    assert names.complete_code("push-inv") == ["push-invoker-missing"]
    assert "typical-batch" in names.complete_scenario("typical")
    assert names.complete_profile("") == [
        "image-drops",
        "mine.toml",
        "nba-predictions",
        "orders-export",
        "scan-reading",
        "tile-rendering",
    ]
    assert names.complete_run("") == ["last", "20260209T222100Z-59e4abcd", "20260208T222100Z-59e4abcd"]
    assert names.complete_run("20260208") == ["20260208T222100Z-59e4abcd"]


@pytest.mark.parametrize("line", [["demo", "typcal-batch"], ["lab", "up", "typcal-batch"]])
def test_a_scenario_that_is_not_there_gets_the_nearest(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(line) == 3
    assert "did you mean typical-batch?" in capsys.readouterr().err


def test_a_runbook_has_an_address_where_somebody_published_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUBSUB_DIAG_RUNBOOKS", raising=False)
    assert main.run(["runbook", "open", "push-invoker-missing", "--base-url", "https://h/r/"]) == 0
    assert capsys.readouterr().out == "https://h/r/causes/auth/push-invoker-missing.md\n"
    assert main.run(["runbook", "open", "push_auth"]) == 3
    (tmp_path / "pubsub-diag.toml").write_text('[settings]\nrunbooks = "https://h/r"\n')
    assert main.run(["runbook", "open", "push_auth"]) == 0
    assert capsys.readouterr().out == "https://h/r/steps/push_auth.md\n"
    assert main.run(["runbook", "open", "push_auth", "--base-url", "javascript:x"]) == 3


def _pages() -> list[str]:
    groups = [name for name, inner in COMMAND.commands.items() if hasattr(inner, "commands")]
    return ["", *groups, *_leaves(COMMAND)]


def _help(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.run([*words.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", _pages())
def test_help_is_in_plain_words(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = _help(words, capsys)
    usage = said.splitlines()[0]
    assert not re.search(r"[{}]|\.\.\.|\[\[", usage), usage
    assert not re.search(r"<[a-z]|x[<>]=|<=x|\bint\b|\bfloat\b", said), said
    assert not re.search(r"\w-$", said, re.MULTILINE), "a name is divided at its hyphen"
    assert all(len(line) <= 80 for line in said.splitlines() if "pubsub-diag " not in line)
    assert said.count("\n    pubsub-diag ") == 2, "two lines to begin with"


@pytest.mark.parametrize("words", _pages())
def test_an_option_says_what_it_takes(words: str) -> None:
    command = COMMAND
    for word in words.split():
        command = command.commands[word]
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            assert parameter.metavar or isinstance(parameter.type_descriptor.annotation, EnumMeta), parameter.opts


@pytest.mark.parametrize(
    "words", [w for w in _leaves(COMMAND) if w not in ("probe run", "probe status", "probe restore")]
)
def test_the_formats_that_help_lists_are_those_that_are_taken(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = re.search(r"--output ([a-z|]+)", _help(words, capsys))
    if not listed or "junit" in listed[1]:
        return
    assert main.run([*words.split(), "-o", "junit"]) == 3
    refused = capsys.readouterr().err
    assert "junit" in refused
