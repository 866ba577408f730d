"""`pubsub-diag access`: permissions, freshness, clock and APIs."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from diagnostics.cli.frame.options import PLAIN, Asked, spread


@spread(Asked, PLAIN)
def access(
    asked: Asked,
    commands: Annotated[
        list[str] | None, Argument(metavar="COMMAND", help="Only what these need, e.g. lint or probe; else all.")
    ] = None,
    role: Annotated[
        bool, Option("--role", help="Print the smallest custom role for them as YAML; asks nothing.")
    ] = False,
) -> int:
    """Which permissions the commands need, where, which of them you hold; how fresh the sources are; which APIs are on."""
    from diagnostics.cli.do import access as do

    return do.answer(asked, commands or [], role)
