"""`pubsub-diag profile`: does the profile fit what the logs say?"""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame.options import PLAIN, Asked, spread

app = Typer(help="What a profile may say, and whether it fits what the logs really say.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    pass


@app.command("test")
@spread(Asked, PLAIN)
def check(
    asked: Asked,
    days: Annotated[float, Option(min=0.04, max=30, metavar="DAYS", help="How far back to look, in days.")] = 7,
) -> int:
    """Count the lines that each log marker of the profile matches, with an example of what it captures."""
    from diagnostics.cli.do import profile as do

    return do.test(asked, days)


@app.command()
def schema() -> int:
    """Print the JSON Schema of profiles, for editors: each key with what it means."""
    from diagnostics.cli.do import explain as do

    return do.print_schema("profile")


@app.command()
def example(
    name: Annotated[
        str,
        Argument(
            metavar="NAME",
            help="nba-predictions logs text, orders-export events; image-drops is started by a queue, tile-rendering is one worker alone, "
            "scan-reading a function.",
        ),
    ] = "nba-predictions",
) -> int:
    """Print a whole profile of a pipeline that works, with comments."""
    from diagnostics.cli.do import explain as do

    return do.print_example(name)


@app.command()
def explain(
    key: Annotated[
        str, Argument(metavar="KEY", help="A key, such as means or markers.pattern, or a table; none: all.")
    ] = "",
) -> int:
    """Say what a key of a profile means, what it takes, and what holds where it is left out."""
    from diagnostics.cli.do import explain as do

    return do.explain(key)
