"""A store that a team shares, on the command line: run in one home, postmortem in another; and no store costs an answer anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from diagnostics.cli import main
from diagnostics.cli.do import postmortem
from diagnostics.cli.frame import after, keeping, opening, others, output, sharing
from diagnostics.cli.frame.options import Access
from diagnostics.evidence.model import EvidenceSet
from diagnostics.keep import shared, store
from diagnostics.keep.bundle import Bundle, load, replay
from diagnostics.keep.vouched import QUOTED
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.servers import storage
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline import places
from diagnostics.scoring.world import World

SCENE = """
name: a-shared-store
story: Two nights of the example pipeline, tonight's with most of it there already, and a bucket for what the team keeps.
pipeline: {buckets: [team-evidence]}
caller: {holds: [storage.objects.create]}
timeline:
  - {at: -1d, start_batch: {name: last-night, items: 12}}
  - {at: -40m, start_batch: {name: tonight, items: 9, gated: {existing: 4}}}
"""
BUCKET = "gs://team-evidence/diag"
EXAMPLE = Path(places.__file__).parent / "profiles" / "nba-predictions.toml"
NIGHT = load(Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz")
SAID = replay(NIGHT)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    scenario = parse(SCENE, "a scene", 1)
    lab = Lab(scenario, 1, Telemetry())
    with start(lab, log_reads_per_minute=10_000) as running:
        yield World(scenario, lab, running)


class Homes:
    """The machines of a team, each with its own state, and one profile for all of them."""

    def __init__(self, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._patch, self._path = patch, tmp_path
        self.team = tmp_path / "team"
        self.team.mkdir()
        self.shares(BUCKET)
        self.at("one")

    def shares(self, named: str) -> None:
        keep = f'\n[keep]\nstore = "{named}"\n' if named else ""
        (self._path / "pubsub-diag.toml").write_text(EXAMPLE.read_text() + keep)

    def at(self, home: str) -> None:
        self._patch.setenv("PUBSUB_DIAG_STATE_DIR", str(self._path / home))

    def look(self, number: int = 0, quiet: bool = False, **changes: Any) -> None:
        """What a command does that looks: it keeps its run, answers, and ends."""
        after.forget()
        asked = Access(profile="pubsub-diag.toml", quiet=quiet)
        sharing.meet(opening.stated(asked), lambda: opening.session_of(asked), quiet)
        case, batch = a_run(number, **changes).case, changes.get("batch")
        assert SAID.batch is not None
        about = changed(SAID, batch=changed(SAID.batch, id=batch)) if batch else SAID
        keeping.keep(case, about, quiet)
        output.answer("the answer\n")
        after.do()


def a_run(number: int, command: str = NIGHT.case.command, batch: str = "", less: int = 0) -> Bundle:
    """The night, looked at so many seconds later: by this command, about this batch, with so many kinds of evidence less."""
    seen = NIGHT.case.evidence
    later, whole = seen.looked_at + timedelta(seconds=number), list(seen.items())
    evidence = EvidenceSet(dict(whole[less:]), seen.now, seen.lookback, seen.since, later)
    ask = changed(NIGHT.case.ask, batch=batch or NIGHT.case.ask.batch)
    return changed(NIGHT, case=replace(NIGHT.case, evidence=evidence, command=command, ask=ask))


@pytest.fixture
def homes(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Homes:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
    monkeypatch.chdir(tmp_path)
    for key in bucket(world):
        del world.lab.world.objects[key]
    return Homes(monkeypatch, tmp_path)


def bucket(world: World) -> dict[str, bytes]:
    return {k: o.content for k, o in world.lab.world.objects.items() if k.startswith("team-evidence/")}


def faulty(world: World, *faults: dict[str, object]) -> None:
    url = f"http://{world.running.endpoint}/lab/faults"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(faults).encode(), method="POST"), timeout=10).close()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main.run(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_what_one_saw_is_there_for_the_colleague_who_writes_the_postmortem(
    homes: Homes, world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    batch = json.loads(said(capsys, "batch", "-q", "-o", "json", "--profile", "pubsub-diag.toml")[1])["batch"]["id"]
    said(capsys, "capture", "-q", "--out", str(tmp_path / "captured.gz"), "--profile", "pubsub-diag.toml")
    said(capsys, "note", "sought the subscription back", "--at", "5m", "--kind", "did")
    said(capsys, "note", "the gate was too strict", "--kind", "believed", "--batch", batch)
    assert [key.split("/")[2] for key in sorted(bucket(world))] == ["notes", "notes", "runs", "runs"]
    here = said(capsys, "postmortem", "-q")
    homes.at("two")
    assert not store.runs() and not store.notes()
    there = said(capsys, "postmortem", "-q")
    lines = list(zip(here[1].splitlines(), there[1].splitlines(), strict=True))
    others = [theirs for ours, theirs in lines if ours != theirs]
    assert all(line.startswith(QUOTED.partition("{")[0]) for line in others), "what others kept offers no such command"
    assert len(lines) > 100 and (there[0], there[2]) == (here[0], here[2])
    assert here[0] == 0 and "sought the subscription back" in here[1] and "the gate was too strict" in here[1]
    assert not store.runs(), "what others kept is not taken for one's own"


def test_the_list_shows_each_once_and_a_run_of_the_store_goes_by_its_name(
    homes: Homes, capsys: pytest.CaptureFixture[str]
) -> None:
    homes.shares(str(homes.team))
    homes.look(1)
    homes.at("two")
    homes.look(2)
    _, _, listed = said(capsys, "bundle", "list")[1].partition("2026")
    rows = [" ".join(f"2026{row}".split()) for row in listed.split("\n2026")]
    assert [(row[:16], row.rpartition("kept: ")[2]) for row in rows] == [
        (f"{a_run(2).case.evidence.looked_at:{store.MOMENT}}", "here"),
        (f"{a_run(1).case.evidence.looked_at:{store.MOMENT}}", "in the store"),
    ]
    name = rows[1].partition(" ")[0]
    assert said(capsys, "bundle", "show", name[:40])[0] == 0
    homes.shares("")
    assert "the store" not in said(capsys, "bundle", "list")[1]
    code, _, err = said(capsys, "bundle", "show", name)
    assert code == 3 and "neither a file nor the name of a kept run" in err


def test_a_run_of_the_store_is_trusted_no_more_than_a_file(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.shares(str(homes.team))
    homes.look()
    trusted: list[bool] = []
    from diagnostics.cli.frame import replaying

    def loaded(path: Path, ours: bool) -> Bundle:
        trusted.append(ours)
        return load(path, ours)

    monkeypatch.setattr(replaying, "load", loaded)
    said(capsys, "bundle", "show", "last")
    homes.at("two")
    said(capsys, "bundle", "show", "last")
    assert trusted == [True, False]


FAULTS: list[tuple[dict[str, object], str]] = [
    (
        {"kind": "permission_denied"},
        "storage.objects.create is missing (ask for roles/storage.objectCreator on gs://team-evidence)",
    ),
    ({"kind": "resource_exhausted"}, "a quota of storage.googleapis.com is used up"),
    ({"kind": "hang"}, "it did not answer within 0.3 s"),
]


@pytest.mark.parametrize(("fault", "says"), FAULTS)
def test_a_store_that_fails_costs_one_line_and_the_next_run_sends_what_waits(
    homes: Homes,
    world: World,
    fault: dict[str, object],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faulty(world, {"rpc": "InsertObject", **fault})
    with monkeypatch.context() as patch:
        patch.setattr(sharing, "SEND_S", 0.3 if fault["kind"] == "hang" else 30.0)
        homes.look(1)
    out, err = capsys.readouterr()
    assert out == "the answer\n"
    assert len(err.splitlines()) == 1 and err.startswith(f"not sent to {BUCKET}: ") and says in err
    assert err.endswith("; 1 waits here and goes with the next run\n")
    assert bucket(world) == {}
    faulty(world)
    homes.look(2)
    assert capsys.readouterr() == ("the answer\n", "")
    assert sorted(bucket(world).values()) == sorted(path.read_bytes() for path in store.runs())


def test_who_is_killed_while_the_store_takes_it_has_answered_and_nothing_is_there_twice(
    homes: Homes, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The object is there, and its sender dies before it knows: it is sent again, and is there already."""
    del homes
    faulty(world, {"rpc": "InsertObject", "kind": "lost_hang"})
    words = [sys.executable, "-m", "diagnostics", "note", "x", "--profile", "pubsub-diag.toml"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        end = time.monotonic() + 60
        while not bucket(world) and child.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        child.kill()
        out, err = child.communicate()
    assert child.returncode == -signal.SIGKILL and out.startswith("noted ") and not err
    (first,) = bucket(world)
    before = len(world.running.rpcs)
    faulty(world)
    assert said(capsys, "note", "y")[::2] == (0, "")
    inserted = [call.status for call in world.running.rpcs[before:] if call.name.endswith("InsertObject")]
    assert sorted(s for s in inserted if s != "0") == ["412", "OK"]
    assert len(bucket(world)) == 2 and first in bucket(world)


def test_quiet_is_quiet_and_a_folder_that_is_not_there_is_said_and_not_made(
    homes: Homes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    homes.shares(str(tmp_path / "not-mounted"))
    homes.look(quiet=True)
    assert capsys.readouterr() == ("the answer\n", "")
    code, _, err = said(capsys, "note", "x")
    assert code == 0 and "there is no such folder" in err and "2 wait here and go" in err
    assert not (tmp_path / "not-mounted").exists()
    code, out, err = said(capsys, "bundle", "list")
    assert code == 0 and "here" in out and "was read: there is no such folder" in err


def test_nothing_is_sent_before_the_answer_is_out(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.shares(str(homes.team))
    printed: list[str] = []
    monkeypatch.setattr(shared.Folder, "put", lambda *_: printed.append(capsys.readouterr().out))
    homes.look()
    said(capsys, "note", "x")
    assert printed == ["the answer\n", printed[1]] and printed[1].startswith("noted ")


def test_sending_that_breaks_or_is_interrupted_changes_no_exit_code(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.shares(str(homes.team))
    with monkeypatch.context() as patch:
        patch.setattr(sharing, "send", lambda *_: _raise(ValueError("a fault of ours")))
        code, _, err = said(capsys, "note", "x")
    assert code == 0 and "ValueError: a fault of ours; 1 waits" in err
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", lambda *_: _raise(KeyboardInterrupt()))
        assert said(capsys, "note", "y")[0] == 0


def test_a_store_that_does_not_answer_costs_a_reader_its_time_once_and_is_said(
    homes: Homes, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.look()
    capsys.readouterr()
    faulty(world, {"rpc": "ListObjects", "kind": "hang"})
    monkeypatch.setattr(others, "READ_S", 0.3)
    listed = said(capsys, "bundle", "list")
    written = said(capsys, "postmortem")
    faulty(world)
    late = f"not all of {BUCKET} was read: it did not answer within 0.3 s"
    assert listed[0] == 0 and "here" in listed[1] and listed[2].splitlines() == [late]
    assert written[0] == 0 and [line for line in written[2].splitlines() if "was read" in line] == [late]


def test_of_a_store_with_too_much_in_it_is_said_that_not_all_was_read(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        homes.look(number)
    capsys.readouterr()
    monkeypatch.setattr(storage, "LARGEST_PAGE", 1)
    monkeypatch.setattr(shared, "MOST_PAGES", 2)
    homes.at("two")
    code, out, err = said(capsys, "bundle", "list")
    cut = "it has more than 2 runs, and the newest of them were not looked for"
    assert (code, err) == (
        0,
        f"not all of {BUCKET} was read: {cut} (let a lifecycle rule of the bucket delete what is old)\n",
    )
    assert out.count(" store") == 2


def test_all_that_went_wrong_over_a_store_is_told_each_once(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.shares(str(homes.team))
    for number in range(3):
        homes.look(number)
    said(capsys, "note", "x", "--batch", NIGHT.batch)
    for path in homes.team.glob("*/*"):
        path.write_bytes(b"somebody else's")
    homes.at("two")
    store.save(store.packed(a_run(9).case, SAID))
    monkeypatch.setattr(sharing, "MOST_TOLD", 2)
    err = said(capsys, "postmortem")[2]
    runs = sorted(path.name for path in homes.team.glob("runs/*"))
    (first, second) = [line for line in err.splitlines() if " was read: " in line]
    assert sum(name in first for name in runs) == 2 and first.endswith("; and 1 more; 3 of it missing")
    assert "notes/" in second and not any(name in second for name in runs) and second.endswith("; 4 of it missing")


def test_of_a_batch_with_many_runs_of_a_schedule_since_the_last_look_is_told(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.shares(str(homes.team))
    homes.look()
    for number in range(1, 6):
        homes.look(number, command="health")
    homes.at("two")
    monkeypatch.setattr(postmortem, "AT_ONCE", 2)
    code, out, _ = said(capsys, "postmortem", "-q")
    assert code == 0 and NIGHT.batch in out
    monkeypatch.setattr(others.Others, "runs", lambda *_: [])
    code, _, err = said(capsys, "postmortem", "-q")
    assert code == 3 and "no run about a batch is kept" in err, "whatever a store does, it comes to an end"


def test_what_others_sent_takes_the_place_of_nothing_that_is_kept_here(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmortem, "EARLIER", 1)
    homes.shares(str(homes.team))
    for number in range(3):
        homes.look(number, batch="" if number == 0 else f"batch-{number}")
    homes.at("two")
    homes.shares("")
    homes.look(0, less=1)
    homes.look(-1, batch="batch-of-mine")
    homes.shares(str(homes.team))
    project = NIGHT.case.profile.project
    of_store = others.Others("pubsub-diag.toml", quiet=False)
    (look,) = postmortem._of_batch(NIGHT.batch, project, of_store)
    assert postmortem._saw(look)[0] == postmortem._saw(NIGHT)[0] - 1, "it saw less, and is one's own"
    earlier = [load(path).batch for path in postmortem._of_others(NIGHT.batch, project, of_store)]
    assert earlier == ["batch-of-mine", "batch-2"], "as many of one's own as without a store"
    assert capsys.readouterr().err == ""


def test_a_copy_by_another_name_hides_nothing(homes: Homes, capsys: pytest.CaptureFixture[str]) -> None:
    homes.shares(str(homes.team))
    homes.look()
    (path,) = homes.team.glob("runs/*")
    (homes.team / "bundles").mkdir()
    for copy in (path.name, path.name.replace(path.name.split("-")[1], "0" * 12)):
        (homes.team / "bundles" / copy).write_bytes(path.read_bytes())
    assert said(capsys, "bundle", "list")[1].count(" here") == 1
    homes.at("two")
    assert said(capsys, "bundle", "list")[1].count(" store") == 2, "the copy of its own name is the same thing"
    assert said(capsys, "postmortem", "-q", NIGHT.batch)[0] == 0


def test_a_list_that_breaks_is_said_and_not_taken_for_an_empty_one(
    homes: Homes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.look()
    capsys.readouterr()
    monkeypatch.setattr(shared.Bucket, "names", lambda _: _raise(ValueError("a fault of ours")))
    code, out, err = said(capsys, "bundle", "list")
    assert (code, err) == (0, f"not all of {BUCKET} was read: ValueError: a fault of ours\n")
    assert " here" in out


@pytest.mark.parametrize("words", [("batch", "-q"), ("capture", "-q", "--out", "captured.gz")])
def test_a_note_of_when_no_profile_was_named_goes_with_a_run_as_the_profile_redacts(
    homes: Homes, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], tmp_path: Path
) -> None:
    profile = tmp_path / "pubsub-diag.toml"
    shared_by, path = profile.read_text(), homes.team
    profile.unlink()
    said(capsys, "note", "closed ACCT-123 by hand", "--at", "5m")
    profile.write_text(f'{shared_by}\n[redact]\npatterns = ["ACCT-[0-9]+"]\n'.replace(BUCKET, str(path)))
    said(capsys, "note", "opened ACCT-456")
    said(capsys, *words)
    said(capsys, "capture", "-q", "--out", "other.gz")
    sent = [load(found) for found in path.glob("*/*.gz")]
    says = {"closed [redacted by profile] by hand", "opened [redacted by profile]"}
    assert len(sent) == 2 and all({note.says for note in run.notes} == says for run in sent)
    assert {note.says for note in load(tmp_path / "other.gz").notes} == says
    assert [b"opened [redacted by profile]" in note.read_bytes() for note in path.glob("notes/*")] == [True]
    told = said(capsys, "postmortem", "-q")[1]
    assert "ACCT-" not in told
    table = told.partition("### Timeline, whole")[2].partition("\n### ")[0]
    assert table.count("| note | closed ") == 1


@pytest.mark.usefixtures("homes")
def test_what_is_sent_names_no_store(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "batches", "-q", "--profile", "pubsub-diag.toml")
    (content,) = bucket(world).values()
    assert [path.read_bytes() for path in store.runs()] == [content]
    assert load(store.runs()[0]).case.profile.store == ""


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_is_sent_of_who_keeps_no_runs(
    homes: Homes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept: bool
) -> None:
    """A run that is too large to be kept here is: as a capture."""
    homes.shares(str(homes.team))
    monkeypatch.setenv(store.KEEP, str(int(kept)))
    monkeypatch.setattr(store, "LARGEST_RUN", 0)
    homes.look()
    said(capsys, "capture", "-q", "--out", "captured.gz", "--profile", "pubsub-diag.toml")
    assert [path.parent.name for path in homes.team.glob("*/*")] == (["bundles"] if kept else [])


def test_what_is_of_the_lab_never_waits_for_google(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    del homes
    assert sharing.key_of(BUCKET) != BUCKET
    monkeypatch.delenv("PUBSUB_DIAG_ENDPOINT")
    assert sharing.key_of(BUCKET) == BUCKET


@pytest.mark.parametrize("named", ["gs://", "gs:///x", "gs://Team", "team", "./team", "s3://team", "~/team"])
def test_a_store_that_cannot_be_meant_is_refused(homes: Homes, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    homes.shares(named)
    code, _, err = said(capsys, "batch", "-q")
    assert code == 3 and "keep.store: expected gs://BUCKET/PREFIX or the full path of a folder" in err


def _raise(error: BaseException) -> None:
    raise error
