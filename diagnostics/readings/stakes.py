"""What is at stake for the batch, by arithmetic: how much may be missing before it cannot close, and whether it is over."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger


@dataclass(frozen=True)
class Stakes:
    """What a cause can do to the batch that was asked about."""

    over: bool = False
    """The batch is closed with its work done, or does not exist: nothing blocks or worsens it any more."""
    seen: bool = True
    """Whether anything tells of the batch's items. What no item is known to have met cannot hold the batch."""
    forgiven: int = 0
    """Items that may stay behind: the batch closes all the same."""


def stakes_of(ledger: Ledger, profile: PipelineProfile) -> Stakes:
    over = ledger.known_batch is False or (bool(ledger.closed) and not ledger.hollow)
    return Stakes(over=over, seen=ledger.told, forgiven=forgiven(ledger, profile))


def cut_short(ledger: Ledger, profile: PipelineProfile) -> bool:
    """Whether a closed batch lacked more when it was closed than its closing rule forgives, or may have: closed by hand or by age, and
    nothing tells how much was done by then."""
    most = forgiven(ledger, profile)
    if ledger.short > most:
        return True
    if not ledger.forced:
        return False
    return ledger.closed_with is None or ledger.expected is None or ledger.expected - ledger.closed_with > most


def forgiven(ledger: Ledger, profile: PipelineProfile) -> int:
    """Items that may be missing when the batch closes, by the share that its closing rule asks for."""
    share = profile.closing.share if profile.closing else 1.0
    return floor((ledger.expected or 0) * (1 - share) + 1e-9)
