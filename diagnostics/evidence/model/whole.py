"""All evidence of one run, seen and unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from diagnostics.evidence.model.base import Evidence, Leg, Unseen, Why

E = TypeVar("E", bound=Evidence)
Key = tuple[str, Leg | None]


class EvidenceSet:
    """All evidence of one run, seen and unseen, by kind and leg. Read-only once built."""

    def __init__(
        self,
        seen: Mapping[Key, Evidence | Unseen],
        now: datetime,
        lookback: timedelta,
        since: datetime,
        looked_at: datetime | None = None,
    ) -> None:
        self._seen = dict(seen)
        self.now = now
        """The moment that the evidence speaks of: that of the run, or the end of a past window; nothing downstream reads a clock."""
        self.looked_at = looked_at or now
        """The moment of the run."""
        self.lookback = lookback
        self.since = since
        """Begin of the window that minute-resolution evidence covers."""

    def get(self, kind: type[E], leg: Leg | None = None) -> E | Unseen:
        """The evidence of this kind, or the reason why it was not seen."""
        key = (kind.__name__, leg if kind.per_leg else None)
        found = self._seen.get(key)
        if found is None:
            return Unseen(what=kind.__name__, leg=key[1], why=Why.NOT_ASKED, says="this command does not look at it")
        if isinstance(found, Unseen):
            return found
        if not isinstance(found, kind):
            raise TypeError(f"{key} holds {type(found).__name__}")
        return found

    def with_(self, kind: type[Evidence], leg: Leg | None, found: Evidence | Unseen) -> EvidenceSet:
        """The same set and one piece more, which nobody fetched: it was handed in."""
        more = {**self._seen, (kind.__name__, leg): found}
        return EvidenceSet(more, self.now, self.lookback, self.since, self.looked_at)

    def items(self) -> Iterator[tuple[Key, Evidence | Unseen]]:
        yield from self._seen.items()

    def unseen(self) -> tuple[Unseen, ...]:
        return tuple(e for e in self._seen.values() if isinstance(e, Unseen))


def seen(found: E | Unseen) -> E | None:
    """The evidence, or None when it was not seen."""
    return None if isinstance(found, Unseen) else found
