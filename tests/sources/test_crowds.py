"""A batch of more items than can be read: one stands for all that are told alike, and the answer is the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.cli.do.investigation import not_listed
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import ItemMarks, Means, items_of
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.report import text
from diagnostics.report.layout import Layout
from diagnostics.run.investigate import investigate
from diagnostics.run.look import see
from diagnostics.scoring.world import World
from diagnostics.sources import crowds, item_lines, log_analytics
from diagnostics.sources.collect import collect
from diagnostics.sources.results import query
from diagnostics.sources.search import search
from diagnostics.transport.rpcs import ESTIMATE, Rpc
from diagnostics.transport.session import LAB, Options, Session
from diagnostics.transport.tables import Estimate

SCENE = """
name: a-crowd
story: One batch of many, of which some payloads fail at each try; the log bucket is upgraded, and a dataset is linked to it.
draw: {short_log_pages: 0}
pipeline: {log_dataset: linked_logs, dialect: DIALECT}
timeline:
  - at: -40m
    start_batch: {name: tonight, items: 500, outcomes: [{items: 7, status: 500, reason: no such row}, {items: 60, status: 204, results: 0}]}
"""
TROUBLE = (Means.FAILED_ITEM, Means.COMPLETION_ERROR, Means.RECORD_ERROR)
MOST = 900
"""Lines of one answer: fewer than the batch has."""
PROFILES = {
    "predictions": "nba-predictions",
    "orders": "orders-export",
    "thumbnails": "image-drops",
    "tiles": "tile-rendering",
}


@pytest.fixture(scope="module", params=sorted(PROFILES))
def night(request: pytest.FixtureRequest) -> Iterator[tuple[World, PipelineProfile]]:
    scenario = parse(SCENE.replace("DIALECT", request.param), "a scene", 1)
    lab = Lab(scenario, 1, Telemetry())
    with start(lab, log_reads_per_minute=10_000) as running:
        yield World(scenario, lab, running), load_profile(PROFILES[request.param])


@pytest.fixture
def asked(night: tuple[World, PipelineProfile], monkeypatch: pytest.MonkeyPatch) -> PipelineProfile:
    """The profile, with a dataset. But for the newest minutes the log is read twenty lines at a time."""
    world, profile = night
    monkeypatch.setenv(LAB, world.running.endpoint)
    _few(monkeypatch, MOST)
    return replace(profile, log_dataset="linked_logs")


def _few(patch: pytest.MonkeyPatch, lines: int) -> None:
    """So many lines at most in an answer, and but for the newest minutes the log is read twenty lines at a time."""

    def few(*given: Any, **named: Any) -> Any:
        since, until = given[3:5]
        less = {"most": 20, "reads": 1} if until - since > log_analytics.FRESH else {}
        return search(*given, **{**named, **less})

    patch.setattr(log_analytics, "MOST_LINES", lines)
    patch.setattr(item_lines, "search", few)


def look(profile: PipelineProfile, **ask: Any) -> ItemMarks:
    found = collect(Session.open(Options(timeout_s=60)), profile, [ItemMarks], Ask(**ask)).get(ItemMarks)
    assert isinstance(found, ItemMarks)
    return found


def answer(profile: PipelineProfile) -> Diagnosis:
    return investigate(see(Session.open(Options(timeout_s=60)), profile, "batch", Ask()))


def test_each_story_is_read_once_and_all_items_are_counted(asked: PipelineProfile) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_analytics, "MOST_LINES", 100_000)
        whole = look(asked)
    few = look(asked)
    assert re.fullmatch(r"by SQL, [\d.]+ MiB read: \d+ of 500 items, one for all that are alike", few.engine), (
        few.engine
    )
    assert items_of(few.marks) == items_of(whole.marks) == 500
    assert len(few.marks) < MOST < len(whole.marks)
    kept = {m.item for m in few.marks}
    assert [replace(m, many=1) for m in few.marks] == [m for m in whole.marks if m.item in kept], (
        "all lines of an item, as they are"
    )
    troubled = {m.item for m in whole.marks if m.means in TROUBLE}
    assert troubled and troubled <= {m.item for m in few.marks if m.many == 1}


def test_the_answer_is_that_of_all_lines(asked: PipelineProfile) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_analytics, "MOST_LINES", 100_000)
        whole = answer(asked)
    few = answer(asked)
    same = ("status", "headline", "state", "ladder", "ruled_out", "recovery", "unnamed", "unsure")
    assert [getattr(whole, name) for name in same] == [getattr(few, name) for name in same]
    assert [(c.code, c.role, c.confidence) for c in whole.causes] == [
        (c.code, c.role, c.confidence) for c in few.causes
    ]
    assert sum(i.many for i in few.items) == len(whole.items) > len(few.items)


def test_what_has_to_be_sent_again_is_counted_and_what_is_not_listed_of_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = SCENE.replace("DIALECT", "predictions").replace(
        "outcomes: [{items: 7, status: 500, reason: no such row}, {items: 60, status: 204, results: 0}]",
        "payloads: {permanent_skip: 480}",
    )
    told = scene.replace("pipeline: {", "pipeline: {worker: {revision: {code: skip-without-completion}}, ")
    lab = Lab(parse(told, "a scene", 1), 1, Telemetry())
    with start(lab, log_reads_per_minute=10_000) as running:
        monkeypatch.setenv(LAB, running.endpoint)
        _few(monkeypatch, MOST)
        few = answer(replace(load_profile(PROFILES["predictions"]), log_dataset="linked_logs"))
        monkeypatch.setattr(log_analytics, "MOST_LINES", 100_000)
        whole = answer(replace(load_profile(PROFILES["predictions"]), log_dataset="linked_logs"))
    assert whole.recovery.resubmit_count == few.recovery.resubmit_count == len(whole.recovery.resubmit) == 480
    assert whole.recovery.alike == 0 and few.recovery.alike == 480 - len(few.recovery.resubmit) > 0
    assert set(few.recovery.resubmit) < set(whole.recovery.resubmit)
    assert not [*not_listed(whole.recovery)]
    assert [said.split(" ", 1)[0] for said in not_listed(few.recovery)] == [str(few.recovery.alike)]
    assert f"and {max(i.many for i in few.items) - 1:,} like it" in text.render_items(few, Layout(200))


def test_what_has_a_line_in_the_newest_minutes_stands_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = parse(SCENE.replace("DIALECT", "orders").replace("-40m", "-8m"), "a scene", 1)
    lab = Lab(scenario, 1, Telemetry())
    with start(lab, log_reads_per_minute=10_000) as running:
        monkeypatch.setenv(LAB, running.endpoint)
        _few(monkeypatch, 1100)
        found = look(replace(load_profile(PROFILES["orders"]), log_dataset="linked_logs"))
    edge = datetime.fromtimestamp(lab.now(), UTC) - log_analytics.FRESH
    fresh = {m.item for m in found.marks if m.at > edge}
    assert fresh and {m.many for m in found.marks if m.item in fresh} == {1}
    assert items_of(found.marks) == 500 and any(m.many > 1 for m in found.marks)


def test_both_queries_read_no_more_than_is_allowed(asked: PipelineProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    read, would = query._asked, 6 * 2**30

    def estimated(session: Session, rpc: Rpc, of: dict[str, Any], one: query.Query) -> Any:
        return Estimate(read_bytes=would) if rpc is ESTIMATE else read(session, rpc, of, one)

    monkeypatch.setattr(query, "_asked", estimated)
    assert re.search(r"would read 6.0 GiB after 6.0 GiB .* --max-bytes allows 10.0 GiB", look(asked).engine)
    assert look(asked, max_bytes=2 * would).engine.startswith("by SQL, 12.0 GiB read: ")


def test_by_hand_it_is_the_query_for_all_lines(asked: PipelineProfile) -> None:
    found = look(asked).source
    assert "chosen.many" in found.query
    assert "chosen.many" not in found.by_hand and "--parameter=fresh" not in found.by_hand and "bq " in found.by_hand


def test_a_pattern_that_the_engine_does_not_know_leaves_the_pages(asked: PipelineProfile) -> None:
    ahead = tuple(replace(m, pattern=f"{m.pattern}(?=.|$)") for m in asked.markers)
    found = look(replace(asked, markers=ahead))
    assert "page by page, not by SQL" in found.engine and "invalid perl operator: (?=" in found.engine


def test_an_item_that_the_engine_reads_otherwise_is_not_believed(
    asked: PipelineProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = crowds._item
    monkeypatch.setattr(crowds, "_item", lambda markers, values: f"CONCAT({read(markers, values)}, '!')")
    assert re.search(r"finds other items in \d+ of \d+ lines than the markers do", look(asked).engine)


def test_more_stories_than_can_be_read_leave_the_pages(asked: PipelineProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_analytics, "MOST_LINES", 50)
    assert "has more than 50 such lines, even with one item for all that are alike" in look(asked).engine


@pytest.mark.parametrize(
    ("pattern", "only"),
    [
        (r"done (?P<item>\S+) of (?P<batch>\S+)", r"done (\S+) of (?:\S+)"),
        (r"(a|b) \((?P<item>[(\]]+)\)(?:x)(?i:y)", r"(?:a|b) \(([(\]]+)\)(?:x)(?i:y)"),
        (r"[]()]+(?P<item>x)", r"[]()]+(x)"),
        (r"(?P<batch>x)", r"(?:x)"),
    ],
)
def test_a_pattern_captures_one_name_alone(pattern: str, only: str) -> None:
    assert crowds.alone(pattern, "item") == only
    assert re.compile(only).groups == ("item" in pattern)
