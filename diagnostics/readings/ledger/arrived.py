"""What arrived on a leg's topic. The counter belongs to the whole topic: it bounds what of the batch can have come, once it goes
further than the batch's publishing."""

from __future__ import annotations

from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg, PublishCounts, Unseen, total
from diagnostics.readings.ledger.ledger import Ledger

COUNTED = timedelta(minutes=2)
"""After so long a message that was published would be counted: sampled within a minute, and a minute's slack."""


def arrived(ledger: Ledger, leg: Leg, counts: PublishCounts | Unseen) -> int | None:
    """So many items of the batch can have come onto the leg's topic, at most; None: nothing bounds them."""
    newest = _published(ledger, leg)
    if isinstance(counts, Unseen) or ledger.started is None or newest is None:
        return None
    if not counts.source.complete or counts.source.as_of < newest + COUNTED:
        return None
    return round(total(counts.messages, ledger.started - timedelta(minutes=1)))


def _published(ledger: Ledger, leg: Leg) -> datetime | None:
    """When the newest item of the batch was published to the leg's topic, at the latest; None: not known."""
    told = ledger.attempt.published if ledger.attempt and leg is Leg.REQUEST else None
    return told.at if told else ledger.last_progress
