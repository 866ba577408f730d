"""Recent log lines of both services: of frequent kinds a few, so that rare ones are among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from diagnostics.evidence.redaction import cleaner
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.run.propose.groups import Group, Line, groups
from diagnostics.sources.entries import (
    REQUESTS,
    STDERR,
    STDOUT,
    both,
    in_field,
    logs,
    of_service,
    quoted,
    text_of,
    trace_id,
)
from diagnostics.sources.route import Receiver, Services, log_places
from diagnostics.sources.search import search
from diagnostics.transport.clients import load
from diagnostics.transport.session import Session

ROUNDS = 3
"""Reads of each service's log: each leaves out what the ones before had enough of."""
PER_READ = 400
READS = 4
"""Pages of one read at most: Cloud Logging may answer in parts."""
ENOUGH = 40
"""Lines of one kind that tell all that can be told of it."""
MOST_LEFT_OUT = 12
LONGEST = 2000
_STARTS = re.compile(r"start|trigger|run|begin|batch", re.IGNORECASE)


def sample(session: Session, pipeline: PipelineProfile, known: Services, days: float) -> list[Line]:
    """Lines of the last `days` days, redacted. Raises NotSeen where the logs cannot be read."""
    clean = cleaner(pipeline.redact.patterns)
    places = log_places(pipeline, known.coordinator, known.worker)
    found: list[Line] = []
    for role, receiver in (("coordinator", known.coordinator), ("worker", known.worker)):
        if receiver is not None:
            found += _of(session, places, role, receiver, days, clean)
    return found


def start_path(session: Session, pipeline: PipelineProfile, known: Services, days: float) -> str:
    """The path of the coordinator that is called with POST and is not the one of its pushes, where there is one such path; of several
    the one that says so. Empty where that is not told. Raises NotSeen."""
    if known.coordinator is None:
        return ""
    asked = both(of_service(known.coordinator), logs(REQUESTS), 'httpRequest.requestMethod="POST"')
    pushed = pipeline.completion.push_path if pipeline.completion else ""
    if pushed:
        asked = both(asked, f"NOT httpRequest.requestUrl:{quoted(pushed)}")
    places = log_places(pipeline, known.coordinator, known.worker)
    since = session.now - timedelta(days=days)
    got = search(session, places, asked, since, session.now, most=PER_READ, reads=READS)
    paths = {urlsplit(entry.http_request.request_url).path for entry in got.items} - {pushed, "/", ""}
    told = [path for path in paths if _STARTS.search(path)]
    return next(iter(told if len(told) == 1 else paths if len(paths) == 1 else ()), "")


def _of(
    session: Session, places: Sequence[str], role: str, receiver: Receiver, days: float, clean: Any
) -> Iterator[Line]:
    lines: list[Line] = []
    until = session.now
    for _ in range(ROUNDS):
        known = [text for group in groups(lines) if len(group.lines) >= ENOUGH and (text := literal(group))]
        without = [f"NOT {in_field(group_field, text)}" for group_field, text in known[:MOST_LEFT_OUT]]
        asked = both(of_service(receiver), logs(STDOUT, STDERR), *without)
        try:
            got = search(session, places, asked, until - timedelta(days=days), until, most=PER_READ, reads=READS)
        except NotSeen:
            if lines:
                break
            raise
        new = [_line(role, entry, clean) for entry in got.items if not entry.HasField("http_request")]
        lines += new
        if len(got.items) < PER_READ or not new:
            break
    yield from lines


def literal(group: Group) -> tuple[str, str] | None:
    """The longest text that every line of the group has, with the field it stands in; None where that is too short to tell it by."""
    runs, run = [], ""
    for part in [*group.parts, None]:
        if part is None:
            runs.append(run)
            run = ""
        else:
            run += part
    longest = max(runs, key=lambda text: len(text.strip()), default="")
    return (group.field, longest.strip()) if sum(letter.isalpha() for letter in longest) >= 4 else None


def _line(role: str, entry: Any, clean: Any) -> Line:
    structured = entry.WhichOneof("payload") == "json_payload"
    fields = dict(_flat(load("google.protobuf.json_format").MessageToDict(entry.json_payload))) if structured else {}
    return Line(
        service=role,
        text="" if structured else clean(text_of(entry)[:LONGEST]),
        fields={name: clean(value[:LONGEST]) for name, value in fields.items()},
        trace=trace_id(entry),
    )


def _flat(value: dict[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{before}{name}.")
        elif isinstance(inner, float) and inner.is_integer():
            yield f"{before}{name}", str(int(inner))
        elif inner is not None and not isinstance(inner, list):
            yield f"{before}{name}", str(inner)
