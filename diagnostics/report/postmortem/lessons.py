"""What the record suggests went well, went badly, and was luck. People decide; these are drafts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diagnostics.causes.model import Confidence, Role
from diagnostics.keep.bundle import NoteKind
from diagnostics.report.ladder import places
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Moment
from diagnostics.report.postmortem.reasons import gaps, strongest
from diagnostics.steps.finding import Where
from diagnostics.steps.words import clip, count, names, span

_SOON_S = 300
"""Noticed so long after it could be seen is soon."""


class Lessons(NamedTuple):
    well: tuple[str, ...]
    badly: tuple[str, ...]
    lucky: tuple[str, ...]


def lessons(seen: Seen, detectable: Moment, noticed: Moment, end: Moment) -> Lessons:
    well, badly = tuple(_well(seen, detectable, noticed)), tuple(_badly(seen, detectable, noticed))
    return Lessons(well, badly, tuple(_lucky(seen, end)))


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


def _lucky(seen: Seen, end: Moment) -> Iterator[str]:
    """What could have gone worse by nobody's doing: what was ready to bite and did not, and an end that nobody is known to have brought."""
    for cause in strongest(seen):
        if cause.role is Role.LATENT:
            since = f" since {cause.since:%m-%d %H:%M}Z" if cause.since else ""
            yield f"{cause.code} was there{since} and held nothing of this batch; it may hold the next one."
    if not seen.troubled or end.at is None:
        return
    acted = [n for n in seen.notes if n.kind is NoteKind.DID and n.at <= end.at]
    left = places(seen.last.ladder)
    changed = [c for c in seen.changes if c.ok and seen.troubled[0].as_of <= c.at <= end.at]
    if seen.knows_changes and not acted and not changed and not left[Where.DROPPED]:
        yield "It ended with nothing on record that anybody did about it: no note and no change of configuration."
