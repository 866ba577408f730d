"""The filter languages: what they find, with Google's precedence, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from diagnostics.lab.query import logging, monitoring
from diagnostics.lab.query.tokens import FilterError
from diagnostics.lab.recorder import LogEntry

PROJECT = "p"
T = 1770550000.0  # 2026-02-08T11:26:40Z


def entry(**fields: Any) -> LogEntry:
    base: dict[str, Any] = {
        "log": "run.googleapis.com/stdout",
        "timestamp": T,
        "received": T + 3,
        "severity": "INFO",
        "resource_type": "cloud_run_revision",
        "resource_labels": {"service_name": "prediction-worker"},
        "insert_id": "0001",
    }
    return LogEntry(**{**base, **fields})


def found(text: str, candidate: LogEntry) -> bool:
    return logging.parse(text, PROJECT).finds(candidate)


REQUEST = entry(
    log="run.googleapis.com/requests",
    severity="WARNING",
    http={"status": 403, "latency": 0.25, "requestUrl": "https://w.run.app/predict", "requestMethod": "POST"},
    labels={"instanceId": "00ab"},
)
AUDIT = entry(
    log="cloudaudit.googleapis.com/activity",
    severity="NOTICE",
    proto={
        "serviceName": "pubsub.googleapis.com",
        "methodName": "google.pubsub.v1.Subscriber.UpdateSubscription",
        "status": {"code": 7},
        "authorizationInfo": [{"permission": "a", "granted": True}, {"permission": "b"}],
    },
)


@pytest.mark.parametrize(
    ("text", "candidate"),
    [
        ("", entry()),
        ('log_id("run.googleapis.com/stdout")', entry()),
        ('logName="projects/p/logs/run.googleapis.com%2Fstdout"', entry()),
        ('resource.type="cloud_run_revision" resource.labels.service_name="prediction-worker"', entry()),
        ('resource.labels.service_name=("x" OR "prediction-worker")', entry()),
        ('textPayload:("one" AND "two")', entry(text="two and One")),
        ('textPayload="BATCH DONE"', entry(text="Batch done")),
        (r'textPayload=~"batch_\d{4}-\d\d"', entry(text="at batch_2026-02-08_1")),
        (r'textPayload=~"a\\.b"', entry(text="a.b")),
        ('textPayload!~"batch"', entry(text="Batch")),
        ('timestamp>="2026-02-08T11:26:40Z" timestamp<"2026-02-08T11:26:41Z"', entry()),
        ('timestamp>="2026-02-08T12:26:40+01:00"', entry()),
        ('receiveTimestamp>"2026-02-08T11:26:42Z"', entry()),
        ("timestamp>=2026-02-08", entry()),
        ("severity>=warning", REQUEST),
        ("severity=(WARNING OR ERROR)", REQUEST),
        ('httpRequest.status>=400 AND httpRequest.latency>="0.2s"', REQUEST),
        ('httpRequest.requestUrl:"/predict" httpRequest.requestMethod=POST', REQUEST),
        ("labels.instanceId:*", REQUEST),
        ('labels."instanceId"="00ab"', REQUEST),
        ("NOT labels.instanceId:*", entry()),
        ("NOT httpRequest.status=200", entry()),
        ("protoPayload.status.code=7", AUDIT),
        ('protoPayload.methodName:"Subscription"', AUDIT),
        ('protoPayload.authorizationInfo.permission="b"', AUDIT),
        ('protoPayload:"UpdateSub"', AUDIT),
        ('jsonPayload.order.id="ORD-000123"', entry(json={"order": {"id": "ord-000123"}})),
        ("jsonPayload.count>=5", entry(json={"count": 12})),
        ("jsonPayload.ok=true", entry(json={"ok": True})),
        ('trace="projects/p/traces/1" -- a comment', entry(trace="projects/p/traces/1")),
    ],
)
def test_a_filter_finds_what_it_describes(text: str, candidate: LogEntry) -> None:
    assert found(text, candidate)


@pytest.mark.parametrize(
    ("text", "candidate"),
    [
        ('log_id("run.googleapis.com/stderr")', entry()),
        ("httpRequest.status!=200", entry()),
        ('labels.instanceId!="x"', entry()),
        ('textPayload="done"', entry(text="batch done")),
        ('textPayload=~"Batch"', entry(text="batch")),
        ("severity>=ERROR", REQUEST),
        ("jsonPayload.count>=5", entry(json={"count": "many"})),
        ('logName="projects/q/logs/run.googleapis.com%2Fstdout"', entry()),
        ("jsonPayload.count:*", entry(json={"other": 1})),
    ],
)
def test_a_filter_finds_nothing_else(text: str, candidate: LogEntry) -> None:
    assert not found(text, candidate)


def test_or_binds_tighter_than_and() -> None:
    """a AND b OR c is a AND (b OR c): with a false nothing matches, though c is true."""
    text = 'textPayload="a" AND textPayload="b" OR severity=INFO'
    assert not found(text, entry(text="c"))
    assert found(f"({text.replace(' OR', ') OR')}", entry(text="c"))


def test_not_binds_tightest() -> None:
    assert found('NOT textPayload="b" OR textPayload="b"', entry(text="b"))


def test_the_filter_says_which_logs_and_times_to_search() -> None:
    query = logging.parse('(log_id("a") OR log_id("b")) timestamp>="2026-02-08T11:26:40Z" severity=INFO', PROJECT)
    assert query.logs == frozenset({"a", "b"})
    assert (query.since, query.until) == (T, float("inf"))


@pytest.mark.parametrize("apart_us", [-1, 0, 1])
@pytest.mark.parametrize("operator", ["<", "<=", "=", ">=", ">"])
@pytest.mark.parametrize(
    "more", ["", ' log_id("a")', ' (log_id("a") OR log_id("b"))', ' (log_id("a") OR severity=ERROR)']
)
@pytest.mark.parametrize("log", ["a", "b", "c"])
def test_what_is_searched_by_log_and_time_alone_is_found_like_all_else(
    apart_us: int, operator: str, more: str, log: str
) -> None:
    """Each in a filter of its own, behind NOT, where only the test of every part of it counts; and all at the top."""
    text = f'timestamp{operator}"2026-02-08T11:26:40Z"{more}'
    candidate = entry(log=log, timestamp=T + apart_us * 1e-6, severity="ERROR" if log == "c" else "INFO")
    assert found(text, candidate) == (not found(f"NOT ({text})", candidate))
    in_time = {"<": apart_us < 0, "<=": apart_us <= 0, "=": not apart_us, ">=": apart_us >= 0, ">": apart_us > 0}[
        operator
    ]
    of_log = not more or log == "a" or (log == "b" and '"b"' in more) or (log == "c" and "ERROR" in more)
    assert found(text, candidate) == (in_time and of_log)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('textPayload="a" and textPayload="b"', "upper case"),
        ('not textPayload="a"', "upper case"),
        ('textPayload=("a" or "b")', "upper case"),
        ('texPayload="a"', "Field not found: 'texPayload'"),
        ('resource.label.x="a"', "Field not found"),
        ('httpRequest.url="a"', "Field not found"),
        ('protoPayload.method="a"', "Field not found"),
        ("httpRequest.status=oops", "expected a number"),
        ("httpRequest.latency>1", "duration"),
        ('severity>="SEVERE"', "unknown severity"),
        ("severity:ERROR", "does not apply"),
        ('timestamp>="yesterday"', "invalid timestamp"),
        ('timestamp>="2026-02-08T11:26:40"', "time zone"),
        ("insertId = abc:def", "must be quoted"),
        ('insertId = "a" OR "b"', "name the field"),
        ('textPayload=~"(?=x)"', "RE2"),
        ('textPayload=~"("', "invalid regular expression"),
        ("textPayload=*", "only with the operator ':'"),
        ("sample(insertId, 0.1)", "unsupported function sample"),
        ('(textPayload="a"', "expected )"),
        ('textPayload="a', "column 13"),
        ("textPayload=", "end of filter"),
        ('jsonPayload="a"', "whole payload"),
        ('textPayload="' + "x" * 20_000 + '"', "at most 20000 characters"),
    ],
)
def test_a_log_filter_that_is_not_understood_is_refused(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says.replace("(", r"\(").replace(")", r"\)")):
        logging.parse(text, PROJECT)


PUSHES = 'metric.type="pubsub.googleapis.com/subscription/push_request_count"'


@pytest.mark.parametrize(
    ("condition", "selected"),
    [
        ('resource.labels.subscription_id="s"', True),
        ('resource.labels.subscription_id!="s"', False),
        ('resource.label.subscription_id=one_of("r", "s")', True),
        ('metric.labels.response_class=starts_with("remote_")', True),
        ('metric.labels.response_class=monitoring.regex.full_match("remote_server_[45]xx")', True),
        ('metric.labels.response_class=monitoring.regex.full_match("remote")', False),
        ('NOT metric.labels.response_class="ack"', True),
        ('(metric.labels.response_class="ack" OR metric.labels.response_class="remote_server_4xx")', True),
        ('resource.type="pubsub_subscription"', True),
    ],
)
def test_a_monitoring_filter_selects_series(condition: str, selected: bool) -> None:
    query = monitoring.parse(f"{PUSHES} AND {condition}")
    assert query.metric.endswith("push_request_count")
    assert query.selects({"subscription_id": "s"}, {"response_class": "remote_server_4xx"}) is selected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "single metric type"),
        ('resource.labels.subscription_id="s"', "single metric type"),
        (f"{PUSHES} AND {PUSHES}", "single metric type"),
        (f"{PUSHES} OR {PUSHES}", "joined with OR"),
        ('metric.type=starts_with("pubsub")', "must be given once"),
        (f'{PUSHES} AND subscription="s"', "unknown field"),
        (f'{PUSHES} AND metric.labels.response_class=~"a"', "not supported"),
        (f"{PUSHES} AND metric.labels.response_class=near(1)", "expected string"),
        (f'{PUSHES} and metric.labels.response_class="a"', "expected op"),
        (f'{PUSHES} AND metric.labels.a="1" OR metric.labels.a="2"', "without parentheses"),
    ],
)
def test_a_monitoring_filter_that_is_not_understood_is_refused(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        monitoring.parse(text)
