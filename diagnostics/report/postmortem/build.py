"""Runs in, postmortem out. No file is read and no clock: the same runs, notes and advice give the same postmortem."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from diagnostics import __version__
from diagnostics.evidence.model import Evidence, Leg
from diagnostics.evidence.redact import redact
from diagnostics.keep.bundle import Bundle, Note
from diagnostics.report import ladder
from diagnostics.report.escape import clean
from diagnostics.report.postmortem import curves, front, links, reasons
from diagnostics.report.postmortem.lessons import lessons
from diagnostics.report.postmortem.merged import Seen
from diagnostics.report.postmortem.model import Look, Number, Postmortem, Query
from diagnostics.report.postmortem.moments import durations, moments
from diagnostics.report.postmortem.timeline import timeline
from diagnostics.steps.finding import Where
from diagnostics.steps.words import count, names

LONGEST = 800
"""Characters of one text: a log line may be endless."""
LONGEST_QUERY = 6000
"""Characters of a line of a command or a query, which is given whole or not at all."""
MOST_OF_LINES = 6 * LONGEST_QUERY
"""Characters of all its lines."""
MOST_OF_QUERIES = 150_000
"""Characters of all of them together."""
MOST_LOOKS = 40

_DATE = re.compile(r"\b(20\d\d-[01]\d-[0-3]\d)(?!\d)")
_PERSON = re.compile(r"\b(?:user:)?person-[0-9a-f]{4}\b")


def build(
    runs: Iterable[Bundle],
    notes: Iterable[Note] = (),
    earlier: Iterable[Bundle] = (),
    prevent: Mapping[str, str] | None = None,
) -> Postmortem:
    """The postmortem of the batch that these runs are about.

    `notes`: beside those in the runs. `earlier`: runs about other batches of the pipeline. `prevent`: by code of a cause, what its
    runbook advises against a next time. Raises ValueError when none of the runs drew a conclusion about a batch.
    """
    seen = Seen(runs, notes)
    found = moments(seen)
    told, left_out = timeline(seen, found)
    learnt = lessons(seen, found)
    head = seen.last.pipeline
    said = tame(
        Postmortem(
            title=f"Postmortem: {seen.name}",
            pipeline=head.pipeline,
            project=f"{head.project} {head.region}".strip(),
            lab=head.lab,
            made_by=__version__,
            standing=front.standing(seen, found),
            summary=front.summary(seen, found),
            batch=seen.batch,
            moments=tuple(found),
            durations=durations(found, seen),
            impact=tuple(_impact(seen)),
            trigger=reasons.trigger(seen, found.start),
            detection=front.detection(seen, found),
            resolution=front.resolution(seen, found),
            causes=reasons.causes(seen),
            hypotheses=reasons.hypotheses(seen),
            unexplained=reasons.unexplained(seen),
            unseen=reasons.gaps(seen),
            key=front.key(told, found),
            timeline=told,
            left_out=left_out,
            charts=curves.charts(seen, found),
            residue=reasons.residue(seen, found.start),
            recurrence=reasons.recurrence(seen, earlier),
            went_well=learnt.well,
            went_badly=learnt.badly,
            lucky=learnt.lucky,
            actions=reasons.actions(seen, prevent or {}),
            looks=_ends(tuple(_looks(seen))),
            redactions=_redactions(seen),
            queries=(),
            no_links=links.why_none(seen),
        )
    )
    begin = found.start.at or seen.begin
    return msgspec.structs.replace(said, queries=tuple(_queries(seen)), links=links.links(seen, begin))


def signed(said: Postmortem, severity: str, authors: Iterable[str]) -> Postmortem:
    """With what only people can say, in their own words."""
    standing = msgspec.structs.replace(
        said.standing, severity=clean(severity.strip()), authors=tuple(clean(a.strip()) for a in authors if a.strip())
    )
    return msgspec.structs.replace(said, standing=standing)


def tame(said: Postmortem) -> Postmortem:
    """The same with every text on one line, harmless to terminals, bounded, without secrets, and naming no person.

    Evidence is redacted when it is made; a file that somebody else made need not be.
    """
    return msgspec.convert(_tamed(msgspec.to_builtins(said)), Postmortem)


def _tamed(value: Any) -> Any:
    if isinstance(value, str):
        text = _PERSON.sub("a person", redact(clean(value[: 4 * LONGEST])))
        return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    if isinstance(value, list | tuple):
        return [_tamed(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _tamed(entry) for key, entry in value.items()}
    return value


def _impact(seen: Seen) -> Iterator[Number]:
    batch = seen.worst.batch
    last = seen.last.batch
    if batch is None:
        return
    expected = batch.expected
    at = f"at {seen.end:%H:%M}Z, the last look"
    yield Number(name="items expected", value="?" if expected is None else str(expected), says="batch state or log")
    done = last.done if last and last.done is not None else None
    yield Number(name="items done", value="?" if done is None else str(done), says=at)
    if expected is not None and done is not None:
        yield Number(name="items missing", value=str(max(expected - done, 0)), says=at)
    first = seen.troubled[0].batch if seen.troubled else None
    if first and first.done is not None and done is not None and seen.last.as_of > seen.troubled[0].as_of:
        says = f"at least: done after {seen.troubled[0].as_of:%H:%M}Z, the first look that saw it in trouble"
        yield Number(name="items late", value=str(max(done - first.done, 0)), says=says)
    where = ladder.places(seen.worst.ladder)
    for place in Where:
        if where[place] or place in (Where.DROPPED, Where.DEAD_LETTERED):
            value = str(where[place]) if where[place] else "none seen"
            yield Number(name=f"items {ladder.WORDS[place]}", value=value, says=f"at {seen.worst.as_of:%H:%M}Z")
    yield from _results(seen)
    dates = sorted({*(m.date for m in seen.items if m.date), *_DATE.findall(seen.batch.replace("_", " "))})
    if seen.attempt and seen.attempt.date:
        dates = sorted({seen.attempt.date, *dates})
    yield Number(name="dates affected", value=names(dates, 10) or "?", says="dates that the batch and its items name")


def _results(seen: Seen) -> Iterator[Number]:
    """How many of the items that count as done have results, as the newest run says that looked."""
    newest = seen.results[-1] if seen.results else None
    if newest is None or newest.of is None:
        return
    where = "in the results table" if newest.in_table else "by the worker's lines"
    of = f" for {newest.date}" if newest.date else ""
    yield Number(
        name="items with results",
        value=f"{'at least ' if newest.at_most else ''}{newest.of - newest.lacking} of {newest.of}",
        says=f"of items that count as done{of}, {where} at {newest.at:%H:%M}Z",
    )


def _looks(seen: Seen) -> Iterator[Look]:
    for run in seen.runs:
        said = run.diagnosis or run.then
        then = run.diagnosis.concluded if run.diagnosis else None
        yield Look(
            at=run.made_at,
            command=run.case.command,
            version=run.version,
            concluded=f"{said.status.value.upper()} {said.headline}" if said else "no conclusion",
            then=f"{then.status.value.upper()} {then.headline}" if then else "",
        )


def _ends(looks: tuple[Look, ...]) -> tuple[Look, ...]:
    """The first and the last ones; a night of `watch` makes hundreds."""
    return looks if len(looks) <= MOST_LOOKS else looks[: MOST_LOOKS // 2] + looks[-MOST_LOOKS // 2 :]


def _queries(seen: Seen) -> Iterator[Query]:
    """How each kind of evidence was fetched, by the newest run that saw it."""
    newest: dict[tuple[str, Leg | None], Evidence] = {}
    for run in seen.runs:
        newest.update({key: part for key, part in run.case.evidence.items() if isinstance(part, Evidence)})
    left = MOST_OF_QUERIES
    for kind, leg in sorted(newest, key=lambda k: (k[0], k[1] or "")):
        source = newest[kind, leg].source
        whole = _whole(source.by_hand, left)
        left -= sum(map(len, whole))
        query = () if whole else _whole(source.query, left)
        left -= sum(map(len, query))
        asked = bool(source.by_hand.strip() or source.query.strip())
        yield Query(
            what=_line(f"{kind} ({leg.value} leg)" if leg else kind),
            source=_line(source.source),
            as_of=source.as_of,
            note=_line(source.note if source.complete else f"in part {source.note}".strip()),
            query=query,
            by_hand=whole,
            too_long=asked and not whole and not query,
        )


def _line(text: str) -> str:
    said: str = _tamed(text)
    return said


def _whole(lines: str, left: int) -> tuple[str, ...]:
    """Commands or a query to run again, tame and never in part: half a command is none."""
    if len(lines) > MOST_OF_LINES or any(len(line) > LONGEST_QUERY for line in lines.splitlines()):
        return ()
    told = tuple(_PERSON.sub("a person", redact(clean(line))) for line in lines.splitlines())
    return told if sum(map(len, told)) <= left and any(told) else ()


def _redactions(seen: Seen) -> str:
    out = [run.redactions for run in seen.runs]
    secrets, people = sum(r.secrets for r in out), sum(r.people for r in out)
    patterns = sum(r.by_profile for r in out)
    times = count(people, "time")
    left_out = f"; {len(out) - MOST_LOOKS} of {len(out)} looks are not listed" if len(out) > MOST_LOOKS else ""
    kinds = sum((Counter(r.kinds) for r in out), Counter())
    named = ", ".join(f"{n} × {kind}" for kind, n in sorted(kinds.items(), key=lambda one: (-one[1], one[0])))
    told = f" ({named})" if named else ""
    return f"{count(secrets, 'secret')}{told}, {times} a person, {patterns} by the profile's patterns{left_out}"
