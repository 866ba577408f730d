"""`pubsub-diag init`: write a profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from diagnostics.cli.frame.options import Access, spread


@spread(Access)
def init(
    asked: Access,
    completion_subscription: Annotated[
        str | None, Option(metavar="C", help="Push subscription of the completion leg, if there is one.")
    ] = None,
    out: Annotated[Path, Option(metavar="FILE", help="Where to write it; - for stdout.")] = Path("pubsub-diag.toml"),
    days: Annotated[
        float,
        Option(
            min=0.04,
            max=30,
            metavar="DAYS",
            help="Propose log markers from lines of the last days; what is written says so.",
        ),
    ] = 7,
    no_markers: Annotated[bool, Option("--no-markers", help="Read no log lines and propose no markers.")] = False,
    force: Annotated[bool, Option("--force", help="Overwrite the file if it is there.")] = False,
) -> int:
    """Write a profile, derived from a push subscription (--subscription S).

    Recent log lines of both services are grouped, and markers proposed for what seems to tell of batches and items, each with what it
    captures. Look at them, then `pubsub-diag profile test`."""
    from diagnostics.cli.do import profile as do

    return do.write(asked, completion_subscription, out, force, 0 if no_markers else days)
