"""Plain text has no severity on Cloud Run: what a program printed before it died is read and told all the same."""

from __future__ import annotations

import pytest

from diagnostics.evidence.model import Leg, PlatformLines
from diagnostics.run.investigate import investigate
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import MANY_READS, observe
from diagnostics.scoring.world import find, opened


@pytest.mark.parametrize(
    ("name", "leg", "reason"),
    [
        ("2026-01-18-coordinator-missing-module", Leg.COMPLETION, "No module named"),
        ("worker-crashing-after-deploy", Leg.REQUEST, "No module named"),
    ],
)
def test_the_reason_of_a_crash_is_told(name: str, leg: Leg, reason: str) -> None:
    path = find(name)
    with opened(path, 1, log_reads_per_minute=MANY_READS) as world:
        case = observe(world, wanted(world.scenario, path).ask)
    lines = case.evidence.get(PlatformLines, leg)
    assert isinstance(lines, PlatformLines)
    printed = [line for line in lines.lines if line.printed and reason in line.text]
    assert printed, "read"
    assert {line.severity for line in printed} == {"DEFAULT"}
    (crash,) = (c for c in investigate(case).causes if c.code == "worker-crashing")
    assert any(reason in told for told in crash.because), "and told"
