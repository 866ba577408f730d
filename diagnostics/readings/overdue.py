"""Items that were done minutes ago and whose completions have not come back, though those of items that were done later have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.ledger import Ledger, Life

_BACK_BY = timedelta(minutes=3)
"""After so long a completion that was published has come back, where others that were published later have."""


def overdue(ledger: Ledger, now: datetime) -> Sequence[Life]:
    """What they are; none where as many are seen to wait on the way back, or where none can lack; of what was not read there may be the
    line with which it came back. Their completions may never have been sent, or be lost."""
    back = [x.ended for x in ledger.lives if x.ended and x.stage in (Stage.RETURNED, Stage.RECORDED)]
    newest = max(back, default=None)
    if newest is None:
        return ()
    out = [x for x in ledger.lives if x.stage is Stage.PROCESSED and x.ended and not ledger.comes_again(x)]
    out = [x for x in out if x.done or not (x.skipped and ledger.given_up)]  # counted as failed, not as done
    late = [x for x in out if x.ended and x.ended < newest and now - x.ended > _BACK_BY]
    if ledger.unread_until:
        late = [x for x in late if x.ended and x.ended > ledger.unread_until]
    if ledger.gap(Stage.RETURNED)[1] == 0:
        return ()
    return late if (ledger.dead(Leg.COMPLETION).could_wait or 0) < len(late) else ()
