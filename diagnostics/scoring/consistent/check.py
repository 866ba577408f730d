"""An answer never contradicts itself: every figure, role, time and command that it prints is held against all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Evidence, EvidenceSet
from diagnostics.scoring.consistent import causes, commands, figures, printing, rows
from diagnostics.scoring.consistent.answer import Answer

RULES: tuple[Callable[[Answer], Iterator[str]], ...] = (
    figures.headline,
    figures.counts,
    figures.finishes,
    figures.as_json,
    figures.paces,
    rows.here,
    rows.adds_up,
    rows.descends,
    rows.held,
    rows.items,
    rows.recovery,
    rows.over,
    causes.roles,
    causes.headline,
    causes.left_open,
    causes.confidence,
    causes.onset,
    causes.ended,
    causes.hidden,
    causes.cleared,
    printing.templates,
    printing.concluded,
    printing.past,
    printing.limits,
    commands.legs,
    commands.offered,
)


def contradictions(found: Diagnosis, cut: Mapping[str, frozenset[int]] | None = None) -> tuple[str, ...]:
    """What the answer says against itself; `cut`: what was read in part, and how many lines of it were read."""
    answer = Answer(found, cut or {})
    return tuple(f"contradicts: {says}" for rule in RULES for says in dict.fromkeys(rule(answer)))


def read_in_part(evidence: EvidenceSet) -> dict[str, frozenset[int]]:
    """Kinds of evidence of which not all was read, and how many there are of each thing that was."""
    cut: dict[str, frozenset[int]] = {}
    for (kind, _), one in evidence.items():
        if isinstance(one, Evidence) and not one.source.complete:
            lists = (getattr(one, name) for name in one.__struct_fields__)
            lengths = {len(listed) for listed in lists if isinstance(listed, tuple)}
            cut[kind] = cut.get(kind, frozenset()) | lengths
    return cut
