"""Where a profile comes from: a built-in name, a TOML file, or nothing but the name of a subscription."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path, PurePath
from typing import Any, get_args

import msgspec

from diagnostics.evidence.model import Leg, Means
from diagnostics.pipeline.profile import (
    Auth,
    LegProfile,
    PipelineProfile,
    ProfileError,
    StateKind,
    check,
    check_states,
    nearest,
)
from diagnostics.shell.files import read_text

CHOICES: dict[str, tuple[str, ...]] = {
    "means": tuple(Means),
    "auth": tuple(Auth),
    "leg": tuple(Leg),
    "kind": tuple(StateKind),
}
"""Keys that take one of a few words."""


def load_profile(path_or_name: str) -> PipelineProfile:
    """The profile in this TOML file, or the built-in profile of this name.

    Raises ProfileError, which names the file, the key and what was expected.
    """
    if path_or_name in builtin_profiles():
        where = f"built-in profile {path_or_name}"
        text = resources.files("diagnostics.pipeline").joinpath("profiles", f"{path_or_name}.toml").read_text("utf-8")
        return parse_profile(text, where)
    path = Path(path_or_name)
    try:
        return parse_profile(read_text(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        known = ", ".join(builtin_profiles())
        raise ProfileError(f"{path}: expected a profile in TOML or one of {known}: {reason}") from error


def parse_profile(text: str, where: str) -> PipelineProfile:
    """The profile that this TOML text describes; `where` names it in errors."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists
        raise ProfileError(f"{where}: expected TOML: {error}") from error
    try:
        return check_states(check(msgspec.convert(_described(document, where), PipelineProfile), where), where)
    except msgspec.ValidationError as error:
        says, _, key = str(error).partition(" - at `")
        key = key.rstrip("`").removeprefix("$.") or "top level"
        allowed = CHOICES.get(key.rpartition(".")[2]) if "Invalid enum value" in says else None
        said = re.search(r"value '(.*)'|field `(.*)`", says)
        word = next(filter(None, said.groups()), "") if said else ""
        meant = nearest(word, allowed or (_fields(PipelineProfile) if "unknown field" in says else ()))
        says += f"; expected one of {', '.join(allowed)}" if allowed else ""
        says += f'; did you mean "{meant}"?' if meant else ""
        raise ProfileError(f"{where}: {key}: {says}") from error


def _fields(table: type[msgspec.Struct]) -> Iterator[str]:
    """The keys of a table and of all tables in it."""
    for field in msgspec.structs.fields(table):
        yield field.name
        for kind in (field.type, *get_args(field.type)):
            for inner in (kind, *get_args(kind)):
                if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                    yield from _fields(inner)


def _described(document: dict[str, Any], where: str) -> dict[str, Any]:
    """What of a file describes a pipeline: not its [settings], which are defaults of options; in a pyproject.toml, our table."""
    if PurePath(where).name == "pyproject.toml":
        document = document.get("tool", {}).get("pubsub-diag", {})
    return {key: value for key, value in document.items() if key != "settings"}


def builtin_profiles() -> tuple[str, ...]:
    """Names of the profiles that ship with the tool."""
    folder = resources.files("diagnostics.pipeline").joinpath("profiles")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def profile_of(subscription: str, *, project: str = "", region: str = "", completion: str = "") -> PipelineProfile:
    """The smallest profile: one or two push subscriptions, by short or full name. The sources derive the rest.

    Raises ProfileError when neither the name nor `project` says in which project it is.
    """
    named_project, name = _split(subscription)
    if not (named_project or project):
        raise ProfileError(f"{subscription}: expected --project, or a full name projects/P/subscriptions/S")
    home = named_project or project
    return PipelineProfile(
        name=name,
        project=home,
        region=region,
        request=LegProfile(subscription=name),
        completion=LegProfile(subscription=_in(home, completion)) if completion else None,
    )


def override(
    profile: PipelineProfile, *, project: str = "", region: str = "", subscription: str = ""
) -> PipelineProfile:
    """The profile with what the command line says instead; empty values change nothing. A subscription that is named in full is
    looked for in its own project."""
    if project:
        profile = msgspec.structs.replace(profile, project=project)
    if region:
        profile = msgspec.structs.replace(profile, region=region)
    if subscription:
        request = msgspec.structs.replace(profile.request, subscription=_in(profile.project, subscription))
        profile = msgspec.structs.replace(profile, request=request)
    return profile


def _in(project: str, subscription: str) -> str:
    """How a profile of this project names the subscription: by its short name, or in full where it is another project's."""
    named_project, name = _split(subscription)
    return name if named_project in ("", project) else subscription


def _split(subscription: str) -> tuple[str, str]:
    """(project or empty, short name)."""
    parts = subscription.split("/")
    if len(parts) == 4 and parts[0] == "projects" and parts[2] == "subscriptions":
        return parts[1], parts[3]
    if len(parts) != 1 or not parts[0]:
        raise ProfileError(f'expected a subscription name or projects/P/subscriptions/S, got "{subscription}"')
    return "", parts[0]
