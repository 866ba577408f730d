"""A runbook on a terminal: prose fits the width, commands stay whole, and nothing of its markup is left."""

from __future__ import annotations

import re

from diagnostics.report import terminal
from diagnostics.report.layout import Layout
from diagnostics.runbook import pages

PAGE = """# Title

Some `code` and **weight** in a sentence that is a good deal longer than the forty characters to which it is laid out here.

1. First, look.

   ```sh
   gcloud pubsub subscriptions describe projects/a-very-long-project/subscriptions/a-very-long-subscription --format=json
   ```

   Prints: something.
   If not: go on.

2. Then go on.
"""


def test_a_page_is_laid_out_and_its_commands_are_whole() -> None:
    shown = terminal.page(PAGE, Layout(80))
    lines = shown.splitlines()
    command = next(line for line in lines if "gcloud" in line)
    assert command.strip() == PAGE.split("sh\n")[1].split("\n")[0].strip(), "one line, nothing behind it"
    assert all(len(line) <= 80 for line in lines if line != command)
    assert "```" not in shown and "**" not in shown and "\x1b" not in shown
    assert "2 Then go on." in shown and "\nPrints: something.\nIf not: go on.\n" in shown


def test_colour_only_where_the_terminal_has_it() -> None:
    assert "\x1b[" in terminal.page(PAGE, Layout(80, colour=True))


def test_every_page_fits_eighty_columns_but_for_its_commands() -> None:
    for book in pages.every():
        fences = re.findall(r"```\w*\n(.*?)```", book.body, re.DOTALL)
        blocks = {line.strip() for code in fences for line in code.splitlines() if line.strip()}
        shown = terminal.page(book.body, Layout(80)).splitlines()
        assert blocks <= {line.strip() for line in shown}, "each line of a command stands whole"
        assert not [line for line in shown if len(line) > 80 and line.strip() not in blocks], book.front.name
        assert not [line for line in shown if line.lstrip().startswith(("```", "## "))], book.front.name
