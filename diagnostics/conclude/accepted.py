"""Findings that the profile accepts until a day: they are said apart and do not count.

Only what was looked at and found wanting can be accepted: never what holds this batch, and never what is unknown. So no
acceptance hides why a batch is stuck, and none turns an unknown into a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import msgspec

from diagnostics.causes.catalogue import is_kind_of
from diagnostics.causes.match import Match
from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude.clauses import clause
from diagnostics.conclude.diagnosis import Suppressed
from diagnostics.evidence.model import Leg
from diagnostics.pipeline.profile import Accepted
from diagnostics.steps.finding import Bears, Finding, Status

_ACCEPTABLE = (Status.FAULT, Status.WARNING, Status.ADVICE)


class Sifted(NamedTuple):
    """What counts, and what was set apart."""

    findings: tuple[Finding, ...]
    counted: tuple[Finding, ...]
    """All findings, for the status: those set apart stand in it as ok, so that what is unknown beside them stays unknown."""
    verdict: Verdict
    suppressed: tuple[Suppressed, ...]


def sift(
    accepted: Sequence[Accepted],
    findings: Sequence[Finding],
    verdict: Verdict,
    now: datetime,
    says: Callable[[Match], str] = clause,
) -> Sifted:
    """Set apart what is accepted; `says` puts a cause into words.

    A cause takes along the findings that it alone explains; a cause none of whose abnormal findings is left goes with them.
    What was accepted until a day that is over counts again, and is listed with that day.
    """
    listed: list[Suppressed] = []
    gone: list[Live] = []
    for live in verdict.live:
        leg = live.match.leg if live.match.names_leg else None
        entry = _entry(accepted, live.match.cause.code, leg)
        if entry and live.role in (Role.LATENT, Role.WORSENS):
            worst = min((f.status for f in live.share.explained), key=_ACCEPTABLE.index, default=Status.WARNING)
            listed.append(_said(entry, live.match.cause.code, leg, worst, says(live.match), now))
            gone += [] if entry.over(now) else [live]
    kept = [live for live in verdict.live if live not in gone]
    apart = _ids(_explained(gone)) - _ids(_explained(kept))
    for finding in findings:
        entry = _entry(accepted, finding.code, finding.leg)
        if entry and _may_be(finding):
            listed.append(_said(entry, finding.code, finding.leg, finding.status, finding.says, now))
            apart |= set() if entry.over(now) else {id(finding)}
    apart &= _ids(filter(_may_be, findings))
    kept = [live for live in kept if not _emptied(live, apart)]
    left = tuple(f for f in verdict.unexplained if id(f) not in apart)
    return Sifted(
        findings=tuple(f for f in findings if id(f) not in apart),
        counted=tuple(msgspec.structs.replace(f, status=Status.OK) if id(f) in apart else f for f in findings),
        verdict=replace(verdict, live=tuple(kept), unexplained=left),
        suppressed=tuple(listed),
    )


def _entry(accepted: Sequence[Accepted], code: str, leg: Leg | None) -> Accepted | None:
    """The acceptance of this code, or of what it is a special case of, on this leg; of several, the one that lasts longest."""
    fitting = [a for a in accepted if is_kind_of(code, a.code) and (a.leg is None or a.leg is leg)]
    return max(fitting, key=lambda a: a.until, default=None)


def _said(entry: Accepted, code: str, leg: Leg | None, status: Status, says: str, now: datetime) -> Suppressed:
    return Suppressed(
        code=code, leg=leg, status=status, says=says, until=entry.until, reason=entry.reason, over=entry.over(now)
    )


def _may_be(finding: Finding) -> bool:
    return finding.status in _ACCEPTABLE and finding.bears is not Bears.HOLDS


def _emptied(live: Live, apart: set[int]) -> bool:
    """Whether everything abnormal that the cause rests on was set apart."""
    wanting = _ids(f for f in live.match.because if f.abnormal)
    return live.role is not Role.BLOCKS and bool(wanting) and wanting <= apart


def _explained(live: Iterable[Live]) -> Iterator[Finding]:
    return (f for one in live for f in one.share.explained)


def _ids(findings: Iterable[Finding]) -> set[int]:
    return {id(f) for f in findings}
