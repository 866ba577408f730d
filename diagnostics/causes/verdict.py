"""Decide which causes are live. Abductive, and small enough to follow by hand (parsimonious covering, Reggia and Peng):

1. Every unrefuted cause with decisive evidence of its own is named.
2. For abnormal findings that are still unexplained, the smallest set of unrefuted causes that explains them; ties by earliest onset.
3. What nothing explains stays unexplained, and is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from diagnostics.causes.model import Board, Cause, Confidence, Role
from diagnostics.evidence.model import STAGES, Leg
from diagnostics.steps.finding import Bears, Finding, Status

_SLACK = timedelta(minutes=2)
"""Metrics are sampled a minute apart and logs carry the begin or the end of a request: onsets this close count as one."""
_MOST = 3
"""Largest set of causes that may share the explanation of what is left."""


@dataclass(frozen=True)
class Match:
    """One cause that fits on one leg."""

    cause: Cause
    leg: Leg
    because: tuple[Finding, ...]
    decisive: bool
    explained: tuple[Finding, ...]
    """Abnormal findings that it accounts for."""

    @property
    def since(self) -> datetime | None:
        return min((f.since for f in self.because if f.since), default=None)

    @property
    def names_leg(self) -> bool:
        return any(f.leg for f in self.because)


@dataclass(frozen=True)
class Live:
    """A cause that is named, with its role and how sure that is."""

    match: Match
    role: Role
    confidence: Confidence
    held: int = 0
    """Items of the batch that it holds, as far as its findings tell."""


@dataclass(frozen=True)
class Verdict:
    live: tuple[Live, ...]
    """Blocking ones first, then by stage."""
    refuted: tuple[tuple[Cause, Leg, tuple[Finding, ...]], ...]
    unexplained: tuple[Finding, ...]

    @property
    def blocking(self) -> tuple[Live, ...]:
        return tuple(x for x in self.live if x.role is Role.BLOCKS)


def decide(catalogue: Sequence[Cause], findings: Sequence[Finding], legs: Sequence[Leg], over: bool) -> Verdict:
    """The verdict on these findings. `over`: the batch is done, so nothing blocks or worsens it any more."""
    matches, refuted = _matches(catalogue, findings, legs)
    abnormal = [f for f in findings if f.abnormal and not f.informational]
    named = [m for m in matches if m.decisive]
    left = _unexplained(abnormal, named)
    indecisive = [m for m in matches if not m.decisive and not m.cause.benign]
    chosen = _cover(left, indecisive)
    rivals = [m for m in indecisive if m not in chosen and any(f in left for f in m.explained)]
    named += chosen
    left = _unexplained(abnormal, named)
    live = [_live(m, rivals, left, over) for m in named]
    live += [_live(m, [*rivals, *chosen], left, over) for m in rivals if _ties(m, chosen)]
    if any(x.role is Role.BLOCKS for x in live):
        live = [x for x in live if not (x.match.cause.benign and x.match.cause.family == "artefact" and _hopeful(x))]
    return Verdict(tuple(sorted(live, key=_rank)), tuple(refuted), tuple(left))


def _matches(
    catalogue: Sequence[Cause], findings: Sequence[Finding], legs: Sequence[Leg]
) -> tuple[list[Match], list[tuple[Cause, Leg, tuple[Finding, ...]]]]:
    matches: list[Match] = []
    refuted: list[tuple[Cause, Leg, tuple[Finding, ...]]] = []
    for cause in catalogue:
        for leg in cause.legs:
            if leg not in legs and any(f.leg is leg for f in findings) is False and leg is not Leg.REQUEST:
                continue
            board = Board(findings, leg)
            because = cause.requires.match(board)
            if because is None or (not because and not cause.benign):
                continue
            against = cause.refutes.match(board) if cause.refutes else None
            if against:
                refuted.append((cause, leg, against))
                continue
            decisive = cause.decisive.match(board) if cause.decisive else None
            accounts = {c.name for c in cause.explains} | {f.code for f in because}
            onset = min((f.since for f in because if f.since), default=None)
            explained = tuple(
                f for f in board.findings if f.abnormal and f.code in accounts and _not_before(onset, f, because)
            )
            matches.append(Match(cause, leg, _distinct((*(decisive or ()), *because)), decisive is not None, explained))
    return _once(matches), refuted


def _not_before(onset: datetime | None, finding: Finding, because: tuple[Finding, ...]) -> bool:
    """A cause explains nothing that began before it; what it rests on is its own."""
    if finding in because or onset is None or finding.since is None:
        return True
    return finding.since >= onset - _SLACK or finding.code.endswith("old_backlog")


def _once(matches: list[Match]) -> list[Match]:
    """A cause whose findings belong to no leg is the same on both."""
    kept: list[Match] = []
    for match in matches:
        twin = any(m.cause is match.cause and _ids(m.because) == _ids(match.because) for m in kept)
        if not twin:
            kept.append(match)
    return kept


def _unexplained(abnormal: Iterable[Finding], named: Iterable[Match]) -> list[Finding]:
    explained = {id(f) for m in named for f in m.explained}
    return [f for f in abnormal if id(f) not in explained]


def _cover(left: Sequence[Finding], candidates: Sequence[Match]) -> list[Match]:
    """The smallest set of candidates that explains as much of what is left as all of them together could."""
    useful = [m for m in candidates if any(f in left for f in m.explained)]
    reach = {id(f) for m in useful for f in m.explained if f in left}
    if not reach:
        return []
    for size in range(1, min(_MOST, len(useful)) + 1):
        covering = [c for c in combinations(useful, size) if reach <= {id(f) for m in c for f in m.explained}]
        if covering:
            return list(min(covering, key=_onsets))
    return list(useful[:_MOST])


def _distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple({id(f): f for f in findings}.values())


def _ids(findings: Iterable[Finding]) -> set[int]:
    return {id(f) for f in findings}


def _onsets(matches: Iterable[Match]) -> float:
    return min((m.since.timestamp() for m in matches if m.since), default=float("inf"))


def _ties(match: Match, chosen: Sequence[Match]) -> bool:
    """Whether it explains all that a chosen one does, so that nothing found tells the two apart."""
    return any(_ids(c.explained) <= _ids(match.explained) for c in chosen)


def _live(match: Match, rivals: Sequence[Match], left: Sequence[Finding], over: bool) -> Live:
    role = _role(match, over)
    confidence = Confidence.PROBABLE
    if match.decisive:
        confidence = Confidence.CONFIRMED
        if role is Role.BLOCKS and any(_disturbs(f, match) for f in left):
            confidence = Confidence.PROBABLE
    elif any(_ids(r.explained) & _ids(match.explained) for r in rivals):
        confidence = Confidence.POSSIBLE
    return Live(match, role, confidence, max((f.held for f in match.explained), default=0))


def _role(match: Match, over: bool) -> Role:
    if match.cause.benign:
        return Role.BENIGN
    if over:
        return Role.LATENT
    bears = {f.bears for f in (*match.explained, *match.because) if f.status is not Status.OK}
    if Bears.HOLDS in bears and not match.cause.never_blocks:
        return Role.BLOCKS
    if Bears.HOLDS in bears or Bears.SLOWS in bears:
        return Role.WORSENS
    return Role.LATENT


def _disturbs(finding: Finding, match: Match) -> bool:
    """An unexplained fault that holds items at or upstream of this cause's stage, on its leg, keeps it from being confirmed."""
    upstream = STAGES.index(finding.stage) <= STAGES.index(match.cause.stage)
    return finding.bears is Bears.HOLDS and upstream and finding.leg in (match.leg, None)


def _hopeful(live: Live) -> bool:
    """ "Still running" and "too early" say nothing once something is known to block."""
    return live.match.cause.code in ("still-running", "too-early")


def _rank(live: Live) -> tuple[int, int, int, int, str]:
    roles = [Role.BLOCKS, Role.WORSENS, Role.LATENT, Role.BENIGN]
    match = live.match
    return roles.index(live.role), -live.held, -len(match.explained), STAGES.index(match.cause.stage), match.cause.code
