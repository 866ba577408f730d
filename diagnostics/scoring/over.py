"""Whether the answer says that something is over: a burst that healed must not be told as if it went on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis, Named
from diagnostics.scoring.roles import is_cause
from diagnostics.steps.finding import Finding, Status


def disagreements(expected: Iterable[str], found: Diagnosis) -> Iterator[str]:
    for code in expected:
        findings = _findings(found, code)
        causes = [c for c in found.causes if is_cause(c, code)]
        if not findings and not causes:
            yield f"over {code}: expected to be over, found nowhere"
        elif not all(f.until for f in findings) or not all(cause_is_over(c, found.findings) for c in causes):
            yield f"over {code}: expected to be over, found as {_told(findings, causes)}"


def cause_is_over(cause: Named, findings: Sequence[Finding]) -> bool:
    """It holds nothing, and every abnormal finding that it rests on has ended; all of them, where none is abnormal."""
    own = [f for f in findings if f.says in cause.because and (f.leg is None or cause.leg in (None, f.leg))]
    telling = [f for f in own if f.abnormal] or own
    return cause.role in (Role.LATENT, Role.BENIGN) and bool(telling) and all(f.until for f in telling)


def _findings(found: Diagnosis, code: str) -> list[Finding]:
    name, _, leg = code.partition("@")
    return [f for f in found.findings if f.code == name and leg in ("", f.leg or "") and f.status is not Status.UNKNOWN]


def _told(findings: Sequence[Finding], causes: Sequence[Named]) -> str:
    lasting = [f"{f.status.value} without an end" for f in findings if not f.until]
    return ", ".join([*lasting, *(f"{c.role.value} ({c.confidence.value})" for c in causes)])
