"""Which finished items were acked without a completion, by what the topic took and what came back of it.

Two counts tell, each of them a lower bound:
* the whole topic took fewer messages than the batch has finished items. What came later, or is other batches', only adds to them;
* each message that it took has a line of the coordinator that took it up. What was finished before, and is in none of these lines, was in
  none of the messages.
An item that the worker says it could not report is none of these: it has a reason of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import ItemMarks, Leg, Mark, Means, PublishCounts, Stage, total
from diagnostics.readings.ledger import Ledger, Life

CLIENT_TRIES = timedelta(minutes=10)
"""So long Google's client libraries try to publish a message before they give up, with the settings that they come with."""


@dataclass(frozen=True)
class Silent:
    """Finished items that did not come back, of which so many at least were never published."""

    open_ones: tuple[Life, ...]
    never: int


def silent(ledger: Ledger, sent: PublishCounts, marks: ItemMarks, errors: Sequence[Mark], least: int) -> Silent | None:
    """None where nothing tells of any. `errors`: lines about completions that could not be published; one that names no item may be of
    any, and so may one that was not read."""
    if ledger.started is None or (errors and not (marks.source.complete and all(m.item for m in errors))):
        return None
    finished = [x for x in ledger.lives if (x.done or x.skipped) and x.ended and not x.unreported]
    newest = max((x.ended for x in finished if x.ended), default=None)
    if newest is None:
        return None
    since, as_of = ledger.started - timedelta(minutes=1), sent.source.as_of
    until = as_of if newest < as_of and not errors else as_of - CLIENT_TRIES
    early = [x for x in finished if x.ended and x.ended <= until]
    open_ones = tuple(x for x in early if x.stage is Stage.PROCESSED)
    never = len(early) - round(total(sent.messages, since))
    if _all_have_lines(ledger, sent, marks, since, as_of - CLIENT_TRIES):
        never = max(never, sum(1 for x in open_ones if x.ended and x.ended <= as_of - CLIENT_TRIES))
    never = min(never, least, len(open_ones))
    return Silent(open_ones, never) if never > 0 else None


def _all_have_lines(ledger: Ledger, sent: PublishCounts, marks: ItemMarks, since: datetime, until: datetime) -> bool:
    """Whether each message that the topic took until then was taken up by the coordinator, by its own lines. What it takes up again, having
    failed to record it, has more lines than one."""
    back = ledger.dead(Leg.COMPLETION)
    if back.could_wait != 0 or back.most or not marks.source.complete:
        return False
    if any(m.means in (Means.RECORD_ERROR, Means.RETURN_REJECTED) and m.at >= since for m in marks.marks):
        return False
    taken_up = sum(m.many for m in marks.marks if m.means is Means.RETURNED_ITEM and m.item and m.at >= since)
    return 0 < total(sent.messages, since, until) <= taken_up
