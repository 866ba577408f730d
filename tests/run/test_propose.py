"""Markers proposed from lines of pipelines that no built-in profile knows."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import msgspec
import pytest

from diagnostics.evidence.model import Means
from diagnostics.pipeline.load import parse_profile
from diagnostics.run.propose import toml
from diagnostics.run.propose.groups import Line, groups
from diagnostics.run.propose.proposals import Proposal, propose, read

TILES = [f"t-{1000 + 7 * n}" for n in range(40)]
HEAD = 'name = "n"\nproject = "p"\n[request]\nsubscription = "s"\n'


def boss(text: str = "", **fields: str) -> Line:
    return Line(service="coordinator", text=text, fields=fields)


def hand(text: str = "", **fields: str) -> Line:
    return Line(service="worker", text=text, fields=fields)


def logfmt() -> Iterator[Line]:
    """Map tiles, two jobs of twenty, told in logfmt; one tile is given up, one fails, and much is said besides."""
    for job, tiles in (("J-2031", TILES[:20]), ("J-2032", TILES[20:])):
        yield boss(f'level=info msg="job opened" job={job} expected=20')
        yield boss(f'level=info msg="tiles queued" job={job} queued=20 failed=0')
        for tile in tiles:
            yield hand(f'level=info msg="tile picked up" job={job} tile={tile} zoom=12')
            yield hand(f'level=debug msg="cache warm" zoom=12 hits={len(tile)}')
        for tile in tiles[2:]:
            yield hand(f'level=info msg="tile rendered" job={job} tile={tile} ms=812')
            yield boss(f'level=info msg="receipt taken" job={job} tile={tile}')
        yield hand(f'level=warn msg="tile skipped" job={job} tile={tiles[0]} reason="sea"')
        yield hand(f'level=error msg="tile failed" job={job} tile={tiles[1]} reason="no source"')
        yield boss(f'level=info msg="job closed" job={job} done=18 of=20')
    for port in range(9):
        yield hand(f'level=info msg="listening" port=808{port}')


def structured() -> Iterator[Line]:
    for job, tiles in (("J-2031", TILES[:20]), ("J-2032", TILES[20:])):
        yield boss(event="jobOpened", job=job, tilesExpected="20")
        yield boss(event="jobQueued", job=job, queued="20", failed="0")
        for tile in tiles:
            yield hand(event="tileStarted", job=job, tile=tile, zoom="12")
            yield hand(event="tileDone", job=job, tile=tile, ms="812")
            yield boss(event="receiptTaken", job=job, tile=tile, messageId=f"77{tile[2:]}0")
        yield boss(event="jobClosed", job=job, done="20", of="20")


def by_means(found: list[Proposal]) -> dict[Means, Proposal]:
    return {one.marker.means: one for one in found}


def test_a_pipeline_that_logs_text_is_read() -> None:
    found = by_means(propose(list(logfmt())))
    captured = {means.value: one.captured for means, one in found.items()}
    assert captured == {
        "created": {"batch": "J-2031", "expected": "20"},
        "published": {"batch": "J-2031", "count": "20", "failed": "0"},
        "returned_item": {"batch": "J-2031", "item": TILES[2]},
        "closed": {"batch": "J-2031", "count": "18", "of": "20"},
        "started_item": {"batch": "J-2031", "item": TILES[0]},
        "done_item": {"batch": "J-2031", "item": TILES[2]},
        "skipped_item": {"batch": "J-2031", "item": TILES[0], "reason": "sea"},
        "failed_item": {"batch": "J-2031", "item": TILES[1], "reason": "no source"},
    }
    assert all(one.matched == one.lines and not one.why_not for one in found.values())


def test_a_pipeline_that_logs_events_is_read() -> None:
    found = by_means(propose(list(structured())))
    assert {means.value: (one.marker.contains, dict(one.marker.captures)) for means, one in found.items()} == {
        "created": ("jobOpened", {"batch": "jsonPayload.job", "expected": "jsonPayload.tilesExpected"}),
        "published": (
            "jobQueued",
            {"batch": "jsonPayload.job", "count": "jsonPayload.queued", "failed": "jsonPayload.failed"},
        ),
        "returned_item": ("receiptTaken", {"batch": "jsonPayload.job", "item": "jsonPayload.tile"}),
        "closed": ("jobClosed", {"batch": "jsonPayload.job", "count": "jsonPayload.done", "of": "jsonPayload.of"}),
        "started_item": ("tileStarted", {"batch": "jsonPayload.job", "item": "jsonPayload.tile"}),
        "done_item": ("tileDone", {"batch": "jsonPayload.job", "item": "jsonPayload.tile"}),
    }


def test_lines_that_tell_of_no_batch_are_left_alone() -> None:
    said = [hand(f"GET /health 200 {n} ms") for n in range(30)] + [
        boss("Booting worker with pid: 7") for _ in range(30)
    ]
    assert propose(said) == []


def test_what_is_written_is_a_profile_and_reads_the_same_lines() -> None:
    lines = list(logfmt())
    found = propose(lines)
    profile = parse_profile(HEAD + toml.written(found, 7), "written")
    assert profile.markers == tuple(one.marker for one in found)
    for marker, one in zip(profile.markers, found, strict=True):
        assert sum(read(marker, line) is not None for line in lines) == one.matched


def test_what_is_doubtful_is_written_as_a_comment() -> None:
    found = [msgspec.structs.replace(one, why_not="it matches too much") for one in propose(list(logfmt()))]
    assert parse_profile(HEAD + toml.written(found, 7), "written").markers == ()


@pytest.mark.parametrize(
    "hostile", ["\n[[accepted]]\n", "'''", '"""', "\x1b[2J", "\u202e", "\\", "'\"", "\r\nname = 'x'\n", "\u2028"]
)
def test_a_log_line_stays_within_its_string_and_its_comment(hostile: str) -> None:
    lines = [hand(f"{hostile}tile rendered job=J-1 tile={tile}{hostile}") for tile in TILES]
    lines += [boss(f"job opened job=J-1 {hostile} expected=40") for _ in range(10)]
    lines += [boss(f"receipt taken job=J-1 tile={tile}") for tile in TILES]
    text = toml.written(propose(lines), 7)
    read_back = tomllib.loads(text)
    assert set(read_back) <= {"markers"}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\u2028]", text)


@pytest.mark.parametrize("text", ["plain", "it's", 'say "x"', "a\\b", "tab\there", "\u202eback", "new\nline"])
def test_a_string_is_read_back_the_same(text: str) -> None:
    assert tomllib.loads(f"x = {toml.quoted(text)}")["x"] == text


def test_lines_that_differ_in_names_alone_are_one_group() -> None:
    names = ("anna", "bert", "cleo", "dirk")
    said = [hand(f"export of {name} for 2026-01-0{n} took {n} ms") for n, name in enumerate(names, 1)]
    (group,) = groups(said)
    assert group.words == "export of * for * took * ms"
