"""How far a search of the log has really got: pages in part, searches that take too long, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.logging_v2 import types

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.sources.search import PAGE_SIZE, search
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.session import Session
from tests.sources.conftest import NOW

SessionOf = Callable[..., Session]
PLACES = ["projects/p"]
BEGIN = NOW - timedelta(days=7)


def at(ago: timedelta) -> Any:
    entry = types.LogEntry.pb()(log_name="projects/p/logs/x", insert_id=str(ago))
    entry.timestamp.FromDatetime(NOW - ago)
    return entry


def window(request: dict[str, Any]) -> tuple[datetime, datetime]:
    since, until = re.findall(r'timestamp[<>]=?"([^"]+)"', request["filter"])
    return datetime.fromisoformat(since), datetime.fromisoformat(until)


def pager(entries: list[Any], token: str = "") -> Any:
    return SimpleNamespace(pages=iter([SimpleNamespace(entries=entries, next_page_token=token)]))


def in_pages(*pages: tuple[list[Any], str]) -> Callable[[dict[str, Any]], Any]:
    """Each page by the token that the one before gave."""
    tokens = ["", *(token for _, token in pages)]
    by_token = dict(zip(tokens, pages, strict=False))
    return lambda request: pager(*by_token[request["page_token"]])


def test_an_empty_page_with_a_token_is_not_the_end(session_of: SessionOf) -> None:
    found_late = at(timedelta(days=2))
    session = session_of(logs={"list_log_entries": in_pages(([], "a"), ([], "b"), ([found_late], ""))})
    found = search(session, PLACES, "", BEGIN, NOW)
    assert found.items == [found_late]
    assert (found.complete, found.reached, found.note) == (True, BEGIN, "")


def test_what_was_not_searched_is_said_with_the_way_on(session_of: SessionOf) -> None:
    old = at(timedelta(days=2))
    session = session_of(logs={"list_log_entries": in_pages(([old], "a"), ([], "b"))})
    found = search(session, PLACES, "", BEGIN, NOW, reads=2)
    assert found.items == [old]
    assert not found.complete
    assert found.reached == NOW - timedelta(days=2)
    assert "before 2026-02-06T14:21Z was not searched" in found.note
    assert "--timeout" in found.note and "--since" in found.note


def test_a_search_that_got_nowhere_has_seen_nothing(session_of: SessionOf) -> None:
    session = session_of(logs={"list_log_entries": lambda _: pager([], "more")})
    with pytest.raises(NotSeen, match="nothing of the log could be searched") as raised:
        search(session, PLACES, "", BEGIN, NOW)
    assert raised.value.why is Why.TIMED_OUT
    assert "--timeout 60" in raised.value.mend


def test_a_short_page_goes_on_until_there_is_enough(session_of: SessionOf) -> None:
    pages = [([at(timedelta(seconds=300 * page + n)) for n in range(300)], str(page + 1)) for page in range(9)]
    session = session_of(logs={"list_log_entries": in_pages(*pages)})
    found = search(session, PLACES, "", BEGIN, NOW)
    assert len(found.items) == 1200 > PAGE_SIZE
    assert not found.complete
    assert "only the newest 1200 were read" in found.note
    assert found.reached == NOW - timedelta(seconds=1199)


@pytest.mark.parametrize("leaves", Leaves)
def test_a_second_page_is_read_whichever_search_came_first(session_of: SessionOf, leaves: Leaves) -> None:
    session = session_of(logs={"list_log_entries": in_pages(([], "a"), ([at(timedelta(days=2))], ""))})
    for _ in range(16):
        session.log_budget.begin()
    assert search(session, PLACES, "", BEGIN, NOW, leaves=leaves).complete


def test_a_search_that_takes_too_long_is_made_again_of_less(session_of: SessionOf) -> None:
    asked: list[timedelta] = []

    def answer(request: dict[str, Any]) -> Any:
        since, until = window(request)
        asked.append(until - since)
        if until - since > timedelta(days=2):
            raise exceptions.DeadlineExceeded("took too long")
        return pager(
            [
                e
                for e in (at(timedelta(hours=1)), at(timedelta(days=3)))
                if since <= e.timestamp.ToDatetime(NOW.tzinfo) <= until
            ]
        )

    found = search(session_of(logs={"list_log_entries": answer}), PLACES, "", BEGIN, NOW, reads=20)
    assert asked[:2] == [timedelta(days=7), timedelta(days=7) / 4]
    assert [e.insert_id for e in found.items] == [str(timedelta(hours=1)), str(timedelta(days=3))], (
        "in order, and none twice"
    )
    assert found.complete, "piece by piece it came to its end"


def test_what_took_too_long_is_said_beside_what_was_searched(session_of: SessionOf) -> None:
    def answer(request: dict[str, Any]) -> Any:
        since, _ = window(request)
        if since < NOW - timedelta(days=2):
            raise exceptions.DeadlineExceeded("took too long")
        return pager([at(timedelta(hours=1))])

    found = search(session_of(logs={"list_log_entries": answer}), PLACES, "", BEGIN, NOW)
    assert len(found.items) == 1
    assert not found.complete
    assert NOW - timedelta(days=2) <= found.reached <= NOW - timedelta(days=7) / 4
    assert "did not answer within" in found.note


def test_oldest_first_goes_forth(session_of: SessionOf) -> None:
    session = session_of(logs={"list_log_entries": in_pages(([at(timedelta(days=6))], "a"), ([], "b"))})
    found = search(session, PLACES, "", BEGIN, NOW, newest_first=False, reads=2)
    assert found.reached == NOW - timedelta(days=6)
    assert "after 2026-02-02T14:21Z was not searched" in found.note


def test_a_refusal_half_way_leaves_what_came(session_of: SessionOf) -> None:
    def answer(request: dict[str, Any]) -> Any:
        if request["page_token"]:
            raise exceptions.PermissionDenied("no more")
        return pager([at(timedelta(hours=1))], "a")

    found = search(session_of(logs={"list_log_entries": answer}), PLACES, "", BEGIN, NOW)
    assert len(found.items) == 1
    assert not found.complete
