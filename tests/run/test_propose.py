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


def sentences(last: int = 20) -> Iterator[Line]:
    """Parcels, two waves of twenty, in sentences with what they are about beside them, as Cloud Run's own guide has it; of the second
    wave `last` parcels were ever worked on."""
    for wave, parcels in (("W7-mon", TILES[:20]), ("W8-tue", TILES[20:])):
        about = {"app.wave": wave, "level": "info", "app.host": "h-1"}
        yield boss(message="wave opened", **about, **{"app.parcels": "20"})
        yield boss(message="20 labels submitted", **about, **{"app.submitted": "20", "app.failed": "0"})
        for parcel in parcels[: last if wave == "W8-tue" else 20]:
            one = about | {"app.parcel": parcel}
            yield hand(message=f"printing label of {parcel}", **one)
            yield hand(message="label printed", **one, **{"app.ms": "812"})
            yield boss(message="label confirmed", **one)
        yield hand(message="could not parse the task", **{"app.err": "unexpected end", "level": "error"})
        if wave == "W7-mon":
            yield boss(message="wave finished", **about, **{"app.printed": "20", "app.of": "20"})


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


def test_a_pipeline_that_logs_sentences_with_fields_beside_them_is_read() -> None:
    lines = list(sentences())
    found = by_means(propose(lines))
    item = {"batch": "jsonPayload.app.wave", "item": "jsonPayload.app.parcel"}
    assert {means.value: dict(one.marker.captures) for means, one in found.items()} == {
        "created": {"batch": "jsonPayload.app.wave", "expected": "jsonPayload.app.parcels"},
        "published": {
            "batch": "jsonPayload.app.wave",
            "count": "jsonPayload.app.submitted",
            "failed": "jsonPayload.app.failed",
        },
        "returned_item": item,
        "closed": {"batch": "jsonPayload.app.wave", "count": "jsonPayload.app.printed", "of": "jsonPayload.app.of"},
        "started_item": item,
        "done_item": item,
        "bad_message": {"reason": "jsonPayload.app.err"},
    }
    assert all(one.matched == one.lines and not one.why_not for one in found.values())
    profile = parse_profile(HEAD + toml.written(list(found.values()), 7), "written")
    assert all(marker.field == "textPayload" for marker in profile.markers), "where Cloud Logging has a message"


def test_a_batch_that_no_line_of_an_item_names_is_one_all_the_same() -> None:
    """The newest stands still before its first item: that is when somebody runs init."""
    created = by_means(propose(list(sentences(last=0))))[Means.CREATED]
    assert created.marker.captures["batch"] == "jsonPayload.app.wave"
    assert created.matched == 2 and not created.why_not


def test_which_of_several_fields_is_the_count_is_not_guessed() -> None:
    """Fields have no order: of a gate's numbers any may be how many passed."""
    lines = [*sentences()]
    for wave in ("W7-mon", "W8-tue"):
        lines.append(boss(message="parcels filtered", **{"app.wave": wave, "app.a": "20", "app.b": "20", "app.c": "0"}))
    gate = by_means(propose(lines))[Means.GATE]
    assert gate.why_not == "nothing tells which of its numbers is how many passed"
    assert "count" not in gate.captured


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
