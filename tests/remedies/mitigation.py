"""The Mitigation of a page as `runbook show` prints it for one incident, step by step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from diagnostics.runbook.pages import PLACEHOLDERS
from tests.remedies.incident import Incident, names
from tests.runbooks.pages import YOURS, commands


@dataclass(frozen=True)
class Step:
    number: int
    commands: tuple[str, ...]
    """Those of its shell block, as they are printed."""
    prints: str
    """What it promises that they print."""
    otherwise: tuple[str, ...]
    """Commands that its "If not" names."""
    exists: bool
    """Whether it says that it does no harm if something is there already."""


def steps(incident: Incident, code: str) -> dict[int, Step]:
    """The steps that our own command prints, with this incident's names in them."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in names(incident).items() if value]
    said = incident.run(["runbook", "show", code, f"--leg={incident.leg.value}", *options])
    assert said.code == 0, said.err
    section = re.search(r"^## Mitigation\n(.*?)(?=^## )", said.out, re.MULTILINE | re.DOTALL)
    assert section is not None
    parts = re.split(r"^(\d+)\. ", section[1], flags=re.MULTILINE)[1:]
    found = {}
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        block = re.search(r"```sh\n.*?```", text, re.DOTALL)
        assert block is not None, text
        told, _, otherwise = text[block.end() :].partition("If not: ")
        given = tuple(commands(block[0])), " ".join(told.split()), tuple(commands(otherwise))
        found[int(number)] = Step(int(number), *given, "ALREADY_EXISTS is fine" in otherwise)
    return found


def filled(command: str, yours: Mapping[str, str]) -> str:
    """The command with what the reader puts in. Raises LookupError for what nobody said."""
    known = {name: worth for name, worth in yours.items() if worth}
    wanted = {*YOURS, *(name.upper() for name in PLACEHOLDERS), *known}
    pattern = rf"(?<![A-Za-z0-9_])({'|'.join(sorted(wanted, key=len, reverse=True))})(?![A-Za-z0-9_])"
    return re.sub(pattern, lambda match: known[match[1]], command)
