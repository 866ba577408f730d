"""`pubsub-diag config`: what is in force, and who said so."""

from __future__ import annotations

from typing import Annotated

from typer import Context, Option, Typer

from diagnostics.cli.frame.options import PLAIN, Asked, spread

app = Typer(help="Show the configuration.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    pass


@app.command()
@spread(Asked, PLAIN)
def show(
    context: Context,
    asked: Asked,
    origin: Annotated[bool, Option("--origin", help="Say where each comes from.")] = False,
) -> int:
    """Show which pipeline is meant and which options are in force. Asks nobody."""
    from diagnostics.cli.do import config as do

    return do.show(context, asked, origin)
