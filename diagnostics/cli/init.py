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
    force: Annotated[bool, Option("--force", help="Overwrite the file if it is there.")] = False,
) -> int:
    """Write a profile, derived from a push subscription (--subscription S)."""
    from diagnostics.cli.do import profile as do

    return do.write(asked, completion_subscription, out, force)
