"""What the programs call in turn (tables, stores, feeds): healthy, slow or failing for a while."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trouble:
    """A time in which what a service calls is slow or fails."""

    since: float
    until: float
    slowdown: float = 1.0
    """Work takes this many times as long."""
    errors: float = 0.0
    """Share of calls that fail, 0 to 1."""
    added_s: float = 0.0
    """Seconds added to the work of each item."""
    error: str = ""
    """The reason that the program then gives; empty: its usual one. rate_limited makes it answer 429."""


@dataclass
class Downstream:
    """Troubles by Cloud Run service name."""

    troubles: dict[str, list[Trouble]] = field(default_factory=dict)

    def add(self, service: str, trouble: Trouble) -> None:
        self.troubles.setdefault(service, []).append(trouble)

    def stretch(self, service: str, moment: float, work_s: float) -> float:
        """Seconds that work of this length takes at a moment."""
        trouble = self.at(service, moment)
        return work_s * trouble.slowdown + trouble.added_s if trouble else work_s

    def fails(self, service: str, moment: float, rng: random.Random) -> Trouble | None:
        """The trouble that makes this call fail, if it does."""
        trouble = self.at(service, moment)
        return trouble if trouble and rng.random() < trouble.errors else None

    def at(self, service: str, moment: float) -> Trouble | None:
        """The worst trouble of a service at a moment."""
        if service not in self.troubles:
            return None
        troubles = [t for t in self.troubles[service] if t.since <= moment < t.until]
        return max(troubles, key=lambda t: (t.errors, t.slowdown, t.added_s), default=None)
