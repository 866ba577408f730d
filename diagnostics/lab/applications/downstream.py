"""What the programs call in turn (tables, stores, feeds): healthy, slow or failing for a while."""

from __future__ import annotations

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


@dataclass
class Downstream:
    """Troubles by Cloud Run service name."""

    troubles: dict[str, list[Trouble]] = field(default_factory=dict)

    def add(self, service: str, trouble: Trouble) -> None:
        self.troubles.setdefault(service, []).append(trouble)

    def slowdown(self, service: str, at: float) -> float:
        return max((t.slowdown for t in self._at(service, at)), default=1.0)

    def errors(self, service: str, at: float) -> float:
        return max((t.errors for t in self._at(service, at)), default=0.0)

    def _at(self, service: str, at: float) -> list[Trouble]:
        troubles = self.troubles.get(service)
        return [t for t in troubles if t.since <= at < t.until] if troubles else []
