"""Where runs and notes are kept: the user's state directory, readable by nobody else, and never more than it may hold.

    runs/20260208T142107Z-3fa9c01bd2a4.gz    a bundle: when it looked, and a digest of project (four characters) and batch
    notes.jsonl                              a note a line

The directory is `state_dir`. Nobody has to tidy up: what is old goes first. A run is written under another name, one with a dot, and
gets its own when it is whole; its writer holds a lock on it for as long as it lives, so that what a killed one has left is known as such.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.redaction import cleaner
from diagnostics.keep.bounds import TooMuchError
from diagnostics.keep.bundle import Bundle, BundleError, Note, batch_of, dump, load
from diagnostics.pipeline.places import state_dir
from diagnostics.run.investigate import Case

KEEP = "PUBSUB_DIAG_KEEP_RUNS"
"""0 (or no, off, false) in the environment: no run is kept."""
OLDEST = timedelta(days=90)
"""Runs are kept so long: the postmortem is written days later, and whether it came back is asked weeks later."""
MOST_BYTES = 64 * 2**20
"""All runs together."""
LARGEST_RUN = 8 * 2**20
"""One run; what is larger is for `capture`."""
LONGEST_NOTE = 2000
"""Characters."""
MOST_OF_NOTES = 8 * 2**20
"""Bytes of the notes that are read: the newest."""
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.EACCES)
"""What a file system says that gives no file a second name."""
FULL = (errno.ENOSPC, errno.EDQUOT)
NAME = re.compile(r"(\d{8}T\d{6}Z-[0-9a-f]+)(?:-(\d+))?")
MOST_OF_A_SECOND = 100
"""Runs about one batch that looked in the same second."""
MOMENT_S = 10.0
"""A file that was written to so short a time ago is left to its writer."""
MOMENT = "%Y%m%dT%H%M%SZ"
"""How a moment is written at the begin of a name."""
OLDER = 8
"""Characters of the digest in an older version's name of a run."""
BEFORE = timedelta(hours=1)
"""Notes so long before a run's window belong to it, too."""


class NotKept(Exception):
    """A run that was not kept, with the reason. No run fails for it."""


def wanted(case: Case) -> bool:
    """Whether runs are to be kept at all."""
    return case.profile.keep_runs and os.environ.get(KEEP, "1").strip().lower() not in ("0", "no", "off", "false")


class Packed(NamedTuple):
    """A run as it is kept."""

    stem: str
    """When it looked, and whose it is: the begin of its name, wherever it is kept."""
    content: bytes


def keep(case: Case, diagnosis: Diagnosis | None) -> str:
    """Save a run and give its name, by which `find` knows it. Raises NotKept."""
    return save(packed(case, diagnosis))


def packed(case: Case, diagnosis: Diagnosis | None) -> Packed:
    """A run as it is to be saved. Raises NotKept."""
    try:
        content = dump(case, diagnosis, tuple(notes_of(case, diagnosis)))
    except TooMuchError as error:
        raise NotKept(f"it {error}") from error
    except msgspec.MsgspecError as error:
        raise NotKept(f"{type(error).__name__}: {error}") from error
    if len(content) > LARGEST_RUN:
        raise NotKept(f"it takes {len(content) / 2**20:.0f} MiB; pubsub-diag capture --out FILE takes it")
    return Packed(stem_of(case, diagnosis), content)


def save(run: Packed) -> str:
    """Save it in the state directory and give its name there. Raises NotKept."""
    try:
        folder = _folder()
        try:
            path = _written(folder, run.stem, run.content)
        except OSError as error:
            if error.errno not in FULL:
                raise
            tidy(folder)
            path = _written(folder, run.stem, run.content)
    except OSError as error:
        raise NotKept(error.strerror or type(error).__name__) from error
    with contextlib.suppress(OSError):
        tidy(folder, keep=path)
    return path.name.removesuffix(".gz")


def stem_of(case: Case, diagnosis: Diagnosis | None) -> str:
    whose = of_project(case.profile.project) + of_batch(batch_of(case, diagnosis))
    return f"{case.evidence.looked_at:{MOMENT}}-{whose}"


def kept(batch: str, project: str = "") -> list[Path]:
    """Every kept run about this batch, oldest first; of any project unless one is named. Runs that cannot be read are left out."""
    return [
        path
        for path in runs()
        if may_be_about(path.name, batch, project)
        and (run := _readable(path))
        and run.batch == batch
        and project in ("", run.case.profile.project)
    ]


LAST = "last"
"""Instead of the name of a run: the newest of all."""


def find(name: str) -> Path | None:
    """A kept run by its name or by how it begins: the newest of these."""
    if name == LAST:
        return max(runs(), default=None, key=lambda path: (path.name.partition("-")[0], _written_at(path)))
    begin_so = [path for path in runs() if name and path.name.startswith(name)]
    exact = [path for path in begin_so if path.name == f"{name}.gz"]
    return max(exact or begin_so, default=None, key=lambda path: in_order(path.name))


def _written_at(path: Path) -> int:
    """When it was written, in nanoseconds: of runs that looked in one second, about several batches, that tells the last."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def runs() -> list[Path]:
    """Every kept run, oldest first. Raises OSError where there is a folder of them that cannot be read."""
    try:
        folder = state_dir() / "runs"
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".gz") and not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names, key=in_order)]


def is_here(path: Path) -> bool:
    """Whether it is a run that this user kept: nobody else writes to that folder."""
    return path.parent == state_dir() / "runs"


def in_order(name: str) -> tuple[str, int, str]:
    """By when it looked, and the second of a second after the first."""
    found = NAME.match(name)
    return (found.group(1), int(found.group(2) or 1), name) if found else (name, 0, name)


def note(said: Note) -> None:
    """Write a note down, in a line of its own also after one that was cut short. Raises OSError."""
    folder = made(state_dir())
    line = msgspec.json.encode(said) + b"\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK  # a pipe of that name must not be waited for
    descriptor = os.open(folder / "notes.jsonl", flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "notes.jsonl is no file")
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def notes(since: datetime | None = None, until: datetime | None = None) -> list[Note]:
    """Notes about the time from `since` to `until`, in its order. Lines that are none are left out."""
    found = []
    for line in _lines_of_notes():
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = msgspec.json.decode(line, type=Note)
            if said.at.tzinfo and said.written.tzinfo:
                found.append(said)
    return sorted(
        (n for n in found if (since is None or n.at >= since) and (until is None or n.at <= until)), key=lambda n: n.at
    )


def notes_of(case: Case, diagnosis: Diagnosis | None) -> Iterator[Note]:
    """The notes that belong to a case: about its batch, or about no batch in particular and in its window. They are redacted as its
    evidence is: a note may be of a time when no profile was named."""
    batch, cleaned = batch_of(case, diagnosis), cleaner(case.redacts)
    for said in notes():
        if cleaned(said.batch) == batch or (
            not said.batch and case.evidence.since - BEFORE <= said.at <= case.evidence.looked_at
        ):
            yield cleaned(said)


def _lines_of_notes() -> list[bytes]:
    with contextlib.suppress(OSError):
        path = state_dir() / "notes.jsonl"
        if path.is_file():
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - MOST_OF_NOTES, 0))
                return file.read(MOST_OF_NOTES).splitlines()
    return []


def _folder() -> Path:
    folder = made(made(state_dir()) / "runs")
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise NotKept(f"{folder} belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def made(folder: Path) -> Path:
    """A folder for nobody else. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def may_be_about(name: str, batch: str, project: str) -> bool:
    """By its name alone: of thousands few are opened. An older version's name is a digest of both together."""
    whose = name.partition("-")[2].partition(".")[0].partition("-")[0]
    if len(whose) == OLDER:
        return not project or whose == hashlib.sha256(f"{project}\0{batch}".encode()).hexdigest()[:OLDER]
    return whose.endswith(of_batch(batch)) and whose.startswith(of_project(project) if project else "")


def _readable(path: Path) -> Bundle | None:
    try:
        return load(path, ours=True)
    except BundleError:
        return None


def _written(folder: Path, name: str, packed: bytes) -> Path:
    """A new file, whole or not at all, and never over another: a second run in the same second gets a number."""
    temporary = folder / f".{name}-{secrets.token_hex(4)}"
    try:
        with _writing(temporary, packed):
            for number in range(1, MOST_OF_A_SECOND):
                path = folder / (f"{name}.gz" if number == 1 else f"{name}-{number}.gz")
                if _named(temporary, path):
                    return path
        raise NotKept("there are too many runs of this second")
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(path: Path, content: bytes) -> Iterator[None]:
    """A new private file with this content, on disk; while it is entered, others know by its lock that its writer lives."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        _locked(file.fileno())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        yield


def _named(temporary: Path, path: Path) -> bool:
    """Give the file its name. False: another one has it. Raises OSError."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _renamed(temporary, path)
    return True


def _renamed(temporary: Path, path: Path) -> bool:
    """The same where a file has one name only: the name is taken by an empty file first, so that no other run is written over."""
    try:
        write_private(path, b"")
    except FileExistsError:
        return False
    temporary.replace(path)
    return True


def _locked(descriptor: int) -> bool:
    """Whether its lock is ours now. True as well where the file system knows no locks."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def write_once(folder: Path, name: str, content: bytes) -> bool:
    """A new private file of this name, whole or not at all. False: there is one. Raises OSError."""
    temporary = folder / f".{name}-{secrets.token_hex(4)}"
    try:
        with _writing(temporary, content):
            return _named(temporary, folder / name)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """A new file that only its owner may read. Raises FileExistsError, and OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


class _Found(NamedTuple):
    """A file beside the others, as the tidying sees it."""

    modified: float
    """0 where the time is yet to come: a clock was wrong, and nobody knows how old it is. It goes first when there is no room, and never
    for its age."""
    name: str
    size: int
    is_left: bool
    """It is not, and will not become, a run."""

    def goes(self, now: float, too_much: bool) -> bool:
        if self.is_left or self.name.startswith("."):
            return self.is_left
        return too_much or 0 < self.modified < now - OLDEST.total_seconds()


def tidy(folder: Path, keep: Path | None = None) -> None:
    """Let go of what killed writers left, then of what is too old, then of the oldest until the rest fits. Another run may tidy at the
    same time."""
    now, found = time.time(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                is_file, status = entry.is_file(follow_symlinks=False), entry.stat(follow_symlinks=False)
                if is_file and (entry.name.endswith((".gz", ".json")) or entry.name.startswith(".")):
                    left = _is_left(entry, status, now)
                    known = status.st_mtime if status.st_mtime <= now + MOMENT_S else 0.0
                    found.append(_Found(known, entry.name, status.st_size, left))
    total, kept = sum(one.size for one in found), keep.name if keep else ""
    for one in sorted(found, key=lambda one: (not one.is_left, one.modified, in_order(one.name))):
        if one.name != kept and one.goes(now, total > MOST_BYTES):
            with contextlib.suppress(OSError):
                (folder / one.name).unlink(missing_ok=True)
                total -= one.size


def _is_left(entry: os.DirEntry[str], status: os.stat_result, now: float) -> bool:
    """Whether a writer was killed over it: nobody holds its lock, and it is not of this moment, where the lock may not be taken yet. An
    empty run is the name that was taken for one."""
    if now - status.st_mtime < MOMENT_S and status.st_mtime <= now + MOMENT_S:
        return False
    if not entry.name.startswith("."):
        return not status.st_size
    try:
        descriptor = os.open(entry.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return _locked(descriptor)
    finally:
        os.close(descriptor)


def of_project(project: str) -> str:
    """A digest of a project, as names of runs have it."""
    return hashlib.sha256(project.encode()).hexdigest()[:4]


def of_batch(batch: str) -> str:
    """A digest of a batch, likewise."""
    return hashlib.sha256(batch.encode()).hexdigest()[:8]
