"""A log line, a status or a symptom leads to its page."""

from __future__ import annotations

import pytest

from diagnostics.runbook.pages import every
from diagnostics.runbook.search import NEAREST, find


@pytest.mark.parametrize(
    ("seen", "among", "first"),
    [
        ("already_running", "stale-active-batch-blocks-start", 1),
        ("409 Conflict", "other-batch-running", 2),
        ("stuck at 0/181", "gated-batch-never-closes", 5),
        ("114/119", "gated-batch-never-closes", 2),
        ("The request was aborted because there was no available instance.", "max-instances-saturated", 2),
        ("The request was not authorized to invoke this service. Read more at", "push-audience-mismatch", 1),
        ("Memory limit of 512 MiB exceeded with 530 MiB used.", "out-of-memory", 1),
        ("[CRITICAL] WORKER TIMEOUT (pid:17)", "server-timeout-kills-work", 1),
        ("LIVENESS HTTP probe failed 4 times consecutively for container", "liveness-probe-kills", 1),
        ("missing required environment variables: GCP_PROJECT_ID", "environment-lost-in-deploy", 1),
        ("RESOURCE_EXHAUSTED", "publish-quota-exceeded", 1),
        ("topic: _deleted-topic_", "subscription-not-attached", 1),
        ("The request has been terminated because it has reached the maximum request timeout", "request-timeout-cuts-work", 1),
        ("Default STARTUP TCP probe failed 1 time consecutively for container", "worker-crashing", 3),
        ("NOT_FOUND: Resource not found (resource=orders-ready)", "completion-topic-misnamed", 4),
        ("404 Resource not found (resource=prediction-request).", "request-topic-name-wrong", 5),
        ("400 Invalid data in message: Message failed schema validation.", "schema-refuses-messages", 1),
        ("User not authorized to perform this action", "publisher-role-missing", 2),
        ("403 User not authorized to perform this action", "completion-publisher-role-missing", 2),
        ("no games", "empty-by-design", 1),
    ],
)  # fmt: skip
def test_what_one_sees_leads_to_its_page(seen: str, among: str, first: int) -> None:
    assert among in [hit.page.front.name for hit in find(seen)[:first]]


def test_the_line_that_is_shown_holds_the_words() -> None:
    (hit, *_) = find("latency equal to the request timeout")
    assert hit.line == "the start call ended in 504, its latency equal to the request timeout"


def test_pages_with_every_word_come_first_and_all_of_them() -> None:
    several = find("subscription topic")
    assert len(several) > NEAREST
    assert find("subscription topic unheardof")[0].page.front.name in {hit.page.front.name for hit in several}


@pytest.mark.parametrize("text", ["", "_ - ' \" *", '"', "\ud800\0", "NEAR(a b) OR *", "x" * 100_000])
def test_anything_may_be_looked_for(text: str) -> None:
    assert len(find(text)) <= len(every())


def test_each_symptom_is_one_page_s() -> None:
    said = [symptom for page in every() for symptom in page.front.symptoms]
    assert len(said) == len(set(said))
    assert all(page.front.symptoms for page in every() if page.front.code)
