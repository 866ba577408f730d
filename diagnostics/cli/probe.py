"""`pubsub-diag probe`: look at the messages themselves, lose none, leave nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame.options import Access, LegName, spread

app = Typer(
    help="Look at the messages that wait, through a temporary pull. Needs consent; acknowledges nothing.",
    rich_markup_mode=None,
)


class ModeName(StrEnum):
    SNAPSHOT = "snapshot"
    SWITCH = "switch"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


Output = Annotated[Format, Option("--output", "-o", help="How to say it.")]


@app.command()
@spread(Access)
def run(
    asked: Access,
    mode: Annotated[
        ModeName,
        Option(
            help="snapshot: look at a copy, the subscription goes on pushing. switch: pull from the subscription itself."
        ),
    ] = ModeName.SNAPSHOT,
    leg: Annotated[LegName, Option(help="Which leg's subscription.")] = LegName.REQUEST,
    peek: Annotated[int, Option(min=1, max=1000, metavar="N", help="Look at so many messages at most.")] = 20,
    max_seconds: Annotated[float, Option(min=1, max=1800, metavar="S", help="Pull for so long at most.")] = 60,
    yes: Annotated[bool, Option("--yes", help="Do it without asking.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    force: Annotated[bool, Option("--force", help="Do it although something speaks against it.")] = False,
    show_data: Annotated[bool, Option("--show-data", help="Show what the messages hold, secrets redacted.")] = False,
    allow_secret_in_log: Annotated[
        bool,
        Option("--allow-secret-in-log", help="Write the push config to Cloud Logging even if it may hold a secret."),
    ] = False,
    output: Output = Format.TEXT,
    out: Annotated[Path | None, Option("--out", metavar="FILE", help="Write the answer to this file.")] = None,
) -> int:
    """Peek at the messages of a subscription. Prints what it will do, what that costs and how to undo it, and asks."""
    from diagnostics.cli.do import probe as do

    wish = do.Wish(
        mode=mode.value,
        leg=leg.value,
        peek=peek,
        max_seconds=max_seconds,
        yes=yes,
        dry_run=dry_run,
        force=force,
        show_data=show_data,
        allow_secret_in_log=allow_secret_in_log,
        json=output is Format.JSON,
        out=out,
    )
    return do.run(asked, wish)


@app.command()
@spread(Access)
def status(asked: Access, output: Output = Format.TEXT) -> int:
    """List what probes have left, or are using, anywhere: this machine's journals, the project's labels, its log."""
    from diagnostics.cli.do import probe as do

    return do.status(asked, json_output=output is Format.JSON)


@dataclass(frozen=True, kw_only=True)
class Restoring(Access):
    """It goes on trying for longer than an answer may take."""

    timeout: Annotated[
        float, Option(min=1, max=600, metavar="SECONDS", help="Go on trying for so long; what is left then is said.")
    ] = 120


@app.command()
@spread(Restoring)
def restore(
    asked: Restoring,
    run_id: Annotated[
        str | None, Argument(metavar="RUN", help="Which probe, as `probe status` names it; else all.")
    ] = None,
    force: Annotated[
        bool, Option("--force", help="Also one that may still be at work, and over what somebody else has set since.")
    ] = False,
    forget: Annotated[
        bool, Option("--forget", help="Leave the push config as it is now; only take the marks away.")
    ] = False,
    output: Output = Format.TEXT,
) -> int:
    """Put back what a probe left behind. From any machine; may be repeated."""
    from diagnostics.cli.do import probe as do

    return do.restore(asked, run_id or "", force=force, forget=forget, json_output=output is Format.JSON)
