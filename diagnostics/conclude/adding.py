"""Whether a command would tell somebody who has read the answer anything new: only such a command is worth offering."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from diagnostics.conclude.standing import worst
from diagnostics.evidence.model import ChangeLog, EvidenceSet, Leg, Why, seen
from diagnostics.shell.commands import arguments
from diagnostics.steps import changes
from diagnostics.steps.finding import Finding, Kind, Status
from diagnostics.steps.push_auth import entrance

PROGRAM = "pubsub-diag"


class Part(NamedTuple):
    """A command that runs some of the steps alone."""

    steps: tuple[str, ...]
    """What the codes of its findings begin with."""
    calls: bool = False
    """It calls the service, too, which the whole investigation does not."""


PARTS = {
    "published": Part(("requested", "published")),
    "delivery": Part(("routed", "delivered", "dead_letter")),
    "push-auth": Part(("push_auth",), calls=True),
    "cold-start": Part(("cold_start",), calls=True),
    "worker": Part(("processed",)),
    "changes": Part(("changes",)),
}

_SILENT = (Status.UNKNOWN, Status.IDLE)


class Adding:
    """What is known of one run: what was found, what of it is printed, what changed."""

    def __init__(
        self, command: str, findings: Sequence[Finding], printed: Iterable[str], evidence: EvidenceSet
    ) -> None:
        self._command = command
        self._findings = findings
        self._printed = frozenset(printed)
        self._evidence = evidence

    def adds(self, command: str, about: Iterable[str]) -> bool:
        """Whether the command prints what the answer leaves out. `about`: resources, kind/name, that a change must be of."""
        words = arguments(command)
        if words[:1] != [PROGRAM]:
            return True
        name = words[1] if len(words) > 1 else ""
        if name == "access":
            return any(u.why is Why.PERMISSION_DENIED for u in self._evidence.unseen())
        part = PARTS.get(name)
        if part is None or name == self._command:
            return part is None
        of = [f for f in self._findings if f.code.partition(".")[0] in part.steps and _is_of(f, leg_of(command))]
        if worst(f.status for f in of) is Status.UNKNOWN:
            return False  # it could not tell, and says so with its exit code
        if name == "changes":
            return self._changed(about) or any(self._is_new(f) for f in of if f.code != changes.NOTHING.name)
        return any(self._is_new(f) for f in of) or (part.calls and not any(_keeps_out(f) for f in of))

    def _is_new(self, finding: Finding) -> bool:
        """Mechanisms and effects are printed in their own words, consequences by their titles, notes not at all."""
        told = finding.abnormal and finding.kind in (Kind.MECHANISM, Kind.EFFECT)
        return finding.status not in _SILENT and not told and finding.says not in self._printed

    def _changed(self, about: Iterable[str]) -> bool:
        log = seen(self._evidence.get(ChangeLog))
        resources = frozenset(about)
        return log is not None and any(c.ok and c.resource in resources for c in log.changes)


def _keeps_out(finding: Finding) -> bool:
    """Whether a call from outside would tell no more: what cannot be read stays hidden, a shut ingress or a proxy refuses whoever calls."""
    before = (entrance.INGRESS.name, entrance.DEFAULT_URL.name, entrance.IAP.name)
    return finding.status is Status.UNKNOWN or (finding.code in before and finding.abnormal)


def leg_of(command: str) -> Leg | None:
    """The leg that a command names."""
    words = [*takewhile(lambda word: word != "--", arguments(command))]
    return Leg(words[words.index("--leg") + 1]) if "--leg" in words[:-1] else None


def _is_of(finding: Finding, leg: Leg | None) -> bool:
    return leg is None or finding.leg in (leg, None)
