"""`pubsub-diag batch`: the whole investigation."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from diagnostics.cli.options import Asked, spread
from diagnostics.cli.parts import BatchId
from diagnostics.cli.trouble import Trouble


@spread(Asked)
def batch(
    asked: Asked,
    batch_id: BatchId = None,
    expect: Annotated[
        int | None, Option(min=1, metavar="N", help="How many items there should be, where no profile tells.")
    ] = None,
    items: Annotated[bool, Option("--items", help="List the batch's items: how far each got and where it is.")] = False,
    missing: Annotated[
        bool,
        Option(
            "--missing",
            help="With --items: only those that are not done. With -o json: a plain JSON list of the item names to send "
            "again, to feed to the coordinator.",
        ),
    ] = False,
    live: Annotated[
        bool, Option("--live", help="Also call the services' health paths ourselves, once all else is read.")
    ] = False,
    probe: Annotated[
        bool, Option("--probe", help="Reserved: look at the messages themselves through a temporary pull subscription.")
    ] = False,
) -> int:
    """Why is the batch not done, and what to do now."""
    if missing and not items:
        raise Trouble("--missing belongs to --items", "pubsub-diag batch --items --missing")
    if probe:
        raise Trouble("--probe is not available yet; nothing was done", "pubsub-diag batch --items")
    from diagnostics.cli import investigation
    from diagnostics.cli.question import Question

    question = Question("batch", batch=batch_id, expect=expect, live=live)
    form = investigation.Form.MISSING if missing else investigation.Form.ITEMS if items else investigation.Form.ANSWER
    return investigation.answer(question, asked, form)
