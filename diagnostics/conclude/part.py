"""The headline of a command that looks at one part: the answer to what it asks, not one of its findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diagnostics.evidence.model import Leg
from diagnostics.steps.finding import Bears, Finding, Kind, Status

_BAD = (Status.FAULT, Status.WARNING, Status.UNKNOWN)
_NAMED = 2
"""So many other findings a headline names; of more it says how many stand below."""
_ANSWERS: dict[str, tuple[str, ...]] = {
    "published": ("published.", "requested."),
    "delivery": ("delivered.ours", "delivered.acked", "delivered."),
    "push-auth": ("push_auth.live", "push_auth.proven", "push_auth."),
    "cold-start": ("cold_start.fine", "cold_start."),
    "worker": ("processed.fine", "processed."),
    "changes": ("changes.nothing", "changes.rolled_back", "changes.changed", "changes.deployed"),
}
"""What answers a command where all is well: its findings, the most telling first; "step." stands for all of that step."""
_BESIDE = {"delivery": "dead_letter."}
"""Findings of a command's run that are no answer to what it asks: they are named after those that are."""
COMMANDS = frozenset(_ANSWERS)
"""Those that look at one part, however it goes on with a batch."""


def headline(command: str, status: Status, findings: Sequence[Finding]) -> str:
    """What is wrong, and by their titles what else is; where nothing is, the answer of each leg. `status` is the answer's own."""
    telling = [f for f in findings if f.status is status] or list(findings)
    beside = _BESIDE.get(command)
    # What touched messages says more than what is as it should be, and what is set up wrong more than what came of it.
    telling.sort(
        key=lambda f: (bool(beside and f.code.startswith(beside)), f.bears is Bears.APART, f.kind is not Kind.MECHANISM)
    )
    if not telling:
        return f"{command}: nothing to look at"
    if status in _BAD:
        return f"{command}: {telling[0].says}{_beside(telling[0], telling[1:])}"
    advice = [f for f in findings if f.status is Status.ADVICE] if command == "lint" else []
    if advice:
        return f"{command}: nothing is wrong; advice: {advice[0].says}{_beside(advice[0], advice[1:])}"
    return f"{command}: {'; '.join(_answers(command, telling)) or telling[0].says}"


def _beside(first: Finding, rest: Sequence[Finding]) -> str:
    """What else there is, by its titles; a title that two legs have is said once."""
    titles = list(dict.fromkeys(f.title for f in rest if f.title != first.title))
    told = [f"also: {', and '.join(titles[:_NAMED])}"] if titles else []
    more = len(titles) - _NAMED
    return "".join(f"; {part}" for part in told) + (f" ({more} more below)" if more > 0 else "")


def _answers(command: str, findings: Sequence[Finding]) -> Iterator[str]:
    """The most telling sentence of each leg, the way there first."""
    for legs in ((None, Leg.REQUEST), (Leg.COMPLETION,)):
        of = [f for f in findings if f.leg in legs]
        first = next((f for code in _ANSWERS.get(command, ()) for f in of if f.code.startswith(code)), None)
        if first:
            back = first.leg is Leg.COMPLETION and command != "changes"  # which names the service
            yield f"the way back: {first.says}" if back else first.says
