"""A store that several machines share: nothing is lost, nothing is there twice, whatever kills, fills, forbids or stalls a writer."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.keep import names, outbox, shared, store
from diagnostics.keep.bundle import Note
from diagnostics.keep.names import Name
from diagnostics.keep.outbox import Outbox
from diagnostics.keep.shared import Bucket, Folder, Gone, Listed, StoreError, place_of, send
from diagnostics.keep.shelf import Fetched, Shelf, note_of
from diagnostics.pipeline import places
from diagnostics.transport.call import NotThere, QuotaUsedUp
from tests.children import exit_code

LONGEST_S = 60.0
AT = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)


def run(number: int, kind: str = names.RUNS) -> tuple[Name, bytes]:
    """A thing to be sent; `number` tells its second and its content."""
    content = f"run {number}".encode() * 100
    return names.of_run(kind, f"{AT + timedelta(seconds=number):{store.MOMENT}}-59e4b7604de5", content), content


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / "team").mkdir()
    return tmp_path / "team"


def there(team: Path) -> dict[str, bytes]:
    """Everything in the folder, whoever sees it."""
    return {str(p.relative_to(team)): p.read_bytes() for p in team.rglob("*") if p.is_file()}


class Fake:
    """A store that does as it is told."""

    def __init__(self, put: Callable[[Name], None] = lambda _: None) -> None:
        self.has: dict[Name, bytes] = {}
        self._put = put

    def names(self) -> Listed:
        return Listed(list(self.has))

    def get(self, name: Name) -> bytes:
        return self.has[name]

    def put(self, name: Name, content: bytes) -> None:
        self._put(name)
        self.has[name] = content


# --- names ----------------------------------------------------------------------------------------------------------------


def test_a_name_tells_what_it_is_of_and_is_read_as_it_was_made() -> None:
    name, content = run(0)
    assert name.whole.startswith("runs/20260208T142107Z-59e4b7604de5-") and name.whole.endswith(".gz")
    assert names.read(name.whole) == name
    assert name.is_of(content) and not name.is_of(content[:-1])
    assert name.moment() == AT
    said = Note(at=AT, says="sought", batch="b", written=AT)
    note = names.of_note(said, msgspec.json.encode(said))
    assert names.read(note.whole) == note and note.whose == store.of_batch("b")
    assert names.of_note(msgspec.structs.replace(said, batch=""), b"x").whose == names.NO_BATCH


def test_a_run_may_be_about_a_batch_of_its_project_only() -> None:
    whose = store.of_project("p") + store.of_batch("b")
    name = names.of_run(names.RUNS, f"20260208T142107Z-{whose}", b"x")
    assert name.may_be_about("b", "p") and name.may_be_about("b", "") and name.may_be_about("", "p")
    assert not name.may_be_about("c", "p") and not name.may_be_about("b", "q")


@pytest.mark.parametrize(
    "whole",
    [
        "runs/../../20260208T142107Z-59e4b7604de5-95bc244fa9e2ec49.gz",
        "runs/20260208T142107Z-59e4b7604de5-95bc244fa9e2ec49.gz/x",
        "runs/.20260208T142107Z-59e4b7604de5-95bc244fa9e2ec49.gz",
        "runs/20260231T142107Z-59e4b7604de5-95bc244fa9e2ec49.gz",
        "runs/20260208T142107Z-59e4b7604de5.gz",
        "runs/20260208T142107Z-59e4b760-95bc244fa9e2ec49.json",
        "notes/20260208T142107Z-59e4b7604de5-95bc244fa9e2ec49.json",
        "notes/20260208T142107Z-59e4b760-95bc244fa9e2ec49.gz",
        "other/20260208T142107Z-59e4b7604de5-95bc244fa9e2ec49.gz",
        "readme.txt",
        "",
    ],
)
def test_what_is_none_of_our_names_is_left_alone(whole: str) -> None:
    assert names.read(whole) is None


# --- what waits -----------------------------------------------------------------------------------------------------------


def test_what_waits_is_sent_newest_first_and_only_once() -> None:
    box = Outbox("gs://b")
    for number in (1, 3, 2, 3):
        box.put(*run(number))
    assert [one.name for one in box.waiting()] == [run(n)[0] for n in (3, 2, 1)]
    assert not Outbox("gs://c").waiting(), "another store's is another's"
    place = Fake()
    assert send(place, box) == []
    assert list(place.has) == [run(n)[0] for n in (3, 2, 1)]
    assert not box.waiting() and send(place, box) == [] and len(place.has) == 3


def test_a_half_written_thing_is_not_sent_and_what_another_run_sent_meanwhile_is_no_trouble() -> None:
    box = Outbox("gs://b")
    box.put(*run(1))
    box.put(*run(2))
    half, gone = box.waiting()
    half.path.write_bytes(half.path.read_bytes()[:10])
    listed = box.waiting()
    gone.path.unlink()
    assert [one.content() for one in listed] == [None, None]
    place = Fake()
    assert send(place, box) == [] and not place.has


def test_what_waits_takes_no_more_room_than_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Outbox("gs://b")
    box.put(*run(1))
    monkeypatch.setattr(store, "MOST_BYTES", 700)
    box.put(*run(2))
    assert [one.name for one in box.waiting()] == [run(2)[0]], "the newest stays"


def test_a_store_that_fails_as_a_whole_is_not_asked_again_and_one_that_refuses_one_thing_gets_the_others() -> None:
    def forbidden(_: Name) -> None:
        raise StoreError("forbidden")

    def too_large(name: Name) -> None:
        if name == run(2)[0]:
            raise StoreError("too large", alone=True)

    box = Outbox("gs://b")
    for number in (1, 2, 3):
        box.put(*run(number))
    assert [str(trouble) for trouble in send(Fake(forbidden), box)] == ["forbidden"] and len(box.waiting()) == 3
    assert [str(trouble) for trouble in send(Fake(too_large), box)] == ["too large"]
    assert [one.name for one in box.waiting()] == [run(2)[0]]
    assert send(Fake(), box) == [] and not box.waiting()


def test_what_is_large_waits_for_all_that_is_not_and_the_least_of_it_is_the_first() -> None:
    """A line on which the largest never gets through gets everything else through."""
    box, large = Outbox("gs://b"), {7: 3 * outbox.LARGE, 8: 2 * outbox.LARGE, 9: 4 * outbox.LARGE}
    for number in (9, 1, 8, 2, 7):
        name, content = run(number)
        content += b"x" * large.get(number, 0)
        box.put(names.of_run(names.RUNS, name.begin, content), content)
    assert [one.name.at for one in box.waiting()] == [run(n)[0].at for n in (2, 1, 8, 7, 9)]


def test_when_its_time_is_over_the_rest_waits() -> None:
    box, place = Outbox("gs://b"), Fake()
    for number in (1, 2, 3):
        box.put(*run(number))
    send(place, box, lambda: not place.has)
    assert list(place.has) == [run(3)[0]] and len(box.waiting()) == 2


# --- a folder -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("links", [True, False])
def test_a_folder_gets_each_thing_once_whole_and_nothing_is_written_over(
    team: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: _raise(OSError(errno.EOPNOTSUPP, "no second names here")))
    folder, (name, content) = Folder(team), run(1)
    folder.put(name, content)
    inode = (team / name.whole).stat().st_ino
    folder.put(name, content)
    assert there(team) == {name.whole: content}
    assert not links or (team / name.whole).stat().st_ino == inode
    assert folder.names() == ([name], ()) and folder.get(name) == content


def test_what_a_writer_without_links_left_half_done_becomes_whole(team: Path) -> None:
    name, content = run(1)
    (team / "runs").mkdir()
    (team / name.whole).write_bytes(content[:7])
    Folder(team).put(name, content)
    assert there(team) == {name.whole: content}


def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_store(team: Path) -> None:
    elsewhere = team / "not-mounted"
    for act in (lambda: Folder(elsewhere).put(*run(1)), lambda: Folder(elsewhere).names()):
        with pytest.raises(StoreError, match="no such folder") as failed:
            act()
        assert not failed.value.alone
    assert not elsewhere.exists()
    with pytest.raises(Gone):
        Folder(team).get(run(1)[0])


@pytest.mark.parametrize(
    ("number", "alone"), [(errno.ENOSPC, False), (errno.EROFS, False), (errno.EIO, False), (errno.EFBIG, True)]
)
def test_a_full_or_forbidden_folder_takes_nothing_half_and_the_next_run_sends_it(
    team: Path, number: int, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Outbox(str(team))
    box.put(*run(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: _raise(OSError(number, os.strerror(number))))
        (trouble,) = send(Folder(team), box)
    assert (trouble.says, trouble.alone) == (os.strerror(number), alone)
    assert there(team) == {} and len(box.waiting()) == 1
    assert send(Folder(team), box) == []
    assert there(team) == {run(1)[0].whole: run(1)[1]}


def _killed(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


STEPS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "nothing written": (Path, "open", _killed),
    "not yet on the disk": (os, "fsync", _killed),
    "whole, without its name": (os, "link", _killed),
    "named": (Path, "unlink", _killed),
    "not yet off the list": (outbox.Outbox, "sent", _killed),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_that_is_killed_leaves_nothing_half_and_the_next_one_finishes_it(
    team: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Outbox(str(team))
    box.put(*run(1))
    child = os.fork()
    if child == 0:
        owner, what, instead = STEPS[step]
        monkeypatch.setattr(owner, what, instead)
        send(Folder(team), box)
        os._exit(0)
    assert exit_code(child, LONGEST_S) == -signal.SIGKILL
    assert all(run(1)[0].is_of(content) for path, content in there(team).items() if "/." not in path)
    assert [one.name for one in box.waiting()] == [run(1)[0]], "it is taken off the list last"
    monkeypatch.setattr(shared, "LEFT_S", -1.0)
    assert send(Folder(team), box) == []
    assert there(team) == {run(1)[0].whole: run(1)[1]}


def test_what_others_put_into_the_folder_is_never_taken_away(team: Path) -> None:
    (team / "runs").mkdir()
    left, others = (
        f".{run(1)[0].file}-0123abcd",
        [".gitkeep", ".nfs000000000000001", ".a-0123abcd", f".{run(1)[0].file}"],
    )
    for file in (left, *others):
        (team / "runs" / file).write_bytes(b"")
        os.utime(team / "runs" / file, (0, 0))
    Folder(team).put(*run(2))
    assert sorted(there(team)) == sorted([run(2)[0].whole, *(f"runs/{file}" for file in others)])


@pytest.mark.parametrize(
    ("store_has", "umask", "folder_gets", "file_gets"),
    [(0o2777, 0o022, 0o2777, 0o644), (0o2770, 0o077, 0o2770, 0o640), (0o700, 0o022, 0o700, 0o600)],
)
def test_what_is_made_there_is_for_all_that_the_store_is_for(
    team: Path, store_has: int, umask: int, folder_gets: int, file_gets: int
) -> None:
    team.chmod(store_has)
    before = os.umask(umask)
    try:
        Folder(team).put(*run(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE((team / "runs").stat().st_mode) == folder_gets
    assert stat.S_IMODE((team / run(1)[0].whole).stat().st_mode) == file_gets
    (team / "runs").chmod(0o750)
    Folder(team).put(*run(2))
    assert stat.S_IMODE((team / "runs").stat().st_mode) == 0o750, "what is there is as its owner wants it"


def test_writers_at_once_lose_nothing_and_nothing_is_there_twice(team: Path) -> None:
    """Four processes, all of which send the same ten things and one of their own."""
    box, begin = Outbox(str(team)), os.pipe()
    for number in range(10):
        box.put(*run(number))
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            os.close(begin[1])
            os.read(begin[0], 1)
            box.put(*run(100 + number))
            os._exit(1 if send(Folder(team), box) else 0)
        children.append(child)
    os.close(begin[1])
    assert [exit_code(child, LONGEST_S) for child in children] == [0] * 4
    assert there(team) == {name.whole: content for name, content in map(run, [*range(10), *range(100, 104)])}
    assert not box.waiting()


# --- what others sent -----------------------------------------------------------------------------------------------------


def everything(listed: list[Name]) -> list[Name]:
    return listed


def test_a_thing_is_fetched_once_and_then_read_here() -> None:
    place = Fake()
    place.put(*run(1))
    found: list[Fetched] = []
    Shelf("s", lambda: place).fetch(everything, found)
    assert [one.path.read_bytes() for one in found] == [run(1)[1]]
    place.get = lambda name: pytest.fail(f"{name} is here already")  # type: ignore[method-assign]
    again: list[Fetched] = []
    Shelf("s", lambda: place).fetch(everything, again)
    assert again == found


def test_of_a_store_that_cannot_be_asked_is_read_what_was_read_before() -> None:
    place, found = Fake(), list[Fetched]()
    place.put(*run(1))
    Shelf("s", lambda: place).fetch(everything, found)
    silent = Shelf("s", lambda: _raise(StoreError("nobody answers")))
    known: list[Fetched] = []
    silent.fetch(everything, known)
    assert known == found and [str(t) for t in silent.troubles] == ["nobody answers"]


def test_what_is_not_what_its_name_says_is_not_read_and_said() -> None:
    place, (name, _) = Fake(), run(1)
    place.has = {name: b"somebody else's", run(2)[0]: run(2)[1]}
    shelf, found = Shelf("s", lambda: place), list[Fetched]()
    shelf.fetch(everything, found)
    assert [one.name for one in found] == [run(2)[0]]
    assert [t.says for t in shelf.troubles] == [f"{name.whole} is not what its name says"] and shelf.missed == 1


def test_what_breaks_unforeseen_is_no_empty_store() -> None:
    place, found = Fake(), list[Fetched]()
    place.put(*run(1))
    Shelf("s", lambda: place).fetch(everything, found)
    place.put(*run(2))
    place.get = lambda _: _raise(ValueError("a fault of ours"))  # type: ignore[method-assign,assignment]
    for broken, wanted, missed in (
        (lambda: _raise(ValueError("a fault of ours")), everything, 0),
        (lambda: place, everything, 1),
        (lambda: place, lambda _: _raise(ValueError("a fault of ours")), 0),
    ):
        shelf, known = Shelf("s", broken), list[Fetched]()
        shelf.fetch(wanted, known)
        assert [t.says for t in shelf.troubles] == ["ValueError: a fault of ours"] and shelf.missed == missed
        assert known == (found if wanted is everything else [])


def test_a_copy_that_was_damaged_here_is_fetched_anew() -> None:
    place, found = Fake(), list[Fetched]()
    place.put(*run(1))
    Shelf("s", lambda: place).fetch(everything, found)
    found[0].path.write_bytes(b"")
    again: list[Fetched] = []
    Shelf("s", lambda: place).fetch(everything, again)
    assert again[0].path.read_bytes() == run(1)[1]


def test_what_the_lifecycle_took_away_since_it_was_listed_is_not_missing() -> None:
    place = Fake()
    place.put(*run(1))
    place.get = lambda name: _raise(Gone(name.whole, alone=True))  # type: ignore[method-assign]
    shelf, found = Shelf("s", lambda: place), list[Fetched]()
    shelf.fetch(everything, found)
    assert (found, shelf.troubles, shelf.missed) == ([], [], 0)


@pytest.mark.parametrize(
    "content",
    [
        b"rubbish",
        b"[" * 100_000,
        b'{"at":"2026-02-08T14:21:07","says":"of no zone","written":"2026-02-08T14:21:07"}',
        b'{"at":"2026-02-08T14:21:07Z","says":"' + b"x" * 3000 + b'","written":"2026-02-08T14:21:07Z"}',
        b'{"at":"2026-02-08T14:21:07Z","says":"' + b"x" * 30000 + b'","written":"2026-02-08T14:21:07Z"}',
    ],
)
def test_a_note_that_is_none_is_passed_over(tmp_path: Path, content: bytes) -> None:
    said = Note(at=AT, says="whole", written=AT)
    for one in (msgspec.json.encode(said), content):
        (tmp_path / "note").write_bytes(one)
        assert note_of(Fetched(names.of_note(said, one), tmp_path / "note")) == (said if one is not content else None)


# --- a bucket -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "says", "mend", "alone"),
    [
        (NotThere("The specified bucket does not exist."), "there is no such bucket", "[keep]", False),
        (
            NotSeen(Why.PERMISSION_DENIED, "storage.objects.create is missing", "storage.objects.create"),
            "storage.objects.create is missing",
            "ask for roles/storage.objectCreator on gs://team",
            False,
        ),
        (NotSeen(Why.UNREACHABLE, "cannot be reached", mend="check the network"), "cannot", "check the network", False),
        (QuotaUsedUp(Why.FAILED, "a quota is used up"), "a quota is used up", "", False),
        (NotSeen(Why.FAILED, "refused the question"), "refused the question", "", True),
        (ImportError("google"), "needs google-cloud-storage", "pip install 'pubsub-diag[store]'", False),
    ],
)
def test_what_a_bucket_says_is_told_with_what_would_help(
    error: Exception, says: str, mend: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "call", lambda *_: _raise(error))
    with pytest.raises(StoreError, match=says) as failed:
        Bucket(None, "team", "x").put(*run(1))  # type: ignore[arg-type]
    assert mend in failed.value.mend and failed.value.alone is alone


@pytest.mark.parametrize(
    ("named", "bucket", "prefix"),
    [
        ("gs://team-evidence", "team-evidence", ""),
        ("gs://team-evidence/", "team-evidence", ""),
        ("gs://team-evidence/a/b", "team-evidence", "a/b/"),
        ("gs://team-evidence/a/b//", "team-evidence", "a/b/"),
    ],
)
def test_a_store_in_a_bucket_goes_by_its_prefix(named: str, bucket: str, prefix: str) -> None:
    place = place_of(named, lambda: None)  # type: ignore[arg-type,return-value]
    assert isinstance(place, Bucket) and (place._bucket, place._prefix) == (bucket, prefix)


def test_a_folder_needs_no_login() -> None:
    assert isinstance(place_of("/mnt/team", lambda: pytest.fail("nobody asked")), Folder)


def test_without_a_home_nothing_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(places.STATE, str(tmp_path / "file"))
    assert Outbox("gs://b").waiting() == []
    with pytest.raises(OSError):
        Outbox("gs://b").put(*run(1))


def test_what_was_fetched_by_many_is_one_copy() -> None:
    place = Fake()
    place.put(*run(1))
    found: list[Fetched] = []
    shelves = [threading.Thread(target=Shelf("s", lambda: place).fetch, args=(everything, found)) for _ in range(4)]
    for thread in shelves:
        thread.start()
    for thread in shelves:
        thread.join()
    assert len({one.path for one in found}) == 1 and found[0].path.read_bytes() == run(1)[1]


def _raise(error: Exception) -> NoReturn:
    raise error
