"""Where words go: the answer to stdout or a file, everything else to stderr, and no word to a reader who has left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostics.cli.frame.trouble import Trouble

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
    """Write the answer: to stdout, or to a file that nobody ever reads half-written."""
    if out is not None:
        try:
            _write(text, out)
        except OSError as error:
            raise Trouble(f"cannot write {out}: {error.strerror}", "choose another file with --out") from error
        return
    try:
        sys.stdout.write(_fitting(text, sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()
    except BrokenPipeError:
        reader_left()


def _fitting(text: str, encoding: str) -> str:
    """JSON that says every letter, whatever the terminal can show: outside ASCII as \\u…, which means the same. Other text as it is."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        if text.lstrip()[:1] in ("{", "["):
            return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
    return text


def _write(text: str, out: Path) -> None:
    """Under another name first, then renamed: a reader, such as a collector of *.prom files, sees the old text or the new one."""
    if out.exists() and not out.is_file():  # a pipe or a device
        out.write_text(text, encoding="utf-8")
        return
    target = out.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def check_form(form: str, possible: Sequence[str]) -> None:
    """Refuse a format that the command has not, or whose library is missing."""
    if form not in possible:
        raise Trouble(
            f"-o {form} is for a diagnosis; this command says {', '.join(possible)}", "pubsub-diag batch --help"
        )
    from diagnostics.report import formats

    try:
        formats.require(form)
    except formats.NeedsLibraryError as error:
        raise Trouble(str(error), formats.INSTALL) from error


def answer_trouble(form: str, trouble: Trouble, out: Path | None) -> None:
    """Tell the machine that waits for an answer that there is none, in its own format; people read it on stderr."""
    from diagnostics.evidence.redact import redact
    from diagnostics.report import formats

    words = formats.render_trouble(form, redact(trouble.says), trouble.mend)
    with contextlib.suppress(Trouble):
        if words:
            answer(words, out)


def summarise(text: str, quiet: bool = False) -> None:
    """Add to the summary of the GitHub Actions job that runs us, if one does."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        tell(f"the job summary was not written: {error.strerror}", quiet)


def tell(text: str, quiet: bool = False) -> None:
    """Progress and hints."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def reader_left() -> None:
    """Nobody reads stdout any more. The verdict's exit code still counts, so go on, silently."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
