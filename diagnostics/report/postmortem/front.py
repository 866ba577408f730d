"""The first page: how it stands, the summary in sentences, how it was noticed, how it ended, and the moments that matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Change
from diagnostics.keep.bundle import Note, NoteKind
from diagnostics.report.ladder import WORDS, places
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Entry, Moment, Resolution, Standing
from diagnostics.report.postmortem.moments import Moments
from diagnostics.report.postmortem.reasons import SURE, strongest
from diagnostics.report.postmortem.results import explains
from diagnostics.report.words import PLACES
from diagnostics.steps.finding import Where
from diagnostics.steps.words import clip, names, span

MOST_KEY = 24
"""Lines of the short timeline."""
MOST_CHANGES = 12
_OF_NOTE = ("audit", "deploy", "probe", "batch", "note")
"""Kinds of lines that the short timeline takes, with the marks; the first is left out first."""
_NOT_BACK = (Where.DROPPED, Where.DEAD_LETTERED, Where.GATED, Where.SKIPPED)
"""Where items are that do not come by themselves."""


def standing(seen: Seen, found: Moments) -> Standing:
    status, rests_on = _status(seen, found)
    return Standing(
        status=status, rests_on=rests_on, measured="; ".join(_measured(seen, found)) or "nothing was measured"
    )


def _status(seen: Seen, found: Moments) -> tuple[str, str]:
    if not seen.troubled:
        return "no impact seen", f"no look saw it held or slowed, the last one at {_at(seen)}"
    if found.end.at is not None:
        missing = _missing(seen.last)
        return ("over, with work missing" if missing else "over"), found.end.says
    if found.mitigated.at is None:
        return "open", found.end.says.removeprefix("not seen: ")
    noted = found.mitigated.says.startswith("noted")
    return ("noted as resolved" if noted else "mitigated"), found.mitigated.says


def _measured(seen: Seen, found: Moments) -> Iterator[str]:
    batch = seen.last.batch
    if missing := _missing(seen.last):
        yield f"{missing} of {batch.expected if batch else '?'} items missing at the last look"
    elif batch and batch.expected is not None and batch.done is not None:
        done = "count as done" if seen.lack else "done"
        yield f"all {batch.expected} items {done} at the last look"
    if seen.lack:
        yield f"{seen.lack.says} missing"
    if found.start.at is not None:
        yield f"impact for {_how_long(seen, found)}"


def _missing(said: Diagnosis) -> int:
    batch = said.batch
    if batch is None or batch.expected is None or batch.done is None:
        return 0
    return max(batch.expected - batch.done, 0)


def _how_long(seen: Seen, found: Moments) -> str:
    assert found.start.at is not None
    over = found.end.at or found.mitigated.at
    length = span(max(((over or seen.end) - found.start.at).total_seconds(), 0))
    return length if over else f"at least {length}"


# --- the summary ------------------------------------------------------------------------------------------------------------


def summary(seen: Seen, found: Moments) -> tuple[str, ...]:
    """Sentences, each of which stands by itself."""
    if not seen.troubled:
        return (f"{seen.name}: no look saw it held or slowed. The last one, {_at(seen)}, said: {seen.last.headline}",)
    if seen.worst.batch is None or found.start.at is None:
        return (f"As of {_at(seen)}: {seen.worst.headline}",)
    return tuple(
        _stopped(sentence)
        for sentence in (
            *_what_happened(seen, found),
            *_why(seen),
            *_seen_when(found),
            *_over(seen, found),
            *_left(seen),
        )
    )


def _what_happened(seen: Seen, found: Moments) -> Iterator[str]:
    batch, start = seen.worst.batch, found.start.at
    assert batch is not None and start is not None
    begun = f", begun {seen.started:%Y-%m-%d %H:%M}Z," if seen.started else ""
    if batch.expected is None:
        yield f"{seen.name}{begun} did not get done, for {_how_long(seen, found)} from {start:%Y-%m-%d %H:%M}Z"
        return
    done = "?" if batch.done is None else batch.done
    yield f"{seen.name}{begun} had got to {done} of {batch.expected} items at {seen.worst.as_of:%H:%M}Z"
    lack = max((one for one in seen.results if one.lacking), key=lambda one: one.at, default=None)
    if lack:
        yield f"At {lack.at:%H:%M}Z {lack.says} were missing"
    what = "The impact lasted" if lack else "It was held or slowed for"
    yield f"{what} {_how_long(seen, found)}, from {start:%Y-%m-%d %H:%M}Z"


def _why(seen: Seen) -> Iterator[str]:
    empty = {c.code for d in seen.said for c in d.causes if explains(c, d)}
    held = [c for c in strongest(seen) if c.role in (Role.BLOCKS, Role.WORSENS) or c.code in empty]
    if not held:
        yield "What held it is undetermined"
        return
    first = held[0]
    sure = SURE[first.confidence]
    did = f"It was {sure}held by" if first.role is Role.BLOCKS else f"It was {sure}slowed by"
    if first.code in empty:
        did = f"Of its results this is {sure}what is wrong:"
    yield f"{did} {first.code} ({first.confidence.value}): {first.says}"
    if held[1:]:
        yield f"Beside it: {names(f'{c.code} ({c.role.value}, {c.confidence.value})' for c in held[1:])}"


def _seen_when(found: Moments) -> Iterator[str]:
    detectable, noticed = found.detectable.at, found.noticed.at
    could = f"It could be seen from {detectable:%H:%M}Z" if detectable else ""
    if noticed is None:
        yield f"{could or 'When it could be seen is not known'}; when it was noticed is not known"
        return
    late = f", {span((noticed - detectable).total_seconds())} later" if detectable and noticed > detectable else ""
    yield (
        f"{could}; it was noticed {at_the_latest(found.noticed)}{late}"
        if could
        else f"It was noticed {at_the_latest(found.noticed)}"
    )


def at_the_latest(noticed: Moment) -> str:
    """Only a note that says so tells when it was noticed; others tell that it had been."""
    assert noticed.at is not None
    return (
        f"at {noticed.at:%H:%M}Z"
        if noticed.says.startswith("noted as detected")
        else f"by {noticed.at:%H:%M}Z at the latest"
    )


def _over(seen: Seen, found: Moments) -> Iterator[str]:
    if found.end.at is not None:
        yield f"It ended at {found.end.at:%Y-%m-%d %H:%M}Z{_or_before(found.end)}: {found.end.says}"
    elif found.mitigated.at is not None:
        yield f"It was mitigated at {found.mitigated.at:%Y-%m-%d %H:%M}Z{_or_before(found.mitigated)}: {found.mitigated.says}"
    else:
        yield f"At the last look, {_at(seen)}, it was not over"


def _or_before(moment: Moment) -> str:
    return (
        f" or up to {span((moment.at - moment.not_before).total_seconds())} before"
        if moment.at and moment.not_before
        else ""
    )


def _left(seen: Seen) -> Iterator[str]:
    """Items that do not come by themselves, in words that need no glossary."""
    last = next((d for d in reversed(seen.said) if d.ladder), seen.last)
    where = places(last.ladder)
    told = [
        f"{where[place]} {WORDS[place]}{f' ({PLACES[place]})' if place in PLACES else ''}"
        for place in _NOT_BACK
        if where[place]
    ]
    if told:
        yield f"Of its items these do not come by themselves: {', '.join(told)}"


def _stopped(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _at(seen: Seen) -> str:
    return f"{seen.end:%Y-%m-%d %H:%M}Z"


# --- how it was noticed, how it ended ---------------------------------------------------------------------------------------


def detection(seen: Seen, found: Moments) -> tuple[str, ...]:
    told = []
    if found.detectable.at:
        told.append(f"It could be seen from {found.detectable.at:%Y-%m-%d %H:%M}Z: {found.detectable.says}")
    else:
        told.append(f"When it could be seen: {found.detectable.says}")
    if found.noticed.at:
        told.append(f"It was noticed {at_the_latest(found.noticed)}: {found.noticed.says}")
    else:
        told.append(f"When it was noticed: {found.noticed.says}")
    told += [f"{_noted(n)}" for n in seen.notes if n.kind is NoteKind.DETECTED]
    return tuple(told)


def resolution(seen: Seen, found: Moments) -> Resolution:
    """What ended it, as far as anything tells; and what was done from the begin of the impact to its end."""
    if not seen.troubled:
        return Resolution(says="There was nothing to resolve: no look saw it held or slowed.")
    begin = found.start.at or seen.begin
    over = found.end.at or found.mitigated.at
    until = over or seen.end
    noted = [
        (n.at, _noted(n)) for n in seen.notes if _tells_how(n) and n.at >= begin and (n.at <= until or _over_by(n))
    ]
    changes = [(c.at, _changed(c)) for c in seen.changes if begin <= c.at <= until]
    last = changes[-MOST_CHANGES:]
    says = " ".join(_stopped(sentence) for sentence in _over(seen, found))
    if noted or changes:
        says += " What was done is listed in order; none of it is proven to have ended it."
        if len(last) < len(changes):
            says += f" Of {len(changes)} changes of configuration these are the last {len(last)}."
        if not seen.knows_changes(begin, until):
            says += " The audit logs were not read in full: there may be more."
    elif not seen.knows_changes(begin, until):
        says += " Nobody noted what was done, and the audit logs were not read in full."
    else:
        says += " Nothing that was done is on record: no note, and no change of configuration."
    return Resolution(says=says, done=tuple(what for _, what in sorted((*noted, *last))))


def _tells_how(note: Note) -> bool:
    return note.kind is NoteKind.DID or _over_by(note)


def _over_by(note: Note) -> bool:
    return note.kind is NoteKind.RESOLVED


def _noted(note: Note) -> str:
    resolved = "noted as over: " if note.kind is NoteKind.RESOLVED else ""
    return f"{note.at:%m-%d %H:%M}Z {resolved}{clip(note.says, 300)}"


def _changed(change: Change) -> str:
    return f"{change.at:%m-%d %H:%M:%S}Z {change.method}{'' if change.ok else ' (failed)'} on {change.resource} by {change.by}"


def key(timeline: Sequence[Entry], found: Moments) -> tuple[Entry, ...]:
    """Marks, notes, changes and what the batch did, from the first mark on; the weakest kinds give way."""
    begin = min((m.at for m in found if m.at), default=None)
    told = [
        e
        for e in timeline
        if (e.kind == "mark" or e.kind in _OF_NOTE) and (begin is None or e.at >= begin or e.kind == "deploy")
    ]
    for kind in _OF_NOTE:
        if len(told) <= MOST_KEY:
            break
        spare = len(told) - MOST_KEY
        middle = [e for e in told if e.kind == kind][1:-1]  # the first and the last say from when to when
        dropped = middle[max(len(middle) - spare, 0) :] if kind != "note" else []
        told = [e for e in told if e not in dropped]
    return tuple(told)
