"""What was asked of the services themselves: batch state, live calls, and the probe's look into a subscription."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from diagnostics.evidence.model.base import Evidence


class BatchStatus(Evidence, frozen=True, kw_only=True):
    """What the coordinator's batch state says of one batch. `exists` False: it says that it knows no such batch."""

    batch: str
    exists: bool
    expected: int | None = None
    completed: int | None = None
    failed: int | None = None
    closed: bool | None = None
    items: tuple[str, ...] | None = None
    """Names of completed items where the state lists them."""
    forced: str = ""
    """Reason, when it was closed by hand or by age."""
    closed_at: datetime | None = None
    created: datetime | None = None
    """When its record was made, where the place itself knows."""
    updated: datetime | None = None
    """When anything of it was last written."""
    instead: tuple[str, ...] = ()
    """Where it was asked for before, and what came of that; a place each."""


class OpenBatches(Evidence, frozen=True, kw_only=True):
    """Batches that Firestore keeps and that are not closed there, those last written first where the profile says when that was."""

    batches: tuple[BatchStatus, ...]


class LiveCall(Struct, frozen=True, kw_only=True):
    """One HTTP call that we made ourselves."""

    at: datetime
    status: int
    """0: no HTTP answer; `text` says why."""
    latency_s: float
    text: str = ""


class LiveHealth(Evidence, frozen=True, kw_only=True):
    """The receiving service's health path, called without a token and with a token minted for the push account."""

    per_leg: ClassVar[bool] = True
    anonymous: LiveCall
    authenticated: LiveCall | None
    """None when no token could be minted; `minting` says why."""
    minting: str = ""


class LiveStart(Evidence, frozen=True, kw_only=True):
    """First and repeated calls of the health path: what a cold start costs from here."""

    per_leg: ClassVar[bool] = True
    calls: tuple[LiveCall, ...]
    minting: str = ""
    """Why the calls were made without a token; empty: they had one, or the subscription names no account for one."""


class Peeked(Struct, frozen=True, kw_only=True):
    """One message that the probe was handed. It was not acknowledged."""

    id: str
    published: datetime
    size: int
    """Bytes of data."""
    batch: str = ""
    item: str = ""
    missing: tuple[str, ...] = ()
    """Fields that the profile requires and that are absent or empty."""
    unreadable: str = ""
    """Why the data is not what the profile says it is (no JSON object); empty: it is, or no profile says."""
    attributes: dict[str, str] = {}
    """Values are redacted."""
    ordered: bool = False
    """Whether it carries an ordering key."""
    attempts: int = 0
    """Google's delivery attempt, this one included; 0: not counted (no dead-letter policy on what was pulled)."""
    times: int = 1
    """How often it came during this peek."""
    data: str = ""
    """The data, redacted; only when it was asked for."""


class Probed(Evidence, frozen=True, kw_only=True):
    """What a pull-mode probe was handed, oldest message first."""

    per_leg: ClassVar[bool] = True
    mode: str
    """"snapshot" (through a temporary subscription) or "switch" (through the subscription itself)."""
    subscription: str
    """projects/P/subscriptions/S, whose backlog was looked at."""
    messages: tuple[Peeked, ...]
    asked_for: int
    """At most so many messages were wanted."""
    pulls: int
    empty_pulls: int
    """Pulls that brought nothing new, though they were answered."""
    unanswered_pulls: int = 0
    backlog: int | None = None
    """num_undelivered_messages, its newest point; None: there was none."""
    snapshot: int | None = None
    """num_messages of the snapshot; None: the metric had no point yet."""
    tried_s: float = 0.0
    """Age in seconds at which a message has been pushed at least twice, if pushes flow: twice the ack deadline and longest backoff."""
    restored: str = ""
    """What became of the subscription afterwards, in a sentence."""

    @property
    def whole(self) -> bool:
        """Whether what came is known to be all that waited: as many as the snapshot or the backlog counted, some, and no more came."""
        counted = self.snapshot if self.snapshot is not None else self.backlog
        return counted is not None and 0 < counted <= len(self.messages) and self.empty_pulls > 0
