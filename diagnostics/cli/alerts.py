"""`pubsub-diag alerts`: alert policies for the pipeline, to be created by whoever may."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from diagnostics.cli.frame.options import Access, spread

AGE = "an age like 15m or 24h"


@spread(Access)
def alerts(
    asked: Access,
    name: Annotated[
        str | None,
        Argument(metavar="NAME", help="Only this one: unacked-age, failing-pushes, no-publish or completion-gap."),
    ] = None,
    runbooks: Annotated[
        str | None,
        Option(
            envvar="PUBSUB_DIAG_RUNBOOKS",
            metavar="URL",
            help="Where the folder runbooks/ is published; the policies link there.",
        ),
    ] = None,
    unacked_age: Annotated[str, Option(metavar="AGE", help="Oldest unacknowledged message.")] = "15m",
    failing_share: Annotated[float, Option(min=0, max=1, metavar="SHARE", help="Share of pushes that fail.")] = 0.2,
    silence: Annotated[str, Option(metavar="AGE", help="Without any publish; at most 24h.")] = "24h",
    returned_share: Annotated[float, Option(min=0, max=1, metavar="SHARE", help="Completions for each request.")] = 0.5,
    gap: Annotated[str, Option(metavar="AGE", help="Within which the completions have to come.")] = "30m",
    out: Annotated[Path | None, Option("--out", metavar="FILE", help="Write them to this file.")] = None,
) -> int:
    """Print Cloud Monitoring alert policies as JSON. Creates none: gcloud alpha monitoring policies create --policy-from-file=FILE does."""
    from diagnostics.cli.do import alerts as do

    times = do.Times(unacked_age=unacked_age, silence=silence, gap=gap)
    return do.show(asked, name, runbooks or "", times, failing_share, returned_share, out)
