"""The ladder as rows of text: how many items came how far, where the rest is, and what says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from diagnostics.conclude import standing
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg, Stage
from diagnostics.report.layout import Layout
from diagnostics.steps.finding import Row, Status, Where

HERE = "◀ HERE"
_WHOLE = HERE.replace(" ", "\N{NO-BREAK SPACE}")
"""The same, divided by no line's end."""
TOLD_BY_NUMBER = {Stage.CREATED, Stage.PUBLISHED, Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED}

WORDS = {
    Where.WAITING: "waiting",
    Where.IN_FLIGHT: "in flight",
    Where.RETRYING: "retrying",
    Where.DEAD_LETTERED: "dead-lettered",
    Where.DROPPED: "lost",
    Where.GATED: "gated",
    Where.SKIPPED: "skipped",
    Where.SURPLUS: "surplus",
    Where.UNATTRIBUTED: "unattributed",
    Where.UNKNOWN: "unknown",
}


def render(diagnosis: Diagnosis, layout: Layout, every_row: bool = False) -> str:
    """The table. Rows that say the same as the row above are folded into it, unless `every_row`."""
    items = diagnosis.batch.expected if diagnosis.batch else None
    here = stopped(diagnosis)
    rows = [
        [label, seen(row, items), rest(row), HERE if row is here else "", told]
        for label, row, told in _folded(in_order(diagnosis), here, every_row)
    ]
    head = ["stage", f"of {items}" if items is not None else "items", "where the rest is", "", "seen in"]
    table = layout.table(head, rows, right=[1], gives_way=2)
    if not layout.fits(table):  # long names: where it stopped stands below where the rest is
        table = layout.table([*head[:3], head[4]], [_closer(row) for row in rows], right=[1], gives_way=2)
        table = table.replace(_WHOLE, HERE)
    return table.replace(HERE, layout.paint(HERE, "fault"))


def _closer(row: Sequence[str]) -> list[str]:
    """The row without a column for the mark alone."""
    name, count, rest_, mark, told = row
    return [name, count, f"{rest_} {_WHOLE if mark else ''}".strip(), told]


def places(rows: Iterable[Row]) -> Counter[Where]:
    """How many items are in each place: an item stays behind at one row."""
    counted: Counter[Where] = Counter()
    for row in rows:
        counted.update({Where(place): n for place, n in row.where.items() if place in set(Where)})
    return counted


def seen(row: Row, items: int | None = None) -> str:
    """What a row counts: a number, a range, yes or no; `?` when nothing tells. Never 0 for what was not seen."""
    if row.not_reached:
        return "-"
    if row.reached is not None:
        return "yes" if row.reached else "no"
    low, high = row.seen_min, row.seen_max
    if not low and high is None:
        return "?"
    if low == high:
        count = str(low)
    elif high is None:
        count = f"{low}+"
    else:
        count = f"{low or 0}–{high}"
    of_fewer = row.expected is not None and row.expected not in (items, low)
    return f"{count} of {row.expected}" if of_fewer else count


def says_so(row: Row) -> str:
    """What tells the counts of a row, and what has to be read with them."""
    return ": ".join(part for part in (row.source, row.note) if part)


def rest(row: Row) -> str:
    if row.not_reached:
        return "not reached"
    parts = [
        f"{count} {WORDS[Where(where)] if where in set(Where) else where}"
        for where, count in row.where.items()
        if count
    ]
    return ", ".join(parts)


def label(row: Row) -> str:
    return (
        f"{row.stage.value} back" if row.leg is Leg.COMPLETION and row.stage is not Stage.RETURNED else row.stage.value
    )


def in_order(diagnosis: Diagnosis) -> list[Row]:
    return standing.in_order(diagnosis.ladder)


def stopped(diagnosis: Diagnosis) -> Row | None:
    """The row at which the batch stopped."""
    if diagnosis.here is None:
        return None
    at_stage = [row for row in diagnosis.ladder if row.stage is diagnosis.here]
    on_leg = [row for row in at_stage if diagnosis.here_leg in (None, row.leg)]
    return next(iter(on_leg or at_stage), None)


def _folded(ladder: Sequence[Row], here: Row | None, every_row: bool) -> Iterator[tuple[str, Row, str]]:
    """(label, row, what says so), with the labels of folded rows named beside the row they repeat."""
    at = 0
    while at < len(ladder):
        first = ladder[at]
        same = 1
        while not every_row and at + same < len(ladder) and _repeats(ladder[at + same], first, here):
            same += 1
        told = says_so(first)
        if same > 1:
            names = ", ".join(label(row) for row in ladder[at + 1 : at + same])
            told = f"{told}  ({names} likewise)" if told else f"({names} likewise)"
        yield label(first), first, told
        at += same


def _repeats(row: Row, above: Row, here: Row | None) -> bool:
    """Whether a row adds nothing to the one above: the same items, well, or not reached either."""
    if here in (row, above) or row.note:
        return False
    if row.not_reached and above.not_reached:
        return True
    counted = row.stage in TOLD_BY_NUMBER and row.status is above.status is Status.OK and row.seen_min is not None
    return (
        counted and (row.seen_min, row.seen_max) == (above.seen_min, above.seen_max) and not (rest(row) or rest(above))
    )
