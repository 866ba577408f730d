"""Who is owed what: items of the batch that a leg has still to deliver, and whether any are left.

An item is owed until it is acked. One that reached code and was not acked is delivered again, so what stops the deliveries stops it.
Dead letters count, too: what turned them away still has them on its account (`Ledger.dead` tells how many they are).
"""

from __future__ import annotations

from datetime import datetime

from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.ledger import Ledger, missed_most


def owed(ledger: Ledger, leg: Leg) -> tuple[int, int | None]:
    """Items of this batch that the leg's receiver has not acked: at least, at most (None: not known). What was lost with the old one
    is owed by no subscription that was made later."""
    return (0, 0) if ledger.dead(leg).anew else unacked(ledger, leg)


def unacked(ledger: Ledger, leg: Leg) -> tuple[int, int | None]:
    """The same, lost or not."""
    if not ledger.counts:
        return 0, None
    if leg is Leg.COMPLETION:
        return ledger.gap(Stage.RETURNED)
    sent, acked = ledger.before(Stage.DELIVERED), ledger.counts[Stage.PROCESSED]
    least = max(sent.least - acked.most, 0) if acked.most is not None else 0
    most = max(sent.most - acked.least, 0) if sent.most is not None else None
    return max(least, ledger.gap(Stage.DELIVERED)[0]), most


def unreached(ledger: Ledger, leg: Leg) -> tuple[int, int | None]:
    """Of what is owed, the items that never reached the receiver's code: at least, at most."""
    if not ledger.counts:
        return 0, None
    return ledger.gap(Stage.RETURNED if leg is Leg.COMPLETION else Stage.DELIVERED)


def absent(ledger: Ledger) -> int:
    """Published items that the request subscription never had, at least: neither acked, nor waiting, nor dead-lettered. Pushes do not
    count here: those of a few old messages that come round may be more than the batch has items."""
    dead = ledger.dead(Leg.REQUEST)
    most = ledger.counts[Stage.PROCESSED].most if ledger.counts else None
    if most is None or dead.could_wait is None or not dead.counted:
        return 0
    return max(ledger.before(Stage.DELIVERED).least - most - dead.could_wait - dead.most, 0)


def alive(ledger: Ledger, leg: Leg) -> int:
    """Of what is owed, the items that lie in no dead-letter topic, at least."""
    return max(owed(ledger, leg)[0] - _dead(ledger, leg), 0)


def undone(ledger: Ledger, leg: Leg) -> int:
    """The same, lost or not."""
    return max(unacked(ledger, leg)[0] - _dead(ledger, leg), 0)


def _dead(ledger: Ledger, leg: Leg) -> int:
    return ledger.dead(leg).ours if leg is Leg.REQUEST else _dead_unreached(ledger, leg)


def nowhere(ledger: Ledger, leg: Leg) -> int:
    """Of those, the items that never reached the receiver's code, at least: on the leg's route, or lost there."""
    return max(unreached(ledger, leg)[0] - _dead_unreached(ledger, leg), 0)


def _dead_unreached(ledger: Ledger, leg: Leg) -> int:
    """Dead letters that never reached the receiver's code."""
    return ledger.dead_at(Stage.RETURNED if leg is Leg.COMPLETION else Stage.DELIVERED) if ledger.counts else 0


def acked(ledger: Ledger, leg: Leg) -> int:
    """Items of this batch that the leg's receiver has acked, at least."""
    return ledger.counts[Stage.RETURNED if leg is Leg.COMPLETION else Stage.PROCESSED].least if ledger.counts else 0


def spent(ledger: Ledger, leg: Leg, now: datetime, last: datetime) -> bool:
    """Whether what pushes met on this leg, the last one then, is over for the batch because it has nothing left to be pushed: all that
    the leg has not brought to an end lies in the dead-letter topic, or nothing waits at all; and a message that was still to be
    pushed would have been tried again since."""
    dead = ledger.dead(leg)
    if now - last <= dead.pause:
        return False
    return dead.could_wait == 0 or 0 < missed_most(ledger, leg) <= dead.ours


def passed(ledger: Ledger, leg: Leg) -> bool:
    """Whether items of the batch are known to have passed this leg's route."""
    here = ledger.counts.get(Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED)
    return bool(here and here.least)


def through(ledger: Ledger, leg: Leg) -> bool:
    """Whether every item of the batch is known to have passed this leg: what fails there now is not ours."""
    stage = Stage.DELIVERED if leg is Leg.REQUEST else Stage.RETURNED
    here = ledger.counts.get(stage)
    return bool(here and here.least) and ledger.gap(stage) == (0, 0)
