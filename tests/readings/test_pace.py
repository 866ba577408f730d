"""How long a message may rest between two pushes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from diagnostics.evidence.model import Provenance, RetryPolicy, SubscriptionConfig, SubscriptionSettings, Unseen, Why
from diagnostics.readings.pace import between_tries

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)


def config(retry: RetryPolicy | None) -> SubscriptionConfig:
    settings = SubscriptionSettings(name="s", topic="t", ack_deadline_s=30, retry=retry)
    return SubscriptionConfig(source=Provenance(source="test", fetched_at=NOW, as_of=NOW), settings=settings)


def test_the_longer_delay_and_the_ack_deadline() -> None:
    assert between_tries(config(RetryPolicy(min_s=10, max_s=600))) == timedelta(seconds=630)


def test_without_a_retry_policy_the_subscription_itself_still_backs_off() -> None:
    assert between_tries(config(None)) == timedelta(seconds=90)


def test_the_longest_there_is_where_it_was_not_seen() -> None:
    assert between_tries(Unseen(what="SubscriptionConfig", why=Why.PERMISSION_DENIED, says="")) == timedelta(minutes=20)
