"""Nothing secret leaves."""

from __future__ import annotations

import pytest

from diagnostics.evidence.model import Why
from diagnostics.evidence.redact import endpoint, hashed, member, principal, redact
from diagnostics.evidence.unseen import NotSeen

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL3gifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Authorization: Bearer {JWT}", JWT),
        (f"got {JWT} from metadata", JWT),
        ("token ya29.a0AfH6SMBx_y-z", "a0AfH6SMBx"),
        ("refresh 1//0gFoobarbazFoobarbazFoobar", "0gFoobar"),
        ("key AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSyA1"),
        ('{"api_key": "hunter2hunter2"}', "hunter2"),
        ("password=hunter2 next", "hunter2"),
        ("Cookie: session=abc; other=def", "abc"),
        ("X-API-Key: 12345abcde", "12345abcde"),
        ("https://user:pass@example.com/x", "pass"),
        ("client secret GOCSPX-abcdef_123", "abcdef_123"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEv\n-----END PRIVATE KEY-----", "MIIEv"),
        ("by alice.b+x@example.co.uk at noon", "alice"),
    ],
)
def test_secrets_and_people_are_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)


def test_what_a_reader_needs_stays() -> None:
    line = "TRANSIENT failure for adamkovac: player_injury_out - returning 500 (worker@p.iam.gserviceaccount.com)"
    assert redact(line) == line


def test_a_cut_text_says_so() -> None:
    assert redact("x" * 400, 300) == "x" * 299 + "…"


def test_a_cut_leaves_no_half_of_a_word_that_a_pattern_of_the_profile_would_have_matched() -> None:
    line = f"{'x' * 30} of ACCT-12345678 refused"
    assert redact(line, 40) == f"{'x' * 30} of …"
    assert redact(line, 48) == f"{'x' * 30} of ACCT-12345678…"
    assert redact(f'{"x" * 30} {{"id":"ACCT-12345678"}}', 45) == f'{"x" * 30} {{"id":"…'


def test_what_was_not_seen_is_told_without_what_the_answer_held() -> None:
    """Also by the commands that keep no evidence."""
    said = NotSeen(Why.FAILED, "it said password=hunter2", "token=hunter2", "ask alice@example.com")
    assert "hunter2" not in f"{said} {said.says} {said.permission}" and "alice" not in said.mend
    plain = NotSeen(
        Why.PERMISSION_DENIED,
        "pubsub.topics.get is missing",
        "pubsub.topics.get",
        "ask for a role with pubsub.topics.get",
    )
    assert (plain.says, plain.permission) == ("pubsub.topics.get is missing", "pubsub.topics.get")
    assert plain.mend == "ask for a role with pubsub.topics.get"


def test_a_person_is_the_same_wherever_they_occur_and_a_service_account_stays() -> None:
    assert principal("alice@example.com") == principal("Alice@example.com") != principal("bob@example.com")
    assert principal("a@p.iam.gserviceaccount.com") == "a@p.iam.gserviceaccount.com"
    assert member("user:alice@example.com") == "user:" + principal("alice@example.com")
    assert member("allUsers") == "allUsers"
    deleted = "deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=123"
    assert member(deleted) == deleted
    assert "alice" not in member("deleted:user:alice@example.com?uid=123")


def test_a_hash_tells_change_and_nothing_else() -> None:
    assert hashed("topic-a", "service") == hashed("topic-a", "service") != hashed("topic-b", "service")
    assert hashed("topic-a", "service") != hashed("topic-a", "other service")
    assert len(hashed("x", "y")) == 12


def test_an_endpoint_keeps_its_path_and_loses_its_secrets() -> None:
    assert endpoint("https://w.run.app/predict") == "https://w.run.app/predict"
    assert (
        endpoint("https://me:pw@w.run.app/p?token=abc&x=1")
        == "https://[redacted]@w.run.app/p?token=[redacted]&x=[redacted]"
    )
