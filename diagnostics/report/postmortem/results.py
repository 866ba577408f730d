"""What the looks saw of a batch's results: whether what counts as done left anything."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis, Named
from diagnostics.keep.bundle import Bundle
from diagnostics.steps import subjects
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.outcome import claims
from diagnostics.steps.outcome.of_batch import UNREAD
from diagnostics.steps.processed.acked import FRUITLESS, UNWRITTEN

_NO_ROWS = (claims.MISSING, claims.OLDER)
_OF_LINES = (UNWRITTEN, FRUITLESS)
"""By the worker's own lines: what was done is not stored, or nothing came of it."""
_LACKING = frozenset(code.name for code in (*claims.LOST, *_OF_LINES))
_READ = frozenset((*(code.name for code in claims.LOST), claims.COMPLETE.name, claims.WRITTEN.name, claims.REDONE.name))
"""The results table was read."""


class Results(Struct, frozen=True, kw_only=True):
    """What one run saw of them."""

    at: datetime
    lacking: int
    """Items that count as done and have no results; 0: none are known to lack them."""
    of: int | None
    """Of so many that count as done; None: they were not counted one by one."""
    date: str = ""
    in_table: bool = True
    """Else by the worker's lines: nobody looked into a table."""
    at_most: bool = False
    """What the worker gave up is among them, for its lines were not seen."""
    no_rows: bool = False
    """The table had nothing at all of the batch."""
    redone: bool = False
    """A later batch did the date again."""

    @property
    def says(self) -> str:
        most = "up to " if self.at_most else ""
        return f"results of {most}{self.lacking} of {self.of} items that count as done"


def results(runs: Iterable[Bundle], batch: str) -> tuple[Results, ...]:
    """Of each run that saw any, oldest first."""
    found = ((run, _of_run(run, batch)) for run in runs)
    return tuple(results for _, results in found if results is not None)


def unread(runs: Iterable[Bundle], batch: str) -> bool:
    """Whether a run would have read them and could not."""
    return any(f.code == UNREAD.name for run in runs for f in _about(run, batch))


def _of_run(run: Bundle, batch: str) -> Results | None:
    at, findings = run.case.evidence.now, _about(run, batch)
    if not any(f.code in _READ for f in findings):
        return _by_lines(run, at)
    if any(f.code == claims.REDONE.name for f in findings):
        return Results(at=at, lacking=0, of=None, redone=True)
    lost = [one for code in claims.LOST for one in code.told(findings)]
    whole = list(claims.COMPLETE.told(findings))
    least = min((*lost, *whole), key=lambda one: one.found, default=None)
    if least is None:
        return Results(at=at, lacking=0, of=None)
    return Results(
        at=at,
        lacking=least.claimed - least.found,
        of=least.claimed,
        date=least.date_,
        at_most=not least.by_worker,
        no_rows=any(any(code.told(findings)) for code in _NO_ROWS),
    )


def _by_lines(run: Bundle, at: datetime) -> Results | None:
    """What the worker says itself of this batch's items, where nobody looked into a table."""
    if run.diagnosis is None or run.diagnosis.batch is None:
        return None
    findings = run.diagnosis.findings
    told = [(one.unwritten, one.back) for one in UNWRITTEN.told(findings)]
    told += [(one.empty, one.finished) for one in FRUITLESS.told(findings)]
    if not told:
        return None
    lacking, of = max(told)
    return Results(at=at, lacking=lacking, of=of, in_table=False)


def _about(run: Bundle, batch: str) -> list[Finding]:
    about = subjects.batch(batch)
    return [f for f in run.diagnosis.findings if f.subject == about] if run.diagnosis and about else []


def explains(cause: Named, said: Diagnosis) -> bool:
    """Whether a cause is about results that are not there."""
    if cause.role is Role.BENIGN:
        return False
    because = (*cause.because, *cause.hence)
    return any(f.code in _LACKING and f.says in because and f.status is not Status.OK for f in said.findings)


def still_lacking(found: Iterable[Results]) -> Results | None:
    """The newest look that saw some lacking, unless a later one saw them there.

    Rows of the date are no proof that items are among them which were known to lack theirs.
    """
    lack: Results | None = None
    for one in found:
        if one.lacking:
            lack = one
        elif lack and _there(one, lack):
            lack = None
    return lack


def healed(found: Iterable[Results]) -> tuple[Results, Results] | None:
    """The last look that saw some lacking, and the first one after it that saw them there; None: none lack, or some still do."""
    pair: tuple[Results, Results] | None = None
    lack: Results | None = None
    for one in found:
        if one.lacking:
            lack, pair = one, None
        elif lack and pair is None and _there(one, lack):
            pair = (lack, one)
    return pair


def _there(now: Results, lack: Results) -> bool:
    return now.redone or now.of is not None or (lack.no_rows and now.in_table)
