"""Misses as a table: all of them in a file, the first few on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tabulate import tabulate

HOME = Path(__file__).parents[2] / ".matrices"
"""Where what the matrices make is kept; git ignores it."""
SHOWN = 40


def write(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """The table of one matrix to its file, its first rows to standard output."""
    lines = [[str(cell) for cell in row] for row in rows]
    HOME.mkdir(exist_ok=True)
    file = HOME / f"{name}.tsv"
    file.write_text("".join("\t".join(line) + "\n" for line in [list(heads), *lines]), encoding="utf-8")
    if lines:
        print(tabulate(lines[:SHOWN], headers=list(heads), maxcolwidths=[44] * len(heads), tablefmt="simple"))
    more = f"; {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    print(f"{len(lines)} in {file.relative_to(HOME.parent)}{more}")


def column(name: str, head: str) -> set[str]:
    """What stands under this head in the table that was written the last time."""
    lines = [line.split("\t") for line in (HOME / f"{name}.tsv").read_text(encoding="utf-8").splitlines()]
    return {line[lines[0].index(head)] for line in lines[1:]}
