"""What happened, in order: from metrics, logs, audit logs, deploys, batch state, probe, looks and notes, with what was not seen."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Backlog, Evidence, Leg, Mark, Means, Revisions, Unseen
from diagnostics.evidence.secrets.spans import MARK
from diagnostics.keep.bundle import Note, NoteKind
from diagnostics.report.postmortem.merged import Seen, in_window
from diagnostics.report.postmortem.model import Entry, Moment
from diagnostics.steps.finding import Finding
from diagnostics.steps.words import clip, count, span

MOST = 150
"""Lines of a timeline that people still read. What the batch did, and notes, are the last to go; marks never are."""
LOUDEST_LINES = 6
"""Kinds of platform lines that are told."""
GAP = timedelta(minutes=5)
"""A gauge that Google samples every minute and that has no point for so long has a gap."""

_DEPLOYS = ("ReplaceService", "CreateService", "UpdateService", "DeleteService", "ReplaceRevision", "CreateJob")
_KINDS = {"Cloud Monitoring": "metric", "audit logs": "audit", "Pub/Sub": "state", "Cloud Run": "state", "IAM": "state"}
_WEAKEST = ("metric", "log", "look", "gap", "state", "audit", "deploy", "probe", "batch", "note")
"""What is left out first when there is too much."""
_LIVES = (
    (Means.STARTED_ITEM, "reached the worker"),
    (Means.DONE_ITEM, "done by the worker"),
    (Means.SKIPPED_ITEM, "skipped by the worker"),
    (Means.FAILED_ITEM, "failed"),
    (Means.WRITE_FAILED, "had results that could not be stored"),
    (Means.COMPLETION_ERROR, "failed to send its completion"),
    (Means.RECORDED_ITEM, "recorded"),
)


def timeline(seen: Seen, moments: Iterable[Moment]) -> tuple[tuple[Entry, ...], int]:
    """The timeline, and how many lines of it were too many."""
    entries = [
        *_batch(seen),
        *_items(seen),
        *_findings(seen),
        *_changes(seen),
        *_platform(seen),
        *_probes(seen),
        *_looks(seen),
        *_gaps(seen),
        *(Entry(at=n.at, kind="note", says=_noted(n)) for n in seen.notes),
        *(_mark(moment) for moment in moments if moment.at is not None),
    ]
    entries.sort(key=lambda e: (e.at, e.kind != "mark"))
    kept = _most_telling(entries)
    return kept, len(entries) - len(kept)


def _noted(note: Note) -> str:
    """What somebody did stands by itself; what was seen, believed or over is said to be no more than that."""
    return note.says if note.kind is NoteKind.DID else f"{note.kind.value}: {note.says}"


def _mark(moment: Moment) -> Entry:
    assert moment.at is not None
    says = f"{moment.says} (not before {moment.not_before:%H:%M:%S}Z)" if moment.not_before else moment.says
    return Entry(at=moment.at, kind="mark", says=says, mark=moment.name.upper())


def _most_telling(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    too_many = len(entries) - MOST
    dropped: set[int] = set()
    for kind in _WEAKEST:
        of_kind = [at for at, e in enumerate(entries) if e.kind == kind]
        middle = of_kind[1:-1]  # the first and the last of a kind say from when to when
        dropped.update(middle[: max(too_many - len(dropped), 0)])
    return tuple(e for at, e in enumerate(entries) if at not in dropped)


def _batch(seen: Seen) -> Iterator[Entry]:
    if seen.last_good_at:
        good = seen.last.batch.last_good if seen.last.batch else ""
        yield Entry(at=seen.last_good_at, kind="batch", says=f"start of the last batch before it that finished, {good}")
    attempt = seen.attempt
    if attempt is None:
        return
    if call := attempt.call:
        by = f" ({call.user_agent})" if call.user_agent else ""
        says = f"start call, answered {call.status} after {span(call.latency_s)}{by}"
        yield Entry(at=call.at, kind="batch", says=says)
    errors = [m for m in attempt.marks if m.means is Means.PUBLISH_ERROR]
    if errors:
        yield Entry(at=errors[0].at, kind="log", says=f"publishing failed, {len(errors)} times from here on")
    told: set[tuple[Means, str]] = set()
    for mark in attempt.marks:
        says = _says(mark)
        if says and (mark.means, says) not in told:
            told.add((mark.means, says))
            yield Entry(at=mark.at, kind="batch", says=says)


def _says(mark: Mark) -> str:
    n, words = mark.numbers, mark.words
    match mark.means:
        case Means.RECEIVED:
            return "the coordinator took the start call"
        case Means.REFUSED:
            return f"the coordinator refused the start{_because(words.get('blocker', ''))}"
        case Means.PHASE:
            return words.get("phase", "")
        case Means.CREATED:
            return f"batch created, expects {n['expected']}" if "expected" in n else "batch created"
        case Means.GATE:
            reasons = ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in n.items() if k not in ("count", "of") and v)
            return f"the gate let {n.get('count', '?')} of {n.get('of', '?')} through{_because(reasons)}"
        case Means.PUBLISHED:
            failed = f", {n['failed']} failed" if n.get("failed") else ""
            return f"the coordinator counts {n.get('count', '?')}{_of(n)} published{failed}"
        case Means.EMPTY:
            return f"empty by design{_because(words.get('reason', ''))}"
        case Means.CLOSED:
            return "batch closed" + (f" at {n['count']}{_of(n)}" if "count" in n else "")
        case Means.FORCED:
            return f"batch closed by hand or by age, with work missing{_because(words.get('reason', ''))}"
    return ""


def _of(numbers: Mapping[str, object]) -> str:
    """Of how many, where the line says so."""
    return f" of {numbers['of']}" if "of" in numbers else ""


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _items(seen: Seen) -> Iterator[Entry]:
    """The first and the last item at each point of its way; failures by their reason."""
    for means, did in _LIVES:
        by_reason: dict[str, list[Mark]] = defaultdict(list)
        for mark in seen.items:
            if mark.means is means:
                by_reason[mark.words.get("reason", "")].append(mark)
        for reason, marks in sorted(by_reason.items(), key=lambda found: -len(found[1]))[:LOUDEST_LINES]:
            why = _because(reason)
            items = len({m.item for m in marks if m.item}) or len(marks)
            yield Entry(at=marks[0].at, kind="log", says=f"first item {did}{why}: {marks[0].item or 'no name'}")
            if len(marks) > 1:
                often = "" if items == len(marks) else f", {len(marks)} lines"
                yield Entry(at=marks[-1].at, kind="log", says=f"last of {count(items, 'item')} {did}{why}{often}")


def _findings(seen: Seen) -> Iterator[Entry]:
    """Onset and end of what the looks found abnormal, in the words of the newest look that found it."""
    newest: dict[tuple[str, Leg | None], tuple[Diagnosis, Finding]] = {}
    for said in seen.said:
        newest.update(((f.code, f.leg), (said, f)) for f in said.findings if f.abnormal)
    for said, finding in newest.values():
        kind = _kind(finding, seen)
        leg = " on the way back" if finding.leg is Leg.COMPLETION else ""
        if finding.since and finding.since <= seen.end:
            yield Entry(
                at=finding.since, kind=kind, says=f"begins{leg}, as seen at {said.as_of:%H:%M}Z: {finding.says}"
            )
        if finding.until and finding.until <= seen.end:
            yield Entry(at=finding.until, kind=kind, says=f"over{leg}: {finding.title}")


def _kind(finding: Finding, seen: Seen) -> str:
    for run in reversed(seen.looks):
        for (kind, _), part in run.case.evidence.items():
            if isinstance(part, Evidence) and kind in finding.rests_on[:1]:
                return "state" if kind == "BatchStatus" else _KINDS.get(part.source.source, "log")
    return "log"


def _changes(seen: Seen) -> Iterator[Entry]:
    begin = min(filter(None, (seen.last_good_at, seen.begin)))
    changes = in_window(seen.changes, begin, seen.end)
    for change in changes:
        kind = "deploy" if change.method.startswith(_DEPLOYS) else "audit"
        failed = "" if change.ok else " failed"
        says = f"{change.method}{failed} on {change.resource} by {change.by}"
        yield Entry(at=change.at, kind=kind, says=says + (f": {clip(change.says, 160)}" if change.says else ""))
    for leg in Leg:
        found = seen.newest(Revisions, leg)
        for revision in found.revisions if found else ():
            logged = any(abs(c.at - revision.created) < timedelta(minutes=2) for c in changes)
            if begin <= revision.created <= seen.end and not logged:
                yield Entry(at=revision.created, kind="deploy", says=f"revision {revision.name} was made")


def _platform(seen: Seen) -> Iterator[Entry]:
    """Lines of the receiving service, those alike as one."""
    for leg in Leg:
        alike: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
        for line in in_window(seen.lines(leg), seen.begin, seen.end):
            alike[line.severity, _shape(line.text)].append((line.at, line.text))
        loudest = sorted(alike.items(), key=lambda found: -len(found[1]))[:LOUDEST_LINES]
        for (severity, _), lines in loudest:
            at, text = lines[0]
            more = f" and {len(lines) - 1} like it, the last at {lines[-1][0]:%H:%M}Z" if len(lines) > 1 else ""
            yield Entry(at=at, kind="log", says=f"{severity} {clip(text, 160)}{more}")


def _shape(text: str) -> str:
    """What lines have in common that differ in names and numbers only."""
    return " ".join(re.sub(r"\d+", "#", MARK.sub("#", text)).split()[:3])[:60]


def _probes(seen: Seen) -> Iterator[Entry]:
    for leg, probe in seen.probes:
        says = f"pull-mode probe ({probe.mode}, {leg.value} leg) was handed {count(len(probe.messages), 'message')}"
        restored = f"; {probe.restored}" if probe.restored else ""
        yield Entry(at=probe.source.fetched_at, kind="probe", says=says + restored)


def _looks(seen: Seen) -> Iterator[Entry]:
    for run in seen.looks:
        if run.diagnosis is not None:
            says = f"pubsub-diag {run.case.command}: {run.diagnosis.status.value.upper()} {run.diagnosis.headline}"
            past = "" if run.made_at == run.case.evidence.now else f", as of {run.case.evidence.now:%m-%d %H:%M}Z"
            yield Entry(at=run.made_at, kind="look", says=says + past)


def _gaps(seen: Seen) -> Iterator[Entry]:
    """Where nothing was seen, and where sight ends."""
    for series in seen.series(Backlog, "undelivered", seen.leg):
        for before, after in zip(series.points, series.points[1:], strict=False):
            if after.end - before.end > max(GAP, 2 * (before.end - before.start)):
                blind = span((after.end - before.end).total_seconds())
                yield Entry(
                    at=before.end, kind="gap", says=f"no point of the backlog for {blind}: what it was is not known"
                )
    head = seen.last.pipeline
    for what, as_of in (("metrics", head.metrics_as_of), ("logs", head.logs_as_of)):
        if as_of is not None and as_of < seen.end:
            yield Entry(at=as_of, kind="gap", says=f"{what} seen up to here; the last look was at {seen.end:%H:%M:%S}Z")
    cut: dict[str, Entry] = {}
    for run in seen.runs:
        for (kind, leg), part in run.case.evidence.items():
            if not isinstance(part, Unseen) and not part.source.complete:
                where = f" ({leg.value})" if leg else ""
                note = f": {part.source.note}" if part.source.note else ""
                cut[kind + where] = Entry(at=run.made_at, kind="gap", says=f"{kind}{where} was read in part{note}")
    yield from cut.values()
