"""What is told of a batch's size and cannot be: more done than it expects. Such a batch state is set aside, whatever place told it.

Two things leave a batch so that is as it should be: its number was lowered after the last completion, of which a line tells, or it was
lowered by items whose publishing was taken for failed and which arrived all the same. Else one of the two numbers is wrong, and nothing
tells which.
"""

from __future__ import annotations

from collections.abc import Iterable

from diagnostics.evidence.model import BatchMarks, BatchStatus, EvidenceSet, Mark, Means, Unseen, Why, seen


def contradiction(status: BatchStatus, told: Iterable[Mark]) -> str:
    """Why this state cannot be right; empty: nothing speaks against it. `told`: lines about batches."""
    if status.expected is None or status.completed is None:
        return ""
    own = [m for m in told if m.batch and m.batch == status.batch]
    if not too_many(status.completed, status.expected, own):
        return ""
    return f"the {status.source.source} says {status.completed} done of {status.expected} expected: not used"


def too_many(done: int, expected: int, own: Iterable[Mark]) -> bool:
    """Whether so many items cannot be done of so many that are expected, by what the batch's own lines say."""
    if done <= expected:
        return False
    own = list(own)
    counted = max((m.numbers.get("failed", 0) for m in own if m.means is Means.PUBLISHED), default=0)
    failed = max(counted, sum(1 for m in own if m.means is Means.PUBLISH_ERROR))
    lowered = any(m.means is Means.EXPECTED and m.numbers.get("expected") == expected for m in own)
    return not lowered and done > expected + failed


def believable(evidence: EvidenceSet) -> EvidenceSet:
    """The same without a batch state that cannot be right: that is unseen, with the reason."""
    status, marks = seen(evidence.get(BatchStatus)), seen(evidence.get(BatchMarks))
    if status is None or not (says := contradiction(status, marks.marks if marks else ())):
        return evidence
    return evidence.with_(BatchStatus, None, Unseen(what=BatchStatus.__name__, why=Why.FAILED, says=says))
