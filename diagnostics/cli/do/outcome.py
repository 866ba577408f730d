"""What `pubsub-diag outcome` does: which dates are meant, and how much may be read."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

from diagnostics.cli.do import investigation
from diagnostics.cli.frame import times
from diagnostics.cli.frame.options import Asked
from diagnostics.cli.frame.question import Question
from diagnostics.cli.frame.trouble import Trouble

_SIZE = re.compile(r"(?P<number>\d{1,9}(?:\.\d+)?) ?(?P<unit>|[KMGT]i?B|B)", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
LONGEST = timedelta(days=3660)


def answer(asked: Asked, batch: str | None, max_bytes: str | None) -> int:
    """Look and say; of a bundle, what it holds."""
    question = of_dates(batch, asked.since, asked.until)._replace(max_bytes=amount(max_bytes) if max_bytes else None)
    if asked.bundle:
        return investigation.answer(Question("outcome", batch=batch), asked)
    return investigation.answer(question, replace(asked, since=None, until=None))


def of_dates(batch: str | None, since: str | None, until: str | None) -> Question:
    """What is asked about a batch or about dates. Raises Trouble for both at once."""
    dated = bool(since or until)
    if batch and dated:
        raise Trouble("a batch has its date: name it, or the dates with --since and --until", "leave one of them out")
    return Question("outcome", batch=batch, days=partial(days, since, until) if dated else None)


def amount(text: str) -> int:
    """A number of bytes: 500MiB, 2GB, 1000000."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Trouble(f"--max-bytes {text!r}: expected a size like 500MiB or 2GiB")
    unit = found["unit"].lower().removesuffix("b")
    base = 1024 if unit.endswith("i") else 1000
    return int(float(found["number"]) * base ** _POWERS[unit.removesuffix("i")])


def days(since: str | None, until: str | None, now: datetime) -> tuple[date, date]:
    """First and last date of what --since and --until say; unsaid, the week before now, and tomorrow."""
    last = _day(until, "--until", now) if until else now.date() + timedelta(days=1)
    first = _day(since, "--since", now) if since else last - timedelta(days=7)
    if first > last:
        raise Trouble(f"--since {first} is after --until {last}")
    if last - first > LONGEST:
        raise Trouble(f"{first} to {last} are more than ten years", "ask for fewer dates")
    return first, last


def _day(text: str, option: str, now: datetime) -> date:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise Trouble(f"{option} {text!r}: {error}") from error
    when = times.parse(text, option)
    try:
        return (now - when if isinstance(when, timedelta) else when).date()
    except OverflowError as error:
        raise Trouble(f"{option} {text!r} lies before the calendar") from error
