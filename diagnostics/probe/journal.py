"""The journal: what a probe is about to change, on disk before it is changed, so that whoever comes next can put it back."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from diagnostics.evidence.model import Leg
from diagnostics.pipeline.places import state_dir
from diagnostics.probe.push_config import Saved

ALONE_S = 10.0
"""Reading the journals and writing one takes milliseconds."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Mode(StrEnum):
    SNAPSHOT = "snapshot"
    SWITCH = "switch"


class Phase(StrEnum):
    """How far a probe may have come."""

    PREPARED = "prepared"
    """Nothing was changed yet."""
    CHANGING = "changing"
    """From the moment before the first change on, until all is put back and checked."""


class Entry(Struct, frozen=True, kw_only=True):
    """One probe. The same goes to disk and, without what may be secret, to Cloud Logging."""

    run: str
    """Eight hex characters; in the names and labels of whatever the probe makes."""
    mode: Mode
    leg: Leg
    phase: Phase = Phase.PREPARED
    subscription: str
    """projects/P/subscriptions/S: what is looked at."""
    temporary: str = ""
    """Full name of the temporary subscription (snapshot mode)."""
    snapshot: str = ""
    """Full name of the snapshot (snapshot mode)."""
    push: Saved | None = None
    """The push config to put back (switch mode)."""
    marked: bool = True
    """False: the labels could not be set, and it was gone on by force; pull mode without a label is then taken for this probe's."""
    started: datetime
    until: datetime
    """When the probe is over at the latest."""
    by: str = ""
    """Who started it, as the credentials tell; people are redacted."""
    host: str = ""
    pid: int = 0
    born: str = ""
    """When that process began, in the kernel's own count: a pid alone may be used again."""
    boot: str = ""
    """Which start of its machine that was: two machines may have one name, and after a new start all of their processes are gone."""
    world: str = ""
    """The lab's endpoint; empty: Google."""

    @property
    def project(self) -> str:
        return self.subscription.split("/")[1]


def new_run() -> str:
    return secrets.token_hex(4)


def this_process() -> dict[str, str | int]:
    """host, pid, born and boot of an entry."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid()), "boot": _boot()}


class JournalError(OSError):
    """The journal cannot be kept: its text says where and why."""

    def __init__(self, folder: Path, why: OSError) -> None:
        super().__init__(why.errno, f"the journal of probes cannot be kept in {folder}: {why.strerror}")

    def __str__(self) -> str:
        return str(self.strerror)


class Journal:
    """The entries of this machine: one file each, readable by their owner alone."""

    def __init__(self, folder: Path | None = None) -> None:
        self._state = folder

    @property
    def folder(self) -> Path:
        """Raises NoHomeError, an OSError, where nobody named a place and this user has none."""
        return (self._state or state_dir()) / "probes"

    def path(self, run: str) -> Path:
        return self.folder / f"{run}.json"

    def write(self, entry: Entry) -> None:
        """On disk when this returns, whole: file and folder are synced. Raises OSError; what was there before then stays."""
        target = self.path(entry.run)
        draft = target.with_suffix(".new")
        try:
            self._made()
            self._draft(draft, msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n")
            draft.replace(target)
            self._sync()
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise JournalError(self.folder, error) from error

    def _made(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _draft(self, path: Path, text: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            while text:  # a disk that fills up takes a part first, and refuses only what comes after it
                text = text[os.write(descriptor, text) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, run: str) -> None:
        with suppress(FileNotFoundError):
            self.path(run).unlink()
            self._sync()

    def read(self, run: str) -> Entry | None:
        """None when there is none. Raises ValueError when it is damaged, OSError when it cannot be read."""
        try:
            text = self.path(run).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(text, type=Entry)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{self.path(run)} is damaged: {error}") from error

    def entries(self, world: str) -> tuple[list[Entry], list[str]]:
        """(the entries of that world, oldest first; what cannot be read)."""
        found, damaged = [], []
        try:
            files = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
        except OSError as error:
            return [], [f"journals of this machine: {error.strerror or error}"]
        for file in files:
            try:
                entry = self.read(file.stem)
            except (ValueError, OSError) as error:
                damaged.append(str(error))
                continue
            if entry is not None and entry.world == world:
                found.append(entry)
        return sorted(found, key=lambda e: e.started), damaged

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one process of this machine at a time: between looking for other probes and writing one's own entry. Raises JournalError,
        and TimeoutError where another one holds on to that, as one that is stopped does."""
        import fcntl

        folder = self.folder
        try:
            self._made()
            opened = (folder / "lock").open("w")
        except OSError as error:
            raise JournalError(folder, error) from error
        with opened as lock:
            ends = time.monotonic() + ALONE_S
            while not _taken(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                if time.monotonic() > ends:
                    raise TimeoutError("another probe of this machine has been beginning for long: nothing was done")
                time.sleep(0.05)
            yield

    def _sync(self) -> None:
        """A name is on disk only when its folder is."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def running(entry: Entry, now: datetime) -> bool:
    """Whether the probe may still be at work: its process lives, or it is another machine's and its time is not over."""
    if entry.host != socket.gethostname():
        return now < entry.until
    if entry.boot and entry.boot != _boot():
        return False
    try:
        os.kill(entry.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _born(entry.pid) == entry.born


def _taken(take: Callable[[], None]) -> bool:
    try:
        take()
    except BlockingIOError:
        return False
    return True


def here(entry: Entry) -> bool:
    """Whether it is a probe of this machine, as it runs now."""
    return entry.host == socket.gethostname() and entry.boot in ("", _boot())


def _boot() -> str:
    """The id of this start of the machine (proc(5), random/boot_id); empty where there is no /proc."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


def state_of(pid: int) -> str:
    """State of a process as proc(5) writes it: R, S, T, Z; empty where there is no /proc, or no such process."""
    return (_stat(pid) or [""])[0]


def _born(pid: int) -> str:
    """Start time of a process in clock ticks since boot (proc(5), field 22); empty where there is no /proc, "dead" for a zombie."""
    fields = _stat(pid)
    return "" if not fields else "dead" if fields[0] == "Z" else fields[19]


def _stat(pid: int) -> list[str]:
    """From the state (field 3) on: the name before it may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
