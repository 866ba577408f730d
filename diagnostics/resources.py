"""Where the runbooks and scenarios are: inside the installed package, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `runbooks` or `scenarios`. It need not exist: an empty answer is the caller's to explain."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def runbooks() -> Path:
    return folder("runbooks")


def scenarios() -> Path:
    return folder("scenarios")
