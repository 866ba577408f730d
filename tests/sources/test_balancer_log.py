"""Whose answer a load balancer's row is, and which rows are the leg's pushes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.logging_v2 import types
from google.protobuf import json_format

from diagnostics.evidence.model import By, Provenance, SubscriptionConfig, SubscriptionSettings, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.question.ask import Window
from diagnostics.sources.balancer_log import balancer_log
from diagnostics.transport.session import Session
from tests.sources.conftest import NOW

SEEN = json.loads((Path(__file__).parents[1] / "data" / "google" / "requests.json").read_text(encoding="utf-8"))
PUBLIC, *_ = (case["shape"] for case in SEEN if case["shape"]["resource"]["type"] == "http_load_balancer")
WINDOW = Window(since=NOW - timedelta(days=1), until=NOW + timedelta(days=30))
PROFILE = PipelineProfile(name="shop", project="acme-shop", request=LegProfile(subscription="s"))

SessionOf = Callable[..., Session]


def entry(**payload: Any) -> Any:
    """The public entry with another payload."""
    shape = copy.deepcopy(PUBLIC)
    shape["jsonPayload"] = payload
    return json_format.ParseDict(shape, types.LogEntry.pb()())


def config(endpoint: str) -> SubscriptionConfig:
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s", topic="projects/p/topics/t", push_endpoint=endpoint
    )
    return SubscriptionConfig(source=Provenance(source="", fetched_at=NOW, as_of=NOW), settings=settings)


def answering(session_of: SessionOf, *entries: Any) -> Session:
    page = SimpleNamespace(entries=list(entries), next_page_token="")
    return session_of(logs={"list_log_entries": lambda _: SimpleNamespace(pages=iter([page]))})


@pytest.mark.parametrize(
    ("payload", "by", "details"),
    [
        ({"statusDetails": "response_sent_by_backend"}, By.BACKEND, "response_sent_by_backend"),
        ({"statusDetails": "backend_timeout"}, By.BALANCER, "backend_timeout"),
        ({"statusDetails": "handled_by_identity_aware_proxy"}, By.BALANCER, "handled_by_identity_aware_proxy"),
        ({"proxyStatus": 'error="http_response_timeout"'}, By.BALANCER, 'error="http_response_timeout"'),
        ({}, By.BACKEND, ""),
    ],
)
def test_who_answered(session_of: SessionOf, payload: dict[str, Any], by: By, details: str) -> None:
    session = answering(session_of, entry(**payload))
    (row,) = balancer_log(session, PROFILE, config("https://api.example.com/predict"), WINDOW).rows
    assert (row.by, row.details, row.status, row.backend) == (by, details, 502, "api-backend")


def test_the_public_entry_is_read_without_loss(session_of: SessionOf) -> None:
    session = answering(session_of, json_format.ParseDict(PUBLIC, types.LogEntry.pb()()))
    log = balancer_log(session, PROFILE, config("https://api.example.com/predict"), WINDOW)
    (row,) = log.rows
    assert (row.details, row.by) == ("backend_connection_closed_before_data_sent_to_client", By.BALANCER)
    assert f"{row.at:%H:%M:%S}" == "05:48:21"
    assert row.latency_s == pytest.approx(0.025376)
    assert "load balancer logs" in log.source.note


def test_a_policy_that_only_looks_on_denies_nothing(session_of: SessionOf) -> None:
    looked = entry(
        statusDetails="response_sent_by_backend", enforcedSecurityPolicy={"name": "edge", "outcome": "ACCEPT"}
    )
    (row,) = balancer_log(
        answering(session_of, looked), PROFILE, config("https://api.example.com/predict"), WINDOW
    ).rows
    assert (row.by, row.policy) == (By.BACKEND, "")


@pytest.mark.parametrize("endpoint", ["https://api.example.com/other", "https://www.example.com/predict"])
def test_rows_of_another_path_or_host_are_left_out(session_of: SessionOf, endpoint: str) -> None:
    session = answering(session_of, entry(statusDetails="backend_timeout"))
    assert balancer_log(session, PROFILE, config(endpoint), WINDOW).rows == ()


@pytest.mark.parametrize(
    "endpoint",
    ["", "https://w-4zbx6k5abc-ue.a.run.app/push", "https://p.appspot.com/_ah/push-handlers/x",
     "https://us-east1-p.cloudfunctions.net/f"],
)  # fmt: skip
def test_an_address_that_google_made_is_not_asked_about(session_of: SessionOf, endpoint: str) -> None:
    with pytest.raises(NotSeen) as raised:
        balancer_log(answering(session_of), PROFILE, config(endpoint), WINDOW)
    assert raised.value.why is Why.NOT_ASKED
