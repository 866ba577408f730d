"""Log reads are few, 60 a minute and project: what one command takes of them when Cloud Logging answers in parts without end.

Source: logging.proto on ListLogEntries, a page may be empty and have a token; the quota, Google's page on quotas of Cloud Logging.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from diagnostics.transport.log_reads import BUDGET
from tests.contract.front.google import Google, answering
from tests.sampling import a_share

READING: tuple[tuple[str, ...], ...] = (
    ("batch",), ("batch", "--until", "2026-02-08T22:10:00Z"), ("health",), ("health", "--since-deploy"), ("worker",), ("delivery",),
    ("changes",), ("push-auth",), ("cold-start",), ("published",), ("batches",), ("profile", "test"), ("lint",), ("access",),
)  # fmt: skip
"""Every command that reads logs, ends by itself and leaves no file."""
LEAST = 1
"""Reads of a command that reads logs at all."""


@pytest.fixture(scope="module")
def night() -> Iterator[Google]:
    with answering("2026-02-08-backfill-stall") as front:
        yield front


@pytest.mark.parametrize(
    "line", a_share([*READING, ("selftest",), ("capture", "--out", "night.bundle")], of=6), ids=" ".join
)
def test_a_log_without_end_costs_a_command_no_more_than_its_budget(night: Google, line: tuple[str, ...]) -> None:
    def from_the_start(request: Any) -> None:
        request.page_token = ""
        request.page_size = 1  # what is found is thrown away

    def never(_: Any, reply: Any) -> None:
        del reply.entries[:]
        reply.next_page_token = "no time so far"

    night.calls.clear()
    with night.change("ListLogEntries", ask=from_the_start, reply=never) as change:
        said = night.run(*line)
    asked = [call for call in night.calls if call.rpc.endswith("ListLogEntries")]
    assert LEAST <= len(asked) == change.met <= BUDGET * (2 if line[0] == "capture" else 1), "capture has a minute"
    assert said.code in (0, 1, 2, 3), said.err
    assert "internal error" not in said.err
