"""What is never fetched, whatever the configuration of a subscription or a profile calls an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from diagnostics.transport import web
from diagnostics.transport.session import Session


@pytest.mark.parametrize(
    "url",
    ["file:///etc/hostname", "http://worker.example.com/run", "ftp://example.com/a", "https:///a", "https://[x/", ""],
)
def test_nothing_but_https_is_asked(
    url: str, session_of: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: Any) -> Any:
        raise AssertionError("it was asked")

    monkeypatch.setattr(web, "_read", opened)
    answer = web.get(session_of(), url, {"Authorization": "Bearer t"}, 1)
    assert (answer.status, answer.text) == (0, "not asked: it is not an https address")
