"""A wide range says that a scenario does not hang on the number: most seeds draw a small one, a few a large one."""

from __future__ import annotations

import random

import pytest

from diagnostics.lab.applications.names import distinct
from diagnostics.lab.applications.predictions.names import PLAYERS, players
from diagnostics.lab.scenario import SMALL, ScenarioError, of_size, parse

TEXT = "name: {name}\nstory: s\nvary: {{items: {range}}}\ntimeline: [{{at: -1h, start_batch: {{items: $items}}}}]\n"


def drawn(scope: str, name: str = "a") -> list[int]:
    found = []
    for seed in range(300):
        start = parse(TEXT.format(name=name, range=scope), seed=seed).timeline[0].start_batch
        assert start is not None
        found.append(start.items)
    return found


def test_a_wide_range_is_mostly_small_and_now_and_then_large() -> None:
    sizes = drawn("[7, 5000]")
    assert 7 <= min(sizes) < 10 and 2000 < max(sizes) <= 5000
    assert 0.9 < sum(size <= SMALL for size in sizes) / len(sizes) < 1
    assert sizes != drawn("[7, 5000]", "b"), "not all scenarios are large with the same seed"


def test_a_narrow_range_is_even() -> None:
    sizes = drawn("[60, 160]")
    assert min(sizes) < 65 and max(sizes) > 155
    assert abs(sum(sizes) / len(sizes) - 110) < 5


STORY = """
name: a
story: s
timeline:
  - {at: -2h, start_batch: {items: 40, gated: {existing: 5}, payloads: {slow: 3}, outcomes: [{items: 2, status: 500}]}}
  - {at: -1h, restart: {service: worker}}
  - {at: -30m, start_batch: {items: 7}}
"""


def test_a_scenario_is_as_large_as_one_wants_it() -> None:
    as_told = parse(STORY)
    larger = of_size(as_told, 1_000_000)
    assert [entry.start_batch and entry.start_batch.items for entry in larger.timeline] == [1_000_000, None, 1_000_000]
    assert of_size(larger, 40).timeline[:2] == as_told.timeline[:2]


def test_no_smaller_than_its_story_and_only_where_there_is_a_batch() -> None:
    assert of_size(parse(STORY), 10).timeline
    with pytest.raises(ScenarioError, match="a needs at least 10 items in a batch"):
        of_size(parse(STORY), 9)
    with pytest.raises(ScenarioError, match="a starts no batch"):
        of_size(parse("name: a\nstory: s\ntimeline: [{at: -1h, restart: {service: worker}}]\n"), 10)


def test_where_names_run_out_a_namesake_has_a_number() -> None:
    rng = random.Random(1)
    names = distinct(lambda: rng.choice("abc"), 8)
    assert len(set(names)) == 8 and {"a", "b", "c", "a-2", "b-2", "c-2"} < set(names)
    assert distinct(lambda: "a", 0) == []
    assert names[:2] == distinct(iter(names).__next__, 2)


def test_there_are_enough_players_for_any_batch() -> None:
    assert players(10) == PLAYERS
    many = players(5000)
    assert len(many) >= 5000 and len(set(many)) == len(many)
