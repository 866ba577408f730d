"""The options that mean the same on every command that looks at a pipeline."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from typer import Option

from diagnostics.cli.frame import names, output
from diagnostics.cli.frame.trouble import Trouble


class Format(StrEnum):
    TEXT = "text"
    SHORT = "short"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"
    NAGIOS = "nagios"
    PROMETHEUS = "prometheus"
    MARKDOWN = "markdown"
    HTML = "html"


PLAIN = (Format.TEXT, Format.SHORT, Format.JSON)
"""What every command can say; the others are for diagnoses."""


class FailOn(StrEnum):
    WARNING = "warning"
    FAULT = "fault"


class LegName(StrEnum):
    REQUEST = "request"
    COMPLETION = "completion"


Sharing = Annotated[
    str | None,
    Option(
        "--profile",
        envvar="PUBSUB_DIAG_PROFILE",
        metavar="FILE|NAME",
        help="Its [keep] store is read beside what is kept here; else that of ./pubsub-diag.toml.",
        autocompletion=names.complete_profile,
    ),
]
"""For commands that read what is kept."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where to look, and as whom."""

    profile: Annotated[
        str | None,
        Option(
            envvar="PUBSUB_DIAG_PROFILE",
            metavar="FILE|NAME",
            help="Profile of the pipeline; else ./pubsub-diag.toml, else --subscription alone.",
            autocompletion=names.complete_profile,
        ),
    ] = None
    project: Annotated[
        str | None,
        Option(
            envvar="PUBSUB_DIAG_PROJECT",
            metavar="PROJECT",
            help="Google Cloud project; else the profile's or the environment's.",
        ),
    ] = None
    region: Annotated[
        str | None, Option(envvar="PUBSUB_DIAG_REGION", metavar="REGION", help="Region of the Cloud Run services.")
    ] = None
    subscription: Annotated[
        str | None,
        Option(
            envvar="PUBSUB_DIAG_SUBSCRIPTION",
            metavar="S",
            help="Push subscription of the request leg.",
            autocompletion=names.complete_subscription,
        ),
    ] = None
    timeout: Annotated[
        float,
        Option(envvar="PUBSUB_DIAG_TIMEOUT", min=1, max=600, metavar="SECONDS", help="Answer within this time."),
    ] = 20
    impersonate: Annotated[
        str | None,
        Option(
            "--impersonate-service-account",
            envvar="PUBSUB_DIAG_IMPERSONATE",
            metavar="EMAIL",
            help="Look with this service account's rights.",
        ),
    ] = None
    verbose: Annotated[bool, Option("--verbose", "-v", help="Say what every statement rests on.")] = False
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress and no hints on stderr.")] = False


@dataclass(frozen=True, kw_only=True)
class Asked(Access):
    """What is asked of a pipeline, and how to say it."""

    since: Annotated[
        str | None, Option(metavar="WHEN", help="Begin of the window: 90m, 2h, 3d or 2026-02-08T14:02:00Z (RFC 3339).")
    ] = None
    until: Annotated[str | None, Option(metavar="WHEN", help="End of the window, likewise.")] = None
    output: Annotated[Format, Option("--output", "-o", envvar="PUBSUB_DIAG_OUTPUT", help="How to say it.")] = (
        Format.TEXT
    )
    out: Annotated[Path | None, Option("--out", metavar="FILE", help="Write the answer to this file.")] = None
    fail_on: Annotated[
        FailOn, Option(envvar="PUBSUB_DIAG_FAIL_ON", help="From which status on the exit code is not 0.")
    ] = FailOn.WARNING
    bundle: Annotated[
        str | None,
        Option(
            "--from",
            autocompletion=names.complete_run,
            metavar="BUNDLE",
            help="Read a captured file, a kept run or the `last` one instead of Google Cloud; asks nothing.",
        ),
    ] = None


def spread(
    kind: type[Access], formats: Sequence[Format] = tuple(Format)
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of `kind` as its own; it receives them together as its argument `asked`.

    `formats`: those it can say its answer in; another is refused before anything is looked at.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        hints = get_type_hints(kind, include_extras=True)
        if "output" in hints:
            hints["output"] = _one_of(hints["output"], formats)
        shared = [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
            for f in dataclasses.fields(kind)
        ]
        own_hints = get_type_hints(command, include_extras=True)
        own = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[name])
            for name, p in inspect.signature(command).parameters.items()
            if name != "asked"
        ]

        @functools.wraps(command)
        def called(**arguments: object) -> int:
            asked = kind(**{p.name: arguments.pop(p.name) for p in shared})  # type: ignore[arg-type]
            if not isinstance(asked, Asked):
                return command(asked=asked, **arguments)
            output.check_form(asked.output.value, [form.value for form in formats])
            try:
                return command(asked=asked, **arguments)
            except Trouble as trouble:
                output.answer_trouble(asked.output.value, trouble, asked.out)
                raise

        signature = inspect.Signature([*own, *shared])
        called.__signature__ = signature  # type: ignore[attr-defined]
        called.asks = kind  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        return called

    return decorate


def _one_of(annotation: Any, formats: Sequence[Format]) -> object:
    """The option with which of its formats the command can say its answer in."""
    option = copy.copy(annotation.__metadata__[0])
    option.metavar = "|".join(form.value for form in formats)
    return Annotated[Format, option]
