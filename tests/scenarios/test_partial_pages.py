"""A log that answers in parts: the same causes or fewer, less sure or as sure, and never a clearance that the whole log does not give."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import msgspec
import pytest

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.lab.scenario import Fault, load
from diagnostics.report import ladder
from diagnostics.report.layout import Layout
from diagnostics.scoring.expect import Asked, wanted
from diagnostics.scoring.score import MANY_READS, diagnose
from diagnostics.scoring.world import World, find, served
from diagnostics.steps.finding import Status
from tests.sampling import a_share

SCENARIOS = (
    "2026-02-08-backfill-stall",
    "2026-02-08-storm-that-holds",
    "worker-crashing-after-deploy",
    "2026-01-08-ready-topic-env-missing",
    "typical-batch",
)
FIRST_EMPTY = {"seconds": 0.001, "pages": 1}
FIRST_THREE = {"pages": 3}
"""Each searches a part of what is left, or nothing."""
HOURS = {"seconds": 3600.0}
"""A page never searches more than an hour of the log."""
NEVER = {"seconds": 0.001}
KINDS = (FIRST_EMPTY, FIRST_THREE, HOURS, NEVER)


@pytest.fixture(scope="module", params=a_share(SCENARIOS, of=5))
def world(request: pytest.FixtureRequest) -> Iterator[tuple[World, Asked, Diagnosis]]:
    path = find(request.param)
    scenario = load(path, 1)
    whole = msgspec.structs.replace(scenario, draw={**scenario.draw, "short_log_pages": 0.0})
    with served(whole, 1, log_reads_per_minute=MANY_READS) as played:
        asked = wanted(scenario, path).ask
        yield played, asked, diagnose(played, asked)


def in_parts(world: World, fault: dict[str, float]) -> None:
    said = json.dumps([{"rpc": "ListLogEntries", "kind": "short", **fault}]).encode()
    urllib.request.urlopen(f"http://{world.running.endpoint}/lab/faults", said, timeout=10).close()


def blocks(answer: Diagnosis) -> set[str]:
    return {c.code for c in answer.causes if c.role == Role.BLOCKS}


def sure(answer: Diagnosis) -> set[tuple[str, str | None]]:
    return {(c.code, c.leg) for c in answer.causes if c.confidence == Confidence.CONFIRMED}


@pytest.mark.parametrize("fault", KINDS)
def test_a_log_in_parts_never_says_more_than_the_whole(
    world: tuple[World, Asked, Diagnosis], fault: dict[str, float]
) -> None:
    played, asked, whole = world
    in_parts(played, fault)
    part = diagnose(played, asked)
    assert sure(part) <= sure(whole)
    assert blocks(part) <= blocks(whole)
    if part.status is Status.OK:
        assert whole.status is Status.OK


@pytest.mark.parametrize("fault", [FIRST_EMPTY, FIRST_THREE])
def test_a_token_is_followed_to_the_same_answer(world: tuple[World, Asked, Diagnosis], fault: dict[str, float]) -> None:
    played, asked, whole = world
    in_parts(played, fault)
    part = diagnose(played, asked)
    assert (part.status, blocks(part), sure(part)) == (whole.status, blocks(whole), sure(whole))


def test_a_log_that_never_answers_in_time_is_told_with_the_way_on() -> None:
    """No batch is known then: its rows could not be seen, which is another thing than not reached."""
    path = find("2026-01-18-coordinator-missing-module")
    scenario = load(path, 1)
    late = Fault(rpc="ListLogEntries", kind="short", seconds=0.001)
    with served(
        msgspec.structs.replace(scenario, faults=(*scenario.faults, late)), 1, log_reads_per_minute=MANY_READS
    ) as played:
        answer = diagnose(played, wanted(scenario, path).ask)
    assert answer.status is not Status.OK
    assert "--timeout" in answer.next[0]
    assert answer.headline.startswith("the latest batch cannot be seen: nothing of the log could be searched")
    assert "not reached" not in ladder.render(answer, Layout())
