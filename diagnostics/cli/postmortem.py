"""`pubsub-diag postmortem`: what was kept of a batch, as a document."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from diagnostics.cli.frame.options import Sharing


class Page(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"


def postmortem(
    which: Annotated[
        list[str] | None,
        Argument(
            metavar="BATCH_ID|FILE",
            help="A batch, of which all kept runs and notes are read; or bundles, by file or name of a kept run. "
            "Else the batch of the newest kept run.",
        ),
    ] = None,
    output: Annotated[
        Page | None, Option("--output", "-o", help="Else html if --out ends in .html, else markdown.")
    ] = None,
    out: Annotated[Path | None, Option("--out", metavar="FILE", help="Write it to this file.")] = None,
    project: Annotated[
        str | None,
        Option(metavar="PROJECT", help="Of which project, where runs of several are kept for the same batch id."),
    ] = None,
    profile: Sharing = None,
    severity: Annotated[
        str, Option(metavar="WORDS", help="How severe it was, on your own scale; else left blank.")
    ] = "",
    author: Annotated[
        list[str] | None, Option(metavar="NAME", help="Who writes it; may be given several times.")
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress and no hints on stderr.")] = False,
) -> int:
    """Write the postmortem of a batch from what was kept of it, here and in the store that the profile names.

    Asks nothing else and reads no clock. Exit code 0 once it is written.
    """
    from diagnostics.cli.do import postmortem as do

    as_html = output is Page.HTML or (output is None and out is not None and out.suffix.lower() in (".html", ".htm"))
    return do.write(
        which or [],
        as_html=as_html,
        out=out,
        project=project or "",
        profile=profile,
        quiet=quiet,
        severity=severity,
        authors=author or [],
    )
