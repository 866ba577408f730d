"""Is there nothing to do, for reasons that are right? A reason is right if the profile lists it; a gate's reasons come with counts."""

from __future__ import annotations

from diagnostics.evidence.model import Mark
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger.attempts import Attempt

TOTALS = ("count", "of")
"""Numbers of a gate's line that are no reason."""


def by_design(attempt: Attempt | None, closed: bool, profile: PipelineProfile) -> bool:
    """Whether the coordinator says that there is nothing to do, and listed reasons account for every item that it kept back."""
    empty = attempt.empty if attempt else None
    if attempt is None or empty is None or attempt.failed_to_publish:
        return False
    reason = empty.words.get("reason", "")
    if reason and not listed(reason, profile):
        return False
    if attempt.gate and reasons_of(attempt.gate):
        return uncovered(attempt.gate, profile) == 0
    return bool(reason) or closed


def reasons_of(gate: Mark) -> dict[str, int]:
    """Why the gate kept items back, and how many for each reason, as far as its line tells."""
    return {name: number for name, number in gate.numbers.items() if name not in TOTALS and number}


def uncovered(gate: Mark, profile: PipelineProfile) -> int:
    """Items that the gate kept back for a reason that the profile does not list, or for none that it tells."""
    kept = max(gate.numbers.get("of", 0) - gate.numbers.get("count", 0), 0)
    return max(kept - sum(n for name, n in reasons_of(gate).items() if listed(name, profile)), 0)


def listed(reason: str, profile: PipelineProfile) -> bool:
    """Whether the profile lists this reason, as a part of what is said; a captured name counts as its words."""
    said = _words(reason)
    return any(_words(right) in said for right in profile.empty_reasons)


def _words(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())
