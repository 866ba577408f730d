"""What the runbooks tell people to type is what Google's own tools take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract import google_tools
from tests.contract.google_tools import Emulator, Gcloud
from tests.runbooks.pages import KNOWN, YOURS, Page, commands, filled, gcloud_lines, pages
from tests.sampling import a_share

pytestmark = pytest.mark.google_tools

ALL = a_share([*pages("causes"), *pages("steps")], of=6)
READS = {"describe", "list", "list-subscriptions", "list-revisions", "validate-message", "get-iam-policy", "pull"}
UNKNOWN_TO_THE_EMULATOR = {"add-iam-policy-binding": "the emulator has no IAM"}
"""Pub/Sub commands that only the linter can check, and why (test_emulator.py asserts it)."""

BEYOND_THE_EMULATOR = {
    "--message-storage-policy": "it says that a topic has no such field",
    "--schema=": "a schema with the revisions that the page asks for would have to be there",
}
"""Flags of which the same is true."""

ABSENT = {
    "no-subscription-on-topic": {"subscription"},
    "subscription-expired": {"subscription"},
    "subscription-deleted": {"subscription"},
    "request-topic-missing": {"topic"},
    "poison-retry-storm": {"dead_letter_topic"},
    "completion-topic-deleted": {"completion_topic"},
    "dead-letter-topic-missing": {"dead_letter_topic"},
}
"""What is not there before the commands of a runbook: the fault that they mend, or what they make."""
WITH_DEAD_LETTERS = ("attempts-used-up", "attempts-spent-in-an-outage")
"""Pages whose dead-letter topic has its subscription already."""


@pytest.fixture(scope="module")
def verdicts(gcloud: Gcloud) -> dict[str, str]:
    """The linter's objection to each gcloud line of all runbooks."""
    return gcloud.lint(line for page in ALL for line in gcloud_lines(page.text))


@pytest.mark.parametrize("page", ALL, ids=str)
def test_gcloud_lines_pass_googles_linter(page: Page, verdicts: dict[str, str]) -> None:
    lines = gcloud_lines(page.text)
    assert {line: verdicts[line] for line in lines if verdicts[line]} == {}


def test_the_linter_objects_to_what_is_wrong(gcloud: Gcloud) -> None:
    wrong = [
        "gcloud pubsub subscriptions seek s",
        "gcloud run services update s --no-such-flag",
        "gcloud pubsub nonsense",
    ]
    assert all(gcloud.lint(wrong).values())


def test_what_the_readme_sets_up_passes_it_too(gcloud: Gcloud) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    said = re.findall(r"^ *(gcloud .+)$|`(gcloud (?:storage|logging) [^`]+)`", text, re.MULTILINE)
    lines = [(block or inline).replace("$role", "roles/storage.objectViewer") for block, inline in said]
    assert len(lines) >= 5 and {line: why for line, why in gcloud.lint(lines).items() if why} == {}


def _changing(page: Page) -> list[str]:
    """The page's Pub/Sub commands that change something, in the order in which it names them."""
    return [c for c in commands(page.text) if c.startswith("gcloud pubsub ") and _verb(c) not in READS]


def _typed(page: Page) -> list[str]:
    """Those that the emulator knows."""
    return [
        c
        for c in _changing(page)
        if _verb(c) not in UNKNOWN_TO_THE_EMULATOR
        and not _sets_expiration(c)
        and not any(flag in c for flag in BEYOND_THE_EMULATOR)
    ]


def _sets_expiration(command: str) -> bool:
    """The emulator takes an expiration when a subscription is made, and refuses to change one."""
    return _verb(command) == "update" and "--expiration-period" in command


def _verb(command: str) -> str:
    return shlex.split(command)[3]


class _Typed(NamedTuple):
    """The commands of a page, typed one after the other."""

    project: str
    said: str
    refused: str
    """The command that failed and why; empty: none did."""


@pytest.fixture(scope="module")
def typed(gcloud: Gcloud, emulator: Emulator) -> Callable[[Page], _Typed]:
    """What comes of a page's commands. Pages that say the same of the same pipeline are typed once: gcloud takes a second to start."""
    known: dict[object, _Typed] = {}

    def of(page: Page) -> _Typed:
        absent, with_dead_letters = ABSENT.get(str(page), set()), str(page) in WITH_DEAD_LETTERS
        key = (tuple(_typed(page)), frozenset(absent), with_dead_letters)
        if key not in known:
            project = f"runbook-{page}"[:30].rstrip("-")
            _prepare(emulator, project, absent, with_dead_letters)
            known[key] = _type(gcloud, emulator, project, _typed(page))
        return known[key]

    return of


def _type(gcloud: Gcloud, emulator: Emulator, project: str, lines: Iterable[str]) -> _Typed:
    said = ""
    for command in lines:
        line = filled(command).replace(KNOWN["project"], project)
        done = gcloud.shell(line, project, emulator.address)
        if done.returncode:
            return _Typed(project, said, f"{line}\n{done.stderr}")
        said += done.stdout + done.stderr
    return _Typed(project, said, "")


@pytest.mark.parametrize("page", [p for p in ALL if _typed(p)], ids=str)
def test_pubsub_commands_do_what_the_runbook_says(page: Page, typed: Callable[[Page], _Typed]) -> None:
    done = typed(page)
    assert not done.refused
    for promise in re.findall(r"`((?:Created|Updated) (?:topic|subscription|snapshot)[^`]*)`", page.text):
        assert filled(promise).rstrip(".").replace(KNOWN["project"], done.project) in done.said


def test_the_emulator_knows_no_storage_policy(gcloud: Gcloud, emulator: Emulator) -> None:
    _prepare(emulator, "runbook-storage", set(), with_dead_letters=False)
    regions = "--message-storage-policy-allowed-regions=us-west2"
    line = f"gcloud pubsub topics update {KNOWN['topic']} --project=runbook-storage {regions}"
    assert (
        "message_storage_policy is not a known Topic field"
        in gcloud.shell(line, "runbook-storage", emulator.address).stderr
    )


def test_an_absent_tool_is_a_skip_unless_it_is_asked_for() -> None:
    assert not google_tools.required({})
    assert google_tools.required({google_tools.REQUIRE: "1"})


def _prepare(emulator: Emulator, project: str, absent: set[str], with_dead_letters: bool) -> None:
    """The pipeline of the placeholders in a project of its own, but for what the fault took away."""
    from google.pubsub_v1 import PublisherClient, SubscriberClient

    publisher, subscriber = emulator.client(PublisherClient), emulator.client(SubscriberClient)
    for topic in {"topic", "dead_letter_topic", "completion_topic"} - absent:
        publisher.create_topic(name=f"projects/{project}/topics/{KNOWN[topic]}")
    legs = {"subscription": "topic", "completion_subscription": "completion_topic", "TWIN": "topic"}
    for subscription, topic in legs.items():
        if not {subscription, topic} & absent:
            subscriber.create_subscription(
                name=f"projects/{project}/subscriptions/{(KNOWN | YOURS)[subscription]}",
                topic=f"projects/{project}/topics/{KNOWN[topic]}",
                push_config={"push_endpoint": "http://127.0.0.1:9/"},
            )
    if with_dead_letters:
        dead = KNOWN["dead_letter_topic"]
        subscriber.create_subscription(
            name=f"projects/{project}/subscriptions/{dead}-sub", topic=f"projects/{project}/topics/{dead}"
        )
