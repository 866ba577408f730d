"""Push delivery of one subscription: a window of requests to its endpoint, pauses after nacks, and the change-over to and from pull."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from diagnostics.lab.fates import FRONT_END, NOBODY, PUBSUB
from diagnostics.lab.flow import Flow
from diagnostics.lab.http import Request, Response, Token
from diagnostics.lab.message import Held, rfc3339
from diagnostics.lab.meters import response_code
from diagnostics.lab.model import PushConfig
from diagnostics.lab.schedule import after

if TYPE_CHECKING:
    from diagnostics.lab.delivery import Delivery, Surroundings

ACK_STATUS = frozenset({102, 200, 201, 202, 204})
"""The only HTTP codes that acknowledge a push; every other one is a nack (cloud.google.com/pubsub/docs/push)."""


class Pusher:
    """Takes what is ready from a subscription's backlog and pushes it. Reads the settings anew for each push."""

    def __init__(self, around: Surroundings, backlog: Delivery) -> None:
        self.flow = Flow()
        self._around = around
        self._env = around.env
        self._backlog = backlog
        self._subscription = backlog.subscription
        self._pushes = bool(self._subscription.push.endpoint)
        """Whether pushes are under way: after a switch the old mode goes on until the change-over."""
        self._last = replace(self._subscription.push)
        """The push configuration that goes on being used during a change-over to pull."""
        self._switch = 0
        """Number of the change-over that is under way; 0: none."""
        self._switches = 0
        self._outstanding = 0
        self._wakes_at = 0.0

    @property
    def gives_way(self) -> bool:
        """Whether the subscription is in pull mode, and the change-over done."""
        return not self._pushes and not self._subscription.push.endpoint

    def changed(self) -> None:
        """The push configuration may be another one. Another endpoint counts at once; between push and pull it takes a while."""
        push = self._subscription.push
        if bool(push.endpoint) is self._pushes:
            self._switch = 0
            self._last = replace(push)
        elif not self._switch:
            switch = self._switch = self._switches = self._switches + 1
            takes = self._around.unverified.change_over_s * self._around.rng.uniform(0.5, 1.0)
            self._after(takes, lambda: self._change_over(switch))
        self.pump()

    def _change_over(self, switch: int) -> None:
        if switch == self._switch:
            self._switch = 0
            self._pushes = bool(self._subscription.push.endpoint)
            self._last = replace(self._subscription.push)
            self.pump()

    def pump(self) -> None:
        """Push what the window and the pause allow. Cheap when there is nothing to do."""
        push = self._subscription.push if self._subscription.push.endpoint else self._last
        if not self._pushes or not push.endpoint or self._subscription.detached:
            return
        now = self._env.now
        while self._backlog.has_ready and self._outstanding < int(self.flow.window):
            if now < self.flow.paused_until:
                self._wake_at(self.flow.paused_until)
                return
            held = self._backlog.next_ready()
            if held is None:
                return
            token = self._around.mint(push.account, push.audience or push.endpoint) if push.account else None
            if push.account and token is None:
                self._no_token(held)
            else:
                self._send(held, push, token)

    def _wake_at(self, moment: float) -> None:
        if self._wakes_at < moment:
            self._wakes_at = moment
            self._after(max(moment - self._env.now, 0.001), self._wake)

    def _wake(self) -> None:
        self._wakes_at = 0.0
        self.pump()

    def _send(self, held: Held, push: PushConfig, token: Token | None) -> None:
        subscription = self._subscription
        delivery = self._backlog.hand_out(held, "push")
        held.state = "pushed"
        self._outstanding += 1
        self._backlog.meters.outstanding(self._outstanding)
        url = urlsplit(push.endpoint)
        home = self._around.world.home("subscription", subscription.name)
        name = f"projects/{home}/subscriptions/{subscription.name}"
        headers = {"content-type": "application/json", "from": "noreply@google.com"}
        if push.no_wrapper and push.write_metadata:
            headers |= _metadata(held, name)
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
            patience_s=subscription.ack_deadline_s,
        )
        sent = self._env.now
        self._after(subscription.ack_deadline_s, lambda: self._expired(held, delivery, sent))
        self._around.deliver(request, lambda response: self._answered(held, delivery, sent, response))

    def _answered(self, held: Held, delivery: int, sent: float, response: Response) -> None:
        by, what = (response.by or FRONT_END, str(response.status)) if response.status else (NOBODY, "unreachable")
        late = held.state != "pushed" or held.deliveries != delivery
        self._backlog.fate(held.message).meets(self._env.now, by, what, late)
        if late:
            return
        response_class, code = self._filed(response)
        latency = self._env.now - sent
        self._backlog.meters.answered(response_class, code, latency)
        self.returned()
        if response_class == "ack":
            self.flow.acked()
            self._backlog.last_active = self._env.now
            self._backlog.acknowledge(held, "push", latency)
        else:
            self._backlog.nack(held, "push", expired=False, pause=self.flow.nacked)
        self.pump()

    def _expired(self, held: Held, delivery: int, sent: float) -> None:
        """The ack deadline is the request's timeout: Pub/Sub hangs up, whatever the endpoint answers later."""
        if held.state != "pushed" or held.deliveries != delivery:
            return
        code = response_code(504, self._around.unverified.push_code_style)
        self._backlog.meters.answered("deadline_exceeded", code, self._env.now - sent)
        self._backlog.fate(held.message).meets(self._env.now, PUBSUB, "deadline")
        self.returned()
        self._backlog.nack(held, "push", expired=True, pause=self.flow.nacked)
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
            self._backlog.meters.refused_before_sending(shown, code)
        self._backlog.fate(held.message).meets(self._env.now, PUBSUB, "no token")
        self._backlog.retry_after(held, self.flow.nacked(self._env.now))

    def returned(self) -> None:
        """A push is no longer outstanding."""
        self._outstanding -= 1
        self._backlog.meters.outstanding(self._outstanding)

    def _after(self, delay: float, call: Callable[[], None]) -> None:
        after(self._env, delay, call)


def _metadata(held: Held, subscription: str) -> dict[str, str]:
    """Headers of an unwrapped push with metadata (cloud.google.com/pubsub/docs/payload-unwrapping)."""
    return {
        "x-goog-pubsub-subscription-name": subscription,
        "x-goog-pubsub-message-id": held.message.id,
        "x-goog-pubsub-publish-time": rfc3339(held.message.published),
        **held.message.attributes,
    }
