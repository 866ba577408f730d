"""A sample of the kill matrix (all of it: `make kill-matrix`), and proof that its judge can say no."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.probe.kill_matrix import combinations, points, sample
from tests.probe.killing import (
    ANSWERS,
    BACKLOGS,
    CLOCKS,
    KILLED,
    MACHINE,
    SIGNALS,
    THEIR_CONFIG,
    Combination,
    Killer,
    leftovers,
    losses,
)
from tests.sampling import a_share

SAMPLE = (
    *SIGNALS,
    *ANSWERS,
    *MACHINE,
    "state lost" + KILLED,
    "watchdog stopped" + KILLED,
    "config changed" + KILLED,
    "made anew",
    "snapshot deleted",
    "another switch, planned before",
    "another switch, at once",
)


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer() as made:
        yield made


def test_nothing_is_lost_and_nothing_left_whatever_ends_the_probe(killer: Killer) -> None:
    everything = combinations(killer)
    assert len(everything) >= 2000
    assert {c.circumstance for c in everything} == {"", *CLOCKS}
    assert {c.backlog for c in everything} == {*BACKLOGS}
    for combination in sample(everything, a_share(SAMPLE)):
        result = killer.run(combination)
        assert not result.wrong, f"{combination}: {result.wrong}\n{result.log[-3000:]}"


def test_without_its_watchdog_a_killed_probe_leaves_what_restore_has_to_find(killer: Killer) -> None:
    result = killer.run(Combination("switch", "request", "subscriber.pull#1", "before", "both"))
    assert result.struck and not result.wrong
    assert any("prediction-request-prod" in thing for thing in result.left)


def test_of_many_pulls_the_first_few_are_points() -> None:
    assert points(["a.get#1", *(f"subscriber.pull#{n}" for n in range(1, 9))]) == [
        "a.get#1",
        "subscriber.pull#1",
        "subscriber.pull#2",
        "subscriber.pull#3",
    ]


FINE: dict[str, Any] = {
    "snapshots": {},
    "subscriptions": {
        name: {
            "push_config": {"pushEndpoint": "https://x"},
            "labels": {},
            **dict.fromkeys(
                ("acked_by_pull", "dead_lettered_by_pull", "dead_lettered_by_push", "dropped", "purged", "restored"), 0
            ),
            "published": 9,
            "acked_by_push": 4,
            "waiting": 5,
        }
        for name in ("prediction-request-prod", "prediction-ready-prod-sub")
    },
}


@pytest.mark.parametrize(
    ("changes", "judge"),
    [
        ({"acked_by_pull": 1, "waiting": 4}, losses),
        ({"dead_lettered_by_pull": 1}, losses),
        ({"waiting": 4}, losses),
        ({"dropped": 1, "waiting": 4}, losses),
        ({"push_config": {}}, leftovers),
        ({"labels": {"pubsub-diag-probe": "x"}}, leftovers),
    ],
)
def test_the_judge_can_say_no(changes: dict[str, Any], judge: Any) -> None:
    bad = copy.deepcopy(FINE)
    bad["subscriptions"]["prediction-request-prod"] |= changes
    assert losses(FINE) == [] and leftovers(FINE, FINE) == []
    assert judge(bad) if judge is losses else judge(bad, FINE)
    more = copy.deepcopy(FINE)
    more["snapshots"]["pubsub-diag-probe-1"] = {}
    assert leftovers(more, FINE)


@pytest.mark.parametrize(
    ("doing", "push_config", "labels", "is_left"),
    [
        ("changed", THEIR_CONFIG, {}, False),
        ("changed", THEIR_CONFIG, {"pubsub-diag-probe": "x"}, True),
        ("changed", {"pushEndpoint": "https://x"}, {}, True),
        ("changed", {}, {}, True),
        ("anew", THEIR_CONFIG, {}, False),
        ("deleted", {}, {}, True),
        ("deleted", None, {}, False),
    ],
)
def test_what_somebody_else_has_set_has_to_be_there_afterwards(
    doing: str, push_config: Any, labels: dict[str, str], is_left: bool
) -> None:
    after, name = copy.deepcopy(FINE), "prediction-request-prod"
    if push_config is None:
        del after["subscriptions"][name]
        assert losses(after) and not losses(after, {name})
    else:
        after["subscriptions"][name] |= {"push_config": push_config, "labels": labels}
    assert bool(leftovers(after, FINE, {name: doing})) is is_left
