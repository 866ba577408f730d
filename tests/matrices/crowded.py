"""A case whose items stand for others that are told alike, as the query of `diagnostics.sources.crowds` reads a batch of a million.

Written once more, over marks instead of rows, so that any case can be told so, however few lines it has. Of the oldest and newest lines
only a few count as such here: most cases have no more than a page of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import structs

from diagnostics.evidence.model import ItemMarks, Mark, Means

ENDS = 6
"""So many lines at either end stand for themselves."""
LATELY = timedelta(hours=1)
SPANS = 200
ENDED = (Means.DONE_ITEM, Means.SKIPPED_ITEM)
PLAIN = frozenset(
    {
        Means.PUBLISHED_ITEM,
        Means.STARTED_ITEM,
        Means.DONE_ITEM,
        Means.SKIPPED_ITEM,
        Means.RETURNED_ITEM,
        Means.RECORDED_ITEM,
    }
)


def crowded(marks: ItemMarks) -> ItemMarks:
    """The same lines, of alike items those of the first alone."""
    by_item = defaultdict[str, list[Mark]](list)
    for mark in marks.marks:
        if mark.item:
            by_item[mark.item].append(mark)
    odd = {m.trace for m in marks.marks if not m.item and m.means not in PLAIN and m.trace}
    ends = {m.item for m in (*marks.marks[:ENDS], *marks.marks[-ENDS:])}
    until = marks.source.as_of
    bad = {item: told for item, told in by_item.items() if any(m.means not in PLAIN for m in told)}
    cuts = [*_cuts(bad.values()), *_cuts(told for told in bad.values() if _lasts(told))]
    alike = defaultdict[tuple[object, ...], list[str]](list)
    for item, told in by_item.items():
        own = item in ends or _is_own(told, odd)
        alike[(item,) if own else _story(told, marks.since, until, cuts)].append(item)
    many = {max(items, key=lambda item: by_item[item][-1].at): len(items) for items in alike.values()}
    kept = [structs.replace(m, many=many[m.item]) if m.item else m for m in marks.marks if not m.item or m.item in many]
    return structs.replace(marks, marks=tuple(kept))


def _cuts(bad: Iterable[Sequence[Mark]]) -> list[datetime]:
    """Moments around the trouble of these items: what is told before and after is not alike."""
    told = list(bad)
    troubles = sorted(m.at for lines in told for m in lines if m.means not in PLAIN)
    after = timedelta(microseconds=1)
    return [min(lines[0].at for lines in told) + after, troubles[0] + after, troubles[-1]] if told else []


def _lasts(told: Sequence[Mark]) -> bool:
    """Whether the worker did not end it after its last trouble."""
    last = max(m.at for m in told if m.means not in PLAIN)
    return not any(m.means in ENDED and m.at >= last for m in told)


def _is_own(told: Sequence[Mark], odd: set[str]) -> bool:
    """Whether an item had trouble, or is at work."""
    if any(m.means not in PLAIN or m.trace in odd for m in told):
        return True
    ended = [m.at for m in told if m.means in ENDED]
    begun = [m.at for m in told if m.means is Means.STARTED_ITEM]
    return bool(begun) and (not ended or max(begun) > max(ended))


def _story(told: Sequence[Mark], since: datetime, until: datetime, cuts: Sequence[datetime]) -> tuple[object, ...]:
    recorded = any(m.means is Means.RECORDED_ITEM for m in told)
    returned = [m.instance for m in told if m.means is Means.RETURNED_ITEM]
    lines = zip(told, (told[0], *told), strict=False)
    return (
        *(
            (
                m.means,
                *_captured(m),
                m.revision,
                _span(m.at, since, until),
                _after(m.at - before.at),
                sum(m.at >= cut for cut in cuts),
            )
            for m, before in lines
        ),
        len({m.instance for m in told if m.instance}),
        "" if recorded else max(returned, default=""),
    )


def _captured(mark: Mark) -> tuple[object, ...]:
    none = {name: not number for name, number in mark.numbers.items()}
    return mark.batch, mark.correlation, mark.date, tuple(sorted(none.items())), tuple(sorted(mark.words.items()))


def _span(at: datetime, since: datetime, until: datetime) -> tuple[bool, int]:
    lately = max(until - LATELY, since)
    if at >= lately:
        return True, int((at - lately).total_seconds()) // 60
    return False, int((at - since).total_seconds()) // max(60, int((lately - since).total_seconds()) // SPANS)


def _after(gap: timedelta) -> int:
    return math.floor(math.log2(max(int(gap.total_seconds()), 1)))
