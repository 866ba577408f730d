"""What a run asks about: which batch, which time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from msgspec import Struct

LOOKBACK = timedelta(days=7)
"""How far back batches, changes and hourly series are read unless the caller says otherwise."""
LONGEST_LOOKBACK = timedelta(days=14)
UNKNOWN_START = timedelta(hours=6)
"""Length of the minute-resolution window when the batch's start is not known."""
RECENT = timedelta(minutes=5)
"""A window that ended since is taken as one that ends now."""


class Deploy(Struct, frozen=True, kw_only=True):
    """A deploy that a health check is about: what is judged is younger than it."""

    revision: str = ""
    """Name of the revision that it made; empty: the newest one of either service."""
    at: datetime | None = None
    """When that revision was made; None: the sources tell."""


SHOWN = "shown"
"""Among the levels that a health check requires: that Google shows how pushes are answered, though there may be none to speak of."""


class Expected(Struct, frozen=True, kw_only=True):
    """What has to be serving."""

    commit: str = ""
    """Commit that the revision's label must name; a prefix of at least seven characters will do."""
    image: str = ""
    """Digest of the image, sha256:…"""
    service: str = ""
    """"worker" or "coordinator"; empty: both."""


class NewModel(Struct, frozen=True, kw_only=True):
    """A model that is to be trained."""

    file: str = ""
    """Name that it is to have."""
    trained: tuple[date, date] | None = None
    """First and last day of its training data; None: the name tells."""
    evaluated: tuple[date, date] | None = None
    """First and last day that it is to be judged on."""
    features: int | None = None
    family: str = ""


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
    deploy: Deploy | None = None
    """Health check only: judge what came of this deploy."""
    expected: tuple[Expected, ...] = ()
    """Health check only: what has to be serving."""
    require: tuple[str, ...] = ("config", "path")
    """Health check only: levels whose unknowns count; and SHOWN."""

    days: tuple[date, date] | None = None
    """Results only: first and last date; None: those of the batch, or of lately."""
    max_bytes: int | None = None
    """How much one query, of results or of Log Analytics, may read at most; None: what is usual."""

    document: str = ""
    """Models only: the file whose marked block is read, instead of the profile's."""
    model: NewModel | None = None
    """Models only: the one that is to be trained."""

    def end(self, now: datetime) -> datetime:
        """End of all windows."""
        return now if self.until is None else min(self.until, now)

    def past(self, now: datetime) -> bool:
        """Whether the windows end so long ago that what is configured now may be something else."""
        return self.until is not None and now - self.until > RECENT

    def begin(self, now: datetime) -> datetime:
        """Begin of the look-back, which always holds the minute-resolution window."""
        lookback = self.lookback
        if self.days is not None:
            lookback = max(lookback, now - datetime.combine(self.days[0], time(), now.tzinfo) + timedelta(days=1))
        begin = self.end(now) - min(lookback, LONGEST_LOOKBACK)
        return begin if self.since is None else min(begin, self.since)


class Window(Struct, frozen=True, kw_only=True):
    """The time that minute-resolution evidence covers."""

    since: datetime
    until: datetime
    batch_start: datetime | None = None
    """When the batch that was asked about was started, as far as the coordinator's log tells."""
    batch: str = ""
    """Its id, as far as that is known."""

    @property
    def step_s(self) -> int:
        """Length of one point in seconds: a minute, and more for windows of more than twelve hours."""
        hours = (self.until - self.since).total_seconds() / 3600
        return 60 if hours <= 12 else 300 if hours <= 72 else 900


def window(ask: Ask, now: datetime, batch_start: datetime | None = None, batch: str = "") -> Window:
    """The minute-resolution window: from half an hour before the batch, at least the last hour; six hours if its start is unknown."""
    until = ask.end(now)
    if ask.since is not None:
        since = ask.since
    elif batch_start is not None:
        since = min(batch_start - timedelta(minutes=30), until - timedelta(minutes=60))
    else:
        since = until - UNKNOWN_START
    return Window(since=since, until=until, batch_start=batch_start, batch=batch)
