"""The picture of an answer in the README, made from the answer itself: `make picture` draws it, a test holds it to the README's words.

python -m tests.supply.picture
"""

from __future__ import annotations

import io
import re
from html import unescape
from pathlib import Path

import msgspec
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from diagnostics.report import text
from diagnostics.report.layout import Layout
from diagnostics.run.investigate import investigate
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import observe
from diagnostics.scoring.world import find, opened

PICTURE = Path(__file__).parents[2] / ".github" / "answer.svg"
NIGHT = "2026-02-08-backfill-stall"
WIDTH = 120
SECONDS = 0.6
"""How long the look took, as the README shows it: the one figure that differs from run to run."""


def answer() -> str:
    """The answer to the demo's night, with the colours of a terminal, to its first cause."""
    path = find(NIGHT)
    with opened(path, seed=1, log_reads_per_minute=10_000) as world:
        said = investigate(observe(world, wanted(world.scenario, path).ask))
    header = msgspec.structs.replace(said.pipeline, seconds=SECONDS)
    whole = text.render(msgspec.structs.replace(said, pipeline=header), Layout(WIDTH, colour=True))
    return whole[: _second_cause(whole)].rstrip() + "\n"


def _second_cause(whole: str) -> int:
    found = re.search(r"^(?:\x1b\[[0-9;]*m)*2 (?:\x1b\[[0-9;]*m)*[A-Z]+", whole, re.MULTILINE)
    assert found is not None, "the night has several causes"
    return found.start()


def svg(said: str) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi(said), end="")
    drawn = console.export_svg(title="pubsub-diag batch", theme=MONOKAI, unique_id="answer")
    return re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # who looks at it asks nobody else for a font


def words(drawn: str) -> str:
    """What stands in a picture, without its spaces: rich puts each style of a line into an element of its own."""
    texts = re.findall(r"<text[^>]*>(.*?)</text>", drawn, re.DOTALL)
    return "".join("".join(unescape(one).split()) for one in texts)


if __name__ == "__main__":
    PICTURE.write_text(svg(answer()), encoding="utf-8")
    print(PICTURE)
