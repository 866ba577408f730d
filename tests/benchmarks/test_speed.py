"""How long things take, printed; nothing here passes or fails by time. `make bench`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALLEST = """
import typer
app = typer.Typer()
@app.command()
def hello(name: str) -> None: ...
app()
"""


def median_s(arguments: list[str], runs: int = 7) -> float:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def test_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smallest = tmp_path / "smallest.py"
    smallest.write_text(SMALLEST)
    ours, theirs = median_s(["-m", "diagnostics.cli.main", "--help"]), median_s([str(smallest), "--help"])
    with capsys.disabled():
        print(
            f"\n--help {ours * 1000:.0f} ms, smallest Typer program {theirs * 1000:.0f} ms, ratio {ours / theirs:.2f}"
        )
