"""What is installed is what was locked: each file by its hash, from wherever it is fetched."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.supply.audit import read

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pins(lock: str) -> dict[str, tuple[str, int]]:
    """Package: its version, and how many hashes stand with it."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    logical = re.sub(r"\\\n", " ", text).splitlines()
    lines = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    found = {}
    for line in lines:
        pinned = re.match(r"([a-z0-9-]+)(?:\[[a-z,-]+\])?==([^\s;]+)", line)
        assert pinned, f"{lock}: {line[:60]} is not pinned"
        found[pinned[1]] = (pinned[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_has_hashes_and_the_file_names_no_host(lock: str) -> None:
    assert [name for name, (_, hashes) in pins(lock).items() if not hashes] == []
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def test_both_files_agree() -> None:
    run, dev = (pins(lock) for lock in LOCKS)
    assert {name for name in run.keys() & dev.keys() if run[name] != dev[name]} == set()


def test_all_that_the_project_names_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        LOCKS[0]: [
            *project["project"]["dependencies"],
            *(
                named
                for extra in ("firestore", "outcome", "lab")
                for named in project["project"]["optional-dependencies"][extra]
            ),
        ],
        LOCKS[1]: project["dependency-groups"]["dev"],
    }
    for lock, requirements in wanted.items():
        names = {re.split(r"[^A-Za-z0-9_.-]", named)[0].lower().replace("_", "-") for named in requirements}
        assert names - pins(lock).keys() == set(), lock


def test_what_could_not_be_asked_is_not_called_sound() -> None:
    said = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": []},
            {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"]}]},
            {"name": "c", "skip_reason": "not found"},
        ]
    }
    asked = read(json.dumps(said))
    assert asked == (("a",), {"c": "not found"}, {"b 2": "PYSEC-2026-1, mended in 2.1"})
