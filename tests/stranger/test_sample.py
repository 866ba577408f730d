"""Two of the stranger's scenarios, without the wheel; `make stranger` plays all of them from an empty environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.pipeline.load import builtin_profiles, load_profile
from diagnostics.scoring.world import opened
from tests.stranger.played import BATCH, INIT, SCENARIOS, scenarios, wrong


@pytest.mark.parametrize("name", ["invoker-taken", "confirmations-to-another-container"])
def test_the_proposals_taken_as_they_are_lead_to_the_right_answer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = SCENARIOS / f"{name}.yaml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    with opened(path, seed=1, log_reads_per_minute=10_000) as world:
        project = world.lab.world.project
        monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
        assert main.run(INIT) == 0
        capsys.readouterr()
        main.run(BATCH)
    assert project not in {load_profile(one).project for one in builtin_profiles()}, "nobody is a stranger there"
    assert wrong(path, capsys.readouterr().out) == ()


def test_an_answer_that_is_wrong_is_called_wrong() -> None:
    assert wrong(SCENARIOS / "invoker-taken.yaml", "no JSON")
    assert len(scenarios()) == 6
