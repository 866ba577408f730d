"""The command line from inside: parse a line, or run it and catch what it prints, with nothing of the user's own settings."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from diagnostics.scoring.follow import Answered

OURS = "PUBSUB_DIAG_"
PROJECTS = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
HOMES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class CommandLine:
    """Satisfies `scoring.follow.Program`."""

    def mistake(self, arguments: Sequence[str]) -> str:
        """Why the arguments do not parse; empty when they do."""
        from diagnostics.cli.main import UsageError

        try:
            with contextlib.suppress(typer.Exit):  # --help and --version end there
                parse(arguments)
        except UsageError as error:
            return str(getattr(error, "message", "") or error)
        return ""

    def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Answered:
        """Run it in an empty folder that is home and working directory, and gone afterwards."""
        from diagnostics.cli import main

        out, err = io.StringIO(), io.StringIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            _surroundings(environ, folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main.run(arguments)
        return Answered(code, out.getvalue(), err.getvalue())


def parse(arguments: Sequence[str]) -> Mapping[str, Any]:
    """Parse as the program would, without running anything; what the command would be given. Raises a usage error."""
    from diagnostics.cli import main

    command = main.command()
    context = command.make_context("pubsub-diag", list(arguments))
    while hasattr(command, "resolve_command") and (rest := [*context._protected_args, *context.args]):
        _, command, rest = command.resolve_command(context, rest)
        context = command.make_context(command.name, rest, parent=context)
    given: Mapping[str, Any] = context.params
    return given


@contextlib.contextmanager
def _surroundings(environ: Mapping[str, str], folder: str) -> Iterator[None]:
    """The environment with these names instead of our own, and the folder as home of all that is kept."""
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if not name.startswith(OURS) and name not in PROJECTS}
    try:
        os.environ.clear()
        os.environ.update({**kept, **dict.fromkeys(HOMES, folder), **environ})
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
