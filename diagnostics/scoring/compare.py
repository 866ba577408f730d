"""Hold a diagnosis against what was expected. Every disagreement is one line: what was expected, what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import UNSET

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.lab.durations import moment
from diagnostics.scoring import over, printed, roles, rows
from diagnostics.scoring.expect import Expected, Recovered
from diagnostics.scoring.rows import amount_of, differs, holds
from diagnostics.steps.finding import Finding, Status

SLACK = timedelta(minutes=3)
"""How far the time of a change may be from the one that was expected: logs are late, and nobody writes seconds."""


def disagreements(expected: Expected, found: Diagnosis) -> tuple[str, ...]:
    """All of them; empty when the diagnosis is as expected."""
    return (
        *_outcome(expected, found),
        *roles.disagreements(expected, found.causes),
        *rows.disagreements(expected, found),
        *_findings(expected, found),
        *_suspect(expected, found),
        *_recovery(expected.recovery, found),
        *over.disagreements(expected.over, found),
        *printed.disagreements(expected, found),
    )


def _outcome(expected: Expected, found: Diagnosis) -> Iterator[str]:
    yield from differs("status", expected.status.value, found.status.value)
    if expected.exit_code is not None:
        yield from differs("exit_code", expected.exit_code, int(found.exit_code))
    if expected.states and found.state not in expected.states:
        yield from differs("state", " or ".join(expected.states), found.state.value)
    if expected.finishes_alone is not UNSET:
        yield from differs("finishes_alone", expected.finishes_alone, found.finishes_alone)


def _findings(expected: Expected, found: Diagnosis) -> Iterator[str]:
    told = [f for f in found.findings if f.abnormal or f.status is Status.ADVICE]
    stated = {f.code for f in told} | {f"{f.code}@{f.leg}" for f in told if f.leg}
    yield from (f"finding {code}: expected, not found" for code in expected.findings if code not in stated)
    yield from (f"finding {code}: must not be found" for code in expected.not_findings if code in stated)
    yield from _told(expected, found)
    if expected.unexplained is not None:
        left = {_like(f, expected.unexplained) for f in found.unexplained}
        yield from differs("unexplained", sorted(expected.unexplained), sorted(left))


def _told(expected: Expected, found: Diagnosis) -> Iterator[str]:
    """How findings of whatever status were told."""
    how: dict[str, set[str]] = {}
    for f in found.findings:
        for code in (f.code, f"{f.code}@{f.leg}"):
            how.setdefault(code, set()).add(f.status.value)
    for code, status in expected.told.items():
        if status.value not in how.get(code, ()):
            told = " and ".join(sorted(how.get(code, ()))) or "nowhere"
            yield f"finding {code}: expected as {status.value}, found {told}"
    yield from (f"finding {code}: must not be told" for code in expected.not_told if code in how)


def _like(finding: Finding, expected: Sequence[str]) -> str:
    """Its code, with the leg where one was expected."""
    full = f"{finding.code}@{finding.leg}" if finding.leg else finding.code
    return full if full in expected else finding.code


def _suspect(expected: Expected, found: Diagnosis) -> Iterator[str]:
    first = found.suspects[0] if found.suspects else None
    if expected.suspect is not UNSET:
        yield from differs("suspect", expected.suspect, f"{first.method} {first.resource}" if first else None)
    if expected.suspect_at is None:
        return
    now = found.pipeline.looked_at or found.as_of
    said = expected.suspect_at
    earliest, latest = said if isinstance(said, tuple) else (said, said)
    if first is None:
        yield f"suspect_at: expected {_when(said)}, found no suspect"
    elif not _moment(earliest, now) - SLACK <= first.at <= _moment(latest, now) + SLACK:
        ago = timedelta(seconds=round((now - first.at).total_seconds()))
        yield f"suspect_at: expected {_when(said)}, found -{ago} ({first.method} {first.resource})"


def _moment(when: str, now: datetime) -> datetime:
    return datetime.fromtimestamp(moment(when, now.timestamp()), now.tzinfo)


def _when(said: str | tuple[str, str]) -> str:
    return said if isinstance(said, str) else f"{said[0]} to {said[1]}"


def _recovery(expected: Recovered, found: Diagnosis) -> Iterator[str]:
    counts = {
        "resubmit_count": (expected.resubmit_count, found.recovery.resubmit_count),
        "replay_dead_letters": (expected.replay_dead_letters, found.recovery.replay_dead_letters),
        "resubmit": (expected.resubmit, len(found.recovery.resubmit)),
    }
    for name, (wanted, count) in counts.items():
        if wanted is not None and not holds(wanted, count):
            yield f"recovery.{name}: expected {amount_of(wanted)}, found {count}"
