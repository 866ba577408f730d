"""What was not seen whole. A claim of absence needs the whole: hidden, late or cut short, it proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from diagnostics.evidence.model import Evidence, EvidenceSet, Leg, Unseen


@dataclass(frozen=True)
class Wholeness:
    """Which kinds of evidence were hidden or cut short, on which leg."""

    gaps: frozenset[tuple[str, Leg | None]] = field(default_factory=frozenset)

    def missing(self, kinds: Iterable[type[Evidence]], leg: Leg) -> tuple[str, ...]:
        """Names of those kinds that were not seen whole on this leg, or, belonging to none, at all."""
        return tuple(k.__name__ for k in kinds if {(k.__name__, leg), (k.__name__, None)} & self.gaps)


def wholeness(evidence: EvidenceSet) -> Wholeness:
    return Wholeness(frozenset((kind, leg) for (kind, leg), found in evidence.items() if _gap(found)))


def _gap(found: Evidence | Unseen) -> bool:
    return isinstance(found, Unseen) or not found.source.complete
