"""When it began and ended, when it could be seen and was seen, and how long each took. Every moment says what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from diagnostics.conclude.diagnosis import Diagnosis, Named, State
from diagnostics.evidence.model import Backlog, Evidence, EvidenceSet
from diagnostics.keep.bundle import NoteKind
from diagnostics.report.ladder import places
from diagnostics.report.postmortem.merged import Seen, holding
from diagnostics.report.postmortem.model import Duration, Moment
from diagnostics.report.postmortem.results import explains, healed
from diagnostics.steps.finding import Finding, Status, Where


class Moments(NamedTuple):
    """All moments of one incident."""

    start: Moment
    detectable: Moment
    noticed: Moment
    mitigated: Moment
    drained: Moment
    end: Moment


def moments(seen: Seen) -> Moments:
    start = _start(seen)
    detectable = _detectable(seen, start)
    end = _end(seen, start)
    return Moments(start, detectable, _noticed(seen), _mitigated(seen, end), _drained(seen, start), end)


def durations(found: Moments, seen: Seen) -> tuple[Duration, ...]:
    start, detectable, noticed, mitigated, drained, end = found

    def span(name: str, first: Moment, then: Moment, means: str) -> Duration:
        if first.at is None:
            return Duration(name=name, means=means)
        if then.at is None:
            is_open = then in (mitigated, drained, end) and then.says.startswith("not seen")
            seconds = (seen.end - first.at).total_seconds() if is_open else None
            return Duration(name=name, seconds=seconds, at_least=is_open, means=means)
        return Duration(name=name, seconds=max((then.at - first.at).total_seconds(), 0.0), means=means)

    return (
        span("impact to detectable", start, detectable, "from START OF IMPACT to first detectable"),
        span("detectable to noticed", detectable, noticed, "from first detectable to noticed"),
        span("impact to detection", start, noticed, "from START OF IMPACT to noticed"),
        span("impact to mitigation", start, mitigated, "from START OF IMPACT to mitigated"),
        span("impact to backlog drained", start, drained, "from START OF IMPACT to backlog drained"),
        span("whole impact", start, end, "from START OF IMPACT to END OF IMPACT"),
    )


def findings_of(cause: Named, said: Diagnosis) -> list[Finding]:
    """The findings that a cause names as its reasons."""
    return [f for f in said.findings if f.says in (*cause.because, *cause.hence)]


def _start(seen: Seen) -> Moment:
    name = "START OF IMPACT"
    means = "when the first cause that blocks this batch, or slows it if none blocks, began; not before the batch did"
    if not seen.troubled:
        return Moment(name=name, means=means, says="no look saw the batch held or slowed, so no impact is known")
    onsets = [
        (c.since, c.code)
        for d in seen.troubled
        for c in holding(d) or [c for c in d.causes if explains(c, d)]
        if c.since is not None
    ]
    if onsets:
        since, code = min(onsets)
        if seen.started is not None and since < seen.started:
            return Moment(name=name, at=seen.started, means=means, says=f"begin of the batch; {code} was there before")
        return Moment(name=name, at=since, means=means, says=f"onset of {code}")
    if seen.started is not None:
        return Moment(
            name=name, at=seen.started, means=means, says="begin of the batch: no onset of a blocking cause is known"
        )
    return Moment(name=name, means=means, says="neither the begin of the batch nor the onset of a cause was seen")


def _detectable(seen: Seen, start: Moment) -> Moment:
    name, means = (
        "first detectable",
        "when everything that the blocking cause rests on had happened and its sources showed it",
    )
    shown = [at for run in seen.looks if run.diagnosis for at in _visible(run.diagnosis, run.case.evidence)]
    if not shown:
        return Moment(
            name=name, means=means, says="not known: the findings behind the cause have no onset, or no cause blocked"
        )
    at, rests_on = min(shown)
    return Moment(
        name=name,
        at=max(at, start.at) if start.at else at,
        means=means,
        says=f"the last sign of it was there, {rests_on}",
    )


def _visible(said: Diagnosis, evidence: EvidenceSet) -> Iterator[tuple[datetime, str]]:
    """For each blocking cause: when its last sign could be read, and where. A sign without an onset says nothing of time."""
    for cause in holding(said):
        signs = [f for f in findings_of(cause, said) if f.since is not None]
        times = [(f.since + lag, source) for f in signs if f.since for lag, source in [_lag(f, evidence)]]
        if times:
            yield max(times)


def _lag(finding: Finding, evidence: EvidenceSet) -> tuple[timedelta, str]:
    """How late the slowest source of a finding shows things: the age of its newest visible moment when the run looked."""
    parts = [
        part.source
        for (kind, leg), part in evidence.items()
        if isinstance(part, Evidence) and kind in finding.rests_on and leg in (finding.leg, None)
    ]
    if not parts:
        return timedelta(0), f"as {finding.code}"
    slowest = min(parts, key=lambda source: source.as_of)
    if evidence.looked_at != evidence.now:
        return timedelta(0), f"as {finding.code}; how late {slowest.source} was then is not known"
    lag = max(evidence.now - slowest.as_of, timedelta(0))
    return lag, f"as {finding.code}; {slowest.source} was {lag.total_seconds():.0f} s behind"


def _noticed(seen: Seen) -> Moment:
    name = "noticed"
    means = "the first note that it was detected; else the first note, or the first look of that time that saw it in trouble"
    looks = [r.made_at for r in seen.looks if r.diagnosis in seen.troubled and r.made_at == r.case.evidence.now]
    later = [n for n in seen.notes if seen.started is None or n.at >= seen.started]
    detected = [n.at for n in later if n.kind is NoteKind.DETECTED]
    if detected:
        return Moment(name=name, at=min(detected), means=means, says="noted as detected")
    notes = [n.at for n in later]
    if not looks and not notes:
        return Moment(
            name=name, means=means, says="not known: no look from then is kept, and nobody noted it (pubsub-diag note)"
        )
    if notes and (not looks or min(notes) < min(looks)):
        return Moment(name=name, at=min(notes), means=means, says="first note: whoever wrote it had noticed by then")
    return Moment(
        name=name, at=min(looks), means=means, says="first look that is kept; whoever saw it before left no note"
    )


def _mitigated(seen: Seen, end: Moment) -> Moment:
    name, means = "mitigated", "when no cause blocked the batch any more"
    if not seen.troubled:
        return Moment(name=name, means=means, says="nothing blocked the batch")
    last = seen.troubled[-1]
    free = next((d for d in seen.said if d.as_of > last.as_of and _free(d)), None) if seen.lack is None else None
    if free is None:
        if end.at is not None and end.not_before is None and end.at >= last.as_of:
            return Moment(name=name, at=end.at, means=means, says="it ended")
        resolved = [n.at for n in seen.notes if n.kind is NoteKind.RESOLVED and n.at >= last.as_of]
        if resolved:
            return Moment(name=name, at=min(resolved), means=means, says="noted as resolved; no look saw it")
        if seen.lack is not None:
            return Moment(name=name, means=means, says=f"not seen: {seen.lack.says} were missing still")
        return Moment(
            name=name, means=means, says=f"not seen: at the last look, {last.as_of:%Y-%m-%d %H:%M}Z, it was still held"
        )
    if end.at is not None and last.as_of <= end.at <= free.as_of:
        return Moment(
            name=name,
            at=end.at,
            not_before=last.as_of,
            means=means,
            says="between two looks, at the latest as it ended",
        )
    return Moment(name=name, at=free.as_of, not_before=last.as_of, means=means, says="between two looks")


def _free(said: Diagnosis) -> bool:
    return said.state in (State.DONE, State.RUNNING) and not holding(said) and said.status is not Status.UNKNOWN


def _drained(seen: Seen, start: Moment) -> Moment:
    name = "backlog drained"
    means = "when the unacked messages were back at what waited before the impact, and stayed there"
    points = [p for s in seen.series(Backlog, "undelivered", seen.leg) for p in s.points]
    if start.at is None or not points:
        why = (
            "no impact is known" if start.at is None else f"the backlog was not seen: {seen.why_not(Backlog, seen.leg)}"
        )
        return Moment(name=name, means=means, says=why)
    before = [p.value for p in points if p.end < start.at]
    after = [p for p in points if p.end >= start.at]
    if not before or not after:
        return Moment(
            name=name, means=means, says="not known: there are no points from before the impact to compare with"
        )
    if _none_waited(seen):
        return Moment(
            name=name, means=means, says="no drain to wait for: no item of this batch waited in the subscription"
        )
    level = before[-1]
    over = [p for p in after if p.value > level]
    if not over:
        return Moment(
            name=name, means=means, says=f"no drain to wait for: it never rose above the {level:.0f} that waited before"
        )
    down = next((p for p in after if p.end > over[-1].end), None)
    if down is None:
        return Moment(
            name=name,
            means=means,
            says=f"not seen: {over[-1].value:.0f} unacked at {over[-1].end:%H:%M}Z, {level:.0f} before",
        )
    return Moment(name=name, at=down.end, means=means, says=f"back at {down.value:.0f}, as before ({level:.0f})")


def _none_waited(seen: Seen) -> bool:
    """Whether each look at the trouble knew where the items were, and none was on its way."""
    on_the_way = (Where.WAITING, Where.IN_FLIGHT, Where.RETRYING)
    counted = [places(said.ladder) for said in seen.troubled]
    unknown = (Where.UNKNOWN, Where.UNATTRIBUTED)
    return all(where and not any(where[place] for place in (*on_the_way, *unknown)) for where in counted)


def _end(seen: Seen, start: Moment) -> Moment:
    name = "END OF IMPACT"
    means = (
        "when the batch was closed, or was first seen done; where results were missing, when they were first seen there"
    )
    if not seen.troubled:
        return Moment(name=name, means=means, says="no impact is known")
    attempt = seen.attempt
    closing = attempt.forced or attempt.closed if attempt is not None else None
    if (lack := seen.lack) is not None:
        ended = f"the batch was closed at {closing.at:%Y-%m-%d %H:%M}Z, but " if closing is not None else ""
        unseen = "" if seen.results[-1] is lack else ", and no later look counted them"
        return Moment(
            name=name,
            means=means,
            says=f"not seen: {ended}at the last look that told of them, {lack.at:%Y-%m-%d %H:%M}Z, {lack.says} were missing{unseen}",
        )
    if mended := healed(seen.results):
        before, after = mended
        how = "a later batch had done its date again" if after.redone else "its results were there"
        return Moment(
            name=name,
            at=after.at,
            not_before=before.at,
            means=means,
            says=f"between two looks: {before.says} were missing, then {how}",
        )
    if attempt is not None and closing is not None and (start.at is None or closing.at >= start.at):
        how = "closed by hand or by age, with work missing" if attempt.forced else "closed by the pipeline"
        return Moment(name=name, at=closing.at, means=means, says=f"the batch was {how}, says the log{_unread(seen)}")
    trouble = seen.troubled[-1]
    done = next((d for d in seen.said if d.state is State.DONE and d.as_of > trouble.as_of), None)
    if done is not None:
        return Moment(
            name=name,
            at=done.as_of,
            not_before=trouble.as_of,
            means=means,
            says=f"between two looks; the second saw it done{_unread(seen)}",
        )
    last = seen.last
    return Moment(
        name=name,
        means=means,
        says=f"not seen: at the last look, {last.as_of:%Y-%m-%d %H:%M}Z, the batch was {_still(last)}",
    )


def _unread(seen: Seen) -> str:
    return "; whether its results are there was not seen" if seen.results_unread else ""


def _still(said: Diagnosis) -> str:
    return {
        State.STALLED: "still stalled",
        State.FAILED: "failed",
        State.RUNNING: "moving, but not done",
        State.DONE: "done",
        State.UNKNOWN: "in a state that could not be told",
    }[said.state]


def known(found: Iterable[Moment]) -> list[tuple[datetime, str]]:
    """The moments that were seen, oldest first."""
    return sorted((m.at, m.name) for m in found if m.at is not None)
