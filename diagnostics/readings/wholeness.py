"""What was not seen whole. A claim of absence needs the whole: hidden, late or cut short, it proves nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from diagnostics.evidence.model import Evidence, EvidenceSet, Leg, Unseen, Why

Needed = type[Evidence] | tuple[type[Evidence], Leg]
"""A kind of evidence, on the leg in question or on one that is named."""


def kind_of(needed: Needed) -> type[Evidence]:
    return needed[0] if isinstance(needed, tuple) else needed


@dataclass(frozen=True)
class Wholeness:
    """Which kinds of evidence were hidden or cut short, on which leg."""

    gaps: frozenset[tuple[str, Leg | None]] = field(default_factory=frozenset)
    hidden: frozenset[str] = field(default_factory=frozenset)
    """Kinds among them that are there to be seen: asked for and configured, and refused, late, gone or cut."""
    cut: frozenset[tuple[str, Leg | None]] = field(default_factory=frozenset)
    """Those of which a part was seen: what rests on that part may rest on what is no longer so."""

    def missing(self, kinds: Iterable[Needed], leg: Leg) -> tuple[str, ...]:
        """Names of those kinds that were not seen whole on this leg or on the one that is named, or, belonging to none, at all."""
        asked = [k if isinstance(k, tuple) else (k, leg) for k in kinds]
        return tuple(k.__name__ for k, at in asked if {(k.__name__, at), (k.__name__, None)} & self.gaps)


def wholeness(evidence: EvidenceSet) -> Wholeness:
    gaps = [(key, found) for key, found in evidence.items() if _gap(found)]
    there = (kind for (kind, _), found in gaps if not isinstance(found, Unseen) or found.why not in _NOTHING_THERE)
    cut = (key for key, found in gaps if not isinstance(found, Unseen))
    return Wholeness(frozenset(key for key, _ in gaps), frozenset(there), frozenset(cut))


_NOTHING_THERE = (Why.NOT_CONFIGURED, Why.NOT_ASKED, Why.DEPENDS)


def _gap(found: Evidence | Unseen) -> bool:
    return isinstance(found, Unseen) or not found.source.complete


_FRESH = timedelta(minutes=2)
"""Log entries can be read seconds after they are written; what was read up to longer ago ends before the end."""


def to_the_end(found: Evidence, now: datetime) -> bool:
    """Whether the newest of it was read."""
    return found.source.complete or found.source.as_of >= now - _FRESH


def why_not_whole(found: Evidence | Unseen, but: Collection[Why] = ()) -> str:
    """Why it was not seen, or not whole; empty where it was, or where it is not there for one of the reasons `but`."""
    if isinstance(found, Unseen):
        return "" if found.why in but else found.says
    return "" if found.source.complete else found.source.note or "only part of it was read"
