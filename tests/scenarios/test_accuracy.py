"""Every scenario gets the diagnosis that it expects: through the lab, the real client libraries and the whole line.

One seed each here; `make score SEEDS=20` tries more.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnostics.pipeline import places
from diagnostics.scoring import show
from diagnostics.scoring.score import score
from diagnostics.scoring.world import files

SCENARIOS = files([places.scenarios()])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_scenario(path: Path) -> None:
    found = score(path, seed=1)
    assert found.passed, show.line(found)
