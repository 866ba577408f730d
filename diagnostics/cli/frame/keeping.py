"""Keep what a run saw, since nobody thinks of it at three in the morning. Nothing that goes wrong here costs the answer, or its time."""

from __future__ import annotations

import threading

from diagnostics.cli.frame import names, output, sharing
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import BatchMarks, Unseen
from diagnostics.keep import store
from diagnostics.run.investigate import Case

LONGEST_S = 3.0
"""So long the answer waits for it: a home on a server that does not answer is nobody's reason to wait. It usually takes milliseconds."""


def keep(case: Case, diagnosis: Diagnosis | None, quiet: bool) -> str:
    """The name of the kept run; empty when it was not kept, or not in time, with the reason on stderr."""
    done: list[str | Exception] = []

    def work() -> None:
        try:
            names.remember(batches=_batches(case, diagnosis), subscriptions=_subscriptions(case))
            done.append(_kept(case, diagnosis) if store.wanted(case) else "")
        except Exception as error:  # handed to the caller below
            done.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    if not done:
        output.tell(f"this run was not kept: the disk did not answer within {LONGEST_S:g} s", quiet)
        return ""
    if isinstance(done[0], store.NotKept):
        output.tell(f"this run was not kept: {done[0]}", quiet)
        return ""
    if isinstance(done[0], Exception):
        raise done[0]
    return done[0]


def _kept(case: Case, diagnosis: Diagnosis | None) -> str:
    """For the others first: whatever ends this run in between, one of the two places has it."""
    run = store.packed(case, diagnosis)
    sharing.keep_run(run)
    return store.save(run)


def _batches(case: Case, diagnosis: Diagnosis | None) -> list[str]:
    """What the shell may complete: the batch that was asked about first, then those of the log, newest first."""
    marks = case.evidence.get(BatchMarks)
    told = [] if isinstance(marks, Unseen) else [mark.batch for mark in reversed(marks.marks)]
    asked = diagnosis.batch.id if diagnosis and diagnosis.batch else ""
    return [batch for batch in dict.fromkeys((asked, *told)) if batch]


def _subscriptions(case: Case) -> list[str]:
    return [leg.subscription for leg in (case.profile.request, case.profile.completion) if leg]
