"""A batch with a hundred thousand log lines is captured and replayed in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_MIB = 320
"""183 MiB were measured, the process alone: the lines as evidence, their JSON (33 MB), and the lines again."""

CODE = """
import re, sys
from dataclasses import replace
from pathlib import Path
from msgspec import structs
from diagnostics.keep.bundle import dump, load, parse, replay
from diagnostics.evidence.model import EvidenceSet
case = load(Path(sys.argv[1])).case
seen = dict(case.evidence.items())
lines = seen["ItemMarks", None]
many = tuple(lines.marks[n % len(lines.marks)] for n in range(100_000))
seen["ItemMarks", None] = structs.replace(lines, marks=many)
old = case.evidence
case = replace(case, evidence=EvidenceSet(seen, old.now, old.lookback, old.since))
from diagnostics.run.investigate import investigate
said = investigate(case)
packed = dump(case, said)
del case, seen, old, many
assert replay(parse(packed, ours=True)) == said
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(len(packed), int(peak[1]) // 1024)
"""


@pytest.mark.whole
def test_a_hundred_thousand_lines_fit() -> None:
    (bundle,) = (ROOT / "tests" / "data" / "bundles").glob("night-0379aef*")
    line = [sys.executable, "-c", CODE, str(bundle)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    size, peak_mib = map(int, done.stdout.split())
    assert size < 8 * 2**20, "small enough to be kept"
    assert peak_mib < MOST_MIB
