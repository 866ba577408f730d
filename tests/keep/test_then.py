"""What an earlier or later version concluded is kept as it was written, and read whatever has become of the diagnosis."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.keep.bundle import load, parse, replay
from diagnostics.keep.then import Then, ThenBatch, ThenCause, read
from diagnostics.steps.finding import Status
from tests.sampling import examples

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"

DOCUMENT: dict[str, Any] = json.loads(gzip.decompress(OLD.read_bytes()))
SAID: dict[str, Any] = DOCUMENT["diagnosis"]
CAUSES = [cause["code"] for cause in SAID["causes"]]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def then(said: Any) -> Then | None:
    return read(msgspec.Raw(json.dumps(said).encode()))


def packed(said: Any) -> bytes:
    return gzip.compress(json.dumps(DOCUMENT | {"diagnosis": said}).encode(), 1)


def test_the_night_says_what_it_said_then() -> None:
    told = load(OLD).then
    assert told is not None
    assert (told.status, told.headline) == (Status.FAULT, SAID["headline"])
    assert told.batch == ThenBatch(id="batch_2026-02-07_1770588120")
    assert [cause.code for cause in told.causes] == CAUSES
    assert told.causes[0] == ThenCause(
        code="gated-batch-never-closes", leg="request", role="blocks", confidence="confirmed"
    )
    assert json.loads(bytes(told.raw)) == SAID


def test_no_conclusion_is_none() -> None:
    assert then(None) is None
    assert parse(packed(None)).then is None


@pytest.mark.parametrize(
    ("said", "status", "batch", "causes"),
    [
        (SAID | {"status": "meltdown"}, Status.UNKNOWN, True, CAUSES),
        (SAID | {"status": 2}, Status.UNKNOWN, True, CAUSES),
        (SAID | {"alternatives": [{"one_of": CAUSES}], "schema_version": 9}, Status.FAULT, True, CAUSES),
        (SAID | {"causes": [c | {"role": "haunts", "confidence": 0.7} for c in SAID["causes"]]}, Status.FAULT, True, CAUSES),
        (SAID | {"causes": {"blocks": CAUSES}}, Status.FAULT, True, []),
        (SAID | {"causes": [None, "x", {"code": 1}, {"code": "new"}]}, Status.FAULT, True, ["new"]),
        (SAID | {"batch": None}, Status.FAULT, False, CAUSES),
        ({}, Status.UNKNOWN, False, []),
        ([], Status.UNKNOWN, False, []),
        ("done", Status.UNKNOWN, False, []),
    ],
)  # fmt: skip
def test_what_is_not_known_is_never_taken_for_ok(said: Any, status: Status, batch: bool, causes: list[str]) -> None:
    told = then(said)
    assert told is not None
    assert (told.status, told.batch is not None, [c.code for c in told.causes]) == (status, batch, causes)
    assert told.headline
    bundle = parse(packed(said))
    assert bundle.batch, "it is known by its evidence, whatever was concluded"
    assert replay(bundle).concluded is not None


@pytest.mark.parametrize("raw", [b'"\xff"', b"[1", b"", b"[" * 100_000 + b"]" * 100_000])
def test_what_is_not_even_json_is_not_read(raw: bytes) -> None:
    told = read(msgspec.Raw(raw))
    assert told is not None
    assert (told.status, told.batch, told.causes) == (Status.UNKNOWN, None, ())
    assert not told.says_the_same_as(replay(load(OLD)))


@settings(deadline=None)
@given(JSON | st.dictionaries(st.sampled_from(sorted(SAID)), JSON))
def test_anything_may_have_been_concluded(said: Any) -> None:
    told = then(said)
    assert (told is None) == (said is None)
    assert told is None or told.status is (Status(said["status"]) if _status(said) else Status.UNKNOWN)


def _status(said: Any) -> bool:
    return isinstance(said, dict) and isinstance(said.get("status"), str) and said["status"] in list(Status)


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_an_old_conclusion_may_lack_or_name_anything_otherwise(data: st.DataObject) -> None:
    """Fields dropped, added, renamed and filled otherwise, at any depth: the run still opens, and its evidence says what it says."""
    said = json.loads(json.dumps(SAID))
    for _ in range(data.draw(st.integers(1, 4))):
        place: Any = said
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        was = place.pop(key)
        if isinstance(place, dict):
            how = data.draw(st.sampled_from(["drop", "rename", "fill"]))
            if how != "drop":
                place[key + "_" * (how == "rename")] = data.draw(JSON) if how == "fill" else was
        if not said:
            break
    bundle = parse(packed(said))
    assert [c.code for c in replay(bundle).causes if c.role == "blocks"] == CAUSES[:1]
