"""Readers of formats for which no package has one: workflow commands as GitHub's runner reads them, and Nagios plugin output."""

from __future__ import annotations

import re
from dataclasses import dataclass

REPLACED = {"%0D": "\r", "%0A": "\n", "%25": "%"}
IN_PROPERTIES = {**REPLACED, "%3A": ":", "%2C": ","}


@dataclass(frozen=True)
class Command:
    name: str
    properties: dict[str, str]
    message: str


def workflow_command(line: str) -> Command:
    """A line as the runner understands it: after leading blanks `::name key=value,…::message`. Raises ValueError."""
    if not (
        found := re.fullmatch(r"\s*::(?P<name>[A-Za-z-]+)(?: (?P<properties>[^:]*))?::(?P<message>[^\r\n]*)", line)
    ):
        raise ValueError(f"not a workflow command: {line!r}")
    pairs = [pair.split("=", 1) for pair in (found["properties"] or "").split(",") if pair]
    properties = {key.strip(): _unescaped(value, IN_PROPERTIES) for key, value in pairs}
    return Command(found["name"], properties, _unescaped(found["message"], REPLACED))


def _unescaped(text: str, replaced: dict[str, str]) -> str:
    """Percent last, or an escaped percent would begin another escape."""
    for escape, character in sorted(replaced.items(), key=lambda pair: pair[0] == "%25"):
        text = text.replace(escape, character)
    return text


@dataclass(frozen=True)
class Perfdatum:
    value: float | None
    """None: U, the value could not be had."""
    unit: str
    warn: str
    critical: str
    least: float | None
    most: float | None


@dataclass(frozen=True)
class PluginOutput:
    service: str
    status: str
    text: str
    perfdata: dict[str, Perfdatum]
    long_text: tuple[str, ...]


_STATUS = re.compile(
    r"(?P<service>\S+) (?P<status>OK|WARNING|CRITICAL|UNKNOWN) - (?P<text>[^|\n]*)(?: \| (?P<perfdata>[^|\n]+))?"
)
_NUMBER = r"-?\d+(?:\.\d+)?"
_DATUM = re.compile(
    rf"(?P<label>'(?:[^'=|]|'')+'|[^'=\s|]+)=(?:U|(?P<value>{_NUMBER})(?P<unit>us|ms|s|%|[KMGT]?B|c|))"
    rf"(?:;(?P<warn>[-\d.:@~]*)(?:;(?P<critical>[-\d.:@~]*)(?:;(?P<least>{_NUMBER})?(?:;(?P<most>{_NUMBER})?)?)?)?)?(?=\s|$)"
)
"""'label'=value[unit];[warn];[crit];[min];[max], as the Monitoring Plugins development guidelines have it."""


def plugin_output(text: str) -> PluginOutput:
    """What Nagios reads of a plugin: the status line, its performance data, long text without any more. Raises ValueError."""
    first, *rest = text.splitlines()
    status = _STATUS.fullmatch(first)
    if not status or any("|" in line for line in rest):
        raise ValueError(f"not the output of a plugin: {first!r}")
    return PluginOutput(
        status["service"], status["status"], status["text"], perfdata(status["perfdata"] or ""), tuple(rest)
    )


def perfdata(text: str) -> dict[str, Perfdatum]:
    found: dict[str, Perfdatum] = {}
    at = 0
    while at < len(text):
        datum = _DATUM.match(text, at)
        if datum is None:
            raise ValueError(f"not performance data: {text[at:]!r}")
        label = datum["label"].strip("'").replace("''", "'")
        if label in found:
            raise ValueError(f"label twice: {label}")
        found[label] = Perfdatum(
            value=float(datum["value"]) if datum["value"] else None,
            unit=datum["unit"] or "",
            warn=datum["warn"] or "",
            critical=datum["critical"] or "",
            least=float(datum["least"]) if datum["least"] else None,
            most=float(datum["most"]) if datum["most"] else None,
        )
        at = datum.end() + 1
    return found
