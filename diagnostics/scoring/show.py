"""Scores as text: a line a scenario, what was wrong below it, the totals at the end."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.report.escape import clean
from diagnostics.scoring.metrics import summary
from diagnostics.scoring.score import Score


def line(score: Score) -> str:
    """One score; several lines when it failed."""
    word = "pass" if score.passed else "FAIL"
    head = f"{word}  {score.scenario} seed {score.seed}  {score.seconds:.1f} s"
    if score.error:
        return "\n".join([head, *(f"        {clean(said)}" for said in score.error.splitlines())])
    causes = ", ".join(
        f"{c.code}{'@completion' if c.leg == 'completion' else ''} {c.role} {c.confidence}" for c in score.causes
    )
    wanted = f"the full profile {score.expected}" if score.smallest else f"expected {score.expected}"
    verdict = score.found if score.found == score.expected else f"{wanted}, found {score.found}"
    said = [f"{head}  {verdict}{': ' if causes else ''}{causes}", *(f"        {clean(d)}" for d in score.disagreements)]
    return "\n".join(said)


def totals(scores: Sequence[Score]) -> str:
    """What all came to; of several, how right they were measure by measure."""
    passed = sum(s.passed for s in scores)
    measured = [(s.judged, s.noise) for s in scores if s.judged and s.noise]
    lines = summary(measured) if len(measured) > 1 else []
    return "\n".join([*lines, f"{passed} passed, {len(scores) - passed} failed"])
