"""A bundle gives the same diagnosis again, without a network; one that was made to harm is refused in one line."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import BatchStatus, EvidenceSet, ItemMarks, Leg, Peeked, Probed, Provenance
from diagnostics.keep import bounds
from diagnostics.keep import bundle as bundles
from diagnostics.keep.bundle import Bundle, BundleError, Note, dump, load, parse, replay
from diagnostics.report.json import render
from diagnostics.sources.batch_state.told import MOST_ITEMS
from diagnostics.sources.search import PAGE_SIZE
from tests.sampling import examples

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
"""The night, captured by the commit that it is named after. It is never made anew: it has to open for ever."""


CORPUS = ROOT / "tests" / "fuzz" / "corpus" / "bundles"


@pytest.fixture(scope="module")
def old() -> Bundle:
    return load(OLD)


@pytest.fixture(scope="module")
def fresh(old: Bundle) -> bytes:
    """A bundle of this version."""
    return dump(old.case, replay(old, old.case), old.notes)


def document(packed: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(gzip.decompress(packed))
    return decoded


def packed(said: Any) -> bytes:
    return gzip.compress(json.dumps(said).encode())


def test_a_bundle_of_an_older_commit_opens_and_is_diagnosed_as_then(old: Bundle) -> None:
    then = old.then
    assert then is not None
    assert (old.batch, len(old.notes)) == ("batch_2026-02-07_1770588120", 1)
    now = replay(old)
    assert now.status is then.status
    blocks = {c.code for c in now.causes if c.role == "blocks"}
    assert blocks == {c.code for c in then.causes if c.role == "blocks"} == {"gated-batch-never-closes"}


def test_the_same_version_gives_the_same_json(old: Bundle, fresh: bytes) -> None:
    """Every scenario is held to this by scoring; here for the bytes, too."""
    said = replay(old, old.case)
    bundle = parse(fresh, ours=True)
    assert render(replay(bundle)) == render(said)
    assert dump(bundle.case, said, bundle.notes) == fresh


def test_another_version_says_which_version_concluded_what(fresh: bytes) -> None:
    said = document(fresh) | {"made_by": "0.0.9"}
    said["diagnosis"]["headline"] = "nobody knows"
    now = replay(parse(packed(said)))
    assert now.concluded is not None
    assert (now.concluded.version, now.concluded.headline) == ("0.0.9", "nobody knows")
    assert now.headline != "nobody knows"


def test_another_question_to_the_same_evidence_is_no_other_conclusion(old: Bundle) -> None:
    header = msgspec.structs.replace(old.case.header, command="delivery")
    answer = replay(old, replace(old.case, command="delivery", header=header))
    assert answer.pipeline.command == "delivery"
    assert answer.concluded is None


def test_the_schema_describes_what_is_written(fresh: bytes) -> None:
    schema = bundles.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = jsonschema.Draft202012Validator(schema)
    said = document(fresh)
    whole.validate(said)
    for entry in said["evidence"]:
        whole.evolve(schema={"$ref": f"#/$defs/{entry['kind']}", "$defs": schema["$defs"]}).validate(entry["seen"])
    said["evidence"][0]["kind"] = 7
    with pytest.raises(jsonschema.ValidationError):
        whole.validate(said)


def test_the_data_of_messages_stays_out(old: Bundle) -> None:
    now = old.case.evidence.now
    source = Provenance(source="probe", fetched_at=now, as_of=now)
    peeked = Peeked(id="1", published=now, size=9, data='{"player": "hidden"}')
    probed = Probed(
        source=source, mode="snapshot", subscription="s", messages=(peeked,), asked_for=1, pulls=1, empty_pulls=0
    )
    seen = {**dict(old.case.evidence.items()), ("Probed", Leg.REQUEST): probed}
    evidence = EvidenceSet(seen, now, old.case.evidence.lookback, old.case.evidence.since)
    written = dump(replace(old.case, evidence=evidence), None)
    assert b"hidden" not in gzip.decompress(written)
    assert parse(written).then is None


def test_replay_needs_no_network_no_clock_and_nothing_of_google(tmp_path: Path) -> None:
    """In a process in which no socket can be made and no clock be read."""
    code = """
import datetime, socket, sys, time
class NoClock(datetime.datetime):
    @classmethod
    def now(cls, *a): raise AssertionError("a clock was read")
    utcnow = today = now
from diagnostics.cli import main
from diagnostics.cli.do import investigation
from diagnostics.cli.frame import replaying
def refuse(*a, **k): raise AssertionError("a socket was made")
socket.socket = socket.create_connection = refuse
time.time = time.time_ns = lambda: (_ for _ in ()).throw(AssertionError("a clock was read"))
datetime.datetime = NoClock
code = main.run(["batch", "-q", "-o", "json", "--from", sys.argv[1]])
assert not [name for name in sys.modules if name.split(".")[0] in ("google", "grpc")], "google was imported"
sys.exit(code)
"""
    line = [sys.executable, "-c", code, str(OLD)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT, env={"HOME": str(tmp_path)})
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["status"] == "fault"


# --- what was made to harm ----------------------------------------------------------------------------------------------


def zipped(name: str, twice: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for _ in range(1 + twice):
            archive.writestr(name, "{}")
    return file.getvalue()


def tarred(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def make(fresh: bytes) -> bytes:
        said = document(fresh)
        change(said)
        return packed(said)

    return make


def of(kind: str, said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(entry["seen"] for entry in said["evidence"] if entry["kind"] == kind)
    return found


def deep(text: bytes) -> Callable[[bytes], bytes]:
    def make(fresh: bytes) -> bytes:
        said = json.dumps(document(fresh)).encode()
        return gzip.compress(said.replace(b'"notes":', b'"more": ' + text + b', "notes":', 1))

    return make


HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "cut short"),
    "no bundle": (lambda _: b"hello", "no bundle"),
    "other JSON": (lambda _: packed({"format": "else", "format_version": 1, "made_by": ""}), "no bundle"),
    "a list": (lambda _: packed([]), "not what a bundle is"),
    "cut": (lambda fresh: fresh[: len(fresh) // 2], "cut short"),
    "more behind it": (lambda fresh: fresh + b"x", "more than a bundle"),
    "two in one": (lambda fresh: fresh + fresh, "more than a bundle"),
    "a flipped bit": (lambda fresh: fresh[:-6] + bytes([fresh[-6] ^ 1]) + fresh[-5:], "no bundle"),
    "bomb": (
        lambda _: gzip.compress(b" " * (bounds.MOST_JSON + 2)),
        "holds more than 64 MiB of JSON, the most that a bundle may",
    ),
    "huge": (lambda _: b"\x1f\x8b" + bytes(bounds.MOST_BYTES), "larger than"),
    "zip with a way up": (lambda _: zipped("../../etc/cron.d/x"), "no bundle"),
    "zip with an absolute name": (lambda _: zipped("/etc/passwd"), "no bundle"),
    "tar with a way up": (lambda _: tarred("../x"), "not what a bundle is"),
    "newer": (changed(lambda d: d.update(format_version=2, made_by="9.1.0")), "made by pubsub-diag 9.1.0 in format 2"),
    "format 0": (changed(lambda d: d.update(format_version=0)), "says that it is of format 0, which never was"),
    "format -1": (changed(lambda d: d.update(format_version=-1)), "format -1, which never was"),
    "half a format": (changed(lambda d: d.update(format_version=1.5)), "not what a bundle is"),
    "format true": (changed(lambda d: d.update(format_version=True)), "not what a bundle is"),
    "format in words": (changed(lambda d: d.update(format_version="1")), "not what a bundle is"),
    "no format": (changed(lambda d: d.update(format_version=None)), "not what a bundle is"),
    "too many items": (
        changed(lambda d: of("BatchStatus", d).update(items=["i"] * (bounds.MOST_ENTRIES - 1))),
        "entries of BatchStatus, more than the 120,000 that a bundle may",
    ),
    "too many lines": (
        changed(lambda d: of("ItemMarks", d).update(marks=[{}] * (bounds.MOST_ENTRIES + 1))),
        "entries of ItemMarks, more than",
    ),
    "too many values": (
        changed(lambda d: d.update(more=[1] * bounds.MOST_VALUES)),
        "holds more than 3,000,000 values, the most that a bundle may",
    ),
    "too many calls": (changed(lambda d: d.update(calls=[{}] * 10_001)), "holds 10,001 calls, more than the 10,000"),
    "twice": (changed(lambda d: d["evidence"].append(d["evidence"][0])), "twice"),
    "seen and unseen": (
        changed(lambda d: d["unseen"].append({"what": "BatchMarks", "why": "failed", "says": ""})),
        "holds BatchMarks twice",
    ),
    "wrong type": (changed(lambda d: d.update(now=7)), "not what a bundle is"),
    "no kind": (changed(lambda d: d["evidence"][0].pop("kind")), "not what a bundle is"),
    "no pipeline": (
        changed(lambda d: d["profile"].pop("request")),
        "not what a bundle is: profile: request: not there",
    ),
    "local time": (changed(lambda d: d.update(now="2026-02-08T14:21:07")), "not in UTC"),
    "another zone": (changed(lambda d: d.update(since="2026-02-08T14:21:07+01:00")), "not in UTC"),
    "deep": (deep(b"[" * 100_000 + b"]" * 100_000), "nested too deeply"),
    "deep objects": (deep(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "nested too deeply"),
    "number too large": (deep(b"1e999999"), ""),
    "no text": (
        lambda fresh: gzip.compress(
            gzip.decompress(fresh)
            .replace(b"FAULT", b"\xff\xfe", 1)
            .replace(b'"command":"batch"', b'"command":"\xff\xfe"', 1)
        ),
        "not what a bundle is",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_with_one_line(name: str, fresh: bytes, tmp_path: Path) -> None:
    make, says = HOSTILE[name]
    file = tmp_path / "hostile.gz"
    file.write_bytes(make(fresh))
    if not says:
        load(file)  # an unknown field may hold what it likes
        return
    with pytest.raises(BundleError) as refused:
        load(file)
    line = str(refused.value)
    assert says in line
    assert line.startswith(str(file))
    assert "\n" not in line
    assert len(line) < 500
    assert list(tmp_path.iterdir()) == [file]


def test_what_one_run_reads_at_most_is_within_the_bounds(old: Bundle) -> None:
    """Batch state of as many items as are taken, and more lines than one run reads: no capture is refused by its own reader."""
    evidence = old.case.evidence
    status, lines = evidence.get(BatchStatus), evidence.get(ItemMarks)
    assert isinstance(status, BatchStatus)
    assert isinstance(lines, ItemMarks)
    names = tuple(f"item-{n}" for n in range(MOST_ITEMS))
    bounds.check_piece("BatchStatus", msgspec.json.encode(msgspec.structs.replace(status, items=names)))
    many = tuple(lines.marks[n % len(lines.marks)] for n in range(10 * PAGE_SIZE))
    bounds.check_piece("ItemMarks", msgspec.json.encode(msgspec.structs.replace(lines, marks=many)))
    assert 20 * PAGE_SIZE < bounds.MOST_ENTRIES, "twenty pages of subscriptions"


def test_what_could_not_be_read_again_is_not_written(old: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_JSON", "MOST_VALUES", "MOST_ENTRIES", "MOST_PARTS"):
        with monkeypatch.context() as patch:
            patch.setattr(bounds, name, 3)
            with pytest.raises(bounds.TooMuchError, match=r"more than|, the most"):
                dump(old.case, None)


@settings(max_examples=examples(50), deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(st.text(max_size=5) | st.none(), lambda inner: st.lists(inner, max_size=4), max_leaves=12),
        max_size=4,
    )
)
def test_entries_are_counted_as_they_are_decoded(piece: dict[str, Any]) -> None:
    """Never fewer than there are: an empty list counts as one."""
    there = sum(max(len(value), 1) for value in piece.values() if isinstance(value, list))
    assert bounds._entries(json.dumps(piece).encode()) == there


@pytest.mark.parametrize(
    ("says", "make"),
    [
        ("holds more than 64 MiB", lambda: gzip.compress(b" " * (bounds.MOST_JSON + 1), 1)),
        ("is damaged", lambda: gzip.compress(b" " * 32 * bounds.MIB, 1)[:-8] + bytes(8)),
        ("is cut short", lambda: gzip.compress(b" " * 32 * bounds.MIB, 1)[:-9]),
        ("holds more than a bundle", lambda: gzip.compress(b" " * 32 * bounds.MIB, 1) + b"x"),
        ("more than 3,000,000 values", lambda: gzip.compress(b"[" * 32 * bounds.MIB, 1)),
    ],
)
def test_what_is_damaged_or_too_much_is_refused_without_room_for_all_of_it(
    says: str, make: Callable[[], bytes]
) -> None:
    packed = make()
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=says):
            parse(packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * bundles.PART, f"{peak:,} bytes for a document of 32 MiB and more"


@settings(max_examples=examples(40), deadline=None)
@given(text=st.binary(max_size=300), part=st.integers(1, 40), level=st.integers(0, 9))
def test_in_parts_of_any_size_it_is_the_same_document(text: bytes, part: int, level: int) -> None:
    with mock.patch.object(bundles, "PART", part):
        parts = [*bundles._parts(gzip.compress(text * 9, level))]
        assert b"".join(parts) == text * 9
        assert all(len(one) <= part for one in parts)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        load(tmp_path / "none.gz")
    with pytest.raises(BundleError, match="cannot be read"):
        load(tmp_path)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_bundle_or_refused(content: bytes) -> None:
    for file in (content, gzip.compress(content)):
        with pytest.raises(BundleError):
            parse(file)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_a_damaged_bundle_is_refused(at: int, bit: int, fresh: bytes) -> None:
    """gzip's checksum covers the document; only its header has bytes that mean nothing, and one document can be packed in two ways."""
    at = 10 + at % (len(fresh) - 10)
    damaged = fresh[:at] + bytes([fresh[at] ^ (1 << bit)]) + fresh[at + 1 :]
    refused = False
    try:
        parse(damaged)
    except BundleError:
        refused = True
    assert refused or gzip.decompress(damaged) == gzip.decompress(fresh)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "request", "batch", "P999999999D", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_bundle_with_anything_in_any_place_is_diagnosed_or_refused(data: st.DataObject, fresh: bytes) -> None:
    """Whatever it holds: a diagnosis or one error of ours, nothing else."""
    said = document(fresh)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = said
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 9)) == 0:
                break
            place = inner
        if isinstance(place, dict) and data.draw(st.booleans()):
            del place[key]
            if not said:
                break
        else:
            place[key] = data.draw(ANYTHING)
    with suppress(BundleError):
        assert isinstance(replay(parse(packed(said))), Diagnosis)


def test_notes_come_back(old: Bundle) -> None:
    now = old.made_at
    said = Note(at=now, says="<b>sought</b> \x1b[31mback", batch=old.batch, written=now)
    assert parse(dump(old.case, None, (said,))).notes == (said,)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda p: p.name)
def test_what_the_fuzzer_starts_from_and_found_is_refused_in_a_line_or_replays(path: Path) -> None:
    for packed in (path.read_bytes(), gzip.compress(path.read_bytes())):
        assert "\n" not in _refusal(packed)


def _refusal(packed: bytes) -> str:
    """What is said of it; empty: it replays."""
    try:
        replay(parse(packed))
    except BundleError as refused:
        return str(refused)
    return ""
