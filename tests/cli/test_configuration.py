"""Flags, then the environment, then ./pubsub-diag.toml, ./pyproject.toml, the user's file, then defaults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.cli.frame import configuration

PIPELINE = 'name = "{0}"\nproject = "p-{0}"\n[request]\nsubscription = "s-{0}"\n'
VARIABLES = (
    "PROFILE",
    "PROJECT",
    "REGION",
    "SUBSCRIPTION",
    "TIMEOUT",
    "IMPERSONATE",
    "OUTPUT",
    "FAIL_ON",
    "ENDPOINT",
    "RUNBOOKS",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a home beside it; gives the user's configuration file."""
    for name in VARIABLES:
        monkeypatch.delenv(f"PUBSUB_DIAG_{name}", raising=False)
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "pubsub-diag").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home" / "pubsub-diag" / "config.toml"


def in_force(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[object, str]]:
    assert main.run(["config", "show", "-o", "json", *arguments]) == 0
    return {name: (x["value"], x["origin"]) for name, x in json.loads(capsys.readouterr().out).items()}


def test_each_source_beats_those_below_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_force(capsys)["timeout"] == (20, "default")
    home.write_text("[settings]\ntimeout = 31\nfail_on = 'fault'\n")
    assert in_force(capsys)["timeout"] == (31, str(home))
    Path("pyproject.toml").write_text("[tool.pubsub-diag.settings]\ntimeout = 32\n")
    assert in_force(capsys)["timeout"] == (32, "pyproject.toml")
    Path("pubsub-diag.toml").write_text("[settings]\ntimeout = 33\n")
    assert in_force(capsys)["timeout"] == (33, "pubsub-diag.toml")
    monkeypatch.setenv("PUBSUB_DIAG_TIMEOUT", "34")
    assert in_force(capsys)["timeout"] == (34, "PUBSUB_DIAG_TIMEOUT")
    found = in_force(capsys, "--timeout", "35")
    assert found["timeout"] == (35, "--timeout")
    assert found["fail_on"] == ("fault", str(home)), "a setting that no stronger file states stays"


@pytest.mark.parametrize("way", ["--profile", "=", "environment"])
def test_settings_of_the_profile_that_is_asked_for_are_used_and_checked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    home.write_text("[settings]\ntimeout = 31\n")
    Path("pubsub-diag.toml").write_text("[settings]\ntimeout = 33\nfail_on = 'fault'\n")
    Path("other.toml").write_text(PIPELINE.format("other") + "[settings]\ntimeout = 34\n")
    words = {"--profile": ["--profile", "other.toml"], "=": ["--profile=other.toml"]}.get(way, [])
    if not words:
        monkeypatch.setenv("PUBSUB_DIAG_PROFILE", "other.toml")
    found = in_force(capsys, *words)
    assert found["timeout"] == (34, "other.toml")
    assert found["fail_on"] == ("fault", "pubsub-diag.toml"), "a setting that it does not state stays"
    assert in_force(capsys, *words, "--timeout", "35")["timeout"] == (35, "--timeout")
    Path("other.toml").write_text(PIPELINE.format("other") + "[settings]\ntimeot = 34\n")
    assert main.run(["config", "show", *words]) == 3
    assert "other.toml: settings.timeot: expected one of" in capsys.readouterr().err


def test_a_pipeline_comes_whole_from_the_strongest_file_that_has_one(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text(PIPELINE.format("home"))
    assert in_force(capsys)["subscription"] == ("s-home", str(home))
    tables = PIPELINE.format("py").replace("[request]", "[tool.pubsub-diag.request]")
    Path("pyproject.toml").write_text(f"[tool.pubsub-diag]\n{tables}")
    assert in_force(capsys)["project"] == ("p-py", "pyproject.toml")
    Path("pubsub-diag.toml").write_text("[settings]\nprofile = 'orders-export'\n")
    found = in_force(capsys)
    assert found["profile"] == ("orders-export", "pubsub-diag.toml")
    assert found["project"] == ("harbor-billing-prod", "orders-export")
    Path("pubsub-diag.toml").write_text(PIPELINE.format("here") + "[settings]\ntimeout = 33\n")
    assert in_force(capsys)["project"] == ("p-here", "pubsub-diag.toml")
    monkeypatch.setenv("PUBSUB_DIAG_PROFILE", "nba-predictions")
    assert in_force(capsys)["profile"] == ("nba-predictions", "PUBSUB_DIAG_PROFILE")
    monkeypatch.setenv("PUBSUB_DIAG_PROJECT", "another")
    assert in_force(capsys)["project"] == ("another", "PUBSUB_DIAG_PROJECT")
    assert in_force(capsys, "--project", "third")["project"] == ("third", "--project")


def test_a_profile_is_found_beside_the_file_that_names_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.write_text("[settings]\nprofile = 'mine.toml'\n")
    (home.parent / "mine.toml").write_text(PIPELINE.format("mine"))
    assert in_force(capsys)["subscription"] == ("s-mine", str(home.parent / "mine.toml"))


def test_the_project_of_the_environment_is_below_the_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-gcloud")
    assert in_force(capsys)["project"] == ("of-gcloud", "GOOGLE_CLOUD_PROJECT")
    Path("pubsub-diag.toml").write_text(PIPELINE.format("here"))
    assert in_force(capsys)["project"] == ("p-here", "pubsub-diag.toml")


def test_origin_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["config", "show"]) == 0
    assert "default" not in capsys.readouterr().out
    assert main.run(["config", "show", "--origin", "--region", "us-west2"]) == 0
    assert "us-west2  --region" in capsys.readouterr().out


def test_what_is_accepted_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    accepted = '[[accepted]]\ncode = "poison-retry-storm"\nleg = "request"\nuntil = 2026-03-01\nreason = "ticket 77"\n'
    Path("pubsub-diag.toml").write_text(PIPELINE.format("here") + accepted)
    assert in_force(capsys)["accepted poison-retry-storm@request"] == (
        "until 2026-03-01: ticket 77",
        "pubsub-diag.toml",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[settings]\ncolour = 1\n", "settings.colour: expected one of profile, timeout"),
        ("[settings]\ntimeout = 0\n", "settings.timeout: expected seconds from 1 to 600, got 0"),
        ("[settings]\ntimeout = true\n", "settings.timeout"),
        ("[settings]\noutput = 'junit'\n", "settings.output: expected one of text, short, json"),
        ("[settings]\nquiet = 'no'\n", "settings.quiet: expected true or false"),
        ("settings = 3\n", "settings: expected a table"),
        ("[settings\n", "expected TOML"),
        (PIPELINE.format("x") + "[settings]\nprofile = 'orders-export'\n", "names a profile, too"),
        (
            PIPELINE.format("x") + "[[accepted]]\ncode = 'a.b'\nuntil = 2026-03-01\nreason = ' '\n",
            "a code and a reason",
        ),
        (PIPELINE.format("x") + "[[accepted]]\ncode = 'a.b'\nreason = 'r'\n", "until"),
        (
            PIPELINE.format("x") + "[[accepted]]\ncode = 'a.b'\nleg = 'up'\nuntil = 2026-03-01\nreason = 'r'\n",
            "request, completion",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_clear_line(text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pubsub-diag.toml").write_text(text)
    assert main.run(["config", "show"]) == 3
    first, *_ = capsys.readouterr().err.splitlines()
    assert "pubsub-diag.toml" in first
    assert says in first


def test_help_needs_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pubsub-diag.toml").write_text("[settings\n")
    assert main.run(["batch", "--help"]) == 0
    assert main.run(["--version"]) == 0
    assert "--timeout" in capsys.readouterr().out


def test_a_pyproject_of_something_else_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text("[project]\nname = 'x'\n[tool.ruff]\nline-length = 3\n")
    assert in_force(capsys)["profile"] == (None, "default")


def test_settings_reach_the_commands_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pubsub-diag.toml").write_text("[settings]\noutput = 'json'\n")
    assert main.run(["config", "show"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == {"value": "json", "origin": "pubsub-diag.toml"}


def test_no_word_at_all_gets_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 3
    assert "Usage: pubsub-diag" in capsys.readouterr().err


def test_a_profile_is_named_by_the_line_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_PROFILE", "env.toml")
    lines: tuple[list[str], ...] = (
        [],
        ["batch", "--profile", "a.toml"],
        ["batch", "--profile=b.toml"],
        ["batch", "--profile"],
    )
    assert [configuration.profile_of(line) for line in lines] == ["env.toml", "a.toml", "b.toml", ""]
