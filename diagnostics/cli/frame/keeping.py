"""Keep what a run saw, since nobody thinks of it at three in the morning. Nothing that goes wrong here costs the answer."""

from __future__ import annotations

from diagnostics.cli.frame import names, output
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import BatchMarks, Unseen
from diagnostics.keep import store
from diagnostics.run.investigate import Case


def keep(case: Case, diagnosis: Diagnosis | None, quiet: bool) -> str:
    """The name of the kept run; empty when it was not kept, with the reason on stderr."""
    names.remember(batches=_batches(case, diagnosis), subscriptions=_subscriptions(case))
    if not store.wanted(case):
        return ""
    try:
        return store.keep(case, diagnosis)
    except store.NotKept as why:
        output.tell(f"this run was not kept: {why}", quiet)
    return ""


def _batches(case: Case, diagnosis: Diagnosis | None) -> list[str]:
    """What the shell may complete: the batch that was asked about first, then those of the log, newest first."""
    marks = case.evidence.get(BatchMarks)
    told = [] if isinstance(marks, Unseen) else [mark.batch for mark in reversed(marks.marks)]
    asked = diagnosis.batch.id if diagnosis and diagnosis.batch else ""
    return [batch for batch in dict.fromkeys((asked, *told)) if batch]


def _subscriptions(case: Case) -> list[str]:
    return [leg.subscription for leg in (case.profile.request, case.profile.completion) if leg]
