"""`pubsub-diag lint`: the configuration, before a batch has to suffer for it."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from diagnostics.cli.frame.options import Asked, LegName, spread
from diagnostics.cli.frame.trouble import Trouble


@spread(Asked)
def lint(
    asked: Asked,
    everything: Annotated[
        bool, Option("--all", help="Every push subscription of the project, each by itself; needs no profile.")
    ] = False,
    leg: Annotated[LegName | None, Option("--leg", help="Only this leg.")] = None,
) -> int:
    """Is the pipeline set up as it should be? Needs no traffic and no batch; reads only."""
    if everything and leg:
        raise Trouble("--all looks at every subscription by itself, so it has no --leg", "pubsub-diag lint --all")
    if everything:
        from diagnostics.cli.do import lint as do

        return do.answer(asked)
    from diagnostics.cli.do import investigation
    from diagnostics.cli.frame.question import Question

    return investigation.answer(Question("lint", leg=leg.value if leg else None), asked)
