"""What all evidence is made of: legs and stages, provenance, what could not be seen, time series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from diagnostics import __version__


class Leg(StrEnum):
    """A direction of the pipeline: coordinator to worker, or worker back to coordinator."""

    REQUEST = "request"
    COMPLETION = "completion"


class Stage(StrEnum):
    """How far an item got, in order."""

    REQUESTED = "requested"
    CREATED = "created"
    PUBLISHED = "published"
    ROUTED = "routed"
    DELIVERED = "delivered"
    PROCESSED = "processed"
    RETURNED = "returned"
    RECORDED = "recorded"
    CLOSED = "closed"


STAGES: tuple[Stage, ...] = tuple(Stage)

OUR_USER_AGENT = f"pubsub-diag/{__version__}"
"""User agent of every request that this tool sends to a service, by which steps recognise its own traces."""


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a piece of evidence came from, and how to get it by hand."""

    source: str
    """What was asked, in words for a person: "Cloud Monitoring", "request log", "coordinator /status"."""
    query: str = ""
    """The query that fetched it: a filter, a resource name, an URL."""
    by_hand: str = ""
    """One shell command (gcloud, curl) or PromQL line that shows the same."""
    fetched_at: datetime
    as_of: datetime
    """The newest moment this evidence can speak about (metrics lag by minutes, logs by seconds)."""
    complete: bool = True
    """False when a page cap, a failing page or a partial answer cut it short; `note` says which."""
    note: str = ""


class Why(StrEnum):
    """Why something could not be seen."""

    NOT_CONFIGURED = "not_configured"
    PERMISSION_DENIED = "permission_denied"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    SIGN_IN = "sign_in"
    FAILED = "failed"
    EXPIRED = "expired"
    """It is no longer kept: logs 30 days, metrics 6 weeks, audit logs 400 days, states that are not logged at all."""
    DEPENDS = "depends"
    NOT_ASKED = "not_asked"
    SET_APART = "set_apart"
    """Another version made the kept run: it did not look at it, or wrote it in a form that this version cannot read."""


class Unseen(Struct, frozen=True, kw_only=True):
    """Evidence of not having seen: which kind, why, and what would let us see it."""

    what: str
    """Class name of the evidence that is missing, e.g. "Backlog"."""
    leg: Leg | None = None
    why: Why
    says: str
    """One sentence for a person, without secrets."""
    permission: str = ""
    """The IAM permission that was refused, when Google named one or the call implies one."""
    mend: str = ""
    """The command that would let us see it next time."""


class Evidence(Struct, frozen=True, kw_only=True):
    """Base of all kinds of evidence."""

    per_leg: ClassVar[bool] = False
    by_line: ClassVar[bool] = False
    """Whether it is lines of which each stands for itself, so that without one of them the rest is what it was, cut short."""

    source: Provenance


class Point(Struct, frozen=True, kw_only=True):
    """One aligned point of a time series: the value over (start, end], or at end for a gauge."""

    start: datetime
    end: datetime
    value: float


class Series(Struct, frozen=True, kw_only=True):
    """One time series after alignment, oldest point first. No points means absent, which is not zero."""

    labels: dict[str, str] = {}
    points: tuple[Point, ...] = ()

    def total(self, since: datetime | None = None, until: datetime | None = None) -> float:
        """Sum of the points that end in (since, until]."""
        return sum(p.value for p in self.within(since, until))

    def within(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Point]:
        for point in self.points:
            if (since is None or point.end > since) and (until is None or point.end <= until):
                yield point

    @property
    def last(self) -> Point | None:
        return self.points[-1] if self.points else None

    def peak(self, since: datetime | None = None, until: datetime | None = None) -> float | None:
        values = [p.value for p in self.within(since, until)]
        return max(values) if values else None


def total(
    series: Iterable[Series], since: datetime | None = None, until: datetime | None = None, **labels: str
) -> float:
    """Sum over the series whose labels match, within (since, until]."""
    return sum(s.total(since, until) for s in series if all(s.labels.get(k) == v for k, v in labels.items()))
