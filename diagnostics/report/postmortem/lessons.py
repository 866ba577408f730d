"""What the record suggests went well, went badly, and was luck. People decide; these are drafts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Named
from diagnostics.keep.bundle import NoteKind
from diagnostics.report.ladder import places
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Moment
from diagnostics.report.postmortem.moments import Moments
from diagnostics.report.postmortem.reasons import SURE, gaps, strongest
from diagnostics.report.postmortem.results import explains
from diagnostics.steps.finding import Where
from diagnostics.steps.words import clip, count, names, span

_SOON_S = 300
"""Noticed so long after it could be seen is soon."""


class Lessons(NamedTuple):
    well: tuple[str, ...]
    badly: tuple[str, ...]
    lucky: tuple[str, ...]


def lessons(seen: Seen, found: Moments) -> Lessons:
    detectable, noticed = found.detectable, found.noticed
    well, badly = tuple(_well(seen, detectable, noticed)), tuple(_badly(seen, detectable, noticed))
    return Lessons(well, badly, tuple(_lucky(seen, found)))


def _well(seen: Seen, detectable: Moment, noticed: Moment) -> Iterator[str]:
    blocks = [c for c in strongest(seen) if c.role is Role.BLOCKS]
    sure = [c.code for c in blocks if c.confidence is Confidence.CONFIRMED]
    if sure:
        yield f"The evidence confirmed {names(sure)}."
    if not any(gap.matters for gap in gaps(seen)):
        yield "Everything that mattered could be seen."
    if detectable.at and noticed.at and (noticed.at - detectable.at).total_seconds() <= _SOON_S:
        yield f"It was noticed by {noticed.at:%H:%M}Z; it could be seen from {detectable.at:%H:%M}Z."
    if seen.notes:
        yield f"{count(len(seen.notes), 'note')} told what no log tells."


def _badly(seen: Seen, detectable: Moment, noticed: Moment) -> Iterator[str]:
    if detectable.at and noticed.at and (noticed.at - detectable.at).total_seconds() > _SOON_S:
        late = span((noticed.at - detectable.at).total_seconds())
        yield f"It was noticed {late} after it could have been: what should have told?"
    blind = [gap.what for gap in gaps(seen) if gap.matters]
    if blind:
        yield f"What mattered and could not be seen: {names(blind, 5)}."
    for cause in strongest(seen):
        if cause.role is Role.WORSENS and cause.since and seen.started and cause.since < seen.started:
            yield f"{cause.code} had been there since {cause.since:%m-%d %H:%M}Z, before this batch began, and slowed it."
    for note in seen.notes:
        if note.kind is NoteKind.BELIEVED:
            yield f"At {note.at:%H:%M}Z it was believed: {clip(note.says, 200)}. Compare that with the causes: was time lost on it?"
    if seen.troubled and not seen.notes:
        yield "Nobody noted what was done by hand: the record of the mending is thin."


def _lucky(seen: Seen, found: Moments) -> Iterator[str]:
    """What could have gone worse by nobody's doing: what was ready to bite and did not, and an end that nobody is known to have brought."""
    end = found.end.at
    for cause in strongest(seen):
        if cause.role is not Role.LATENT or _bit(cause, seen) or (cause.since and cause.since >= (end or seen.end)):
            continue
        since = f" since {cause.since:%m-%d %H:%M}Z" if cause.since else ""
        sure = SURE[cause.confidence]
        yield f"{cause.code} was {sure}there{since}, and no look found it holding anything of this batch; it may hold the next one."
    begin = found.start.at or seen.begin
    if (
        end is not None
        and _came_through(seen)
        and seen.knows_changes(begin, end)
        and not _done_by_anybody(seen, begin, end)
    ):
        yield "It ended with nothing on record that anybody did about it: no note, change of configuration, revision or start."


def _bit(cause: Named, seen: Seen) -> bool:
    """Whether it took something of this batch in a way that holds no item, or nothing tells that it took nothing."""
    return any(
        one.code == cause.code and one.leg == cause.leg and (one.active or said.batch is None or explains(one, said))
        for said in seen.said
        for one in said.causes
    )


def _came_through(seen: Seen) -> bool:
    """Whether all of it is done by the pipeline itself, and as far as anybody looked with its results."""
    last, left = seen.last, places(seen.last.ladder)
    batch = last.batch
    whole = batch is not None and batch.expected is not None and batch.done is not None and batch.done >= batch.expected
    forced = seen.attempt is not None and seen.attempt.forced is not None
    lost = any(left[place] for place in (Where.DROPPED, Where.DEAD_LETTERED, Where.SKIPPED, Where.GATED))
    return bool(seen.troubled) and whole and not forced and not lost and not any(one.lacking for one in seen.results)


def _done_by_anybody(seen: Seen, begin: datetime, end: datetime) -> bool:
    """Whether anything is on record that may have brought the end, whoever did it and for whatever."""
    changed = any(c.ok and begin <= c.at <= end for c in seen.changes)
    deployed = any(begin <= at <= end for at in seen.deployed)
    started = any(begin < at <= end for at in seen.other_starts)
    return bool(seen.notes or seen.probes) or changed or deployed or started
