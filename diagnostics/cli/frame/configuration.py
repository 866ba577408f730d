"""Where defaults come from. Flags win, then the environment (PUBSUB_DIAG_…), then these files, the first that says it:

    FILE of --profile FILE                 a profile; its table [settings] holds defaults of options
    ./pubsub-diag.toml                     the same
    ./pyproject.toml                       the same under [tool.pubsub-diag]
    ~/.config/pubsub-diag/config.toml      the same, for all of a user's folders (XDG_CONFIG_HOME is respected)

A pipeline is described by one file as a whole, or named by the setting `profile`; descriptions are not merged.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import typer

from diagnostics.cli.frame.options import PLAIN, FailOn
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.shell.files import read_text

HERE = Path("pubsub-diag.toml")
PROJECT = Path("pyproject.toml")
SETTINGS = "settings"
PROFILE = "profile"


class Setting(NamedTuple):
    """One key of a [settings] table."""

    expected: str
    fits: Callable[[Any], bool]


def _words(*words: str) -> Setting:
    return Setting(f"one of {', '.join(words)}", lambda value: value in words)


_TEXT = Setting("text", lambda value: isinstance(value, str) and bool(value))
KNOWN: dict[str, Setting] = {
    PROFILE: _TEXT,
    "timeout": Setting(
        "seconds from 1 to 600",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 600,
    ),
    "impersonate": _TEXT,
    "output": _words(*(form.value for form in PLAIN)),
    "fail_on": _words(*(status.value for status in FailOn)),
    "quiet": Setting("true or false", lambda value: isinstance(value, bool)),
    "runbooks": _TEXT,
}
"""What a file may set; the names are those of the options. Formats for machines are asked for on the line that feeds the machine."""


class File(NamedTuple):
    """What one file says."""

    path: Path
    settings: Mapping[str, Any]
    pipeline: str
    """The profile it names or is; empty: it says nothing of a pipeline."""


def files() -> list[File]:
    """Those that are there, the strongest first. Raises Trouble when one cannot be understood."""
    return [file for path in _places() if (file := _read(path))]


def pipeline() -> str:
    """The profile that the files name; empty: none does."""
    return next((file.pipeline for file in files() if file.pipeline), "")


def stated(profile: str = "") -> dict[str, tuple[Any, Path]]:
    """Each setting that a file states: its value and the file that won. A `profile` that is a file is asked before all others."""
    named = Path(profile)
    found = {name: (value, named) for name, value in _settings_of(named).items()} if profile else {}
    for file in files():
        for name, value in file.settings.items():
            found.setdefault(name, (value, file.path))
    return found


def default_map(app: typer.Typer, profile: str = "") -> dict[str, Any]:
    """The settings as Click's default map: for each command that takes the common options, what it should assume. `profile`: the one
    that is asked for."""
    options = {name: value for name, (value, _) in stated(profile).items() if name != PROFILE}
    return _of(app, options) if options else {}


def profile_of(arguments: Sequence[str]) -> str:
    """What `--profile` says on a command line, else in the environment; empty: nothing."""
    for word, after in pairwise((*arguments, "")):
        if word == "--profile":
            return after
        if word.startswith("--profile="):
            return word.partition("=")[2]
    return os.environ.get("PUBSUB_DIAG_PROFILE", "")


def _settings_of(path: Path) -> dict[str, Any]:
    """The settings in a file that describes a pipeline. What else may be wrong with the file is told by whoever reads the pipeline."""
    try:
        settings = tomllib.loads(read_text(path)).get(SETTINGS, {})
    except (OSError, ValueError, RecursionError):
        return {}
    _check(path, settings)
    return dict(settings)


def _of(app: typer.Typer, options: Mapping[str, Any]) -> dict[str, Any]:
    asking = [command for command in app.registered_commands if hasattr(command.callback, "asks")]
    commands: dict[str, Any] = {command.name or command.callback.__name__: options for command in asking}  # type: ignore[union-attr]
    groups = {
        str(group.name): _of(group.typer_instance, options) for group in app.registered_groups if group.typer_instance
    }
    return commands | {name: inner for name, inner in groups.items() if inner}


def _places() -> Iterator[Path]:
    yield HERE
    yield PROJECT
    home = os.environ.get("XDG_CONFIG_HOME")
    try:
        yield (Path(home) if home else Path.home() / ".config") / "pubsub-diag" / "config.toml"
    except RuntimeError:  # nobody's home
        return


def _read(path: Path) -> File | None:
    try:
        document = tomllib.loads(read_text(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        elsewhere = "let this user read it, or set XDG_CONFIG_HOME to a folder of theirs"
        mend = elsewhere if isinstance(error, PermissionError) else "mend or remove the file"
        raise Trouble(f"cannot read {path}: {error.strerror}", mend) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or more of it than can be read
        raise Trouble(f"{path}: expected TOML: {error}", "mend or remove the file") from error
    if path == PROJECT:
        document = document.get("tool", {}).get("pubsub-diag", {})
    if not document:
        return None
    settings = document.get(SETTINGS, {})
    _check(path, settings)
    described = bool(document.keys() - {SETTINGS})
    if described and PROFILE in settings:
        raise Trouble(f"{path}: it describes a pipeline and names a profile, too", "leave one of the two out")
    return File(path, settings, str(path) if described else _relative(settings.get(PROFILE, ""), path))


def _check(path: Path, settings: Any) -> None:
    if not isinstance(settings, dict):
        raise Trouble(f"{path}: {SETTINGS}: expected a table", "[settings]")
    for name, value in settings.items():
        if name not in KNOWN:
            raise Trouble(f"{path}: {SETTINGS}.{name}: expected one of {', '.join(KNOWN)}", "mend the file")
        if not KNOWN[name].fits(value):
            raise Trouble(f"{path}: {SETTINGS}.{name}: expected {KNOWN[name].expected}, got {value!r}", "mend the file")


def _relative(profile: str, to: Path) -> str:
    """A file beside the one that names it, or the name of a built-in profile."""
    beside = to.parent / profile
    return str(beside) if profile and beside.is_file() else profile
