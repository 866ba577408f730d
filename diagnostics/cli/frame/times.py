"""The one way to write a time on the command line: an age (`90m`, `2h`, `3d`, also `90m ago`) or RFC 3339. Always UTC inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from diagnostics.cli.frame.trouble import Trouble

EXPECTED = "expected an age like 90m, 2h or 3d, or a time like 2026-02-08T14:02:00Z"

_AGE = re.compile(r"(?P<number>\d{1,6}(?:\.\d+)?)(?P<unit>[smhd])(?: ago)?", re.ASCII)
_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?P<zone>[Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str, option: str) -> datetime | timedelta:
    """A moment, or an age before now. Refuses with what was expected; seconds may be left out."""
    if age := _AGE.fullmatch(text):
        return timedelta(**{_UNITS[age["unit"]]: float(age["number"])})
    moment = _RFC_3339.fullmatch(text)
    if moment is None:
        raise Trouble(f"{option} {text!r}: {EXPECTED}")
    if moment["zone"] is None:
        raise Trouble(f"{option} {text!r} has no time zone: write {text}Z for UTC, or an offset like +01:00")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Trouble(f"{option} {text!r}: {error}; {EXPECTED}") from error


def window(
    since: datetime | timedelta | None, until: datetime | timedelta | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Both ends as moments. Refuses a window that is empty or begins in the future."""
    begin, end = (_moment(when, now) for when in (since, until))
    if begin is not None and begin >= now:
        raise Trouble(f"--since {begin:%Y-%m-%dT%H:%M:%SZ} is not before now, {now:%Y-%m-%dT%H:%M:%SZ}")
    if begin is not None and end is not None and begin >= end:
        raise Trouble(f"--since {begin:%Y-%m-%dT%H:%M:%SZ} is not before --until {end:%Y-%m-%dT%H:%M:%SZ}")
    return begin, end


def _moment(when: datetime | timedelta | None, now: datetime) -> datetime | None:
    try:
        return now - when if isinstance(when, timedelta) else when
    except OverflowError as error:
        raise Trouble(f"an age of {when} lies before the calendar; {EXPECTED}") from error
