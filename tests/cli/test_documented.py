"""Every `pubsub-diag` line that README and runbooks print is one that the command line takes."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from diagnostics.cli.frame.inside import parse
from diagnostics.cli.main import UsageError
from diagnostics.pipeline import places

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(places.runbooks().rglob("*.md"))]

_IN_BLOCK = re.compile(r"^(?: {4,}|\t|\$ )\$? ?(?:\S+=\S+ )*(pubsub-diag .*)$", re.M)
_INLINE = re.compile(r"`(pubsub-diag [^`]*)`")


def lines_of(text: str) -> list[str]:
    """Command lines in indented or fenced blocks and in backticks, without comments, pipes and what is redirected."""
    fenced = re.sub(r"^```.*?\n(.*?)^```", lambda m: re.sub("^", "    ", m[1], flags=re.M), text, flags=re.M | re.S)
    joined = re.sub(r"\s*\\\n\s*", " ", fenced)
    found = [*_IN_BLOCK.findall(joined), *_INLINE.findall(joined)]
    return [re.split(r"\s#\s|\s{3,}|\s[|>]", line)[0].strip() for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_line_parses(page: Path) -> None:
    for line in lines_of(page.read_text(encoding="utf-8")):
        if "…" in line or re.search(r"\[[A-Z]", line):
            continue  # a pattern of lines, not a line
        try:
            with contextlib.suppress(typer.Exit):  # --help and --version end there
                parse(shlex.split(line)[1:])
        except UsageError as error:
            pytest.fail(f"{page.name}: {line}: {error}")


def test_the_readme_has_lines_to_check() -> None:
    assert len(lines_of((ROOT / "README.md").read_text(encoding="utf-8"))) >= 4


@pytest.mark.parametrize(
    "line", ["pubsub-diag bacth", "pubsub-diag batch --itmes", "pubsub-diag runbook show", "pubsub-diag lab fly"]
)
def test_a_wrong_line_does_not_parse(line: str) -> None:
    with pytest.raises(UsageError):
        parse(shlex.split(line)[1:])


def test_lines_are_found_where_they_stand() -> None:
    page = """
Run `pubsub-diag batches` or

    pubsub-diag batch X \\
      --items   # comment

```sh
pubsub-diag lab list | less
```
"""
    assert sorted(lines_of(page)) == ["pubsub-diag batch X --items", "pubsub-diag batches", "pubsub-diag lab list"]
