"""The entry point: the commands, and every way for a run to end mapped to the frozen exit codes.

The command modules import nothing but Typer at their head; what does the work is imported when a command runs, so that
`--help` stays quick.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, NoReturn

import typer

from diagnostics import __version__
from diagnostics.cli import (
    access,
    alerts,
    batch,
    batches,
    bundle,
    config,
    demo,
    examples,
    health,
    init,
    lab,
    lint,
    mcp,
    model,
    outcome,
    parts,
    postmortem,
    probe,
    profile,
    runbook,
    schema,
    selftest,
    watch,
)
from diagnostics.cli.frame import after, configuration, output
from diagnostics.cli.frame.trouble import Trouble

OK, UNKNOWN, INTERRUPTED = 0, 3, 130
"""The same numbers as `causes.diagnosis.Exit`, which costs an import that `--help` can do without."""

EXITS = "0 healthy, done or progressing · 1 warning · 2 fault · 3 unknown or could not run · 130 interrupted."

# Typer brings its own copy of Click or uses the installed one, depending on its version; this is the right class in both.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="pubsub-diag",
    cls=examples.Grouped,
    help="A coordinator created a batch; why is it not done, and what do I do now?",
    epilog=f"Exit codes: {EXITS}\n\n{examples.shown(examples.BEGIN)}",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command("batch")(batch.batch)
app.command("batches")(batches.batches)
for _name, _part in parts.COMMANDS.items():
    app.command(_name)(_part)
app.command("outcome")(outcome.outcome)
app.add_typer(model.app, name="model")
app.command("health", cls=health.Health)(health.health)
app.command("watch")(watch.watch)
app.command("lint")(lint.lint)
app.command("init")(init.init)
app.command("access")(access.access)
app.command("selftest")(selftest.selftest)
app.command("alerts")(alerts.alerts)
app.command("capture")(bundle.capture)
app.add_typer(bundle.app, name="bundle")
app.command("note")(bundle.note)
app.command("postmortem")(postmortem.postmortem)
app.add_typer(probe.app, name="probe")
app.add_typer(profile.app, name="profile")
app.add_typer(config.app, name="config")
app.command("schema")(schema.schema)
app.command("mcp")(mcp.mcp)
app.add_typer(runbook.app, name="runbook")
app.command("demo")(demo.demo)
app.add_typer(lab.app, name="lab")


@app.command("help")
def help_(words: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> int:
    """Show the help of a command."""
    return run([*(words or ()), "--help"])


examples.add_to(app)
HELP = {"-h", "--help", "--version"}
"""Whoever asks for these gets them, however broken a configuration file is."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pubsub-diag {__version__}")
        raise typer.Exit


def _print_schema(wanted: bool) -> None:
    if wanted:
        from diagnostics.report import json

        typer.echo(json.schema_text())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", callback=_print_schema, is_eager=True, hidden=True)
    ] = False,
) -> None:
    del version, json_schema
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UNKNOWN)


@cache
def command() -> Any:
    """All commands as Click's own, made once: that takes as long as a short command does."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code. Only what the command promises goes to stdout."""
    after.forget()
    try:
        defaults = {} if HELP & set(arguments) else configuration.default_map(app, configuration.profile_of(arguments))
        code = command()(args=list(arguments), prog_name="pubsub-diag", standalone_mode=False, default_map=defaults)
        sys.stdout.flush()
        after.do()
        return code if isinstance(code, int) else OK
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Trouble as trouble:
        return _fail(trouble.says, trouble.mend)
    except UsageError as error:
        return _fail(_sentence(error), f"{_usage_of(error)} --help")
    except BrokenPipeError:
        output.reader_left()
        return OK
    except Exception as error:
        if told := _of_no_home(error):
            return _fail(told, "export PUBSUB_DIAG_STATE_DIR=FOLDER")
        if _verbose(arguments):
            from diagnostics.evidence.redact import redact

            sys.stderr.write(redact(traceback.format_exc()))
        return _fail(
            f"internal error: {type(error).__name__}: {error}",
            "this is a fault of pubsub-diag; run the same command with -v and report what it prints, with the file of "
            "`pubsub-diag selftest`",
        )


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show ◀ must not cost the answer
    _end(run(sys.argv[1:]))


def _end(code: int) -> NoReturn:
    """End the process with this code. A call that was given up may hold a thread for as long as it likes: nothing waits for it, and
    nothing of it is heard of while the interpreter is taken down."""
    if threading.active_count() == 1:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _fail(says: str, mend: str) -> int:
    from diagnostics.evidence.redact import redact
    from diagnostics.report.escape import clean

    typer.echo(f"pubsub-diag: {clean(redact(says))}", err=True)
    if mend:
        typer.echo(f"  {clean(mend)}", err=True)
    return UNKNOWN


def _of_no_home(error: Exception) -> str:
    from diagnostics.pipeline.places import NoHomeError

    return str(error) if isinstance(error, NoHomeError) else ""


def _sentence(error: Exception) -> str:
    """What was wrong, without the library's own words, and of one of several values the one that may have been meant."""
    format_message = getattr(error, "format_message", None)
    says = str(format_message()) if format_message else str(error)
    says = re.sub(r" \(env var: '[^']*'\)|Value error, ", "", says)
    choice = re.search(r"'(?P<given>[^']*)' is not one of (?P<possible>'.*')", says)
    if choice is None:
        return says
    from difflib import get_close_matches

    near = get_close_matches(choice["given"], re.findall(r"'([^']*)'", choice["possible"]), 1, 0.5)
    return f"{says.rstrip('.')}; did you mean {near[0]}?" if near else says


def _usage_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "pubsub-diag"


def _verbose(arguments: Sequence[str]) -> bool:
    return "--verbose" in arguments or any(a[:1] == "-" and a[1:2].isalpha() and "v" in a[1:] for a in arguments)


if __name__ == "__main__":
    main()
