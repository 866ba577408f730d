"""Our clock against Google's Date header, and what is said when nobody answers."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from typing import Any

import pytest

from diagnostics.run.freshness import Clock, Newest, freshness, our_clock
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import SignIn


def session() -> Session:
    """Of Google, not of a lab; nothing here asks it anything but the time."""
    who = SignIn(credentials=None, how="test", project="p", principal="")
    return Session(now=datetime.now(UTC), timeout_s=5, signed_in=who, project="p", lab=None)


def google_says(monkeypatch: pytest.MonkeyPatch, date: str | None) -> None:
    """Google answers 404 with this Date header, or nobody answers."""

    def open_url(request: urllib.request.Request, **_: Any) -> Any:
        if date is None:
            raise urllib.error.URLError("Network is unreachable")
        headers = Message()
        headers["Date"] = date
        raise urllib.error.HTTPError(request.full_url, 404, "Not Found", headers, None)

    monkeypatch.setattr(urllib.request, "urlopen", open_url)


@pytest.mark.parametrize(("behind", "skewed"), [(0, False), (59, False), (-59, False), (600, True), (-600, True)])
def test_the_date_of_any_answer_tells_the_time(monkeypatch: pytest.MonkeyPatch, behind: int, skewed: bool) -> None:
    google_says(monkeypatch, format_datetime(datetime.now(UTC) + timedelta(seconds=behind), usegmt=True))
    clock = our_clock(session())
    assert clock.ahead_s == pytest.approx(-behind, abs=30)  # the header has whole seconds, and this machine may be busy
    if abs(behind) != 59:
        assert clock.skewed is skewed


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_what_cannot_be_asked_is_unknown_and_not_right(monkeypatch: pytest.MonkeyPatch, date: str | None) -> None:
    google_says(monkeypatch, date)
    clock = our_clock(session())
    assert clock.ahead_s is None
    assert not clock.skewed
    assert "could not be asked" in clock.says


def test_a_sample_period_is_the_bound() -> None:
    assert not Clock(ahead_s=60.0).skewed
    assert Clock(ahead_s=60.1).skewed
    assert Clock(ahead_s=-61.0).skewed


def test_a_log_entry_received_in_our_future_shows_a_clock_that_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    google_says(monkeypatch, None)
    ours = session()
    received = ours.now + timedelta(minutes=4)
    monkeypatch.setattr("diagnostics.run.freshness.newest_point", lambda *_: Newest(at=None, says="none"))
    monkeypatch.setattr("diagnostics.run.freshness.newest_entry", lambda *_: Newest(at=received, received=received))
    clock = freshness(ours, None).clock  # type: ignore[arg-type]
    assert clock.ahead_s == -240.0
    assert clock.skewed
