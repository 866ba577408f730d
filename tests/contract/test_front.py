"""The front itself: the program as it runs against Google ends in a whole answer, and a test can change what Google says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.front.google import Google, Refusal, Told, Trouble, answering, logins


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with answering("typical-batch") as front:
        yield front


def test_a_batch_is_diagnosed_over_tls_with_a_signed_token(google: Google) -> None:
    google.calls.clear()
    said = google.run("batch", "-o", "json", login=logins.key(google), alone=True)
    whole = said.json()
    assert (said.code, whole["state"], whole["pipeline"]["lab"]) == (0, "done", False)
    assert whole["pipeline"]["principal"] == f"serviceAccount:diag@{google.project}.iam.gserviceaccount.com"
    assert {"pubsub.googleapis.com", "logging.googleapis.com", "run.googleapis.com"} <= set(google.wire.hosts)
    asked = next(c for c in google.calls if c.rpc.endswith("GetSubscription"))
    assert asked.metadata["authorization"].startswith("Bearer ")
    assert "pubsub-diag" in asked.metadata["x-goog-api-client"] + asked.metadata["user-agent"]


def test_what_google_answers_can_be_changed(google: Google) -> None:
    def impatient(_: Any, reply: Any) -> None:
        reply.ack_deadline_seconds = 11

    with (
        google.change("GetTopic", refuse=Refusal("PERMISSION_DENIED", "no", "SERVICE_DISABLED")) as topic,
        google.change("GetSubscription", when=lambda r: "request" in r.subscription, reply=impatient) as subscription,
        google.trouble(Trouble.REFUSED, "iam.googleapis.com"),
    ):
        said = google.run("lint", "-v")
    assert topic.met and subscription.met
    assert "11 s" in said.out
    assert "iam.googleapis.com cannot be reached" in said.out


def test_what_is_asked_over_http_can_be_answered_otherwise(google: Google) -> None:
    with google.web(".run.app", instead=Told(503, "busy")) as status:
        said = google.run("batch", "-v")
    assert status.met == 1
    assert "503" in said.out


def test_a_token_that_google_does_not_know_is_refused(google: Google) -> None:
    login = logins.gcloud(google)
    (login.home / "bin" / "access").write_text("ya29.made-up")
    said = google.run("delivery", "-o", "json", login=login)
    assert said.code == 3
    assert "Google did not accept the login" in said.out
