"""Where the runbooks and scenarios are: inside the installed package, or at the top of a checkout."""

from __future__ import annotations

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


def state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where kept runs, notes and the probe's journal are: PUBSUB_DIAG_STATE_DIR, else pubsub-diag in the XDG state home."""
    environ = os.environ if environ is None else environ
    if environ.get(STATE):
        return Path(environ[STATE])
    home = environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "pubsub-diag"
