"""`lint --all`: a block for each push subscription of a project, and nothing but what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from diagnostics.cli import main
from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.scoring.world import World, find, opened
from diagnostics.transport.session import LAB

PLANTED = {
    "grades-sub": {"push_auth.audience"},
    "odds-sub": {"limits.tag_url"},
    "injuries-sub": {"dead_letter.grants"},
    "lineups-sub": {"push_auth.invoker"},
    "season-2025-sub": {"routed.orphan"},
}
"""Subscription to the codes of its faults; `lineups-sub` pushes as the scheduler, who may not call the worker."""
HEALTHY = {
    "prediction-request-prod",
    "prediction-ready-prod-sub",
    "reports-sub",
    "reports-archive-sub",
    "grades-again-sub",
}
BAD = ("fault", "warning", "unknown")


@pytest.fixture(scope="module")
def project() -> Iterator[World]:
    with opened(find("lint-all-of-a-project"), 1) as world:
        yield world


@pytest.fixture(autouse=True)
def _asked_of_the_lab(project: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAB, project.running.endpoint)


def test_it_names_exactly_what_is_planted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "--all", "-o", "json"]) == 2
    said = json.loads(capsys.readouterr().out)
    found = {d["pipeline"]["pipeline"]: {f["code"] for f in d["findings"] if f["status"] in BAD} for d in said}
    assert found == PLANTED | {name: set() for name in HEALTHY}


def test_the_worst_comes_first_and_the_totals_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "--all"]) == 2
    lines = capsys.readouterr().out.splitlines()
    heads = [line.split() for line in lines if line[:1].isupper()]
    words = [head[0] for head in heads]
    assert {name for _, name in heads} == set(PLANTED) | HEALTHY
    assert words == sorted(words, key=["FAULT", "UNKNOWN", "WARNING", "IDLE", "OK"].index)
    totals = " ".join(" ".join(lines[-4:]).split())
    assert "10 push subscriptions in nba-props-platform: 4 fault, 1 warning, 5 idle; 1 with advice" in totals
    assert "advice limits.orphans: 2 subscriptions of the project had a topic that was deleted" in totals


def test_short_is_the_totals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "--all", "-o", "short"]) == 2
    assert capsys.readouterr().out.startswith("10 push subscriptions")


def test_a_project_whose_subscriptions_may_not_be_listed_is_unknown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diagnostics.run.lint.project_subscriptions", _denied)
    assert main.run(["lint", "--all"]) == 3
    assert "pubsub.subscriptions.list" in capsys.readouterr().err


def test_all_and_one_leg_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "--all", "--leg", "request"]) == 3
    assert "--all" in capsys.readouterr().err


def _denied(*_: object) -> None:
    raise NotSeen(Why.PERMISSION_DENIED, "pubsub.subscriptions.list is missing", "pubsub.subscriptions.list")
