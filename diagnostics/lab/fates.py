"""What each message went through, and where it ended: for whoever has to know the truth. No part of the diagnosis may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from diagnostics.lab.message import Message

FRONT_END, CLOUD_RUN, APPLICATION, PUBSUB, NOBODY = "front end", "Cloud Run", "application", "Pub/Sub", "nobody"
"""By whom a push was answered."""


@dataclass(slots=True)
class Met:
    """One kind of answer that pushes of a message got."""

    by: str
    what: str
    """HTTP status; of Pub/Sub itself "deadline" or "no token"; of nobody "unreachable"."""
    times: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class Fate:
    """One message in one subscription."""

    message: Message
    subscription: str
    met: dict[tuple[str, str], Met] = field(default_factory=dict)
    late: dict[tuple[str, str], Met] = field(default_factory=dict)
    """Answers that came after Pub/Sub had hung up: it never heard them."""
    end: str = ""
    """acked | filtered | dead-lettered | dropped (expired, detached, deleted) | purged (by a seek); empty: it waits."""

    def meets(self, at: float, by: str, what: str, late: bool = False) -> None:
        met = (self.late if late else self.met).setdefault((by, what), Met(by, what, first=at))
        met.times += 1
        met.last = at

    @property
    def last(self) -> Met | None:
        """What its latest push met."""
        return max(self.met.values(), key=lambda m: m.last, default=None)


@dataclass(frozen=True, slots=True)
class Published:
    """A message that Pub/Sub took, or refused."""

    topic: str
    at: float
    data: bytes
    attributes: dict[str, str]
    id: str = ""
    """Empty: refused."""
    refused: str = ""
    """gRPC code."""


class Fates:
    """Everything that was published, and what became of it in each subscription."""

    def __init__(self, kept: bool = True) -> None:
        """`kept` False: nobody will ask, as of a lab that has no judge; a million messages then leave nothing behind."""
        self.published: list[Published] = []
        self._kept = kept
        self._fates: dict[tuple[str, str], Fate] = {}

    def publish(self, published: Published) -> None:
        if self._kept:
            self.published.append(published)

    def of(self, subscription: str, message: Message) -> Fate:
        """Of this message in this subscription, which has it from now on if it has not had it before."""
        key = (subscription, message.id)
        fate = self._fates.get(key)
        if fate is None:
            fate = Fate(message, subscription)
            if self._kept:
                self._fates[key] = fate
        return fate

    def in_subscription(self, subscription: str) -> list[Fate]:
        return [fate for fate in self._fates.values() if fate.subscription == subscription]
