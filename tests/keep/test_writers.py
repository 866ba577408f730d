"""Kept runs and notes under many writers at once, killed ones, full and odd disks, wrong clocks: nothing lost that was whole."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from diagnostics.cli.frame import keeping
from diagnostics.keep import store
from diagnostics.keep.bundle import Bundle, Note, load, replay
from diagnostics.pipeline import places
from tests.children import exit_code

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
LONGEST_S = 60.0
WRITERS = 20
SAID = replay(load(OLD))

FORKS = """
import os, sys
from pathlib import Path
from diagnostics.keep import store
from diagnostics.keep.bundle import Note, load
from tests.children import exit_code

what, writers, old = sys.argv[1], int(sys.argv[2]), load(Path(sys.argv[3]))
if "no links" in what:
    def link(*_):
        raise OSError(int(what.rpartition(" ")[2]), "no second names here")
    os.link = link
begin, go = os.pipe()
children = []
for number in range(writers):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(begin, 1)
        for turn in range(2):
            if what == "notes":
                said = f"{number} {turn} " + "x" * 1500
                store.note(Note(at=old.made_at, says=said, written=old.made_at))
            else:
                os.write(1, f"{store.keep(old.case, None)}\\n".encode())
        os._exit(0)
    children.append(child)
os.close(go)
sys.exit(max(abs(exit_code(child, 60)) for child in children))
"""


@pytest.fixture(scope="module")
def night() -> Bundle:
    return load(OLD)


def runs_folder() -> Path:
    return places.state_dir() / "runs"


def at_once(what: str) -> set[str]:
    """What so many processes said that began at one moment."""
    words = [sys.executable, "-c", FORKS, what, str(WRITERS), str(OLD)]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("what", ["runs", f"no links {errno.EPERM}", f"no links {errno.EOPNOTSUPP}"])
def test_twenty_writers_of_one_second_lose_nothing(what: str) -> None:
    names = at_once(what)
    assert len(names) == 2 * WRITERS
    assert {path.name.removesuffix(".gz") for path in store.runs()} == names
    assert all(load(path).made_at for path in store.runs())
    assert not list(runs_folder().glob(".*"))


def test_twenty_writers_of_notes_lose_none() -> None:
    at_once("notes")
    assert {tuple(n.says.split()[:2]) for n in store.notes()} == {
        (str(number), str(turn)) for number in range(WRITERS) for turn in range(2)
    }


class _Half:
    """A file that gets half of what is written to it, and then its writer is killed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> _Half:
        return self

    def __exit__(self, *_: object) -> None:
        """Not reached."""

    def fileno(self) -> int:
        return self._descriptor

    def write(self, content: bytes) -> None:
        os.write(self._descriptor, content[: len(content) // 2])
        _killed()


def _killed(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _then_killed(patch: pytest.MonkeyPatch, name: str) -> None:
    real = getattr(os, name)

    def call(*arguments: object) -> None:
        real(*arguments)
        _killed()

    patch.setattr(os, name, call)


def _strike(patch: pytest.MonkeyPatch, step: str) -> None:
    """From here on, the process dies at this step of keeping a run."""
    match step:
        case "before writing":
            patch.setattr(store, "_locked", _killed)
        case "half written":
            patch.setattr(os, "fdopen", lambda descriptor, _mode: _Half(descriptor))
        case "written":
            _then_killed(patch, "fsync")
        case "before its name":
            patch.setattr(os, "link", _killed)
        case "named":
            _then_killed(patch, "link")
        case "name taken":
            patch.setattr(store, "_named", store._renamed)
            patch.setattr(Path, "replace", _killed)
        case "tidying":
            patch.setattr(store, "in_order", _killed)
        case "taking away":
            patch.setattr(store, "MOST_BYTES", 1)
            patch.setattr(Path, "unlink", _killed)


STEPS = (
    "before writing",
    "half written",
    "written",
    "before its name",
    "named",
    "name taken",
    "tidying",
    "taking away",
)


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_that_is_killed_loses_nothing_that_was_whole_and_what_it_leaves_is_tidied(
    step: str, night: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {store.keep(night.case, SAID) for _ in range(3)}
    child = os.fork()
    if child == 0:
        _strike(monkeypatch, step)
        store.keep(night.case, SAID)
        os._exit(0)
    assert exit_code(child, LONGEST_S) == -signal.SIGKILL
    there = {path.name.removesuffix(".gz") for path in store.runs() if path.stat().st_size}
    assert before <= there
    assert all(load(path) for path in store.runs() if path.stat().st_size)
    for path in runs_folder().iterdir():
        if path.name.startswith(".") or not path.stat().st_size:
            os.utime(path, (time.time() - 60, time.time() - 60))
    last = store.keep(night.case, SAID)
    assert {path.name.removesuffix(".gz") for path in store.runs()} == {*there, last}
    assert not list(runs_folder().glob(".*"))


def test_what_another_writer_is_about_to_finish_is_left_to_it(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, and however little room there is: its lock says that it lives."""
    monkeypatch.setattr(store, "MOST_BYTES", 1)
    store.keep(night.case, SAID)
    theirs = runs_folder() / ".20260208T142107Z-aaaa-1"
    with store._writing(theirs, b"half a run"):
        os.utime(theirs, (1, 1))
        store.keep(night.case, SAID)
        assert theirs.exists()
    store.keep(night.case, SAID)
    assert not theirs.exists()


def test_leftovers_go_before_any_run_and_count_until_then(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.keep(night.case, SAID)
    size = store.runs()[0].stat().st_size
    monkeypatch.setattr(store, "MOST_BYTES", 3 * size)
    left = runs_folder() / ".left"
    left.write_bytes(b"x" * 2 * size)
    os.utime(left, (time.time() - 60, time.time() - 60))
    second = store.keep(night.case, SAID)
    assert {path.name.removesuffix(".gz") for path in store.runs()} == {first, second}
    assert not left.exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from diagnostics.keep import store
from diagnostics.keep.bundle import load

old = load(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    store.keep(old.case, None)
except store.NotKept as why:
    print(why)
"""


def test_on_a_disk_that_takes_only_a_part_nothing_is_left_and_nothing_is_lost(night: Bundle) -> None:
    """The limit is the kernel's own: a part is written, then it refuses."""
    name = store.keep(night.case, SAID)
    words = [sys.executable, "-c", FULL, str(OLD)]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == os.strerror(errno.EFBIG)
    assert [path.name for path in runs_folder().iterdir()] == [f"{name}.gz"]


def test_on_a_full_disk_leftovers_make_room(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.keep(night.case, SAID)
    left = runs_folder() / ".left"
    left.write_bytes(b"x")
    os.utime(left, (time.time() - 60, time.time() - 60))

    def fsync(_descriptor: int) -> None:
        if left.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    second = store.keep(night.case, SAID)
    assert {path.name for path in runs_folder().iterdir()} == {f"{first}.gz", f"{second}.gz"}
    monkeypatch.setattr(os, "fsync", lambda _: _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(store.NotKept, match="No space left"):
        store.keep(night.case, SAID)
    assert {path.name for path in runs_folder().iterdir()} == {f"{first}.gz", f"{second}.gz"}


def test_a_run_is_kept_although_the_tidying_fails(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "tidy", lambda *_, **__: _raise(OSError(errno.EIO, "broken")))
    assert store.find(store.keep(night.case, SAID))


def test_without_a_home_nothing_is_kept_and_nothing_breaks(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", lambda: _raise(RuntimeError("Could not determine home directory.")))
    with pytest.raises(store.NotKept, match="home directory"):
        store.keep(night.case, SAID)
    assert not (store.runs() or store.notes() or store.kept("x"))
    assert store.find("x") is None
    with pytest.raises(OSError, match="home directory"):
        store.note(Note(at=night.made_at, says="x", written=night.made_at))


def test_a_folder_of_another_user_is_not_written_to(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    name = store.keep(night.case, SAID)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(store.NotKept, match="belongs to another user"):
        store.keep(night.case, SAID)
    assert [path.name for path in runs_folder().iterdir()] == [f"{name}.gz"]


def test_a_folder_that_is_open_to_all_is_closed_and_a_link_to_one_of_ours_is_followed(
    night: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "runs").mkdir(parents=True)
    (tmp_path / "elsewhere" / "runs").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("PUBSUB_DIAG_STATE_DIR", str(tmp_path / "link"))
    assert store.find(store.keep(night.case, SAID))
    assert stat.S_IMODE((tmp_path / "elsewhere" / "runs").stat().st_mode) == 0o700


def test_a_clock_that_was_ahead_makes_no_run_outlive_the_others(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, newer, newest = (store.keep(night.case, SAID) for _ in range(3))
    for name, age in ((ahead, -9 * 365 * 86400), (newer, 60), (newest, 30)):
        path = store.find(name)
        assert path is not None
        os.utime(path, (time.time() - age, time.time() - age))
    monkeypatch.setattr(store, "MOST_BYTES", int(2.5 * store.runs()[0].stat().st_size))
    last = store.keep(night.case, SAID)
    assert {path.name.removesuffix(".gz") for path in store.runs()} == {newest, last}, "without room it goes first"
    (only,) = [path for path in store.runs() if path.name == f"{newest}.gz"]
    os.utime(only, (time.time() + 86400, time.time() + 86400))
    monkeypatch.setattr(store, "MOST_BYTES", 2**20)
    after = store.keep(night.case, SAID)
    assert {path.name.removesuffix(".gz") for path in store.runs()} == {newest, last, after}, "with room it stays"


def test_runs_of_one_second_are_in_the_order_in_which_they_were_kept(night: Bundle) -> None:
    names = [store.keep(night.case, SAID) for _ in range(11)]
    assert [path.name.removesuffix(".gz") for path in store.runs()] == names
    assert store.find(names[0][:12]) == store.runs()[-1]
    assert store.find(names[0]) == store.runs()[0]


def test_of_many_runs_only_those_that_may_be_about_the_batch_are_opened(
    night: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.keep(night.case, SAID)
    older = store.find(name)
    assert older is not None
    digest = "0" * 8
    for number in range(200):
        (runs_folder() / f"20260101T{number:06d}Z-0000{number:08x}.gz").write_bytes(b"another batch's")
        (runs_folder() / f"20260102T{number:06d}Z-{digest}.gz").write_bytes(b"an older version's, of another batch")
    opened: list[Path] = []

    def counted(path: Path, ours: bool) -> Bundle:
        opened.append(path)
        return load(path, ours)

    monkeypatch.setattr(store, "load", counted)
    assert store.kept(night.batch, night.case.profile.project) == [older]
    assert len(opened) == 1
    assert store.kept(night.batch) == [older]
    assert len(opened) == 1 + 201, "an older version's names do not tell the batch alone"


def test_a_note_after_one_that_was_cut_short_stands_in_a_line_of_its_own(night: Bundle) -> None:
    at = night.made_at
    store.note(Note(at=at, says="whole", written=at))
    path = places.state_dir() / "notes.jsonl"
    with path.open("ab") as file:
        file.write(b'{"at":"2026-02-08T14:21:07Z","says":"cut sh')
    store.note(Note(at=at, says="after", written=at))
    assert [n.says for n in store.notes()] == ["whole", "after"]
    with path.open("ab") as file:
        file.write(b'{"at":"2026-02-08T14:21:07","says":"of no zone","written":"2026-02-08T14:21:07"}\n')
        file.write(b'{"at":' + b"[" * 100_000 + b"\n")
    assert [n.says for n in store.notes(since=at)] == ["whole", "after"]


def test_of_endless_notes_the_newest_are_read(night: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_OF_NOTES", 500)
    for number in range(20):
        store.note(Note(at=night.made_at, says=f"{number}", written=night.made_at))
    found = [n.says for n in store.notes()]
    assert 1 < len(found) < 20 and found[-1] == "19"


def test_a_pipe_in_the_place_of_the_notes_is_not_waited_for(night: Bundle) -> None:
    places.state_dir().mkdir(parents=True)
    os.mkfifo(places.state_dir() / "notes.jsonl")
    assert store.notes() == []
    with pytest.raises(OSError):
        store.note(Note(at=night.made_at, says="x", written=night.made_at))


def test_the_answer_does_not_wait_for_a_disk_that_does_not_answer(
    night: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keeping, "LONGEST_S", 0.05)
    over = threading.Event()
    monkeypatch.setattr(store, "packed", lambda *_: over.wait(30))
    assert keeping.keep(night.case, SAID, quiet=False) == ""
    assert "did not answer" in capsys.readouterr().err
    over.set()


def test_what_keeping_says_reaches_the_person_and_what_it_breaks_does_not_the_answer(
    night: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keeping.keep(night.case, SAID, quiet=False) == store.runs()[0].name.removesuffix(".gz")
    monkeypatch.setattr(store, "LARGEST_RUN", 10)
    assert keeping.keep(night.case, SAID, quiet=False) == ""
    assert "capture --out FILE" in capsys.readouterr().err
    quiet = replace(night.case)
    monkeypatch.setenv(store.KEEP, "0")
    assert keeping.keep(quiet, SAID, quiet=False) == ""


def _raise(error: Exception) -> None:
    raise error
