"""Where runs and notes are kept: the user's state directory, readable by nobody else, and never more than it may hold.

    runs/20260208T142107Z-3fa9c01b.gz    a bundle: when it looked, and a digest of project and batch
    notes.jsonl                          a note a line

The directory is `state_dir`. Nobody has to tidy up: what is old goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from diagnostics.conclude.diagnosis import Diagnosis
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
BEFORE = timedelta(hours=1)
"""Notes so long before a run's window belong to it, too."""


class NotKept(Exception):
    """A run that was not kept, with the reason. No run fails for it."""


def wanted(case: Case) -> bool:
    """Whether runs are to be kept at all."""
    return case.profile.keep_runs and os.environ.get(KEEP, "1").strip().lower() not in ("0", "no", "off", "false")


def keep(case: Case, diagnosis: Diagnosis | None) -> str:
    """Save a run and give its name, by which `find` knows it. Raises NotKept."""
    try:
        packed = dump(case, diagnosis, tuple(notes_of(case, diagnosis)))
        if len(packed) > LARGEST_RUN:
            raise NotKept(f"it takes {len(packed) / 2**20:.0f} MiB; pubsub-diag capture --out FILE takes it")
        folder = _folder()
        digest = _digest(case.profile.project, batch_of(case, diagnosis))
        name = f"{case.evidence.looked_at:%Y%m%dT%H%M%SZ}-{digest}"
        path = _written(folder, name, packed)
        _tidy(folder, keep=path)
    except OSError as error:
        raise NotKept(error.strerror or type(error).__name__) from error
    except (msgspec.MsgspecError, RuntimeError) as error:  # RuntimeError: no home directory
        raise NotKept(f"{type(error).__name__}: {error}") from error
    return path.name.removesuffix(".gz")


def kept(batch: str, project: str = "") -> list[Path]:
    """Every kept run about this batch, oldest first; of any project unless one is named. Runs that cannot be read are left out."""
    digest = _digest(project, batch) if project else ""
    return [p for p in runs() if digest in p.name and (run := _readable(p)) and run.batch == batch]


def find(name: str) -> Path | None:
    """A kept run by its name or by how it begins: the newest of these."""
    exact = state_dir() / "runs" / f"{name}.gz"
    begin_so = [path for path in runs() if name and path.name.startswith(name)]
    return exact if exact in begin_so else max(begin_so, default=None)


def runs() -> list[Path]:
    """Every kept run, oldest first."""
    return sorted(path for path in (state_dir() / "runs").glob("*.gz") if not path.name.startswith("."))


def note(said: Note) -> None:
    """Write a note down. Raises OSError."""
    folder = _made(state_dir())
    line = msgspec.json.encode(said) + b"\n"
    descriptor = os.open(folder / "notes.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def notes(since: datetime | None = None, until: datetime | None = None) -> list[Note]:
    """Notes about the time from `since` to `until`, in its order. Lines that are none are left out."""
    found = []
    with contextlib.suppress(OSError):
        for line in (state_dir() / "notes.jsonl").read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                found.append(msgspec.json.decode(line, type=Note))
    return sorted(
        (n for n in found if (since is None or n.at >= since) and (until is None or n.at <= until)), key=lambda n: n.at
    )


def notes_of(case: Case, diagnosis: Diagnosis | None) -> Iterator[Note]:
    """The notes that belong to a case: about its batch, or about no batch in particular and in its window."""
    batch = batch_of(case, diagnosis)
    for said in notes():
        if said.batch == batch or (
            not said.batch and case.evidence.since - BEFORE <= said.at <= case.evidence.looked_at
        ):
            yield said


def _folder() -> Path:
    return _made(_made(state_dir()) / "runs")


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _readable(path: Path) -> Bundle | None:
    try:
        return load(path)
    except BundleError:
        return None


def _written(folder: Path, name: str, packed: bytes) -> Path:
    """A new file, whole or not at all, and never over another: a second run in the same second gets a number."""
    temporary = folder / f".{name}-{secrets.token_hex(4)}"
    write_private(temporary, packed)
    try:
        for number in range(1, 100):
            path = folder / (f"{name}.gz" if number == 1 else f"{name}-{number}.gz")
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
                return path
        raise NotKept("there are too many runs of this second")
    finally:
        temporary.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """A new file that only its owner may read. Raises FileExistsError, and OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _tidy(folder: Path, keep: Path) -> None:
    """Let go of what is too old, then of the oldest until the rest fits. Another run may tidy at the same time."""
    found = []
    for path in (*folder.glob("*.gz"), *folder.glob(".*")):
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in found)
    for modified, size, path in sorted(found):
        if path != keep and (total > MOST_BYTES or time.time() - modified > OLDEST.total_seconds()):
            path.unlink(missing_ok=True)
            total -= size


def _digest(project: str, batch: str) -> str:
    return hashlib.sha256(f"{project}\0{batch}".encode()).hexdigest()[:8]
