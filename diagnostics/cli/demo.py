"""`pubsub-diag demo`: a stalled backfill in the lab, diagnosed through the real client libraries."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from diagnostics.cli.frame import names


def demo(
    scenario: Annotated[
        str,
        Argument(
            metavar="SCENARIO",
            help="Name of a scenario, as `pubsub-diag lab list` prints it, or a file.",
            autocompletion=names.complete_scenario,
        ),
    ] = "2026-02-08-backfill-stall",
    seed: Annotated[int, Option(metavar="N", help="Another seed draws other numbers, names and noise.")] = 1,
    verbose: Annotated[bool, Option("--verbose", "-v", help="Say what every statement rests on.")] = False,
) -> int:
    """Diagnose a stalled backfill in a simulated Google Cloud. Needs no account and sends nothing off this machine."""
    named = names.known_scenario(scenario)
    from diagnostics.cli.do import demo as do

    return do.show(named, seed, verbose)
