"""Keep what a run saw, since nobody thinks of it at three in the morning. Nothing that goes wrong here costs the answer."""

from __future__ import annotations

from diagnostics.causes.diagnosis import Diagnosis
from diagnostics.cli import output
from diagnostics.evidence import store
from diagnostics.investigate import Case


def keep(case: Case, diagnosis: Diagnosis | None, quiet: bool) -> str:
    """The name of the kept run; empty when it was not kept, with the reason on stderr."""
    if not store.wanted(case):
        return ""
    try:
        return store.keep(case, diagnosis)
    except store.NotKept as why:
        output.tell(f"this run was not kept: {why}", quiet)
    return ""
