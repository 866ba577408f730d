"""Where the runbooks and scenarios are, inside the installed package or at the top of a checkout; and where state is kept."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def folder(name: str) -> Path:
    """The folder `runbooks` or `scenarios`. It need not exist: an empty answer is the caller's to explain."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def runbooks() -> Path:
    return folder("runbooks")


def scenarios() -> Path:
    return folder("scenarios")


STATE = "PUBSUB_DIAG_STATE_DIR"


class NoHomeError(FileNotFoundError):
    """Nothing names a home directory: neither the environment nor the system's list of users, as in a container for any user."""

    def __init__(self) -> None:
        super().__init__(errno.ENOENT, f"this user has no home directory, and neither HOME nor {STATE} names one")

    def __str__(self) -> str:
        return str(self.strerror)


def state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where kept runs, notes and the probe's journal are: PUBSUB_DIAG_STATE_DIR, else pubsub-diag in the XDG state home.

    Raises NoHomeError.
    """
    environ = os.environ if environ is None else environ
    if environ.get(STATE):
        return Path(environ[STATE])
    home = environ.get("XDG_STATE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".local" / "state") / "pubsub-diag"
    except RuntimeError as error:
        raise NoHomeError from error
