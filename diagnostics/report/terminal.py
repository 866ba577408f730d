"""A runbook page as a terminal shows it: prose laid out at its width, commands as they are, so that they can be copied whole."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from diagnostics.report.layout import Layout

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```[^\S\n]*$\n?", re.MULTILINE | re.DOTALL)
NARROWEST = 40


class _Part(NamedTuple):
    """A stretch of the page: prose in Markdown, or the lines of a block of code with how far in it stands."""

    text: str
    indent: int = 0
    is_code: bool = False


def page(markdown: str, layout: Layout) -> str:
    """The page for this width. No line of code is broken or filled up: the terminal wraps it, and copies it as one line."""
    shown = [_code(part) if part.is_code else _prose(part.text, layout) for part in _parts(markdown)]
    return "\n".join(block for block in shown if block.strip()) + "\n"


def _parts(markdown: str) -> Iterator[_Part]:
    at = 0
    for block in _FENCE.finditer(markdown):
        yield _Part(markdown[at : block.start()])
        lines = block[3].rstrip("\n").split("\n")
        indent = len(block[1])
        yield _Part("\n".join(line.removeprefix(" " * indent) for line in lines), indent, is_code=True)
        at = block.end()
    yield _Part(markdown[at:])


def _code(part: _Part) -> str:
    return "\n".join(f"{' ' * (part.indent + 2)}{line}".rstrip() for line in part.text.split("\n")) + "\n"


def _prose(text: str, layout: Layout) -> str:
    from rich.console import Console
    from rich.markdown import Markdown

    out = io.StringIO()
    console = Console(
        file=out,
        width=max(layout.width, NARROWEST),
        force_terminal=layout.colour,
        no_color=not layout.colour,
        color_system="standard" if layout.colour else None,
        highlight=False,
        emoji=False,
    )
    console.print(Markdown(_together(text), hyperlinks=False))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n")).strip("\n") + "\n"


def _together(text: str) -> str:
    """What stands below a step, between its commands, is indented as the step is; alone it is prose. "If not:" begins a line."""
    return re.sub(r"^ {2,3}(?=\S)", "", text, flags=re.MULTILINE).replace("\nIf not:", "\\\nIf not:")
