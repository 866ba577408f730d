"""Does a profile fit the logs? For each marker: how often it matched, an example of what it captured, and on which revisions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from diagnostics.evidence.model import Leg, Means, SubscriptionConfig, Unseen, Why
from diagnostics.evidence.redact import redact, redact_value
from diagnostics.evidence.redaction import Cleaner, cleaner
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Marker, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.sources.entries import field as field_of
from diagnostics.sources.markers import marker_filter, marks_of, may_hold
from diagnostics.sources.project import out_of_sight
from diagnostics.sources.pubsub import subscription_config
from diagnostics.sources.route import Receiver, Services, log_places, receiver, services, stated
from diagnostics.sources.search import Found, search
from diagnostics.transport.session import Session

ROUNDS = 8
"""Log queries at most. Each asks for the markers that the ones before did not settle, so that rare lines are not buried."""


MANY = 20
"""A marker with this many lines on an unfinished page is settled as "at least"; the rarer ones are asked for again without it."""


class MarkerTest(Struct, frozen=True, kw_only=True):
    """How one marker of the profile fared."""

    means: Means
    service: str
    """"coordinator" or "worker"."""
    contains: str
    pattern: str
    matched: int
    """Lines that it matched."""
    at_least: bool = False
    """True: not all lines were read, there may be more."""
    missed: int = 0
    """Lines that contain its literal and that its pattern does not match, and no other marker's either."""
    missed_example: str = ""
    """One of those, redacted."""
    captured: dict[str, str] = {}
    """What it captured of the newest line, redacted."""
    newest: datetime | None = None
    revisions: tuple[str, ...] = ()
    """Revisions on which it matched."""


@dataclass
class _Tally:
    """A marker under test."""

    marker: Marker
    matched: int = 0
    settled: bool = False
    at_least: bool = False
    missed: list[str] = field(default_factory=list)
    captured: dict[str, str] = field(default_factory=dict)
    newest: datetime | None = None
    revisions: set[str] = field(default_factory=set)

    @property
    def lines(self) -> int:
        return self.matched + len(self.missed)


def profile_test(session: Session, pipeline: PipelineProfile, days: float = 7) -> tuple[MarkerTest, ...]:
    """Read the newest log lines of the last `days` days for each marker. Raises NotSeen when the logs cannot be read."""
    known = known_services(session, pipeline)
    until = Ask().end(session.now)
    since = until - timedelta(days=days)
    tallies = [_Tally(marker) for marker in pipeline.markers]
    if not tallies:
        raise NotSeen(Why.NOT_CONFIGURED, "the profile describes no log lines", mend="add [[markers]] to the profile")
    clean = cleaner(pipeline.redact.patterns)
    for _ in range(ROUNDS):
        tallies = [t if t.settled else _Tally(t.marker) for t in tallies]  # unsettled ones are counted anew
        open_ones = [t for t in tallies if not t.settled]
        asked = marker_filter([t.marker for t in open_ones], known)
        if not asked:
            break
        found = _lines(session, pipeline, known, asked, since, until)
        _count(found.items, open_ones, known, clean)
        enough = min(MANY, max(t.lines for t in open_ones))
        for tally in open_ones:
            tally.settled = found.complete or tally.lines >= enough
            tally.at_least = tally.settled and not found.complete
    return tuple(_result(t) for t in tallies)


def _lines(
    session: Session, pipeline: PipelineProfile, known: Services, asked: str, since: datetime, until: datetime
) -> Found:
    places = log_places(pipeline, known.coordinator, known.worker)
    try:
        return search(session, places, asked, since, until)
    except NotSeen as refused:
        hidden = out_of_sight(session, pipeline) if refused.permission else None
        raise hidden or refused from refused


def known_services(session: Session, pipeline: PipelineProfile) -> Services:
    """The two services, as the profile states them or as the subscriptions tell. Raises NotSeen when neither is known."""
    given = stated(pipeline)
    if (Services, None) in given:
        return given[Services, None]  # type: ignore[no-any-return]
    found = [_receiver(session, pipeline, leg, given) for leg in (Leg.REQUEST, Leg.COMPLETION)]
    known = services(pipeline, found[0], found[1])
    if known.coordinator is None and known.worker is None:
        raise NotSeen(Why.DEPENDS, known.why)
    return known


def _receiver(
    session: Session, pipeline: PipelineProfile, leg: Leg, given: dict[tuple[type, Leg | None], Any]
) -> Receiver | Unseen:
    if (Receiver, leg) in given:
        return given[Receiver, leg]  # type: ignore[no-any-return]
    try:
        if pipeline.leg(leg) is None:
            raise NotSeen(Why.NOT_CONFIGURED, f"the pipeline names no {leg} subscription")
        config: SubscriptionConfig = subscription_config(session, pipeline, leg)
        return receiver(session, pipeline, leg, config)
    except NotSeen as failed:
        return Unseen(what="Receiver", leg=leg, why=failed.why, says=failed.says)


def _count(found: Iterable[Any], open_ones: list[_Tally], known: Services, clean: Cleaner) -> None:
    """Add the lines, newest first, to the tallies of the markers that they belong to."""
    roles = {r.service: role for role, r in (("worker", known.worker), ("coordinator", known.coordinator)) if r}
    for entry in found:
        near = []
        for tally in (t for t in open_ones if may_hold(entry, t.marker, roles)):
            text = field_of(entry, tally.marker.field)
            if tally.marker.contains in text:  # to the letter: what differs in case is another line
                near.append((tally, text, re.search(tally.marker.pattern, text)))
        taken = any(match for _, _, match in near)
        for tally, text, match in near:
            if match:
                _matched(tally, entry, known, clean)
            elif not taken:
                tally.missed.append(redact(clean(text), 120))


def _matched(tally: _Tally, entry: Any, known: Services, clean: Cleaner) -> None:
    tally.matched += 1
    for mark in marks_of([entry], [tally.marker], known):
        if mark.revision:
            tally.revisions.add(mark.revision)
        if tally.newest is None or mark.at > tally.newest:
            tally.newest = mark.at
            named = {"batch": mark.batch, "item": mark.item, "correlation": mark.correlation, "date": mark.date}
            captured = {**named, **mark.words, **{name: str(n) for name, n in mark.numbers.items()}}
            tally.captured = {
                name: redact(clean(redact_value(name, value)), 80) for name, value in captured.items() if value
            }


def _result(tally: _Tally) -> MarkerTest:
    return MarkerTest(
        means=tally.marker.means,
        service=tally.marker.service,
        contains=tally.marker.contains,
        pattern=tally.marker.pattern,
        matched=tally.matched,
        at_least=tally.at_least or not tally.settled,
        missed=len(tally.missed),
        missed_example=tally.missed[0] if tally.missed else "",
        captured=tally.captured,
        newest=tally.newest,
        revisions=tuple(sorted(tally.revisions)),
    )
