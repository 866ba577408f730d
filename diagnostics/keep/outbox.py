"""What is yet to be sent to a shared store: it waits in the state directory until it is known to be there.

    outbox/4f2a91c07d3e/runs/20260208T142107Z-3fa9c01bd2a4-9e107d9d372bb682.gz

A folder for each store, a copy of the thing under the name that it gets there. It is written before anything is sent and taken away when
the store has it, so that whatever kills a run between the two, the next one sends it; and since its name tells its content, sending it
twice does nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import NamedTuple

from diagnostics.keep import names, store
from diagnostics.keep.bounds import MOST_BYTES
from diagnostics.keep.names import Name
from diagnostics.pipeline.places import state_dir
from diagnostics.shell.files import read as read_file

LARGE = 2**20
"""Bytes. What is larger goes last, the smallest of it first: on a slow line one such takes all the time that there is, each time anew."""


class Waiting(NamedTuple):
    """Something that is to be sent."""

    name: Name
    path: Path
    size: int = 0
    """In bytes."""

    def content(self) -> bytes | None:
        """None: another run has sent it, or it is not whole. Raises OSError."""
        try:
            content = read_file(self.path, MOST_BYTES)
        except FileNotFoundError:
            return None
        return content if self.name.is_of(content) else None


class Outbox:
    """What is to be sent to one store."""

    def __init__(self, place: str) -> None:
        """`place`: the store, as the profile names it; what is of the lab goes by another name than what is of Google."""
        self._key = hashlib.sha256(place.encode()).hexdigest()[:12]

    def put(self, name: Name, content: bytes) -> None:
        """Let it wait there. Raises OSError."""
        folder = store.made(store.made(store.made(store.made(state_dir()) / "outbox") / self._key) / name.kind)
        store.write_once(folder, name.file, content)
        with contextlib.suppress(OSError):
            store.tidy(folder, keep=folder / name.file)

    def waiting(self) -> list[Waiting]:
        """All of it, the newest first, since that is what somebody is waiting for; what is large last. Raises OSError where there is one
        that cannot be read."""
        found = []
        for kind in names.KINDS:
            folder = state_dir() / "outbox" / self._key / kind
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                found += [
                    Waiting(name, path, _size(path))
                    for path in folder.iterdir()
                    if (name := names.read(f"{kind}/{path.name}"))
                ]
        return sorted(found, key=lambda one: (-max(one.size, LARGE), one.name.at, one.name.whole), reverse=True)

    def sent(self, one: Waiting) -> None:
        """The store has it. Another run may have said so already."""
        with contextlib.suppress(OSError):
            one.path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Another run may have sent it by now."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
