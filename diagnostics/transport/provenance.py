"""Where a piece of evidence came from, said the same way by every source."""

from __future__ import annotations

from datetime import datetime

from diagnostics.evidence.model import Provenance
from diagnostics.transport.call import Pages
from diagnostics.transport.session import Session


def provenance(
    session: Session, source: str, query: str, by_hand: str, *, as_of: datetime | None = None, of: Pages | None = None
) -> Provenance:
    """`as_of` is the run's now unless the source lags; `of` is the list answer that says whether it is complete."""
    return Provenance(
        source=source,
        query=query,
        by_hand=by_hand,
        fetched_at=session.now,
        as_of=as_of or session.now,
        complete=of.complete if of else True,
        note=of.note if of else "",
    )
