"""What a first run meets in an ordinary project, asked on the way to Google: no confirmed cause that is none, and the true sentence.

Sources: a page without entries and with a token, logging.proto on ListLogEntries; the sentence on a project that is not to be seen, public
issues of Google's client libraries; PUBSUB_EMULATOR_HOST, google-cloud-pubsub's own clients; a topic of another project and members that
stand for many, Google's pages on subscriptions and on IAM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.contract.front.google import Google, Refusal, Said, answering

NIGHT, HEALTHY = "2026-02-08-backfill-stall", "typical-batch"
NO_PROJECT = (
    "Requested project not found or user does not have access to it (project={}). Make sure to specify the unique project "
    "identifier and not the Google Cloud Console display name."
)


@pytest.fixture(scope="module")
def night() -> Iterator[Google]:
    with answering(NIGHT) as front:
        yield front


@pytest.fixture(scope="module")
def healthy() -> Iterator[Google]:
    with answering(HEALTHY) as front:
        yield front


def causes(said: Said, confidence: str = "confirmed") -> set[tuple[str, str]]:
    return {(c["code"], c["role"]) for c in said.json()["causes"] if c["confidence"] == confidence}


def from_the_start(request: Any) -> None:
    """What goes on with our token begins anew at the lab."""
    if request.page_token == "no time so far":
        request.page_token = ""


@pytest.mark.whole
def test_a_first_page_without_entries_is_no_absence(night: Google) -> None:
    """The night with every first page of a log search empty names the same cause, and never the guess of that night."""
    begun: set[str] = set()

    def out_of_time(request: Any, reply: Any) -> None:
        if request.filter not in begun:
            begun.add(request.filter)
            del reply.entries[:]
            reply.next_page_token = "no time so far"

    with night.change("ListLogEntries", ask=from_the_start, reply=out_of_time) as change:
        said = night.run("batch", "-o", "json", "--timeout", "60")
    assert change.met > len(begun) > 3
    assert ("gated-batch-never-closes", "blocks") in causes(said)
    assert ("poison-retry-storm", "blocks") not in causes(said) | causes(said, "probable")


def test_a_log_that_never_gets_to_an_end_confirms_nothing(night: Google) -> None:
    def never(_: Any, reply: Any) -> None:
        del reply.entries[:]
        reply.next_page_token = "no time so far"

    with night.change("ListLogEntries", ask=from_the_start, reply=never):
        said = night.run("batch", "-o", "json", "--timeout", "15")
    whole = said.json()
    assert not {code for code, role in causes(said) if role == "blocks"}
    assert whole["status"] != "ok"
    assert any("--timeout" in command for command in whole["next"])


@pytest.mark.parametrize("command", ["batch", "lint"])
def test_a_project_that_cannot_be_seen_breaks_nothing(healthy: Google, command: str) -> None:
    refusal = Refusal("NOT_FOUND", NO_PROJECT.format(healthy.project))
    with ExitStack() as stack:
        for rpc in ("GetSubscription", "GetTopic", "ListTopicSubscriptions", "ListSubscriptions", "ListTopics"):
            stack.enter_context(healthy.change(rpc, refuse=refusal))
        said = healthy.run(command, "-o", "json")
    assert said.code == (0 if command == "batch" else 3), "that the batch is done is told by what is not Pub/Sub's"
    assert not {code for code, role in causes(said) if role != "benign"}
    assert "does not exist" not in said.out
    told = said.out + said.err
    assert healthy.project in told
    assert "--project" in told


def test_the_variable_of_an_emulator_leads_nowhere(healthy: Google) -> None:
    plain = healthy.run("batch", "-o", "json")
    said = healthy.run("batch", "-o", "json", environ={"PUBSUB_EMULATOR_HOST": "127.0.0.1:1"}, alone=True)
    assert (said.code, said.json()["headline"]) == (0, plain.json()["headline"])
    assert "PUBSUB_EMULATOR_HOST" in said.err


def test_a_topic_of_another_project_is_where_its_name_says(healthy: Google) -> None:
    def theirs(_: Any, reply: Any) -> None:
        reply.topic = f"projects/team-a/topics/{reply.topic.rpartition('/')[2]}"

    name = next(iter(healthy.world.lab.world.subscriptions))
    with healthy.change("GetSubscription", reply=theirs):
        written = healthy.run("init", "--subscription", name, "--out", "-", profile=False)
        said = healthy.run("lint", "--subscription", name, "-o", "json", profile=False)
    assert "projects/team-a/topics/" in written.out
    assert "belongs to topic" not in said.out
    assert not causes(said)


@pytest.mark.parametrize(
    "member", ["group:on-call@example.com", "domain:example.com", "principalSet://iam.example/all"]
)
def test_a_member_that_stands_for_many_is_not_called_missing(healthy: Google, member: str) -> None:
    def through_many(_: Any, reply: Any) -> None:
        for binding in reply.bindings:
            if binding.role == "roles/run.invoker":
                binding.members[:] = [member]

    with healthy.change("google.cloud.run.v2.Services/GetIamPolicy", reply=through_many) as change:
        batch = healthy.run("batch", "-o", "json")
        lint = healthy.run("lint", "-o", "json")
    assert change.met
    assert (batch.code, batch.json()["state"]) == (0, "done")
    assert lint.code != 2
    assert "push_auth.invoker" not in {f["code"] for f in lint.json()["findings"] if f["status"] == "fault"}
