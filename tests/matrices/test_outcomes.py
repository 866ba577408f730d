"""What came of batches: what the lab's tables say of it, that the judge can say no, and a sample of each matrix."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from diagnostics.lab.lab import Lab
from diagnostics.lab.telemetry.store import Telemetry
from tests.matrices.captured import scenarios
from tests.matrices.distractors import DISTRACTORS
from tests.matrices.left import Left, left_of
from tests.matrices.merging import merged
from tests.matrices.outcomes import FALSE, NOT_TOLD, Case, distracted, judge, of_a_batch, paired, stories
from tests.matrices.played import Play, play, read
from tests.matrices.singles import ASKED, Unfit, alone, single
from tests.matrices.stories import Story, story
from tests.matrices.wanting import OF_FINDING, PLAINLY, STANDS, Window, plainly

EVER = Window("2000-01-01", "2100-01-01")
WRONG = re.compile(r"command: (outcome|model drift)\b.*^  (worsens|latent): ", re.DOTALL | re.MULTILINE)
HIDDEN = re.compile(r"^caller: {lacks: ", re.MULTILINE)
TOLD = tuple(
    file.stem
    for file in scenarios()
    if WRONG.search(text := file.read_text(encoding="utf-8")) and not HIDDEN.search(text)
)
"""Told without reading all scenarios whole; whether these are those that the matrices take is tested."""


@cache
def path(name: str) -> Path:
    return next(file for file in scenarios() if file.stem == name)


def left(name: str) -> Left:
    """What the lab's tables have once the scenario was played."""
    made, _ = alone(story(path(name), 1).one)
    found = left_of(Lab(made, 1, Telemetry()), ASKED)
    assert found is not None
    return found


# --- what the tables say --------------------------------------------------------------------------------------------------


def test_each_cause_in_the_results_has_a_scenario_that_is_played() -> None:
    found, _ = stories(scenarios())
    assert {one.one.name.rpartition("/")[2] for one in found} == set(TOLD)
    causes = {cause for one in found for cause in one.faults}
    assert causes == set(OF_FINDING.values())
    assert STANDS.keys() == PLAINLY.keys() < causes


@pytest.mark.parametrize("name", TOLD)
def test_what_a_scenario_expects_is_in_the_tables(name: str) -> None:
    one = story(path(name), 1)
    drift = one.ask.command == "model drift"
    found = left(name)
    assert set(plainly(one.faults, drift, found, EVER)) == set(one.faults)
    assert all(STANDS[code](found, EVER) for code in one.faults if code in STANDS)


def test_where_all_is_well_the_tables_say_nothing() -> None:
    found = left("registry-behind-the-manifest")
    assert found.rows and found.batches
    assert not any(there(found, EVER) for there in (*STANDS.values(), *PLAINLY.values()))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("results-missing", lambda row: structs.replace(row, written=0.0)),
        ("superseded-results-in-force", lambda row: structs.replace(row, superseded=True)),
        ("one-value-in-all-results", lambda row: structs.replace(row, confidence=50.0)),
        ("results-of-an-unnamed-model", lambda row: structs.replace(row, version="v9_current_season")),
        (
            "results-for-training-dates",
            lambda row: structs.replace(row, file="m_train20260101-20260301_20260302_1.cbm"),
        ),
        ("results-of-another-model", lambda row: structs.replace(row, file="another.cbm")),
    ],
)
def test_each_cause_is_seen_in_the_rows(code: str, change: Callable[..., object]) -> None:
    found = left("registry-behind-the-manifest")
    other = structs.replace(found, rows=tuple(change(row) for row in found.rows))
    assert not STANDS[code](found, EVER) and not PLAINLY[code](found, EVER)
    assert STANDS[code](other, EVER) and PLAINLY[code](other, EVER)


def test_what_a_later_batch_did_again_is_not_lost() -> None:
    found = left("closed-by-hand-and-never-merged")
    (asked,) = (batch for batch in found.batches if batch.asked)
    assert PLAINLY["results-missing"](found, EVER)
    again = structs.replace(asked, asked=False, started=asked.started + 60)
    open_ = structs.replace(asked, closed=None)
    rest = tuple(batch for batch in found.batches if not batch.asked)
    assert not STANDS["results-missing"](
        structs.replace(found, batches=(*rest, asked, structs.replace(again, brought=()))), EVER
    )
    assert not STANDS["results-missing"](structs.replace(found, batches=(*rest, open_)), EVER)


# --- the judge ------------------------------------------------------------------------------------------------------------


def case(one: Story) -> Case:
    made, ask = alone(one.one)
    return Case(one, None, Play(name=one.one.name, scenario=made, ask=one.asks(ask), seed=1))


def test_the_judge_of_outcomes_can_say_no(tmp_path: Path) -> None:
    asked = case(story(path("all-of-one-confidence"), 1))
    file = play(asked.play)
    judged = judge(asked, file)
    assert (judged.misses, judged.told, judged.absent, judged.unsure) == ([], 1, 0, 0)

    another = asked._replace(story=asked.story._replace(faults=("manifest-contradicts-itself",)))
    assert [(miss.kind, miss.what) for miss in judge(another, file).misses] == [
        (NOT_TOLD, "manifest-contradicts-itself")
    ]

    played = read(file)
    assert played.left is not None
    varied = tuple(structs.replace(row, confidence=50.0 + n) for n, row in enumerate(played.left.rows))
    told = tmp_path / "told.json"
    told.write_bytes(msgspec.json.encode(structs.replace(played, left=structs.replace(played.left, rows=varied))))
    assert [(miss.kind, miss.what) for miss in judge(asked, told).misses] == [(FALSE, "one-value-in-all-results")]


def test_what_asks_after_something_else_is_no_such_case() -> None:
    with pytest.raises(Unfit, match="another command"):
        story(path("push-invoker-missing"), 1)
    with pytest.raises(Unfit, match="not all may be seen"):
        story(path("may-not-query"), 1)
    with pytest.raises(Unfit, match="nothing is wrong"):
        story(path("dynamic-version"), 1)


# --- samples --------------------------------------------------------------------------------------------------------------


STAGES = {
    "deny-policy-on-publishing": "published",
    "push-invoker-missing": "delivered",
    "agent-cannot-mint": "delivered",
    "completion-subscription-deleted": "routed",
}
"""Faults of a batch, and the stage of each."""


def test_each_fault_of_results_meets_each_distraction_and_faults_of_each_stage() -> None:
    of, faults = [story(path("both-left-in-force"), 1)], of_a_batch([path(name) for name in STAGES])
    beside = [one for one in distracted(of) if isinstance(one, Case)]
    assert len(beside) == len(DISTRACTORS)
    met = [one.beside for one in paired(of, faults) if isinstance(one, Case)]
    assert [STAGES[fault.name.rpartition("/")[2]] for fault in met if fault] == ["published", "delivered", "routed"]


@pytest.mark.parametrize(
    ("name", "distraction"), [("february-by-date", "foreign_flood"), ("rows-of-the-model-before", "past_outage")]
)
def test_what_is_wrong_with_results_is_told_beside_a_distraction(name: str, distraction: str) -> None:
    one = story(path(name), 1)
    made, ask = alone(next(d for d in DISTRACTORS if d.__name__ == distraction)(one.one))
    beside = Case(one, None, Play(name=name, scenario=made, ask=one.asks(ask), seed=1))
    judged = judge(beside, play(beside.play))
    assert (judged.misses, judged.told) == ([], len(one.faults))


@pytest.mark.parametrize(
    ("name", "fault", "told", "absent"),
    [
        ("both-left-in-force", "min-instances-lost-latent", 1, 0),
        ("all-of-one-confidence", "push-invoker-missing", 0, 1),  # nothing gets as far as a row
        ("told-right-and-loaded-another", "completion-subscription-deleted", 1, 0),
    ],
)
def test_what_is_wrong_with_results_is_told_beside_a_fault_of_the_batch(
    name: str, fault: str, told: int, absent: int
) -> None:
    one, other = story(path(name), 1), single(path(fault), 1)
    made, ask = merged(one.one, other)
    beside = Case(one, other, Play(name=f"{name} beside {fault}", scenario=made, ask=one.asks(ask), seed=1))
    judged = judge(beside, play(beside.play))
    assert (judged.misses, judged.told, judged.absent, judged.unsure) == ([], told, absent, 0)
