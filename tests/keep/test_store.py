"""Runs are kept by themselves, within bounds, and never at the cost of the answer."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from diagnostics.keep import store
from diagnostics.keep.bundle import Bundle, Note, load, replay
from diagnostics.pipeline import places
from diagnostics.run.investigate import Case

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
DAY_S = 86400


SAID = replay(load(OLD))


@pytest.fixture(scope="module")
def night() -> Bundle:
    return load(OLD)


def later(case: Case, minutes: int) -> Case:
    seen = case.evidence
    at = seen.now + timedelta(minutes=minutes)
    return replace(case, evidence=type(seen)(dict(seen.items()), at, seen.lookback, seen.since))


def test_a_kept_run_is_found_by_its_batch_and_by_its_name(night: Bundle) -> None:
    first = store.keep(later(night.case, 5), SAID)
    second = store.keep(night.case, SAID)
    assert [p.name.removesuffix(".gz") for p in store.kept(night.batch)] == [second, first]
    assert store.kept(night.batch, project=night.case.profile.project) == store.kept(night.batch)
    assert store.kept(night.batch, project="another") == store.kept("another batch") == []
    assert store.find(second) == store.find(second[:16]) == store.kept(night.batch)[0]
    assert store.find("20991231") is store.find("") is None
    assert first.startswith(f"{night.made_at + timedelta(minutes=5):%Y%m%dT%H%M%SZ}")


def test_two_runs_of_one_second_are_both_kept(night: Bundle) -> None:
    names = {store.keep(night.case, SAID) for _ in range(3)}
    assert len(names) == len(store.runs()) == 3
    assert all(store.find(name) for name in names)


def test_of_runs_that_looked_in_one_second_the_last_is_the_one_that_was_written_last(night: Bundle) -> None:
    of_projects = [
        replace(night.case, profile=msgspec.structs.replace(night.case.profile, project=f"project-{n}"))
        for n in range(6)
    ]
    began = time.time_ns()
    for turn, one in enumerate((*of_projects, of_projects[2])):
        path = store.find(store.keep(one, SAID))
        assert path is not None
        os.utime(path, ns=(began + turn, began + turn))
        assert store.find(store.LAST) == path
    assert len(store.runs()) == 7


def test_what_is_kept_is_for_its_owner_alone(night: Bundle) -> None:
    store.keep(night.case, SAID)
    store.note(Note(at=night.made_at, says="x", written=night.made_at))
    files = [path for path in places.state_dir().rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(places.state_dir().stat().st_mode) == 0o700


def test_old_runs_go_and_then_the_oldest_until_the_rest_fits(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [store.keep(later(night.case, minutes), SAID) for minutes in range(4)]
    now = store.runs()[0].stat().st_mtime
    for age, name in zip((91, 3, 2, 1), names, strict=True):
        path = store.find(name)
        assert path is not None
        os.utime(path, (now - age * DAY_S, now - age * DAY_S))
    newest = store.keep(later(night.case, 9), SAID)
    assert [p.name.removesuffix(".gz") for p in store.runs()] == [*names[1:], newest]
    monkeypatch.setattr(store, "MOST_BYTES", int(2.5 * store.runs()[0].stat().st_size))
    last = store.keep(later(night.case, 10), SAID)
    assert [p.name.removesuffix(".gz") for p in store.runs()] == [newest, last]


def test_a_run_that_is_too_large_or_cannot_be_written_is_not_kept(
    night: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "LARGEST_RUN", 1000)
        with pytest.raises(store.NotKept, match="capture --out FILE"):
            store.keep(night.case, SAID)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(store.NotKept, match="Not a directory"):
        store.keep(night.case, SAID)
    assert not store.runs()
    assert not store.notes()


@pytest.mark.parametrize("word", ["0", "no", "off", "False"])
def test_the_environment_and_the_profile_turn_it_off(word: str, night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.wanted(night.case)
    quiet = msgspec.structs.replace(night.case.profile, keep_runs=False)
    assert not store.wanted(replace(night.case, profile=quiet))
    monkeypatch.setenv("PUBSUB_DIAG_KEEP_RUNS", word)
    assert not store.wanted(night.case)


def test_a_run_that_cannot_be_read_is_passed_over(night: Bundle) -> None:
    name = store.keep(night.case, SAID)
    (places.state_dir() / "runs" / "20260101T000000Z-00000000.gz").write_bytes(b"rubbish")
    assert [p.name for p in store.kept(night.batch)] == [f"{name}.gz"]


def test_notes_of_a_case_are_about_its_batch_or_its_time(night: Bundle) -> None:
    at = night.case.evidence.now
    about = {
        "in the window": (timedelta(minutes=5), ""),
        "days later, of the batch": (timedelta(days=-3), night.batch),
        "days later, of nothing": (timedelta(days=-3), ""),
        "in the window, of another": (timedelta(minutes=5), "another"),
    }
    for says, (before, batch) in about.items():
        store.note(Note(at=at - before, says=says, batch=batch, written=at))
    with (places.state_dir() / "notes.jsonl").open("ab") as file:
        file.write(b'{"at": 1}\nrubbish\n\xff\n')
    kept = {note.says for note in store.notes_of(night.case, SAID)}
    assert kept == {"in the window", "days later, of the batch"}
    assert len(store.notes(since=at)) == 2
