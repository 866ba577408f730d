"""What the programs call in turn (tables, stores, feeds): healthy, slow or failing for a while."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trouble:
    """A time in which what a service calls is slow or fails."""

    since: float
    until: float
    added_s: float = 0.0
    """Seconds added to the work of each item."""
    errors: float = 0.0
    """Share of calls that fail, 0 to 1."""
    error: str = ""
    """The reason that the program then gives; empty: its usual one. rate_limited makes it answer 429."""


@dataclass
class Downstream:
    """Troubles by Cloud Run service name."""

    troubles: dict[str, list[Trouble]] = field(default_factory=dict)

    def add(self, service: str, trouble: Trouble) -> None:
        self.troubles.setdefault(service, []).append(trouble)

    def at(self, service: str, moment: float) -> Trouble | None:
        """The worst trouble of a service at a moment."""
        troubles = [t for t in self.troubles.get(service, ()) if t.since <= moment < t.until]
        return max(troubles, key=lambda t: (t.errors, t.added_s), default=None)
