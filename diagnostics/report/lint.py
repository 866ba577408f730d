"""The audit of a project as text: a block for each push subscription, the worst first, then the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.report.escape import clean_all
from diagnostics.report.layout import Layout
from diagnostics.report.text import LOUDEST_FIRST, command_of
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.words import count

INDENT = 9


class Audited(Protocol):
    """What is reported: `diagnostics.run.lint.Audit`, which knows how it came about."""

    @property
    def project(self) -> str: ...
    @property
    def diagnoses(self) -> Sequence[Diagnosis]: ...
    @property
    def project_wide(self) -> Sequence[Finding]: ...
    @property
    def pulled(self) -> int: ...
    @property
    def note(self) -> str: ...


def render(found: Audited, layout: Layout, verbose: bool = False, short: bool = False) -> str:
    """`short`: the totals and the faulty subscriptions by name."""
    blocks = [] if short else [_block(clean_all(d), layout, verbose) for d in found.diagnoses]
    return "\n".join([*blocks, *_totals(found, layout)]) + "\n"


def _block(said: Diagnosis, layout: Layout, verbose: bool) -> str:
    word = said.status.value.upper()
    lines = [f"{layout.paint(word)}{' ' * (INDENT - len(word))}{said.pipeline.pipeline}"]
    told = [f for f in said.findings if verbose or f.status not in (Status.OK, Status.IDLE)]
    for finding in sorted(told, key=lambda f: LOUDEST_FIRST.index(f.status)):
        lines.append(
            layout.wrap(" " * INDENT, f"{finding.status.value} {finding.code}: {finding.says}", indent=INDENT + 2)
        )
        if command := command_of(finding):
            lines.append(layout.wrap(f"{' ' * INDENT}  {command.word}  ", command.line))
    lines += [layout.wrap(" " * INDENT, f"accepted {s.code} until {s.until} ({s.reason})") for s in said.suppressed]
    return "\n".join(lines)


def _totals(found: Audited, layout: Layout) -> Iterator[str]:
    by_status = Counter(d.status for d in found.diagnoses)
    told = ", ".join(f"{by_status[s]} {s.value}" for s in LOUDEST_FIRST if by_status[s])
    advice = sum(any(f.status is Status.ADVICE for f in d.findings) for d in found.diagnoses)
    total = f"{count(len(found.diagnoses), 'push subscription')} in {found.project}" + (f": {told}" if told else "")
    yield layout.wrap("", total + (f"; {advice} with advice" if advice else "") + _pulled(found.pulled))
    for finding in map(clean_all, found.project_wide):
        yield layout.wrap("", f"{finding.status.value} {finding.code}: {finding.says}", indent=2)
    if found.note:
        yield layout.wrap("", f"not all were looked at: {found.note}", indent=2)


def _pulled(pulled: int) -> str:
    return f"; {count(pulled, 'pull subscription')} not looked at" if pulled else ""
