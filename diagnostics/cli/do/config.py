"""What `pubsub-diag config show` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from typer import Context

from diagnostics.cli.frame import configuration, opening, output
from diagnostics.cli.frame.options import Asked, Format
from diagnostics.conclude.diagnosis import Exit
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.report.json import pretty
from diagnostics.transport.session import LAB
from diagnostics.transport.session import PROJECT as PROJECT_VARIABLES

DEFAULT = "default"


class InForce(NamedTuple):
    name: str
    value: Any
    origin: str
    """A flag, a variable of the environment, a file, or "default"."""


def show(context: Context, asked: Asked, origin: bool) -> int:
    found = [*_pipeline(context, asked), *_options(context, asked)]
    if asked.output is Format.JSON:
        said = {x.name: {"value": x.value, "origin": x.origin} for x in found}
        output.answer(pretty(msgspec.json.encode(said)) + "\n", asked.out)
        return int(Exit.OK)
    head = ["name", "value", *(["from"] if origin else [])]
    rows = [[x.name, _word(x.value), *([x.origin] if origin else [])] for x in found]
    output.answer(output.page(to_file=asked.out is not None).table(head, rows) + "\n", asked.out)
    return int(Exit.OK)


def _pipeline(context: Context, asked: Asked) -> Iterator[InForce]:
    named = asked.profile or configuration.pipeline()
    file = _origin(context, "profile") if asked.profile else _file_of(named)
    yield InForce("profile", named or None, file if named else DEFAULT)
    profile = opening.stated(asked)
    if os.environ.get(LAB):
        yield InForce("endpoint", os.environ[LAB], LAB)
    for name in ("project", "region", "subscription"):
        given = getattr(asked, name)
        if given:
            yield InForce(name, given, _origin(context, name))
        else:
            yield _of_profile(name, profile, named)
    if profile and profile.completion:
        yield InForce("completion_subscription", profile.completion.subscription, named)
    for accepted in profile.accepted if profile else ():
        leg = f"@{accepted.leg.value}" if accepted.leg else ""
        yield InForce(f"accepted {accepted.code}{leg}", f"until {accepted.until}: {accepted.reason}", named)


def _of_profile(name: str, profile: PipelineProfile | None, named: str) -> InForce:
    if profile:
        value = profile.request.subscription if name == "subscription" else getattr(profile, name)
        if value:
            return InForce(name, value, named)
    if name == "project":
        variable = next((v for v in PROJECT_VARIABLES if os.environ.get(v)), "")
        if variable:
            return InForce(name, os.environ[variable], variable)
    return InForce(name, None, DEFAULT)


def _options(context: Context, asked: Asked) -> Iterator[InForce]:
    for name in ("timeout", "impersonate", "output", "fail_on", "quiet", "since", "until"):
        value = getattr(asked, name)
        yield InForce(name, getattr(value, "value", value), _origin(context, name))


def _origin(context: Context, name: str) -> str:
    source = context.get_parameter_source(name)
    parameter = next(p for p in context.command.params if p.name == name)
    match source.name if source else "":
        case "COMMANDLINE":
            return max(parameter.opts, key=len)
        case "ENVIRONMENT":
            return str(parameter.envvar)
        case "DEFAULT_MAP":
            return str(configuration.stated(context.params.get("profile") or "")[name][1])
    return DEFAULT


def _file_of(named: str) -> str:
    return next((str(file.path) for file in configuration.files() if file.pipeline == named), str(Path(named)))


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
