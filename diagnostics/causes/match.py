"""Which causes fit on which leg: their mechanism was seen and nothing refutes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from diagnostics.causes.consequences import MET_NOW, SLACK
from diagnostics.causes.model import Board, Cause
from diagnostics.evidence.model import Leg
from diagnostics.steps.finding import Finding, Kind


@dataclass(frozen=True)
class Match:
    """One cause that fits on one leg."""

    cause: Cause
    leg: Leg
    because: tuple[Finding, ...]
    """What it rests on."""
    settled: bool
    """What settles it alone was seen, too."""
    over: bool = False
    """What shows that it is over was seen, too."""

    @cached_property
    def onset(self) -> datetime | None:
        """When it began, by its own mechanism and effects; by what follows from them only where they do not tell."""
        own = [f for f in self.because if f.kind is not Kind.CONSEQUENCE and f.since]
        return min((f.since for f in own or self.because if f.since), default=None)

    @cached_property
    def past(self) -> bool:
        """Whether all that it rests on by itself has come to an end."""
        own = [f for f in self.because if f.kind in (Kind.MECHANISM, Kind.EFFECT)]
        return bool(own) and all(f.until for f in own)

    @property
    def names_leg(self) -> bool:
        return any(f.leg for f in self.because)

    def claims(self, finding: Finding) -> bool:
        """Whether the finding is its own: what it rests on, or an effect that it has, on its leg, once it had begun; of what
        is met now, only while it goes on."""
        if any(f is finding for f in self.because):
            return True
        here = finding.leg in (self.leg, None)
        if finding.code not in (self.cause.effect_codes if here else self.cause.elsewhere_codes):
            return False
        if self.past and finding.code in MET_NOW and finding.abnormal and finding.until is None:
            return False
        onset = self.onset
        return onset is None or finding.since is None or finding.since >= onset - SLACK


class Refuted(NamedTuple):
    cause: Cause
    leg: Leg
    against: tuple[Finding, ...]


def fitting(
    catalogue: Iterable[Cause], findings: Sequence[Finding], legs: Sequence[Leg]
) -> tuple[list[Match], list[Refuted]]:
    """All matches, in the catalogue's order, and what was seen against those that would have fitted."""
    matches: list[Match] = []
    refuted: list[Refuted] = []
    for cause in catalogue:
        for leg in cause.legs:
            if leg is Leg.COMPLETION and leg not in legs and not any(f.leg is leg for f in findings):
                continue
            board = Board(findings, leg)
            because = cause.requires.match(board)
            if because is None or (not because and not cause.benign):
                continue
            against = cause.refutes.match(board) if cause.refutes else None
            if against:
                refuted.append(Refuted(cause, leg, against))
                continue
            settles = cause.decisive.match(board) if cause.decisive else None
            ended = cause.over.match(board) if cause.over else None
            rests = distinct((*(settles or ()), *because, *(ended or ())))
            matches.append(Match(cause, leg, rests, settles is not None, bool(ended)))
    return _once(matches), refuted


def distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple({id(f): f for f in findings}.values())


def _once(matches: Sequence[Match]) -> list[Match]:
    """A cause whose findings belong to no leg is the same on both."""
    kept: dict[tuple[str, frozenset[int]], Match] = {}
    for match in matches:
        kept.setdefault((match.cause.code, frozenset(map(id, match.because))), match)
    return list(kept.values())
