from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.cli.frame import times
from diagnostics.cli.frame.trouble import Trouble

NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)),
        ("20m ago", timedelta(minutes=20)),
        ("3d", timedelta(days=3)),
        ("1.5h", timedelta(minutes=90)),
        ("2026-02-08T14:02:00Z", datetime(2026, 2, 8, 14, 2, tzinfo=UTC)),
        ("2026-02-08T15:02:00+01:00", datetime(2026, 2, 8, 14, 2, tzinfo=UTC)),
        ("2026-02-08t14:02:00.5z", datetime(2026, 2, 8, 14, 2, 0, 500000, tzinfo=UTC)),
        ("2026-02-08 14:02Z", datetime(2026, 2, 8, 14, 2, tzinfo=UTC)),
    ],
)
def test_ages_and_rfc_3339(text: str, expected: object) -> None:
    assert times.parse(text, "--since") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "20260208T140200Z",
        "2026-02-08",
        "yesterday",
        "-2h",
        "2 h",
        "2w",
        "٢h",
        "2026-02-30T00:00:00Z",
        "2026-02-08T24:30:00Z",
    ],
)
def test_odd_values_are_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(Trouble, match="expected an age like 90m"):
        times.parse(text, "--since")


def test_a_naive_time_is_refused_with_how_to_write_it() -> None:
    with pytest.raises(Trouble, match="no time zone: write 2026-02-08T14:02:00Z"):
        times.parse("2026-02-08T14:02:00", "--until")


def test_a_window_has_to_lie_before_now_and_in_order() -> None:
    assert times.window(timedelta(hours=1), None, NOW) == (NOW - timedelta(hours=1), None)
    with pytest.raises(Trouble, match="not before now"):
        times.window(NOW + timedelta(seconds=1), None, NOW)
    with pytest.raises(Trouble, match="not before --until"):
        times.window(timedelta(hours=1), timedelta(hours=2), NOW)
    with pytest.raises(Trouble, match="calendar"):
        times.window(timedelta(days=999999), None, NOW)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_never_a_crash(text: str) -> None:
    try:
        when = times.parse(text, "--since")
    except Trouble:
        return
    assert isinstance(when, timedelta) or when.tzinfo is UTC
