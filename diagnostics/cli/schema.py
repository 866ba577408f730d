"""`pubsub-diag schema`: what the program writes and reads, as JSON Schemas."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from typer import Argument


class Of(StrEnum):
    REPORT = "report"
    BUNDLE = "bundle"
    PROFILE = "profile"
    SCENARIO = "scenario"


def schema(
    of: Annotated[
        Of,
        Argument(
            metavar="WHAT", help="What -o json writes, what a captured file holds, a profile, or a scenario of the lab."
        ),
    ],
) -> int:
    """Print a JSON Schema (2020-12): of the report in JSON, of a bundle, of a profile or of a scenario."""
    from diagnostics.cli.do import explain as do

    return do.print_schema(of.value)
