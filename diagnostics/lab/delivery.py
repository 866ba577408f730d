"""One subscription: the messages it holds, and their delivery by push."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import simpy

from diagnostics.lab.filters import compile_filter
from diagnostics.lab.flow import Flow
from diagnostics.lab.http import Answer, Request, Response, Token
from diagnostics.lab.message import Held, Message
from diagnostics.lab.meters import SubscriptionMeters, response_code
from diagnostics.lab.model import Subscription, World
from diagnostics.lab.unverified import Unverified

ACK_STATUS = frozenset({102, 200, 201, 202, 204})
"""The only HTTP codes that acknowledge a push; every other one is a nack (cloud.google.com/pubsub/docs/push)."""


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


class Delivery:
    """A subscription at work. Reads the subscription's settings anew at each step, so that changes take effect at once."""

    def __init__(self, around: Surroundings, subscription: Subscription, meters: SubscriptionMeters) -> None:
        self.subscription = subscription
        self.meters = meters
        self.last_active = float(around.env.now)
        """When it was last used as Google's expiration policy counts it: a push acknowledged, an operation issued."""
        self.flow = Flow()
        self.held: dict[str, Held] = {}
        """Unacknowledged messages by id, oldest first."""
        self._around = around
        self._env = around.env
        self._takes = compile_filter(subscription.filter)
        self._ready: list[tuple[float, int, Held]] = []
        self._order = 0
        self._outstanding = 0
        self._wakes_at = 0.0
        self._watches_retention = False
        self._measure()

    # --- messages come ------------------------------------------------------------------------------------------------

    def add(self, message: Message) -> None:
        """A message was published to the topic."""
        if self.subscription.detached:
            return
        if not self._takes(message.attributes):
            self.meters.filtered()
            return
        held = self.held[message.id] = Held(message)
        self._measure()
        self._watch_retention()
        self._after(self._around.rng.uniform(0.02, 0.12), lambda: self._make_ready(held))

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
        self.pump()

    def _next_ready(self) -> Held:
        """The oldest message that is ready, or any: Google does not say."""
        if self._around.unverified.oldest_first:
            return heapq.heappop(self._ready)[2]
        chosen = self._around.rng.randrange(len(self._ready))
        self._ready[chosen], self._ready[-1] = self._ready[-1], self._ready[chosen]
        return self._ready.pop()[2]

    # --- messages are pushed ------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Push what the window and the pause allow. Cheap when there is nothing to do."""
        push = self.subscription.push
        if not push.endpoint or self.subscription.detached:
            return
        now = self._env.now
        while self._ready and self._outstanding < int(self.flow.window):
            if now < self.flow.paused_until:
                self._wake_at(self.flow.paused_until)
                return
            held = self._next_ready()
            if held.state != "ready":
                continue
            token = self._around.mint(push.account, push.audience or push.endpoint) if push.account else None
            if push.account and token is None:
                self._no_token(held)
            else:
                self._send(held, token)

    def _wake_at(self, moment: float) -> None:
        if self._wakes_at < moment:
            self._wakes_at = moment
            self._after(max(moment - self._env.now, 0.001), self._wake)

    def _wake(self) -> None:
        self._wakes_at = 0.0
        self.pump()

    def _send(self, held: Held, token: Token | None) -> None:
        subscription, push = self.subscription, self.subscription.push
        delivery = self._hand_out(held, "push")
        held.state = "pushed"
        self._outstanding += 1
        self.meters.outstanding(self._outstanding)
        url = urlsplit(push.endpoint)
        headers = {"content-type": "application/json", "from": "noreply@google.com"}
        name = f"projects/{self._around.world.project}/subscriptions/{subscription.name}"
        request = Request(
            host=url.netloc,
            method="POST",
            path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
            user_agent=self._around.user_agent,
            headers=headers,
            body=held.message.data if push.no_wrapper else held.message.envelope(name, held.attempts),
            token=token,
            from_pubsub=True,
            remote_ip="66.249.84.11",
        )
        sent = self._env.now
        self._after(subscription.ack_deadline_s, lambda: self._expired(held, delivery, sent))
        self._around.deliver(request, lambda response: self._answered(held, delivery, sent, response))

    def _hand_out(self, held: Held, how: str) -> int:
        held.deliveries += 1
        held.attempts = held.attempts + 1 if self._around.counts_attempts(self.subscription) else 0
        self.meters.sent(how)
        return held.deliveries

    def _answered(self, held: Held, delivery: int, sent: float, response: Response) -> None:
        if held.state != "pushed" or held.deliveries != delivery:
            return
        response_class, code = self._filed(response)
        latency = self._env.now - sent
        self.meters.answered(response_class, code, latency)
        self._back()
        if response_class == "ack":
            self.flow.acked()
            self.last_active = self._env.now
            self.acknowledge(held, "push", latency)
        else:
            self._nack(held, expired=False)
        self.pump()

    def _expired(self, held: Held, delivery: int, sent: float) -> None:
        """The ack deadline is the request's timeout: Pub/Sub hangs up, whatever the endpoint answers later."""
        if held.state != "pushed" or held.deliveries != delivery:
            return
        code = response_code(504, self._around.unverified.push_code_style)
        self.meters.answered("deadline_exceeded", code, self._env.now - sent)
        self._back()
        self._nack(held, expired=True)
        self.pump()

    def _filed(self, response: Response) -> tuple[str, str]:
        """Response class and code of an answer."""
        style = self._around.unverified.push_code_style
        if response.status in ACK_STATUS:
            return "ack", "success"
        if response.status == 0:
            return "unreachable", "unavailable" if style == "grpc" else "unreachable"
        code = response_code(response.status, style)
        if 400 <= response.status < 500:
            return "remote_server_4xx", code
        return ("remote_server_5xx" if response.status >= 500 else "invalid"), code

    def _no_token(self, held: Held) -> None:
        """No request reaches the endpoint; what the metric then shows is unverified."""
        shown = self._around.unverified.minting
        if shown != "silent":
            code = response_code(403 if shown == "remote_server_4xx" else 500, self._around.unverified.push_code_style)
            self.meters.refused_before_sending(shown, code)
        self._retry_after(held, self.flow.nacked(self._env.now))

    def _back(self) -> None:
        self._outstanding -= 1
        self.meters.outstanding(self._outstanding)

    # --- messages go or come again ------------------------------------------------------------------------------------

    def acknowledge(self, held: Held, how: str, latency_s: float) -> None:
        """A delivery was acknowledged: the message is done with."""
        self.meters.acked(how, latency_s)
        self._forget(held)

    def _nack(self, held: Held, expired: bool, how: str = "push") -> None:
        self.meters.nacked(how, expired)
        pause = self.flow.nacked(self._env.now) if how == "push" else 0.0
        if held.attempts >= self.subscription.max_delivery_attempts and self._around.counts_attempts(self.subscription):
            self._around.dead_letter(self.subscription, held)
            self.meters.dead_lettered()
            self._forget(held)
        else:
            self._retry_after(held, pause)

    def _retry_after(self, held: Held, pause: float) -> None:
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

    def _forget(self, held: Held) -> None:
        held.state = "gone"
        del self.held[held.message.id]
        self._measure()

    def drop(self, messages: Iterable[Held]) -> None:
        """Messages leave without an ack: purged, expired, detached or deleted with the subscription."""
        for held in list(messages):
            if held.state == "pushed":
                self._back()
            held.state = "gone"
            del self.held[held.message.id]
        self._measure()

    # --- pulling ------------------------------------------------------------------------------------------------------

    def pull(self, limit: int) -> list[Held]:
        """Lease up to `limit` ready messages for the ack deadline. May return fewer than there are, as Google's Pull may."""
        self.last_active = self._env.now
        leased: list[Held] = []
        while self._ready and len(leased) < limit:
            held = self._next_ready()
            if held.state == "ready":
                self._hand_out(held, "pull")
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
                self._nack(held, expired=seconds > 0, how="pull")

        if seconds > 0:
            self._after(seconds, over)
        else:
            over()

    # --- time passes --------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """The subscription's settings were changed."""
        self.last_active = self._env.now
        self._watches_retention = False
        self._watch_retention()
        self.pump()

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
        self._env.timeout(delay).callbacks.append(lambda _: call())
