"""Files that a user names, read at once and up to a size: what is no file, such as a pipe to which nobody writes, would never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MIB = 2**20
MOST_TEXT = 4 * MIB
"""Of a profile, a scenario or a list of settings."""
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnfitFileError(OSError):
    """What cannot be read as a file: `strerror` says why."""


def read(path: Path, most: int) -> bytes:
    """All of a regular file, wherever links lead to it. Raises OSError; UnfitFileError for what is no file, or larger than `most` bytes."""
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
        )
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise _unfit(path, _no_file("a socket or a device")) from error
        raise
    except ValueError as error:
        raise _unfit(path, "it is no name of a file") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _unfit(path, _no_file(next((kind for is_it, kind in _KINDS if is_it(mode)), "something else")))
        content = file.read(most + 1)
    if len(content) > most:
        raise _unfit(path, f"it is larger than {most // MIB} MiB")
    return content


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Likewise, as UTF-8. Raises UnicodeDecodeError, too."""
    return read(path, most).decode("utf-8")


def is_there(path: Path) -> bool:
    """Whether there is something of this name. A name that no system takes is nowhere."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path) or 0)


def is_dir(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path) or 0)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return None


def _no_file(kind: str) -> str:
    return f"it is {kind}, where a file was expected" + (
        "; write what comes out of it to one" if kind == "a pipe" else ""
    )


def _unfit(path: Path, says: str) -> UnfitFileError:
    return UnfitFileError(errno.EINVAL, says, str(path))
