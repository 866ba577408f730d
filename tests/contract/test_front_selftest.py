"""A self-test on the way that it takes to Google: over TLS, signed in, with answers as Google words them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import iam_admin_v1

from tests.contract.front.google import Google, Refusal, Told, answering, logins

FILE = "found.json"


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with answering("typical-batch") as front:
        yield front


def found(google: Google, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, what was written, and all that was written and printed."""
    login = logins.key(google)
    said = google.run("selftest", "--out", FILE, *arguments, login=login)
    text = (login.home / FILE).read_text(encoding="utf-8")
    return said.code, json.loads(text), text + said.out + said.err


def test_every_source_answers_and_nobody_is_named(google: Google) -> None:
    def role(request: Any) -> Any:
        return iam_admin_v1.Role.pb()(name=request.name, included_permissions=["run.routes.invoke", "run.services.get"])

    with google.change("GetRole", instead=role):
        code, told, text = found(google)
    assert told["facts"]["run_developer"]["seen"] == {"roles/run.developer holds run.routes.invoke": 1}
    assert (code, told["odd"], told["lab"]) == (0, {}, False)
    assert told["calls"]["logging.list_log_entries"]["outcomes"]["answered"] > 5
    assert told["signed_in"].endswith("serviceAccount")
    for name in (google.project, "prediction", f"diag@{google.project}"):
        assert name not in text


def test_what_google_refuses_is_told_in_its_words_without_names(google: Google) -> None:
    out_of_sight = Refusal(
        "NOT_FOUND",
        "Requested project not found or user does not have access to it (project=acme-lost). Make sure to specify the unique project "
        "identifier and not the Google Cloud Console display name.",
    )
    new = Refusal(
        "PERMISSION_DENIED", "Access to acme-lost is denied while Mercury is retrograde.", "MERCURY_RETROGRADE"
    )
    with (
        google.change("GetTopic", refuse=out_of_sight),
        google.change("ListRevisions", refuse=new),
        google.web(".run.app", instead=Told(503, "acme-lost is busy")),
    ):
        code, told, text = found(google)
    assert code == 3
    said = " ".join(told["calls"]["publisher.get_topic"]["outcomes"])
    assert "NotFound" in said and "project not found or user does not have access to it (project=…)" in said
    assert any("for a reason that is not known" in odd and "run.list_revisions" in odd for odd in told["odd"])
    assert any(answer.startswith("503") for answer in told["status_calls"])
    assert "acme-lost" not in text and "Mercury" not in text


def test_an_answer_that_our_libraries_do_not_know_is_told(google: Google) -> None:
    def newer(_: Any, reply: Any) -> None:
        reply.MergeFromString(b"\xba\x3e\x01x")

    with google.change("GetSubscription", reply=newer) as change:
        code, told, _ = found(google)
    assert change.met
    assert code == 1
    assert any(
        "subscriber.get_subscription: Subscription has a field with the number 999" in odd for odd in told["odd"]
    )
