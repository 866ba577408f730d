"""What a place says of a batch, as evidence: the profile's fields of a JSON object, each checked. Nothing that is said is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from diagnostics.evidence.model import BatchStatus, Provenance, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import BatchStateProfile

MOST_ITEMS = 100_000
MOST = 100_000_000
"""No batch has so many items: a larger number is none."""
TEXT = 200
"""Characters of a text that are kept."""


def status_of(
    state: BatchStateProfile,
    source: Provenance,
    batch: str,
    said: Mapping[str, Any],
    updated: datetime | None = None,
) -> BatchStatus:
    """The evidence in what was said of this batch. Raises NotSeen where it is not what the profile describes, or cannot be true.

    `updated`: when it was last written, where the place itself knows.
    """
    told = _Said(state, said)
    completed = told.field("completed", state.completed)
    expected, done = told.number("expected", state.expected), told.number("completed", state.completed)
    if expected is None and done is None:
        keys = ", ".join(redact(str(key), 40) for key in sorted(map(str, said))[:20]) or "none"
        raise NotSeen(
            Why.FAILED, f"the {state.name} has neither {state.expected} nor {state.completed}; its fields: {keys}"
        )
    named = told.field("batch", "batch_id") or told.field("batch", "batch")
    if isinstance(named, str) and named and named != batch:
        raise NotSeen(Why.FAILED, f"the {state.name} answered about another batch: {redact(named, 80)}")
    forced = _forced(state, told.field("forced", state.forced))
    closed = _closed(state, told.field("closed", state.closed))
    return BatchStatus(
        source=source,
        batch=batch,
        exists=True,
        expected=expected,
        completed=done,
        failed=told.number("failed", state.failed),
        closed=bool(forced) or closed,
        items=tuple(redact(str(name), TEXT) for name in completed) if isinstance(completed, list | dict) else None,
        forced=forced,
        closed_at=told.moment("closed_at", state.closed_at),
        updated=told.moment("updated", state.updated) or updated,
    )


class _Said:
    """The object that was said, read through the paths of the profile."""

    def __init__(self, state: BatchStateProfile, said: Mapping[str, Any]) -> None:
        self._state = state
        self._said = said

    def field(self, name: str, path: str) -> Any:
        """The first of a field's paths that the answer has; None when it has none."""
        for candidate in (path, *self._state.alternatives.get(name, ())):
            value: Any = self._said
            for part in candidate.split(".") if candidate else ():
                value = value.get(part) if isinstance(value, Mapping) else None
            if candidate and value is not None:
                return value
        return None

    def number(self, name: str, path: str) -> int | None:
        """How many: a count, or what is listed by name."""
        value = self.field(name, path)
        if value is None:
            return None
        if isinstance(value, list | dict):
            if len(value) > MOST_ITEMS:
                raise self._impossible(name, f"a list of {len(value)}")
            return len(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._impossible(name, f"{_shown(value)}, where a number was expected")
        if value != value or not 0 <= value <= MOST or value != int(value):
            raise self._impossible(name, f"{value}, which no number of items can be")
        return int(value)

    def moment(self, name: str, path: str) -> datetime | None:
        """A time, with its zone; None where none is stated."""
        value = self.field(name, path)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise self._impossible(name, f"{_shown(value)}, where a time in RFC 3339 was expected") from None
        if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
            raise self._impossible(name, f"{_shown(value)}, where a time in RFC 3339, with its zone, was expected")
        return None if value is None else value.astimezone(UTC)

    def _impossible(self, name: str, what: str) -> NotSeen:
        return NotSeen(Why.FAILED, f"what the {self._state.name} says cannot be used: {name} is {what}")


def _shown(value: Any) -> str:
    return f'"{redact(value, 60)}"' if isinstance(value, str) else redact(repr(value), 60)


def _closed(state: BatchStateProfile, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    return str(value) == state.closed_when if state.closed_when else None


def _forced(state: BatchStateProfile, value: Any) -> str:
    if value in (None, False, "") or (state.forced_when and str(value) != state.forced_when):
        return ""
    return redact(str(value), TEXT)
