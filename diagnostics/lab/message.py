"""A message in Pub/Sub, and the body in which push delivers it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from msgspec import Struct


class Message(Struct, gc=False):
    """A published message."""

    id: str
    data: bytes
    attributes: dict[str, str]
    published: float
    """Simulated seconds since the epoch."""
    ordering_key: str = ""

    @property
    def size(self) -> int:
        """Bytes as message_sizes counts them: data and attributes."""
        return len(self.data) + sum(len(k.encode()) + len(v.encode()) for k, v in self.attributes.items())

    def envelope(self, subscription: str, attempt: int) -> bytes:
        """The wrapped push body; `subscription` is the full name, attempt 0 is left out.

        Format: cloud.google.com/pubsub/docs/push, deliveryAttempt: cloud.google.com/pubsub/docs/handling-failures.
        """
        published = rfc3339(self.published)
        data = base64.b64encode(self.data).decode()
        message = (
            f'"data": "{data}", "messageId": "{self.id}", "message_id": "{self.id}", '
            f'"publishTime": "{published}", "publish_time": "{published}"'
        )
        if self.attributes:
            message += f', "attributes": {json.dumps(self.attributes)}'
        if self.ordering_key:
            message += f', "orderingKey": {json.dumps(self.ordering_key)}'
        counted = f', "deliveryAttempt": {attempt}' if attempt else ""
        return f'{{"message": {{{message}}}, "subscription": {json.dumps(subscription)}{counted}}}'.encode()


def rfc3339(moment: float) -> str:
    """A simulated moment as Google writes it, to the millisecond, UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Held(Struct, gc=False):
    """A message that a subscription holds because nobody has acknowledged it."""

    message: Message
    state: str = "arriving"
    """arriving | ready | behind (others of its ordering key) | waiting (for its retry) | pushed | leased (by a pull) | gone"""
    deliveries: int = 0
    """Also tells an answer of the current delivery from a late one."""
    leased_at: float = 0.0
    leased_until: float = 0.0
    failures: int = 0
    """Nacks and expired deadlines: what the retry policy's backoff grows with."""
    attempts: int = 0
    """Deliveries as the dead-letter policy counts them; stays 0 where Google does not count."""
