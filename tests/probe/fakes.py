"""A Google of one subscription, for tests that need no lab: what is written is what is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core import exceptions
from google.pubsub_v1 import types

from diagnostics.evidence.model import Leg
from diagnostics.probe.journal import Entry, Mode
from diagnostics.probe.push_config import LABEL, save
from diagnostics.probe.reach import Reach, Waits
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import SignIn

NOW = datetime(2026, 2, 8, 22, 21, tzinfo=UTC)
NAME = "projects/p/subscriptions/requests"
QUICK = Waits(
    rpc_s=1,
    pull_s=1,
    between_pulls_s=0,
    peek_s=0.2,
    settle_s=0,
    readback_s=0.1,
    watch_s=0,
    between_looks_s=0,
    restore_s=0.1,
)


class Subscriber:
    """A client made by hand. `trouble` is told each method and may raise before it takes effect."""

    def __init__(self, push: Any, labels: dict[str, str] | None = None) -> None:
        self.held: Any = types.Subscription.pb()(name=NAME, push_config=push, labels=labels or {})
        self.deleted: list[str] = []
        self.there: set[str] = set()
        self.pulls: list[list[Any]] = []
        self.asked: list[str] = []
        self.trouble: Callable[[str], None] = lambda _method: None

    def get_subscription(self, *, request: Any, timeout: float, retry: None) -> Any:
        self._asked("get_subscription", timeout, retry)
        assert request == {"subscription": NAME}
        if self.held is None:
            raise exceptions.NotFound("gone")
        return types.Subscription.wrap(types.Subscription.pb().FromString(self.held.SerializeToString()))

    def update_subscription(self, *, request: Any, timeout: float, retry: None) -> Any:
        self._asked("update_subscription", timeout, retry)
        asked = types.UpdateSubscriptionRequest.pb(request)
        for path in asked.update_mask.paths:
            self.held.ClearField(path)
            if path == "labels":
                self.held.labels.update(asked.subscription.labels)
            else:
                getattr(self.held, path).CopyFrom(getattr(asked.subscription, path))
        return types.Subscription.wrap(self.held)

    def pull(self, *, request: Any, timeout: float, retry: None) -> Any:
        self._asked("pull", timeout, retry)
        messages = self.pulls.pop(0) if self.pulls else []
        assert len(messages) <= request["max_messages"]
        return types.PullResponse.wrap(types.PullResponse.pb()(received_messages=messages))

    def modify_ack_deadline(self, *, request: Any, timeout: float, retry: None) -> None:
        self._asked(f"modify_ack_deadline {request['ack_deadline_seconds']}", timeout, retry)

    def delete_subscription(self, *, request: Any, timeout: float, retry: None) -> None:
        self._delete("delete_subscription", request["subscription"], timeout, retry)

    def delete_snapshot(self, *, request: Any, timeout: float, retry: None) -> None:
        self._delete("delete_snapshot", request["snapshot"], timeout, retry)

    def _delete(self, method: str, name: str, timeout: float, retry: None) -> None:
        self._asked(method, timeout, retry)
        if name not in self.there:
            raise exceptions.NotFound(name)
        self.there.remove(name)
        self.deleted.append(name)

    def _asked(self, method: str, timeout: float, retry: None) -> None:
        assert timeout > 0, "every call is bounded"
        assert retry is None, "and its retries are ours"
        self.asked.append(method)
        self.trouble(method)


def reach(subscriber: Subscriber, waits: Waits = QUICK) -> Reach:
    session = Session(now=NOW, timeout_s=20, signed_in=SignIn(credentials=None, how="test"), project="p", lab=None)
    session.clients._made["subscriber"] = subscriber
    return Reach(session, waits)


def push_config(endpoint: str = "https://worker.example/do", **fields: Any) -> Any:
    return types.PushConfig.pb()(push_endpoint=endpoint, **fields)


def switch_entry(push: Any, run: str = "0a1b2c3d", **fields: Any) -> Entry:
    known: dict[str, Any] = {
        "run": run,
        "mode": Mode.SWITCH,
        "leg": Leg.REQUEST,
        "subscription": NAME,
        "push": save(push),
    }
    return Entry(**{**known, "started": NOW, "until": NOW + timedelta(minutes=5), **fields})


def snapshot_entry(run: str = "0a1b2c3d") -> Entry:
    return Entry(
        run=run,
        mode=Mode.SNAPSHOT,
        leg=Leg.REQUEST,
        subscription=NAME,
        temporary=f"projects/p/subscriptions/pubsub-diag-probe-{run}",
        snapshot=f"projects/p/snapshots/pubsub-diag-probe-{run}",
        started=NOW,
        until=NOW + timedelta(minutes=5),
    )


def switched(subscriber: Subscriber, run: str = "0a1b2c3d") -> None:
    """As a probe leaves it while it looks."""
    subscriber.held.push_config.Clear()
    subscriber.held.labels[LABEL] = run


def message(number: int, data: bytes = b"{}", attempt: int = 0, at: datetime = NOW) -> Any:
    received = types.ReceivedMessage.pb()(ack_id=f"a{number}", delivery_attempt=attempt)
    received.message.message_id, received.message.data = str(number), data
    received.message.publish_time.FromDatetime(at.replace(tzinfo=None))
    return received
