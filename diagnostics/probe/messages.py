"""What a pulled message says, by the profile's paths. Redacted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from diagnostics.evidence.model import Peeked
from diagnostics.evidence.redact import redact, redact_name, redact_value
from diagnostics.evidence.redaction import Cleaner, cleaner
from diagnostics.pipeline.profile import MessageProfile
from diagnostics.probe.peek import Came, Peek
from diagnostics.sources.entries import moment

LONGEST_NAME, LONGEST_VALUE, LONGEST_DATA = 120, 100, 4000


def read(
    found: Peek, profile: MessageProfile | None, show_data: bool, patterns: Iterable[str] = ()
) -> tuple[Peeked, ...]:
    """What came, oldest first. `patterns`: of what the profile wants to be taken out, too."""
    clean = cleaner(patterns)
    read = [_one(came, profile, show_data, clean) for came in found.came.values()]
    return tuple(sorted(read, key=lambda m: (m.published, m.id)))


def _one(came: Came, profile: MessageProfile | None, show_data: bool, clean: Cleaner) -> Peeked:
    message = came.received.message

    def told(text: str, most: int) -> str:
        return redact(clean(text), most)  # whole first: what is cut in two is no match any more

    content, unreadable = _content(message.data) if profile else ({}, "")
    named = profile or MessageProfile()
    return Peeked(
        id=message.message_id,
        published=moment(message.publish_time),
        size=len(message.data),
        batch=told(_name(content, named.batch), LONGEST_NAME),
        item=told(_name(content, named.item), LONGEST_NAME),
        missing=() if unreadable else tuple(p for p in named.required if _at(content, p) in (None, "", [], {})),
        unreadable=unreadable,
        attributes={
            told(redact_name(k), LONGEST_NAME): told(redact_value(k, v), LONGEST_VALUE)
            for k, v in sorted(message.attributes.items())
        },
        ordered=bool(message.ordering_key),
        attempts=came.received.delivery_attempt,
        times=came.times,
        data=told(message.data.decode("utf-8", "replace"), LONGEST_DATA) if show_data else "",
    )


def _content(data: bytes) -> tuple[dict[str, Any], str]:
    """(the JSON object in the data, why there is none)."""
    if not data:
        return {}, "it has no data"
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return {}, "its data is not JSON"
    if not isinstance(content, dict):
        return {}, "its data is JSON, but no object"
    return content, ""


def _name(content: dict[str, Any], path: str) -> str:
    value = _at(content, path) if path else None
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _at(content: Any, path: str) -> Any:
    """The value at a dotted path; None where it is not."""
    for part in _parts(path):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _parts(path: str) -> Iterator[str]:
    yield from path.split(".")
