"""What several runs about one batch saw, as one: points, lines and changes once each, however many runs saw them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis, Named, State
from diagnostics.evidence.model import (
    Change,
    ChangeLog,
    E,
    ItemMarks,
    Leg,
    Mark,
    PlatformLine,
    PlatformLines,
    Point,
    Probed,
    Revisions,
    Series,
    SubscriptionConfig,
    Unseen,
    Why,
    seen,
)
from diagnostics.keep.bundle import Bundle, Note
from diagnostics.question.ask import Window
from diagnostics.readings.ledger import Ledger, build
from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.readings.ledger.lives import attribute
from diagnostics.report.postmortem.results import Results, results, still_lacking, unread
from diagnostics.steps.finding import Status

T = TypeVar("T")

ABOUT_A_BATCH = ("batch", "watch")
"""Commands whose diagnosis is about a batch; what other runs saw of it counts as evidence only."""
TROUBLE = (State.STALLED, State.FAILED)


class Seen:
    """All that was kept of one batch, oldest look first."""

    def __init__(self, runs: Iterable[Bundle], notes: Iterable[Note] = ()) -> None:
        self.runs: tuple[Bundle, ...] = tuple(sorted(runs, key=lambda r: (r.case.evidence.now, r.made_at)))
        self._notes = tuple(notes)
        if not self.looks:
            raise ValueError("none of the runs drew a conclusion about a batch")

    # --- what was concluded ----------------------------------------------------------------------------------------------

    @cached_property
    def looks(self) -> tuple[Bundle, ...]:
        """Runs that drew a conclusion about the batch."""
        return tuple(r for r in self.runs if r.diagnosis is not None and r.case.command in ABOUT_A_BATCH)

    @cached_property
    def said(self) -> tuple[Diagnosis, ...]:
        """Their diagnoses, oldest first."""
        return tuple(r.diagnosis for r in self.looks if r.diagnosis is not None)

    @property
    def last(self) -> Diagnosis:
        return self.said[-1]

    @cached_property
    def troubled(self) -> tuple[Diagnosis, ...]:
        """Those that saw the batch in trouble."""
        lack = {one.at for one in self.results if one.lacking}
        return tuple(
            d
            for d in self.said
            if d.state in TROUBLE or d.status is Status.FAULT or holding(d) or (d.as_of in lack and d.batch)
        )

    @property
    def worst(self) -> Diagnosis:
        """The newest diagnosis of the trouble; of a batch that never was in any, the last one."""
        return self.troubled[-1] if self.troubled else self.last

    @cached_property
    def results(self) -> tuple[Results, ...]:
        """What the runs saw of the results, oldest first."""
        return results(self.runs, self.batch)

    @property
    def lack(self) -> Results | None:
        """What is missing of the results, as far as anybody looked."""
        return still_lacking(self.results)

    @property
    def results_unread(self) -> bool:
        """Whether somebody would have looked for them, could not, and nobody else did."""
        return not self.results and unread(self.runs, self.batch)

    @cached_property
    def batch(self) -> str:
        return next((r.batch for r in reversed(self.looks) if r.batch), "")

    @cached_property
    def started(self) -> datetime | None:
        return next((d.batch.started for d in self.said if d.batch and d.batch.started), None)

    @cached_property
    def last_good_at(self) -> datetime | None:
        return next((d.batch.last_good_at for d in self.said if d.batch and d.batch.last_good_at), None)

    @property
    def name(self) -> str:
        """What the batch is called."""
        if self.batch:
            return self.batch
        return "a start that made no batch" if self.worst.batch else "a batch that nothing names"

    @property
    def leg(self) -> Leg:
        """The leg at which the batch stopped."""
        return self.worst.here_leg or Leg.REQUEST

    # --- time ------------------------------------------------------------------------------------------------------------

    @property
    def begin(self) -> datetime:
        """Begin of the time that is told in full."""
        earliest = min(r.case.evidence.since for r in self.runs)
        return max(earliest, self.started - timedelta(minutes=45)) if self.started else earliest

    @property
    def end(self) -> datetime:
        """The newest moment that any run speaks of."""
        return max(r.case.evidence.now for r in self.runs)

    # --- what was seen ---------------------------------------------------------------------------------------------------

    def newest(self, kind: type[E], leg: Leg | None = None) -> E | None:
        """The evidence of this kind of the newest run that saw it."""
        return next((found for r in reversed(self.runs) if (found := seen(r.case.evidence.get(kind, leg)))), None)

    def why_not(self, kind: type[E], leg: Leg | None = None) -> str:
        """Why no run saw it, in the words of the newest one."""
        found = self.runs[-1].case.evidence.get(kind, leg)
        if not isinstance(found, Unseen):
            return "there was nothing in it"
        return "no run looked at it; pubsub-diag capture does" if found.why is Why.NOT_ASKED else found.says

    def series(self, kind: type[E], field: str, leg: Leg | None = None) -> tuple[Series, ...]:
        """Its series, each point once: a finer one counts rather than a coarser one, a newer one rather than an older one."""
        by_labels: dict[tuple[tuple[str, str], ...], dict[datetime, Point]] = {}
        coarsest_first = sorted(self.runs, key=lambda r: -_step(r))
        for run in coarsest_first:
            found = seen(run.case.evidence.get(kind, leg))
            for one in getattr(found, field, ()) if found else ():
                points = by_labels.setdefault(tuple(sorted(one.labels.items())), {})
                if one.points:
                    first, last = one.points[0].start, one.points[-1].end
                    for at in [at for at in points if first <= at <= last]:
                        del points[at]
                points.update((p.end, p) for p in one.points)
        return tuple(
            Series(labels=dict(labels), points=tuple(points[at] for at in sorted(points)))
            for labels, points in sorted(by_labels.items())
        )

    @cached_property
    def ledgers(self) -> tuple[Ledger, ...]:
        """The ledger of each look."""
        return tuple(
            build(r.case.evidence, r.case.profile, self.batch, r.case.ask.expect, r.case.ask.since) for r in self.looks
        )

    @cached_property
    def attempt(self) -> Attempt | None:
        """The start attempt, with the lines that all looks saw of it."""
        attempts = [ledger.attempt for ledger in self.ledgers if ledger.attempt and ledger.attempt.seen]
        if not attempts:
            return None
        marks = _once((m for a in attempts for m in a.marks), _mark_key)
        return Attempt(attempts[-1].batch, marks, next((a.call for a in attempts if a.call), None))

    @cached_property
    def items(self) -> list[Mark]:
        """Lines about items of this batch, oldest first."""
        found: list[Mark] = []
        for run, ledger in zip(self.looks, self.ledgers, strict=True):
            if lines := seen(run.case.evidence.get(ItemMarks)):
                found += attribute(lines.marks, ledger.attempt)[0]
        return _once(found, _mark_key)

    @cached_property
    def changes(self) -> list[Change]:
        logs = [log for r in self.runs if (log := seen(r.case.evidence.get(ChangeLog)))]
        return _once((c for log in logs for c in log.changes), lambda c: (c.at, c.method, c.resource, c.ok))

    def knows_changes(self, begin: datetime, until: datetime) -> bool:
        """Whether the audit logs of that time were read, whole."""
        logs = [(log, r.case.evidence.now) for r in self.runs if (log := seen(r.case.evidence.get(ChangeLog)))]
        reached = begin
        for since, upto in sorted((log.since, upto) for log, upto in logs if log.source.complete):
            if since <= reached:
                reached = max(reached, upto)
        return bool(logs) and reached >= until and any(log.since <= begin for log, _ in logs if log.source.complete)

    @cached_property
    def deployed(self) -> tuple[datetime, ...]:
        """When the revisions of the services were made, as far as they are known."""
        found = [one for leg in Leg if (one := self.newest(Revisions, leg))]
        return tuple(sorted({revision.created for one in found for revision in one.revisions}))

    @cached_property
    def other_starts(self) -> tuple[datetime, ...]:
        """When other batches began, or were tried to."""
        own = self.attempt.started if self.attempt else None
        begun = {a.started for ledger in self.ledgers for a in ledger.attempts if a.seen and a is not ledger.attempt}
        return tuple(sorted(at for at in begun if at != own))

    def lines(self, leg: Leg) -> list[PlatformLine]:
        found = [said for r in self.runs if (said := seen(r.case.evidence.get(PlatformLines, leg)))]
        return _once((line for said in found for line in said.lines), lambda x: (x.at, x.instance, x.text))

    @cached_property
    def probes(self) -> list[tuple[Leg, Probed]]:
        found = [(leg, p) for r in self.runs for leg in Leg if (p := seen(r.case.evidence.get(Probed, leg)))]
        return list({(leg, p.source.fetched_at): (leg, p) for leg, p in found}.values())

    @cached_property
    def notes(self) -> list[Note]:
        said = [n for r in self.runs for n in r.notes] + list(self._notes)
        return _once((n for n in said if n.batch in ("", self.batch)), lambda n: (n.at, n.says))

    @cached_property
    def ack_deadline_s(self) -> float | None:
        config = self.newest(SubscriptionConfig, self.leg)
        return config.settings.ack_deadline_s if config and config.settings else None


def holding(said: Diagnosis) -> list[Named]:
    """The causes that block the batch; if none does, those that slow it."""
    blocks = [c for c in said.causes if c.role is Role.BLOCKS]
    return blocks or [c for c in said.causes if c.role is Role.WORSENS]


def _step(run: Bundle) -> int:
    evidence = run.case.evidence
    return Window(since=evidence.since, until=evidence.now).step_s


def _once(found: Iterable[T], key: Callable[[T], Hashable]) -> list[T]:
    """Each once, oldest first."""
    distinct = {key(one): one for one in found}
    return sorted(distinct.values(), key=_at)


def _at(one: object) -> datetime:
    at: datetime = one.at  # type: ignore[attr-defined]
    return at


def _mark_key(mark: Mark) -> Hashable:
    words = (*mark.words.values(), *mark.numbers.values())
    return mark.at, mark.means, mark.service, mark.instance, mark.batch, mark.item, words


def in_window(found: Sequence[T], begin: datetime, end: datetime) -> list[T]:
    return [one for one in found if begin <= _at(one) <= end]
