"""A store that several machines share: a bucket of Cloud Storage, or a folder on a disk that all of them see.

Things are written there once and never over another (`ifGenerationMatch=0`; a name that is linked to a whole file), and how long they
stay is the store's own affair: a lifecycle rule of the bucket, a cron job of whoever has the disk. What is read there anybody may have
written: its name has to be one of ours, its content that which the name says, and as a bundle it offers no command but ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.keep import names, store
from diagnostics.keep.bounds import MOST_BYTES
from diagnostics.keep.names import Name
from diagnostics.keep.outbox import Outbox
from diagnostics.pipeline.names import PREFIX
from diagnostics.shell.commands import advice
from diagnostics.shell.files import read as read_file
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.objects import Content, Names
from diagnostics.transport.rpcs import GET_OBJECT, LIST_OBJECTS, PUT_OBJECT
from diagnostics.transport.session import Session

MOST_PAGES = 50
"""Of a thousand names each: so far the list of one kind is followed."""
LEFT_S = 24 * 3600.0
"""A file of a writer that was killed is taken away from a shared folder when it is so old."""
_WRITTEN = re.compile(r"\.(?P<file>.+)-[0-9a-f]{8}")
"""How a file is called while it is written."""
EXTRA = "pip install 'pubsub-diag[store]'"


class StoreError(Exception):
    """What a store cannot do: why, in words, and what would help."""

    def __init__(self, says: str, mend: str = "", alone: bool = False) -> None:
        """`alone`: it is about this one thing; the next may fare better."""
        super().__init__(says)
        self.says, self.mend, self.alone = says, mend, alone


class Gone(StoreError):
    """It is not there any more: its time was over."""


class Listed(NamedTuple):
    """The names in a store."""

    names: list[Name]
    """Of all that is ours in it, in no order."""
    troubles: tuple[StoreError, ...] = ()
    """Why there may be more: nothing is absent for not being among the names."""


class Place(Protocol):
    """A store, by what it can do. Each of these raises StoreError, and may take its time."""

    def names(self) -> Listed:
        """What it has."""

    def get(self, name: Name) -> bytes:
        """What it has under this name, whole or not."""

    def put(self, name: Name, content: bytes) -> None:
        """Nothing happens if it has it already."""


class Folder:
    """A folder that is there. It is not made: where a disk is not mounted, what is written would be on another one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> Listed:
        with self._errors():
            kinds = [kind for kind in names.KINDS if self._there(kind)]
            found = [names.read(f"{kind}/{file}") for kind in kinds for file in os.listdir(self._path / kind)]  # noqa: PTH208
        return Listed([name for name in found if name])

    def get(self, name: Name) -> bytes:
        with self._errors():
            return read_file(self._path / name.whole, MOST_BYTES)

    def put(self, name: Name, content: bytes) -> None:
        with self._errors():
            mode = stat.S_IMODE(self._path.stat().st_mode)
            folder = _made(self._path / name.kind, mode)
            temporary = folder / f".{name.file}-{secrets.token_hex(4)}"
            try:
                with temporary.open("xb") as file:
                    _readable_as(file.fileno(), mode)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                _link(temporary, folder / name.file, name)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            _without_leftovers(folder)

    def _there(self, kind: str) -> bool:
        os.stat(self._path)  # noqa: PTH116 - raises
        return (self._path / kind).is_dir()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if self._path.is_dir():
                raise Gone("it is not there any more", alone=True) from error
            raise StoreError(
                "there is no such folder", "mount it, or correct store under [keep] in the profile"
            ) from error
        except OSError as error:
            alone = error.errno in (errno.EFBIG, errno.EINVAL)
            raise StoreError(error.strerror or type(error).__name__, alone=alone) from error


def _made(folder: Path, mode: int) -> Path:
    """The folder; where it is new, for all that the store is for, whatever this user gives other folders."""
    try:
        folder.mkdir()
    except FileExistsError:
        return folder
    with contextlib.suppress(OSError):  # a disk that knows no modes
        folder.chmod(mode)
    return folder


def _readable_as(descriptor: int, mode: int) -> None:
    """Let those read the file who may read the store."""
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o600 | mode & 0o044)


def _link(temporary: Path, path: Path, name: Name) -> None:
    """Give the file its name. What has it already is the same thing, unless a writer was killed where files have one name only."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        if not name.is_of(path.read_bytes()):
            temporary.replace(path)
    except OSError as error:
        if error.errno not in store.NO_LINKS:
            raise
        temporary.replace(path)  # the same thing again, if another one was quicker


def _without_leftovers(folder: Path) -> None:
    """Take away what killed writers left, and nothing that is not called so."""
    now = time.time()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _WRITTEN.fullmatch(entry.name)
            if found and names.read(f"{folder.name}/{found['file']}"):
                with contextlib.suppress(OSError):
                    if now - entry.stat(follow_symlinks=False).st_mtime > LEFT_S:
                        Path(entry.path).unlink(missing_ok=True)


class Bucket:
    """What begins with a prefix in a bucket of Cloud Storage."""

    def __init__(self, session: Session, bucket: str, prefix: str) -> None:
        self._session = session
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def names(self) -> Listed:
        """Each kind by itself: the others are not cut short where there are too many of one."""
        lists = [self._of_kind(kind) for kind in names.KINDS]
        return Listed([n for one in lists for n in one.names], tuple(t for one in lists for t in one.troubles))

    def _of_kind(self, kind: str) -> Listed:
        found: list[Name | None] = []
        token = ""
        for _ in range(MOST_PAGES):
            with self._errors():
                asked = {"bucket": self._bucket, "prefix": f"{self._prefix}{kind}/", "page_token": token}
                page: Names = call(self._session, LIST_OBJECTS, asked)
            found += [names.read(name.removeprefix(self._prefix)) for name in page.names]
            token = page.token
            if not token:
                break
        known = [name for name in found if name]
        return Listed(known, (_cut(kind, len(found)),) if token else ())

    def get(self, name: Name) -> bytes:
        with self._errors(f"{self._prefix}{name.whole}"):
            asked = {"bucket": self._bucket, "name": f"{self._prefix}{name.whole}", "most": MOST_BYTES}
            found: Content = call(self._session, GET_OBJECT, asked)
        return found.data

    def put(self, name: Name, content: bytes) -> None:
        kind = "application/json" if name.kind == names.NOTES else "application/gzip"
        with self._errors():
            whole = {"bucket": self._bucket, "name": f"{self._prefix}{name.whole}", "data": content, "type": kind}
            call(self._session, PUT_OBJECT, whole)

    @contextlib.contextmanager
    def _errors(self, thing: str = "") -> Iterator[None]:
        try:
            yield
        except NotThere as error:
            if thing and thing in str(error):
                raise Gone("it is not there any more", alone=True) from error
            says = "there is no such bucket, or this login may not know of it"
            raise StoreError(says, "correct store under [keep] in the profile") from error
        except NotSeen as error:
            mend = error.mend
            if error.why is Why.PERMISSION_DENIED and error.permission:
                role = (
                    "roles/storage.objectCreator"
                    if error.permission == PUT_OBJECT.permission
                    else "roles/storage.objectViewer"
                )
                mend = advice("ask for {role} on gs://{bucket}", role=role, bucket=self._bucket)
            raise StoreError(error.says, mend, alone=type(error) is NotSeen and error.why is Why.FAILED) from error
        except ImportError as error:
            raise StoreError(
                "a store in Cloud Storage needs google-cloud-storage, which is not installed", EXTRA
            ) from error


def _cut(kind: str, read: int) -> StoreError:
    says = f"it has more than {read} {kind}, and the newest of them were not looked for"
    return StoreError(says, "let a lifecycle rule of the bucket delete what is old", alone=True)


def place_of(named: str, session: Callable[[], Session]) -> Place:
    """The store of this name. The session is opened for a bucket only. Raises StoreError."""
    bucket = PREFIX.fullmatch(named)
    if bucket is None:
        return Folder(Path(named))
    return Bucket(session(), bucket["bucket"], bucket["prefix"] or "")


def send(place: Place, box: Outbox, goes_on: Callable[[], bool] = lambda: True) -> list[StoreError]:
    """Send what waits for as long as `goes_on`, and give what went wrong. What fails alone is left behind, else that is the end."""
    troubles = []
    for one in box.waiting():
        if not goes_on():
            break
        try:
            content = one.content()
            if content is None:
                continue
            place.put(one.name, content)
        except StoreError as error:
            troubles.append(error)
            if not error.alone:
                break
            continue
        box.sent(one)
    return troubles
