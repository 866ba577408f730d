"""What a shared store has, to be read here: listed there, and each thing fetched once, since what has a name never changes.

    shared/4f2a91c07d3e/20260208T142107Z-3fa9c01bd2a4-9e107d9d372bb682.gz

The copies are a cache beside the kept runs, as large and as old as these may be. Of a store that cannot be asked they tell what was
read of it before.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from diagnostics.keep import names, store
from diagnostics.keep.bounds import MOST_BYTES
from diagnostics.keep.bundle import Note
from diagnostics.keep.names import Name
from diagnostics.keep.shared import Gone, Place, StoreError
from diagnostics.pipeline.places import state_dir
from diagnostics.shell.files import read as read_file

AT_ONCE = 8
"""Things that are fetched at the same time."""
LARGEST_NOTE = 16 * 2**10
"""Bytes."""


class Fetched(NamedTuple):
    """Something of the store that is here now, whole."""

    name: Name
    path: Path


class Shelf:
    """One store, as it is read. What goes wrong on the way is in `troubles`, and costs no more than it hides."""

    def __init__(self, named: str, place: Callable[[], Place]) -> None:
        """`place` may raise StoreError, and take its time."""
        self._place = place
        self._cache = state_dir() / "shared" / hashlib.sha256(named.encode()).hexdigest()[:12]
        self._lock = threading.Lock()
        self.named = named
        self.troubles: list[StoreError] = []
        self._missing: set[Name] = set()
        self._listed: tuple[Place | None, list[Name]] | None = None

    @property
    def missed(self) -> int:
        """How many things were wanted and are not here, however often."""
        return len(self._missing)

    def fetch(self, wanted: Callable[[list[Name]], Iterable[Name]], into: list[Fetched]) -> None:
        """Fetch of all names those that are `wanted`, in this order. They are put `into` the list as they come. Raises nothing."""
        try:
            self._fetch_all(wanted, into)
        except Exception as error:  # whatever it is, it is no empty store
            self.troubles.append(_unforeseen(error))

    def _fetch_all(self, wanted: Callable[[list[Name]], Iterable[Name]], into: list[Fetched]) -> None:
        with contextlib.suppress(OSError):
            store.tidy(self._cache)
        place, listed = self._list()
        queue = deque(wanted(listed))
        self._missing.update(queue)

        def work() -> None:
            while True:
                try:
                    name = queue.popleft()
                except IndexError:
                    return
                self._fetch(place, name, into)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(queue)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _list(self) -> tuple[Place | None, list[Name]]:
        """All that the store has, asked once."""
        if self._listed is None:
            try:
                place = self._place()
                listed = place.names()
                self.troubles += listed.troubles
                self._listed = place, listed.names
            except StoreError as error:
                self.troubles.append(error)
                self._listed = None, self._known()
            except Exception as error:
                self.troubles.append(_unforeseen(error))
                self._listed = None, self._known()
        return self._listed

    def _known(self) -> list[Name]:
        """What was fetched before."""
        with contextlib.suppress(OSError):
            kinds = {".json": (names.NOTES,), ".gz": (names.RUNS, names.BUNDLES)}
            found = [names.read(f"{k}/{p.name}") for p in self._cache.iterdir() for k in kinds.get(p.suffix, ())[:1]]
            return [name for name in found if name]
        return []

    def _fetch(self, place: Place | None, name: Name, into: list[Fetched]) -> None:
        path = self._cache / name.file
        try:
            if not _is_whole(path, name):
                if place is None:
                    return
                content = place.get(name)
                if not name.is_of(content):
                    raise StoreError(f"{name.whole} is not what its name says", alone=True)
                store.made(store.made(state_dir()) / "shared")
                store.write_once(store.made(self._cache), name.file, content)
            with self._lock:
                into.append(Fetched(name, path))
                self._missing.discard(name)
        except Gone:
            with self._lock:
                self._missing.discard(name)
        except StoreError as error:
            self.troubles.append(error)
        except OSError as error:
            self.troubles.append(StoreError(f"cannot be read here: {error.strerror or type(error).__name__}"))
        except Exception as error:
            self.troubles.append(_unforeseen(error))


def _unforeseen(error: Exception) -> StoreError:
    return StoreError(f"{type(error).__name__}: {error}")


def _is_whole(path: Path, name: Name) -> bool:
    """Whether the copy here is the thing. One that is not is taken away."""
    with contextlib.suppress(OSError):
        if name.is_of(read_file(path, MOST_BYTES)):
            return True
        path.unlink(missing_ok=True)
    return False


def note_of(one: Fetched) -> Note | None:
    """The note in a file of the store; None: it is none. Anybody may have written it."""
    try:
        said = msgspec.json.decode(read_file(one.path, LARGEST_NOTE), type=Note)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    known = said.at.tzinfo and said.written.tzinfo and len(said.says) <= store.LONGEST_NOTE
    return said if known else None
