"""`pubsub-diag lab`: a small strict Google Cloud on loopback, and its scenarios."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame import names

app = Typer(help="Run, list and score scenarios in a simulated Google Cloud.", rich_markup_mode=None)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.command()
def up(
    scenario: Annotated[
        str,
        Argument(
            metavar="SCENARIO",
            help="Name of a scenario, as `lab list` prints it, or a file.",
            autocompletion=names.complete_scenario,
        ),
    ],
    seed: Annotated[int, Option(metavar="N", help="What the scenario draws from.")] = 1,
    pace: Annotated[bool, Option("--pace", help="Let simulated time go on with the wall clock.")] = False,
    port: Annotated[int, Option(min=0, max=65535, metavar="N", help="HTTP port; 0: any that is free.")] = 0,
    items: Annotated[
        int | None,
        Option(
            min=1,
            max=1_000_000,
            metavar="N",
            help="Give each batch that the scenario starts so many items. Its moments stay, and a coordinator publishes only as long as "
            "its request may last. A million that a script publishes take about ten minutes and 1 GiB.",
        ),
    ] = None,
) -> int:
    """Start the lab and keep it until Ctrl-C. Prints the line that points pubsub-diag at it."""
    named = names.known_scenario(scenario)
    from diagnostics.cli.do import lab as do

    return do.up(named, seed, pace, port, items)


@app.command("list")
def list_() -> int:
    """List the scenarios that come with pubsub-diag."""
    from diagnostics.cli.do import lab as do

    return do.print_list()


@app.command()
def score(
    folders: Annotated[
        list[Path] | None, Argument(metavar="DIR|FILE", help="Scenarios; else all that come along.")
    ] = None,
    seeds: Annotated[int, Option(min=1, max=1000, metavar="N", help="How many seeds to try on each.")] = 1,
    seed_base: Annotated[int, Option(metavar="N", help="The first seed.")] = 1,
    jobs: Annotated[int, Option(min=0, max=64, metavar="N", help="How many at once; 0: one a core.")] = 0,
    follow: Annotated[
        bool, Option("--follow", help="Also take every command that an answer offers, in its lab; slow.")
    ] = False,
    smallest: Annotated[
        bool,
        Option("--smallest", help="Ask with two subscription names for a profile, and compare with the full profile."),
    ] = False,
    output: Annotated[Format, Option("--output", "-o", help="How to say it.")] = Format.TEXT,
) -> int:
    """Diagnose every scenario and compare with what it expects. Exit code 0 only if all agree, else 2."""
    from diagnostics.cli.do import lab as do

    return do.score(folders or [], seeds, seed_base, jobs, follow, smallest, json_output=output is Format.JSON)


@app.command()
def schema() -> int:
    """Print the JSON Schema of scenario files, `ask` and `expect` included."""
    from diagnostics.cli.do import lab as do

    return do.print_schema()
