"""`pubsub-diag bundle`, `capture` and `note`: evidence that lasts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame import names
from diagnostics.cli.frame.options import Asked, Sharing, spread

app = Typer(help="Look into bundles: captured files and kept runs.", rich_markup_mode=None)


class NoteOf(StrEnum):
    """As `keep.bundle.NoteKind`, which costs an import that `--help` can do without; a test holds them together."""

    DID = "did"
    DETECTED = "detected"
    BELIEVED = "believed"
    RESOLVED = "resolved"


Which = Annotated[
    str,
    Argument(
        metavar="BUNDLE",
        help="A captured file, the name of a kept run, or last.",
        autocompletion=names.complete_run,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Capturing(Asked):
    """Everything takes longer than the answer."""

    timeout: Annotated[float, Option(min=1, max=600, metavar="SECONDS", help="Take what comes within this time.")] = 60
    out: Annotated[
        Path | None, Option("--out", metavar="FILE", help="Where to write the bundle; never over another file.")
    ] = None


@spread(Capturing)
def capture(
    asked: Capturing,
    batch_id: Annotated[
        str | None, Argument(metavar="BATCH_ID", help="Which batch; else the latest start attempt.")
    ] = None,
) -> int:
    """Save all that can be seen of a batch in one redacted file, to be read with --from.

    Exit code 0 once it is written, 3 where nothing could be seen: the file then says why.
    """
    from diagnostics.cli.do import bundle as do

    return do.capture(asked, batch_id)


def note(
    text: Annotated[str, Argument(metavar="TEXT", help="What was done or believed, in a sentence.")],
    at: Annotated[
        str, Option(metavar="WHEN", show_default="now", help="When: 20m ago, or 2026-02-08T14:30:00Z.")
    ] = "0m",
    kind: Annotated[
        NoteOf, Option(help="What it is about: something done, that it was noticed, taken for the cause, or over.")
    ] = NoteOf.DID,
    batch: Annotated[
        str | None, Option(metavar="BATCH_ID", help="The batch that it is about; else whatever was under way.")
    ] = None,
    profile: Annotated[
        str | None,
        Option(
            envvar="PUBSUB_DIAG_PROFILE",
            metavar="FILE|NAME",
            help="Its [redact] patterns hold for notes, too, and its [keep] store gets them.",
        ),
    ] = None,
) -> int:
    """Note what somebody did or believed, for the postmortem. Manual seeks and publishes are in no default audit log."""
    from diagnostics.cli.do import bundle as do

    return do.note(text, at, kind.value, batch, profile)


@app.command("list")
def list_(profile: Sharing = None) -> int:
    """List the kept runs, newest first, those in the store that the profile names among them."""
    from diagnostics.cli.do import bundle as do

    return do.print_list(profile)


@app.command()
def show(bundle: Which, profile: Sharing = None) -> int:
    """What is in a bundle: what was asked and concluded, the evidence, the gaps, what was redacted, the notes."""
    from diagnostics.cli.do import bundle as do

    return do.show(bundle, profile)


@app.command()
def verify(bundle: Which, profile: Sharing = None) -> int:
    """Open a bundle, diagnose it again, and look for secrets in it. Exit code 0: the same diagnosis, 1: another one."""
    from diagnostics.cli.do import bundle as do

    return do.verify(bundle, profile)


@app.command()
def schema() -> int:
    """Print the JSON Schema of the document in a bundle."""
    from diagnostics.cli.do import bundle as do

    return do.print_schema()
