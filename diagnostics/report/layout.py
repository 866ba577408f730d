"""How text is laid out: width, wrapping with a hanging indent, tables, times, and colour where a terminal wants it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta

from tabulate import tabulate

from diagnostics.report.escape import clean
from diagnostics.shell.commands import is_command, is_whole, parted, raw_words

NARROWEST, WIDEST = 80, 120

_LEAST, _LEAST_GIVEN = 24, 17
"""Columns that the last column of a table has at least, and one that gives way to it."""
_SPACE, _KEPT = " ", "\N{NO-BREAK SPACE}"
"""A line may end at the first and may not at the second."""
_ONE = re.compile(
    r"(?<=\d) (?=(?:ms|s|min|h|d|KiB|MiB|GiB)\b)"  # 4.1 s
    r"|(?<=\d [hd]) (?=\d+ (?:min|h)\b)"  # 2 h 5 min
    r"|(?<=\b\d\d-\d\d) (?=\d\d:\d\d)"  # 10-07 13:09Z
    r"|(?<=·) (?=lab, not)|(?<=lab,) (?=not Google)|(?<=lab, not) (?=Google)"
)
"""Spaces within what is read as one: a number and its unit, a date and its time of day."""
_COLOURS = {
    "fault": "1;31",
    "blocks": "1;31",
    "failed": "1;31",
    "warning": "1;33",
    "worsens": "1;33",
    "unknown": "1;35",
    "ok": "1;32",
    "latent": "1;36",
}


class Layout:
    """The page: how wide it is, and whether it may have colour."""

    def __init__(self, width: int = WIDEST, colour: bool = False) -> None:
        self.width = max(NARROWEST, min(WIDEST, width))
        self.colour = colour

    def paint(self, word: str, like: str = "") -> str:
        """The word in the colour of a status or role; the word itself always says the same."""
        code = _COLOURS.get((like or word).lower())
        return f"\x1b[{code}m{word}\x1b[0m" if self.colour and code else word

    def wrap(self, label: str, text: str, indent: int | None = None) -> str:
        """The label and then the text, wrapped to the width, continued below the text. Names and ids are never cut."""
        hang = " " * (len(label) if indent is None else indent)
        return "\n".join(_lines(text, self.width, label, hang)) or label.rstrip()

    def command(self, label: str, line: str, indent: int | None = None) -> str:
        """The label and then a command that can be copied as it stands: lines end between words, with a backslash, and what explains it
        stands on lines of its own if it has to. Advice in prose is only wrapped; what stands in quotes in it is not divided either."""
        hang = " " * (len(label) if indent is None else indent)
        said, told = parted(line)
        if not is_whole(said):  # prose with an apostrophe
            return self.wrap(label, line, indent)
        end = " \\" if is_command(said) else ""
        rows = [label]
        for at, word in enumerate(_with_values(raw_words(said), self.width - len(hang) - len(end))):
            fresh = rows[-1] in (label, hang)
            if at and len(rows[-1]) + (0 if fresh else 1) + len(word) + len(end) > self.width:
                rows[-1] += end
                rows.append(hang)
                fresh = True
            rows[-1] += word if fresh else f" {word}"
        if told and len(rows[-1]) + len(told) + 5 <= self.width:
            rows[-1] += f"   # {told}"
        elif told:
            rows += textwrap.wrap(
                told, self.width, initial_indent=f"{hang}# ", subsequent_indent=f"{hang}# ", break_long_words=False
            )
        return "\n".join(row.rstrip() for row in rows)

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        right: Sequence[int] = (),
        gives_way: int | None = None,
    ) -> str:
        """A plain table whose last column wraps; `right` names the columns that are aligned right. On a page that is too narrow for the
        last column, or for a name in it, the one that `gives_way` wraps, too."""
        # The head goes in as a row of its own: tabulate pads columns that have a real head.
        cells = [list(head), *([clean(cell) for cell in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head) - 1)]
        longest = max((len(word) for row in cells for word in row[-1].split()), default=0)
        lacking = max(_LEAST, longest) + sum(width + 2 for width in widths) - self.width
        if gives_way is not None and lacking > 0:
            widths[gives_way] = max(_LEAST_GIVEN, widths[gives_way] - lacking)
            for row in cells:
                row[gives_way] = self._wrapped(row[gives_way], widths[gives_way])
        for row in cells:
            row[-1] = self._wrapped(row[-1], max(_LEAST, self.width - sum(width + 2 for width in widths)))
        align = ["right" if column in right else "left" for column in range(len(head))]
        made = tabulate(cells, tablefmt="plain", disable_numparse=True, colalign=align)
        return "\n".join(line.rstrip() for line in made.splitlines())

    def listing(self, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
        """A table; on a page that is too narrow for it, one row after the other."""
        table = self.table(head, rows, right)
        return table if self.fits(table) else self.records([f"{name}:" if name else "" for name in head], rows)

    def fits(self, text: str) -> bool:
        """Whether no line is wider than the page."""
        return all(len(line) <= self.width for line in text.splitlines())

    def records(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """What is too wide for a table: of each row the first cell, and then the others with their heads, those that are empty left out."""
        lines = []
        for first, *cells in rows:
            told = " · ".join(f"{name} {cell}".strip() for name, cell in zip(head[1:], cells, strict=True) if cell)
            lines.append(self.wrap(f"{clean(first)}  ", clean(told), indent=4))
        return "\n".join(lines)

    @staticmethod
    def _wrapped(text: str, width: int) -> str:
        return "\n".join(_lines(text, width))


def _lines(text: str, width: int, first: str = "", then: str = "") -> list[str]:
    """The text in lines of the width, the first after `first` and the others after `then`."""
    lines = textwrap.wrap(
        _ONE.sub(_KEPT, text),
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_KEPT, _SPACE) for line in lines]


def _with_values(words: Sequence[str], width: int) -> list[str]:
    """The words of a command, an option and the value after it as one where the line has room for both."""
    units: list[str] = []
    for word in words:
        before = units[-1] if units else ""
        takes = before.startswith("--") and not re.search(r"[= ]", before) and not word.startswith("-")
        if takes and len(before) + 1 + len(word) <= width:
            units[-1] = f"{before} {word}"
        else:
            units.append(word)
    return units


def clock(at: datetime | None, now: datetime, seconds: bool = False) -> str:
    """A moment as on a clock; with its date unless it is today's; with its year unless it is this one."""
    if at is None:
        return "?"
    time = f"{at:%H:%M:%SZ}" if seconds else f"{at:%H:%MZ}"
    if at.date() == now.date():
        return time
    return f"{at:%m-%d} {time}" if at.year == now.year else f"{at:%Y-%m-%d} {time}"


def age(span: timedelta) -> str:
    """A span in its two largest units: 13 min, 2 h 05 min, 3 d 4 h."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return f"{max(0, int(span.total_seconds()))} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 60 * 24:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
