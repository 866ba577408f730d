"""What a place says of a batch, as evidence: the profile's fields of a JSON object, each checked. Nothing that is said is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from diagnostics.evidence.model import BatchStatus, Provenance, Why
from diagnostics.evidence.redact import redact, redact_name
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import BatchStateProfile

MOST_ITEMS = 100_000
MOST = 100_000_000
"""No batch has so many items: a larger number is none."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
ZEROS = ("0001-01-01T00:00:00", "1970-01-01T00:00:00")
"""Times that programs write where they mean none."""
AHEAD = timedelta(days=1)
"""A clock may be ahead, and not by so much."""
TEXT = 200
"""Characters of a text that are kept."""


def status_of(
    state: BatchStateProfile,
    source: Provenance,
    batch: str,
    said: Mapping[str, Any],
    updated: datetime | None = None,
    created: datetime | None = None,
) -> BatchStatus:
    """The evidence in what was said of this batch. Raises NotSeen where it is not what the profile describes, or cannot be true.

    `updated`: when it was last written, `created`: when it was made, where the place itself knows.
    """
    told = _Said(state, said, source.as_of)
    expected, done = told.number("expected", state.expected), told.number("completed", state.completed)
    if expected is None and done is None:
        keys = ", ".join(_name(key) for key in sorted(map(str, said))[:20]) or "none"
        raise NotSeen(
            Why.FAILED, f"the {state.name} has neither {state.expected} nor {state.completed}; its fields: {keys}"
        )
    named = told.field("batch", "batch_id") or told.field("batch", "batch")
    if isinstance(named, str) and named and named != batch:
        raise NotSeen(Why.FAILED, f"the {state.name} answered about another batch: {redact(named, 80)}")
    forced = _forced(state, told.word("forced", state.forced))
    closed = _closed(state, told.word("closed", state.closed))
    return BatchStatus(
        source=source,
        batch=batch,
        exists=True,
        expected=expected,
        completed=done,
        failed=told.number("failed", state.failed),
        closed=bool(forced) or closed,
        items=told.names("completed", state.completed),
        forced=forced,
        closed_at=told.moment("closed_at", state.closed_at),
        created=created,
        updated=told.moment("updated", state.updated) or updated,
    )


class _Said:
    """The object that was said, read through the paths of the profile."""

    def __init__(self, state: BatchStateProfile, said: Mapping[str, Any], now: datetime) -> None:
        self._now = now
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
            return len(self._named(name, value))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._impossible(name, f"{_shown(value)}, where a number was expected")
        if value != value or not 0 <= value <= MOST or value != int(value):
            raise self._impossible(name, f"{_shown(value)}, which no number of items can be")
        return int(value)

    def names(self, name: str, path: str) -> tuple[str, ...] | None:
        """What is listed by name; None where it is not listed."""
        value = self.field(name, path)
        return self._named(name, value) if isinstance(value, list | dict) else None

    def _named(self, name: str, value: list[Any] | dict[Any, Any]) -> tuple[str, ...]:
        """The names in a list or table, each once: an item that is listed twice is done once."""
        if len(value) > MOST_ITEMS:
            raise self._impossible(name, f"a list of {len(value)}, more than {MOST_ITEMS}")
        for one in value:
            if isinstance(one, bool) or not isinstance(one, str | int) or one == "":
                raise self._impossible(name, f"a list that holds {_shown(one)}, where names of items were expected")
        return tuple(dict.fromkeys(redact(str(one), TEXT) for one in value))

    def word(self, name: str, path: str) -> Any:
        """A boolean, a word, a number or a time: what a state can be called."""
        value = self.field(name, path)
        if isinstance(value, list | dict) or value != value:
            raise self._impossible(name, f"{_shown(value)}, where yes, no or a word was expected")
        return value

    def moment(self, name: str, path: str) -> datetime | None:
        """A time, with its zone; None where none is stated, or a zero stands for none."""
        value = self.field(name, path)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise self._impossible(name, f"{_shown(value)}, where a time in RFC 3339 was expected") from None
        if value is None:
            return None
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise self._impossible(name, f"{_shown(value)}, where a time in RFC 3339, with its zone, was expected")
        if value.isoformat()[:19] in ZEROS:
            return None
        if not EARLIEST < value < self._now + AHEAD:
            raise self._impossible(name, f"{value.isoformat()}, a time that has not been")
        return value.astimezone(UTC)

    def _impossible(self, name: str, what: str) -> NotSeen:
        return NotSeen(Why.FAILED, f"what the {self._state.name} says cannot be used: {name} is {what}")


def _name(key: str) -> str:
    return redact(redact_name(key), 40)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{redact(value, 60)}"'
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST:
        return f"a number of {value.bit_length()} bits"
    return (
        f"a {'list' if isinstance(value, list) else 'table'}"
        if isinstance(value, list | dict)
        else redact(repr(value), 60)
    )


def _closed(state: BatchStateProfile, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    return str(value) == state.closed_when if state.closed_when else None


def _forced(state: BatchStateProfile, value: Any) -> str:
    if value in (None, False, "") or (state.forced_when and str(value) != state.forced_when):
        return ""
    return redact(str(value), TEXT)
