"""`pubsub-diag profile`: does the profile fit what the logs say?"""

from __future__ import annotations

from typing import Annotated

from typer import Option, Typer

from diagnostics.cli.frame.options import PLAIN, Asked, spread

app = Typer(help="Check a profile against what the logs really say.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    pass


@app.command("test")
@spread(Asked, PLAIN)
def check(
    asked: Asked, days: Annotated[float, Option(min=0.04, max=30, help="How far back to look, in days.")] = 7
) -> int:
    """Count the lines that each log marker of the profile matches, with an example of what it captures."""
    from diagnostics.cli.do import profile as do

    return do.test(asked, days)
