"""The postmortem on the command line against the lab: at once, and four days later, when configuration and logs have moved on."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.keep.bundle import dump
from diagnostics.run.investigate import investigate
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import observe
from diagnostics.scoring.world import find, opened

LATER = find("the-night-four-days-later")


@pytest.fixture(scope="module")
def four_days_later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The night, looked at four days later, when the grant is given, min-instances is back and newer batches went well."""
    path = tmp_path_factory.mktemp("late") / "late.gz"
    with opened(LATER, seed=1) as world:
        case = observe(world, wanted(world.scenario, LATER).ask)
    path.write_bytes(dump(case, investigate(case)))
    return path


@pytest.fixture
def told(four_days_later: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.run(["postmortem", "-q", str(four_days_later)]) == 0
    return capsys.readouterr().out


def test_four_days_later_it_tells_of_the_night_as_it_was(told: str) -> None:
    summary = told.partition("## Summary\n\n")[2].partition("\n")[0]
    assert "had got to 15 of 181 items at 22:21Z" in summary
    assert "It was held by gated-batch-never-closes (confirmed)" in summary
    for latent in ("poison-retry-storm", "dead-letter-grants-missing", "min-instances-lost-in-deploy"):
        assert f"· `{latent}` ·" in told


def test_four_days_later_what_came_after_is_not_told_as_of_the_night(told: str) -> None:
    timeline = told.partition("### Timeline, whole")[2].partition("\n### ")[0]
    rows = [line for line in timeline.splitlines() if line.startswith("| 2026-")]
    assert [row for row in rows if not row.startswith(("| 2026-02-0",))] == [row for row in rows if "| look |" in row]


def test_four_days_later_it_says_what_it_did_not_see_as_it_was(told: str) -> None:
    unseen = told.partition("## What could not be seen")[2].partition("\n### ")[0]
    assert "looked at later; taken back to then by the audit logs" in unseen
    assert "taken back to then by the coordinator's log" in unseen


def test_four_days_later_nobody_is_said_to_have_noticed(told: str) -> None:
    assert "| noticed | not known | not known: no look from then is kept, and nobody noted it" in told


def test_it_asks_nothing_and_needs_no_pipeline(
    four_days_later: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    assert main.run(["postmortem", str(four_days_later)]) == 0
    first = capsys.readouterr()
    assert "nothing is asked" in first.err
    assert main.run(["postmortem", str(four_days_later)]) == 0
    assert capsys.readouterr().out == first.out, "and reads no clock"
