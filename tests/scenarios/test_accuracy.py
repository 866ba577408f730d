"""Every scenario gets the diagnosis that it expects: through the lab, the real client libraries and the whole line.

On a developer's machine a twelfth of them, which is what `make test` has the time for; all where CI is set, and with `make score`. Of one
scenario a family each command that the answer offers is taken, too: it parses, runs in that lab and adds a fact. One seed each
here; `make score SEEDS=20` tries more, and `FOLLOW=1` takes the commands of all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnostics.causes.catalogue import find
from diagnostics.cli.frame.inside import CommandLine
from diagnostics.lab.scenario import load
from diagnostics.pipeline import places
from diagnostics.scoring import show
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import Score, score
from diagnostics.scoring.world import files
from tests.sampling import a_share

SCENARIOS = files([places.scenarios()])

FOLLOWED = {
    "auth": "push-invoker-missing",
    "capacity": "max-instances-saturated",
    "completion": "completions-cannot-be-recorded",
    "dead_letter": "failed-items-awaited",
    "deadline": "work-longer-than-deadline",
    "drift": "fix-not-in-traffic",
    "incidents": "2026-02-08-backfill-stall",
    "publish": "start-call-refused",
    "routing": "subscription-detached",
    "state": "stale-active-batch-blocks-start",
    "visibility": "two-names-refused",
    "worker": "worker-crashing-after-deploy",
}
"""Family, and the scenario of it whose offered commands are taken."""


TRIED = a_share(SCENARIOS, of=12, always=lambda path: FOLLOWED.get(path.parent.name) == path.stem)


@pytest.mark.parametrize("path", TRIED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_scenario(path: Path) -> None:
    program = CommandLine() if FOLLOWED.get(path.parent.name) == path.stem else None
    found = score(path, seed=1, program=program)
    assert found.passed, show.line(found)
    assert program is None or any(one.ran for one in found.followed), "it is to offer something that runs"
    assert _special(found) <= _named(path), (
        "our own scenarios name a special case itself, not the cause that it was split from"
    )


def _special(found: Score) -> set[str]:
    causes = {cause.code: find(cause.code) for cause in found.causes}
    return {code for code, cause in causes.items() if cause is not None and cause.refines}


def _named(path: Path) -> set[str]:
    said = wanted(load(path, 1), path).expect
    codes = (*said.blocks, *said.worsens, *said.latent, *said.allow, *said.one_of, *said.not_confirmed)
    return {code.partition("@")[0] for code in codes}


def test_what_is_followed_is_there() -> None:
    there = {(path.parent.name, path.stem) for path in SCENARIOS}
    assert set(FOLLOWED.items()) <= there
