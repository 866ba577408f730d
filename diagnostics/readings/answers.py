"""How pushes are answered: by the subscription's counters in classes, by the receiver's request log with a status and a hand.

Derived here once, for all steps: what counts as now, what a nack is, which rows of a log are pushes, when a failure is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from diagnostics.evidence.model import (
    ACKED,
    By,
    Ended,
    LogRow,
    PushCounts,
    PushHistory,
    ReceiverTraffic,
    RequestLog,
    Series,
    Unseen,
    total,
)

RECENT = timedelta(minutes=5)
"""What counts as now in a metric: its newest five samples (Pub/Sub and Cloud Run metrics are sampled every 60 s)."""
ACK = "ack"
"""The one response class that takes a message off its subscription; every other one brings it back."""
_SAMPLE = timedelta(minutes=1)
"""The length of a sample of the counters: what one that holds a moment counts may be older than it."""
_CHANCE = 0.01
"""What would come about by chance less often than this is not put down to chance."""


# --- the subscription's counters ---------------------------------------------------------------------------------------


def by_class(
    series: Iterable[Series], since: datetime | None = None, until: datetime | None = None
) -> dict[str, float]:
    """Sum per response_class, without the zeros."""
    sums: dict[str, float] = {}
    for one in series:
        name = one.labels.get("response_class", "")
        sums[name] = sums.get(name, 0) + one.total(since, until)
    return {name: value for name, value in sums.items() if value > 0}


def first_of(series: Iterable[Series], since: datetime | None = None, **labels: str) -> datetime | None:
    """Begin of the first sample above zero."""
    starts = [
        p.start
        for s in series
        if all(s.labels.get(k) == v for k, v in labels.items())
        for p in s.within(since)
        if p.value > 0
    ]
    return min(starts, default=None)


def last_of(series: Iterable[Series], since: datetime | None = None, **labels: str) -> datetime | None:
    """End of the last sample above zero."""
    ends = [
        p.end
        for s in series
        if all(s.labels.get(k) == v for k, v in labels.items())
        for p in s.within(since)
        if p.value > 0
    ]
    return max(ends, default=None)


@dataclass(frozen=True)
class Tally:
    """How many pushes of a subscription were answered in which class."""

    classes: dict[str, float]

    @property
    def acks(self) -> float:
        return self.classes.get(ACK, 0)

    @property
    def refused(self) -> dict[str, float]:
        """Every class but the acks: each is a message that comes back."""
        return {name: n for name, n in self.classes.items() if name != ACK}

    @property
    def nacks(self) -> float:
        return sum(self.refused.values())

    @property
    def all(self) -> float:
        return sum(self.classes.values())


def tally(
    pushes: PushCounts | PushHistory | Unseen, since: datetime | None = None, until: datetime | None = None
) -> Tally:
    """Pushes by class in (since, until]; nothing where the counters were not seen."""
    return Tally({} if isinstance(pushes, Unseen) else by_class(pushes.series, since, until))


def recent(pushes: PushCounts | Unseen) -> Tally:
    """Pushes of the last five minutes that the counters tell of."""
    return Tally({}) if isinstance(pushes, Unseen) else tally(pushes, pushes.source.as_of - RECENT)


@dataclass(frozen=True)
class Failures:
    """Pushes of one class that failed."""

    name: str
    count: float
    recent: float
    since: datetime
    """Begin of the first sample of this class, of the time that it now fails or last failed."""
    until: datetime
    """End of the last sample."""
    acks_since: float
    """Pushes that were acked after it."""
    over: bool
    """So many acks came after the last failure that chance would have failed one of them."""


def failures(pushes: PushCounts, since: datetime, apart: timedelta) -> dict[str, Failures]:
    """What failed since then, by class. Failures of one class with acks and more than `apart` between them are two times of failing,
    and the onset is that of the latter."""
    found = {}
    for name, count in tally(pushes, since).refused.items():
        series = [s for s in pushes.series if s.labels.get("response_class") == name]
        begin, end = _latest(pushes, series, since, apart)
        later = tally(pushes, end).acks
        bad, good = by_class(series, begin).get(name, 0), tally(pushes, begin, end).acks
        found[name] = Failures(
            name=name,
            count=count,
            recent=by_class(series, pushes.source.as_of - RECENT).get(name, 0),
            since=begin,
            until=end,
            acks_since=later,
            over=outlived(bad, good, later),
        )
    return found


def _latest(
    pushes: PushCounts, series: Sequence[Series], since: datetime, apart: timedelta
) -> tuple[datetime, datetime]:
    """Begin and end of the latest time in which a class failed."""
    points = sorted((p for s in series for p in s.within(since) if p.value > 0), key=lambda p: p.end)
    begin, end = points[-1].start, points[-1].end
    for point in reversed(points[:-1]):
        if begin - point.end > apart and tally(pushes, point.end, begin).acks:
            break
        begin = min(begin, point.start)
    return begin, end


def refusals(pushes: PushCounts) -> list[Series]:
    """The series of every class but the acks."""
    return [s for s in pushes.series if s.labels.get("response_class") != ACK]


def healed(pushes: PushCounts, since: datetime) -> bool:
    """Whether all that failed since then is over."""
    ended = last_of(refusals(pushes), since)
    if ended is None:
        return True
    until_then = tally(pushes, since, ended)
    return outlived(until_then.nacks, until_then.acks, tally(pushes, ended).acks)


def outlived(bad: float, good: float, later: float) -> bool:
    """Whether a failure is over: at the share of failures until then, so many good answers in a row have less than one chance in a
    hundred."""
    if not bad:
        return True
    return bool((1 - bad / (bad + good)) ** later < _CHANCE)


# --- the receiver's request log ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """Pushes of a leg that one hand answered in one way."""

    status: int
    by: By
    ended: Ended | None
    rows: tuple[LogRow, ...]
    """Oldest first."""


@dataclass(frozen=True)
class Answers:
    """The pushes of a leg that its receiver's request log holds, since a moment."""

    since: datetime
    rows: tuple[LogRow, ...]
    """Pushes that were not acked, oldest first."""
    fine: tuple[LogRow, ...]
    """Pushes that were acked, the newest of them."""
    whole: bool
    """Whether the log was read whole. If not, every number is a least one, and the oldest row that was read is no beginning."""
    fine_whole: bool = False
    """Whether all that were acked are among `fine`."""
    earlier: tuple[LogRow, ...] = ()
    """Pushes before that moment that were not acked."""
    under_way: tuple[LogRow, ...] = ()
    """Pushes before that moment, acked or not, that may have been answered since: an entry may be stamped with the begin of its request."""
    of_others: tuple[LogRow, ...] = ()
    """What is known to be no push, and was refused: somebody's calls of the same program."""

    def of(self, *by: By, ended: Iterable[Ended] = ()) -> tuple[LogRow, ...]:
        """Those that were answered by one of these hands, and where told: in one of these ways."""
        ways = frozenset(ended)
        return tuple(r for r in self.rows if r.by in by and (not ways or r.ended in ways))

    def apart(self) -> tuple[Answer, ...]:
        """The same by status and hand, the most frequent first."""
        groups: dict[tuple[int, By, Ended | None], list[LogRow]] = {}
        for row in self.rows:
            groups.setdefault((row.status, row.by, row.ended), []).append(row)
        return tuple(
            Answer(status, by, how, tuple(rows))
            for (status, by, how), rows in sorted(groups.items(), key=lambda g: -len(g[1]))
        )

    def begin(self, rows: Sequence[LogRow]) -> datetime | None:
        """When this began; None where it had begun before, or where the log was cut and may hold older ones."""
        kinds = {(r.status, r.by) for r in rows}
        before = any((r.status, r.by) in kinds for r in self.earlier)
        return rows[0].at if rows and self.whole and not before else None


NOTHING = Answers(datetime.fromtimestamp(0, UTC), (), (), False)
"""Where the log was not seen."""


def answers(log: RequestLog | Unseen, since: datetime) -> Answers:
    """The pushes in the log since then, those of other callers and other paths left out."""
    if isinstance(log, Unseen):
        return NOTHING
    pushes = sorted(log.pushes(), key=lambda r: r.at)
    refused = [r for r in pushes if r.status not in ACKED]
    own = {id(r) for r in refused}
    return Answers(
        since=since,
        rows=tuple(r for r in refused if r.at >= since),
        fine=tuple(r for r in pushes if r.status in ACKED and r.at >= since),
        whole=log.source.complete,
        fine_whole=log.has_all_fine(since),
        earlier=tuple(r for r in refused if r.at < since),
        under_way=tuple(r for r in pushes if r.at < since < r.at + timedelta(seconds=r.latency_s)),
        of_others=tuple(r for r in log.refused if r.at >= since and id(r) not in own),
    )


def none_counted(traffic: ReceiverTraffic | Unseen, since: datetime) -> bool:
    """Whether Cloud Run's own counter, which leaves out what does not reach a container, has no request of the receiver since then."""
    return not isinstance(traffic, Unseen) and traffic.source.complete and not total(traffic.requests, since)


def goes_on(
    rows: Sequence[LogRow], told: Answers, pushes: PushCounts | Unseen, now: datetime, between: timedelta
) -> bool:
    """Whether pushes are still answered like these: they were lately, and no row of acks outlived it; or nothing was answered since,
    and what was refused can still rest until its next try."""
    last = rows[-1].at
    acks = tally(pushes, last + _SAMPLE).acks
    if last > now - RECENT:
        good = tally(pushes, rows[0].at).acks
        return not (outlived(len(rows), max(good - acks, 0), acks) or _quiet(rows, told, len(rows), good, now))
    silent = not acks and not any(r.at > last for r in (*told.rows, *told.fine))
    return silent and now - last <= between


def _quiet(rows: Sequence[LogRow], told: Answers, bad: float, good: float, now: datetime) -> bool:
    """Whether the log, which tells a moment where counters tell a minute, shows these to be over: enough acks since the last of them,
    and a longer silence than ever before between two of them, for refusals come in bursts."""
    last = rows[-1].at
    later = sum(1 for r in told.fine if r.at > last)
    longest = max((b.at - a.at for a, b in pairwise(rows)), default=timedelta())
    return told.whole and now - last > longest and outlived(bad, max(good - later, 0), later)


def healed_by_log(told: Answers, pushes: PushCounts, since: datetime, now: datetime) -> bool:
    """Whether all that failed since then is over, by the log; only where it holds all that the counters call failed."""
    counted = tally(pushes, since)
    if not told.rows or len(told.rows) < counted.nacks:
        return False
    return _quiet(told.rows, told, counted.nacks, counted.acks, now)


def lately(rows: Iterable[LogRow], now: datetime) -> list[LogRow]:
    """Those of the last five minutes."""
    return [r for r in rows if r.at > now - RECENT]
