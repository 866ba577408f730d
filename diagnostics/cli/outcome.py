"""`pubsub-diag outcome`: did it really work? Results by date, against what the batches said."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from diagnostics.cli.frame.options import Asked, spread
from diagnostics.cli.parts import BatchId


@spread(Asked)
def outcome(
    asked: Asked,
    batch_id: BatchId = None,
    max_bytes: Annotated[
        str | None,
        Option(metavar="SIZE", help="Read at most so much with one query: 500MiB, 2GiB. Else 10GiB; asked beforehand."),
    ] = None,
) -> int:
    """Did it really work? Results by date: missing, superseded, of which model. --since and --until take dates, too."""
    from diagnostics.cli.do import outcome as do

    return do.answer(asked, batch_id, max_bytes)
