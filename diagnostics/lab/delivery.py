"""One subscription: the messages it holds, who has them, and what becomes of them. Pushes are in `pushing`."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import simpy

from diagnostics.lab.fates import Fate, Fates
from diagnostics.lab.filters import compile_filter
from diagnostics.lab.http import Answer, Request, Token
from diagnostics.lab.message import Held, Message
from diagnostics.lab.meters import SubscriptionMeters
from diagnostics.lab.model import Subscription, World
from diagnostics.lab.pushing import Pusher
from diagnostics.lab.schedule import after
from diagnostics.lab.unverified import Unverified


@dataclass(frozen=True)
class Surroundings:
    """What every subscription of the broker works with."""

    env: simpy.Environment
    world: World
    unverified: Unverified
    rng: random.Random
    user_agent: str
    deliver: Callable[[Request, Answer], None]
    mint: Callable[[str, str], Token | None]
    """Account and audience to a token; None: it cannot be minted."""
    dead_letter: Callable[[Subscription, Held], None]
    """Forwards a message to the subscription's dead-letter topic."""
    counts_attempts: Callable[[Subscription], bool]
    fates: Fates


class Delivery:
    """A subscription at work. Reads the subscription's settings anew at each step, so that changes take effect at once."""

    def __init__(self, around: Surroundings, subscription: Subscription, meters: SubscriptionMeters) -> None:
        self.subscription = subscription
        self.meters = meters
        self.last_active = float(around.env.now)
        """When it was last used as Google's expiration policy counts it: a push acknowledged, an operation issued."""
        self.held: dict[str, Held] = {}
        """Unacknowledged messages by id, oldest first."""
        self.tally: Counter[str] = Counter()
        """What became of messages, for tests: published, acked_by_push, acked_by_pull, dead_lettered_by_push, …"""
        self._around = around
        self._env = around.env
        self._takes = compile_filter(subscription.filter)
        self._ready: list[tuple[float, int, Held]] = []
        self._order = 0
        self._acked: dict[str, Message] = {}
        """Acknowledged messages, as far as the subscription retains them."""
        self._lingering: dict[str, Held] = {}
        """Messages that a seek has acknowledged and that may yet be delivered, for as long as it takes to settle."""
        self._watches_retention = False
        self._pusher = Pusher(around, self)
        self._measure()

    # --- messages come ------------------------------------------------------------------------------------------------

    def add(self, message: Message) -> None:
        """A message was published to the topic."""
        if self.subscription.detached:
            return
        if not self._takes(message.attributes):
            self.tally["filtered"] += 1
            self.fate(message).end = "filtered"
            self.meters.filtered()
            return
        self.tally["published"] += 1
        self._hold(Held(message), self._around.rng.uniform(0.02, 0.12))
        self._measure()
        self._watch_retention()

    def fate(self, message: Message) -> Fate:
        return self._around.fates.of(self.subscription.name, message)

    def _hold(self, held: Held, delay: float) -> None:
        self.fate(held.message).end = ""
        self.held[held.message.id] = held
        self._after(delay, lambda: self._make_ready(held) if held.state == "arriving" else None)

    def _make_ready(self, held: Held) -> None:
        if held.state == "gone":
            return
        held.state = "ready"
        self._order += 1
        entry = (held.message.published, self._order, held)
        if self._around.unverified.oldest_first:
            heapq.heappush(self._ready, entry)
        else:
            self._ready.append(entry)
        self._pusher.pump()

    @property
    def has_ready(self) -> bool:
        """Whether next_ready is worth asking."""
        return bool(self._ready)

    def next_ready(self) -> Held | None:
        """A message that may be delivered now: the oldest, or any: Google does not say."""
        while self._ready:
            held = self._pop()
            if held.state == "ready" and self._is_next_of_its_key(held):
                return held
        return None

    def _pop(self) -> Held:
        if self._around.unverified.oldest_first:
            return heapq.heappop(self._ready)[2]
        chosen = self._around.rng.randrange(len(self._ready))
        self._ready[chosen], self._ready[-1] = self._ready[-1], self._ready[chosen]
        return self._ready.pop()[2]

    def _is_next_of_its_key(self, held: Held) -> bool:
        """With ordering, a message is delivered only when all earlier ones of its key are done; until then it is put aside."""
        if not self.subscription.ordering or not held.message.ordering_key:
            return True
        first = self._first_of_key(held.message.ordering_key)
        if first is not None and first is not held:
            held.state = "behind"
            return False
        return True

    def _first_of_key(self, key: str) -> Held | None:
        return next((h for h in self.held.values() if h.message.ordering_key == key), None)

    # --- messages are delivered ---------------------------------------------------------------------------------------

    def hand_out(self, held: Held, how: str) -> int:
        """Count a delivery, by "push" or "pull"; returns its number."""
        held.deliveries += 1
        if not self._around.counts_attempts(self.subscription):
            held.attempts = 0
        elif how == "push" or self._around.unverified.pull_counts:
            held.attempts += 1
        self.tally[f"delivered_by_{how}"] += 1
        self.meters.sent(how)
        return held.deliveries

    def pull(self, limit: int) -> list[Held]:
        """Lease up to `limit` ready messages for the ack deadline. May return fewer than there are, as Google's Pull may."""
        self.last_active = self._env.now
        if self.subscription.detached or not self._pusher.gives_way:
            return []
        if self._ready and self._around.rng.random() < self._around.unverified.short_pulls:
            limit = self._around.rng.randrange(min(limit, len(self._ready)))
        leased: list[Held] = []
        while len(leased) < limit and (held := self.next_ready()) is not None:
            self.hand_out(held, "pull")
            held.leased_at = self._env.now
            self.lease(held, self.subscription.ack_deadline_s)
            leased.append(held)
        return leased

    def lease(self, held: Held, seconds: float) -> None:
        """A pulled message comes again if it is not acknowledged in time; 0 s is a nack."""
        held.state = "leased"
        held.leased_until = until = self._env.now + seconds
        delivery = held.deliveries

        def over() -> None:
            if (held.state, held.deliveries, held.leased_until) == ("leased", delivery, until):
                self.nack(held, "pull", expired=seconds > 0)

        if seconds > 0:
            self._after(seconds, over)
        else:
            over()

    # --- messages go or come again ------------------------------------------------------------------------------------

    def acknowledge(self, held: Held, how: str, latency_s: float) -> None:
        """A delivery was acknowledged: the message is done with."""
        self.tally[f"acked_by_{how}"] += 1
        self.fate(held.message).end = "acked"
        self.meters.acked(how, latency_s)
        self._retain(held)
        self._forget(held)

    def nack(self, held: Held, how: str, expired: bool, pause: Callable[[float], float] | None = None) -> None:
        """A delivery failed, or its deadline passed. `pause`: what a push then pauses for, given now."""
        self.meters.nacked(how, expired)
        seconds = pause(self._env.now) if pause else 0.0
        if self.held.get(held.message.id) is not held:
            held.state = "gone"
        elif held.attempts >= self.subscription.max_delivery_attempts and self._around.counts_attempts(
            self.subscription
        ):
            self.tally[f"dead_lettered_by_{how}"] += 1
            self.fate(held.message).end = "dead-lettered"
            self._around.dead_letter(self.subscription, held)
            self.meters.dead_lettered()
            self._forget(held)
        else:
            self.retry_after(held, seconds)

    def retry_after(self, held: Held, pause: float) -> None:
        """The pause holds all messages; this one's own backoff comes on top (both add up, says the push page)."""
        held.failures += 1
        held.state = "waiting"
        delay = pause
        if self.subscription.retry is not None:
            lowest, highest = self.subscription.retry
            backoff = min(highest, lowest * 2.0 ** min(held.failures - 1, 16))
            delay += backoff * self._around.rng.uniform(0.9, 1.1)
        failures = held.failures
        self._after(delay, lambda: self._make_ready(held) if held.failures == failures else None)

    def _retain(self, held: Held) -> None:
        if self.subscription.retain_acked:
            self._acked[held.message.id] = held.message

    def _forget(self, held: Held) -> None:
        held.state = "gone"
        self._lingering.pop(held.message.id, None)
        if self.held.get(held.message.id) is held:
            del self.held[held.message.id]
            self._measure()
            self._free_key(held)

    def _free_key(self, held: Held) -> None:
        """The next message of the ordering key may be delivered."""
        if self.subscription.ordering and held.message.ordering_key:
            following = self._first_of_key(held.message.ordering_key)
            if following is not None and following.state == "behind":
                self._make_ready(following)

    def drop(self, messages: Iterable[Held]) -> None:
        """Messages leave without an ack: expired, detached or deleted with the subscription."""
        leaving = list(messages)
        for held in leaving:
            if held.state == "pushed":
                self._pusher.returned()
            held.state = "gone"
            del self.held[held.message.id]
            self.tally["dropped"] += 1
            self.fate(held.message).end = "dropped"
        self._measure()
        for held in leaving:
            self._free_key(held)

    # --- seek ---------------------------------------------------------------------------------------------------------

    def retained(self) -> list[Message]:
        """Acknowledged messages that a seek can bring back."""
        oldest = self._env.now - self.subscription.retention_s
        self._acked = {id_: m for id_, m in self._acked.items() if m.published > oldest}
        return list(self._acked.values())

    def purge(self, messages: Iterable[Held]) -> int:
        """A seek acknowledges these. Those that wait may yet be delivered until it has settled; returns how many there were."""
        settles, purged = self._around.unverified.seek_settles_s, list(messages)
        for held in purged:
            self._retain(held)
            del self.held[held.message.id]
            self.tally["purged"] += 1
            self.fate(held.message).end = "purged"
            if held.state == "pushed":
                self._pusher.returned()
            if held.state in ("pushed", "leased", "behind") or not settles:
                held.state = "gone"
            else:
                self._lingering[held.message.id] = held
                self._after(self._around.rng.uniform(0, settles), lambda h=held: self._settle(h))  # type: ignore[misc]
        self._measure()
        return len(purged)

    def _settle(self, held: Held) -> None:
        if self._lingering.pop(held.message.id, None) is held and held.state not in ("pushed", "leased"):
            held.state = "gone"

    def restore(self, messages: Iterable[Message]) -> None:
        """A seek makes these unacknowledged; they are delivered again within the time that it takes to settle."""
        limit = self._env.now - self.subscription.retention_s
        for message in messages:
            if message.id in self.held or message.published <= limit or not self._takes(message.attributes):
                continue
            self._acked.pop(message.id, None)
            self.tally["restored"] += 1
            if (held := self._lingering.pop(message.id, None)) is not None:
                self.held[message.id] = held
                self.fate(message).end = ""
            else:
                self._hold(Held(message), self._around.rng.uniform(0, self._around.unverified.seek_settles_s))
        self.held = dict(sorted(self.held.items(), key=lambda pair: pair[1].message.published))
        self._measure()
        self._watches_retention = False
        self._watch_retention()

    # --- time passes --------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """The subscription's settings were changed."""
        self.last_active = self._env.now
        self._watches_retention = False
        self._watch_retention()
        self._pusher.changed()

    def _watch_retention(self) -> None:
        """One timer, for the oldest message: what nobody acknowledged within the retention is lost."""
        if self._watches_retention or not self.held:
            return
        self._watches_retention = True
        oldest = next(iter(self.held.values())).message.published
        self._after(max(0.0, oldest + self.subscription.retention_s - self._env.now), self._drop_expired)

    def _drop_expired(self) -> None:
        self._watches_retention = False
        limit = self._env.now - self.subscription.retention_s + 1e-6
        if old := [held for held in self.held.values() if held.message.published <= limit]:
            self.drop(old)
        self._watch_retention()

    def _measure(self) -> None:
        oldest = next(iter(self.held.values())).message.published if self.held else None
        self.meters.backlog(len(self.held), oldest)

    def _after(self, delay: float, call: Callable[[], None]) -> None:
        after(self._env, delay, call)
