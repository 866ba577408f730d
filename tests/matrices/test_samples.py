"""A sample of each matrix (all of one: `make blindness` and so on), and proof that each judge can say no."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from msgspec import structs

from diagnostics.run.investigate import Case
from tests.matrices.answers import Answer, Told
from tests.matrices.blindness import says_more, violations
from tests.matrices.blinds import blinds
from tests.matrices.captured import bundles, capture, case_of, scenarios


@cache
def scenario(name: str) -> Path:
    return next(path for path in scenarios() if path.stem == name)


# --- blindness ----------------------------------------------------------------------------------------------------------

SEEN = ("push-invoker-missing", "uptime-checks-refused-healthy", "closed-by-age", "filter-drops-all")


@pytest.fixture(scope="module")
def night() -> Case:
    return case_of(bundles()[0])


def test_every_kind_of_evidence_is_taken_and_every_log_cut(night: Case) -> None:
    taken = [blind.taken for blind in blinds(night)]
    assert len(taken) == len(set(taken)) > 60
    assert {"RequestLog@completion", "SubscriptionPolicy@request", "BatchStatus", "all logs"} <= set(taken)
    assert "ItemMarks: older half of marks not read" in taken
    assert "PushCounts@request: newer half of the window" in taken


def test_what_is_cut_says_so(night: Case) -> None:
    for taken, less in blinds(night):
        changed = {key: found for key, found in less.evidence.items() if found is not dict(night.evidence.items())[key]}
        assert changed, taken
        for found in changed.values():
            assert not hasattr(found, "source") or not found.source.complete, taken


ANSWER = Answer(
    status="fault",
    exit_code=2,
    state="stalled",
    here="request.delivered",
    finishes_alone=False,
    causes=(Told(code="one", leg="request", role="blocks", confidence="probable"),),
    cleared=frozenset({"two"}),
)


def test_the_judge_of_blindness_can_say_no() -> None:
    def broken(**other: object) -> list[str]:
        return [rule for rule, _ in says_more(ANSWER, structs.replace(ANSWER, **other))]

    sure = structs.replace(ANSWER.causes[0], confidence="confirmed")
    assert broken() == broken(causes=(), cleared=frozenset(), finishes_alone=None) == []
    assert broken(causes=(sure,)) == ["another confirmed"]
    assert broken(causes=(structs.replace(ANSWER.causes[0], code="three"),)) == []
    assert (
        broken(status="ok", exit_code=0) == broken(status="idle", exit_code=0) == broken(state="done") == ["all-clear"]
    )
    assert broken(finishes_alone=True) == ["finishes alone"]
    assert broken(cleared=frozenset({"two", "three"})) == ["cleared"]


def test_a_kept_run_says_less_of_less() -> None:
    tried, found = violations("kept", bundles()[0])
    assert tried > 60
    assert not found


@pytest.mark.parametrize(
    "name", [*SEEN[:2], *(pytest.param(n, marks=pytest.mark.xfail(strict=True)) for n in SEEN[2:])]
)
def test_a_scenario_says_less_of_less(name: str) -> None:
    tried, found = violations(name, capture(scenario(name)))
    assert tried > 60
    assert not found
