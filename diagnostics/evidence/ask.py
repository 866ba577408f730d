"""What a run asks about: which batch, which time."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

LOOKBACK = timedelta(days=7)
"""How far back batches, changes and hourly series are read unless the caller says otherwise."""
LONGEST_LOOKBACK = timedelta(days=14)
UNKNOWN_START = timedelta(hours=6)
"""Length of the minute-resolution window when the batch's start is not known."""
RECENT = timedelta(minutes=5)
"""A window that ended since is taken as one that ends now."""


class Ask(Struct, frozen=True, kw_only=True):
    """One question to the sources."""

    batch: str = ""
    """Batch id; empty: the latest start attempt."""
    since: datetime | None = None
    """Begin of the minute-resolution window; None: derived from the batch's start."""
    until: datetime | None = None
    """End of all windows; None: now. For a postmortem."""
    lookback: timedelta = LOOKBACK
    expect: int | None = None
    """Number of items that the caller says the batch has."""
    live: bool = False
    """Whether sources may call the services themselves (health path). The caller has announced it."""

    def end(self, now: datetime) -> datetime:
        """End of all windows."""
        return now if self.until is None else min(self.until, now)

    def past(self, now: datetime) -> bool:
        """Whether the windows end so long ago that what is configured now may be something else."""
        return self.until is not None and now - self.until > RECENT

    def begin(self, now: datetime) -> datetime:
        """Begin of the look-back, which always holds the minute-resolution window."""
        begin = self.end(now) - min(self.lookback, LONGEST_LOOKBACK)
        return begin if self.since is None else min(begin, self.since)


class Window(Struct, frozen=True, kw_only=True):
    """The time that minute-resolution evidence covers."""

    since: datetime
    until: datetime
    batch_start: datetime | None = None
    """When the batch that was asked about was started, as far as the coordinator's log tells."""

    @property
    def step_s(self) -> int:
        """Length of one point in seconds: a minute, and more for windows of more than twelve hours."""
        hours = (self.until - self.since).total_seconds() / 3600
        return 60 if hours <= 12 else 300 if hours <= 72 else 900


def window(ask: Ask, now: datetime, batch_start: datetime | None = None) -> Window:
    """The minute-resolution window: from half an hour before the batch, at least the last hour; six hours if its start is unknown."""
    until = ask.end(now)
    if ask.since is not None:
        since = ask.since
    elif batch_start is not None:
        since = min(batch_start - timedelta(minutes=30), until - timedelta(minutes=60))
    else:
        since = until - UNKNOWN_START
    return Window(since=since, until=until, batch_start=batch_start)
