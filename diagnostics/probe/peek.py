"""Pull, acknowledge nothing, and tell what came."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diagnostics.probe.reach import Clock, Reach, Refused, Unclear
from diagnostics.probe.rpcs import MODIFY_ACK_DEADLINE, PULL
from diagnostics.transport.call import NotThere

EMPTY_PULLS = 5
"""So many pulls in a row that bring nothing new are believed, if something came before. One proves nothing: a pull may come back
with less than there is, or nothing (pubsub.proto)."""
NOTHING_PULLS, NOTHING_S = 2, 5.0
"""Where the backlog metric counts none, so many pulls of so long at most that bring nothing are enough: more would prove no more."""
SHORTEST_PULL_S = 1.0
AT_ONCE = 100
LEASE_S = 600
"""The longest that a message can be leased (pubsub.proto)."""
BEYOND_S = 30
"""For how long after the last pull a lease should hold: until the push config is back."""


@dataclass
class Came:
    """One message, and how often it came."""

    received: Any
    """The google.pubsub.v1.ReceivedMessage of its latest coming."""
    times: int = 1


@dataclass
class Peek:
    """What the pulls brought so far."""

    came: dict[str, Came] = field(default_factory=dict)
    """By message id."""
    pulls: int = 0
    empty: int = 0
    unanswered: int = 0

    @property
    def ack_ids(self) -> list[str]:
        return [c.received.ack_id for c in self.came.values()]


def peek(
    found: Peek,
    reach: Reach,
    subscription: str,
    wanted: int,
    *,
    waiting: int | None = None,
    lease_s: float = LEASE_S,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Add up to `wanted` messages to `found`, each counted once; ends when there are no more, or the time is over.

    `waiting`: how many there should be, None if that is not known. `lease_s`: the subscription's own ack deadline; leases that would
    lapse before the end are made longer, since a message that comes twice costs two delivery attempts. `goes_on` is asked before each
    pull whether it still may.
    Raises Refused or NotThere; a pull that is not answered is only counted.
    """
    clock, quiet = Clock(reach.waits.peek_s), 0
    while len(found.came) < wanted and goes_on():
        longest = max(min(reach.waits.pull_s, clock.left), SHORTEST_PULL_S)
        none_expected = waiting == 0 and not found.came
        seconds = min(longest, NOTHING_S) if none_expected else longest
        new = _pull(reach, subscription, min(AT_ONCE, wanted - len(found.came)), found, seconds)
        if new and lease_s < clock.left + BEYOND_S:
            _extend(reach, subscription, new, min(math.ceil(clock.left + BEYOND_S), LEASE_S))
        quiet = 0 if new else quiet + 1
        if quiet >= (NOTHING_PULLS if none_expected else EMPTY_PULLS) and _believed(found, waiting):
            break
        if not clock.wait(0 if new else reach.waits.between_pulls_s):
            break


def release(reach: Reach, subscription: str, found: Peek) -> str:
    """Hand everything back. Gives the reason when that failed: the leases then lapse by themselves."""
    ids = found.ack_ids
    try:
        for first in range(0, len(ids), AT_ONCE):
            request = {"subscription": subscription, "ack_ids": ids[first : first + AT_ONCE], "ack_deadline_seconds": 0}
            reach.write(MODIFY_ACK_DEADLINE, request, again=True)
    except (Refused, Unclear, NotThere) as failed:
        return str(failed)
    return ""


def _pull(reach: Reach, subscription: str, most: int, found: Peek, seconds: float) -> list[str]:
    """Ack ids of the messages that are new; `seconds`: for so long it is waited for them at most."""
    found.pulls += 1
    new: list[str] = []

    def note(reply: Any) -> None:
        """At once: who is interrupted hands back what came."""
        for received in reply.received_messages:
            known = found.came.get(received.message.message_id)
            found.came[received.message.message_id] = Came(received, known.times + 1 if known else 1)
            if known is None:
                new.append(received.ack_id)

    try:
        request = {"subscription": subscription, "max_messages": most}
        reach.write(PULL, request, again=False, seconds=seconds, note=note)
    except Unclear:
        found.unanswered += 1
        return []
    found.empty += not new
    return new


def _extend(reach: Reach, subscription: str, ack_ids: list[str], seconds: int) -> None:
    """A longer lease is a kindness: without it a message may come twice, and that is counted."""
    request = {"subscription": subscription, "ack_ids": ack_ids, "ack_deadline_seconds": seconds}
    try:
        reach.write(MODIFY_ACK_DEADLINE, request, again=True)
    except (Refused, Unclear):
        return


def _believed(found: Peek, waiting: int | None) -> bool:
    """Whether silence may be taken for the end. While less came than is waiting, it is waited for."""
    if waiting is None:
        return bool(found.came)
    return len(found.came) >= waiting
