"""Decide which causes are live, what each does to the batch, and how sure that is. What nothing explains is part of the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from diagnostics.causes.attribute import Share, attribute
from diagnostics.causes.match import Match, Refuted, distinct, fitting
from diagnostics.causes.model import Cause, Confidence, Role
from diagnostics.causes.role import acts, confidence, held, roles
from diagnostics.evidence.model import STAGES, Leg
from diagnostics.readings.stakes import Stakes
from diagnostics.readings.wholeness import Wholeness
from diagnostics.steps import requested
from diagnostics.steps.finding import Bears, Finding, Kind, Status


@dataclass(frozen=True)
class Live:
    """A cause that is named, with its role and how sure that is."""

    share: Share
    role: Role
    confidence: Confidence
    held: int = 0
    """Items of the batch that it holds, as far as its findings tell."""

    @property
    def match(self) -> Match:
        return self.share.match

    @property
    def since(self) -> datetime | None:
        """Its own onset: that of its mechanism where something tells it, else its first own effect."""
        own = [f for f in distinct((*self.match.because, *self.share.own)) if f.abnormal and f.since]
        mechanism = [f.since for f in own if f.kind is Kind.MECHANISM and f.since]
        return min(mechanism or [f.since for f in own if f.since], default=self.match.onset)

    @property
    def met(self) -> bool:
        """Whether messages meet it now."""
        return acts(self.share)

    @property
    def until(self) -> datetime | None:
        """When it was last seen, if all that it rests on and all that it did is over. What shows its end has none itself."""
        did = [f for f in self.share.own if f.kind is not Kind.NOTE]
        own = [f for f in self.share.own if f.abnormal] or did or list(self.share.own)
        ended = [f.until for f in own if f.until]
        return max(ended) if ended and len(ended) == len(own) else None


@dataclass(frozen=True)
class Verdict:
    live: tuple[Live, ...]
    """Blocking ones first; of one role what messages meet now, then by stage."""
    refuted: tuple[Refuted, ...]
    unexplained: tuple[Finding, ...]
    """What was found and no named cause accounts for, the gravest first."""
    over: bool = False

    @property
    def blocking(self) -> tuple[Live, ...]:
        return tuple(x for x in self.live if x.role is Role.BLOCKS)

    @property
    def nameless(self) -> tuple[Finding, ...]:
        """Faults that hold items of the batch now and that no cause of the catalogue accounts for."""
        if self.over:
            return ()
        return tuple(
            f
            for f in self.unexplained
            if f.status is Status.FAULT
            and f.bears is Bears.HOLDS
            and f.until is None
            and f.kind is not Kind.CONSEQUENCE
        )

    @property
    def held(self) -> bool:
        """Whether anything that was found, named or not, holds the batch."""
        return bool(self.blocking or self.nameless)


def decide(
    catalogue: Sequence[Cause],
    findings: Sequence[Finding],
    legs: Sequence[Leg],
    stakes: Stakes | None = None,
    whole: Wholeness | None = None,
) -> Verdict:
    """The verdict on these findings: what is at stake gives the roles, what was seen whole how sure they are."""
    at_stake = stakes or Stakes()
    matches, refuted = fitting(catalogue, findings, legs)
    shares, unexplained = attribute(matches, findings)
    latest = not any(f.code == requested.LATER.name and f.status is Status.UNKNOWN for f in findings)
    live = [
        Live(share, role, confidence(share, role, unexplained, whole or Wholeness(), latest), held(share))
        for share, role in zip(shares, roles(shares, at_stake), strict=True)
    ]
    verdict = Verdict(tuple(sorted(live, key=_rank)), tuple(refuted), tuple(unexplained), at_stake.over)
    if verdict.held:
        kept = tuple(x for x in verdict.live if not (x.match.cause.benign and x.match.cause.hopeful))
        return Verdict(kept, verdict.refuted, verdict.unexplained, verdict.over)
    return verdict


def _rank(live: Live) -> tuple[int, int, bool, int, str]:
    order = [Role.BLOCKS, Role.WORSENS, Role.LATENT, Role.BENIGN]
    cause = live.match.cause
    stage = STAGES.index(cause.stage)  # of what is as it should be, that the batch is done comes first
    return order.index(live.role), -live.held, not live.met, -stage if live.role is Role.BENIGN else stage, cause.code
