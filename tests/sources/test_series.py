"""Time series: a metric that was never written, one that fails beside others that do not, and the line that shows the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from diagnostics.evidence.unseen import NotSeen
from diagnostics.sources.series import Fetched, Query, Resource, Span, counts, fetch, percentile, promql
from diagnostics.transport.session import Session
from tests.sources.conftest import NOW

SessionOf = Callable[..., Session]
RESOURCE = Resource("p", "pubsub_subscription", (("subscription_id", "s"),))
PUSHES, ACKS = (
    counts(f"pubsub.googleapis.com/subscription/{name}") for name in ("push_request_count", "ack_message_count")
)
SLOW = percentile("run.googleapis.com/request_latency/pending", 99, 1e-3).aside()
UNKNOWN = exceptions.NotFound(
    'Cannot find metric(s) that match type = "…". If a metric was created recently, it could take up to 10 minutes to become '
    "available. Please try again soon."
)
"""As cloudscheduler.googleapis.com/job/attempt_count and Firestore's metrics were seen to answer in public."""


def fetched(session_of: SessionOf, answers: dict[str, Any], *queries: Query) -> Fetched:
    """What comes of the queries, where each metric (by its last part) has a point, or fails so."""

    def answer(request: dict[str, Any]) -> Any:
        metric = request["filter"].partition('"')[2].partition('"')[0].rpartition("/")[2]
        if metric in answers:
            raise answers[metric]
        value = SimpleNamespace(WhichOneof=lambda _: "int64_value", int64_value=3)
        at = SimpleNamespace(seconds=int(NOW.timestamp()) - 300)
        interval = SimpleNamespace(start_time=at, end_time=at, HasField=lambda _: True)
        point = SimpleNamespace(value=value, interval=interval)
        series = SimpleNamespace(metric=SimpleNamespace(labels={}), resource=SimpleNamespace(labels={}), points=[point])
        page = SimpleNamespace(time_series=[series], execution_errors=[], next_page_token="")
        return SimpleNamespace(pages=iter([page]))

    session = session_of(metrics={"list_time_series": answer})
    return fetch(session, RESOURCE, Span(NOW - timedelta(hours=1), NOW, 60), *queries)


def test_a_metric_that_was_never_written_is_nothing_counted_and_takes_nothing_along(session_of: SessionOf) -> None:
    got = fetched(session_of, {"push_request_count": UNKNOWN}, PUSHES, ACKS)
    assert got.series[0] == ()
    assert got.series[1][0].points[0].value == 3
    assert got.source.complete
    assert "nothing was ever counted in this project for pubsub.googleapis.com/subscription/push_request_count" in (
        got.source.note
    )
    assert NOW - got.source.as_of < timedelta(minutes=5)


def test_where_nothing_was_ever_written_the_last_ten_minutes_are_not_spoken_for(session_of: SessionOf) -> None:
    got = fetched(session_of, {"push_request_count": UNKNOWN}, PUSHES)
    assert NOW - got.source.as_of >= timedelta(minutes=10)


def test_what_stands_beside_the_rest_fails_alone(session_of: SessionOf) -> None:
    got = fetched(session_of, {"pending": exceptions.InternalServerError("no")}, PUSHES, SLOW)
    assert got.series[0]
    assert got.series[1] == ()
    assert not got.source.complete
    assert "run.googleapis.com/request_latency/pending could not be seen" in got.source.note


def test_what_the_rest_needs_fails_with_it(session_of: SessionOf) -> None:
    with pytest.raises(NotSeen):
        fetched(session_of, {"push_request_count": exceptions.InternalServerError("no")}, PUSHES, ACKS)


@pytest.mark.parametrize(("step_s", "window"), [(60, "[5m]"), (600, "[10m]"), (3600, "[60m]")])
def test_the_window_of_an_increase_holds_more_than_one_sample(step_s: int, window: str) -> None:
    assert window in promql(RESOURCE, PUSHES, step_s)
