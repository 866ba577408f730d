"""A receiver behind a load balancer, on a domain of its own: its request log is read, and says who refused the pushes.

Sources: the fields and words of `jsonPayload`, Google's logging pages of the external Application Load Balancers; the entry's form,
public logs of 2021 and 2026 (tests/data/google/requests.json).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.front.google import Google, Said, answering

HOST, PATH = "api.example.com", "/predict"
PUSHER = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with answering("push-invoker-missing") as front:
        yield front


def behind_a_balancer(_: Any, reply: Any) -> None:
    if reply.push_config.push_endpoint:
        reply.push_config.push_endpoint = f"https://{HOST}{PATH}"


def logged(google: Google, number: int, *, url: str, agent: str = PUSHER, status: int = 403, **payload: Any) -> Any:
    """Entries of a balancer, the newest half a minute ago."""

    def reply(_: Any, reply: Any) -> None:
        for n in range(number):
            entry = reply.entries.add(log_name=f"projects/{google.project}/logs/requests", insert_id=f"{url} {n}")
            entry.timestamp.FromDatetime(google.now - timedelta(seconds=30 + n))
            entry.receive_timestamp.FromDatetime(google.now - timedelta(seconds=20 + n))
            entry.resource.type = "http_load_balancer"
            entry.resource.labels["backend_service_name"] = "api-backend"
            entry.http_request.request_method, entry.http_request.request_url = "POST", url
            entry.http_request.status, entry.http_request.user_agent = status, agent
            entry.json_payload.update(payload)

    return reply


def asked(google: Google, *replies: Any) -> Said:
    name = next(n for n in google.world.lab.world.subscriptions if "request" in n)

    def all_of(request: Any, reply: Any) -> None:
        for one in replies:
            one(request, reply)

    with (
        google.change("GetSubscription", reply=behind_a_balancer),
        google.change("ListLogEntries", when=lambda r: "load_balancer" in r.filter, reply=all_of) as change,
    ):
        said = google.run("delivery", "--subscription", name, "--since", "40m", "-o", "json", profile=False)
    assert change.met == 1
    return said


def told(said: Said) -> list[dict[str, Any]]:
    return [f for f in said.json()["findings"] if f["code"] == "delivered.balancer"]


def test_what_cloud_armor_denies_is_not_laid_to_the_receiver(google: Google) -> None:
    policy = {"name": "edge", "outcome": "DENY", "priority": 1000}
    denied = logged(
        google, 6, url=f"https://{HOST}{PATH}", statusDetails="denied_by_security_policy", enforcedSecurityPolicy=policy
    )
    person = logged(google, 40, url=f"https://{HOST}{PATH}", agent="curl/8", statusDetails="denied_by_security_policy")
    other = logged(google, 40, url=f"https://{HOST}/admin", statusDetails="denied_by_security_policy")
    said = asked(google, denied, person, other)
    (found,) = told(said)
    assert found["status"] in ("warning", "fault")
    assert "6 or more pushes to api.example.com answered 403 by the load balancer itself" in found["says"]
    assert "the Cloud Armor policy edge denied them" in found["says"]
    assert not [c for c in said.json()["causes"] if c["confidence"] == "confirmed"]


def test_what_comes_from_behind_it_is_no_programs_answer_for_sure(google: Google) -> None:
    said = asked(google, logged(google, 5, url=f"https://{HOST}{PATH}", statusDetails="response_sent_by_backend"))
    (found,) = told(said)
    assert "by what is behind the load balancer" in found["says"]
    assert not [c for c in said.json()["causes"] if c["confidence"] == "confirmed"]


def test_a_balancer_that_logs_nothing_says_nothing(google: Google) -> None:
    said = asked(google)
    assert told(said) == []
    assert not [c for c in said.json()["causes"] if c["confidence"] == "confirmed"]


def test_init_says_what_it_could_not_resolve_and_what_to_write(google: Google) -> None:
    name = next(n for n in google.world.lab.world.subscriptions if "request" in n)
    with google.change("GetSubscription", reply=behind_a_balancer):
        said = google.run("init", "--subscription", name, "--out", "-", profile=False)
    whole = said.out + said.err
    assert HOST in whole
    assert "worker.service" in whole
    assert "http_load_balancer" in whole
