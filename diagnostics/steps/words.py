"""How steps put numbers into words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from diagnostics.evidence.model import By

_UNITS = ("KiB", "MiB", "GiB", "TiB")
HANDS = {
    By.FRONT_END: "Google's front end",
    By.CLOUD_RUN: "Cloud Run",
    By.APPLICATION: "the application",
    By.BALANCER: "the load balancer itself",
    By.BACKEND: "what is behind the load balancer",
}
"""Who answered a push, in words."""


def apart(one: str, other: str) -> tuple[str, str]:
    """Two full names as they are told apart: by their last parts, in full where their projects differ."""
    same = one.split("/")[:2] == other.split("/")[:2]
    return (short(one), short(other)) if same else (one, other)


def clock(at: datetime, now: datetime | None = None) -> str:
    """14:02Z on the same day as `now`, 02-05 11:40Z on another."""
    if now is not None and at.date() != now.date():
        return f"{at:%m-%d %H:%M}Z"
    return f"{at:%H:%M}Z"


def span(seconds: float) -> str:
    """10 ms, 45 s, 13 min, 2 h 5 min, 3 d 2 h."""
    if 0 < seconds < 0.5:
        return f"{max(seconds * 1000, 1):.0f} ms"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def latency(seconds: float) -> str:
    """20 ms, 4.1 s."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def count(number: float, noun: str) -> str:
    """1 push, 12 pushes."""
    whole = round(number)
    if whole == 1:
        return f"1 {noun}"
    if noun.endswith(("s", "sh", "ch")):
        return f"{whole} {noun}es"
    return f"{whole} {noun[:-1]}ies" if noun.endswith("y") else f"{whole} {noun}s"


def so_many(number: int, whole: bool) -> str:
    """12; of evidence that was not read whole 12 or more."""
    return str(number) if whole else f"{number} or more"


def at_least(whole: bool, said: str) -> str:
    """What was counted, its number first; of evidence that was not read whole, so many or more."""
    number, _, what = said.partition(" ")
    if whole:
        return said
    return f"{so_many(int(number), whole)} {what}" if number.isdecimal() and number != "1" else f"at least {said}"


def between(first: datetime, last: datetime, now: datetime) -> str:
    """between 14:02Z and 14:20Z, at 14:02Z."""
    begin, end = clock(first, now), clock(last, now)
    return f"at {begin}" if begin == end else f"between {begin} and {end}"


def names(items: Iterable[str], most: int = 3) -> str:
    all_ = list(items)
    listed = sorted(set(all_))[:most]  # a name that stands for many is there as often
    rest = len(all_) - len(listed)
    return ", ".join(listed) + (f" and {rest} more" if rest > 0 else "")


def clip(text: str, most: int = 90) -> str:
    """At most so many characters, cut at a word."""
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def size(amount: int) -> str:
    """900 bytes, 24.0 KiB, 3.2 GiB."""
    if amount < 1024:
        return f"{amount} bytes"
    power = min((amount.bit_length() - 1) // 10, len(_UNITS))
    return f"{amount / 1024**power:.1f} {_UNITS[power - 1]}"


def short(resource: str) -> str:
    """Last part of a resource name."""
    return resource.rsplit("/", 1)[-1]
