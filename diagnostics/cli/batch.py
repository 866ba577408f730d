"""`pubsub-diag batch`: the whole investigation."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Option

from diagnostics.cli.frame.options import Asked, spread
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.cli.parts import BatchId


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
        bool,
        Option(
            "--probe",
            help="Also look at the request leg's messages themselves, in a copy: asks first, like `probe run`.",
        ),
    ] = False,
    yes: Annotated[bool, Option("--yes", help="With --probe: do it without asking.")] = False,
    max_bytes: Annotated[
        str | None,
        Option(
            metavar="SIZE", help="With log_dataset in the profile: read at most so much by SQL: 500MiB. Else 10GiB."
        ),
    ] = None,
) -> int:
    """Why is the batch not done, and what to do now."""
    if missing and not items:
        raise Trouble("--missing belongs to --items", "pubsub-diag batch --items --missing")
    if yes and not probe:
        raise Trouble("--yes belongs to --probe", "pubsub-diag batch --probe --yes")
    if probe and asked.bundle:
        raise Trouble("--probe looks now, --from at what was kept: one of the two", "pubsub-diag batch --from BUNDLE")
    if probe and not yes and not sys.stdin.isatty():
        raise Trouble("--probe asks first, and nobody is there to say yes", "pubsub-diag batch --probe --yes")
    from diagnostics.cli.do import investigation
    from diagnostics.cli.do.outcome import amount
    from diagnostics.cli.frame.question import Question

    most = amount(max_bytes) if max_bytes else None
    question = Question("batch", batch=batch_id, expect=expect, live=live, probe=probe, yes=yes, max_bytes=most)
    form = investigation.Form.MISSING if missing else investigation.Form.ITEMS if items else investigation.Form.ANSWER
    return investigation.answer(question, asked, form)
