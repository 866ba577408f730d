"""Log lines that the profile's markers describe: the filter that finds them, and what they say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from sys import intern
from typing import Any

from diagnostics.evidence.model import (
    Mark,
    Means,
    Why,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Marker
from diagnostics.shell.commands import advice
from diagnostics.sources.entries import (
    STDERR,
    STDOUT,
    Lines,
    either,
    field,
    in_field,
    log_id,
    moment,
    of_lines,
    trace_id,
)
from diagnostics.sources.log_analytics import Texts
from diagnostics.sources.route import Receiver, Services

OF_BATCHES = frozenset(
    {
        Means.RECEIVED, Means.REFUSED, Means.PHASE, Means.CREATED, Means.GATE, Means.PUBLISH_ERROR, Means.PUBLISHED, Means.EMPTY,
        Means.CLOSED, Means.FORCED, Means.EXPECTED,
    }
)  # fmt: skip
"""Means of markers that tell the course of a batch; all others tell that of items."""

_COUNT = re.compile(r"[0-9]{1,9}")
"""What is captured as a count. A longer number is an id, or none."""

NAMES = ("batch", "item", "correlation", "date")
"""Captured names of what a line is about."""

WORDS = frozenset({"reason", "blocker", "topic", "phase"})
"""Captured names that are words even when they look like numbers."""


def marker_filter(markers: Iterable[Marker], services: Services) -> str:
    """A filter for the lines of these markers, of the services that are known; empty when none is."""
    return of_lines(marker_lines(markers, services))


def marker_lines(markers: Iterable[Marker], services: Services) -> list[Lines]:
    """What to ask for, by service and log."""
    return [
        Lines(of.receiver, of.logs, either(sorted({in_field(*text) for text in of.texts})), through_api=of.through_api)
        for of in text_lines(markers, services)
    ]


def text_lines(markers: Iterable[Marker], services: Services) -> list[Texts]:
    """The same, by what each line has to contain."""
    listed, asked = list(markers), []
    for role, receiver in (("coordinator", services.coordinator), ("worker", services.worker)):
        for log in sorted({m.log for m in listed if m.service == role}):
            texts = sorted({(m.field, m.contains) for m in listed if (m.service, m.log) == (role, log)})
            if receiver:
                asked.append(Texts(receiver, (log,) if log else (STDOUT, STDERR), tuple(texts), through_api=bool(log)))
    return asked


def marks_of(found: Iterable[Any], markers: Sequence[Marker], services: Services) -> tuple[Mark, ...]:
    """The marks in these entries, oldest first."""
    reads = reading(markers, services)
    lines = sorted(found, key=lambda e: (e.timestamp.seconds, e.timestamp.nanos, e.insert_id))  # as Google does
    return tuple(mark for entry in lines for mark in reads(entry))


def reading(markers: Sequence[Marker], services: Services) -> Callable[[Any], tuple[Mark, ...]]:
    """What an entry says by these markers."""
    reading = [(marker, re.compile(marker.pattern)) for marker in markers]
    roles = {r.service: role for role, r in (("worker", services.worker), ("coordinator", services.coordinator)) if r}
    return lambda entry: () if entry.HasField("http_request") else tuple(_marks(entry, reading, roles))


def may_hold(entry: Any, marker: Marker, roles: dict[str, str]) -> bool:
    """Whether an entry is of the log and the service of a marker. What is written through the API may name no service."""
    service = entry.resource.labels.get("service_name", "")
    if marker.log:
        return log_id(entry) == marker.log and (not service or roles.get(service, "") == marker.service)
    return log_id(entry) in ("", STDOUT, STDERR) and roles.get(service, "") == marker.service


def _marks(entry: Any, reading: list[tuple[Marker, re.Pattern[str]]], roles: dict[str, str]) -> Iterator[Mark]:
    texts: dict[str, str] = {}
    for marker, pattern in reading:
        if not may_hold(entry, marker, roles):
            continue
        text = texts.get(marker.field)
        if text is None:
            text = texts[marker.field] = field(entry, marker.field)
        if marker.contains.lower() not in text.lower():  # as the log query compares
            continue
        match = pattern.search(text)
        if match is None:
            continue
        captured = {name: value for name, value in match.groupdict().items() if value is not None}
        captured |= {name: value for name, path in marker.captures.items() if (value := field(entry, path))}
        yield _mark(marker.means, entry, marker.service, captured)


def _mark(means: Means, entry: Any, role: str, captured: dict[str, str]) -> Mark:
    """Names that many lines share are kept once: of a million lines, that is most of what is kept."""
    batch, item, correlation, date = (intern(captured.pop(name, "")) for name in NAMES)
    whole = {name for name, value in captured.items() if name not in WORDS and _COUNT.fullmatch(value)}
    return Mark(
        means=means,
        at=moment(entry.timestamp),
        service=role,
        batch=batch,
        item=item,
        correlation=correlation,
        date=date,
        revision=intern(entry.resource.labels.get("revision_name", "")),
        instance=intern(entry.labels.get("instanceId", "")),
        trace=intern(trace_id(entry)),
        numbers={name: int(captured[name]) for name in sorted(whole)},
        words={name: redact(captured[name], 200) for name in sorted(captured.keys() - whole)},
    )


def names(what: str, marker: Marker) -> str:
    """The field in which a line of the marker names its batch or item; empty: it does not."""
    return marker.captures.get(what) or (marker.field if f"(?P<{what}>" in marker.pattern else "")


def unnamed(services: Services, role: str, what: str, mend: str) -> NotSeen:
    """Why there is nothing to ask for: the service is not known, or the profile says too little."""
    known: Receiver | None = services.coordinator if role == "coordinator" else services.worker
    if known is None:
        why = f": {services.why}" if services.why else ""
        return NotSeen(
            Why.NOT_CONFIGURED,
            f"the {role} is not known{why}",
            mend=advice("name {role}.service in the profile", role=role),
        )
    return NotSeen(Why.NOT_CONFIGURED, f"the profile describes no {what}", mend=mend)
