"""Configuration of Pub/Sub: subscriptions, topics, dead letters."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from diagnostics.evidence.model.base import Evidence

DELETED_TOPIC = "_deleted-topic_"


class RetryPolicy(Struct, frozen=True, kw_only=True):
    min_s: float
    max_s: float


class DeadLetterPolicy(Struct, frozen=True, kw_only=True):
    topic: str
    max_attempts: int


class SubscriptionSettings(Struct, frozen=True, kw_only=True):
    """One subscription, every field that can stop a batch."""

    name: str
    """projects/P/subscriptions/S"""
    topic: str
    """projects/P/topics/T, or DELETED_TOPIC."""
    push_endpoint: str = ""
    """Empty for a pull subscription."""
    push_account: str = ""
    """E-mail of the service account in oidcToken; empty if pushes carry no token."""
    audience: str = ""
    """As configured; empty means that Google uses the push endpoint URL."""
    no_wrapper: bool = False
    ack_deadline_s: float = 10.0
    retry: RetryPolicy | None = None
    dead_letter: DeadLetterPolicy | None = None
    filter: str = ""
    ordering: bool = False
    exactly_once: bool = False
    retention_s: float = 604800.0
    expiration_s: float | None = None
    """None means that it never expires."""
    detached: bool = False
    transforms: int = 0
    labels: dict[str, str] = {}

    @property
    def effective_audience(self) -> str:
        return self.audience or self.push_endpoint


class SubscriptionConfig(Evidence, frozen=True, kw_only=True):
    """The push subscription of a leg. `settings` is None when Google says that it does not exist."""

    per_leg: ClassVar[bool] = True
    settings: SubscriptionSettings | None


class TopicSettings(Struct, frozen=True, kw_only=True):
    name: str
    """projects/P/topics/T"""
    retention_s: float = 0.0
    schema: str = ""
    kms_key: str = ""
    regions: tuple[str, ...] = ()
    enforce_in_transit: bool = False
    transforms: int = 0


class TopicConfig(Evidence, frozen=True, kw_only=True):
    """The topic of a leg. `settings` is None when Google says that it does not exist."""

    per_leg: ClassVar[bool] = True
    name: str
    settings: TopicSettings | None


class TopicSubscriptions(Evidence, frozen=True, kw_only=True):
    """Full names of all subscriptions attached to the leg's topic, in any project."""

    per_leg: ClassVar[bool] = True
    names: tuple[str, ...]


class ProjectSubscriptions(Evidence, frozen=True, kw_only=True):
    """Settings of every subscription of the project."""

    subscriptions: tuple[SubscriptionSettings, ...]


class DeadLetterTopic(Evidence, frozen=True, kw_only=True):
    """The dead-letter topic that the leg's subscription names (`name` empty: it names none)."""

    per_leg: ClassVar[bool] = True
    name: str
    exists: bool
    subscriptions: tuple[str, ...] = ()
