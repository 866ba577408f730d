"""Runbooks as the tests see them: their sections, and the commands in them as somebody would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from diagnostics.pipeline import places
from diagnostics.runbook import pages as runbook

KNOWN = {
    "project": "my-project",
    "number": "123456789012",
    "region": "us-west2",
    "subscription": "work-push",
    "topic": "work-items",
    "service": "work-worker",
    "push_account": "work-pusher@my-project.iam.gserviceaccount.com",
    "dead_letter_topic": "work-dead",
    "batch": "batch_2026-02-08_1770550000",
    "since": "2026-02-08T14:02:00Z",
    "completion_subscription": "work-done-push",
    "completion_topic": "work-done",
    "coordinator": "work-coordinator",
    "worker": "work-worker",
    "topic_env": "WORK_TOPIC",
    "completion_topic_env": "WORK_DONE_TOPIC",
    "revision": "work-worker-00041-xyz",
}
"""Plausible names for the placeholders that `runbook show` fills in."""

YOURS = {
    "ENDPOINT": "https://work-worker-123456789012.us-west2.run.app/do",
    "AUDIENCE": "https://work-worker-123456789012.us-west2.run.app",
    "ACCOUNT": "work-coordinator@my-project.iam.gserviceaccount.com",
    "BLOCKER": "batch_2026-02-07_1770460000",
    "REVISION": "work-worker-00042-abc",
    "SENDER": "work-coordinator",
    "TWIN": "work-push-copy",
    "UNIQUE_ID": "104815162342108471049",
    "WORKER_ACCOUNT": "work-worker@my-project.iam.gserviceaccount.com",
    "COORDINATOR_ACCOUNT": "work-coordinator@my-project.iam.gserviceaccount.com",
    "RUNTIME_ACCOUNT": "work-worker@my-project.iam.gserviceaccount.com",
    "ROLE": "roles/bigquery.dataEditor",
    "FILTER": 'attributes.kind = "work"',
    "QUOTA_ID": "PublisherThroughputPerMinutePerRegion",
    "VALUE": "6000",
    "COUNT": "1",
    "LIMIT": "50",
    "DATE": "2026-02-08",
    "REASON": "backfill",
    "NAME": "GCP_PROJECT_ID",
    "CALLER": "batch-scheduler@my-project.iam.gserviceaccount.com",
    "JOB": "nightly-batch",
    "URL": "https://work-coordinator-123456789012.us-west2.run.app/check-stalled",
    "SCHEMA": "work-item",
    "MESSAGE": '{"item": "1"}',
    "REVISION_ID": "361d6627",
    "KEY": "projects/my-project/locations/us-west2/keyRings/work/cryptoKeys/messages",
}
"""What the reader has to put in, written in capitals, with something plausible for each."""


@dataclass(frozen=True)
class Page:
    """One runbook."""

    path: Path
    book: runbook.Runbook

    @cached_property
    def sections(self) -> dict[str, str]:
        """Text by heading, in order."""
        parts = re.split(r"^## (.+)$", self.book.body, flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    @property
    def text(self) -> str:
        return self.book.body

    def __str__(self) -> str:
        return self.book.front.name


def pages(folder: str) -> list[Page]:
    """All runbooks below "causes" or "steps"."""
    paths = sorted((places.runbooks() / folder).rglob("*.md"))
    return [Page(path, runbook.read(path)) for path in paths]


def filled(command: str) -> str:
    """A command with something plausible for all that is left open."""
    command = runbook.fill(command, KNOWN).strip()
    return re.sub(rf"(?<![A-Z_])({'|'.join(YOURS)})(?![A-Z_=])", lambda match: YOURS[match[1]], command)


def commands(text: str) -> list[str]:
    """The commands of a text, each on one line: shell statements of its sh blocks, and inline code that is a command."""
    blocks = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    found = [line for kind, block in blocks.findall(text) if kind == "sh" for line in _statements(block)]
    prose = blocks.sub("", text)
    found += re.findall(r"`((?:gcloud|pubsub-diag) [^`]+)`", prose)
    return [" ".join(command.split()) for command in found]


def promql(text: str) -> list[str]:
    return [block.strip() for block in re.findall(r"```promql\n(.*?)```", text, re.DOTALL)]


def gcloud_lines(text: str) -> list[str]:
    """The gcloud commands of a text, those inside $( … ) too, filled in."""
    return [filled(found) for command in commands(text) for found in _gclouds(command)]


def diag_lines(text: str) -> list[list[str]]:
    """The arguments of each `pubsub-diag` command of a text, filled in."""
    return [shlex.split(filled(c))[1:] for c in commands(text) if c.startswith("pubsub-diag ")]


def _statements(block: str) -> Iterator[str]:
    """Shell statements: a line goes on after a backslash and inside quotes."""
    pending = ""
    for line in block.splitlines():
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1]
        elif _open_quote(pending):
            pending += " "
        elif pending:
            yield pending
            pending = ""
    assert not pending, f"a command that does not end: {pending}"


def _open_quote(text: str) -> bool:
    try:
        shlex.split(text)
    except ValueError:
        return True
    return False


def _gclouds(command: str) -> Iterator[str]:
    if command.startswith("gcloud "):
        yield command
    for match in re.finditer(r"\$\((gcloud )", command):
        depth, end = 1, match.start(1)
        while depth:
            depth += {"(": 1, ")": -1}.get(command[end], 0)
            end += 1
        yield command[match.start(1) : end - 1]
