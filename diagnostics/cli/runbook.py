"""`pubsub-diag runbook`: what to do about a cause, and how to check a step by hand."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option, Typer

from diagnostics.cli.frame import names
from diagnostics.cli.frame.options import LegName

app = Typer(help="Read the runbooks.", rich_markup_mode=None)

Code = Annotated[
    str,
    Argument(
        metavar="CODE",
        help="A cause's code or a step's name, as `runbook list` prints it.",
        autocompletion=names.complete_code,
    ),
]
Text = Annotated[str, Argument(metavar="TEXT", help="A log line, a status, or what one sees in words.")]


@app.command("list")
def list_(
    symptoms: Annotated[bool, Option("--symptoms", help="By what one sees, instead of by page.")] = False,
) -> int:
    """List all runbooks by family."""
    from diagnostics.cli.do import runbook as do

    return do.print_symptoms() if symptoms else do.print_list()


@app.command()
def show(
    code: Code,
    profile: Annotated[str | None, Option(envvar="PUBSUB_DIAG_PROFILE", metavar="FILE|NAME")] = None,
    leg: Annotated[
        LegName, Option(help="Whose subscription, topic and service to fill in: coordinator to worker, or worker back.")
    ] = LegName.REQUEST,
    project: Annotated[str | None, Option(metavar="PROJECT")] = None,
    number: Annotated[str | None, Option(metavar="N", help="The project's number.")] = None,
    region: Annotated[str | None, Option(metavar="REGION")] = None,
    subscription: Annotated[str | None, Option(metavar="S")] = None,
    topic: Annotated[str | None, Option(metavar="TOPIC")] = None,
    service: Annotated[str | None, Option(metavar="SERVICE")] = None,
    push_account: Annotated[str | None, Option(metavar="EMAIL")] = None,
    dead_letter_topic: Annotated[str | None, Option(metavar="TOPIC")] = None,
    batch: Annotated[str | None, Option(metavar="BATCH_ID")] = None,
    since: Annotated[str | None, Option(metavar="WHEN")] = None,
    revision: Annotated[
        str | None, Option(metavar="REVISION", help="The service's revision that a deploy replaced.")
    ] = None,
    markdown: Annotated[
        bool, Option("--markdown", help="As it is written, in Markdown; in a pipe it always is.")
    ] = False,
) -> int:
    """Print a runbook with this incident's names filled in, as far as the profile and the options tell them."""
    from diagnostics.cli.do import runbook as do
    from diagnostics.evidence.model import Leg

    given = {
        "project": project,
        "number": number,
        "region": region,
        "subscription": subscription,
        "topic": topic,
        "service": service,
        "push_account": push_account,
        "dead_letter_topic": dead_letter_topic,
        "batch": batch,
        "since": since,
        "revision": revision,
    }
    return do.show(code, profile, Leg(leg.value), {name: value for name, value in given.items() if value}, markdown)


@app.command()
def find(text: Text) -> int:
    """Find runbooks by a log line, a status or a symptom; the best first."""
    from diagnostics.cli.do import runbook as do

    return do.find(text)


@app.command("open")
def open_(
    code: Code,
    base_url: Annotated[
        str | None,
        Option(
            envvar="PUBSUB_DIAG_RUNBOOKS",
            metavar="URL",
            help="Where the folder runbooks/ is published; else the setting `runbooks`.",
        ),
    ] = None,
) -> int:
    """Print the address of a runbook, where somebody has published them."""
    from diagnostics.cli.do import runbook as do

    return do.print_address(code, base_url)
