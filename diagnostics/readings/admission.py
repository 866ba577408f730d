"""Do pushes get past Google's front end? What was let in and what was turned away, by whom, in the order of time.

A push that a container answered, with whatever status, and a push that was acked have passed sign-in. A 401 or 403 without a
container is the front end's. A 4xx that the request log does not have although it has been read whole was turned away before
anything is logged: by the ingress, a switched-off default URL, or a perimeter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from diagnostics.evidence.model import By, LogRow, Point, PushCounts, RequestLog, Unseen
from diagnostics.readings.answers import RECENT

_MINUTE = timedelta(minutes=1)
_CHANCE = 0.01
"""What has less than this chance is taken for a change, not for a streak."""


class Gate(StrEnum):
    """How the front end treats the newest pushes."""

    OPEN = "open"
    SHUT = "shut"
    MIXED = "mixed"
    UNTRIED = "untried"
    """Nothing tells: no push came as far as this, or nothing that would show it was seen."""


class Way(StrEnum):
    """How a push is turned away before any container sees it."""

    UNAUTHORIZED = "401"
    """The token is not taken."""
    FORBIDDEN = "403"
    """The caller has not the right, or there is no token."""
    UNLOGGED = "unlogged"


@dataclass(frozen=True)
class Turned:
    """Pushes that were turned away in one way, in its newest spell."""

    count: int
    first: datetime
    last: datetime
    over: bool
    """Pushes have got in since, or it is another answer by now."""
    text: str = ""


@dataclass(frozen=True)
class Admission:
    """The pushes of one leg at the front end."""

    gate: Gate = Gate.UNTRIED
    newest_in: datetime | None = None
    newest_out: datetime | None = None
    newest_other: datetime | None = None
    """The newest push that failed in a way that tells nothing of sign-in."""
    acked_now: float = 0.0
    """Acks of the newest five minutes that were seen."""
    counted_to: datetime | None = None
    """Up to when pushes were counted; None: they were not seen."""
    turned: dict[Way, Turned] = field(default_factory=dict)
    foreign: tuple[LogRow, ...] = ()
    """401 and 403 answers of the front end that are no pushes."""
    whole: bool = False
    """Whether the request log was read whole: only then the counts are more than a least, and a gap in it tells something."""

    @property
    def proven(self) -> datetime | None:
        """When a push got in, if none was turned away for good since."""
        return self.newest_in if self.gate in (Gate.OPEN, Gate.MIXED) else None

    def open_at(self, moment: datetime) -> bool:
        """Whether pushes get in as of that moment, by what happened just before."""
        return self.gate is Gate.OPEN and self.newest_in is not None and self.newest_in > moment - RECENT

    def quiet_since(self, moment: datetime | None) -> bool:
        """Whether no push was sent since, as far as pushes are counted, and that is long enough to tell. What Pub/Sub counts as an
        internal error may not have been sent."""
        if moment is None or self.counted_to is None or self.counted_to - moment < 3 * _MINUTE:
            return False
        newest = [x for x in (self.newest_in, self.newest_out, self.newest_other) if x]
        return not any(x >= moment for x in newest)


def admission(pushes: PushCounts | Unseen, log: RequestLog | Unseen, path: str = "") -> Admission:
    """Sort what metric and request log tell of pushes into let in and turned away. `path`: to which the subscription pushes now, should
    that be another one than the profile's."""
    rows = () if isinstance(log, Unseen) else log.pushes(path)
    inside = [r for r in rows if r.instance]
    denied = [r for r in rows if _denied(r)]
    acks, client_errors = _points(pushes, "ack"), _points(pushes, "remote_server_4xx")
    unlogged = _without(client_errors, [r for r in rows if 400 <= r.status < 500], _MINUTE)
    ins = [(r.at, 1.0) for r in inside] + [(p.start, p.value) for p in _without(acks, inside, timedelta(0))]
    outs = [(r.at, 1.0) for r in denied] + [(p.start, p.value) for p in unlogged]
    gate, began = _judge(ins, outs)
    counted = None if isinstance(pushes, Unseen) else pushes.source.as_of
    whole = not isinstance(log, Unseen) and log.source.complete
    ways = {
        Way.UNAUTHORIZED: [(r.at, 1.0, r.text) for r in denied if r.status == 401],
        Way.FORBIDDEN: [(r.at, 1.0, r.text) for r in denied if r.status == 403],
        Way.UNLOGGED: [(p.start, p.value, "") for p in unlogged] if whole else [],
    }
    others = ("remote_server_5xx", "deadline_exceeded", "unreachable", "invalid")
    return Admission(
        gate=gate,
        newest_in=max((at for at, _ in ins), default=None),
        newest_out=max((at for at, _ in outs), default=None),
        newest_other=max((p.start for name in others for p in _points(pushes, name)), default=None),
        acked_now=_recently(pushes, acks),
        counted_to=counted,
        turned={way: _turned(way, ways, gate, began, counted) for way, found in ways.items() if found},
        foreign=() if isinstance(log, Unseen) else tuple(r for r in log.refused if _denied(r) and r not in denied),
        whole=whole,
    )


def _denied(row: LogRow) -> bool:
    return row.status in (401, 403) and row.by is By.FRONT_END and not row.ours


def _points(pushes: PushCounts | Unseen, name: str) -> list[Point]:
    if isinstance(pushes, Unseen):
        return []
    return [p for s in pushes.series if s.labels.get("response_class") == name for p in s.points if p.value > 0]


def _recently(pushes: PushCounts | Unseen, acks: Iterable[Point]) -> float:
    return 0.0 if isinstance(pushes, Unseen) else sum(p.value for p in acks if p.end > pushes.source.as_of - RECENT)


def _without(points: list[Point], rows: list[LogRow], slack: timedelta) -> list[Point]:
    """Samples in whose time the log has none of these: logs carry the begin or the end of a request, so with some slack."""
    times = sorted(r.at for r in rows)
    return [p for p in points if bisect_left(times, p.start - slack) == bisect_right(times, p.end + slack)]


def _judge(ins: list[tuple[datetime, float]], outs: list[tuple[datetime, float]]) -> tuple[Gate, datetime | None]:
    """How the newest ones fared, and since when they all fare so.

    What went one way lately counts as the way it goes if it went so in all of the five minutes before, or if chance would have
    mixed it at the shares of those minutes.
    """
    if not ins and not outs:
        return Gate.UNTRIED, None
    newest_in, newest_out = (max((at for at, _ in these), default=None) for these in (ins, outs))
    shut = newest_in is None or (newest_out is not None and newest_out > newest_in)
    these, those = (outs, ins) if shut else (ins, outs)
    turned = max((at for at, _ in those), default=None)
    streak = [(at, n) for at, n in these if turned is None or at > turned]
    if not streak:
        return Gate.MIXED, turned
    began = min(at for at, _ in streak)
    if turned is not None and began - turned < RECENT:
        before = began - RECENT
        alike = sum(n for at, n in these if before <= at < began)
        other = sum(n for at, n in those if before <= at < began)
        share = (alike + 1) / (alike + other + 2)
        if share ** sum(n for _, n in streak) >= _CHANCE:
            return Gate.MIXED, began
    return (Gate.SHUT if shut else Gate.OPEN), began


_Outs = list[tuple[datetime, float, str]]


def _turned(way: Way, ways: dict[Way, _Outs], gate: Gate, began: datetime | None, counted: datetime | None) -> Turned:
    """The newest spell of one answer: what of it came since the gate shut; all of it, where it is over.

    It is also over if another one took its place; counters lag behind the log, so up to where they go.
    """
    found = ways[way]
    last = max(at for at, _, _ in found)
    others = [at for other, these in ways.items() if other is not way for at, _, _ in these]
    if way is Way.UNLOGGED and counted:
        others = [at for at in others if at <= counted]
    replaced = any(at > last + RECENT for at in others)
    now = [x for x in found if gate is Gate.MIXED or (gate is Gate.SHUT and began and x[0] >= began)]
    these = sorted(now or found, key=lambda x: x[0])
    return Turned(round(sum(n for _, n, _ in these)), these[0][0], last, not now or replaced, these[-1][2])
