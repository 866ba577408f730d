"""The name that may have been meant, where one was asked for that nothing knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from diagnostics.evidence.model import BatchMarks, EvidenceSet, OpenBatches, seen


def nearest(name: str, known: Iterable[str]) -> str:
    """Of the known names the one most like it; empty: none is like it."""
    return next(iter(get_close_matches(name, sorted({one for one in known if one}), 1)), "")


def nearest_batch(name: str, evidence: EvidenceSet) -> str:
    """Of the batches that the coordinator's log or the batch state names."""
    marks, open_ones = seen(evidence.get(BatchMarks)), seen(evidence.get(OpenBatches))
    named = [mark.batch for mark in marks.marks] if marks else []
    return nearest(name, [*named, *(one.batch for one in (open_ones.batches if open_ones else ()))])
