"""Where words go: the answer to stdout or a file, everything else to stderr, and no word to a reader who has left."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostics.cli.trouble import Trouble

if TYPE_CHECKING:
    from diagnostics.report.layout import Layout


def page(to_file: bool = False) -> Layout:
    """The page that stdout offers: its width and colour on a terminal, 120 columns without colour elsewhere."""
    from diagnostics.report.layout import WIDEST, Layout

    if to_file or not sys.stdout.isatty():
        return Layout(WIDEST)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
    return Layout(shutil.get_terminal_size((WIDEST, 24)).columns, colour=not plain)


def answer(text: str, out: Path | None = None) -> None:
    """Write the answer."""
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Trouble(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        reader_left()


def tell(text: str, quiet: bool = False) -> None:
    """Progress and hints."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def reader_left() -> None:
    """Nobody reads stdout any more. The verdict's exit code still counts, so go on, silently."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
