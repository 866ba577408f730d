"""Who did what: each mechanism and effect goes to the causes that can have it, and consequences follow.

1. A cause that is settled by its own evidence has what it claims.
2. What is left goes to the fewest causes that are not settled, the one that claims most first (parsimonious covering, Reggia and
   Peng). Those that claim exactly the same cannot be told apart: they are one group of alternatives.
3. A consequence follows from what was attributed; failing that, from what nothing explains. Else it is unexplained itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from diagnostics.causes.consequences import AFTER, follows, follows_in_part
from diagnostics.causes.match import Match, distinct
from diagnostics.steps.finding import Bears, Finding, Kind, Status


@dataclass(frozen=True)
class Share:
    """What one cause accounts for."""

    match: Match
    own: tuple[Finding, ...]
    """What it rests on, and the effects that are its doing."""
    follows: tuple[Finding, ...]
    """What follows from those."""
    rivals: tuple[str, ...] = ()
    """Codes of causes that account for the same just as well: it is one of them."""

    @property
    def explained(self) -> tuple[Finding, ...]:
        return tuple(f for f in distinct((*self.own, *self.follows)) if f.abnormal)


def attribute(matches: Sequence[Match], findings: Sequence[Finding]) -> tuple[list[Share], list[Finding]]:
    """What each named cause accounts for, and what nothing does, the gravest first."""
    abnormal = [f for f in findings if f.abnormal and f.kind is not Kind.NOTE]
    direct = [f for f in abnormal if f.kind is not Kind.CONSEQUENCE]
    chosen: list[tuple[Match, tuple[str, ...]]] = [(m, ()) for m in matches if m.settled]
    open_ones = [m for m in matches if not m.settled and not m.cause.benign]
    left = _unclaimed(direct, (m for m, _ in chosen))
    loose = [f for f in abnormal if f.kind is Kind.CONSEQUENCE and not follows(f, direct)]
    chosen += _cover([*left, *loose], open_ones)
    taken = {id(f) for f in direct} - {id(f) for f in left}
    own = [(m, rivals, _own(m, direct, frozenset() if m.settled else taken)) for m, rivals in chosen]
    nobodys = _unclaimed(direct, (m for m, _ in chosen))
    shares = [Share(m, mine, _follow(abnormal, mine), rivals) for m, rivals, mine in own]
    return shares, _unexplained(abnormal, nobodys, shares)


def _own(match: Match, direct: Iterable[Finding], taken: Set[int]) -> tuple[Finding, ...]:
    """What it rests on and claims, but for what is `taken` by causes that are settled."""
    return tuple(f for f in distinct((*match.because, *(f for f in direct if match.claims(f)))) if id(f) not in taken)


def _unclaimed(direct: Iterable[Finding], matches: Iterable[Match]) -> list[Finding]:
    named = list(matches)
    return [f for f in direct if not any(m.claims(f) for m in named)]


def _cover(left: Sequence[Finding], candidates: Sequence[Match]) -> list[tuple[Match, tuple[str, ...]]]:
    chosen: list[tuple[Match, tuple[str, ...]]] = []
    rest = list(left)
    while rest:
        claims = [(m, frozenset(id(f) for f in rest if m.claims(f))) for m in candidates]
        most = max((c for _, c in claims), key=len, default=frozenset[int]())
        if not most:
            break
        alike = [m for m, c in claims if c == most]
        codes = [m.cause.code for m in alike]
        chosen += [(m, tuple(c for c in codes if c != m.cause.code)) for m in alike]
        rest = [f for f in rest if id(f) not in most]
        candidates = [m for m in candidates if m not in alike]
    return chosen


def _follow(abnormal: Iterable[Finding], own: Sequence[Finding]) -> tuple[Finding, ...]:
    """Consequences that these can have, alone or beside others."""
    return tuple(f for f in abnormal if f.code in AFTER and f not in own and _partly(f, own))


def _partly(finding: Finding, own: Sequence[Finding]) -> bool:
    return any(follows_in_part(finding, one) for one in own if one.abnormal)


def _unexplained(abnormal: Sequence[Finding], nobodys: Sequence[Finding], shares: Sequence[Share]) -> list[Finding]:
    owned = [f for s in shares for f in s.own]
    taken = {id(f) for f in owned}
    sources = [f for f in owned if f.abnormal]
    loose = [
        f
        for f in abnormal
        if f.kind is Kind.CONSEQUENCE and id(f) not in taken and not follows(f, [*sources, *nobodys])
    ]
    return sorted((*nobodys, *loose), key=_gravity)


def _gravity(finding: Finding) -> tuple[bool, bool, int]:
    return (
        finding.bears is not Bears.HOLDS,
        finding.status is not Status.FAULT,
        (Kind.MECHANISM, Kind.EFFECT, Kind.CONSEQUENCE, Kind.NOTE).index(finding.kind),
    )
