"""One leg with its counters, as all parts of this step look at it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from diagnostics.evidence.model import (
    Backlog,
    Leg,
    PublishCounts,
    PushCounts,
    RequestLog,
    Stage,
    SubscriptionConfig,
    Unseen,
)
from diagnostics.readings.answers import (
    RECENT,
    Answers,
    Failures,
    Tally,
    answers,
    failures,
    healed,
    healed_by_log,
    recent,
    tally,
)
from diagnostics.readings.arrived import astray
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.owed import owed
from diagnostics.readings.pace import LONGEST_DEADLINE_S, between_tries
from diagnostics.steps.finding import Subject

MINUTE = timedelta(minutes=1)
SAMPLES = timedelta(minutes=2)
"""An age that was sampled within the minute, and a batch whose begin is known from a log: so much they may differ."""


@dataclass(frozen=True)
class Seen:
    """One leg with its counters, as all parts of this step look at it."""

    leg: Leg
    ledger: Ledger
    now: datetime
    pushes: PushCounts
    since: datetime
    """Begin of the window: the batch's, with a minute's slack for samples that hold it."""
    between: timedelta
    """How long a message may rest between two pushes."""
    window_s: float
    """Within so many seconds no message runs into the deadline twice."""
    waits: float | None
    """Unacked messages; None: not known."""
    no_backlog: bool
    """Whether the backlog was not seen at all."""
    log: RequestLog | Unseen
    subscription: Subject | None
    astray: bool = False
    """Whether nothing of the batch came onto the topic, for all that its counter tells: what is pushed is of others."""

    @property
    def recent(self) -> Tally:
        return recent(self.pushes)

    @property
    def owes(self) -> tuple[int, int | None]:
        """Items of the batch that are owed and that pushes can be of: at least, at most (None: not known)."""
        return (0, 0) if self.astray else owed(self.ledger, self.leg)

    @property
    def least(self) -> int:
        return self.owes[0]

    @property
    def through_since(self) -> bool:
        """Whether a line tells of an item that came back later than the counters reach: what they have of this moment is no longer so. Of
        the way there no line tells: what the worker calls done may not have been acked."""
        back = (x for x in self.ledger.lives if x.stage in (Stage.RETURNED, Stage.RECORDED))
        return self.leg is Leg.COMPLETION and any(
            x.got_further and x.got_further > self.pushes.source.as_of for x in back
        )

    @property
    def stuck(self) -> bool:
        """Whether something is left to deliver that fails or may fail: of the batch, or where that is not known, at all."""
        least, most = self.owes
        return least > 0 or (most is None and bool(self.waits))

    @property
    def told(self) -> Answers:
        return answers(self.log, self.since)

    @property
    def log_has_acks(self) -> bool:
        """Whether the log, which does not lag as the counters do, has pushes of the last five minutes that went well."""
        return any(r.at > self.now - RECENT for r in self.told.fine)

    @property
    def healed(self) -> bool:
        """Whether all that failed is over."""
        return healed(self.pushes, self.since) or healed_by_log(self.told, self.pushes, self.since, self.now)

    def acks_after(self, ended: datetime) -> float:
        """Acks since the sample with the last failure; where the log tells the moment of that failure, since then."""
        rows = self.told.rows if self.told.whole else ()  # of a log read in part the last failure may not be the last
        in_log = sum(1 for r in self.told.fine if r.at > rows[-1].at) if rows and rows[-1].at > ended - SAMPLES else 0
        return max(tally(self.pushes, ended).acks, in_log)

    def failures(self) -> dict[str, Failures]:
        return failures(self.pushes, self.since, self.between)

    def statuses(self, since: datetime) -> str | None:
        """Status codes that the request log shows on the push path, most frequent first; None: it shows none."""
        told = answers(self.log, since)
        counts = Counter(r.status for r in told.rows)
        more = "" if told.whole else " or more"
        return ", ".join(f"{n}{more} × {s}" for s, n in counts.most_common()) or None


def as_seen(
    leg: Leg,
    ledger: Ledger,
    now: datetime,
    pushes: PushCounts,
    backlog: Backlog | Unseen,
    log: RequestLog | Unseen,
    subscription: SubscriptionConfig | Unseen,
    published: PublishCounts | Unseen,
    about: Subject | None,
) -> Seen:
    known = not isinstance(subscription, Unseen) and subscription.settings is not None
    deadline_s = subscription.settings.ack_deadline_s if known else LONGEST_DEADLINE_S  # type: ignore[union-attr]
    return Seen(
        leg=leg,
        ledger=ledger,
        now=now,
        pushes=pushes,
        since=ledger.started - MINUTE if ledger.started else pushes.source.as_of - timedelta(hours=1),
        between=between_tries(subscription),
        window_s=max(deadline_s, MINUTE.total_seconds()),
        waits=unacked(backlog),
        no_backlog=isinstance(backlog, Unseen),
        log=log,
        subscription=about,
        astray=leg is Leg.REQUEST and astray(ledger, published) > 0,
    )


def unacked(backlog: Backlog | Unseen) -> float | None:
    """Unacked messages now; None: not seen, or no series."""
    if isinstance(backlog, Unseen):
        return None
    points = [s.last for s in backlog.undelivered if s.last]
    return max((p.value for p in points), default=None)


def onset(seen: Seen) -> datetime | None:
    """When the first of what fails now began to fail."""
    return min((f.since for f in seen.failures().values() if f.recent), default=None)
