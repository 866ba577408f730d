"""`pubsub-diag selftest`: what Google answers here, by its shape, in one file for a bug report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from diagnostics.cli.frame.options import PLAIN, Access, Format, spread


@dataclass(frozen=True, kw_only=True)
class Testing(Access):
    """One read of everything takes longer than an answer."""

    timeout: Annotated[float, Option(min=1, max=600, metavar="SECONDS", help="Tell what came within this time.")] = 60
    output: Annotated[
        Format,
        Option(
            "--output", "-o", envvar="PUBSUB_DIAG_OUTPUT", help="What to print: text, short, or json (the file's text)."
        ),
    ] = Format.TEXT
    out: Annotated[
        Path | None,
        Option(
            "--out",
            metavar="FILE",
            help="Where to write the file; else pubsub-diag-selftest-TIME.json. Never over another one.",
        ),
    ] = None


@spread(Testing, PLAIN)
def selftest(asked: Testing) -> int:
    """Read a little from every source, and write to one file in which shape Google answers and what was not understood.

    The file holds no names, texts or secrets, and says itself what it holds; send it along with a bug report. Exit code 0: all was
    read and understood, 1: something was not understood, 3: something could not be read. The file is written in each case.
    """
    from diagnostics.cli.do import selftest as do

    return do.answer(asked)
