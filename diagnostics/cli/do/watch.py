"""What `pubsub-diag watch` does: look cheaply again and again, look thoroughly when it stalls, and say how it stands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic, sleep

import msgspec

from diagnostics.cli.frame import keeping, names, opening, output, times
from diagnostics.cli.frame.bar import Bar
from diagnostics.cli.frame.options import Access
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Diagnosis, Exit, State
from diagnostics.evidence.model import Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.nearest import nearest, nearest_batch
from diagnostics.report import text
from diagnostics.report.escape import clean, clean_all
from diagnostics.run.investigate import Case, investigate
from diagnostics.run.look import see
from diagnostics.run.watch import Glance, Sample, glance
from diagnostics.runbook import incident
from diagnostics.shell.commands import command
from diagnostics.steps.requested import UNKNOWN_BATCH
from diagnostics.transport.rpcs import LOG_ENTRIES
from diagnostics.transport.session import LabError, Session

LOG_READ_COSTS_S = 10.0
"""Each read of the logs is paid for with this much time: six a minute, of the sixty that a project has (Logging quotas page)."""
ENDS = {State.DONE: Exit.OK, State.STALLED: Exit.FAULT, State.RUNNING: Exit.WARNING, State.UNKNOWN: Exit.UNKNOWN}
"""How it ends: with RUNNING, that time was over."""
LASTING = (Why.PERMISSION_DENIED, Why.NOT_CONFIGURED, Why.SIGN_IN, Why.DEPENDS)
"""Gaps that do not close by asking again."""


def watch(asked: Access, batch: str, lasting: str) -> int:
    """Watch until the batch is done, stalls, or the time is over. Gives the exit code."""
    length = times.parse(lasting, "--for")
    if not isinstance(length, timedelta):
        raise Trouble(f"--for {lasting!r}: expected a length of time like 20m or 2h")
    session, profile = opening.opened(asked)
    with Bar(sys.stderr, asked.quiet) as bar:
        ended, whole = _Watch(session, profile, batch, asked, bar).until_over(length)
    return _said(ended, whole)


class _Watch:
    """One batch under watch."""

    def __init__(self, session: Session, profile: PipelineProfile, batch: str, asked: Access, bar: Bar) -> None:
        self._session = session
        self._profile = profile
        self._ask = Ask(batch=batch)
        self._asked = asked
        self._bar = bar
        self._looks: list[Sample] = []
        self._told: Glance | None = None
        self._unknown = False
        """Neither the log nor the batch state knows the batch that was named."""

    def until_over(self, length: timedelta) -> tuple[Glance, Diagnosis | None]:
        """The last glance, and the diagnosis if there was a reason for one. Over is when either clock says so: in the lab, its own
        runs differently."""
        until, stop = self._session.now + length, monotonic() + length.total_seconds()
        while True:
            case = see(self._session, self._profile, "watch", self._ask)
            now = self._glance(case)
            self._show(now)
            reads = _log_reads(case)
            if self._unknown:
                raise Trouble(f"{self._ask.batch}: {now.says}", _nearest(self._ask.batch, case))
            if now.state is State.DONE:
                return now, None
            if now.state in (State.STALLED, State.FAILED):
                whole = self._whole()
                if whole.state is State.DONE:
                    return msgspec.structs.replace(now, state=State.DONE), whole
                if whole.state is not State.RUNNING:
                    return now, whole
                now = msgspec.structs.replace(now, state=State.RUNNING)
                reads += _calls_of(whole)
            if now.state is State.UNKNOWN and _hopeless(case):
                return now, self._whole()
            left = min((until - self._session.now).total_seconds(), stop - monotonic())
            if left <= 0:
                return now, None
            self._wait(min(max(reads, 1) * LOG_READ_COSTS_S, left))

    def _glance(self, case: Case) -> Glance:
        found = investigate(case, catalogue=())
        self._unknown = any(f.code == UNKNOWN_BATCH.name for f in found.findings)
        now = glance(found, case.evidence, self._looks)
        if now.batch and not self._ask.batch:
            self._ask = msgspec.structs.replace(self._ask, batch=now.batch)  # this one, even if another is started
        if now.done is not None and now.batch:
            self._looks.append(Sample(now.at, now.done))
        return now

    def _whole(self) -> Diagnosis:
        """All that `batch` looks at. It may know better: then the watch goes on."""
        case = see(self._session.again(self._asked.timeout), self._profile, "batch", self._ask)
        diagnosis = investigate(case)
        keeping.keep(case, diagnosis, self._asked.quiet)
        return incident.with_fixes(diagnosis, case)

    def _show(self, now: Glance) -> None:
        self._bar.show(now)
        if now.changed(self._told) and not sys.stdout.isatty():
            output.answer(_line(clean_all(now)))
        self._told = now

    def _wait(self, seconds: float) -> None:
        lab = self._session.lab
        sleep(seconds / (lab.pace if lab and lab.pace else 1.0))
        try:
            self._session = self._session.later(self._asked.timeout)
        except LabError as error:
            raise Trouble(str(error)) from error


def _said(ended: Glance, whole: Diagnosis | None) -> int:
    """Print what the watch came to. A start attempt that made no batch has the exit code of its diagnosis."""
    terminal = sys.stdout.isatty()
    if whole is not None:
        said = text.render(whole, output.page()) if terminal else _line({"diagnosis": clean_all(whole)})
        output.answer(said)
    elif terminal:
        counts = f"{'?' if ended.done is None else ended.done}/{'?' if ended.expected is None else ended.expected}"
        word = {State.DONE: "OK  done", State.RUNNING: "WARNING  time is over, still moving"}
        gaps = "".join(f"not seen  {clean(says)}\n" for says in ended.not_seen)
        output.answer(f"{word.get(ended.state, 'UNKNOWN  cannot tell')}: {clean(ended.batch)} {counts}\n{gaps}")
    if ended.state is State.FAILED:
        return int(whole.exit_code) if whole else int(Exit.FAULT)
    return int(ENDS[ended.state])


def _nearest(named: str, case: Case) -> str:
    """The batch that may have been meant, of those that this look saw, or that earlier runs came across."""
    near = nearest_batch(named, case.evidence) or nearest(named, names.complete_batch(""))
    return command("pubsub-diag watch {batch}", batch=near) if near else "pubsub-diag batches"


def _line(said: object) -> str:
    return msgspec.json.encode(said, order="deterministic").decode() + "\n"


def _log_reads(case: Case) -> int:
    return sum(call.name == LOG_ENTRIES.name for call in case.calls)


def _calls_of(diagnosis: Diagnosis) -> int:
    return sum(call.name == LOG_ENTRIES.name for call in diagnosis.calls)


def _hopeless(case: Case) -> bool:
    """Whether what hides the progress stays as it is."""
    gaps: Sequence[Unseen] = [u for u in case.evidence.unseen() if u.what in ("BatchMarks", "ItemMarks", "BatchStatus")]
    return len(gaps) == 3 and all(gap.why in LASTING for gap in gaps)
