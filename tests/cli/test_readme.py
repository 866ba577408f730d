"""The README shows what the demo prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from diagnostics.causes.catalogue import find, routing
from diagnostics.pipeline.load import builtin_profiles, load_profile

README = Path(__file__).parents[2] / "README.md"
CUT = "[…]"
"""Stands for lines that the README leaves out."""
SECONDS = re.compile(r"\d+\.\d s · lab")


def shown() -> str:
    """The block of the README that follows `make demo` prints."""
    block = re.search(r"```text demo\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block, "README.md has no ```text demo block"
    return block[1]


def test_the_demo_prints_what_the_readme_shows() -> None:
    ran = subprocess.run(
        [str(Path(sys.executable).with_name("pubsub-diag")), "demo"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "HOME": "/nonexistent", "COLUMNS": "120", "NO_COLOR": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    printed = iter(_still(ran.stdout).splitlines())
    follows = True
    for line in _still(shown()).splitlines():
        if line == CUT:
            follows = False
            continue
        found = next(printed, None) if follows else next((p for p in printed if p == line), None)
        assert found == line
        follows = True


def _still(text: str) -> str:
    """Without what a clock says: how long the run took."""
    return SECONDS.sub("0.0 s · lab", text).strip()


def test_the_cause_that_the_readme_shows_is_that_of_the_catalogue() -> None:
    block = re.search(r"```python\n(Cause\(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block, "README.md shows no cause"
    shown = eval(block[1], vars(routing))  # noqa: S307
    assert shown == find(shown.code)


def test_no_command_is_said_to_read_the_results_table_that_reads_kept_runs_only() -> None:
    row = next(line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `outcome"))
    reads, _, rest = row.partition("what they saw of it stands in")
    assert "`health`" in reads and "`batch`" in reads and "postmortem" not in reads
    assert "`postmortem`, which reads kept runs only" in rest


def test_the_profiles_that_it_names_come_along_and_are_of_pipelines_without_a_coordinator() -> None:
    named = re.findall(r"`pubsub-diag profile example ([a-z-]+)`", README.read_text(encoding="utf-8"))
    alone = {name for name in builtin_profiles() if not load_profile(name).coordinator.service}
    assert set(named) == alone
    one_way = [load_profile(name).one_way for name in named]
    kept = [bool(load_profile(name).batch_states) for name in named]
    assert (one_way, kept) == ([True, False], [False, True])
