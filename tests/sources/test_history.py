"""How far back the audit logs are read for how things stood then: no further than it takes, for Google keeps 400 days of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from google.cloud.audit import audit_log_pb2

from diagnostics.pipeline.load import load_profile
from diagnostics.question.ask import Ask
from diagnostics.sources.past.history import history
from diagnostics.transport.session import Session
from tests.sources.conftest import NOW
from tests.sources.test_search import at, pager, window

EXAMPLE = load_profile("nba-predictions")
THEN = NOW - timedelta(hours=2)
SUBSCRIPTION = "projects/nba-props-platform/subscriptions/prediction-request-prod"


def change(ago: timedelta, method: str) -> Any:
    entry = at(ago)
    entry.log_name = "projects/nba-props-platform/logs/cloudaudit.googleapis.com%2Factivity"
    payload = audit_log_pb2.AuditLog(
        service_name="pubsub.googleapis.com",
        method_name=f"google.pubsub.v1.Subscriber.{method}",
        resource_name=SUBSCRIPTION,
    )
    entry.proto_payload.Pack(payload)
    return entry


def asked(session_of: Callable[..., Session], *entries: Any) -> list[tuple[datetime, datetime]]:
    """The windows in which the audit logs were searched."""
    windows = []

    def answer(request: dict[str, Any]) -> Any:
        since, until = window(request)
        windows.append((since, until))
        return pager([e for e in entries if since <= e.timestamp.ToDatetime(NOW.tzinfo) < until])

    history(session_of(logs={"list_log_entries": answer}), EXAMPLE, Ask(until=THEN))
    return windows


def test_where_nothing_was_changed_since_nothing_older_is_read(session_of: Callable[..., Session]) -> None:
    assert min(since for since, _ in asked(session_of)) == THEN


def test_what_was_changed_since_is_looked_for_a_month_back_and_further_only_where_that_does_not_tell(
    session_of: Callable[..., Session],
) -> None:
    updated, created = change(timedelta(hours=1), "UpdateSubscription"), change(timedelta(days=3), "CreateSubscription")
    assert min(since for since, _ in asked(session_of, updated, created)) == THEN - timedelta(days=30)
    assert min(since for since, _ in asked(session_of, updated)) < NOW - timedelta(days=390)
