"""What the newest pushes of a leg tell of a configuration that forbids them: whether it holds them, or they refute it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import Change, ChangeLog, Leg, PushCounts, RequestLog, SubscriptionConfig, Unseen, Why
from diagnostics.readings.addresses import path_of
from diagnostics.readings.admission import Admission, Gate, Turned, Way, admission
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import owed, spent
from diagnostics.readings.pace import between_tries

_SLACK = timedelta(minutes=2)
"""Audit entries are written when a call ends, and metrics are sampled a minute apart."""


@dataclass(frozen=True)
class About:
    """Which changes could have brought something about: of these resources, by these methods."""

    resources: frozenset[str]
    methods: frozenset[str] = frozenset()
    """Empty: any but SetIamPolicy."""

    def fits(self, change: Change) -> bool:
        by = change.method in self.methods if self.methods else change.method != "SetIamPolicy"
        return by and change.resource in self.resources


@dataclass(frozen=True)
class Passage:
    """What is known of this leg's pushes when its sign-in is judged."""

    leg: Leg
    now: datetime
    least: int
    """Items of the batch that this leg has still to deliver."""
    started: datetime | None
    pause: timedelta
    """From one try of a message to the next at most: what was refused before and not since is not refused now."""
    door: Admission
    changes: ChangeLog | Unseen
    ledger: Ledger
    shut_before: bool = False
    """Whether every push is refused before sign-in is asked for: then a refusal that no log has tells nothing of sign-in."""

    @property
    def gets_in(self) -> bool:
        """Whether pushes get in now."""
        return self.door.open_at(min(self.now, self.door.counted_to or self.now))

    @property
    def vouched(self) -> bool:
        """Whether pushes that got in answer for what no policy tells: they do so now, or did since the batch began."""
        proven = self.door.proven
        return self.gets_in or bool(proven and self.started and proven >= self.started)

    def lasts(self, turned: Turned | None) -> bool:
        """Whether pushes are still turned away so: until lately, or until this batch had nothing left to be pushed."""
        if turned is None or turned.over:
            return False
        met = bool(self.least and self.started and turned.last >= self.started)
        return met or self.now - turned.last <= self.pause

    def spent(self, turned: Turned) -> bool:
        """Whether it lasted until the batch had nothing left to be pushed: it holds no push of the batch any more, though what brought
        it about may still be there."""
        return self.lasts(turned) and spent(self.ledger, self.leg, self.now, turned.last)

    def stops(self, *ways: Way) -> bool:
        """Whether pushes are turned away in one of these ways, or in a way that could not be seen, and none gets in."""
        door = self.door
        if door.gate is not Gate.SHUT or door.newest_out is None:
            return False
        if all(turned.over for turned in door.turned.values()):
            return self.now - door.newest_out <= self.pause
        telling = [way for way in ways if not (self.shut_before and way is Way.UNLOGGED)]
        return any(self.lasts(door.turned.get(way)) for way in telling)

    @property
    def nothing_sent(self) -> bool:
        """Whether no push was sent since the batch began, though it has been owed for a while."""
        return bool(self.least) and self.door.quiet_since(self.started)

    def ceased(self, since: datetime) -> bool:
        """Whether pushes went on, and none was sent after that moment for longer than a message waits for its next try, though they are
        owed."""
        door = self.door
        moments = (since, self.started, door.newest_in, door.newest_out, door.newest_other)
        newest = max(at for at in moments if at)
        return bool(self.least and door.counted_to and door.counted_to - newest > self.pause)

    def made(self, about: About) -> list[Change]:
        """Changes that were made to what it is about, oldest first."""
        return [] if isinstance(self.changes, Unseen) else [c for c in self.changes.changes if c.ok and about.fits(c)]

    def refuted(self, about: About, grace: timedelta) -> bool:
        """Whether pushes get in although it says they cannot, and nothing was changed since that would explain it."""
        proven = self.door.proven
        return proven is not None and not any(c.at > proven - grace for c in self.made(about))

    def untried(self, about: About, words: tuple[str, ...]) -> bool:
        """Whether a change that names it was made since the last push that got in: of that, no push tells."""
        proven = self.door.proven
        return proven is None or any(at > proven for at in self._naming(about, words))

    def first(self, *ways: Way) -> datetime | None:
        """The first push that was turned away in one of these ways, if pushes still are."""
        lasting = [t for way in ways if (t := self.door.turned.get(way)) and self.lasts(t)]
        return min((t.first for t in lasting), default=None)

    def changed(self, about: About, words: tuple[str, ...], *ways: Way) -> datetime | None:
        """The last change that names it and was made no later than the first push that was turned away so; else that push."""
        first = self.first(*ways)
        made = self._naming(about, words)
        return max((at for at in made if first is None or at <= first + _SLACK), default=first)

    def from_the_first(self, about: About, words: tuple[str, ...], way: Way) -> bool:
        """Whether what is set now was set for all pushes that are turned away so: no change that names it was made since the first."""
        first = self.first(way)
        return first is not None and all(at <= first + _SLACK for at in self._naming(about, words))

    def _naming(self, about: About, words: tuple[str, ...]) -> list[datetime]:
        """When it was changed in a way that names it, oldest first."""
        return [c.at for c in self.made(about) if any(word in f"{c.method} {c.says}".lower() for word in words)]


def passage(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    subscription: SubscriptionConfig | Unseen,
    pushes: PushCounts | Unseen,
    log: RequestLog | Unseen,
    changes: ChangeLog | Unseen | None = None,
) -> Passage:
    least, _ = owed(ledger, leg)
    unasked = Unseen(what="ChangeLog", why=Why.NOT_ASKED, says="not asked")
    pause = between_tries(subscription)
    door = admission(pushes, log, _path(subscription))
    return Passage(leg, now, least, ledger.started, pause, door, changes or unasked, ledger)


def _path(subscription: SubscriptionConfig | Unseen) -> str:
    """The path of the push endpoint; empty: not known, or there is none."""
    settings = None if isinstance(subscription, Unseen) else subscription.settings
    endpoint = settings.push_endpoint if settings else ""
    return path_of(endpoint) if endpoint else ""
