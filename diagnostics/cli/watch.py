"""`pubsub-diag watch`: how a batch gets on, and the diagnosis the moment it stalls."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from diagnostics.cli.frame import names
from diagnostics.cli.frame.options import Access, spread


@spread(Access)
def watch(
    asked: Access,
    batch_id: Annotated[
        str | None,
        Argument(
            metavar="BATCH_ID",
            help="Which batch; else that of the latest start attempt.",
            autocompletion=names.complete_batch,
        ),
    ] = None,
    lasting: Annotated[str, Option("--for", metavar="TIME", help="Watch at most this long: 90s, 20m, 2h.")] = "2h",
) -> int:
    """Watch a batch: progress, rate, when it may be done; the diagnosis as soon as it stalls.

    Ends with 0 when it is done, 2 when it stalled, 1 when time is over and it still moves, 3 when that cannot be told. Without a
    terminal it prints a line of JSON for each change.
    """
    from diagnostics.cli.do import watch as do

    return do.watch(asked, batch_id or "", lasting)
